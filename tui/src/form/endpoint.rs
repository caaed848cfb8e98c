// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form of an endpoint's operational state: drain, maintenance, weight. It is an override, not configuration: it
//! acts at once, makes no revision, and stands until it is taken back.

use weirgate_store::model::WEIGHT_MAX;
use weirgate_store::wire::{EndpointHealth, EndpointStatus, OverrideMode, OverrideRequest, UpstreamStatus};

use super::{Doc, Field, Form, Subject};
use crate::live::Live;
use crate::text;

const MODE: Doc = Doc {
    path: "mode",
    label: "mode",
    meaning: "ready: as configured. drain: no new requests, those in flight finish. maint: no requests and no health \
              checks.",
    unit: "",
    default: "ready",
    example: "drain",
};
const WEIGHT: Doc = Doc {
    path: "weight",
    label: "weight",
    meaning: "Share of the work relative to the other endpoints; 0 takes no new work.",
    unit: "whole number",
    default: "empty: the configured weight",
    example: "2",
};
const REASON: Doc = Doc {
    path: "reason",
    label: "reason",
    meaning: "Why, for the colleague who finds it like this at night. Kept with your name and in the audit log.",
    unit: "",
    default: "empty",
    example: "kernel update, back at 15:00",
};

/// `None` if there is no such endpoint.
pub fn endpoint(live: &Live, upstream: &str, address: &str) -> Option<Form> {
    let (_, status) = find(live, upstream, address)?;
    let overridden = status.overridden.as_ref();
    let mode = overridden.map_or(OverrideMode::Ready, |o| o.mode);
    let weight = overridden.and_then(|o| o.weight).map_or_else(String::new, |weight| weight.to_string());
    let modes = ["ready", "drain", "maint"].map(str::to_owned).to_vec();
    let fields = vec![
        Field::choice(&MODE, modes, mode_name(mode)),
        Field::text(&WEIGHT, weight),
        Field::text(&REASON, overridden.map_or("", |o| o.reason.as_str())),
    ];
    let subject = Subject::Endpoint { upstream: upstream.to_owned(), address: address.to_owned() };
    Some(Form::new(subject, format!("endpoint {address} of {upstream}"), fields))
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
        if let Some(at) = form.fields.iter().position(|field| field.doc.path == "weight") {
            form.at = at;
        }
        form.field_mut("weight")?.refuse(format!("\"{text}\" is not a whole number from 0 to {WEIGHT_MAX}"));
        return None;
    }
    Some(OverrideRequest {
        mode: mode_of(form),
        weight,
        reason: form.current("reason").to_owned(),
        ..OverrideRequest::default()
    })
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

fn share_line(form: &Form, this: &EndpointStatus, others: &[&EndpointStatus]) -> String {
    let weight = form.current("weight").parse().unwrap_or(this.configured_weight);
    let rest: u64 = others.iter().filter(|e| e.health != EndpointHealth::Down).map(|e| u64::from(e.weight)).sum();
    let whole = u64::from(weight) + rest;
    format!("Its share of the work will be about {} (weight {weight} of {whole}).", text::percent(weight.into(), whole))
}
