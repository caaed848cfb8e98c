// SPDX-License-Identifier: MIT OR Apache-2.0
//! What differs between two models: object by object for programs, unified text for people.
//!
//! Only objects that differ are written out, so that a change to one of 100,000 routes costs one comparison of the
//! others each. A secret or a private key shows as a fingerprint, never as itself.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;

use crate::model::{Certificate, Consumer, Kind, Model, Name, PEM};
use crate::parse::place::{Place, Step};
use crate::text;
use crate::wire::{DiffEntry, DiffKind};

/// Most field paths that are named for one object.
const FIELDS_MAX: usize = 64;

/// Lines of context around a difference.
const CONTEXT_LINES: usize = 3;

/// Objects written out in a text; the rest is counted.
const OBJECTS_WRITTEN_MAX: usize = 200;

/// Every object that differs, by kind and name.
pub fn diff(old: &Model, new: &Model) -> Vec<DiffEntry> {
    let mut entries = Vec::new();
    collection(Kind::Listener, &old.listeners, &new.listeners, &mut entries);
    collection(Kind::Certificate, &old.certificates, &new.certificates, &mut entries);
    collection(Kind::Upstream, &old.upstreams, &new.upstreams, &mut entries);
    collection(Kind::Policy, &old.policies, &new.policies, &mut entries);
    collection(Kind::Route, &old.routes, &new.routes, &mut entries);
    collection(Kind::Consumer, &old.consumers, &new.consumers, &mut entries);
    collection(Kind::Log, &old.logs, &new.logs, &mut entries);
    entries
}

/// The same as unified text: for each object that differs, its lines before and after.
pub fn diff_text(old: &Model, new: &Model) -> String {
    let entries = diff(old, new);
    let mut out = String::new();
    for entry in entries.iter().take(OBJECTS_WRITTEN_MAX) {
        let before = written(old, entry);
        let after = written(new, entry);
        let title = format!("{}.{}", entry.kind.plural(), entry.name);
        let (from, to) = match entry.change {
            DiffKind::Added => ("nothing", title.as_str()),
            DiffKind::Removed => (title.as_str(), "nothing"),
            DiffKind::Changed => (title.as_str(), title.as_str()),
        };
        let lines = TextDiff::from_lines(&before, &after);
        out.push_str(&lines.unified_diff().context_radius(CONTEXT_LINES).header(from, to).to_string());
    }
    if entries.len() > OBJECTS_WRITTEN_MAX {
        out.push_str(&format!("# and {} more objects that differ\n", entries.len() - OBJECTS_WRITTEN_MAX));
    }
    out
}

/// Counts of objects added, changed and removed.
pub fn counts(entries: &[DiffEntry]) -> (u32, u32, u32) {
    let count = |change| {
        let found = entries.iter().filter(|entry| entry.change == change).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    };
    (count(DiffKind::Added), count(DiffKind::Changed), count(DiffKind::Removed))
}

fn collection<T: PartialEq + Serialize>(
    kind: Kind,
    old: &BTreeMap<Name, T>,
    new: &BTreeMap<Name, T>,
    entries: &mut Vec<DiffEntry>,
) {
    let entry = |name: &Name, change, fields| DiffEntry { kind, name: name.to_string(), change, fields };
    let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (olds.peek(), news.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let before = if order == Ordering::Greater { None } else { olds.next() };
        let after = if order == Ordering::Less { None } else { news.next() };
        match (before, after) {
            (Some((name, a)), Some((_, b))) if a != b => entries.push(entry(name, DiffKind::Changed, fields(a, b))),
            (Some((name, _)), None) => entries.push(entry(name, DiffKind::Removed, Vec::new())),
            (None, Some((name, _))) => entries.push(entry(name, DiffKind::Added, Vec::new())),
            _ => {}
        }
    }
}

fn fields<T: Serialize>(old: &T, new: &T) -> Vec<String> {
    let json = |object: &T| serde_json::to_value(object).unwrap_or_default();
    let mut paths = Vec::new();
    compare(&json(old), &json(new), &mut Place::default(), &mut paths);
    paths.truncate(FIELDS_MAX);
    paths
}

fn compare(old: &Value, new: &Value, place: &mut Place, paths: &mut Vec<String>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                place.0.push(Step::Key(key.clone()));
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => compare(a, b, place, paths),
                    _ => paths.push(place.to_string()),
                }
                place.0.pop();
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                place.0.push(Step::Index(index));
                compare(a, b, place, paths);
                place.0.pop();
            }
        }
        _ => paths.push(place.to_string()),
    }
}

/// One object as text that may be shown.
fn written(model: &Model, entry: &DiffEntry) -> String {
    let name = entry.name.as_str();
    let mut shown = Model::default();
    match entry.kind {
        Kind::Certificate => {
            shown.certificates =
                pick(&model.certificates, name).map(|(name, it)| (name, masked(it))).into_iter().collect();
        }
        Kind::Consumer => {
            shown.consumers = pick(&model.consumers, name).map(|(name, it)| (name, nameless(it))).into_iter().collect();
        }
        Kind::Listener | Kind::Upstream | Kind::Policy | Kind::Route | Kind::Log => {
            return text::object_to_toml(model, entry.kind, name);
        }
    }
    text::to_toml(&shown)
}

fn pick<T: Clone>(objects: &BTreeMap<Name, T>, name: &str) -> Option<(Name, T)> {
    objects.get_key_value(name).map(|(name, object)| (name.clone(), object.clone()))
}

/// A certificate without its PEM texts.
fn masked(mut certificate: Certificate) -> Certificate {
    for text in [&mut certificate.chain, &mut certificate.key.0] {
        if text.trim_start().starts_with(PEM) {
            *text = format!("PEM text, fingerprint {}", fingerprint(text));
        }
    }
    certificate
}

/// A consumer without its secrets.
fn nameless(mut consumer: Consumer) -> Consumer {
    for key in &mut consumer.api_keys {
        if let Some(secret) = &mut key.secret {
            *secret = format!("secret, fingerprint {}", fingerprint(secret));
        }
        if let Some(hash) = &mut key.hash {
            *hash = format!("fingerprint {}", fingerprint(hash));
        }
    }
    consumer
}

/// Enough to see that a secret changed, far too little to find it.
fn fingerprint(text: &str) -> String {
    let hash = blake3::derive_key("weirgate 2026 fingerprint of a secret in a diff", text.as_bytes());
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{diff, diff_text};
    use crate::parse::parse_toml;
    use crate::wire::DiffKind;

    const OLD: &str = "[upstreams.a]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n\
        [routes.x]\nmatch = { path = \"/x\" }\nupstream = \"a\"\n\
        [routes.y]\nupstream = \"a\"\n\
        [consumers.c]\napi_keys = [{ secret = \"0123456789abcdef\" }]\n";

    #[test]
    fn every_difference_is_named_with_its_fields() {
        let old = parse_toml(OLD).expect("it is valid");
        let text = OLD.replace("/x", "/z").replace("routes.y", "routes.z").replace("127.0.0.1:1", "127.0.0.1:2");
        let new = parse_toml(&text).expect("it is valid");
        let seen: Vec<_> = diff(&old, &new).into_iter().map(|e| (e.name, e.change, e.fields.join(" "))).collect();
        let want = [
            ("a", DiffKind::Changed, "endpoints[0].address"),
            ("x", DiffKind::Changed, "match.path"),
            ("y", DiffKind::Removed, ""),
            ("z", DiffKind::Added, ""),
        ];
        let want: Vec<_> = want.into_iter().map(|(a, b, c)| (a.to_owned(), b, c.to_owned())).collect();
        assert_eq!(seen, want);
        let text = diff_text(&old, &new);
        assert!(text.contains("-match = { path = \"/x\" }\n+match = { path = \"/z\" }"), "{text}");
        assert!(diff(&old, &old).is_empty() && diff_text(&old, &old).is_empty());
    }

    #[test]
    fn a_secret_shows_as_a_fingerprint() {
        let old = parse_toml(OLD).expect("it is valid");
        let new = parse_toml(&OLD.replace("0123456789abcdef", "another-secret-text")).expect("it is valid");
        let text = diff_text(&old, &new);
        assert!(!text.contains("0123456789abcdef") && !text.contains("another-secret"), "{text}");
        assert!(text.contains("fingerprint"), "{text}");
    }
}
