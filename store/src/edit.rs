// SPDX-License-Identifier: MIT OR Apache-2.0
//! Edits on a model: all of them or none.
//!
//! Pure. The result is a new model; whether it may run is for [`check`](crate::check). Where a revision comes from is
//! the caller's business: a rollback asks for it through a function.

use serde_json::Value;

use crate::model::{Kind, Model, Name};
use crate::parse::place::quoted;
use crate::parse::{PROBLEMS_MAX, parse_object, parse_toml};
use crate::suggest;
use crate::wire::{Edit, Problem, ProblemCode};

/// Most edits in one change.
pub const EDITS_MAX: usize = 100_000;

/// The model with all edits done, in their order.
///
/// # Errors
/// The mistakes of all edits; then nothing is done.
pub fn apply(model: &Model, edits: &[Edit], revision: impl Fn(u64) -> Option<Model>) -> Result<Model, Vec<Problem>> {
    if edits.len() > EDITS_MAX {
        let help = format!("a change has at most {EDITS_MAX}");
        return Err(vec![problem(ProblemCode::BadValue, "edits".to_owned(), format!("{} edits", edits.len()), help)]);
    }
    let mut edited = model.clone();
    let mut problems = Vec::new();
    for edit in edits {
        if let Err(found) = one(&mut edited, edit, &revision) {
            problems.extend(found);
        }
        if problems.len() >= PROBLEMS_MAX {
            break;
        }
    }
    if problems.is_empty() { Ok(edited) } else { Err(problems) }
}

/// The objects an edit is about; none for one that is about all of them.
pub fn touches(edit: &Edit) -> Option<(Kind, &str)> {
    match edit {
        Edit::Put { kind, name, .. } | Edit::Merge { kind, name, .. } | Edit::Delete { kind, name } => {
            Some((*kind, name))
        }
        Edit::ReplaceAll { .. } | Edit::Rollback { .. } => None,
    }
}

fn one(model: &mut Model, edit: &Edit, revision: &impl Fn(u64) -> Option<Model>) -> Result<(), Vec<Problem>> {
    match edit {
        Edit::Put { kind, name, object } => put(model, *kind, name, object),
        Edit::Merge { kind, name, patch } => {
            let mut object = model.object(*kind, name).ok_or_else(|| vec![missing(model, *kind, name)])?;
            merge(&mut object, patch);
            put(model, *kind, name, &object)
        }
        Edit::Delete { kind, name } => {
            if model.remove(*kind, name) {
                Ok(())
            } else {
                Err(vec![missing(model, *kind, name)])
            }
        }
        Edit::ReplaceAll { toml } => {
            *model = parse_toml(toml)?;
            Ok(())
        }
        Edit::Rollback { revision: number } => {
            *model = revision(*number).ok_or_else(|| {
                let help = "`weirgate history` lists those that are kept".to_owned();
                let message = format!("there is no revision {number}");
                vec![problem(ProblemCode::Dangling, "revision".to_owned(), message, help)]
            })?;
            Ok(())
        }
    }
}

fn put(model: &mut Model, kind: Kind, name: &str, object: &Value) -> Result<(), Vec<Problem>> {
    let object = parse_object(kind, name, object)?;
    // `parse_object` refuses a bad name with a sentence of its own.
    if let Ok(name) = name.parse::<Name>() {
        object.insert_into(model, name);
    }
    Ok(())
}

/// RFC 7396: null removes a member, objects merge, everything else replaces.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(members) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            members.remove(key);
        } else {
            merge(members.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn missing(model: &Model, kind: Kind, name: &str) -> Problem {
    let path = format!("{}.{}", kind.plural(), quoted(name));
    let message = format!("there is no {} \"{}\"", kind.singular(), name.escape_debug());
    problem(ProblemCode::Dangling, path, message, suggest::help(name, kind.plural(), model.names(kind)))
}

fn problem(code: ProblemCode, path: String, message: String, help: String) -> Problem {
    Problem { code, path, message, help: Some(help), line: None, column: None }
}

#[cfg(test)]
mod tests {
    use super::{apply, merge};
    use crate::model::{Kind, Model};
    use crate::parse::parse_toml;
    use crate::wire::{Edit, ProblemCode};
    use serde_json::json;

    fn start() -> Model {
        parse_toml("[upstreams.a]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n[routes.x]\nupstream = \"a\"\n")
            .expect("it is valid")
    }

    fn delete(kind: Kind, name: &str) -> Edit {
        Edit::Delete { kind, name: name.to_owned() }
    }

    #[test]
    fn edits_are_done_in_order() {
        let edits = [
            Edit::Put { kind: Kind::Route, name: "y".to_owned(), object: json!({ "upstream": "a" }) },
            Edit::Merge { kind: Kind::Route, name: "y".to_owned(), patch: json!({ "priority": 3, "upstream": null }) },
            delete(Kind::Route, "x"),
        ];
        let done = apply(&start(), &edits, |_| None).expect("all edits are good");
        assert_eq!(done.names(Kind::Route), ["y"]);
        assert_eq!(done.object(Kind::Route, "y"), Some(json!({ "priority": 3 })));
        let back = apply(&done, &[Edit::Rollback { revision: 1 }], |number| (number == 1).then(start));
        assert_eq!(back, Ok(start()));
    }

    #[test]
    fn every_mistake_is_named_and_nothing_is_done() {
        let edits = [
            delete(Kind::Route, "z"),
            delete(Kind::Upstream, "aa"),
            Edit::Put { kind: Kind::Route, name: "Y".to_owned(), object: json!({ "upsteam": "a" }) },
            Edit::Rollback { revision: 7 },
            Edit::ReplaceAll { toml: "[routes.x]\nbogus = 1\n".to_owned() },
        ];
        let problems = apply(&start(), &edits, |_| None).expect_err("all edits are bad");
        let seen: Vec<_> = problems.iter().map(|p| (p.code, p.path.as_str())).collect();
        let want = [
            (ProblemCode::Dangling, "routes.z"),
            (ProblemCode::Dangling, "upstreams.aa"),
            (ProblemCode::UnknownField, "routes.Y.upsteam"),
            (ProblemCode::BadValue, "routes.Y"),
            (ProblemCode::Dangling, "revision"),
            (ProblemCode::UnknownField, "routes.x.bogus"),
        ];
        assert_eq!(seen, want);
        assert!(problems.iter().all(|problem| problem.help.is_some()));
    }

    #[test]
    fn merging_follows_rfc_7396() {
        for (target, patch, want) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!(["a"]), json!({"a":1}), json!({"a":1})),
            (json!({}), json!({"a":{"b":{"c":null}}}), json!({"a":{"b":{}}})),
        ] {
            let mut got = target.clone();
            merge(&mut got, &patch);
            assert_eq!(got, want, "row {target} {patch}");
        }
    }
}
