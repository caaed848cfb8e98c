// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets that outlive a process: what the service manager kept is adopted, and what we open is given to it to keep.
//!
//! With `FileDescriptorStoreMax` in the unit, a listening socket survives a restart and a crash, so a client waits in
//! the kernel's queue instead of being refused. This is the one file of the data path with `unsafe`: a descriptor
//! number becomes an owned socket, which is sound because the service manager passes each number to this process once
//! (sd_listen_fds(3)) and `inherit` runs once, first thing in `main`, before anything else can open a descriptor.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use sd_notify::NotifyState;
use socket2::Socket;

use super::socket::{Sockets, Transport};

/// What the names of our descriptors begin with.
const NAME_PREFIX: &str = "weirgate-listener-";

/// Listening sockets of an earlier process, not yet claimed by a listener.
#[derive(Debug, Default)]
pub struct Adopted {
    sockets: Vec<Socket>,
}

impl Adopted {
    /// Takes over the descriptors passed to this process. Call it once, before any other descriptor is opened.
    pub fn inherit() -> Self {
        let Ok(passed) = sd_notify::listen_fds_with_names() else { return Self::default() };
        let owned = passed.map(|(fd, _name)| {
            // SAFETY: see the head of this file; `listen_fds_with_names` checked that the numbers are for this process.
            #[expect(unsafe_code, reason = "a passed descriptor has no other owner")]
            unsafe {
                <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd)
            }
        });
        Self::of(owned.collect())
    }

    /// Adopts these descriptors; what is not an IP socket is closed.
    pub fn of(descriptors: Vec<OwnedFd>) -> Self {
        let sockets = descriptors.into_iter().map(Socket::from);
        Self { sockets: sockets.filter(|socket| address_of(socket).is_some()).collect() }
    }

    /// The sockets of that kind bound to `address`, taken out.
    pub fn take(&mut self, address: SocketAddr, transport: Transport) -> Vec<Socket> {
        let is_of_kind = |socket: &Socket| socket.r#type().is_ok_and(|kind| kind == transport.kind());
        self.sockets.extract_if(.., |socket| address_of(socket) == Some(address) && is_of_kind(socket)).collect()
    }

    /// Whether every socket has been claimed.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// How many nobody has claimed.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }
}

fn address_of(socket: &Socket) -> Option<SocketAddr> {
    socket.local_addr().ok()?.as_socket()
}

/// A stable name for the sockets of one address; a descriptor name may not hold a colon.
fn descriptor_name(address: SocketAddr, transport: Transport) -> String {
    let prefix = match transport {
        Transport::Stream => "",
        Transport::Datagram => "udp-",
    };
    format!("{NAME_PREFIX}{prefix}{}", address.to_string().replace(':', "_"))
}

/// Gives copies of listening sockets to the service manager, if there is one that keeps them.
pub fn keep(address: SocketAddr, sockets: &Sockets) {
    let name = descriptor_name(address, sockets.transport());
    let fds: Vec<_> = match sockets {
        Sockets::Stream(all) => all.iter().map(AsFd::as_fd).collect(),
        Sockets::Datagram(all) => all.iter().map(AsFd::as_fd).collect(),
    };
    report(sd_notify::notify_with_fds(&[NotifyState::FdStore, NotifyState::FdName(&name)], &fds));
}

/// Asks the service manager to forget the sockets of an address that is no longer listened on.
pub fn forget(address: SocketAddr, transport: Transport) {
    let name = descriptor_name(address, transport);
    report(sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(&name)]));
}

fn report(result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "the service manager does not keep descriptors");
    }
}

#[cfg(test)]
mod tests {
    use super::{Transport, descriptor_name};

    #[test]
    fn a_descriptor_name_has_no_colon() {
        let name = |address: &str, transport| descriptor_name(address.parse().unwrap(), transport);
        assert_eq!(name("127.0.0.1:80", Transport::Stream), "weirgate-listener-127.0.0.1_80");
        assert_eq!(name("127.0.0.1:53", Transport::Datagram), "weirgate-listener-udp-127.0.0.1_53");
        assert!(!name("[::1]:443", Transport::Stream).contains(':'));
    }
}
