// SPDX-License-Identifier: MIT OR Apache-2.0
//! What would happen to a request, stage by stage, without sending it: the same code that decides, asked for reasons.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ::http::{Method, Uri};
use weirgate_store::wire::{ExplainReply, ExplainRequest, ExplainStep};

use super::{edge, forward};
use crate::balance::{Ask, Keyed, Turns};
use crate::clock;
use crate::config::snapshot::{Mirror, Route, Side, Snapshot, Turn, Upstream};
use crate::exchange::part::Seen;
use crate::exchange::{Client, Fields, Known, Protocol, Request, RequestId, Scheme};
use crate::fault::Fault;
use crate::policy::{self, Credentials, Identity, Notes};
use crate::protocol::target::{self, Target};
use crate::route::{Explanation, Query};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::latency;

/// A request as it was described.
struct Asked {
    head: Request,
    client: Client,
    client_ip: IpAddr,
}

/// Explains `request` against a snapshot.
///
/// # Errors
/// A sentence about what cannot be understood of the request as it was described. A request that is understood and
/// would be refused is an answer, not an error.
pub fn explain(
    snapshot: &Snapshot,
    credentials: &Credentials,
    request: &ExplainRequest,
) -> Result<ExplainReply, String> {
    let mut reply = ExplainReply { revision: snapshot.revision, ..empty() };
    let mut asked = match read(request)? {
        Ok(asked) => asked,
        Err(fault) => return Ok(refused(reply, "normalise", &fault, Vec::new())),
    };
    reply.steps.push(normalised(&asked));
    let query = Query {
        host: asked.head.host(),
        path: asked.head.matched(),
        query: asked.head.query(),
        method: &asked.head.method,
        fields: &asked.head.fields,
    };
    let explanation = snapshot.table.explain(&query);
    let losers = losers(&explanation);
    let Some(winner) = &explanation.winner else {
        let fault = if explanation.allowed.is_empty() {
            Fault::NoRoute
        } else {
            let allowed: Vec<_> = explanation.allowed.iter().map(Method::as_str).collect();
            Fault::Method { allowed: allowed.join(", ") }
        };
        return Ok(refused(reply, "route", &fault, losers));
    };
    let route = snapshot.routes.get(*winner.value as usize).ok_or("the route table and the routes differ")?;
    let decision = format!("{}: {}", route.name, winner.why);
    reply.steps.push(ExplainStep { stage: "route".to_owned(), decision, details: losers });
    reply.route = Some(route.name.to_string());
    if let Err((lines, fault)) = explain_policies(route, credentials, &mut asked, &mut reply) {
        return Ok(refused(reply, "policies", &fault, lines));
    }
    let turn = explain_split(snapshot, route, &asked, &mut reply);
    if let Some(upstream) = snapshot.upstream_of(route, turn) {
        match forward::explain_limits(upstream) {
            Ok(step) => reply.steps.extend(step),
            Err(fault) => return Ok(refused(reply, "limits", &fault, Vec::new())),
        }
    }
    Ok(explain_balance(snapshot, route, turn, &asked, reply))
}

fn empty() -> ExplainReply {
    ExplainReply { revision: 0, steps: Vec::new(), verdict: String::new(), status: None, route: None, upstream: None }
}

fn refused(mut reply: ExplainReply, stage: &str, fault: &Fault, details: Vec<String>) -> ExplainReply {
    let facts = fault.facts();
    reply.verdict = format!("{}: {fault}", facts.status);
    reply.status = Some(facts.status);
    let decision = format!("refused with {}: {fault}", facts.status);
    reply.steps.push(ExplainStep { stage: stage.to_owned(), decision, details });
    reply
}

fn read(request: &ExplainRequest) -> Result<Result<Asked, Fault>, String> {
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| format!("\"{}\" is not a method; write one such as GET", request.method))?;
    let uri: Uri = request.url.parse().map_err(|error| {
        format!("\"{}\" is not a URL ({error}); write one such as http://api.example.com/orders", request.url)
    })?;
    let authority = uri
        .authority()
        .ok_or_else(|| format!("\"{}\" names no host; write one such as http://api.example.com/orders", request.url))?;
    let client_ip = match &request.client {
        Some(text) => text.parse().map_err(|_| format!("\"{text}\" is not an IP address"))?,
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let mut fields = Fields::new();
    if !request.headers.keys().any(|name| name.eq_ignore_ascii_case("host")) {
        fields.push_known(Known::Host, authority.as_str().as_bytes());
    }
    for (name, value) in &request.headers {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    // The text of the URL and not the parsed one: a parser may drop what must be refused.
    let path =
        request.url.split_once(authority.as_str()).map_or("/", |(_, rest)| if rest.is_empty() { "/" } else { rest });
    let raw = fields.store(path.as_bytes());
    Ok(target::http1(::http::Version::HTTP_11, &method, raw, &mut fields).map(|target| {
        edge::clean_request(&mut fields, false);
        let Target { host, authority, path, matched, query, .. } = target;
        let protocol = Protocol::Http11;
        let head = Request { method, protocol, fields, host, authority, path, matched, query };
        let scheme = if uri.scheme_str() == Some("https") { Scheme::Https } else { Scheme::Http };
        let client = Client::new(SocketAddr::new(client_ip, 0), "explain".into(), scheme);
        Asked { head, client, client_ip }
    }))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn normalised(asked: &Asked) -> ExplainStep {
    let (sent, matched) = (text(asked.head.path()), text(asked.head.matched()));
    let mut details = vec![format!("client {}", asked.client_ip)];
    if sent != matched {
        details.push(format!("sent to the endpoint as {sent}"));
    }
    let query = asked.head.query().map_or_else(String::new, |query| format!("?{}", text(query)));
    let decision = format!("{} {}{matched}{query}", asked.head.method, text(asked.head.host()));
    ExplainStep { stage: "normalise".to_owned(), decision, details }
}

fn losers(explanation: &Explanation<'_, u32>) -> Vec<String> {
    let mut lines: Vec<_> =
        explanation.losers.iter().map(|loser| format!("{} lost: {}", loser.name, loser.why)).collect();
    if explanation.more > 0 {
        lines.push(format!("and {} more", explanation.more));
    }
    lines
}

fn explain_policies(
    route: &Route,
    credentials: &Credentials,
    asked: &mut Asked,
    reply: &mut ExplainReply,
) -> Result<(), (Vec<String>, Fault)> {
    if route.policies.is_empty() {
        return Ok(());
    }
    let (mut identity, mut notes) = (Identity::default(), Notes::new());
    let mut request = policy::Request {
        head: &mut asked.head,
        id: RequestId(0),
        client: &asked.client,
        client_ip: asked.client_ip,
        route: route.identity,
        credentials: &credentials.unobserved(),
        identity: &mut identity,
        notes: &mut notes,
        now_ns: clock::since_start_ns(),
        now_s: clock::wall_ms() / 1000,
    };
    let details = policy::explain(&route.policies, &mut request)?;
    let decision = match &identity.consumer {
        Some(consumer) => format!("pass, as consumer {}", consumer.name),
        None => "pass".to_owned(),
    };
    reply.steps.push(ExplainStep { stage: "policies".to_owned(), decision, details });
    Ok(())
}

fn explain_balance(
    snapshot: &Snapshot,
    route: &Route,
    turn: Option<Turn>,
    asked: &Asked,
    mut reply: ExplainReply,
) -> ExplainReply {
    let Some(upstream) = snapshot.upstream_of(route, turn) else {
        return refused(reply, "balance", &Fault::Internal("the route has no upstream"), Vec::new());
    };
    reply.upstream = Some(upstream.name.to_string());
    let ask = ask(upstream, asked);
    let view = |at: usize| upstream.endpoints.get(at).map(|endpoint| endpoint.candidate()).unwrap_or_default();
    let details = endpoint_lines(upstream, &ask);
    let kept = forward::read_kept(upstream, &asked.head.fields, clock::wall_ms() / 1000);
    let kept = forward::choose_kept(kept, upstream, &[]);
    let Some(choice) = kept.or_else(|| upstream.balance.pick(&Turns::default(), &ask, view)) else {
        let reason = details.join(", ");
        let fault = Fault::NoEndpoint { upstream: upstream.name.clone(), reason };
        return refused(reply, "balance", &fault, details);
    };
    let name = |at: usize| upstream.endpoints.get(at).map_or("?", |endpoint| &*endpoint.name);
    let decision = choice.explain(name).to_string();
    reply.verdict = format!("goes to {} of upstream {} by route {}", name(choice.index), upstream.name, route.name);
    reply.steps.push(ExplainStep { stage: "balance".to_owned(), decision, details });
    reply
}

/// The side of the route's split, and the copy that its mirror would make.
fn explain_split(snapshot: &Snapshot, route: &Route, asked: &Asked, reply: &mut ExplainReply) -> Option<Turn> {
    if let Some(mirror) = &route.mirror {
        let Mirror { name, share, body_bytes_max, .. } = &**mirror;
        let decision = format!(
            "{share} of 100 requests are copied to upstream {name}, with bodies of up to {body_bytes_max} bytes"
        );
        reply.steps.push(ExplainStep { stage: "mirror".to_owned(), decision, details: Vec::new() });
    }
    let split = route.split.as_ref()?;
    let seen = Seen {
        fields: &asked.head.fields,
        path: asked.head.matched(),
        query: asked.head.query(),
        source: asked.client_ip,
        certificate: None,
    };
    let kept = || forward::side_kept(snapshot, split, &asked.head.fields, clock::wall_ms() / 1000);
    let turn = split.choose(&seen, fastrand::u64(..), kept)?;
    let side = |(at, side): (usize, &Side)| format!("{} has {}", side.name, split.weight(at));
    let details = split.sides.iter().enumerate().map(side).collect();
    let decision = split.explain(turn).to_string();
    let decision = decision.strip_prefix("split: ").unwrap_or(&decision).to_owned();
    reply.steps.push(ExplainStep { stage: "split".to_owned(), decision, details });
    Some(turn)
}

fn ask(upstream: &Upstream, asked: &Asked) -> Ask {
    let key = upstream.balance.key(Keyed {
        path: asked.head.matched(),
        query: asked.head.query(),
        fields: &asked.head.fields,
        certificate: None,
    });
    let now_ms = latency::millis(clock::since_start_ns());
    Ask { source: asked.client_ip, seed: fastrand::u64(..), now_ms, key }
}

fn endpoint_lines(upstream: &Upstream, ask: &Ask) -> Vec<String> {
    let line = |(at, endpoint): (usize, &std::sync::Arc<Endpoint>)| {
        let standing = endpoint.standing();
        let place = match (endpoint.backup, endpoint.priority) {
            (true, _) => ", backup".to_owned(),
            (false, 0) => String::new(),
            (false, priority) => format!(", priority {priority}"),
        };
        let zone = endpoint.zone.as_deref().map(|zone| format!(", zone {zone}")).unwrap_or_default();
        let score = upstream.balance.score(ask, at, &endpoint.candidate());
        let score = score.map(|score| format!(": {score}")).unwrap_or_default();
        let (weight, in_flight) = (endpoint.live.weight(), endpoint.live.in_flight());
        format!("{} is {standing}, weight {weight}, in-flight {in_flight}{place}{zone}{score}", endpoint.name)
    };
    upstream.endpoints.iter().enumerate().take(LISTED_MAX).map(line).collect()
}

/// Endpoints that one explanation lists.
const LISTED_MAX: usize = 32;
