// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables of fields against the model: every field of the model has a place in a form, every field of a form is
//! written where the model reads it, and its example is one that the model takes.

use serde_json::{Value as Json, json};
use weirgate_store::model::{Consumer, Kind, Listener, Plan, Route, Upstream};
use weirgate_store::wire::Edit;

use super::press;
use crate::app::App;
use crate::form::{self, Body, Entry, Field, Form, Level, Value};
use crate::sample;
use crate::theme::Theme;

fn app() -> App {
    sample::app(Theme::COLOR)
}

fn new_form(app: &App, kind: Kind) -> Form {
    match kind {
        Kind::Route => form::new_route(&app.live),
        Kind::Listener => form::new_listener(&app.live),
        Kind::Consumer => form::new_consumer(&app.live),
        Kind::Plan => form::new_plan(&app.live),
        _ => form::new_upstream(&app.live),
    }
}

/// The object of the change a form asks for.
fn object(form: &mut Form) -> Json {
    let change = form.change();
    let refused: Vec<String> =
        all_fields(form).filter_map(|f| f.error.as_ref().map(|e| format!("{}: {}", f.doc.path, e.message))).collect();
    let change = change.unwrap_or_else(|| panic!("refused: {refused:?}"));
    match change.edits.into_iter().next() {
        Some(Edit::Put { object, .. }) => object,
        other => panic!("no put: {other:?}"),
    }
}

fn all_fields(form: &Form) -> impl Iterator<Item = &Field> {
    form.sections.iter().flat_map(|section| match &section.body {
        Body::Fields(fields) => fields.iter().collect::<Vec<_>>(),
        Body::Rows(rows) => rows.rows.iter().flat_map(|row| &row.fields).collect(),
    })
}

fn put(field: &mut Field, value: &str) {
    match &mut field.value {
        Value::Text(input) => *input = tui_input::Input::new(value.to_owned()),
        Value::Choice { options, at } => {
            *at = options.iter().position(|o| o == value).unwrap_or_else(|| panic!("no {value} in {options:?}"));
        }
    }
}

/// A value that the field's own doc offers.
fn example(field: &Field) -> String {
    let name = |kind| match kind {
        Kind::Certificate => "site",
        _ => "catalog",
    };
    match field.doc.entry {
        Entry::Switch => "on".into(),
        Entry::Flag => "yes".into(),
        Entry::Name(kind) | Entry::Names(kind) => name(kind).into(),
        _ if field.doc.path == "name" => "example".into(),
        _ if field.doc.path == "policies" => "gold-limit".into(),
        _ if field.doc.path == "match.path" => "/orders".into(),
        _ if field.doc.path == "tls.pins" => "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".into(),
        _ => field.doc.example.into(),
    }
}

/// Fills what is shown and not a choice, after each choice was made; a section at a time.
fn fill(fields: &mut [Field]) {
    for at in 0..fields.len() {
        if form::shown(fields, &fields[at]) && !matches!(fields[at].doc.entry, Entry::Choice(_)) {
            let value = example(&fields[at]);
            if !value.is_empty() {
                put(&mut fields[at], &value);
            }
        }
    }
}

fn parse(kind: Kind, object: &Json) -> Result<(), String> {
    let text = object.clone();
    match kind {
        Kind::Route => serde_json::from_value::<Route>(text).map(drop),
        Kind::Listener => serde_json::from_value::<Listener>(text).map(drop),
        Kind::Consumer => serde_json::from_value::<Consumer>(text).map(drop),
        Kind::Plan => serde_json::from_value::<Plan>(text).map(drop),
        _ => serde_json::from_value::<Upstream>(text).map(drop),
    }
    .map_err(|error| format!("{error} in {object}"))
}

/// What must be given for any object of the kind.
fn minimal(form: &mut Form) {
    for section in &mut form.sections {
        let Body::Fields(fields) = &mut section.body else { continue };
        for field in fields.iter_mut().filter(|f| matches!(f.doc.path, "name" | "address")) {
            let value = example(field);
            put(field, &value);
        }
    }
}

/// Each answer of each choice, with everything that is shown then filled in from the docs: the model reads it.
#[test]
fn every_choice_and_every_example_is_one_the_model_takes() {
    let app = app();
    for kind in [Kind::Upstream, Kind::Route, Kind::Listener, Kind::Consumer, Kind::Plan] {
        let sections = new_form(&app, kind).sections.len();
        for section in 0..sections {
            check_section(&app, kind, section);
        }
    }
}

fn check_section(app: &App, kind: Kind, section: usize) {
    let choices: Vec<(usize, usize)> = match &new_form(app, kind).sections[section].body {
        Body::Rows(_) => return check_rows(app, kind, section),
        Body::Fields(fields) => fields
            .iter()
            .enumerate()
            .flat_map(|(at, field)| (0..field.doc.choices().len()).map(move |choice| (at, choice)))
            .collect(),
    };
    for (at, choice) in choices.into_iter().chain([(usize::MAX, 0)]) {
        let mut form = new_form(app, kind);
        minimal(&mut form);
        let Body::Fields(fields) = &mut form.sections[section].body else { continue };
        fill(fields);
        if let Some(field) = fields.get_mut(at) {
            let value = field.doc.choices()[choice].value;
            put(field, value);
            fill_but(fields, at);
        }
        let written = object(&mut form);
        parse(kind, &written).unwrap_or_else(|error| panic!("{kind:?} section {section} field {at}.{choice}: {error}"));
    }
}

/// Fills again what a choice has made visible, and leaves the choice.
fn fill_but(fields: &mut [Field], at: usize) {
    let kept = fields[at].current().to_owned();
    for other in 0..fields.len() {
        let field = &fields[other];
        if other != at && form::shown(fields, field) && !matches!(field.doc.entry, Entry::Choice(_)) {
            let value = example(field);
            if !value.is_empty() {
                put(&mut fields[other], &value);
            }
        }
    }
    assert_eq!(fields[at].current(), kept);
}

fn check_rows(app: &App, kind: Kind, section: usize) {
    let mut form = new_form(app, kind);
    minimal(&mut form);
    form.enter(section);
    form.add_row(&app.live);
    assert_eq!(form.level, Level::Row);
    for field in form.fields_mut() {
        let value = if field.doc.path == "name" { "mail.example.com".to_owned() } else { example(field) };
        put(field, &value);
    }
    let written = object(&mut form);
    parse(kind, &written).unwrap_or_else(|error| panic!("{kind:?} rows {section}: {error}"));
}

/// Paths of the model by its schema, and the paths that forms cover.
#[test]
fn every_field_of_the_model_has_a_place_in_a_form() {
    let app = app();
    // Credentials of a consumer are written in a file or issued; the rest is more than one text.
    let kept = [
        "match.headers",
        "match.query",
        "match.cookies",
        "match.path",
        "policies",
        "api_keys",
        "basic",
        "certificates",
        "signing_keys",
        "http3",
    ];
    for (kind, schema) in [
        (Kind::Upstream, schemars::schema_for!(Upstream)),
        (Kind::Route, schemars::schema_for!(Route)),
        (Kind::Listener, schemars::schema_for!(Listener)),
        (Kind::Consumer, schemars::schema_for!(Consumer)),
        (Kind::Plan, schemars::schema_for!(Plan)),
    ] {
        let schema = schema.to_value();
        let mut paths = Vec::new();
        walk(&schema, &schema, "", 0, &mut paths);
        let form = new_form(&app, kind);
        let covered = |path: &str| {
            form.sections.iter().any(|section| match &section.body {
                Body::Fields(fields) => {
                    fields.iter().any(|f| f.doc.path == path || f.doc.path.starts_with(&format!("{path}.")))
                }
                Body::Rows(rows) => {
                    let rest = path.strip_prefix(rows.doc.path).unwrap_or("?");
                    rest.is_empty() || rows.doc.columns.iter().any(|c| rest.strip_prefix('.') == Some(c.path))
                }
            })
        };
        for path in paths {
            let keeps = kept.iter().any(|kept| path == *kept || path.starts_with(&format!("{kept}.")));
            assert!(keeps || covered(&path), "{kind:?} {path} is in no form");
        }
    }
}

/// Every member of every table, by path; the places of a list have none.
fn walk(root: &Json, at: &Json, path: &str, depth: usize, paths: &mut Vec<String>) {
    if depth > 12 {
        return;
    }
    if let Some(name) = at.get("$ref").and_then(Json::as_str) {
        let found = root.pointer(name.trim_start_matches('#')).cloned().unwrap_or_default();
        walk(root, &found, path, depth + 1, paths);
    }
    for (name, inner) in at.get("properties").and_then(Json::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        paths.push(path.clone());
        walk(root, inner, &path, depth + 1, paths);
    }
    for list in ["anyOf", "oneOf", "allOf"] {
        for inner in at.get(list).and_then(Json::as_array).into_iter().flatten() {
            walk(root, inner, path, depth + 1, paths);
        }
    }
    if let Some(items) = at.get("items") {
        walk(root, items, path, depth + 1, paths);
    }
}

/// What an upstream of the sample becomes when the fields named by path get these values.
fn edited(name: &str, changes: &[(&str, &str)]) -> Json {
    let app = app();
    let mut form = form::edit_upstream(&app.live, name).unwrap();
    for section in &mut form.sections {
        let Body::Fields(fields) = &mut section.body else { continue };
        for field in fields {
            if let Some((_, value)) = changes.iter().find(|(path, _)| *path == field.doc.path) {
                put(field, value);
            }
        }
    }
    object(&mut form)
}

fn before(name: &str) -> Json {
    let objects = sample::objects(Kind::Upstream).objects;
    objects.into_iter().find(|object| object.name == name).unwrap().object
}

#[test]
fn a_field_changes_its_place_and_no_other() {
    type Change = fn(&mut Json);
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], Change);
    let rows: &[Row<'_>] = &[
        ("shop", &[], |_| {}),
        ("shop", &[("balance", "maglev"), ("hash.by", "header"), ("hash.by.header", "X-Tenant")], |o| {
            o["balance"] = json!("maglev");
            o["hash"] = json!({ "by": { "header": "X-Tenant" } });
        }),
        ("shop", &[("health.http.path", "/ok"), ("health.http.headers", "A: b; C: d")], |o| {
            o["health"]["http"]["path"] = json!("/ok");
            o["health"]["http"]["headers"] = json!({ "A": "b", "C": "d" });
        }),
        ("shop", &[("health", "tcp")], |o| o["health"] = json!({ "tcp": true, "interval": "2s" })),
        ("shop", &[("health", "tcp"), ("health.tcp.send", "PING\\r\\n")], |o| {
            o["health"] = json!({ "tcp": { "send": "PING\r\n" }, "interval": "2s" });
        }),
        ("shop", &[("health", "none")], |o| drop(o.as_object_mut().unwrap().remove("health"))),
        ("shop", &[("health", "none"), ("health.agent", "on"), ("health.agent.port", "9777")], |o| {
            o["health"] = json!({ "agent": { "port": 9777 }, "interval": "2s" });
        }),
        ("shop", &[("outlier", "on")], |o| o["outlier"] = json!({})),
        ("shop", &[("timeouts.connect", "500ms")], |o| o["timeouts"] = json!({ "connect": "500ms" })),
        ("shop", &[("health.interval", "")], |o| {
            o["health"].as_object_mut().unwrap().remove("interval");
        }),
        ("shop-next", &[("breaker", "off")], |o| drop(o.as_object_mut().unwrap().remove("breaker"))),
        ("shop-next", &[("limits.adaptive", "off")], |o| {
            o["limits"].as_object_mut().unwrap().remove("adaptive");
        }),
        ("shop-next", &[("limits.adaptive", "off"), ("limits.queue", ""), ("limits.queue_timeout", "")], |o| {
            o.as_object_mut().unwrap().remove("limits");
        }),
        ("shop-next", &[("discovery", "lease")], |o| o["discovery"] = json!({ "lease": {} })),
        ("shop-next", &[("discovery", "none")], |o| drop(o.as_object_mut().unwrap().remove("discovery"))),
        ("shop-next", &[("sticky", "header"), ("sticky.header", "X-Route")], |o| {
            o["sticky"] = json!({ "header": "X-Route" });
        }),
        ("shop-next", &[("tls.server_name", "")], |o| drop(o.as_object_mut().unwrap().remove("tls"))),
    ];
    for (name, changes, change) in rows {
        let mut want = before(name);
        change(&mut want);
        assert_eq!(edited(name, changes), want, "row {name} {changes:?}");
    }
}

#[test]
fn a_scalar_that_must_be_given_is_asked_for() {
    let mut app = app();
    press(&mut app, "4 down e down down enter right");
    assert!(press(&mut app, "ctrl-s").is_empty());
    let crate::app::Screen::Form(form) = &app.screen else { panic!("no form") };
    assert!(form.field("discovery.dns").unwrap().error.is_some());
}

/// A label that is cut says nothing, and a field without a sentence explains nothing.
#[test]
fn labels_fit_and_every_field_says_what_it_means() {
    const LABEL: usize = 13;
    let app = app();
    for kind in [Kind::Upstream, Kind::Route, Kind::Listener, Kind::Consumer, Kind::Plan] {
        for section in new_form(&app, kind).sections {
            let docs: Vec<&form::Doc> = match &section.body {
                Body::Fields(fields) => fields.iter().map(|field| field.doc).collect(),
                Body::Rows(rows) => rows.doc.columns.iter().collect(),
            };
            assert!(crate::text::width(section.doc.title) <= LABEL, "row {}", section.doc.title);
            for doc in docs {
                assert!(crate::text::width(doc.label) <= LABEL, "row {}: {:?} is too long", doc.path, doc.label);
                assert!(
                    doc.meaning.ends_with('.') || doc.meaning.ends_with(')'),
                    "row {}: {:?}",
                    doc.path,
                    doc.meaning
                );
                let says = !doc.default.is_empty() || doc.required;
                assert!(says, "row {}: nobody knows what holds when it is empty", doc.path);
            }
        }
    }
}
