// SPDX-License-Identifier: MIT OR Apache-2.0
//! `drain`, `ready`, `maint` and `weight`: what stands over the configuration of one endpoint until it is taken back.
//!
//! Mode and weight are independent for the operator and one record for the daemon, so each verb keeps the other half
//! as it is.

use std::time::Duration;

use http::Method;
use weirgate_store::model::Span;
use weirgate_store::suggest;
use weirgate_store::wire::{EndpointStatus, OverrideMode, OverrideRequest, StatusReply, UpstreamStatus};

use super::args::{DrainArgs, EndpointArgs, EndpointVerb, MaintArgs, OverrideArgs, WeightArgs};
use super::line::Style;
use super::status::health;
use super::terminal::{Failure, Terminal};
use super::{drain, lease, timeline};
use crate::client::segment;

/// An endpoint as it is now, and when that is.
struct Now {
    endpoint: EndpointStatus,
    now_ms: i64,
}

impl Now {
    /// What stands over the configuration, as a request that would set it again.
    fn held(&self, reason: &str) -> OverrideRequest {
        let held = self.endpoint.overridden.clone().unwrap_or_default();
        let left = |at_ms: Option<i64>| {
            let left_ms = at_ms?.saturating_sub(self.now_ms);
            u64::try_from(left_ms / 1000).ok().map(|seconds| seconds.max(1))
        };
        OverrideRequest {
            mode: held.mode,
            weight: held.weight,
            reason: reason.to_owned(),
            expires_s: left(held.expires_ms),
            deadline_s: left(held.deadline_ms),
        }
    }
}

pub(crate) async fn run(t: &mut Terminal<'_>, verb: &EndpointVerb) -> Result<(), Failure> {
    match verb {
        EndpointVerb::Drain(args) => drain(t, args).await,
        EndpointVerb::Ready(args) => ready(t, args).await,
        EndpointVerb::Maint(args) => maint(t, args).await,
        EndpointVerb::Weight(args) => weight(t, args).await,
        EndpointVerb::Lease(args) => lease::lease(t, args).await,
        EndpointVerb::Timeline(args) => timeline::timeline(t, args).await,
    }
}

async fn drain(t: &mut Terminal<'_>, args: &DrainArgs) -> Result<(), Failure> {
    let now = find(t, &args.set.target).await?;
    let held = now.held(&args.set.reason);
    let (expires_s, deadline_s) = (seconds("--expires", args.expires)?, args.deadline.map(|span| span.0.as_secs()));
    send(t, &args.set, &now, OverrideRequest { mode: OverrideMode::Drain, expires_s, deadline_s, ..held }).await?;
    if args.wait { drain::wait(t, &args.set.target.upstream, &now.endpoint.address).await } else { Ok(()) }
}

async fn maint(t: &mut Terminal<'_>, args: &MaintArgs) -> Result<(), Failure> {
    let now = find(t, &args.set.target).await?;
    let held = now.held(&args.set.reason);
    let expires_s = seconds("--expires", args.expires)?;
    send(t, &args.set, &now, OverrideRequest { mode: OverrideMode::Maint, expires_s, deadline_s: None, ..held }).await
}

async fn ready(t: &mut Terminal<'_>, args: &OverrideArgs) -> Result<(), Failure> {
    let now = find(t, &args.target).await?;
    let held = now.held(&args.reason);
    let expires_s = held.expires_s.filter(|_| held.weight.is_some());
    send(t, args, &now, OverrideRequest { mode: OverrideMode::Ready, expires_s, deadline_s: None, ..held }).await
}

async fn weight(t: &mut Terminal<'_>, args: &WeightArgs) -> Result<(), Failure> {
    let now = find(t, &args.set.target).await?;
    let held = now.held(&args.set.reason);
    let stands = args.weight.is_some() || held.mode != OverrideMode::Ready;
    let expires_s = seconds("--expires", args.expires)?.or(held.expires_s).filter(|_| stands);
    send(t, &args.set, &now, OverrideRequest { weight: args.weight, expires_s, ..held }).await
}

/// Whole seconds, at least one: the daemon keeps no finer time.
pub(super) fn seconds(option: &str, span: Option<Span>) -> Result<Option<u64>, Failure> {
    match span {
        Some(Span(span)) if span < Duration::from_secs(1) => Err(Failure::Usage(format!("{option} is at least 1s"))),
        span => Ok(span.map(|span| span.0.as_secs())),
    }
}

async fn send(t: &mut Terminal<'_>, args: &OverrideArgs, now: &Now, request: OverrideRequest) -> Result<(), Failure> {
    let (upstream, endpoint) = (&args.target.upstream, &now.endpoint);
    if args.dry_run {
        return print_plan(t, upstream, endpoint, &request);
    }
    let path = path_of(upstream, &endpoint.address, "override");
    let after: EndpointStatus = t.client.send(Method::PUT, &path, Some(&request)).await?;
    print_one(t, upstream, &after)
}

/// Where an endpoint has its override or its lease.
pub(super) fn path_of(upstream: &str, address: &str, what: &str) -> String {
    format!("/v1/upstreams/{}/endpoints/{}/{what}", segment(upstream), segment(address))
}

/// One endpoint on one line.
pub(super) fn print_one(t: &mut Terminal<'_>, upstream: &str, endpoint: &EndpointStatus) -> Result<(), Failure> {
    if t.json {
        return t.document(endpoint);
    }
    let name = format!("{upstream} {}", endpoint.address);
    let facts = format!("  weight {}  in flight {}", endpoint.weight, endpoint.in_flight);
    t.say(&[Style::Name.of(name), "  ".into(), health(endpoint), facts.into()])
}

fn print_plan(
    t: &mut Terminal<'_>,
    upstream: &str,
    now: &EndpointStatus,
    request: &OverrideRequest,
) -> Result<(), Failure> {
    if t.json {
        return t.document(request);
    }
    let old = now.overridden.as_ref().map(|o| o.mode).unwrap_or_default();
    let name = format!("~ {upstream} {}", now.address);
    let weight = request.weight.unwrap_or(now.configured_weight);
    let change = format!("  {} → {}  weight {} → {weight}", word(old), word(request.mode), now.weight);
    t.say(&[Style::Warn.of(name), change.into()])
}

fn word(mode: OverrideMode) -> &'static str {
    match mode {
        OverrideMode::Ready => "ready",
        OverrideMode::Drain => "drain",
        OverrideMode::Maint => "maint",
    }
}

/// The upstream of that name, from a status.
pub(super) fn upstream_of<'s>(status: &'s StatusReply, name: &str) -> Result<&'s UpstreamStatus, Failure> {
    status.upstreams.iter().find(|upstream| upstream.name == name).ok_or_else(|| {
        let names = status.upstreams.iter().map(|upstream| upstream.name.as_str());
        Failure::Failed(format!("no upstream named \"{name}\"; {}", suggest::help(name, "upstreams", names)))
    })
}

/// The endpoint that is meant: the whole address, or a host or a port that only one has.
async fn find(t: &Terminal<'_>, args: &EndpointArgs) -> Result<Now, Failure> {
    let status: StatusReply = t.client.get("/v1/status").await?;
    let upstream = upstream_of(&status, &args.upstream)?;
    let fitting: Vec<&EndpointStatus> =
        upstream.endpoints.iter().filter(|endpoint| is_meant(&args.endpoint, &endpoint.address)).collect();
    match fitting.as_slice() {
        [one] => Ok(Now { endpoint: (*one).clone(), now_ms: status.now_ms }),
        [] => {
            let addresses = upstream.endpoints.iter().map(|endpoint| endpoint.address.as_str());
            let help = suggest::help(&args.endpoint, "endpoints", addresses);
            Err(Failure::Failed(format!("upstream {} has no endpoint \"{}\"; {help}", upstream.name, args.endpoint)))
        }
        many => {
            let all: Vec<&str> = many.iter().map(|endpoint| endpoint.address.as_str()).collect();
            Err(Failure::Failed(format!("\"{}\" could be any of {}; name one", args.endpoint, all.join(", "))))
        }
    }
}

/// Whether what was typed names an address: whole, by its host, or by its port.
pub(super) fn is_meant(typed: &str, address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return typed == address };
    typed == address || typed == host || typed.strip_prefix(':') == Some(port)
}

#[cfg(test)]
mod tests {
    #[test]
    fn short_forms() {
        for (typed, address, want) in [
            ("10.0.0.1:80", "10.0.0.1:80", true),
            ("10.0.0.1", "10.0.0.1:80", true),
            (":80", "10.0.0.1:80", true),
            ("10.0.0.1", "10.0.0.12:80", false),
            ("80", "10.0.0.1:80", false),
            (":8", "10.0.0.1:80", false),
            ("[::1]", "[::1]:80", true),
        ] {
            assert_eq!(super::is_meant(typed, address), want, "row {typed} {address}");
        }
    }
}
