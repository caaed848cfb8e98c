// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fuzzes PROXY headers: what is read is bounded and steadfast, and written anew it names the same client.
//! It owns no check of its own: what must hold is `greetings::proxy_header`, which a unit test replays over the corpus.
#![no_main]

mod greeting {
    pub(crate) use weirgate::protocol::{client_hello, proxy_header};
}

#[path = "../greetings.rs"]
mod greetings;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| greetings::proxy_header(bytes));
