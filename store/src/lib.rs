// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vocabulary and the memory of weirgate.
//!
//! [`model`] is what an operator writes, [`wire`] what the daemon and the terminal say to each other, and `engine`
//! (behind the feature of that name) what is remembered on disk. It depends on nothing else of ours, so that the
//! console can use the words without linking the store.

pub mod clock;

pub mod suggest;

pub mod model;

pub mod parse;

pub mod check;

pub mod text;

pub mod diff;

pub mod edit;

pub mod files;

pub mod networks;

pub mod wire;

#[cfg(feature = "engine")]
pub mod engine;
