// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between the JSON of an object and the texts of fields: reading fills a field, writing puts back only what was
//! changed, so that whatever a form does not show, or cannot show as it is written, stays as it was.
//!
//! A field left empty is removed from the JSON, and a table left empty with it, unless a switch or a choice holds it.

use serde_json::{Value as Json, json};
use weirgate_store::model::Kind;

use super::field::{Choice, Doc, Entry, Field, Shape};
use crate::live::Live;

/// The member at a path divided by dots.
pub(super) fn at<'a>(object: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(object, |value, part| value.get(part))
}

/// The fields of some docs, filled from an object.
pub(super) fn read(docs: &'static [Doc], object: &Json, live: &Live) -> Vec<Field> {
    docs.iter().map(|doc| read_one(doc, at(object, doc.path), live)).collect()
}

/// One field, filled from its value.
pub(super) fn read_one(doc: &'static Doc, value: Option<&Json>, live: &Live) -> Field {
    match doc.entry {
        Entry::Choice(choices) => {
            Field::choice(doc, choices.iter().map(|choice| choice.value.to_owned()).collect(), chosen(choices, value))
        }
        Entry::Switch => Field::choice(doc, both("off", "on"), if value.is_some() { "on" } else { "off" }),
        Entry::Flag => {
            let on = value.and_then(Json::as_bool).unwrap_or(false);
            Field::choice(doc, both("no", "yes"), if on { "yes" } else { "no" })
        }
        Entry::Name(kind) => Field::choice(doc, names(live, kind), value.and_then(Json::as_str).unwrap_or_default()),
        _ => Field::text(doc, value.map(|value| text_of(doc.entry, value)).unwrap_or_default()),
    }
}

fn both(off: &str, on: &str) -> Vec<String> {
    vec![off.to_owned(), on.to_owned()]
}

/// No name, then those there are.
fn names(live: &Live, kind: Kind) -> Vec<String> {
    std::iter::once(String::new()).chain(live.objects(kind).map(|(name, _)| name.clone())).collect()
}

/// The answer that a value stands for.
fn chosen(choices: &'static [Choice], value: Option<&Json>) -> &'static str {
    let of = |choice: &&Choice| match (choice.shape, value) {
        (Shape::Absent | Shape::Bare, Some(Json::String(text))) => text == choice.value,
        (Shape::Key | Shape::KeyTrue, Some(Json::Object(map))) => {
            map.get(choice.value).is_some_and(|inner| *inner != json!(false))
        }
        _ => false,
    };
    let found = choices.iter().find(of).or_else(|| choices.first());
    found.map_or("", |choice| choice.value)
}

/// A value as it is typed.
fn text_of(entry: Entry, value: &Json) -> String {
    match (entry, value) {
        (Entry::Escaped, Json::String(text)) => escaped(text),
        (_, Json::String(text)) => text.clone(),
        (Entry::Words, Json::Array(list)) => {
            list.iter().filter_map(Json::as_str).map(quoted).collect::<Vec<_>>().join(" ")
        }
        (_, Json::Array(list)) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        (Entry::Pairs, Json::Object(map)) => {
            map.iter().map(|(name, value)| format!("{name}: {}", plain(value))).collect::<Vec<_>>().join("; ")
        }
        (_, Json::Number(number)) => number.to_string(),
        // A table where a scalar is asked for belongs to another answer of the same choice.
        _ => String::new(),
    }
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(' ') { format!("\"{word}\"") } else { word.to_owned() }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\r', "\\r").replace('\n', "\\n").replace('\t', "\\t")
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match if c == '\\' { rest.next().map(Some) } else { Some(None) } {
            Some(None) => out.push(c),
            Some(Some('r')) => out.push('\r'),
            Some(Some('n')) => out.push('\n'),
            Some(Some('t')) => out.push('\t'),
            Some(Some('\\')) => out.push('\\'),
            Some(Some(other)) => return Err(format!("\\{other} means nothing: write \\r, \\n, \\t or \\\\")),
            None => return Err("a \\ stands alone at the end: write \\\\ for one".to_owned()),
        }
    }
    Ok(out)
}

/// The JSON of a typed text; `null` if it is empty.
pub(super) fn value_of(field: &Field) -> Result<Json, String> {
    let text = field.current().trim();
    if text.is_empty() {
        return Ok(Json::Null);
    }
    Ok(match field.doc.entry {
        Entry::Whole => json!(whole(text)?),
        Entry::Flag => {
            if text == "yes" {
                json!(true)
            } else {
                Json::Null
            }
        }
        Entry::List | Entry::Names(_) => json!(field.parts()),
        Entry::Numbers => json!(field.parts().iter().map(|part| whole(part)).collect::<Result<Vec<i64>, _>>()?),
        Entry::Words => json!(words(text)?),
        Entry::Pairs => pairs(text)?,
        Entry::Escaped => json!(unescaped(field.current())?),
        _ => json!(text),
    })
}

fn whole(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not a whole number"))
}

fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(inner) => inner.split_once('"').ok_or_else(|| "a \" is not closed".to_owned())?,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

fn pairs(text: &str) -> Result<Json, String> {
    let mut map = serde_json::Map::new();
    for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) =
            pair.split_once(':').ok_or_else(|| format!("\"{pair}\" is not a pair: write Name: value"))?;
        map.insert(name.trim().to_owned(), json!(value.trim()));
    }
    Ok(Json::Object(map))
}

/// Whether a field is shown: what lies below a switch that is off or an answer that is not chosen is not.
pub(crate) fn visible(fields: &[Field], field: &Field) -> bool {
    fields.iter().all(|over| shows(fields, over, field))
}

/// Whether `over` lets `field` be seen.
fn shows(fields: &[Field], over: &Field, field: &Field) -> bool {
    let Some(below) = below(field.doc.path, over.doc.path) else { return true };
    let choices = over.doc.choices();
    if over.doc.entry == Entry::Switch {
        return over.current() == "on";
    }
    let first = below.split('.').next().unwrap_or_default();
    if choices.iter().any(|choice| choice.value == first && keyed(choice.shape)) {
        return over.current() == first;
    }
    let nothing = choices.iter().any(|choice| choice.value == over.current() && choice.shape == Shape::Absent);
    let tables = choices.iter().any(|choice| keyed(choice.shape));
    !(nothing && tables) || field.doc.entry == Entry::Switch || switched_on(fields, over.doc.path)
}

fn keyed(shape: Shape) -> bool {
    matches!(shape, Shape::Key | Shape::KeyTrue)
}

/// The part of a path below another, if it lies there.
fn below<'a>(path: &'a str, over: &str) -> Option<&'a str> {
    path.strip_prefix(over)?.strip_prefix('.')
}

/// Whether a switch below a path is on.
fn switched_on(fields: &[Field], path: &str) -> bool {
    let switches = fields.iter().filter(|field| field.doc.entry == Entry::Switch);
    switches.filter(|field| below(field.doc.path, path).is_some()).any(|field| field.current() == "on")
}

/// Writes what was changed into the object; what cannot be written is said at its field.
pub(super) fn write(fields: &mut [Field], object: &mut Json) {
    if !fields.iter().any(Field::changed) {
        return;
    }
    let shown: Vec<bool> = fields.iter().map(|field| visible(fields, field)).collect();
    for (field, _) in fields.iter().zip(&shown).filter(|(field, shown)| **shown && field.changed()) {
        match field.doc.entry {
            Entry::Choice(choices) => choose(fields, field, choices, object),
            Entry::Switch if field.current() == "on" => set(object, field.doc.path, json!({})),
            Entry::Switch => set(object, field.doc.path, Json::Null),
            _ => {}
        }
    }
    for (field, shown) in fields.iter_mut().zip(shown) {
        if !shown {
            continue;
        }
        if field.doc.required && field.current().trim().is_empty() {
            field.refuse("this must be given");
        } else if field.changed() && !matches!(field.doc.entry, Entry::Choice(_) | Entry::Switch | Entry::Own) {
            match value_of(field) {
                Ok(value) => set(object, field.doc.path, value),
                Err(message) => field.refuse(message),
            }
        }
    }
    tidy(fields, object);
}

/// Gives the value at the path of a choice the shape of the answer.
fn choose(fields: &[Field], field: &Field, choices: &[Choice], object: &mut Json) {
    let path = field.doc.path;
    let Some(answer) = choices.iter().find(|choice| choice.value == field.current()) else { return };
    for other in choices.iter().filter(|choice| keyed(choice.shape) && choice.value != answer.value) {
        if at(object, path).is_some_and(Json::is_object) {
            set(object, &format!("{path}.{}", other.value), Json::Null);
        }
    }
    match answer.shape {
        Shape::Absent if switched_on(fields, path) => {}
        Shape::Absent => set(object, path, Json::Null),
        Shape::Bare => set(object, path, json!(answer.value)),
        Shape::Key => set(object, &format!("{path}.{}", answer.value), json!({})),
        Shape::KeyTrue => set(object, &format!("{path}.{}", answer.value), json!(true)),
    }
}

/// Removes tables that were left empty, from the inside out; `true` stands for an empty table where it may.
fn tidy(fields: &[Field], object: &mut Json) {
    let mut tables: Vec<String> = fields.iter().flat_map(|field| parents(field.doc.path)).collect();
    tables.sort_by_key(|path| std::cmp::Reverse(path.len()));
    tables.dedup();
    for path in tables {
        if !at(object, &path).and_then(Json::as_object).is_some_and(serde_json::Map::is_empty) {
            continue;
        }
        match holder(fields, &path) {
            Some(Shape::KeyTrue) => set(object, &path, json!(true)),
            Some(_) => {}
            None => set(object, &path, Json::Null),
        }
    }
}

/// `a.b.c` → `a`, `a.b`, `a.b.c`.
fn parents(path: &str) -> Vec<String> {
    let ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
    ends.filter_map(|end| path.get(..end)).map(str::to_owned).collect()
}

/// What makes an empty table at a path mean something.
fn holder(fields: &[Field], path: &str) -> Option<Shape> {
    fields.iter().find_map(|field| match field.doc.entry {
        Entry::Switch if field.doc.path == path && field.current() == "on" => Some(Shape::Key),
        Entry::Choice(choices) if below(path, field.doc.path) == Some(field.current()) => {
            choices.iter().find(|choice| choice.value == field.current()).map(|choice| choice.shape)
        }
        _ => None,
    })
}

/// Sets or removes a member by path; empty values are left out of the object, so that it reads as a person wrote it.
pub(super) fn set(object: &mut Json, path: &str, value: Json) {
    let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut at = object;
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        if empty && at.get(parent).is_none() {
            return;
        }
        let Some(map) = table(at) else { return };
        at = map.entry(parent).or_insert_with(|| json!({}));
    }
    if empty {
        if let Some(map) = at.as_object_mut() {
            map.remove(last);
        }
    } else if let Some(map) = table(at) {
        map.insert(last.to_owned(), value);
    }
}

/// The map of a value, which becomes one if it is none.
fn table(value: &mut Json) -> Option<&mut serde_json::Map<String, Json>> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut()
}
