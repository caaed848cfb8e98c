// SPDX-License-Identifier: MIT OR Apache-2.0
//! The terminal side of weirgate: the console, the command-line client, and the socket client that both use.
//!
//! It knows the daemon only by its control API and the words of `weirgate_store`; it never links the store engine.

pub mod cli;

pub mod client;

mod sse;

#[cfg(test)]
mod fake;
