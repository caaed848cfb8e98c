// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of a client connection, or UDP session, while it is open: for whoever lists connections or ends one.
//!
//! It belongs to the worker that serves the connection; others only get copies. It is kept small: there is one for
//! every idle connection.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;

/// One open connection.
#[derive(Debug)]
pub struct Presence {
    /// Who it is: the peer, or whom a PROXY header named.
    pub client: Cell<SocketAddr>,
    pub listener: Arc<str>,
    /// `http/1.1`, `http/2`, `tcp`, `tls`, `udp`, `websocket`, `connect`.
    pub protocol: Cell<&'static str>,
    pub since_ms: i64,
    /// From and to the client so far.
    pub bytes_in: Cell<u64>,
    pub bytes_out: Cell<u64>,
    /// Upstream and endpoint, of what stays on one endpoint.
    pub endpoint: RefCell<Option<(Arc<str>, Arc<str>)>>,
    /// An operator wants it to end.
    pub killed: Cell<bool>,
}

impl Presence {
    /// A connection that has just begun.
    pub fn new(client: SocketAddr, listener: Arc<str>, protocol: &'static str, since_ms: i64) -> Self {
        Self {
            client: Cell::new(client),
            listener,
            protocol: Cell::new(protocol),
            since_ms,
            bytes_in: Cell::new(0),
            bytes_out: Cell::new(0),
            endpoint: RefCell::new(None),
            killed: Cell::new(false),
        }
    }

    /// Counts bytes that came from the client.
    pub fn took(&self, bytes: u64) {
        self.bytes_in.set(self.bytes_in.get() + bytes);
    }

    /// Counts bytes that went to the client.
    pub fn gave(&self, bytes: u64) {
        self.bytes_out.set(self.bytes_out.get() + bytes);
    }
}
