// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replies of many sessions on their way out of one listening socket, in one system call.
//!
//! They are copied side by side and wait only for the tasks that are ready to run now. What the socket does not take is
//! dropped: a datagram that waits is late.

use std::io::IoSlice;
use std::net::UdpSocket;
use std::ops::Range;

use quinn_udp::{Transmit, UdpSocketState};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use smallvec::SmallVec;

use super::Key;

/// Replies that are sent by one call, and that wait at most.
const REPLIES_MAX: usize = 32;

/// Bytes that wait at most.
const BYTES_MAX: usize = 1 << 17;

/// Replies that wait for their call.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    replies: Vec<(Key, Range<usize>)>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.replies.len() >= REPLIES_MAX || self.bytes.len() >= BYTES_MAX
    }

    pub(super) fn push(&mut self, key: Key, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.replies.push((key, start..self.bytes.len()));
    }

    /// Sends everything, and is empty then.
    pub(super) fn flush(&mut self, socket: &UdpSocket, state: &UdpSocketState, is_wild: bool) {
        if is_wild {
            self.send_each(socket, state);
        } else {
            self.send_all(socket);
        }
        self.replies.clear();
        self.bytes.clear();
    }

    /// One call for all of them. One that cannot be sent is left out and the rest goes on.
    fn send_all(&self, socket: &UdpSocket) {
        let addresses: SmallVec<[SocketAddrAny; REPLIES_MAX]> =
            self.replies.iter().map(|((client, _), _)| SocketAddrAny::from(*client)).collect();
        let slice =
            |(_, range): &(Key, Range<usize>)| [IoSlice::new(self.bytes.get(range.clone()).unwrap_or_default())];
        let slices: SmallVec<[[IoSlice<'_>; 1]; REPLIES_MAX]> = self.replies.iter().map(slice).collect();
        let mut controls: SmallVec<[SendAncillaryBuffer<'_, '_, '_>; REPLIES_MAX]> =
            self.replies.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let parts = addresses.iter().zip(&slices).zip(&mut controls);
        let mut messages: SmallVec<[MMsgHdr<'_>; REPLIES_MAX]> =
            parts.map(|((address, slice), control)| MMsgHdr::new_with_addr(address, slice, control)).collect();
        let mut rest = messages.as_mut_slice();
        while !rest.is_empty() {
            let sent = match sendmmsg(socket, rest, SendFlags::DONTWAIT) {
                Ok(sent) => sent.max(1),
                Err(rustix::io::Errno::INTR) => 0,
                Err(rustix::io::Errno::AGAIN) => return tracing::debug!(left = rest.len(), "replies are dropped"),
                Err(error) => {
                    tracing::debug!(%error, "a reply cannot be sent");
                    1
                }
            };
            rest = rest.get_mut(sent..).unwrap_or_default();
        }
    }

    /// A call for each, as each must say which of our addresses it is from.
    fn send_each(&self, socket: &UdpSocket, state: &UdpSocketState) {
        for ((client, local), range) in &self.replies {
            let contents = self.bytes.get(range.clone()).unwrap_or_default();
            let transmit = Transmit { destination: *client, ecn: None, contents, segment_size: None, src_ip: *local };
            if let Err(error) = state.try_send(socket.into(), &transmit) {
                tracing::debug!(%error, %client, "a reply cannot be sent");
            }
        }
    }
}
