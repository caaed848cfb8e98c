// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is said of one endpoint between revisions: the overrides that an operator sets, and the leases by which
//! endpoints register themselves.
//!
//! Both are kept by the store and neither makes a revision. An override may be for an endpoint that is written or was
//! found; a lease only makes one where the upstream looks for leases.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{delete, put};
use weirgate_store::model::{Discovery, Endpoint, WEIGHT_MAX};
use weirgate_store::wire::{EndpointOverride, EndpointStatus, LeaseRequest, OverrideMode, OverrideRequest};

use super::extract::{Asker, Document, Named};
use super::operation::Operation;
use crate::clock;
use crate::control::refusal::Refusal;
use crate::control::seam::{NotRegistered, Registration};
use crate::control::{Control, to_the_end};

/// Longest reason of an override, and longest name of a zone.
const TEXT_BYTES_MAX: usize = 256;

/// Longest time after which an override takes itself back, or after which a drain cuts.
const AHEAD_MAX_S: u64 = 366 * 86_400;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::change(
            Method::PUT,
            "/v1/upstreams/{name}/endpoints/{address}/override",
            "Drain an endpoint, take it out, give it another weight, or take that back",
            put(override_endpoint),
        )
        .takes::<OverrideRequest>()
        .gives::<EndpointStatus>(),
        Operation::change(
            Method::PUT,
            "/v1/upstreams/{name}/endpoints/{address}/lease",
            "Register an endpoint, or renew that, until its time is over",
            put(register),
        )
        .takes::<LeaseRequest>()
        .gives::<EndpointStatus>(),
        Operation::change(
            Method::DELETE,
            "/v1/upstreams/{name}/endpoints/{address}/lease",
            "Take an endpoint away before its lease ends",
            delete(unregister),
        ),
    ]
}

async fn override_endpoint(
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named((upstream, address)): Named<(String, String)>,
    Document(request): Document<OverrideRequest>,
) -> Result<Json<EndpointStatus>, Refusal> {
    check(&request)?;
    exists(&control, &upstream, &address)?;
    to_the_end(async move {
        let now_ms = clock::wall_ms();
        let set = set_of(request, asker.author.clone(), now_ms);
        let _turn = control.overriding.lock().await;
        let kept = if set == taken_back(&set) {
            control.store.delete_override(&upstream, &address).await
        } else {
            control.store.put_override(&upstream, &address, &set).await
        };
        kept?;
        let detail = format!("{} of {upstream}/{address}", words(&set, now_ms));
        let status = control.appliance.set_override(&upstream, &address, set);
        let status = status.ok_or_else(|| no_endpoint(&upstream, &address))?;
        control.audit(asker.author, "override", detail).await;
        Ok(Json(status))
    })
    .await
}

fn check(request: &OverrideRequest) -> Result<(), Refusal> {
    let OverrideRequest { mode, weight, reason, expires_s, deadline_s } = request;
    let refuse = |why: String| Err(Refusal::Malformed(why));
    if weight.is_some_and(|weight| weight > WEIGHT_MAX) {
        return refuse(format!("a weight is a whole number from 0 to {WEIGHT_MAX}"));
    }
    if reason.len() > TEXT_BYTES_MAX {
        return refuse(format!("the reason is longer than {TEXT_BYTES_MAX} bytes"));
    }
    if expires_s.is_some_and(|seconds| !(1..=AHEAD_MAX_S).contains(&seconds)) {
        return refuse(format!("expires_s is a whole number from 1 to {AHEAD_MAX_S}"));
    }
    if deadline_s.is_some_and(|seconds| seconds > AHEAD_MAX_S) {
        return refuse(format!("deadline_s is a whole number from 0 to {AHEAD_MAX_S}"));
    }
    if deadline_s.is_some() && *mode != OverrideMode::Drain {
        return refuse("only a drain has a deadline".to_owned());
    }
    if expires_s.is_some() && *mode == OverrideMode::Ready && weight.is_none() {
        return refuse("as configured is nothing that could expire".to_owned());
    }
    Ok(())
}

fn set_of(request: OverrideRequest, owner: String, now_ms: i64) -> EndpointOverride {
    let OverrideRequest { mode, weight, reason, expires_s, deadline_s } = request;
    let ahead = |seconds: Option<u64>| seconds.map(|s| now_ms + i64::try_from(s).unwrap_or(0) * 1000);
    EndpointOverride {
        mode,
        weight,
        owner,
        reason,
        since_ms: now_ms,
        expires_ms: ahead(expires_s),
        deadline_ms: ahead(deadline_s),
    }
}

/// What stands when an override is taken back: nothing but who did it.
pub(in crate::control) fn taken_back(set: &EndpointOverride) -> EndpointOverride {
    let EndpointOverride { owner, reason, since_ms, .. } = set.clone();
    EndpointOverride { owner, reason, since_ms, ..EndpointOverride::default() }
}

/// An override in a few words: `drain, weight 5, for 3600 s`.
pub(in crate::control) fn words(set: &EndpointOverride, now_ms: i64) -> String {
    let mut words = format!("{:?}", set.mode).to_lowercase();
    let left = |at_ms: i64| (at_ms - now_ms).max(0) / 1000;
    if let Some(weight) = set.weight {
        words.push_str(&format!(", weight {weight}"));
    }
    if let Some(at_ms) = set.expires_ms {
        words.push_str(&format!(", for {} s", left(at_ms)));
    }
    if let Some(at_ms) = set.deadline_ms {
        words.push_str(&format!(", cut after {} s", left(at_ms)));
    }
    words
}

fn exists(control: &Control, upstream: &str, address: &str) -> Result<(), Refusal> {
    let running = control.changes.running();
    let group = running.model.upstreams.get(upstream);
    let is_written = group.is_some_and(|group| group.endpoints.iter().any(|e| e.address.to_string() == address));
    let found = is_written || control.appliance.endpoint(upstream, address).is_some();
    if found { Ok(()) } else { Err(no_endpoint(upstream, address)) }
}

fn no_endpoint(upstream: &str, address: &str) -> Refusal {
    let (upstream, address) = (upstream.escape_debug(), address.escape_debug());
    Refusal::Missing(format!("upstream \"{upstream}\" has no endpoint \"{address}\"; GET /v1/status lists them"))
}

async fn register(
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named((upstream, address)): Named<(String, String)>,
    Document(request): Document<LeaseRequest>,
) -> Result<Json<EndpointStatus>, Refusal> {
    let endpoint = endpoint(&address, &request)?;
    let ttl_ms = ttl_ms(&control, &upstream, request.ttl_s)?;
    to_the_end(async move {
        let address = endpoint.address.to_string();
        let expires_ms = clock::wall_ms().saturating_add(ttl_ms);
        match control.appliance.register(&upstream, endpoint, expires_ms, &asker.author) {
            Ok(Registration::Renewed) => {}
            Ok(Registration::New) => {
                let detail = format!("{upstream}/{address}, for {} s unless renewed", ttl_ms / 1000);
                control.audit(asker.author, "lease", detail).await;
            }
            Err(NotRegistered::NoLease) => return Err(no_leases(&upstream)),
            Err(NotRegistered::TooMany) => {
                return Err(Refusal::Busy("too many endpoints hold leases already".to_owned()));
            }
        }
        let status = control.appliance.endpoint(&upstream, &address);
        status.map(Json).ok_or_else(|| no_endpoint(&upstream, &address))
    })
    .await
}

fn endpoint(address: &str, request: &LeaseRequest) -> Result<Endpoint, Refusal> {
    let refuse = |why: String| Refusal::Malformed(why);
    let parsed: SocketAddr =
        address.parse().map_err(|_| refuse(format!("\"{}\" is not an IP address and port", address.escape_debug())))?;
    if parsed.port() == 0 || parsed.ip().is_unspecified() || parsed.ip().is_multicast() {
        return Err(refuse(format!("{parsed} cannot be connected to")));
    }
    let weight = request.weight.unwrap_or(1);
    if weight > WEIGHT_MAX {
        return Err(refuse(format!("a weight is a whole number from 0 to {WEIGHT_MAX}")));
    }
    if request.zone.as_ref().is_some_and(|zone| zone.is_empty() || zone.len() > TEXT_BYTES_MAX) {
        return Err(refuse(format!("a zone is a text of 1 to {TEXT_BYTES_MAX} bytes")));
    }
    Ok(Endpoint { weight, zone: request.zone.clone(), ..Endpoint::plain(parsed) })
}

/// How long a lease may last that is asked for now.
fn ttl_ms(control: &Control, upstream: &str, asked_s: Option<u64>) -> Result<i64, Refusal> {
    let running = control.changes.running();
    let Some(group) = running.model.upstreams.get(upstream) else {
        return Err(Refusal::Missing(format!("there is no upstream \"{}\"", upstream.escape_debug())));
    };
    let Some(Discovery::Lease(lease)) = &group.discovery else { return Err(no_leases(upstream)) };
    let most_s = lease.ttl.0.as_secs();
    let ttl_s = asked_s.unwrap_or(most_s);
    if ttl_s == 0 || ttl_s > most_s {
        return Err(Refusal::Malformed(format!("ttl_s is a whole number from 1 to {most_s} for this upstream")));
    }
    Ok(i64::try_from(ttl_s).unwrap_or(0).saturating_mul(1000))
}

fn no_leases(upstream: &str) -> Refusal {
    let name = upstream.escape_debug();
    Refusal::Malformed(format!("upstream \"{name}\" takes no leases; set its discovery to {{ lease = {{}} }} first"))
}

async fn unregister(
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named((upstream, address)): Named<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let parsed = address.parse().map_err(|_| no_endpoint(&upstream, &address))?;
    to_the_end(async move {
        if !control.appliance.unregister(&upstream, parsed) {
            let (upstream, address) = (upstream.escape_debug(), address.escape_debug());
            return Err(Refusal::Missing(format!("{address} holds no lease of upstream \"{upstream}\"")));
        }
        control.audit(asker.author, "lease", format!("{upstream}/{parsed} taken away")).await;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
