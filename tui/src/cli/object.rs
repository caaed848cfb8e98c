// SPDX-License-Identifier: MIT OR Apache-2.0
//! `route list`, `route show`, `route set`, `route delete`, and the same for the five other kinds.
//!
//! Every write is one object of one change; the daemon checks it. A name that does not exist is answered here with
//! the nearest one that does.

use std::path::Path;

use http::Method;
use serde_json::Value;
use weirgate_store::model::{Certificate, CertificateKey, Kind, Model, Name, PEM, STORED};
use weirgate_store::wire::ObjectList;
use weirgate_store::{files, suggest, text};

use super::args::{ObjectVerb, SetArgs, WriteArgs};
use super::assign::{self, Assignment};
use super::change::print_answer;
use super::line::{Piece, Style};
use super::table::Table;
use super::terminal::{Failure, Terminal, directory_of, read};
use crate::client::{ClientError, segment};

pub(crate) async fn run(t: &mut Terminal<'_>, kind: Kind, verb: Option<&ObjectVerb>) -> Result<(), Failure> {
    match verb {
        None | Some(ObjectVerb::List) => list(t, kind).await,
        Some(ObjectVerb::Show { name }) => show(t, kind, name).await,
        Some(ObjectVerb::Set(args)) => set(t, kind, args).await,
        Some(ObjectVerb::Delete { name, write }) => delete(t, kind, name, write).await,
    }
}

async fn list(t: &mut Terminal<'_>, kind: Kind) -> Result<(), Failure> {
    let list: ObjectList = t.client.get(&format!("/v1/{}", kind.plural())).await?;
    if t.json {
        return t.document(&list);
    }
    let columns = columns(kind);
    let headings: Vec<&str> = std::iter::once("NAME").chain(columns.iter().map(|(heading, _)| *heading)).collect();
    let mut table = Table::new(&headings);
    for listed in &list.objects {
        let mut row = vec![Style::Name.of(listed.name.as_str())];
        row.extend(columns.iter().map(|(_, path)| brief(listed.object.pointer(path))));
        table.push(row);
    }
    if table.is_empty() {
        let (one, many) = (kind.singular(), kind.plural());
        return t.say(&[format!("no {many} yet; `weirgate {one} set NAME --new FIELD=VALUE` makes the first").into()]);
    }
    t.table(&table)
}

/// What of an object stands in a list.
fn columns(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Listener => &[("ADDRESS", "/address"), ("PROTOCOL", "/protocol"), ("CERTIFICATES", "/certificates")],
        Kind::Certificate => &[("KEY", "/key"), ("CHAIN", "/chain")],
        Kind::Upstream => &[("BALANCE", "/balance"), ("ENDPOINTS", "/endpoints"), ("HEALTH", "/health")],
        Kind::Policy => &[("SETTINGS", "")],
        Kind::Route => &[
            ("HOSTS", "/match/hosts"),
            ("PATH", "/match/path"),
            ("METHODS", "/match/methods"),
            ("POLICIES", "/policies"),
            ("UPSTREAM", "/upstream"),
        ],
        Kind::Log => &[("TO", "/to"), ("FORMAT", "/format"), ("ONLY", "/only"), ("SAMPLE", "/sample")],
        Kind::Consumer => &[("GROUPS", "/groups"), ("KEYS IN FILE", "/api_keys")],
    }
}

/// Longest cell of a list, in characters.
const CELL_CHARS_MAX: usize = 60;

/// A value in a few words.
fn brief(value: Option<&Value>) -> Piece {
    let mut text = words(value.unwrap_or(&Value::Null));
    if text.starts_with(PEM) {
        text = format!("PEM, {} bytes", text.len());
    }
    if let Some((end, _)) = text.char_indices().nth(CELL_CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    if text.is_empty() { Style::Dim.of("-") } else { text.into() }
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(members) => match (members.get("address"), members.get("prefix")) {
            // An endpoint is known by its address, a key by its prefix.
            (Some(known), _) | (None, Some(known)) => words(known),
            (None, None) => {
                let member = |(key, value): (&String, &Value)| match value {
                    Value::Object(_) => format!("{key} ({})", words(value)),
                    _ => format!("{key} {}", words(value)),
                };
                members.iter().map(member).collect::<Vec<_>>().join(", ")
            }
        },
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

async fn show(t: &mut Terminal<'_>, kind: Kind, name: &str) -> Result<(), Failure> {
    let object = find(t, kind, name).await?;
    if t.json {
        return t.document(&object);
    }
    match as_toml(kind, name, &object) {
        Some(text) => t.verbatim(text.trim_start()),
        None => t.document(&object),
    }
}

/// The object as it stands in a file.
fn as_toml(kind: Kind, name: &str, object: &Value) -> Option<String> {
    let model = serde_json::json!({ kind.plural(): { name: object } });
    let model: Model = serde_json::from_value(model).ok()?;
    Some(text::object_to_toml(&model, kind, name))
}

async fn set(t: &mut Terminal<'_>, kind: Kind, args: &SetArgs) -> Result<(), Failure> {
    let name = &args.name;
    if let Some(file) = &args.file {
        let mut object = read_object(kind, name, file)?;
        read_files(kind, &mut object, directory_of(file))?;
        return write(t, Method::PUT, kind, name, Some(&object), &args.write).await;
    }
    let parsed: Result<Vec<Assignment>, String> = args.fields.iter().map(|text| Assignment::parse(text)).collect();
    let assignments = parsed.map_err(Failure::Usage)?;
    let (method, current) = match find(t, kind, name).await {
        Ok(object) => (Method::PATCH, object),
        Err(Failure::Unknown(_)) if args.new => (Method::PUT, Value::Null),
        Err(Failure::Unknown(text)) => {
            return Err(Failure::Failed(format!("{text}; to make a new one, add --new")));
        }
        Err(other) => return Err(other),
    };
    let mut patch = assign::patch(&assignments, &current).map_err(Failure::Usage)?;
    read_files(kind, &mut patch, Path::new("."))?;
    write(t, method, kind, name, Some(&patch), &args.write).await
}

async fn delete(t: &mut Terminal<'_>, kind: Kind, name: &str, args: &WriteArgs) -> Result<(), Failure> {
    find(t, kind, name).await?;
    write(t, Method::DELETE, kind, name, None, args).await
}

async fn write(
    t: &mut Terminal<'_>,
    method: Method,
    kind: Kind,
    name: &str,
    body: Option<&Value>,
    args: &WriteArgs,
) -> Result<(), Failure> {
    let path = format!("/v1/{}/{}{}", kind.plural(), segment(name), query(args));
    let answer = t.client.send(method, &path, body).await?;
    print_answer(t, args.dry_run, answer, None)
}

/// `?dry_run=true&comment=…`.
pub(crate) fn query(args: &WriteArgs) -> String {
    let dry_run = args.dry_run.then(|| "dry_run=true".to_owned());
    let comment = args.comment.as_ref().map(|text| format!("comment={}", segment(text)));
    let parts: Vec<String> = dry_run.into_iter().chain(comment).collect();
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

/// One object; a name that does not exist is answered with the nearest one that does.
pub(crate) async fn find(t: &Terminal<'_>, kind: Kind, name: &str) -> Result<Value, Failure> {
    let path = format!("/v1/{}/{}", kind.plural(), segment(name));
    match t.client.get(&path).await {
        Ok(object) => Ok(object),
        Err(ClientError::Refused(reply)) if reply.status == 404 => Err(unknown(t, kind, name).await?),
        Err(other) => Err(other.into()),
    }
}

async fn unknown(t: &Terminal<'_>, kind: Kind, name: &str) -> Result<Failure, Failure> {
    let list: ObjectList = t.client.get(&format!("/v1/{}", kind.plural())).await?;
    let names = list.objects.iter().map(|listed| listed.name.as_str());
    Ok(Failure::Unknown(format!(
        "no {} named \"{name}\"; {}",
        kind.singular(),
        suggest::help(name, kind.plural(), names)
    )))
}

/// An object from a file: the object itself in TOML or JSON, or a configuration that holds it.
fn read_object(kind: Kind, name: &str, file: &Path) -> Result<Value, Failure> {
    let text = read(file)?;
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", file.display()));
    let object: Value = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|e| failed(&e))?
    } else {
        toml::from_str(&text).map_err(|e| failed(&e))?
    };
    Ok(object.get(kind.plural()).and_then(|all| all.get(name)).cloned().unwrap_or(object))
}

/// Puts the text of the files that a certificate names in the place of their names; a patch may name only one.
fn read_files(kind: Kind, object: &mut Value, base: &Path) -> Result<(), Failure> {
    let Some(members) = object.as_object_mut().filter(|_| kind == Kind::Certificate) else { return Ok(()) };
    let given = |field: &str| members.get(field).and_then(Value::as_str).unwrap_or(STORED).to_owned();
    let certificate = Certificate { chain: given("chain"), key: CertificateKey(given("key")) };
    let name: Name = "it".parse().map_err(Failure::Failed)?;
    let mut model = Model { certificates: [(name, certificate)].into(), ..Model::default() };
    if let Some(problem) = files::inline(&mut model, base).first() {
        let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        return Err(Failure::Failed(format!("{}{help}", problem.message)));
    }
    for certificate in model.certificates.into_values() {
        for (field, text) in [("chain", certificate.chain), ("key", certificate.key.0)] {
            if let Some(value @ Value::String(_)) = members.get_mut(field) {
                *value = Value::String(text);
            }
        }
    }
    Ok(())
}
