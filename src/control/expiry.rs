// SPDX-License-Identifier: MIT OR Apache-2.0
//! Overrides that end by themselves: what has expired is taken back, and a drain whose deadline has passed is cut.
//!
//! One look four times a second at the few overrides there are. It takes the same turn as whoever sets one, so it never
//! takes back a newer override than the one that expired. Times are wall times and are kept, so a restart changes none.

use std::sync::Arc;
use std::time::Duration;

use weirgate_store::wire::EndpointOverride;

use super::Control;
use super::api::{taken_back, words};
use super::seam::{Due, DueOverride};
use crate::clock;

/// How finely the times are kept.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Who the audit names.
const AUTHOR: &str = "weirgate (expiry)";

/// Looks for ever.
pub(super) async fn run(control: Arc<Control>) {
    let mut ticker = tokio::time::interval(LOOK_EVERY);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticker.tick().await;
        let _turn = control.overriding.lock().await;
        for due in control.appliance.due_overrides(clock::wall_ms()) {
            settle(&control, due).await;
        }
    }
}

async fn settle(control: &Control, due: DueOverride) {
    let DueOverride { upstream, address, set, due } = due;
    let by = format!("set by {}{}", set.owner, reason(&set));
    match due {
        Due::Expired => {
            if let Err(error) = control.store.delete_override(&upstream, &address).await {
                tracing::error!("an override that expired cannot be forgotten: {error}");
            }
            // None if the endpoint is gone, which is as good.
            _ = control.appliance.set_override(&upstream, &address, taken_back(&set));
            let what = words(&EndpointOverride { expires_ms: None, deadline_ms: None, ..set }, 0);
            control.audit(AUTHOR.to_owned(), "override", format!("{what} of {upstream}/{address} expired, {by}")).await;
        }
        Due::Deadline => {
            let cut = control.appliance.cut(&upstream, &address).await;
            let detail = format!("{upstream}/{address}: the drain deadline passed with {cut} in flight, {by}");
            control.audit(AUTHOR.to_owned(), "override", detail).await;
        }
    }
}

fn reason(set: &EndpointOverride) -> String {
    if set.reason.is_empty() { String::new() } else { format!(": {}", set.reason) }
}
