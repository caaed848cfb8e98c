// SPDX-License-Identifier: MIT OR Apache-2.0
//! What outlives the process: health, its timeline, and what discovery found. Written to the store when it changed, at
//! most once a second.

use std::sync::Arc;
use std::time::Duration;

use weirgate_store::engine::Store;

use super::appliance::Gateway;

/// Changes within this time are written together.
const EVERY: Duration = Duration::from_secs(1);

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
