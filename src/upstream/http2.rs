// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP/2 to endpoints: a few connections, shared by the requests of a worker.
//!
//! Frames and most of RFC 9113 are h2's. Ours are: which connection takes a request, when one is too old or too quiet
//! to be believed, and what a failure means for sending the request again. A connection counts as open once the
//! endpoint has answered a PING on it, so that an endpoint that speaks something else is a failed connection, and not
//! a failed request.

mod body;

mod checkout;

mod connection;

mod exchange;

mod upload;

pub use checkout::Multiplexed;
pub use connection::Slot;
pub use exchange::Outgoing;

pub(super) use body::Incoming;

/// Streams that we have open on one connection at most, whatever the endpoint allows.
pub const STREAMS_MAX: usize = 100;

/// Connections of one worker to one endpoint at most.
pub const CONNECTIONS_MAX: usize = 256;

/// What an endpoint may send on one stream before the client has taken it.
const STREAM_WINDOW: u32 = 64 * 1024;

/// What it may send on all of them: so much that no client who takes nothing holds up another.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * 100;

/// What we hold of one request that the endpoint has not taken.
const SEND_BUFFER: usize = 64 * 1024;
