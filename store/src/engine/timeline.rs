// SPDX-License-Identifier: MIT OR Apache-2.0
//! The timeline of an upstream: the last so many changes of health of its endpoints, oldest first, as one record.
//!
//! One record, because it is always read whole and its bound is then the bound of a value. Those of upstreams that are
//! gone are forgotten at the next start, so that a rename that is taken back finds its past.

use std::collections::{BTreeMap, BTreeSet};

use super::store::{Store, io};
use super::{Batch, Engine, EngineError, StoreError, Tree};
use crate::wire::HealthEvent;

/// Events that are kept of one upstream.
pub const TIMELINE_EVENTS_MAX: usize = 200;

/// Upstreams whose timelines are kept.
const TIMELINES_MAX: usize = 10_000;

/// Longest reason that is kept.
const REASON_BYTES_MAX: usize = 300;

impl Store {
    /// Adds events to the timelines of their upstreams; the oldest go when there are too many. Not synced.
    pub async fn append_timeline(&self, events: Vec<HealthEvent>) -> Result<(), StoreError> {
        self.call(move |keeper| {
            let batch = staged(events, &*keeper.engine).map_err(io)?;
            let written = keeper.engine.write(batch);
            keeper.after(written.clone());
            written.map_err(io)
        })
        .await
    }

    /// The timeline of an upstream, newest first.
    pub async fn timeline(&self, upstream: &str) -> Result<Vec<HealthEvent>, StoreError> {
        let upstream = upstream.to_owned();
        self.call(move |keeper| {
            let mut events = read(&upstream, &*keeper.engine).map_err(io)?;
            events.reverse();
            Ok(events)
        })
        .await
    }

    /// Forgets the timelines of all other upstreams.
    pub async fn keep_timelines(&self, upstreams: BTreeSet<String>) -> Result<(), StoreError> {
        self.call(move |keeper| {
            let mut batch = Batch::default();
            let mut after: Option<Vec<u8>> = None;
            // In pages: a timeline is some kilobytes.
            while let Some((last, _)) = {
                let page = keeper.engine.scan(Tree::Timeline, &[], after.as_deref(), PAGE).map_err(io)?;
                let gone = |key: &[u8]| !std::str::from_utf8(key).is_ok_and(|name| upstreams.contains(name));
                page.iter().filter(|(key, _)| gone(key)).for_each(|(key, _)| batch.delete(Tree::Timeline, key.clone()));
                page.last().cloned()
            } {
                after = Some(last);
            }
            let written = keeper.engine.write(batch);
            keeper.after(written.clone());
            written.map_err(io)
        })
        .await
    }
}

/// Timelines that are read at once.
const PAGE: usize = 100;

fn staged(events: Vec<HealthEvent>, engine: &dyn Engine) -> Result<Batch, EngineError> {
    let mut by_upstream: BTreeMap<String, Vec<HealthEvent>> = BTreeMap::new();
    for mut event in events {
        if event.reason.len() > REASON_BYTES_MAX {
            let end = (0..=REASON_BYTES_MAX).rev().find(|end| event.reason.is_char_boundary(*end));
            event.reason.truncate(end.unwrap_or(0));
        }
        by_upstream.entry(event.upstream.clone()).or_default().push(event);
    }
    let mut batch = Batch::default();
    for (upstream, mut added) in by_upstream.into_iter().take(TIMELINES_MAX) {
        let mut all = read(&upstream, engine)?;
        all.append(&mut added);
        all.drain(..all.len().saturating_sub(TIMELINE_EVENTS_MAX));
        batch.put(Tree::Timeline, upstream, serde_json::to_vec(&all).unwrap_or_default());
    }
    Ok(batch)
}

fn read(upstream: &str, engine: &dyn Engine) -> Result<Vec<HealthEvent>, EngineError> {
    let found = engine.get(Tree::Timeline, upstream.as_bytes())?;
    // One that cannot be read begins anew: it is a help, not a truth.
    Ok(found.and_then(|value| serde_json::from_slice(&value).ok()).unwrap_or_default())
}
