// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is designed and not built yet: one table of patterns, refused by name before the typed parse.
//!
//! A setting in this table is never ignored and never called unknown. When a stage learns to do one of these, its row
//! goes away in the same change.

use serde_json::Value;

use super::place::{Place, Step};
use crate::model::{Kind, Model};
use crate::suggest;

/// When a value at the place of a row is refused.
#[derive(Clone, Copy)]
enum When {
    /// Whatever the value.
    Present,
    /// `true`.
    True,
    /// An address with a host name in it.
    HostName,
}

/// One thing that is not built: the kind of object, the path inside it (`[]` is any index), and what to do meanwhile.
struct Row(Kind, &'static str, When, &'static str);

const ROWS: &[Row] = &[
    Row(Kind::Listener, "http3", When::True, "leave it out; https listeners speak HTTP/2 and HTTP/1.1"),
    Row(Kind::Listener, "client_certificates", When::Present, "leave it out"),
    Row(Kind::Certificate, "acme", When::Present, "write chain and key"),
    Row(
        Kind::Upstream,
        "endpoints[].address",
        When::HostName,
        "write an IP address and a port, or discovery = { dns = \"NAME:PORT\" } for a name",
    ),
    Row(Kind::Route, "timeouts", When::Present, "leave it out; an upstream has timeouts"),
    Row(Kind::Route, "retry", When::Present, "leave it out; an upstream has retry"),
    Row(Kind::Consumer, "quota", When::Present, "leave it out, and use a rate_limit policy per consumer"),
    Row(Kind::Consumer, "basic", When::Present, "give the consumer api_keys"),
    Row(Kind::Consumer, "jwt", When::Present, "give the consumer api_keys"),
    Row(Kind::Consumer, "certificates", When::Present, "give the consumer api_keys"),
];

/// Kinds of policies that have names in the design.
const POLICIES_LATER: &[&str] = &[
    "access",
    "authorize",
    "basic",
    "body",
    "cache",
    "compose",
    "compress",
    "concurrency",
    "cors",
    "decompress",
    "forward_auth",
    "hmac",
    "idempotency",
    "ip",
    "jwt",
    "mirror",
    "mock",
    "mtls",
    "oauth2",
    "oidc",
    "quota",
    "redirect",
    "rewrite",
    "transcode",
    "transform",
    "validate",
    "version",
    "wasm",
];

const POLICIES_NOW: &str = "leave it out; these work: api_key, rate_limit, request_headers, reply_headers";

/// One refused setting.
pub(super) struct Refused {
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) help: String,
}

/// Everything in an object that is not built yet.
pub(super) fn find(kind: Kind, object: &Value, root: &Place) -> Vec<Refused> {
    let mut found = Vec::new();
    for Row(_, path, when, instead) in ROWS.iter().filter(|row| row.0 == kind) {
        walk(object, &Place::parse(&path.replace("[]", "[*]")).0, root, &mut |value, place| {
            if holds(*when, value) {
                found.push(refused(place, value, *when, instead));
            }
        });
    }
    for (policy, place) in policies(kind, object, root) {
        let keys = policy.as_object().into_iter().flat_map(serde_json::Map::keys);
        for key in keys.filter(|key| POLICIES_LATER.contains(&key.as_str())) {
            let message = format!("the policy \"{key}\" is not supported yet");
            found.push(Refused { place: place.key(key), message, help: POLICIES_NOW.to_owned() });
        }
    }
    found
}

/// Whether a model uses a field of its types that is not built yet.
pub(super) fn is_used(model: &Model) -> bool {
    fn refused<T: serde::Serialize>(kind: Kind, object: &T) -> bool {
        let value = serde_json::to_value(object).unwrap_or_default();
        !find(kind, &value, &Place::parse("")).is_empty()
    }
    model.listeners.values().any(|listener| refused(Kind::Listener, listener))
        || model.upstreams.values().any(|upstream| refused(Kind::Upstream, upstream))
}

/// The policies written in an object: itself, or those of a route.
pub(super) fn policies<'v>(kind: Kind, object: &'v Value, root: &Place) -> Vec<(&'v Value, Place)> {
    match kind {
        Kind::Policy => vec![(object, root.clone())],
        Kind::Route => {
            let list = object.get("policies").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let place = |index| {
                let mut place = root.key("policies");
                place.0.push(Step::Index(index));
                place
            };
            list.iter().enumerate().map(|(index, policy)| (policy, place(index))).collect()
        }
        Kind::Listener | Kind::Certificate | Kind::Upstream | Kind::Consumer | Kind::Log => Vec::new(),
    }
}

fn walk(value: &Value, pattern: &[Step], place: &Place, visit: &mut impl FnMut(&Value, &Place)) {
    match pattern.split_first() {
        None => visit(value, place),
        Some((Step::Key(key), rest)) => {
            if let Some(inner) = value.get(key) {
                walk(inner, rest, &place.key(key), visit);
            }
        }
        Some((Step::Index(_), rest)) => {
            for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
                let mut place = place.clone();
                place.0.push(Step::Index(index));
                walk(inner, rest, &place, visit);
            }
        }
    }
}

fn holds(when: When, value: &Value) -> bool {
    match when {
        When::Present => !value.is_null(),
        When::True => value.as_bool() == Some(true),
        When::HostName => value.as_str().is_some_and(is_host_and_port),
    }
}

fn refused(place: &Place, value: &Value, when: When, instead: &str) -> Refused {
    let name = match place.0.last() {
        Some(Step::Key(key)) => key.as_str(),
        Some(Step::Index(_)) | None => "this",
    };
    let message = match (when, value.as_str()) {
        (When::HostName, Some(text)) => format!("a host name as address (\"{text}\") is not supported yet"),
        _ => format!("\"{name}\" is not supported yet"),
    };
    Refused { place: place.clone(), message, help: instead.to_owned() }
}

/// `name:port` where the name is not an IP address.
fn is_host_and_port(text: &str) -> bool {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "80"));
    let labels = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    let named = host.bytes().any(|b| b.is_ascii_alphabetic());
    labels && named && port.parse::<u16>().is_ok()
}

/// Help for the key of a policy that is in no table.
pub(super) fn policy_help(key: &str) -> String {
    suggest::help(key, "kinds of policies", ["api_key", "rate_limit", "request_headers", "reply_headers"])
}
