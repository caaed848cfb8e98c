// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole gateway from outside: real sockets, real workers, endpoints that misbehave on purpose.
//!
//! One binary, one file per topic. `support` is what they share: a gateway in this process, scripted endpoints that
//! remember every byte, a client that can lie. Every fixed bug has a row in its topic or in `regression`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

mod abuse;

mod auth;

mod balance;

mod canary;

mod connect;

mod discovery;

mod drain;

mod endpoint_h2;

mod endpoint_tls;

mod failover;

mod grpc;

mod health;

mod http1;

mod http2;

mod limit;

mod log;

mod passthrough;

mod proxy_protocol;

mod overrides;

mod mirror;

mod refusals;

mod regression;

mod overload;

mod reload;

mod replies;

mod retry;

mod route;

mod tcp;

mod split;

mod sticky;

mod tls;

mod udp;

mod upgrade;
