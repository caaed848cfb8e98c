// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the control API needs of the running gateway, so that it never imports the data path.
//!
//! `runtime` implements it over the workers; the tests of this module over nothing. Preparing is everything that can
//! fail, committing is everything that cannot: between the two the change is made durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use weirgate_store::model::Model;
use weirgate_store::wire::{
    DiffEntry, Effects, EndpointOverride, EndpointStatus, ExplainReply, ExplainRequest, IssuedKey, KeyInfo,
    ListenerStatus, Problem, RevisionInfo, StoreStatus, UpstreamStatus,
};

/// A future of a trait method.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The numbers and states of the data path at one moment.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    pub listeners: Vec<ListenerStatus>,
    pub upstreams: Vec<UpstreamStatus>,
    pub connections: u64,
    pub connections_max: u64,
    pub workers: u32,
    pub draining: bool,
}

/// What happened to issued keys, for the table that workers look them up in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// These hashes now prove that consumer, until `expires_ms` if set.
    Issued { consumer: Arc<str>, hashes: Vec<[u8; 32]>, expires_ms: Option<i64> },
    /// This hash proves nobody any more.
    Revoked { hash: [u8; 32] },
}

/// The running gateway.
pub trait Appliance: Send + Sync {
    /// Does everything that can fail about running a model: compiles it, loads certificates, binds new listeners.
    /// Dropping the result undoes it.
    fn prepare(&self, model: Arc<Model>, revision: u64) -> Later<'_, Result<Box<dyn Prepared>, Vec<Problem>>>;

    /// Client connections that are open; asked every second.
    fn connections(&self) -> u64;

    /// What runs now.
    fn vitals(&self) -> Vitals;

    /// Sets or takes back an override of one endpoint; `None` if there is no such endpoint.
    fn set_override(&self, upstream: &str, address: &str, set: EndpointOverride) -> Option<EndpointStatus>;

    /// What would happen to a request.
    ///
    /// # Errors
    /// A sentence about what cannot be understood of the request.
    fn explain(&self, request: &ExplainRequest) -> Result<ExplainReply, String>;

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

/// A change that is about to run.
#[derive(Clone, Debug)]
pub struct Draft {
    pub number: u64,
    pub model: Arc<Model>,
    pub author: String,
    pub comment: String,
    pub diff: Vec<DiffEntry>,
}

/// A change that was made durable.
#[derive(Clone, Debug)]
pub struct Kept {
    pub info: RevisionInfo,
    /// Set when it is kept as text only.
    pub warning: Option<String>,
}

/// One line of the audit: a thing outside revisions that somebody changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditLine {
    pub time_ms: i64,
    pub author: String,
    pub text: String,
}

/// What is remembered over restarts. `Err` is a sentence for the operator.
pub trait Archive: Send + Sync {
    /// Replaces every secret of a model by what may be kept of it.
    ///
    /// # Errors
    /// Keys that cannot be read or kept.
    fn seal(&self, model: Model) -> Result<Model, Vec<Problem>>;

    /// Makes a revision durable.
    fn append(&self, draft: Draft) -> Later<'_, Result<Kept, String>>;

    /// All revisions, newest first.
    fn history(&self) -> Later<'_, Vec<RevisionInfo>>;

    /// One revision.
    fn revision(&self, number: u64) -> Later<'_, Option<Model>>;

    /// Makes a new key, durably. The second part is its hash.
    fn issue_key(&self, ask: KeyAsk) -> Later<'_, Result<(IssuedKey, [u8; 32]), String>>;

    /// Takes in secrets that were made elsewhere, durably; the hashes of those that are new.
    fn import_keys(&self, consumer: Arc<str>, secrets: Vec<String>) -> Later<'_, Result<Vec<[u8; 32]>, String>>;

    /// Forgets a key, durably; its hash, or `None` if there was no such key.
    fn revoke_key(&self, consumer: Arc<str>, id: String) -> Later<'_, Result<Option<[u8; 32]>, String>>;

    /// The issued keys of a consumer.
    fn keys(&self, consumer: Arc<str>) -> Later<'_, Result<Vec<KeyInfo>, String>>;

    /// Keeps an override; one that is as configured is forgotten.
    fn put_override(&self, upstream: String, address: String, set: EndpointOverride) -> Later<'_, Result<(), String>>;

    /// Adds a line to the audit.
    fn audit(&self, line: AuditLine) -> Later<'_, Result<(), String>>;

    /// The last lines of the audit, newest first.
    fn audit_lines(&self, count: usize) -> Later<'_, Result<Vec<AuditLine>, String>>;

    /// How it is.
    fn status(&self) -> Later<'_, StoreStatus>;
}

/// A key that is to be made.
#[derive(Clone, Debug)]
pub struct KeyAsk {
    pub consumer: Arc<str>,
    pub comment: String,
    pub expires_ms: Option<i64>,
}
