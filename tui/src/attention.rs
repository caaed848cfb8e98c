// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an operator should look at now, worst first: pure, from what is known. Each line leads somewhere.

use weirgate_store::wire::{
    CanaryStatus, EndpointHealth, EndpointStatus, OverrideMode, StatusReply, StoreHealth, UpstreamStatus,
};

use crate::live::{Flow, Live};
use crate::text;

/// Share of replies that are 5xx from which a route is worth a look, in percent.
pub const ERROR_PERCENT: u64 = 5;

/// Share of the connection limit from which it is worth a look, in percent.
pub const CONNECTIONS_PERCENT: u64 = 90;

/// Lines kept; with more, the worst are shown and the screens tell the rest.
pub const ATTENTION_MAX: usize = 100;

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Bad,
    Warn,
    Note,
}

/// Where enter goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lead {
    Upstream { name: String, address: Option<String> },
    Route(String),
    Consumer(String),
    System,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    pub level: Level,
    /// Kind and name, such as `upstream shop`.
    pub subject: String,
    pub text: String,
    pub lead: Lead,
    /// What makes it the same line a second later.
    pub id: String,
}

pub fn attention(live: &Live, now_ms: i64) -> Vec<Attention> {
    let mut found = Vec::new();
    if let Some(status) = &live.status {
        system(status, &mut found);
        for upstream in &status.upstreams {
            of_upstream(upstream, now_ms, &mut found);
        }
        for canary in &status.canaries {
            of_canary(canary, now_ms, &mut found);
        }
    }
    for (name, flow) in &live.routes {
        of_route(name, flow, &mut found);
    }
    for (name, flow) in &live.consumers {
        of_consumer(name, flow, &mut found);
    }
    found.sort_by(|a, b| (a.level, &a.id).cmp(&(b.level, &b.id)));
    found.truncate(ATTENTION_MAX);
    found
}

fn system(status: &StatusReply, found: &mut Vec<Attention>) {
    let mut add = |level, id: &str, text: String| {
        found.push(Attention { level, subject: id.to_owned(), text, lead: Lead::System, id: format!("0 {id}") });
    };
    match status.store.health {
        StoreHealth::Ok => {}
        StoreHealth::Degraded => add(Level::Warn, "store", status.store.message.clone()),
        StoreHealth::Failed => add(Level::Bad, "store", status.store.message.clone()),
    }
    for log in &status.logs {
        if let Some(trouble) = &log.trouble {
            add(Level::Warn, &format!("log {}", log.name), format!("cannot be written: {trouble}"));
        }
    }
    if status.draining {
        add(Level::Warn, "daemon", "shutting down: requests in flight finish, no new connections".to_owned());
    }
    let full = status.connections.saturating_mul(100) >= status.connections_max.saturating_mul(CONNECTIONS_PERCENT);
    if full && status.connections_max > 0 {
        let (now, max) = (text::count(status.connections), text::count(status.connections_max));
        add(Level::Warn, "connections", format!("{now} of {max} are open; at the limit new clients are refused"));
    }
}

fn of_upstream(upstream: &UpstreamStatus, now_ms: i64, found: &mut Vec<Attention>) {
    let lead =
        |address: Option<&str>| Lead::Upstream { name: upstream.name.clone(), address: address.map(str::to_owned) };
    let subject = format!("upstream {}", upstream.name);
    if upstream.usable == 0 {
        found.push(Attention {
            level: Level::Bad,
            subject: subject.clone(),
            text: "no endpoint can take a request: clients get 503".to_owned(),
            lead: lead(None),
            id: format!("1 {}", upstream.name),
        });
    }
    if let Some(trouble) = &upstream.trouble {
        found.push(Attention {
            level: Level::Bad,
            subject: subject.clone(),
            text: trouble.clone(),
            lead: lead(None),
            id: format!("1 {} trouble", upstream.name),
        });
    }
    if upstream.queued > 0 {
        found.push(Attention {
            level: Level::Warn,
            subject: subject.clone(),
            text: format!("{} for a place: a limit is reached", waits(upstream.queued)),
            lead: lead(None),
            id: format!("1 {} queue", upstream.name),
        });
    }
    for endpoint in &upstream.endpoints {
        if let Some((level, text)) = of_endpoint(endpoint, now_ms) {
            let id = format!("2 {} {}", upstream.name, endpoint.address);
            let lead = lead(Some(&endpoint.address));
            found.push(Attention { level, subject: subject.clone(), text, lead, id });
        }
    }
}

fn waits(queued: u32) -> String {
    if queued == 1 { "1 request waits".to_owned() } else { format!("{} requests wait", text::count(queued.into())) }
}

/// A canary that does not go on needs an operator.
fn of_canary(canary: &CanaryStatus, now_ms: i64, found: &mut Vec<Attention>) {
    let what = match canary.state.as_str() {
        "back" => "went back",
        "stopped" => "stopped",
        _ => return,
    };
    let since = text::span(now_ms - canary.since_ms);
    found.push(Attention {
        level: Level::Warn,
        subject: format!("route {}", canary.route),
        text: format!("canary {} {what} {since} ago at {} %: {}", canary.upstream, canary.percent, canary.reason),
        lead: Lead::Route(canary.route.clone()),
        id: format!("3 {} canary", canary.route),
    });
}

fn of_endpoint(endpoint: &EndpointStatus, now_ms: i64) -> Option<(Level, String)> {
    let address = &endpoint.address;
    if let Some(over) = endpoint.overridden.as_ref().filter(|o| o.mode != OverrideMode::Ready) {
        let what = if over.mode == OverrideMode::Drain { "draining" } else { "in maintenance" };
        let since = text::span(now_ms - over.since_ms);
        let reason = if over.reason.is_empty() { String::new() } else { format!(": {}", over.reason) };
        return Some((Level::Note, format!("endpoint {address} {what} for {since}, by {}{reason}", over.owner)));
    }
    if let Some(until) = endpoint.ejected_until_ms {
        let left = text::span(until - now_ms);
        return Some((Level::Bad, format!("endpoint {address} ejected for {left} more: {}", endpoint.reason)));
    }
    (endpoint.health == EndpointHealth::Down).then(|| {
        let since = text::span(now_ms - endpoint.since_ms);
        (Level::Bad, format!("endpoint {address} down {since}: {}", endpoint.reason))
    })
}

fn of_route(name: &str, flow: &Flow, found: &mut Vec<Attention>) {
    if flow.errors == 0 || flow.errors.saturating_mul(100) < flow.counted.saturating_mul(ERROR_PERCENT) {
        return;
    }
    found.push(Attention {
        level: Level::Bad,
        subject: format!("route {name}"),
        text: format!(
            "{} of replies are 5xx ({} of the last {})",
            text::percent(flow.errors, flow.counted),
            text::count(flow.errors),
            text::count(flow.counted)
        ),
        lead: Lead::Route(name.to_owned()),
        id: format!("3 {name}"),
    });
}

fn of_consumer(name: &str, flow: &Flow, found: &mut Vec<Attention>) {
    if flow.refused <= 0.0 {
        return;
    }
    found.push(Attention {
        level: Level::Warn,
        subject: format!("consumer {name}"),
        text: format!("refused {}/s by a limit (429)", text::rate(flow.refused)),
        lead: Lead::Consumer(name.to_owned()),
        id: format!("4 {name}"),
    });
}
