// SPDX-License-Identifier: MIT OR Apache-2.0
//! From text to trees: TOML into the JSON values that both doors (file and API) are read from.
//!
//! Values that JSON cannot hold (dates, infinities, whole numbers beyond 64 bits) are mistakes here; no field of the
//! model takes one. Syntax errors are all reported, not only the first.

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::place::{Lines, Place, Step};
use crate::wire::{Problem, ProblemCode};

/// The JSON form of a TOML value. What has none is noted in `refused` and becomes null.
pub(super) fn to_json(value: &DeValue<'_>, place: &mut Place, refused: &mut Vec<(Place, String)>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Boolean(yes) => Value::Bool(*yes),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Value::Number(number.into()),
            Err(_) => refuse(place, refused, "this number is too large"),
        },
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(Number::from_f64) {
            Some(number) => Value::Number(number),
            None => refuse(place, refused, "this number is not finite"),
        },
        DeValue::Datetime(_) => refuse(place, refused, "no setting is a date"),
        DeValue::Array(array) => {
            let element = |(index, value): (usize, &toml::Spanned<DeValue<'_>>)| {
                place.0.push(Step::Index(index));
                let json = to_json(value.get_ref(), place, refused);
                place.0.pop();
                json
            };
            Value::Array(array.iter().enumerate().map(element).collect())
        }
        DeValue::Table(table) => Value::Object(members(table, place, refused)),
    }
}

fn members(table: &DeTable<'_>, place: &mut Place, refused: &mut Vec<(Place, String)>) -> Map<String, Value> {
    let member = |(key, value): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
        let key = key.get_ref().clone().into_owned();
        place.0.push(Step::Key(key.clone()));
        let json = to_json(value.get_ref(), place, refused);
        place.0.pop();
        (key, json)
    };
    table.iter().map(member).collect()
}

fn refuse(place: &Place, refused: &mut Vec<(Place, String)>, why: &str) -> Value {
    refused.push((place.clone(), why.to_owned()));
    Value::Null
}

/// What the TOML parser complains about, in our words; where `root` is given, a duplicate names its twin.
pub(super) fn syntax_problem(error: &toml::de::Error, lines: &Lines<'_>, root: Option<&DeTable<'_>>) -> Problem {
    let position = error.span().map(|span| (span.start, lines.position(span.start)));
    let message = error.message().trim().replace('\n', ", ");
    if message != "duplicate key" {
        return Problem {
            code: ProblemCode::Syntax,
            path: String::new(),
            message,
            help: Some("this is not TOML; see https://toml.io for how values are written".to_owned()),
            line: position.map(|(_, (line, _))| line),
            column: position.map(|(_, (_, column))| column),
        };
    }
    let (offset, (line, column)) = position.unwrap_or((0, (1, 1)));
    let text = lines.line(line).trim();
    let (path, first) = if text.starts_with('[') {
        (header(text).to_owned(), root.and_then(|_| same_header(lines, line)))
    } else {
        let key = error.span().and_then(|span| lines.slice(span)).unwrap_or_default();
        (key.to_owned(), root.and_then(|root| key_before(root, key, offset)).map(|at| lines.position(at).0))
    };
    let message = match first {
        Some(first) => format!("\"{path}\" is defined twice: first on line {first}, again on line {line}"),
        None => format!("\"{path}\" is defined twice, again on line {line}"),
    };
    let help = Some("keep one of the two, or give the second another name".to_owned());
    Problem { code: ProblemCode::Duplicate, path, message, help, line: Some(line), column: Some(column) }
}

/// `routes.a` of `[routes.a] # comment`.
fn header(line: &str) -> &str {
    line.trim_start_matches('[').split(']').next().unwrap_or("").trim()
}

fn same_header(lines: &Lines<'_>, duplicate: u32) -> Option<u32> {
    let wanted = header(lines.line(duplicate).trim());
    let earlier = (1..duplicate).zip(lines.all());
    earlier
        .filter(|(_, text)| text.trim().starts_with('['))
        .find(|(_, text)| header(text.trim()) == wanted)
        .map(|x| x.0)
}

/// The last place before `offset` where `key` was kept; the tree holds the first of two equal keys.
fn key_before(table: &DeTable<'_>, key: &str, offset: usize) -> Option<usize> {
    let mut best = None;
    for (name, value) in table {
        let start = name.span().start;
        if name.get_ref() == key && start < offset {
            best = best.max(Some(start));
        }
        best = best.max(in_value(value.get_ref(), key, offset));
    }
    best
}

fn in_value(value: &DeValue<'_>, key: &str, offset: usize) -> Option<usize> {
    match value {
        DeValue::Table(table) => key_before(table, key, offset),
        DeValue::Array(array) => array.iter().filter_map(|value| in_value(value.get_ref(), key, offset)).max(),
        _ => None,
    }
}
