// SPDX-License-Identifier: MIT OR Apache-2.0
//! One request, its reply, and the facts learnt on the way. Every stage speaks in these terms and no stage owns them.
//!
//! Header fields live in [`Fields`]: one buffer and ranges into it, the same for HTTP/1 and HTTP/2, so that a field
//! that nobody touches is copied twice (in, out) and never hashed, allocated or reference-counted.

#[expect(clippy::module_inception, reason = "the exchange is what this module is about")]
mod exchange;

mod fields;

mod known;

mod presence;

pub mod part;

mod request;

pub mod spelling;

mod trace;

pub use exchange::{Client, Exchange, Origin, RequestId, Scheme};
pub use fields::{Field, Fields, Span};
pub use known::Known;
pub use part::Part;
pub use presence::Presence;
pub use request::{Protocol, Request};
pub use trace::{Trace, hex};
