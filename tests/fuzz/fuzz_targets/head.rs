// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fuzzes request heads: what is read is sound, and written anew it reads the same.
//! It owns no check of its own: what must hold is `checks::head`, which a unit test replays over the corpus.
#![no_main]

mod codec {
    pub(crate) use weirgate::exchange::Fields;
    pub(crate) use weirgate::protocol::http1::*;
}

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::head(bytes));
