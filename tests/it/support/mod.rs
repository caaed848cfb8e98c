// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the integration tests stand on: a gateway in this process, endpoints that do exactly what a test says, and a
//! client that writes exactly what a test says. Nothing leaves 127.0.0.1, nothing sleeps: everything waits for bytes,
//! for a close or for a condition, and gives up after [`PATIENCE`].

pub(crate) mod client;

pub(crate) mod dns;

pub(crate) mod gateway;

pub(crate) mod h2;

pub(crate) mod h2_origin;

pub(crate) mod issuer;

pub(crate) mod origin;

pub(crate) mod secure;

pub(crate) mod service;

pub(crate) mod tls;

use std::time::Duration;

/// Far above what any wait takes on a busy machine: a test that hangs fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `what` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = weirgate::clock::now();
    while !holds() {
        assert!(weirgate::clock::now() - start < PATIENCE, "it never came to this: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Where `needle` begins in `hay`.
pub(crate) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}
