// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listening sockets: a group of SO_REUSEPORT sockets per address, one for each worker.
//!
//! Opening has two steps so that a change can be checked without taking a connection: [`reserve`] binds, and
//! [`Reserved::listen`] lets the kernel queue connections. The group is opened once: closing a member of a group
//! drops the connections in its queue, so members are only ever closed with their listener.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::handover::Adopted;

/// Connections that the kernel queues for one worker before it accepts them.
pub const BACKLOG: i32 = 4096;

/// Sockets that are bound and do not listen yet, unless they were adopted.
#[derive(Debug)]
pub struct Reserved {
    address: SocketAddr,
    sockets: Vec<Socket>,
}

/// Binds `count` sockets to `address`, or takes those that `adopted` holds for it. Port 0 becomes one real port for
/// all of them.
pub fn reserve(address: SocketAddr, count: usize, adopted: &mut Adopted, ours: Ours) -> io::Result<Reserved> {
    let mut sockets = adopted.take(address);
    if sockets.is_empty() && ours == Ours::No && address.port() != 0 {
        probe(address)?;
    }
    let mut actual = match sockets.first() {
        Some(socket) => local_address(socket)?,
        None => address,
    };
    while sockets.len() < count.max(1) {
        let socket = match (bind(actual), sockets.first()) {
            // What was handed over is no group, such as the one socket of a socket unit: all accept from its queue.
            (Err(error), Some(adopted)) if error.kind() == io::ErrorKind::AddrInUse => adopted.try_clone()?,
            (bound, _) => bound?,
        };
        actual = local_address(&socket)?;
        sockets.push(socket);
    }
    Ok(Reserved { address: actual, sockets })
}

/// Whether this process listens on the port already, as it does while a listener changes its name or its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    Yes,
    No,
}

/// Another process of the same user that also shares its port (a second weirgate) would get half of the connections
/// without a word: only a socket that does not share is refused beside it.
fn probe(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

impl Reserved {
    /// The address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to queue connections and gives up the sockets. More than one per worker is possible after a restart
    /// with fewer workers: every adopted socket has its own queue and must be accepted from.
    pub fn listen(self) -> io::Result<Vec<TcpListener>> {
        self.sockets
            .into_iter()
            .map(|socket| {
                socket.listen(BACKLOG)?;
                socket.set_nonblocking(true)?;
                Ok(socket.into())
            })
            .collect()
    }
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    // A port that somebody else holds without SO_REUSEPORT still fails; only our own group may share it.
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    address.as_socket().ok_or_else(|| io::Error::other("not an IP socket"))
}

/// Why a bind failed, and what to do, in words.
pub fn bind_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has this port: stop it (`ss -ltnp` names it) or choose another port"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE: the packaged service has it, or choose another port"
        }
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has this address: see `ip address`",
        _ => "see the system's reason",
    }
}

#[cfg(test)]
mod tests {
    use super::{Adopted, Ours, reserve};

    #[test]
    fn a_group_shares_one_real_port() {
        let reserved = reserve(([127, 0, 0, 1], 0).into(), 3, &mut Adopted::default(), Ours::No).unwrap();
        let port = reserved.address().port();
        let sockets = reserved.listen().unwrap();
        assert_eq!(sockets.len(), 3);
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap().port() == port));
    }

    #[test]
    fn a_port_of_somebody_else_is_refused() {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = reserve(other.local_addr().unwrap(), 1, &mut Adopted::default(), Ours::No);
        assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_port_that_somebody_else_shares_is_refused_and_one_of_ours_is_not() {
        let other = reserve(([127, 0, 0, 1], 0).into(), 2, &mut Adopted::default(), Ours::No).unwrap();
        let address = other.address();
        let listening = other.listen().unwrap();
        let taken = reserve(address, 2, &mut Adopted::default(), Ours::No);
        assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        assert!(reserve(address, 2, &mut Adopted::default(), Ours::Yes).is_ok());
        drop(listening);
        assert!(reserve(address, 2, &mut Adopted::default(), Ours::No).is_ok());
    }

    #[test]
    fn an_adopted_socket_that_is_no_group_is_shared() {
        let alone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = alone.local_addr().unwrap();
        let shared = reserve(address, 2, &mut Adopted::of(vec![alone.into()]), Ours::No).unwrap();
        assert_eq!((shared.address(), shared.sockets.len()), (address, 2));
    }

    #[test]
    fn adopted_sockets_are_used_first() {
        let first = reserve(([127, 0, 0, 1], 0).into(), 2, &mut Adopted::default(), Ours::No).unwrap();
        let address = first.address();
        let mut adopted = Adopted::of(first.listen().unwrap().into_iter().map(Into::into).collect());
        let again = reserve(address, 3, &mut adopted, Ours::No).unwrap();
        assert_eq!(again.address(), address);
        assert_eq!(again.sockets.len(), 3);
        assert!(adopted.is_empty());
    }
}
