// SPDX-License-Identifier: MIT OR Apache-2.0
//! `drain`, `ready`, `maint` and `weight`: what stands over the configuration of one endpoint until it is taken back.
//!
//! Mode and weight are independent for the operator and one record for the daemon, so each verb keeps the other half
//! as it is.

use http::Method;
use weirgate_store::suggest;
use weirgate_store::wire::{EndpointStatus, OverrideMode, OverrideRequest, StatusReply};

use super::args::{OverrideArgs, WeightArgs};
use super::line::Style;
use super::status::health;
use super::terminal::{Failure, Terminal};
use crate::client::segment;

pub(crate) async fn set_mode(t: &mut Terminal<'_>, mode: OverrideMode, args: &OverrideArgs) -> Result<(), Failure> {
    let now = find(t, args).await?;
    let weight = now.overridden.as_ref().and_then(|o| o.weight);
    send(t, args, &now, OverrideRequest { mode, weight, reason: args.reason.clone(), ..OverrideRequest::default() })
        .await
}

pub(crate) async fn set_weight(t: &mut Terminal<'_>, args: &WeightArgs) -> Result<(), Failure> {
    let now = find(t, &args.target).await?;
    let mode = now.overridden.as_ref().map(|o| o.mode).unwrap_or_default();
    let reason = args.target.reason.clone();
    send(t, &args.target, &now, OverrideRequest { mode, weight: args.weight, reason, ..OverrideRequest::default() })
        .await
}

async fn send(
    t: &mut Terminal<'_>,
    args: &OverrideArgs,
    now: &EndpointStatus,
    request: OverrideRequest,
) -> Result<(), Failure> {
    if args.dry_run {
        return print_plan(t, args, now, &request);
    }
    let (upstream, address) = (segment(&args.upstream), segment(&now.address));
    let path = format!("/v1/upstreams/{upstream}/endpoints/{address}/override");
    let after: EndpointStatus = t.client.send(Method::PUT, &path, Some(&request)).await?;
    if t.json {
        return t.document(&after);
    }
    let name = format!("{} {}", args.upstream, after.address);
    let facts = format!("  weight {}  in flight {}", after.weight, after.in_flight);
    t.say(&[Style::Name.of(name), "  ".into(), health(&after), facts.into()])
}

fn print_plan(
    t: &mut Terminal<'_>,
    args: &OverrideArgs,
    now: &EndpointStatus,
    request: &OverrideRequest,
) -> Result<(), Failure> {
    if t.json {
        return t.document(request);
    }
    let old = now.overridden.as_ref().map(|o| o.mode).unwrap_or_default();
    let name = format!("~ {} {}", args.upstream, now.address);
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

/// The endpoint that is meant: the whole address, or a host or a port that only one has.
async fn find(t: &Terminal<'_>, args: &OverrideArgs) -> Result<EndpointStatus, Failure> {
    let status: StatusReply = t.client.get("/v1/status").await?;
    let names = status.upstreams.iter().map(|upstream| upstream.name.as_str());
    let Some(upstream) = status.upstreams.iter().find(|upstream| upstream.name == args.upstream) else {
        let help = suggest::help(&args.upstream, "upstreams", names);
        return Err(Failure::Failed(format!("no upstream named \"{}\"; {help}", args.upstream)));
    };
    let fitting: Vec<&EndpointStatus> =
        upstream.endpoints.iter().filter(|endpoint| is_meant(&args.endpoint, &endpoint.address)).collect();
    match fitting.as_slice() {
        [one] => Ok((*one).clone()),
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

fn is_meant(typed: &str, address: &str) -> bool {
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
