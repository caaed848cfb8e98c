// SPDX-License-Identifier: MIT OR Apache-2.0
//! Issuers of tokens, as the control side knows them: which key sets the running policies need, when each is fetched again,
//! and what became of it.
//!
//! A set is fetched when a policy needs it, again at 80 per cent of the time that the issuer says it holds, and when a token
//! names a key that is not in it (`policy::authenticate::token::keys` sees to it that this is seldom). A fetch that fails
//! changes nothing about the keys that are known, and these outlive the process. One task knows what is due; each fetch is a
//! short task of its own.

mod client;

mod introspect;

mod known;

mod schedule;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use weirgate_store::engine::KeySetRecord;
use weirgate_store::wire::IssuerStatus;

use self::client::{Address, Got};
use self::known::Known;
use crate::clock;
use crate::config::Snapshot;
use crate::policy::authenticate::token::jwks;
use crate::policy::authenticate::token::keys::{KeySource, Keys};
pub(super) use introspect::Introspections;

/// Fetches under way at once; more wait for a place.
const FETCHES_MAX: usize = 8;

/// How finely the schedule is kept. A request that asks is heard at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// All issuers whose keys are fetched.
#[derive(Debug)]
pub(super) struct Issuers {
    /// Rung by requests that name an unknown key, and by a new configuration.
    bell: Arc<Notify>,
    /// The lock is held for a few map operations and never over a wait; the request path knows nothing of it.
    all: Mutex<HashMap<KeySource, Known>>,
    /// Sets from before the start, by address.
    remembered: Mutex<HashMap<String, KeySetRecord>>,
    places: Arc<Semaphore>,
    /// Changes when there is something to keep.
    changed: watch::Sender<u64>,
}

impl Issuers {
    pub(super) fn new(remembered: Vec<KeySetRecord>) -> Self {
        Self {
            bell: Arc::default(),
            all: Mutex::default(),
            remembered: Mutex::new(remembered.into_iter().map(|record| (record.url.clone(), record)).collect()),
            places: Arc::new(Semaphore::new(FETCHES_MAX)),
            changed: watch::Sender::new(0),
        }
    }

    /// The keys that this address publishes: the same ones for all who ask. What nobody uses is forgotten.
    ///
    /// # Errors
    /// A sentence about what is wrong with the address or its authorities.
    pub(super) fn keys(&self, source: &KeySource) -> Result<Arc<Keys>, String> {
        let mut all = self.all();
        all.retain(|_, known| known.is_followed || Arc::strong_count(&known.keys) > 1);
        if let Some(known) = all.get(source) {
            return Ok(Arc::clone(&known.keys));
        }
        let address = Address::new(&source.url, source.ca.as_deref())?;
        let keys = Arc::new(Keys::remote(source.clone(), Arc::clone(&self.bell)));
        let mut known = Known::new(Arc::clone(&keys), address);
        if let Some(record) = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&*source.url) {
            known.recall(record);
        }
        all.insert(source.clone(), known);
        Ok(keys)
    }

    /// Follows the issuers of a snapshot that runs from now on, and no others.
    pub(super) fn adopt(&self, snapshot: &Snapshot) {
        let mut needed = Vec::new();
        for policy in snapshot.routes.iter().flat_map(|route| &route.policies) {
            policy.each_issuer(&mut |keys| needed.extend(keys.source().cloned()));
        }
        let mut all = self.all();
        for (source, known) in &mut *all {
            known.is_followed = needed.contains(source);
        }
        drop(all);
        self.bell.notify_one();
    }

    /// How they are, for whoever looks.
    pub(super) fn statuses(&self) -> Vec<IssuerStatus> {
        let all = self.all();
        let mut statuses: Vec<_> = all
            .iter()
            .filter(|(_, known)| known.is_followed)
            .map(|(source, known)| known.status(&source.url))
            .collect();
        statuses.sort_by(|a, b| a.url.cmp(&b.url));
        statuses
    }

    /// The last good sets, for another process to begin with.
    pub(super) fn records(&self) -> Vec<KeySetRecord> {
        let all = self.all();
        all.iter()
            .filter(|(_, known)| known.is_followed)
            .filter_map(|(source, known)| known.record(&source.url))
            .collect()
    }

    /// Tells when [`records`](Self::records) are others.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<KeySource, Known>> {
        // A panic while it was held cannot have left a map half-changed.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins what is due or asked for.
    fn start_due(self: &Arc<Self>) {
        let now_ns = clock::since_start_ns();
        for (source, known) in &mut *self.all() {
            let is_due = known.due_ns <= now_ns || known.keys.is_wanted();
            if !known.is_followed || known.is_under_way || !is_due {
                continue;
            }
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return };
            known.is_under_way = true;
            known.keys.begin();
            let (issuers, source, address) = (Arc::clone(self), source.clone(), known.address.clone());
            tokio::spawn(async move {
                let said = client::get(&address).await;
                drop(place);
                issuers.take(&source, said);
            });
        }
    }

    /// Takes in what came of a fetch.
    fn take(&self, source: &KeySource, said: Result<Got, String>) {
        let (now_ns, now_ms) = (clock::since_start_ns(), clock::wall_ms());
        let said = said.and_then(|got| jwks::read(&got.body).map(|read| (got, read)));
        let mut all = self.all();
        let Some(known) = all.get_mut(source) else { return };
        known.is_under_way = false;
        let is_kept = match said {
            Ok((got, read)) => known.succeed(&source.url, &got, read, now_ns, now_ms),
            Err(why) => known.fail(&source.url, why, now_ns),
        };
        drop(all);
        if is_kept {
            self.changed.send_modify(|number| *number = number.wrapping_add(1));
        }
        // A place is free, and perhaps somebody asked meanwhile.
        self.bell.notify_one();
    }
}

/// Fetches key sets until the gateway is gone.
pub(super) async fn run(issuers: Weak<Issuers>, bell: Arc<Notify>) {
    loop {
        _ = tokio::time::timeout(LOOK_EVERY, bell.notified()).await;
        let Some(issuers) = issuers.upgrade() else { return };
        issuers.start_due();
    }
}

impl Issuers {
    /// What wakes [`run`].
    pub(super) fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }
}
