// SPDX-License-Identifier: MIT OR Apache-2.0
//! `status`: what runs, on one screen; and `explain`, what would happen to one request.

use std::collections::BTreeMap;

use http::Method;
use weirgate_store::wire::{
    EndpointHealth, EndpointStatus, ExplainReply, ExplainRequest, OverrideMode, StatusReply, StoreHealth,
};

use super::args::ExplainArgs;
use super::human;
use super::line::{Piece, Style};
use super::table::Table;
use super::terminal::{Failure, Terminal};

pub(crate) async fn status(t: &mut Terminal<'_>) -> Result<(), Failure> {
    let status: StatusReply = t.client.get("/v1/status").await?;
    if t.json {
        return t.document(&status);
    }
    print_head(t, &status)?;
    print_listeners(t, &status)?;
    print_upstreams(t, &status)
}

fn print_head(t: &mut Terminal<'_>, status: &StatusReply) -> Result<(), Failure> {
    let up = human::age(status.now_ms - status.started_ms);
    let facts = format!(
        " {} on {}   pid {} · up {up} · {} workers · you are {}",
        status.version, status.instance, status.pid, status.workers, status.role
    );
    t.say(&[Style::Bold.of("weirgate"), facts.into()])?;
    let revision = &status.revision;
    let when = human::date_time(revision.time_ms, &t.zone);
    let comment = if revision.comment.is_empty() { String::new() } else { format!(": {}", revision.comment) };
    t.say(&[format!("revision {} applied {when} by {}{comment}", revision.number, revision.author).into()])?;
    let store = match status.store.health {
        StoreHealth::Ok => Style::Good.of("✓ store ok"),
        StoreHealth::Degraded => Style::Warn.of("! store degraded"),
        StoreHealth::Failed => Style::Bad.of("✗ store failed"),
    };
    let message = if status.store.message.is_empty() { String::new() } else { format!(": {}", status.store.message) };
    t.say(&[store, message.into()])?;
    let (now, most) = (human::count(status.connections), human::count(status.connections_max));
    t.say(&[format!("{now} of {most} connections").into()])?;
    if status.draining {
        t.say(&[Style::Warn.of("! shutting down: no new connections, those in flight finish")])?;
    }
    Ok(())
}

fn print_listeners(t: &mut Terminal<'_>, status: &StatusReply) -> Result<(), Failure> {
    let mut table = Table::new(&["LISTENER", "ADDRESS", "PROTOCOL", ">CONNECTIONS", ">MOST"]);
    for listener in &status.listeners {
        table.push(vec![
            Style::Name.of(listener.name.as_str()),
            listener.address.as_str().into(),
            listener.protocol.as_str().into(),
            human::count(listener.connections).into(),
            human::count(listener.connections_max).into(),
        ]);
    }
    t.blank()?;
    if table.is_empty() { t.say(&["no listeners: nothing is accepted".into()]) } else { t.table(&table) }
}

fn print_upstreams(t: &mut Terminal<'_>, status: &StatusReply) -> Result<(), Failure> {
    let columns = ["UPSTREAM", "ENDPOINT", "HEALTH", ">WEIGHT", ">IN FLIGHT", ">REQUESTS", ">ERRORS", "NOTE"];
    let mut table = Table::new(&columns);
    for upstream in &status.upstreams {
        let usable = format!("{} ({}/{})", upstream.name, upstream.usable, upstream.endpoints.len());
        let style = if upstream.usable == 0 { Style::Bad } else { Style::Name };
        let mut name = style.of(usable);
        for endpoint in &upstream.endpoints {
            table.push(vec![
                std::mem::take(&mut name),
                endpoint.address.as_str().into(),
                health(endpoint),
                weight(endpoint).into(),
                human::count(endpoint.in_flight.into()).into(),
                human::count(endpoint.requests).into(),
                human::count(endpoint.errors).into(),
                note(endpoint, status.now_ms).into(),
            ]);
        }
    }
    t.blank()?;
    if table.is_empty() { t.say(&["no upstreams".into()]) } else { t.table(&table) }
}

/// Symbol and word for what an endpoint is doing; an override says more than the health behind it.
pub(crate) fn health(endpoint: &EndpointStatus) -> Piece {
    match (endpoint.overridden.as_ref().map(|o| o.mode), endpoint.health) {
        (Some(OverrideMode::Drain), _) => Style::Warn.of("~ drain"),
        (Some(OverrideMode::Maint), _) => Style::Warn.of("~ maint"),
        (_, EndpointHealth::Up) => Style::Good.of("✓ up"),
        (_, EndpointHealth::Down) => Style::Bad.of("✗ down"),
        (_, EndpointHealth::Unknown) => Style::Warn.of("? unknown"),
    }
}

fn weight(endpoint: &EndpointStatus) -> String {
    match endpoint.weight == endpoint.configured_weight {
        true => endpoint.weight.to_string(),
        false => format!("{} (of {})", endpoint.weight, endpoint.configured_weight),
    }
}

fn note(endpoint: &EndpointStatus, now_ms: i64) -> String {
    let mut parts = Vec::new();
    if endpoint.backup {
        parts.push("backup".to_owned());
    }
    if let Some(o) = &endpoint.overridden {
        let reason = if o.reason.is_empty() { String::new() } else { format!(": {}", o.reason) };
        parts.push(format!("set by {} {} ago{reason}", o.owner, human::age(now_ms - o.since_ms)));
    }
    if endpoint.health != EndpointHealth::Up {
        parts.push(format!("for {}: {}", human::age(now_ms - endpoint.since_ms), endpoint.reason));
    }
    parts.join(" · ")
}

pub(crate) async fn explain(t: &mut Terminal<'_>, args: &ExplainArgs) -> Result<(), Failure> {
    let request = ExplainRequest {
        method: args.method.clone(),
        url: args.url.clone(),
        headers: fields(&args.headers),
        client: Some(args.client.to_string()),
    };
    let reply: ExplainReply = t.client.send(Method::POST, "/v1/explain", Some(&request)).await?;
    if t.json {
        return t.document(&reply);
    }
    let width = reply.steps.iter().map(|step| step.stage.chars().count()).max().unwrap_or(0);
    for step in &reply.steps {
        t.say(&[Style::Name.of(format!("{:width$}", step.stage)), "  ".into(), step.decision.as_str().into()])?;
        for detail in &step.details {
            t.say(&[" ".repeat(width + 4).into(), Style::Dim.of(detail.as_str())])?;
        }
    }
    t.blank()?;
    // Most verdicts begin with the status already.
    let status = reply.status.map(|status| status.to_string()).filter(|status| !reply.verdict.starts_with(status));
    let status = status.map(|status| format!("{status}: ")).unwrap_or_default();
    t.say(&[Style::Bold.of(status), Style::Bold.of(reply.verdict.as_str())])
}

/// Fields of one name become one field, as a list (RFC 9110, section 5.3).
fn fields(given: &[(String, String)]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::<String, String>::new();
    for (name, value) in given {
        let entry = fields.entry(name.to_ascii_lowercase());
        entry.and_modify(|all| *all = format!("{all}, {value}")).or_insert_with(|| value.clone());
    }
    fields
}
