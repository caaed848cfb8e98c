// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeps connections open ahead of need, where an upstream asks for it, and only to endpoints that take work.
//!
//! It looks about once a second, so that a connection which its endpoint or its age has closed is replaced before a
//! request wants it. How one is opened is the pool's affair.

use std::rc::Rc;
use std::time::Duration;

use super::worker::Worker;

/// How often a worker looks whether as many connections are open as it should have.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Keeps this worker's connections warm, for ever. The worker spawns it.
pub async fn keep(worker: Rc<Worker>) {
    loop {
        if !worker.is_draining() {
            look(&worker);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn look(worker: &Worker) {
    let snapshot = worker.snapshot();
    let now = worker.deadlines.now();
    for upstream in snapshot.upstreams.iter().filter(|upstream| upstream.transport.warm > 0) {
        for endpoint in upstream.endpoints.iter().filter(|endpoint| endpoint.candidate().usable) {
            let pool = worker.pool_of(upstream, endpoint);
            pool.close_idle(now);
            pool.warm_up(|| upstream.overload.open(endpoint));
        }
    }
}
