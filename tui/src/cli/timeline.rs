// SPDX-License-Identifier: MIT OR Apache-2.0
//! `timeline`: when and why the endpoints of an upstream went up and down, newest first.

use weirgate_store::wire::{EndpointHealth, HealthEvent};

use super::args::TimelineArgs;
use super::endpoint::is_meant;
use super::human;
use super::line::Style;
use super::table::Table;
use super::terminal::{Failure, Terminal};
use crate::client::segment;

pub(crate) async fn timeline(t: &mut Terminal<'_>, args: &TimelineArgs) -> Result<(), Failure> {
    let path = format!("/v1/upstreams/{}/timeline", segment(&args.upstream));
    let mut events: Vec<HealthEvent> = t.client.get(&path).await?;
    events.retain(|event| args.endpoint.as_ref().is_none_or(|typed| is_meant(typed, &event.address)));
    events.sort_by_key(|event| std::cmp::Reverse(event.time_ms));
    events.truncate(args.limit);
    if t.json {
        return t.document(&events);
    }
    let mut table = Table::new(&["TIME", "ENDPOINT", "HEALTH", "WHY"]);
    for event in &events {
        let health = match event.health {
            EndpointHealth::Up => Style::Good.of("✓ up"),
            EndpointHealth::Down => Style::Bad.of("✗ down"),
            EndpointHealth::Unknown => Style::Warn.of("? unknown"),
        };
        table.push(vec![
            human::date_time(event.time_ms, &t.zone).into(),
            Style::Name.of(event.address.as_str()),
            health,
            event.reason.as_str().into(),
        ]);
    }
    if table.is_empty() { t.say(&["nothing has changed yet".into()]) } else { t.table(&table) }
}
