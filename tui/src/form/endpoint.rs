// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form of an endpoint's operational state: drain, maintenance, weight. It is an override, not configuration: it
//! acts at once, makes no revision, and stands until it is taken back.

use weirgate_store::model::{Span, WEIGHT_MAX};
use weirgate_store::wire::{EndpointHealth, EndpointStatus, OverrideMode, OverrideRequest, UpstreamStatus};

use super::field::{absent, bare};
use super::{Choice, Doc, Entry, Field, Form, Subject};
use crate::live::Live;
use crate::text;

const MODES: &[Choice] = &[
    absent("ready", "as configured: it takes requests as its health allows"),
    bare("drain", "no new requests; those in flight finish, sticky clients stay until the deadline"),
    bare("maint", "no requests and no health checks; for work on the machine"),
];

const MODE: Doc = Doc::new("mode", "mode", Entry::Choice(MODES), "What the endpoint may do.").default("ready");

const WEIGHT: Doc =
    Doc::new("weight", "weight", Entry::Own, "Share of the work relative to the other endpoints; 0 takes no new work.")
        .unit("whole number up to 10000")
        .default("empty: the configured weight")
        .example("2");

const REASON: Doc = Doc::new(
    "reason",
    "reason",
    Entry::Own,
    "Why, for the colleague who finds it like this at night. Kept with your name and in the audit log.",
)
.default("empty")
.example("kernel update, back at 15:00");

const DEADLINE: Doc = Doc::new(
    "deadline",
    "cut after",
    Entry::Own,
    "For drain: what is still in flight after this time is cut. Without it a drain waits for the last request, however \
     long that takes.",
)
.unit("whole number and s, m, h or d")
.default("empty: never")
.example("5m");

const EXPIRES: Doc = Doc::new(
    "expires",
    "back after",
    Entry::Own,
    "After this time all of this takes itself back and the endpoint is as configured again.",
)
.unit("whole number and s, m, h or d")
.default("empty: never, until somebody takes it back")
.example("2h");

/// `None` if there is no such endpoint.
pub fn endpoint(live: &Live, upstream: &str, address: &str) -> Option<Form> {
    let (_, status) = find(live, upstream, address)?;
    let overridden = status.overridden.as_ref();
    let mode = overridden.map_or(OverrideMode::Ready, |o| o.mode);
    let weight = overridden.and_then(|o| o.weight).map_or_else(String::new, |weight| weight.to_string());
    let modes = MODES.iter().map(|choice| choice.value.to_owned()).collect();
    let now_ms = live.status.as_ref().map_or(0, |status| status.now_ms);
    let left = |until: Option<i64>| until.map_or_else(String::new, |until| seconds_left(until - now_ms));
    let fields = vec![
        Field::choice(&MODE, modes, mode_name(mode)),
        Field::text(&WEIGHT, weight),
        Field::text(&REASON, overridden.map_or("", |o| o.reason.as_str())),
        Field::text(&DEADLINE, left(overridden.and_then(|o| o.deadline_ms))),
        Field::text(&EXPIRES, left(overridden.and_then(|o| o.expires_ms))),
    ];
    let subject = Subject::Endpoint { upstream: upstream.to_owned(), address: address.to_owned() };
    Some(Form::page(subject, format!("endpoint {address} of {upstream}"), fields))
}

/// What is left of a time, as it is typed; a second at least.
fn seconds_left(ms: i64) -> String {
    Span::seconds(u64::try_from(ms / 1_000).unwrap_or(0).max(1)).to_string()
}

pub(crate) fn mode_name(mode: OverrideMode) -> &'static str {
    match mode {
        OverrideMode::Ready => "ready",
        OverrideMode::Drain => "drain",
        OverrideMode::Maint => "maint",
    }
}

fn mode_of(form: &Form) -> OverrideMode {
    match form.current("mode") {
        "drain" => OverrideMode::Drain,
        "maint" => OverrideMode::Maint,
        _ => OverrideMode::Ready,
    }
}

/// The override this form asks for; `None` if a field cannot be understood, which then says so.
pub fn request(form: &mut Form) -> Option<OverrideRequest> {
    form.clear_errors();
    let text = form.current("weight").to_owned();
    let weight = text.parse::<u32>().ok().filter(|weight| *weight <= WEIGHT_MAX);
    if weight.is_none() && !text.is_empty() {
        form.field_mut("weight")?.refuse(format!("\"{text}\" is not a whole number from 0 to {WEIGHT_MAX}"));
    }
    let mode = mode_of(form);
    let deadline_s = seconds(form, "deadline");
    let expires_s = seconds(form, "expires");
    if deadline_s.is_some()
        && mode != OverrideMode::Drain
        && let Some(field) = form.field_mut("deadline")
    {
        field.refuse("only a drain has something left to cut: empty it, or choose drain");
    }
    if expires_s.is_some()
        && mode == OverrideMode::Ready
        && weight.is_none()
        && let Some(field) = form.field_mut("expires")
    {
        field.refuse("as configured is nothing that could end: empty it, or give a weight");
    }
    if form.sections.iter().any(super::Section::wrong) {
        form.show_first_problem();
        return None;
    }
    Some(OverrideRequest { mode, weight, reason: form.current("reason").to_owned(), expires_s, deadline_s })
}

/// A time in seconds; none if the field is empty or cannot be understood, which it then says.
fn seconds(form: &mut Form, path: &str) -> Option<u64> {
    let text = form.current(path).to_owned();
    if text.is_empty() {
        return None;
    }
    match text.parse::<Span>() {
        Ok(span) if span.0.as_secs() > 0 => Some(span.0.as_secs()),
        Ok(_) => {
            form.field_mut(path)?.refuse("shorter than a second: write 1s or more, or leave it empty");
            None
        }
        Err(message) => {
            form.field_mut(path)?.refuse(message);
            None
        }
    }
}

fn find<'a>(live: &'a Live, upstream: &str, address: &str) -> Option<(&'a UpstreamStatus, &'a EndpointStatus)> {
    let upstream = live.status.as_ref()?.upstreams.iter().find(|u| u.name == upstream)?;
    Some((upstream, upstream.endpoints.iter().find(|e| e.address == address)?))
}

/// What the override would do to live traffic, from what is known now.
pub fn effect_lines(live: &Live, form: &Form) -> Vec<String> {
    let Subject::Endpoint { upstream, address } = &form.subject else { return Vec::new() };
    let Some((upstream, this)) = find(live, upstream, address) else {
        return vec!["This endpoint is gone from the running configuration.".to_owned()];
    };
    let mut lines = vec![mode_line(mode_of(form), this)];
    lines.extend(time_lines(form));
    let others: Vec<&EndpointStatus> = upstream.endpoints.iter().filter(|e| e.address != *address).collect();
    let taking = |e: &&&EndpointStatus| e.health != EndpointHealth::Down && e.weight > 0 && !stopped(e);
    let taking: Vec<&str> = others.iter().filter(taking).map(|e| e.address.as_str()).collect();
    let stops = mode_of(form) != OverrideMode::Ready || form.current("weight") == "0";
    lines.push(match (stops, taking.len()) {
        (true, 0) => format!("! No other endpoint of {} can take its work: requests will get 503.", upstream.name),
        (true, _) => format!("Its work goes to {}.", taking.join(", ")),
        (false, 0) => "No other endpoint takes work now: all of it comes here.".to_owned(),
        (false, _) => share_line(form, this, &others),
    });
    lines
}

fn stopped(endpoint: &EndpointStatus) -> bool {
    endpoint.overridden.as_ref().is_some_and(|o| o.mode != OverrideMode::Ready)
}

fn mode_line(mode: OverrideMode, this: &EndpointStatus) -> String {
    let in_flight = text::plural(u64::from(this.in_flight), "request");
    match mode {
        OverrideMode::Ready => "It takes requests as soon as its health allows.".to_owned(),
        OverrideMode::Drain => format!("No new requests. {in_flight} in flight will finish."),
        OverrideMode::Maint => format!("No requests and no health checks. {in_flight} in flight will finish."),
    }
}

/// What happens by itself later.
fn time_lines(form: &Form) -> Vec<String> {
    let mut lines = Vec::new();
    match (mode_of(form), form.current("deadline")) {
        (OverrideMode::Drain, "") => {
            lines.push("No deadline: it waits for the last request, however long that takes.".to_owned());
        }
        (OverrideMode::Drain, after) => lines.push(format!("What is still in flight after {after} is cut.")),
        _ => {}
    }
    let after = form.current("expires");
    if !after.is_empty() {
        lines.push(format!("After {after} it is as configured again by itself."));
    }
    lines
}

fn share_line(form: &Form, this: &EndpointStatus, others: &[&EndpointStatus]) -> String {
    let weight = form.current("weight").parse().unwrap_or(this.configured_weight);
    let rest: u64 = others.iter().filter(|e| e.health != EndpointHealth::Down).map(|e| u64::from(e.weight)).sum();
    let whole = u64::from(weight) + rest;
    format!("Its share of the work will be about {} (weight {weight} of {whole}).", text::percent(weight.into(), whole))
}
