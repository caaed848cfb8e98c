// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form of an upstream: its endpoints, how to choose one, and one HTTP health check. What it does not show
//! (retry, timeouts, intervals, backups) is kept as it is.

use serde_json::{Value as Json, json};
use weirgate_store::model::Kind;

use super::{Doc, Field, Form, Subject, set};
use crate::live::Live;

const NAME: Doc = Doc {
    path: "name",
    label: "name",
    meaning: "What this group of endpoints is called. It cannot be changed later.",
    unit: "a-z, 0-9, - _ .",
    default: "none, it must be given",
    example: "shop",
};
const ENDPOINTS: Doc = Doc {
    path: "endpoints",
    label: "endpoints",
    meaning: "Addresses that do the work, divided by commas; *2 after one is its weight.",
    unit: "IP:port",
    default: "none, at least one",
    example: "10.0.0.11:8080*2, 10.0.0.12:8080",
};
const BALANCE: Doc = Doc {
    path: "balance",
    label: "balance",
    meaning: "How an endpoint is chosen: fewest requests in flight, in turn, in turn by weight, or by client address.",
    unit: "",
    default: "least-request",
    example: "weighted",
};
const CHECK: Doc = Doc {
    path: "health",
    label: "health check",
    meaning: "A path that answers 200 while an endpoint is healthy, or tcp for a connection that opens.",
    unit: "",
    default: "empty: every endpoint is taken to be up",
    example: "/healthz",
};

const BALANCES: [&str; 4] = ["least-request", "round-robin", "weighted", "source-ip"];

pub fn new_upstream(live: &Live) -> Form {
    let subject = Subject::Object { kind: Kind::Upstream, name: None };
    let mut fields = vec![Field::text(&NAME, "")];
    fields.extend(fields_of(&Json::Null));
    Form { base: live.base(Kind::Upstream), object: json!({}), ..Form::new(subject, "new upstream".to_owned(), fields) }
}

/// `None` if there is no such upstream.
pub fn edit_upstream(live: &Live, name: &str) -> Option<Form> {
    let object = live.object(Kind::Upstream, name)?.clone();
    let subject = Subject::Object { kind: Kind::Upstream, name: Some(name.to_owned()) };
    let fields = fields_of(&object);
    Some(Form {
        base: live.base(Kind::Upstream),
        object,
        ..Form::new(subject, format!("edit upstream {name}"), fields)
    })
}

fn fields_of(object: &Json) -> Vec<Field> {
    let balance = object.get("balance").and_then(Json::as_str).unwrap_or("least-request");
    vec![
        Field::text(&ENDPOINTS, endpoints_text(object)),
        Field::choice(&BALANCE, BALANCES.map(str::to_owned).to_vec(), balance),
        Field::text(&CHECK, check_text(object)),
    ]
}

fn endpoints_text(object: &Json) -> String {
    let list = object.get("endpoints").and_then(Json::as_array).into_iter().flatten();
    let written = list.map(|endpoint| {
        let address = endpoint.get("address").and_then(Json::as_str).unwrap_or_default();
        match endpoint.get("weight").and_then(Json::as_u64) {
            Some(weight) if weight != 1 => format!("{address}*{weight}"),
            _ => address.to_owned(),
        }
    });
    written.collect::<Vec<_>>().join(", ")
}

pub(crate) fn check_text(object: &Json) -> String {
    if object.pointer("/health/tcp").and_then(Json::as_bool) == Some(true) {
        return "tcp".to_owned();
    }
    object.pointer("/health/http/path").and_then(Json::as_str).unwrap_or_default().to_owned()
}

pub(super) fn object(form: &mut Form) -> Json {
    let mut object = form.object.clone();
    let endpoints = endpoints(form);
    set(&mut object, &["endpoints"], json!(endpoints));
    let balance = form.current("balance");
    set(&mut object, &["balance"], if balance == "least-request" { Json::Null } else { json!(balance) });
    if form.field("health").is_some_and(Field::changed) {
        match form.current("health") {
            "" => set(&mut object, &["health"], Json::Null),
            "tcp" => {
                set(&mut object, &["health", "http"], Json::Null);
                set(&mut object, &["health", "tcp"], json!(true));
            }
            path => {
                set(&mut object, &["health", "tcp"], Json::Null);
                set(&mut object, &["health", "http", "path"], json!(path));
            }
        }
    }
    object
}

/// Endpoints as typed, each with what the form does not show of the one that had the same address.
fn endpoints(form: &mut Form) -> Vec<Json> {
    let before = form.object.get("endpoints").and_then(Json::as_array).cloned().unwrap_or_default();
    let mut out = Vec::new();
    let mut wrong = None;
    for part in form.parts("endpoints") {
        let (address, weight) = part.split_once('*').map_or((part.as_str(), Some(1)), |(a, w)| (a, w.parse().ok()));
        let Some(weight) = weight.filter(|_| address.parse::<std::net::SocketAddr>().is_ok()) else {
            wrong = Some(part);
            break;
        };
        let known = before.iter().find(|e| e.get("address").and_then(Json::as_str) == Some(address));
        let mut endpoint = known.cloned().unwrap_or_else(|| json!({ "address": address }));
        let weight: u32 = weight;
        set(&mut endpoint, &["weight"], if weight == 1 { Json::Null } else { json!(weight) });
        out.push(endpoint);
    }
    let message = match wrong {
        Some(part) => format!("\"{part}\" is not an endpoint: write IP:port, or IP:port*weight"),
        None if out.is_empty() => "an upstream needs at least one endpoint".to_owned(),
        None => return out,
    };
    if let Some(field) = form.field_mut("endpoints") {
        field.refuse(message);
    }
    out
}
