// SPDX-License-Identifier: MIT OR Apache-2.0
//! `field=value` on the command line, turned into a merge patch (RFC 7396).
//!
//! `match.path=/orders` sets one value and leaves its neighbours alone. A value that is JSON is taken as such, any
//! other is text. "Set" means set: if the new value is an object, members of the old one that it does not have go.

use serde_json::{Map, Value};

/// Deepest field that can be set.
const DEPTH_MAX: usize = 16;

/// One `field=value`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assignment {
    pub(crate) path: Vec<String>,
    pub(crate) value: Value,
}

impl Assignment {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (path, value) = split_path(text)?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok(Self { path, value })
    }
}

/// The steps before the first `=` outside quotes, and what is behind it.
fn split_path(text: &str) -> Result<(Vec<String>, &str), String> {
    let help = || format!("\"{text}\" is not an assignment: write field=value, such as match.path=/orders");
    let (mut path, mut rest) = (Vec::new(), text);
    loop {
        let (step, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(help)?,
            None => rest.split_at(rest.find(['.', '=']).ok_or_else(help)?),
        };
        if step.is_empty() {
            return Err(help());
        }
        if step.contains('[') {
            return Err(format!(
                "\"{step}\" names one element of a list: lists are set whole, such as methods='[\"GET\",\"POST\"]'"
            ));
        }
        path.push(step.to_owned());
        if path.len() > DEPTH_MAX {
            return Err(help());
        }
        match after.strip_prefix('=') {
            Some(value) => return Ok((path, value)),
            None => rest = after.strip_prefix('.').ok_or_else(help)?,
        }
    }
}

/// One patch of all assignments, against the object as it is now.
pub(crate) fn patch(assignments: &[Assignment], current: &Value) -> Result<Value, String> {
    let mut patch = Map::new();
    for Assignment { path, value } in assignments {
        let old = path.iter().try_fold(current, |object, step| object.get(step)).unwrap_or(&Value::Null);
        insert(&mut patch, path, exactly(value.clone(), old))?;
    }
    Ok(Value::Object(patch))
}

fn insert(object: &mut Map<String, Value>, path: &[String], value: Value) -> Result<(), String> {
    match path {
        [] => Ok(()),
        [last] if object.contains_key(last) => Err(format!("\"{last}\" is set twice")),
        [last] => {
            object.insert(last.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => match object.entry(first.clone()).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(inner) => insert(inner, rest, value),
            _ => Err(format!("\"{first}\" is set twice")),
        },
    }
}

/// The patch that turns `old` into `new`: members that `new` does not have are removed by null.
fn exactly(mut new: Value, old: &Value) -> Value {
    if let (Value::Object(new), Value::Object(old)) = (&mut new, old) {
        for (key, old) in old {
            let value = new.remove(key).map_or(Value::Null, |value| exactly(value, old));
            new.insert(key.clone(), value);
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Assignment, patch};

    /// Each row: what is typed, what there is, and the patch; `None` where it must be refused.
    fn check(rows: &[(&[&str], Value, Option<Value>)]) {
        for (typed, current, want) in rows {
            let parsed: Result<Vec<_>, _> = typed.iter().map(|text| Assignment::parse(text)).collect();
            let got = parsed.and_then(|assignments| patch(&assignments, current));
            assert_eq!(got.clone().ok(), *want, "row {typed:?}: {got:?}");
        }
    }

    #[test]
    fn values() {
        check(&[
            (&["upstream=shop"], json!({}), Some(json!({"upstream": "shop"}))),
            (&["priority=-3"], json!({}), Some(json!({"priority": -3}))),
            (&["http3=true"], json!({}), Some(json!({"http3": true}))),
            (&["max_body=1MiB"], json!({}), Some(json!({"max_body": "1MiB"}))),
            (&["max_body=null"], json!({}), Some(json!({"max_body": null}))),
            (&["upstream=\"9\""], json!({}), Some(json!({"upstream": "9"}))),
            (&["a="], json!({}), Some(json!({"a": ""}))),
            (&["a=b=c"], json!({}), Some(json!({"a": "b=c"}))),
            (&["m=[\"GET\", \"POST\"]"], json!({}), Some(json!({"m": ["GET", "POST"]}))),
            (&["m=[GET]"], json!({}), Some(json!({"m": "[GET]"}))),
        ]);
    }

    #[test]
    fn paths() {
        check(&[
            (&["match.path=/x"], json!({}), Some(json!({"match": {"path": "/x"}}))),
            (&["match.path=/x", "match.hosts=[]"], json!({}), Some(json!({"match": {"path": "/x", "hosts": []}}))),
            (&["match.query.\"a.b=c\"=1"], json!({}), Some(json!({"match": {"query": {"a.b=c": 1}}}))),
            (&["nothing"], json!({}), None),
            (&["=x"], json!({}), None),
            (&["a..b=x"], json!({}), None),
            (&["a.=x"], json!({}), None),
            (&["\"a=x"], json!({}), None),
            (&["\"a\"b=x"], json!({}), None),
            (&["endpoints[0].weight=1"], json!({}), None),
            (&["a=1", "a=2"], json!({}), None),
            (&["a=1", "a.b=2"], json!({}), None),
            (&["a.b=1", "a=2"], json!({}), None),
        ]);
    }

    #[test]
    fn an_object_replaces_an_object() {
        let route = json!({"match": {"path": {"template": "/a/{id}"}, "hosts": ["x"]}});
        check(&[
            (
                &["match.path={\"exact\":\"/b\"}"],
                route.clone(),
                Some(json!({"match": {"path": {"exact": "/b", "template": null}}})),
            ),
            (&["match.path=/b"], route, Some(json!({"match": {"path": "/b"}}))),
        ]);
    }
}
