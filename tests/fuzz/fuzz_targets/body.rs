// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fuzzes chunked bodies, cut into pieces of any size.
//! It owns no check of its own: what must hold is `checks::body`, which a unit test replays over the corpus.
#![no_main]

mod codec {
    pub(crate) use weirgate::exchange::Fields;
    pub(crate) use weirgate::protocol::http1::*;
}

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::body(bytes));
