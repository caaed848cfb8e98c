// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration as the data path reads it: indexed, checked, immutable, swapped as a whole.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use ipnet::IpNet;
use weirgate_store::model::{ListenerProtocol, ProxyProtocol};

use super::Lead;
use super::membership::Membership;
use crate::balance::Balancer;
use crate::observe::Meter;
use crate::observe::log::Log;
use crate::policy::{Policy, RateLimit};
use crate::protocol::client::ClientTimeouts;
use crate::protocol::http1::HeadLimits;
use crate::route::Table;
use crate::tls::certificate::ServedCertificate;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::health::{self, probe};
use crate::upstream::limits::Overload;
use crate::upstream::sticky::{Place, Sticky};
use crate::upstream::transport::Transport;
use crate::upstream::{outlier, retry};

pub use super::traffic::{Canary, Mirror, Side, Split, Turn};

/// One compiled configuration. Its parts are shared, so that one with another upstream costs no copy of the rest.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub revision: u64,
    pub listeners: Arc<HashMap<Arc<str>, Arc<Listener>>>,
    /// Conditions to an index in `routes`.
    pub table: Arc<Table<u32>>,
    pub routes: Arc<Vec<Route>>,
    /// Indexed by [`Route::upstream`].
    pub upstreams: Vec<Arc<Upstream>>,
    pub certificates: Arc<HashMap<Arc<str>, Arc<ServedCertificate>>>,
    /// The limits of named policies, whose counters the next snapshot takes over.
    pub limits: Arc<HashMap<Arc<str>, RateLimit>>,
    /// Where finished exchanges are written.
    pub logs: Arc<[Arc<Log>]>,
    /// Whether one of them takes spans, so that endpoints are told of the trace.
    pub is_traced: bool,
}

/// An address on which connections arrive.
#[derive(Debug)]
pub struct Listener {
    pub name: Arc<str>,
    /// As configured; port 0 becomes real only when it is bound.
    pub address: SocketAddr,
    pub protocol: ListenerProtocol,
    /// Present on an `https` listener.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Networks whose forwarding fields are believed.
    pub trusted: Vec<IpNet>,
    pub head: HeadLimits,
    pub timeouts: ClientTimeouts,
    pub handshake: Duration,
    /// Silence that ends a tunnel.
    pub tunnel: Duration,
    /// Silence that ends a UDP session.
    pub session: Duration,
    /// Every connection begins with a PROXY header.
    pub proxy_protocol: bool,
    /// Where it leads, if not to routes.
    pub lead: Lead,
    pub connections: usize,
    pub body: u64,
    pub streams: u32,
    /// Requests per connection; 0 is no limit.
    pub requests: u32,
    /// Open connections over all workers; lives as long as the name.
    pub open: Arc<AtomicUsize>,
}

impl Listener {
    /// Whether its connections are read as requests; all others lead to an upstream as they are.
    pub fn has_routes(&self) -> bool {
        matches!(self.protocol, ListenerProtocol::Http | ListenerProtocol::Https)
    }

    /// Whether the forwarding fields of this peer are believed.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&ip))
    }
}

/// What a matching request passes and where it goes.
#[derive(Debug)]
pub struct Route {
    pub name: Arc<str>,
    /// The same number while the name is the same, for limits per route.
    pub identity: u64,
    /// In running order.
    pub policies: Vec<Policy>,
    /// Meaningless where there is a split.
    pub upstream: u32,
    /// How much its requests wait in the queue of an upstream; 0 goes first.
    pub urgency: u8,
    pub split: Option<Box<Split>>,
    pub mirror: Option<Box<Mirror>>,
    pub max_body: Option<u64>,
    /// Whether CONNECT passes.
    pub connect: bool,
    pub meter: Arc<Meter>,
}

/// A group of endpoints and how to use it.
#[derive(Debug)]
pub struct Upstream {
    /// Unique in the process; the same while the name is the same. Workers keep what they learn by it.
    pub id: u64,
    pub name: Arc<str>,
    pub balance: Balancer,
    pub endpoints: Vec<Arc<Endpoint>>,
    /// One per endpoint, in the same order.
    pub endpoint_meters: Vec<Arc<Meter>>,
    /// Which of them are written, and where the others come from.
    pub membership: Membership,
    /// How its endpoints are spoken to.
    pub transport: Arc<Transport>,
    pub retry: retry::Rules,
    pub overload: Overload,
    pub connect: Duration,
    pub response: Duration,
    pub idle: Duration,
    /// Tells each endpoint who the client is.
    pub proxy_protocol: Option<ProxyProtocol>,
    pub health: Option<HealthPlan>,
    pub care: Care,
    /// How a client is kept on the endpoint that served it.
    pub sticky: Option<Sticky>,
    pub meter: Arc<Meter>,
}

impl Upstream {
    /// Where in the list the endpoint of a session stands now.
    pub fn find_place(&self, place: Place) -> Option<usize> {
        let is_it = |endpoint: &Arc<Endpoint>| endpoint.identity == place.identity;
        let hint = place.hint as usize;
        if self.endpoints.get(hint).is_some_and(is_it) {
            return Some(hint);
        }
        self.endpoints.iter().position(is_it)
    }

    /// What is remembered of the endpoint at `at` of the list.
    pub fn place_of(&self, at: usize) -> Option<Place> {
        let identity = self.endpoints.get(at)?.identity;
        Some(Place { identity, hint: u32::try_from(at).unwrap_or(u32::MAX) })
    }
}

/// How the endpoints of an upstream are checked.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthPlan {
    /// None where only an agent is asked.
    pub check: Option<Arc<probe::Check>>,
    pub agent: Option<Arc<probe::agent::AgentCheck>>,
    /// Another port than that of requests.
    pub port: Option<u16>,
    pub timeout: Duration,
    pub rules: health::Rules,
}

/// What an upstream does about its endpoints beyond checking them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Care {
    /// Ejects those that fail requests.
    pub outlier: Option<outlier::Rules>,
    /// With fewer usable endpoints than this, health is ignored; 0 never.
    pub panic_percent: u32,
    /// How long one that came back takes to get its whole weight.
    pub slow_start: Option<Duration>,
}

impl Upstream {
    /// Makes the balancer follow weights that were set live.
    pub fn follow_weights(&self) {
        self.balance.follow(|at| self.endpoints.get(at).map_or(0, |endpoint| endpoint.live.weight()));
    }
}

impl Snapshot {
    /// What runs before the first revision does: nothing.
    pub fn empty() -> Self {
        Self {
            revision: 0,
            listeners: Arc::default(),
            table: Arc::default(),
            routes: Arc::default(),
            upstreams: Vec::new(),
            certificates: Arc::default(),
            limits: Arc::default(),
            logs: Arc::default(),
            is_traced: false,
        }
    }

    /// Whether nothing runs.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.routes.is_empty() && self.upstreams.is_empty()
    }

    /// The upstream of a route, on the side of its split that was taken.
    pub fn upstream_of(&self, route: &Route, turn: Option<Turn>) -> Option<&Arc<Upstream>> {
        let side = route.split.as_ref().zip(turn).and_then(|(split, turn)| split.sides.get(turn.side));
        self.upstreams.get(side.map_or(route.upstream, |side| side.upstream) as usize)
    }

    /// The upstream of that name.
    pub fn upstream(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.upstreams.iter().find(|upstream| &*upstream.name == name)
    }
}
