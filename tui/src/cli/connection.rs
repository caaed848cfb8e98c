// SPDX-License-Identifier: MIT OR Apache-2.0
//! `connections`: the client connections and UDP sessions that are open, and the end of one.

use http::Method;
use serde_json::Value;
use weirgate_store::wire::ConnectionInfo;

use super::args::{ConnectionVerb, ConnectionsArgs};
use super::human;
use super::line::Style;
use super::table::Table;
use super::terminal::{Failure, Terminal};
use crate::client::segment;

pub(crate) async fn run(t: &mut Terminal<'_>, args: &ConnectionsArgs) -> Result<(), Failure> {
    match &args.verb {
        None => list(t, args).await,
        Some(ConnectionVerb::Kill { id }) => kill(t, *id).await,
    }
}

async fn list(t: &mut Terminal<'_>, args: &ConnectionsArgs) -> Result<(), Failure> {
    let mut path = format!("/v1/connections?limit={}", args.limit);
    for (name, value) in [("listener", &args.listener), ("upstream", &args.upstream)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", segment(value)));
        }
    }
    let connections: Vec<ConnectionInfo> = t.client.get(&path).await?;
    if t.json {
        return t.document(&connections);
    }
    let columns = [">ID", "LISTENER", "PROTOCOL", "CLIENT", "UPSTREAM", "ENDPOINT", "SINCE", ">IN", ">OUT"];
    let mut table = Table::new(&columns);
    for one in &connections {
        table.push(vec![
            one.id.to_string().into(),
            Style::Name.of(one.listener.as_str()),
            one.protocol.as_str().into(),
            one.client.as_str().into(),
            one.upstream.as_deref().unwrap_or("-").into(),
            one.endpoint.as_deref().unwrap_or("-").into(),
            human::date_time(one.since_ms, &t.zone).into(),
            human::bytes(one.bytes_in).into(),
            human::bytes(one.bytes_out).into(),
        ]);
    }
    if table.is_empty() { t.say(&["no connections".into()]) } else { t.table(&table) }
}

async fn kill(t: &mut Terminal<'_>, id: u64) -> Result<(), Failure> {
    let answer: Value = t.client.send::<Value, ()>(Method::DELETE, &format!("/v1/connections/{id}"), None).await?;
    if t.json {
        return t.document(&answer);
    }
    t.say(&[Style::Good.of("✓"), format!(" connection {id} is ended").into()])
}
