// SPDX-License-Identifier: MIT OR Apache-2.0
//! The outer ring: the release binary as an operator runs it, among real neighbours.
//!
//! Each test starts a daemon of its own on free ports with its state in a temporary directory, and stops what it
//! started. `WEIRGATE_BIN` names the binary (default: `target/release/weirgate`). A neighbour that is not installed is a
//! failure in CI and a named skip elsewhere. How much is done is small enough for CI; `WEIRGATE_OUTER_FULL=1` does what
//! the release notes claim: 1,000 changes under load, 500 changes with kills, 1,000,000 keys.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

mod changes;

mod commands;

mod console;

mod crash;

mod endpoints;

mod example;

mod grpc;

mod identity;

mod keys;

mod mistakes;

mod neighbours;

mod quotas;

mod roles;

mod stop;

mod store;

mod supervisor;

mod tls;
