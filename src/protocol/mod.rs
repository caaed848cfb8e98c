// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes to messages and back: one codec for HTTP/1 on both sides, hyper's for HTTP/2, and the checks both share.
//!
//! HTTP/1 is our own codec (httparse for the head, our framing) because a library that repairs what it reads hides
//! what an edge must refuse: hyper drops `Content-Length` when `Transfer-Encoding` is present, merges repeated equal
//! lengths and accepts a bare LF, and after that nobody can tell. It knows nothing of routes or policies.

pub mod buffers;

pub mod client;

pub mod client_hello;

pub mod http1;

pub mod proxy_header;

#[cfg(test)]
mod replay;

pub mod rewind;

pub mod stream;

pub mod taker;

pub mod target;
