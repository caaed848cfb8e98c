// SPDX-License-Identifier: MIT OR Apache-2.0
//! The journey itself. `connection` takes a client from accept to its protocol, `http1` and `http2` turn its messages
//! into exchanges and back, and `http` is the one page that every exchange travels.
//!
//! `edge` is what any intermediary must take and add, `forward` the way to an endpoint and back, `journey` what is
//! known on the way, `worker` what one thread owns.

mod call;

pub mod census;

pub mod connection;

pub mod edge;

pub mod explain;

pub mod forward;

mod greeting;

pub mod http;

pub mod http1;

pub mod http2;

pub mod journey;

mod passage;

mod policies;

pub mod reply;

pub mod tcp;

pub mod tunnel;

pub mod udp;

pub mod warm;

pub mod worker;
