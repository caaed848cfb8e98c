// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must hold for any token and any key set that a stranger sends. The fuzz targets feed it, and a unit test replays the
//! corpus. It names the readers by `super::token`, which each of its two homes provides.
#![allow(dead_code, reason = "a fuzz target uses one check of these")]

use super::token::{json, jwks, jws};

/// A token that is read is small, has one spelling, and names an algorithm that somebody can verify.
pub(crate) fn jws(bytes: &[u8]) {
    let Ok(unverified) = jws::read(bytes) else { return };
    assert!(bytes.len() <= jws::TOKEN_BYTES_MAX);
    assert!(bytes.starts_with(unverified.signed));
    assert_eq!(unverified.signed.iter().filter(|byte| **byte == b'.').count(), 1);
    assert_ne!(unverified.algorithm.name().to_ascii_lowercase(), "none");
    if let Ok(claims) = unverified.claims() {
        let text = serde_json::to_vec(&claims).expect("what was read can be written");
        let again = json::object(&text).expect("and read");
        assert!(again.keys().eq(claims.keys()));
    }
}

/// A key of a set that is read verifies no signature that nobody made.
pub(crate) fn jwks(bytes: &[u8]) {
    let Ok(read) = jwks::read(bytes) else { return };
    assert!(read.keys.len() <= jwks::KEYS_MAX);
    for key in &read.keys {
        for algorithm in key.algorithms() {
            assert!(!algorithm.is_shared(), "a published secret");
            assert!(!key.verifies(algorithm, bytes, &[]) && !key.verifies(algorithm, bytes, &[0; 64]));
        }
    }
}
