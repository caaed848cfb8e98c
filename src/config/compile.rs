// SPDX-License-Identifier: MIT OR Apache-2.0
//! The door from a model to a snapshot.
//!
//! It runs off the request path and touches nothing live: a compiled snapshot that is thrown away has changed nothing.
//! What it makes anew for an object that existed before is only what the object says; what the object lived through
//! (health, requests in flight, counters) comes from the previous snapshot.

mod balance;

mod health;

mod listener;

mod log;

mod policy;

mod route;

mod split;

mod sticky;

mod transport;

mod upstream;

use std::collections::HashMap;
use std::sync::Arc;

use weirgate_store::model::{Discovery, Model};
use weirgate_store::wire::Problem;

use super::Snapshot;
use super::problems::Problems;
use super::snapshot::Upstream;
use crate::observe::Meters;
use crate::observe::log::queue::Queue;
use crate::route::canary::Plan;
use crate::upstream::discovery::Found;
use crate::upstream::health::State;
use crate::upstream::sticky::learned::Entry;

/// What compiling needs besides the model.
#[expect(missing_debug_implementations, reason = "it holds functions")]
pub struct Given<'a> {
    pub meters: &'a Meters,
    pub previous: Option<&'a Snapshot>,
    /// The private key with this fingerprint, in PEM form.
    pub private_key: &'a dyn Fn(&str) -> Result<String, String>,
    /// The health that an endpoint had before the process started.
    pub restored: &'a dyn Fn(&str, &str) -> Option<State>,
    /// The endpoints that this source has found for the upstream of that name.
    pub found: &'a dyn Fn(&str, &Discovery) -> Found,
    /// What sticky sessions are sealed and remembered with.
    pub sticky_secret: &'a [u8; 32],
    /// The sessions of an upstream from before the process started; none once a model runs.
    pub learned: &'a dyn Fn(&str) -> Vec<Entry>,
    /// The share that the canary of a route had reached before the process started, if it is still the same one.
    pub canary: &'a dyn Fn(&str, &Plan) -> Option<u16>,
    /// The way to the writer of a log.
    pub queue: &'a dyn Fn(&str) -> Option<Arc<Queue>>,
}

/// Compiles `model`, or says everything that is wrong with it.
pub fn compile(model: &Model, revision: u64, given: &Given<'_>) -> Result<Snapshot, Vec<Problem>> {
    let mut problems = Problems::default();
    let certificates = listener::certificates(model, given, &mut problems);
    let (upstreams, indices) = upstream::upstreams(model, &certificates, given, &mut problems);
    let listeners = listener::listeners(model, &certificates, &indices, given, &mut problems);
    let named = policy::named(model, given, &mut problems);
    let limits = policy::limits(&named);
    let routes = route::routes(model, &indices, &named, given, &mut problems);
    let logs = log::logs(model, given, &mut problems);
    let table = route::table(model, &mut problems);
    problems.into_result(()).and_then(|()| {
        let table = table.ok_or_else(Vec::new)?;
        Ok(Snapshot {
            revision,
            listeners: listeners.into(),
            table: table.into(),
            routes: routes.into(),
            upstreams,
            certificates: certificates.into(),
            limits: limits.into(),
            is_traced: logs.iter().any(|log| log.traces()),
            logs: logs.into(),
        })
    })
}

/// Compiles one upstream anew, because other endpoints of it were found; `None` if the model has none of that name.
pub fn compile_upstream(model: &Model, name: &str, given: &Given<'_>) -> Option<Upstream> {
    upstream::again(model, name, given)
}

/// Names to places in a list.
type Indices = HashMap<Arc<str>, u32>;

#[cfg(test)]
mod tests;
