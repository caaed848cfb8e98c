// SPDX-License-Identifier: MIT OR Apache-2.0
//! The canonical text of a model: what `export` prints, what a revision file holds, what diffs are made of.
//!
//! Equal models give equal texts, and the text reads back as the model it came from. One object is one `[kind.name]`
//! table with a line for each setting; what is nested is written in place. The writer is our own because a revision
//! of 100,000 routes is written on every apply.

mod write;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::model::{Kind, Model, Name};
use crate::parse::place::is_bare;

/// Bytes of text one object takes, roughly; only the first allocation depends on it.
const OBJECT_BYTES: usize = 160;

/// The whole model as TOML.
pub fn to_toml(model: &Model) -> String {
    let Model { listeners, certificates, upstreams, policies, routes, consumers, logs } = model;
    let objects = routes.len() + upstreams.len() + policies.len() + consumers.len();
    let mut out = String::with_capacity(objects.saturating_mul(OBJECT_BYTES) + 1024);
    collection(&mut out, Kind::Listener, listeners);
    collection(&mut out, Kind::Certificate, certificates);
    collection(&mut out, Kind::Upstream, upstreams);
    collection(&mut out, Kind::Policy, policies);
    collection(&mut out, Kind::Route, routes);
    collection(&mut out, Kind::Consumer, consumers);
    collection(&mut out, Kind::Log, logs);
    out
}

/// One object as TOML, under its header; empty if there is none of that name.
pub fn object_to_toml(model: &Model, kind: Kind, name: &str) -> String {
    fn one<T: Serialize>(kind: Kind, objects: &BTreeMap<Name, T>, name: &str) -> String {
        let mut out = String::new();
        if let Some((name, object)) = objects.get_key_value(name) {
            table(&mut out, kind, name, object);
        }
        out
    }
    match kind {
        Kind::Listener => one(kind, &model.listeners, name),
        Kind::Certificate => one(kind, &model.certificates, name),
        Kind::Upstream => one(kind, &model.upstreams, name),
        Kind::Policy => one(kind, &model.policies, name),
        Kind::Route => one(kind, &model.routes, name),
        Kind::Consumer => one(kind, &model.consumers, name),
        Kind::Log => one(kind, &model.logs, name),
    }
}

fn collection<T: Serialize>(out: &mut String, kind: Kind, objects: &BTreeMap<Name, T>) {
    for (name, object) in objects {
        if !out.is_empty() {
            out.push('\n');
        }
        table(out, kind, name, object);
    }
}

fn table<T: Serialize>(out: &mut String, kind: Kind, name: &Name, object: &T) {
    out.push('[');
    out.push_str(kind.plural());
    out.push('.');
    write_key(out, name.as_str());
    out.push_str("]\n");
    // The records hold nothing that TOML cannot say; a test reads every kind of value back.
    if let Err(error) = write::lines(out, object) {
        out.push_str(&format!("# not writable: {error}\n"));
    }
}

fn write_key(out: &mut String, key: &str) {
    if is_bare(key) {
        out.push_str(key);
    } else {
        write_string(out, key);
    }
}

/// A basic string, with every character escaped that must be.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' && byte != 0x7f {
            continue;
        }
        out.push_str(text.get(plain..at).unwrap_or(""));
        plain = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                // Writing to a String cannot fail.
                write!(out, "\\u{byte:04X}").unwrap_or_default();
            }
        }
    }
    out.push_str(text.get(plain..).unwrap_or(""));
    out.push('"');
}

/// A text of several lines, such as a PEM chain, as one.
fn write_block(out: &mut String, text: &str) {
    out.push_str("\"\"\"\n");
    out.push_str(text);
    out.push_str("\"\"\"");
}

/// Whether a text reads better as a block, and can be written as one without escapes.
fn is_block(text: &str) -> bool {
    let lines = text.bytes().filter(|byte| *byte == b'\n').count();
    lines > 1 && text.bytes().all(|b| b == b'\n' || (b >= b' ' && b != b'"' && b != b'\\' && b != 0x7f))
}

#[cfg(test)]
mod tests;
