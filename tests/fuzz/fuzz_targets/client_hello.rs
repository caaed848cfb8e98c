// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fuzzes first TLS messages: what is read is steadfast, and a name is in its one spelling.
//! It owns no check of its own: what must hold is `greetings::client_hello`, which a unit test replays over the corpus.
#![no_main]

mod greeting {
    pub(crate) use weirgate::protocol::{client_hello, proxy_header};
}

#[path = "../greetings.rs"]
mod greetings;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| greetings::client_hello(bytes));
