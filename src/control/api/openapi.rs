// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/v1/openapi.json`: the operations and the types as they are compiled in, so that it cannot tell anything else.

use axum::Json;
use axum::http::Method;
use axum::routing::get;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};
use weirgate_store::wire::ErrorReply;

use super::operation::{Content, Operation, Parameter};
use super::operations;
use crate::control::caller::Role;

pub(super) fn operation() -> Operation {
    Operation::look(Method::GET, "/v1/openapi.json", "This description", get(async || Json(document())))
        .gives::<Map<String, Value>>()
}

/// The whole description, OpenAPI 3.1.
pub(super) fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let error = generator.subschema_for::<ErrorReply>();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let described = describe(&operation, &mut generator, &error);
        let path = paths.entry(operation.path.clone()).or_insert_with(|| json!({}));
        insert(path, &operation.method.as_str().to_ascii_lowercase(), Some(described));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "weirgate control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "HTTP/1.1 and JSON over a Unix socket. The user at the other end decides the role: root, \
                the daemon's own user and group weirgate-admin may change, group weirgate may look.",
        },
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator, error: &schemars::Schema) -> Value {
    let mut parameters: Vec<Value> = path_parameters(&operation.path);
    parameters.extend(operation.query.iter().map(query_parameter));
    let mut described = json!({
        "operationId": operation_id(operation),
        "summary": operation.summary,
        "description": match operation.role {
            Role::Viewer => "For viewers and admins.",
            Role::Admin => "For admins.",
        },
        "parameters": parameters,
        "responses": {
            "default": {
                "description": "Refused or failed, and why.",
                "content": { "application/problem+json": { "schema": error } },
            },
        },
    });
    let reply = content(operation.gives, generator);
    let (status, about) = if reply.is_some() { ("200", "Done.") } else { ("204", "Done; nothing to say.") };
    let mut response = json!({ "description": about });
    insert(&mut response, "content", reply);
    if let Some(responses) = described.get_mut("responses") {
        insert(responses, status, Some(response));
    }
    let body = content(operation.takes, generator).map(|content| json!({ "required": true, "content": content }));
    insert(&mut described, "requestBody", body);
    described
}

fn insert(object: &mut Value, key: &str, value: Option<Value>) {
    if let (Value::Object(members), Some(value)) = (object, value) {
        members.insert(key.to_owned(), value);
    }
}

fn content(content: Content, generator: &mut SchemaGenerator) -> Option<Value> {
    let (kind, schema) = match content {
        Content::Nothing => return None,
        Content::Json(schema) => ("application/json", json!(schema(generator))),
        Content::Text(kind) => (kind, json!({ "type": "string" })),
        Content::Events(schema) => ("text/event-stream", json!(schema(generator))),
    };
    Some(json!({ kind: { "schema": schema } }))
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let kind = |name: &str| if matches!(name, "number" | "other") { "integer" } else { "string" };
    let parameter = |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": kind(name) } });
    names.map(parameter).collect()
}

fn query_parameter(parameter: &Parameter) -> Value {
    let Parameter { name, kind, about } = parameter;
    json!({ "name": name, "in": "query", "required": false, "description": about, "schema": { "type": kind } })
}

/// Such as `put-routes-name`: unique because method and path are.
fn operation_id(operation: &Operation) -> String {
    let path = operation.path.trim_start_matches("/v1/").replace(['{', '}'], "").replace(['/', '.'], "-");
    format!("{}-{path}", operation.method.as_str().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::document;
    use crate::control::api::operations;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_is_described_and_nothing_else() {
        let document = document();
        let registered: BTreeSet<String> =
            operations().iter().map(|o| format!("{} {}", o.method.as_str().to_lowercase(), o.path)).collect();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for method in methods.as_object().expect("methods").keys() {
                described.insert(format!("{method} {path}"));
            }
        }
        assert_eq!(described, registered);
        assert_eq!(registered.len(), operations().len(), "no operation is registered twice");
    }

    /// Every reference leads somewhere, so the document can be used by a generator.
    #[test]
    fn references_are_closed() {
        let document = document();
        let text = document.to_string();
        let mut seen = 0;
        for piece in text.split("\"$ref\":\"").skip(1) {
            let reference = piece.split('"').next().expect("a reference");
            let pointer = reference.strip_prefix('#').expect("it is local");
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            seen += 1;
        }
        assert!(seen > 50, "only {seen} references");
        for name in ["StatusReply", "Applied", "Route", "Event", "ErrorReply"] {
            assert!(document["components"]["schemas"].get(name).is_some(), "{name} is not described");
        }
    }

    #[test]
    fn every_parameter_of_a_path_is_described() {
        for operation in operations() {
            let count = operation.path.matches('{').count();
            assert_eq!(super::path_parameters(&operation.path).len(), count, "{}", operation.path);
        }
    }
}
