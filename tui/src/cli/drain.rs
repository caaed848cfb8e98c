// SPDX-License-Identifier: MIT OR Apache-2.0
//! `drain --wait`: what is left at an endpoint, a line whenever that changes, until nothing is.
//!
//! It only looks. Whoever interrupts it has not interrupted the drain.

use std::time::Duration;

use weirgate_store::wire::{ConnectionInfo, EndpointStatus, OverrideMode, StatusReply};

use super::endpoint::upstream_of;
use super::human;
use super::line::Style;
use super::terminal::{Failure, Terminal};
use crate::client::segment;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Shows what is left until nothing is.
pub(super) async fn wait(t: &mut Terminal<'_>, upstream: &str, address: &str) -> Result<(), Failure> {
    let mut said = String::new();
    loop {
        let status: StatusReply = t.client.get("/v1/status").await?;
        let here = upstream_of(&status, upstream)?.endpoints.iter().find(|endpoint| endpoint.address == address);
        let Some(endpoint) = here else { return done(t, upstream, address, "it is gone") };
        let drains = endpoint.overridden.as_ref().is_some_and(|set| set.mode == OverrideMode::Drain);
        if endpoint.in_flight == 0 {
            return done(t, upstream, address, "nothing is in flight");
        }
        if !drains {
            return Err(Failure::Failed(format!(
                "{upstream} {address} is not drained any more; somebody took it back"
            )));
        }
        let left = left(t, upstream, endpoint, status.now_ms).await;
        if left != said {
            print(t, upstream, endpoint, &left)?;
            said = left;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn done(t: &mut Terminal<'_>, upstream: &str, address: &str, why: &str) -> Result<(), Failure> {
    if t.json {
        return Ok(());
    }
    t.say(&[Style::Good.of("✓"), format!(" {upstream} {address}: {why}").into()])
}

fn print(t: &mut Terminal<'_>, upstream: &str, endpoint: &EndpointStatus, left: &str) -> Result<(), Failure> {
    if t.json {
        return t.record(endpoint);
    }
    t.say(&[Style::Warn.of("~"), format!(" {upstream} {}: {left}", endpoint.address).into()])?;
    Ok(t.out.flush()?)
}

/// `3 in flight, 5 connections, the oldest client since 2 m, cut in 4 m 50 s`.
pub(super) async fn left(t: &Terminal<'_>, upstream: &str, endpoint: &EndpointStatus, now_ms: i64) -> String {
    let mut parts = vec![format!("{} in flight", endpoint.in_flight)];
    if endpoint.connections > 0 {
        parts.push(format!("{} connections", endpoint.connections));
    }
    if let Some(since_ms) = oldest(t, upstream, &endpoint.address).await {
        parts.push(format!("the oldest client since {}", human::age(now_ms - since_ms)));
    }
    if let Some(at_ms) = endpoint.overridden.as_ref().and_then(|set| set.deadline_ms) {
        parts.push(format!("cut in {}", human::age(at_ms - now_ms)));
    }
    parts.join(", ")
}

/// Since when the oldest connection is open that the endpoint serves, where the daemon tells.
async fn oldest(t: &Terminal<'_>, upstream: &str, address: &str) -> Option<i64> {
    let path = format!("/v1/connections?upstream={}", segment(upstream));
    let all: Vec<ConnectionInfo> = t.client.get(&path).await.ok()?;
    let served = all.iter().filter(|connection| connection.endpoint.as_deref() == Some(address));
    served.map(|connection| connection.since_ms).min()
}
