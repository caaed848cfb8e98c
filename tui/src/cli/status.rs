// SPDX-License-Identifier: MIT OR Apache-2.0
//! `status`: what runs, on one screen; and `explain`, what would happen to one request.

use std::collections::BTreeMap;

use http::Method;
use weirgate_store::wire::{
    EndpointHealth, EndpointOverride, EndpointStatus, ExplainReply, ExplainRequest, OverrideMode, StatusReply,
    StoreHealth, UpstreamStatus,
};

use super::args::ExplainArgs;
use super::endpoint::upstream_of;
use super::line::{Piece, Style};
use super::table::Table;
use super::terminal::{Failure, Terminal};
use super::{canary, human};

pub(crate) async fn status(t: &mut Terminal<'_>, only: Option<&str>) -> Result<(), Failure> {
    let mut status: StatusReply = t.client.get("/v1/status").await?;
    if let Some(name) = only {
        let upstream = upstream_of(&status, name)?.clone();
        if t.json {
            return t.document(&upstream);
        }
        status.upstreams = vec![upstream];
        return print_upstreams(t, &status);
    }
    if t.json {
        return t.document(&status);
    }
    print_head(t, &status)?;
    print_listeners(t, &status)?;
    t.blank()?;
    print_upstreams(t, &status)?;
    for log in &status.logs {
        let words = format!("  to {}, {} lines, {} dropped", log.to, log.written, log.dropped);
        let trouble = log.trouble.as_ref().map(|trouble| Style::Bad.of(format!("  cannot be written: {trouble}")));
        t.say(&[
            Style::Dim.of("log "),
            Style::Name.of(log.name.as_str()),
            words.into(),
            trouble.unwrap_or_else(|| "".into()),
        ])?;
    }
    if status.canaries.is_empty() {
        return Ok(());
    }
    t.blank()?;
    t.table(&canary::table(&status.canaries, status.now_ms))
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
    if status.upstreams.is_empty() {
        return t.say(&["no upstreams".into()]);
    }
    t.table(&upstreams_table(status))?;
    let of = |upstream| remarks(upstream).into_iter().map(move |(style, line)| (style, &upstream.name, line));
    let lines: Vec<(Style, &String, String)> = status.upstreams.iter().flat_map(of).collect();
    if !lines.is_empty() {
        t.blank()?;
    }
    for (style, name, line) in lines {
        t.say(&[style.of(format!("{name}: {line}"))])?;
    }
    Ok(())
}

/// A row per endpoint. What few endpoints have is a column only where one has it.
fn upstreams_table(status: &StatusReply) -> Table {
    let all = || status.upstreams.iter().flat_map(|upstream| &upstream.endpoints);
    let is_measured = all().any(|endpoint| endpoint.latency_us.is_some());
    let mut columns = vec!["UPSTREAM", "ENDPOINT", "HEALTH", ">WEIGHT", ">IN FLIGHT", ">CONNS"];
    columns.extend(is_measured.then_some(">LATENCY"));
    columns.extend([">REQUESTS", ">ERRORS", "NOTE"]);
    let mut table = Table::new(&columns);
    for upstream in &status.upstreams {
        let usable = format!("{} ({}/{})", upstream.name, upstream.usable, upstream.endpoints.len());
        let style = if upstream.usable == 0 { Style::Bad } else { Style::Name };
        let mut name = style.of(usable);
        if upstream.endpoints.is_empty() {
            table.push(vec![std::mem::take(&mut name), Style::Bad.of("no endpoint")]);
        }
        for endpoint in &upstream.endpoints {
            let mut row = vec![
                std::mem::take(&mut name),
                endpoint.address.as_str().into(),
                health(endpoint),
                weight(endpoint).into(),
                human::count(endpoint.in_flight.into()).into(),
                human::count(endpoint.connections.into()).into(),
            ];
            row.extend(is_measured.then(|| human::micros(endpoint.latency_us.unwrap_or(0)).into()));
            row.extend([
                human::count(endpoint.requests).into(),
                human::count(endpoint.errors).into(),
                note(endpoint, status.now_ms).into(),
            ]);
            table.push(row);
        }
    }
    table
}

/// What there is to say of an upstream as a whole.
fn remarks(upstream: &UpstreamStatus) -> Vec<(Style, String)> {
    let mut lines = Vec::new();
    lines.extend(upstream.trouble.clone().map(|trouble| (Style::Bad, trouble)));
    lines.extend(upstream.discovery.clone().map(|found| (Style::Plain, found)));
    if upstream.queued > 0 {
        lines.push((Style::Warn, format!("{} requests wait for a place", human::count(upstream.queued.into()))));
    }
    if let Some(most) = upstream.requests_max {
        lines.push((Style::Plain, format!("at most {} requests in flight are allowed now", human::count(most.into()))));
    }
    lines
}

/// Symbol and word for what an endpoint is doing; an override says more than the health behind it.
pub(crate) fn health(endpoint: &EndpointStatus) -> Piece {
    match (endpoint.overridden.as_ref().map(|o| o.mode), endpoint.health) {
        (Some(OverrideMode::Drain), _) => Style::Warn.of("~ drain"),
        (Some(OverrideMode::Maint), _) => Style::Warn.of("~ maint"),
        (_, EndpointHealth::Down) => Style::Bad.of("✗ down"),
        (_, _) if endpoint.ejected_until_ms.is_some() => Style::Bad.of("✗ ejected"),
        (_, EndpointHealth::Up) => Style::Good.of("✓ up"),
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
    if endpoint.priority > 0 {
        parts.push(format!("priority {}", endpoint.priority));
    }
    parts.extend(endpoint.zone.as_ref().map(|zone| format!("zone {zone}")));
    if !matches!(endpoint.origin.as_str(), "" | "written") {
        parts.push(format!("by {}", endpoint.origin));
    }
    parts.extend(endpoint.overridden.as_ref().map(|set| set_by(set, now_ms)));
    if let Some(until_ms) = endpoint.ejected_until_ms {
        parts.push(format!("ejected for {} more", human::age(until_ms - now_ms)));
    }
    parts.extend(endpoint.share_percent.map(|percent| format!("slow start, {percent} % so far")));
    if endpoint.health != EndpointHealth::Up || endpoint.ejected_until_ms.is_some() {
        parts.push(format!("for {}: {}", human::age(now_ms - endpoint.since_ms), endpoint.reason));
    }
    parts.join(" · ")
}

/// `set by ben 40 s ago, ends in 59 m: kernel update`.
fn set_by(set: &EndpointOverride, now_ms: i64) -> String {
    let mut text = format!("set by {} {} ago", set.owner, human::age(now_ms - set.since_ms));
    if let Some(at_ms) = set.expires_ms {
        text.push_str(&format!(", ends in {}", human::age(at_ms - now_ms)));
    }
    match set.deadline_ms {
        Some(at_ms) if at_ms > now_ms => text.push_str(&format!(", cut in {}", human::age(at_ms - now_ms))),
        Some(_) => text.push_str(", its deadline has passed"),
        None => {}
    }
    if !set.reason.is_empty() {
        text.push_str(&format!(": {}", set.reason));
    }
    text
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
