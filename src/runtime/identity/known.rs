// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of one issuer: its last good key set and its text, since when each key is in it, what failed, what is next.

use std::sync::Arc;
use std::time::Duration;

use weirgate_store::engine::KeySetRecord;
use weirgate_store::wire::{IssuerKey, IssuerStatus};

use super::client::{Address, Got};
use super::schedule;
use crate::clock;
use crate::policy::authenticate::token::jwks::{self, Read};
use crate::policy::authenticate::token::key::Key;
use crate::policy::authenticate::token::keys::Keys;

/// Keys that have gone and are still told of.
const GONE_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Known {
    pub(super) keys: Arc<Keys>,
    pub(super) address: Address,
    /// A running policy needs it.
    pub(super) is_followed: bool,
    pub(super) is_under_way: bool,
    /// When it is fetched again, since the start of the process.
    pub(super) due_ns: u64,
    failures: u32,
    error: Option<String>,
    skipped: Vec<String>,
    timeline: Vec<Told>,
    /// The last good set.
    text: Vec<u8>,
    fetched_ms: Option<i64>,
}

/// A key in the time-line.
#[derive(Clone, Debug)]
struct Told {
    fingerprint: [u8; 32],
    key: IssuerKey,
}

impl Known {
    pub(super) fn new(keys: Arc<Keys>, address: Address) -> Self {
        Self {
            keys,
            address,
            is_followed: false,
            is_under_way: false,
            due_ns: 0,
            failures: 0,
            error: None,
            skipped: Vec::new(),
            timeline: Vec::new(),
            text: Vec::new(),
            fetched_ms: None,
        }
    }

    /// Begins with the set from before the start; it is fetched anew all the same.
    pub(super) fn recall(&mut self, record: &KeySetRecord) {
        if let Ok(read) = jwks::read(&record.text) {
            self.note(&read.keys, record.fetched_ms);
            self.keys.replace(read.keys);
            (self.text, self.fetched_ms) = (record.text.clone(), Some(record.fetched_ms));
        }
    }

    /// A fetch brought a set. Whether there is something new to keep.
    pub(super) fn succeed(&mut self, url: &str, got: &Got, read: Read, now_ns: u64, now_ms: i64) -> bool {
        if read.keys.is_empty() {
            let why = read.skipped.first().map_or_else(|| "it is empty".to_owned(), String::clone);
            return self.fail(url, format!("no key of the set can verify tokens: {why}"), now_ns);
        }
        self.note(&read.keys, now_ms);
        let count = read.keys.len();
        let is_new = self.keys.end(Some(read.keys), now_ns);
        if is_new {
            tracing::info!(url, keys = count, skipped = read.skipped.len(), "an issuer has other keys");
        }
        if self.failures > 0 {
            tracing::info!(url, "an issuer can be asked again");
        }
        (self.failures, self.error, self.skipped) = (0, None, read.skipped);
        self.due_after(schedule::refresh(got.lasts), now_ns);
        self.fetched_ms = Some(now_ms);
        let is_other = self.text != got.body;
        self.text = got.body.to_vec();
        is_other
    }

    /// A fetch brought nothing that counts: what is known stays.
    pub(super) fn fail(&mut self, url: &str, why: String, now_ns: u64) -> bool {
        self.keys.end(None, now_ns);
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            let kept = if self.keys.is_known() { "the last good keys are kept" } else { "no keys are known yet" };
            tracing::warn!(url, why, "the keys of an issuer cannot be fetched; {kept}");
        }
        self.error = Some(why);
        self.due_after(schedule::again(self.failures), now_ns);
        false
    }

    fn due_after(&mut self, wait: Duration, now_ns: u64) {
        self.due_ns = now_ns.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Writes the time-line on.
    fn note(&mut self, keys: &[Key], now_ms: i64) {
        for told in &mut self.timeline {
            let stays = keys.iter().any(|key| key.fingerprint == told.fingerprint);
            told.key.gone_ms = if stays { None } else { told.key.gone_ms.or(Some(now_ms)) };
        }
        for key in keys {
            if !self.timeline.iter().any(|told| told.fingerprint == key.fingerprint) {
                let kid = key.kid.as_deref().map(jwks::shown).unwrap_or_default();
                let algorithms = key.algorithms().map(|algorithm| algorithm.name().to_owned()).collect();
                let told = IssuerKey { kid, algorithms, since_ms: now_ms, gone_ms: None };
                self.timeline.push(Told { fingerprint: key.fingerprint, key: told });
            }
        }
        let gone = self.timeline.iter().filter(|told| told.key.gone_ms.is_some()).count();
        let mut surplus = gone.saturating_sub(GONE_MAX);
        self.timeline.retain(|told| {
            let is_surplus = surplus > 0 && told.key.gone_ms.is_some();
            surplus -= usize::from(is_surplus);
            !is_surplus
        });
    }

    pub(super) fn status(&self, url: &str) -> IssuerStatus {
        let left_ns = self.due_ns.saturating_sub(clock::since_start_ns());
        IssuerStatus {
            url: url.to_owned(),
            fetched_ms: self.fetched_ms,
            next_ms: clock::wall_ms().saturating_add(i64::try_from(left_ns / 1_000_000).unwrap_or(i64::MAX)),
            keys: self.timeline.iter().map(|told| told.key.clone()).collect(),
            skipped: self.skipped.clone(),
            error: self.error.clone(),
        }
    }

    pub(super) fn record(&self, url: &str) -> Option<KeySetRecord> {
        let fetched_ms = self.fetched_ms?;
        Some(KeySetRecord { url: url.to_owned(), text: self.text.clone(), fetched_ms })
    }
}
