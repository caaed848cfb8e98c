// SPDX-License-Identifier: MIT OR Apache-2.0
//! Health that outlives the process: written to the store when it changed, at most once a second.

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

/// Writes what is known now.
pub(super) async fn keep_now(gateway: &Gateway, store: &Store) {
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
