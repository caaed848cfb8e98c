// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a claim lies in what a token says, and whether it has one of some values.
//!
//! A name is that of a claim of the token itself, or, if there is none of that name, a path through objects with dots
//! between the steps; with a slash at its beginning it is a JSON pointer (RFC 6901). A list has the values of its
//! elements. Numbers and truth values are compared as they are written in JSON; an object has no value.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// A claim, and the values of which it has to have one.
#[derive(Clone, Debug)]
pub struct ClaimTest {
    pub name: Box<str>,
    values: Box<[Box<str>]>,
}

impl ClaimTest {
    pub fn new(name: &str, values: &[String]) -> Self {
        Self { name: name.into(), values: values.iter().map(|value| value.as_str().into()).collect() }
    }

    pub fn holds(&self, claims: &Map<String, Value>) -> bool {
        match find(claims, &self.name) {
            Some(Value::Array(elements)) => elements.iter().any(|element| self.has(element)),
            Some(value) => self.has(value),
            None => false,
        }
    }

    fn has(&self, value: &Value) -> bool {
        let text = match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            Value::Bool(_) | Value::Number(_) => Cow::Owned(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => return false,
        };
        self.values.iter().any(|wanted| **wanted == *text)
    }
}

fn find<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    if let Some(pointer) = name.strip_prefix('/') {
        let (first, rest) = pointer.find('/').map_or((pointer, ""), |at| pointer.split_at(at));
        return claims.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest);
    }
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let mut steps = name.split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.as_object()?.get(step))
}

#[cfg(test)]
mod tests {
    use super::ClaimTest;

    #[test]
    fn claims_are_found_and_compared() {
        let claims = serde_json::json!({
            "email": "a@example.com", "email_verified": true, "level": 3, "big": 12345678901234567890_u64,
            "realm_access": { "roles": ["admin", "ops"], "none": null },
            "https://example.com/roles": ["api"], "a.b": "whole", "a": { "b": "stepped", "c~/d": "odd" },
            "list": [{ "x": 1 }, ["nested"]],
        });
        let claims = claims.as_object().unwrap();
        for (name, value, want) in [
            ("email", "a@example.com", true),
            ("email", "A@example.com", false),
            ("email_verified", "true", true),
            ("level", "3", true),
            ("level", "3.0", false),
            ("big", "12345678901234567890", true),
            ("realm_access.roles", "ops", true),
            ("realm_access.roles", "op", false),
            ("realm_access.none", "null", false),
            ("realm_access", "admin", false),
            ("/realm_access/roles", "admin", true),
            ("/realm_access/roles/1", "ops", true),
            ("/realm_access/roles/2", "ops", false),
            ("https://example.com/roles", "api", true),
            ("a.b", "whole", true),
            ("a.b", "stepped", false),
            ("/a/b", "stepped", true),
            ("/a/c~0~1d", "odd", true),
            ("list", "nested", false),
            ("list.x", "1", false),
            ("nothing", "", false),
            ("nothing.at.all", "", false),
            ("/", "", false),
        ] {
            let test = ClaimTest::new(name, &[value.to_owned()]);
            assert_eq!(test.holds(claims), want, "row {name} = {value}");
        }
    }
}
