// SPDX-License-Identifier: MIT OR Apache-2.0
//! What outlives the process: health, and what discovery found. Written to the store when it changed, at most once in a
//! while.

use std::sync::Arc;
use std::time::Duration;

use weirgate_store::engine::{HealthRecord, Store};

use super::appliance::Gateway;

/// Changes within this time are written together.
const EVERY: Duration = Duration::from_secs(1);

/// Keeps the health of every checked endpoint, for ever.
pub(super) async fn keep_health(gateway: Arc<Gateway>, store: Store) {
    let mut tellings = gateway.tellings();
    while tellings.changed().await.is_ok() {
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
    let records = gateway.checked().into_iter().map(|(upstream, endpoint)| HealthRecord {
        upstream,
        address: endpoint.address,
        health: endpoint.health,
        reason: endpoint.reason,
        since_ms: endpoint.since_ms,
    });
    if let Err(error) = store.put_health(records.collect()).await {
        tracing::error!("the health of endpoints cannot be kept: {error}");
    }
}
