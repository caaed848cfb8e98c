// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fuzzes what strangers send about tokens. It owns no check of its own: what must hold is `tokens::jws`, which a unit test
//! replays over the corpus.
#![no_main]

mod token {
    pub(crate) use weirgate::policy::authenticate::token::{json, jwks, jws};
}

#[path = "../tokens.rs"]
mod tokens;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokens::jws(bytes));
