// SPDX-License-Identifier: MIT OR Apache-2.0
//! The manual names what there is: every operation is in `api.md`, every field and value of the configuration in
//! `configuration.md`. What they say of it a reader has to judge; that nothing is missing a test can.

use std::collections::BTreeSet;

use serde_json::Value;
use weirgate_store::model::Model;

use super::operations;

const API: &str = include_str!("../../../packaging/doc/api.md");
const CONFIGURATION: &str = concat!(
    include_str!("../../../packaging/doc/configuration.md"),
    include_str!("../../../packaging/doc/policies-authorization.md"),
);

/// Everything in `names` that `page` does not hold in backquotes or quotes.
fn missing(page: &str, names: impl IntoIterator<Item = String>) -> Vec<String> {
    let stands = |name: &str| ["`", "\"", " ", "."].iter().any(|mark| page.contains(&format!("{mark}{name}")));
    names.into_iter().filter(|name| !stands(name)).collect()
}

#[test]
fn every_operation_is_in_the_manual() {
    let stands = |method: &str, path: &str| {
        // The five operations of a collection are told once, for routes.
        let told = path.split('/').nth(2).is_some_and(|kind| API.contains(&format!("`/v1/{kind}/{{name}}`")));
        API.contains(&format!("`{method} {path}`")) || told && API.contains(&format!("`{path}`"))
    };
    let all = operations();
    let missing: Vec<_> = all.iter().filter(|o| !stands(o.method.as_str(), &o.path)).map(|o| &o.path).collect();
    assert!(missing.is_empty(), "packaging/doc/api.md does not name {missing:?}");
}

#[test]
fn every_field_is_in_the_manual() {
    let schema = schemars::schema_for!(Model);
    let mut names = BTreeSet::new();
    collect(schema.as_value(), &mut names);
    assert!(names.len() > 60, "the schema was not understood: {names:?}");
    let missing = missing(CONFIGURATION, names);
    assert!(missing.is_empty(), "packaging/doc/configuration.md does not name {missing:?}");
}

/// The names of all properties and of all values that an enumeration allows.
fn collect(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                names.extend(properties.keys().cloned());
            }
            let texts = members.get("enum").and_then(Value::as_array).into_iter().flatten().chain(members.get("const"));
            names.extend(texts.filter_map(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
