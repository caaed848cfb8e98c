// SPDX-License-Identifier: MIT OR Apache-2.0
//! Feeds `checks::body`.
#![no_main]

mod codec {
    pub(crate) use weirgate::exchange::Fields;
    pub(crate) use weirgate::protocol::http1::*;
}

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::body(bytes));
