// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS towards clients: certificates by server name, and the handshake's settings. TLS towards endpoints: `originate`.
//!
//! One crypto provider (aws-lc-rs), one ticketer for the whole process so that a client resumes on any worker, no
//! session cache (a ticket needs none). It knows nothing of HTTP beyond the two protocol names of ALPN.

pub mod accept;

pub mod certificate;

pub mod client;

pub mod originate;
