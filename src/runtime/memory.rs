// SPDX-License-Identifier: MIT OR Apache-2.0
//! What outlives the process and is no configuration: health, its timeline and what discovery found, written to the store
//! when it changed, at most once a second; how far canaries got, at each move; and the sessions of sticky clients, now and
//! then and at the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use weirgate_store::engine::{AuditEntry, CanaryRecord, LearnedRecord, Store};
use weirgate_store::wire::ExchangeRecord;

use super::appliance::{Gateway, Traffic};
use super::canary::ITSELF;
use crate::clock;
use crate::upstream::sticky::Sticky;
use crate::upstream::sticky::learned::Entry;

/// Changes within this time are written together.
const EVERY: Duration = Duration::from_secs(1);

/// How often the sessions of sticky clients are written: a crash forgets those that were learnt since.
const LEARNED_EVERY: Duration = Duration::from_secs(60);

/// Keeps the health of every endpoint, for ever.
pub(super) async fn keep_health(gateway: Arc<Gateway>, store: Store) {
    let mut tellings = gateway.tellings();
    tidy(&gateway, &store).await;
    while tellings.changed().await.is_ok() {
        // The first news at once: whoever looks because something has just happened wants to see it.
        append(&gateway, &store).await;
        tokio::time::sleep(EVERY).await;
        tellings.mark_unchanged();
        keep_now(&gateway, &store).await;
    }
}

/// Between two looks at whether discovery has found something to keep. A lease that is renewed is, too.
const FOUND_EVERY: Duration = Duration::from_secs(2);

/// Keeps what discovery found, for ever.
pub(super) async fn keep_found(gateway: Arc<Gateway>, store: Store) {
    loop {
        tokio::time::sleep(FOUND_EVERY).await;
        keep_found_now(&gateway, &store).await;
    }
}

async fn keep_found_now(gateway: &Gateway, store: &Store) {
    let Some((found, leases)) = gateway.found_to_keep() else { return };
    if let Err(error) = store.put_found(found, leases).await {
        tracing::error!("found endpoints cannot be kept: {error}");
    }
}

/// Writes what is known now.
pub(super) async fn keep_now(gateway: &Gateway, store: &Store) {
    keep_found_now(gateway, store).await;
    append(gateway, store).await;
    if let Err(error) = store.put_health(gateway.known()).await {
        tracing::error!("the health of endpoints cannot be kept: {error}");
    }
}

async fn append(gateway: &Gateway, store: &Store) {
    let events = gateway.take_events();
    if events.is_empty() {
        return;
    }
    if let Err(error) = store.append_timeline(events).await {
        tracing::error!("the timeline of endpoints cannot be kept: {error}");
    }
}

/// Forgets the timelines of upstreams that are gone, unless nothing runs at all.
async fn tidy(gateway: &Gateway, store: &Store) {
    let snapshot = gateway.snapshot();
    if snapshot.is_empty() {
        return;
    }
    let names = snapshot.upstreams.iter().map(|upstream| upstream.name.to_string()).collect();
    if let Err(error) = store.keep_timelines(names).await {
        tracing::error!("old timelines cannot be removed: {error}");
    }
}

/// What traffic left behind before the process started.
pub(super) async fn traffic(store: &Store) -> Traffic {
    let entry = |record: LearnedRecord| {
        let LearnedRecord { tag, identity, used_s } = record;
        Entry { tag, identity, used_s }
    };
    let learned = store.learned().await.unwrap_or_else(|error| {
        tracing::error!("the sessions of sticky clients cannot be read and are lost: {error}");
        Vec::new()
    });
    let canaries = store.canaries().await.unwrap_or_else(|error| {
        tracing::error!("how far canaries got cannot be read, so each begins with its first step: {error}");
        Vec::new()
    });
    let learned = learned.into_iter().map(|(name, records)| (name, records.into_iter().map(entry).collect())).collect();
    Traffic { canaries, learned }
}

/// Keeps how far canaries got, whenever one moves, for ever.
pub(super) async fn keep_canaries(gateway: Arc<Gateway>, store: Store) {
    let mut records = gateway.canaries.records();
    // What is known of routes that are gone is forgotten with the first look.
    let mut kept = store.canaries().await.unwrap_or_default();
    loop {
        let now = records.borrow_and_update().clone();
        put_canaries(&store, &kept, &now).await;
        kept = now;
        if records.changed().await.is_err() {
            return;
        }
    }
}

async fn put_canaries(store: &Store, before: &[CanaryRecord], now: &[CanaryRecord]) {
    for record in now.iter().filter(|record| !before.contains(record)) {
        if let Err(error) = store.put_canary(record).await {
            tracing::error!(route = record.route, "how far a canary got cannot be kept: {error}");
        }
        // What an operator asked for is in the audit already.
        if record.author == ITSELF {
            let (verb, result) = ("canary".to_owned(), "done".to_owned());
            let detail = format!("route {}: {}", record.route, record.reason);
            let author = ITSELF.to_owned();
            let time_ms = record.since_ms;
            let entry = AuditEntry { time_ms, author, verb, detail, result, ..AuditEntry::default() };
            if let Err(error) = store.append_audit(entry).await {
                tracing::error!("the audit cannot be kept: {error}");
            }
        }
    }
    for gone in before.iter().filter(|gone| !now.iter().any(|record| record.route == gone.route)) {
        if let Err(error) = store.delete_canary(&gone.route).await {
            tracing::error!(route = gone.route, "a canary that is gone cannot be forgotten: {error}");
        }
    }
}

/// Keeps the last failed exchanges, for ever.
pub(super) async fn keep_failures(gateway: Arc<Gateway>, store: Store) {
    loop {
        tokio::time::sleep(EVERY).await;
        keep_failures_now(&gateway, &store).await;
    }
}

/// Writes the failures that the store does not have yet.
pub(super) async fn keep_failures_now(gateway: &Gateway, store: &Store) {
    let failed = gateway.observer().tap.take_unkept();
    if failed.is_empty() {
        return;
    }
    let records = failed.iter().map(|record| ExchangeRecord::clone(record)).collect();
    if let Err(error) = store.append_failures(records).await {
        tracing::error!("failed exchanges cannot be kept: {error}");
    }
}

/// Keeps the sessions of sticky clients, now and then, for ever.
pub(super) async fn keep_learned(gateway: Arc<Gateway>, store: Store) {
    let known = store.learned().await.unwrap_or_default();
    let mut kept: HashMap<Arc<str>, u64> = known.into_iter().map(|(name, _)| (name.into(), u64::MAX)).collect();
    loop {
        tokio::time::sleep(LEARNED_EVERY).await;
        put_learned(&gateway, &store, &mut kept).await;
    }
}

/// Writes what traffic left behind until now.
pub(super) async fn keep_traffic_now(gateway: &Gateway, store: &Store) {
    let records = gateway.canaries.records().borrow().clone();
    for record in &records {
        if let Err(error) = store.put_canary(record).await {
            tracing::error!(route = record.route, "how far a canary got cannot be kept: {error}");
        }
    }
    put_learned(gateway, store, &mut HashMap::new()).await;
}

/// Writes the tables that changed since `kept`, and forgets those of upstreams that have none any more.
async fn put_learned(gateway: &Gateway, store: &Store, kept: &mut HashMap<Arc<str>, u64>) {
    let snapshot = gateway.snapshot();
    let now_s = u32::try_from(clock::wall_ms() / 1000).unwrap_or(u32::MAX);
    let mut tables = HashMap::new();
    for upstream in &snapshot.upstreams {
        let Some(Sticky::Learn { table, idle_s, .. }) = &upstream.sticky else { continue };
        let changes = table.changes();
        if kept.get(&upstream.name) != Some(&changes) {
            let record = |Entry { tag, identity, used_s }| LearnedRecord { tag, identity, used_s };
            let records = table.export(now_s, *idle_s).into_iter().map(record).collect();
            if let Err(error) = store.put_learned(&upstream.name, records).await {
                tracing::error!(upstream = %upstream.name, "the sessions of sticky clients cannot be kept: {error}");
            }
        }
        tables.insert(Arc::clone(&upstream.name), changes);
    }
    for gone in kept.keys().filter(|name| !tables.contains_key(*name)) {
        if let Err(error) = store.put_learned(gone, Vec::new()).await {
            tracing::error!(upstream = %gone, "sessions that are gone cannot be forgotten: {error}");
        }
    }
    *kept = tables;
}
