// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the control API needs of the running gateway, so that it never imports the data path.
//!
//! `runtime` implements it over the workers; the tests of this module over nothing. Preparing is everything that can
//! fail, committing is everything that cannot: between the two the change is made durable.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use weirgate_store::engine::{CanaryRecord, Store, StoreError, UsageStep};
use weirgate_store::model::{Endpoint, Model, Name};
use weirgate_store::wire::{
    CanaryStatus, CanaryVerb, ConnectionInfo, Effects, EndpointOverride, EndpointStatus, ExplainReply, ExplainRequest,
    ListenerStatus, LogStatus, Problem, UpstreamStatus, UsagePoint,
};

/// A future of a trait method.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The numbers and states of the data path at one moment.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    pub listeners: Vec<ListenerStatus>,
    pub upstreams: Vec<UpstreamStatus>,
    pub canaries: Vec<CanaryStatus>,
    pub logs: Vec<LogStatus>,
    pub connections: u64,
    pub connections_max: u64,
    pub workers: u32,
    pub draining: bool,
}

/// What happened to issued keys, for the table that workers look them up in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// These hashes now prove that consumer, until `expires_ms` if set.
    Issued { consumer: Name, hashes: Vec<[u8; 32]>, expires_ms: Option<i64> },
    /// This hash proves nobody any more.
    Revoked { hash: [u8; 32] },
}

/// Why an override is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Expired,
    /// What is still in flight is to be cut.
    Deadline,
}

/// An override whose time has come.
#[derive(Clone, Debug)]
pub struct DueOverride {
    pub upstream: String,
    pub address: String,
    pub set: EndpointOverride,
    pub due: Due,
}

/// What a registration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// There is another endpoint now, or it has another weight or zone.
    New,
    Renewed,
}

/// Why an endpoint cannot register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRegistered {
    /// The upstream does not exist, or takes no registrations.
    NoLease,
    TooMany,
}

/// Which usage is asked for.
#[derive(Clone, Debug)]
pub struct UsageAsked {
    pub step: UsageStep,
    /// Seconds since 1970 UTC, the second one excluded.
    pub from_s: u64,
    pub to_s: u64,
    pub consumer: Option<String>,
}

/// The running gateway.
pub trait Appliance: Send + Sync {
    /// Does everything that can fail about running a model: compiles it, loads certificates, binds new listeners.
    /// Dropping the result undoes it. One model is prepared at a time.
    fn prepare(
        self: Arc<Self>,
        model: Arc<Model>,
        revision: u64,
    ) -> Later<'static, Result<Box<dyn Prepared>, Vec<Problem>>>;

    /// Client connections that are open; asked every second.
    fn connections(&self) -> u64;

    /// What runs now.
    fn vitals(&self) -> Vitals;

    /// Client connections and UDP sessions, at most `limit`, the newest first.
    fn list_connections(
        &self,
        listener: Option<String>,
        upstream: Option<String>,
        limit: usize,
    ) -> Later<'_, Vec<ConnectionInfo>>;

    /// Ends one of them; whether there was one with that number.
    fn kill_connection(&self, id: u64) -> Later<'_, bool>;

    /// Sets or takes back an override of one endpoint; `None` if there is no such endpoint.
    fn set_override(&self, upstream: &str, address: &str, set: EndpointOverride) -> Option<EndpointStatus>;

    /// One endpoint, written or found.
    fn endpoint(&self, upstream: &str, address: &str) -> Option<EndpointStatus>;

    /// Overrides that have expired or whose drain deadline has passed by `now_ms`. A deadline is named once.
    fn due_overrides(&self, now_ms: i64) -> Vec<DueOverride>;

    /// Ends what is in flight to an endpoint; how much that was.
    fn cut(&self, upstream: &str, address: &str) -> Later<'_, u32>;

    /// An endpoint registers itself, or renews that, until `expires_ms`.
    ///
    /// # Errors
    /// Why it cannot.
    fn register(
        &self,
        upstream: &str,
        endpoint: Endpoint,
        expires_ms: i64,
        owner: &str,
    ) -> Result<Registration, NotRegistered>;

    /// An endpoint goes before its lease ends; false if it holds none.
    fn unregister(&self, upstream: &str, address: SocketAddr) -> bool;

    /// Moves the canary of a route; what to keep of that.
    ///
    /// # Errors
    /// Why it cannot be moved so, as a sentence.
    fn move_canary(&self, route: &str, verb: CanaryVerb, author: &str) -> Result<CanaryRecord, String>;

    /// What would happen to a request.
    ///
    /// # Errors
    /// A sentence about what cannot be understood of the request.
    fn explain(&self, request: &ExplainRequest) -> Result<ExplainReply, String>;

    /// What consumers used and the store does not have yet is part of the answer.
    ///
    /// # Errors
    /// What the store says.
    fn usage(&self, store: &Store, asked: UsageAsked) -> Later<'_, Result<Vec<UsagePoint>, StoreError>>;

    /// Makes issued and revoked keys count from now on.
    fn change_keys(&self, change: KeyChange) -> Later<'_, ()>;
}

/// A model that is ready to run.
pub trait Prepared: Send {
    /// What running it will do to live traffic.
    fn effects(&self) -> Effects;

    /// Runs it. Cannot fail.
    fn commit(self: Box<Self>) -> Later<'static, ()>;
}
