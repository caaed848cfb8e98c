// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form of a route. Its fields are data in the file below; path and policies are read and written by hand, because
//! a path is a text or a table and a policy written in place must be kept. Conditions on fields, query and cookies are kept.

mod conditions;

mod fields;

use serde_json::{Value as Json, json};
use weirgate_store::model::Kind;

use super::Form;
use super::field::Field;
use super::json::set;
use super::section::Body;
use crate::live::Live;

/// How a path can be read; the first is a plain string in the model.
const PATH_KINDS: [&str; 4] = ["prefix", "exact", "template", "regex"];

pub fn new_route(live: &Live) -> Form {
    fill(Form::new_object(Kind::Route, fields::SECTIONS, live))
}

/// `None` if there is no such route.
pub fn edit_route(live: &Live, name: &str) -> Option<Form> {
    Form::edit_object(Kind::Route, name, fields::SECTIONS, live).map(fill)
}

/// The fields that no table can read.
fn fill(mut form: Form) -> Form {
    let (kind, path) = path_of(&form.object);
    let policies = policies_of(&form.object).join(", ");
    for field in form.sections.iter_mut().flat_map(|section| match &mut section.body {
        Body::Fields(fields) => fields.as_mut_slice(),
        Body::Rows(_) => &mut [],
    }) {
        match field.doc.path {
            "path_kind" => *field = Field::choice(field.doc, PATH_KINDS.map(str::to_owned).to_vec(), &kind),
            "match.path" => *field = Field::text(field.doc, path.clone()),
            "policies" => *field = Field::text(field.doc, policies.clone()),
            _ => {}
        }
    }
    form
}

/// How the path of a route is read, and the path.
pub(crate) fn path_of(object: &Json) -> (String, String) {
    match object.pointer("/match/path") {
        Some(Json::String(prefix)) => ("prefix".to_owned(), prefix.clone()),
        Some(Json::Object(map)) => {
            let first = map.iter().next();
            first.map_or_else(Default::default, |(kind, path)| {
                (kind.clone(), path.as_str().unwrap_or_default().to_owned())
            })
        }
        _ => ("prefix".to_owned(), "/".to_owned()),
    }
}

/// The policies of a route as texts: a name, or `{kind}` for one written in place.
pub(crate) fn policies_of(object: &Json) -> Vec<String> {
    let list = object.get("policies").and_then(Json::as_array).into_iter().flatten();
    list.map(|policy| match policy {
        Json::String(name) => name.clone(),
        Json::Object(map) => format!("{{{}}}", map.keys().next().map_or("", String::as_str)),
        _ => String::new(),
    })
    .collect()
}

/// Writes the fields that no table can write, as far as they were changed.
pub(super) fn write(form: &mut Form, object: &mut Json) {
    let changed = |path: &str| form.field(path).is_some_and(Field::changed);
    if changed("match.path") || changed("path_kind") {
        set(object, "match.path", path(form));
    }
    if changed("match.methods") {
        let upper = form.current("match.methods").to_uppercase();
        if let Some(field) = form.field_mut("match.methods") {
            field.put(&upper);
        }
    }
    if form.field("policies").is_some_and(Field::changed) {
        let policies = policies(form);
        set(object, "policies", json!(policies));
    }
    if object.get("match").and_then(Json::as_object).is_some_and(serde_json::Map::is_empty) {
        set(object, "match", Json::Null);
    }
}

fn path(form: &Form) -> Json {
    let path = form.current("match.path");
    match form.current("path_kind") {
        "prefix" if path.is_empty() || path == "/" => Json::Null,
        "prefix" => json!(path),
        kind => json!({ kind: path }),
    }
}

/// Names as typed; `{kind}` stands for the policies of that kind written in place, in their order.
fn policies(form: &mut Form) -> Vec<Json> {
    let inline = form.object.get("policies").and_then(Json::as_array).cloned().unwrap_or_default();
    let mut inline: Vec<Json> = inline.into_iter().filter(Json::is_object).collect();
    let mut unknown = None;
    let mut out = Vec::new();
    for part in form.parts("policies") {
        let Some(kind) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            out.push(json!(part));
            continue;
        };
        match inline.iter().position(|policy| policy.get(kind).is_some()) {
            Some(at) => out.push(inline.remove(at)),
            None => unknown = Some(part.clone()),
        }
    }
    if let (Some(part), Some(field)) = (unknown, form.field_mut("policies")) {
        field.refuse(format!("{part} was not written in place here; make a policy with a name and use that"));
    }
    out
}
