// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form of a route. Conditions on fields and query and policies written in place are kept as they are.

use serde_json::{Value as Json, json};
use weirgate_store::model::{ByteSize, Kind};

use super::{Doc, Field, Form, Subject, joined, set};
use crate::live::Live;

const NAME: Doc = Doc {
    path: "name",
    label: "name",
    meaning: "What this route is called everywhere. It cannot be changed later.",
    unit: "a-z, 0-9, - _ .",
    default: "none, it must be given",
    example: "orders",
};
const HOSTS: Doc = Doc {
    path: "match.hosts",
    label: "hosts",
    meaning: "Hosts this route answers for: exact, *.example.com for any subdomain. Several divided by commas.",
    unit: "host names",
    default: "empty: every host",
    example: "api.example.com, *.shop.example.com",
};
const PATH_KIND: Doc = Doc {
    path: "path_kind",
    label: "path is a",
    meaning: "How the path below is read. prefix: whole segments; exact: this path only; template: {id} stands for one \
              segment; regex: a regular expression for the whole path.",
    unit: "",
    default: "prefix",
    example: "prefix",
};
const PATH: Doc = Doc {
    path: "match.path",
    label: "path",
    meaning: "Paths this route answers for. The longest match wins.",
    unit: "",
    default: "/ (every path)",
    example: "/orders   or, as a template, /orders/{id}",
};
const METHODS: Doc = Doc {
    path: "match.methods",
    label: "methods",
    meaning: "Methods this route answers for. Several divided by commas.",
    unit: "",
    default: "empty: every method",
    example: "GET, POST",
};
const UPSTREAM: Doc = Doc {
    path: "upstream",
    label: "upstream",
    meaning: "The group of endpoints that matching requests go to. Left and right choose; a letter jumps.",
    unit: "",
    default: "none, it must be given",
    example: "shop",
};
const POLICIES: Doc = Doc {
    path: "policies",
    label: "policies",
    meaning: "What a request must pass, by name, divided by commas. They run in a fixed order whatever the order here. \
              {…} is a policy written in place; it is kept.",
    unit: "",
    default: "empty: none",
    example: "partner-key, gold-limit",
};
const PRIORITY: Doc = Doc {
    path: "priority",
    label: "priority",
    meaning: "Among regex paths that match the same request the highest wins. Other paths do not need it.",
    unit: "whole number",
    default: "0",
    example: "10",
};
const MAX_BODY: Doc = Doc {
    path: "max_body",
    label: "max body",
    meaning: "Largest request body on this route; a larger one is refused with 413.",
    unit: "B, KiB, MiB or GiB",
    default: "empty: the listener's limit (1GiB)",
    example: "8MiB",
};

/// How a path can be read; the first is a plain string in the model.
const PATH_KINDS: [&str; 4] = ["prefix", "exact", "template", "regex"];

pub fn new_route(live: &Live) -> Form {
    let subject = Subject::Object { kind: Kind::Route, name: None };
    let mut fields = vec![Field::text(&NAME, "")];
    fields.extend(fields_of(&Json::Null, live));
    Form { base: live.base(Kind::Route), object: json!({}), ..Form::new(subject, "new route".to_owned(), fields) }
}

/// `None` if there is no such route.
pub fn edit_route(live: &Live, name: &str) -> Option<Form> {
    let object = live.object(Kind::Route, name)?.clone();
    let subject = Subject::Object { kind: Kind::Route, name: Some(name.to_owned()) };
    let fields = fields_of(&object, live);
    Some(Form { base: live.base(Kind::Route), object, ..Form::new(subject, format!("edit route {name}"), fields) })
}

fn fields_of(object: &Json, live: &Live) -> Vec<Field> {
    let (kind, path) = path_of(object);
    let upstreams = live.objects(Kind::Upstream).map(|(name, _)| name.clone()).collect();
    let upstream = object.get("upstream").and_then(Json::as_str).unwrap_or("");
    let priority = object.get("priority").and_then(Json::as_i64).unwrap_or(0);
    let max_body = object.get("max_body").and_then(Json::as_str).unwrap_or("");
    vec![
        Field::text(&HOSTS, joined(object.pointer("/match/hosts"))),
        Field::choice(&PATH_KIND, PATH_KINDS.map(str::to_owned).to_vec(), &kind),
        Field::text(&PATH, path),
        Field::text(&METHODS, joined(object.pointer("/match/methods"))),
        Field::choice(&UPSTREAM, upstreams, upstream),
        Field::text(&POLICIES, policies_of(object).join(", ")),
        Field::text(&PRIORITY, priority.to_string()),
        Field::text(&MAX_BODY, max_body),
    ]
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

pub(super) fn object(form: &mut Form) -> Json {
    let mut object = form.object.clone();
    set(&mut object, &["match", "hosts"], json!(form.parts("match.hosts")));
    set(&mut object, &["match", "path"], path(form));
    let methods: Vec<String> = form.parts("match.methods").iter().map(|method| method.to_uppercase()).collect();
    set(&mut object, &["match", "methods"], json!(methods));
    if object.get("match").and_then(Json::as_object).is_some_and(serde_json::Map::is_empty) {
        set(&mut object, &["match"], Json::Null);
    }
    let upstream = form.current("upstream").to_owned();
    set(&mut object, &["upstream"], if upstream.is_empty() { Json::Null } else { json!(upstream) });
    let policies = policies(form);
    set(&mut object, &["policies"], json!(policies));
    let priority = priority(form);
    set(&mut object, &["priority"], priority);
    let max_body = max_body(form);
    set(&mut object, &["max_body"], max_body);
    object
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

fn priority(form: &mut Form) -> Json {
    let text = form.current("priority").to_owned();
    match if text.is_empty() { Ok(0) } else { text.parse::<i32>() } {
        Ok(0) => Json::Null,
        Ok(priority) => json!(priority),
        Err(_) => {
            if let Some(field) = form.field_mut("priority") {
                field.refuse(format!("\"{text}\" is not a whole number"));
            }
            Json::Null
        }
    }
}

fn max_body(form: &mut Form) -> Json {
    let text = form.current("max_body").to_owned();
    if text.is_empty() {
        return Json::Null;
    }
    match text.parse::<ByteSize>() {
        Ok(size) => json!(size.to_string()),
        Err(message) => {
            if let Some(field) = form.field_mut("max_body") {
                field.refuse(message);
            }
            Json::Null
        }
    }
}
