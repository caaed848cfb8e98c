// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listening sockets: a group of SO_REUSEPORT sockets per address and transport, one for each worker.
//!
//! Opening has two steps so that a change can be checked without taking a connection: [`reserve`] binds, and
//! [`Reserved::listen`] lets the kernel queue connections. The group is opened once: closing a member of a group
//! drops the connections in its queue, so members are only ever closed with their listener.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use super::handover::Adopted;

/// Connections that the kernel queues for one worker before it accepts them.
pub const BACKLOG: i32 = 4096;

/// Bytes of datagrams that the kernel is asked to hold for one worker; it gives what `net.core.rmem_max` allows.
const DATAGRAMS_HELD_BYTES: usize = 4 << 20;

/// What a listening socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Connections: TCP.
    Stream,
    /// Datagrams: UDP.
    Datagram,
}

impl Transport {
    pub(super) fn kind(self) -> Type {
        match self {
            Self::Stream => Type::STREAM,
            Self::Datagram => Type::DGRAM,
        }
    }

    fn protocol(self) -> Protocol {
        match self {
            Self::Stream => Protocol::TCP,
            Self::Datagram => Protocol::UDP,
        }
    }
}

/// Sockets that work.
#[derive(Debug)]
pub enum Sockets {
    Stream(Vec<TcpListener>),
    Datagram(Vec<UdpSocket>),
}

impl Sockets {
    /// What the descriptors are handed over as.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Stream(_) => Transport::Stream,
            Self::Datagram(_) => Transport::Datagram,
        }
    }

    /// So many shares, each with its part.
    pub fn divide(self, count: usize) -> Vec<Self> {
        match self {
            Self::Stream(all) => shares(all, count).into_iter().map(Self::Stream).collect(),
            Self::Datagram(all) => shares(all, count).into_iter().map(Self::Datagram).collect(),
        }
    }
}

fn shares<S>(all: Vec<S>, count: usize) -> Vec<Vec<S>> {
    let mut shares: Vec<Vec<S>> = (0..count).map(|_| Vec::new()).collect();
    for (at, socket) in all.into_iter().enumerate() {
        if let Some(share) = shares.get_mut(at % count.max(1)) {
            share.push(socket);
        }
    }
    shares
}

/// Sockets that are bound and do not listen yet, unless they were adopted.
#[derive(Debug)]
pub struct Reserved {
    address: SocketAddr,
    transport: Transport,
    sockets: Vec<Socket>,
}

/// Binds `count` sockets to `address`, or takes those that `adopted` holds for it. Port 0 becomes one real port for
/// all of them.
pub fn reserve(
    address: SocketAddr,
    transport: Transport,
    count: usize,
    adopted: &mut Adopted,
    ours: Ours,
) -> io::Result<Reserved> {
    let mut sockets = adopted.take(address, transport);
    if sockets.is_empty() && ours == Ours::No && address.port() != 0 {
        probe(address, transport)?;
    }
    let mut actual = match sockets.first() {
        Some(socket) => local_address(socket)?,
        None => address,
    };
    while sockets.len() < count.max(1) {
        let socket = match (bind(actual, transport), sockets.first()) {
            // What was handed over is no group, such as the one socket of a socket unit: all accept from its queue.
            (Err(error), Some(adopted)) if error.kind() == io::ErrorKind::AddrInUse => adopted.try_clone()?,
            (bound, _) => bound?,
        };
        actual = local_address(&socket)?;
        sockets.push(socket);
    }
    Ok(Reserved { address: actual, transport, sockets })
}

/// Whether this process listens on the port already, as it does while a listener changes its name or its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    Yes,
    No,
}

/// Another process of the same user that also shares its port (a second weirgate) would get half of the connections
/// without a word: only a socket that does not share is refused beside it.
fn probe(address: SocketAddr, transport: Transport) -> io::Result<()> {
    let socket = open(address, transport)?;
    // Over a connection that lingers a listener may be bound; a datagram socket that says so would share.
    socket.set_reuse_address(transport == Transport::Stream)?;
    socket.bind(&address.into())
}

impl Reserved {
    /// The address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to queue connections and gives up the sockets. More than one per worker is possible after a restart
    /// with fewer workers: every adopted socket has its own queue and must be served. Datagrams are queued since the
    /// socket is bound.
    pub fn listen(self) -> io::Result<Sockets> {
        let sockets = self.sockets.into_iter();
        let stream = |socket: Socket| {
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        };
        let datagram = |socket: Socket| {
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        };
        match self.transport {
            Transport::Stream => sockets.map(stream).collect::<io::Result<_>>().map(Sockets::Stream),
            Transport::Datagram => sockets.map(datagram).collect::<io::Result<_>>().map(Sockets::Datagram),
        }
    }
}

fn open(address: SocketAddr, transport: Transport) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), transport.kind(), Some(transport.protocol()))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn bind(address: SocketAddr, transport: Transport) -> io::Result<Socket> {
    let socket = open(address, transport)?;
    if transport == Transport::Datagram {
        socket.set_recv_buffer_size(DATAGRAMS_HELD_BYTES)?;
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
    use super::{
        Adopted, Ours, Sockets,
        Transport::{self, Datagram, Stream},
        reserve,
    };

    #[test]
    fn a_group_shares_one_real_port() {
        let reserved = reserve(([127, 0, 0, 1], 0).into(), Stream, 3, &mut Adopted::default(), Ours::No).unwrap();
        let port = reserved.address().port();
        let Sockets::Stream(sockets) = reserved.listen().unwrap() else { panic!("streams were asked for") };
        assert_eq!(sockets.len(), 3);
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap().port() == port));
    }

    #[test]
    fn a_port_of_somebody_else_is_refused() {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = reserve(other.local_addr().unwrap(), Stream, 1, &mut Adopted::default(), Ours::No);
        assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_port_that_somebody_else_shares_is_refused_and_one_of_ours_is_not() {
        let other = reserve(([127, 0, 0, 1], 0).into(), Stream, 2, &mut Adopted::default(), Ours::No).unwrap();
        let address = other.address();
        let listening = other.listen().unwrap();
        let taken = reserve(address, Stream, 2, &mut Adopted::default(), Ours::No);
        assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        assert!(reserve(address, Stream, 2, &mut Adopted::default(), Ours::Yes).is_ok());
        drop(listening);
        assert!(reserve(address, Stream, 2, &mut Adopted::default(), Ours::No).is_ok());
    }

    #[test]
    fn an_adopted_socket_that_is_no_group_is_shared() {
        let alone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = alone.local_addr().unwrap();
        let shared = reserve(address, Stream, 2, &mut Adopted::of(vec![alone.into()]), Ours::No).unwrap();
        assert_eq!((shared.address(), shared.sockets.len()), (address, 2));
    }

    #[test]
    fn adopted_sockets_are_used_first() {
        let first = reserve(([127, 0, 0, 1], 0).into(), Stream, 2, &mut Adopted::default(), Ours::No).unwrap();
        let address = first.address();
        let Sockets::Stream(listening) = first.listen().unwrap() else { panic!("streams were asked for") };
        let mut adopted = Adopted::of(listening.into_iter().map(Into::into).collect());
        assert!(adopted.take(address, Datagram).is_empty(), "a socket of another kind");
        let again = reserve(address, Stream, 3, &mut adopted, Ours::No).unwrap();
        assert_eq!(again.address(), address);
        assert_eq!(again.sockets.len(), 3);
        assert!(adopted.is_empty());
    }

    #[test]
    fn a_datagram_port_is_a_group_of_its_own() {
        let any =
            |transport: Transport| reserve(([127, 0, 0, 1], 0).into(), transport, 2, &mut Adopted::default(), Ours::No);
        let datagrams = any(Datagram).unwrap();
        let address = datagrams.address();
        assert!(reserve(address, Stream, 1, &mut Adopted::default(), Ours::No).is_ok(), "TCP has ports of its own");
        let taken = reserve(address, Datagram, 1, &mut Adopted::default(), Ours::No);
        assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        let Sockets::Datagram(sockets) = datagrams.listen().unwrap() else { panic!("datagrams were asked for") };
        let mut adopted = Adopted::of(sockets.into_iter().map(Into::into).collect());
        assert_eq!(reserve(address, Datagram, 2, &mut adopted, Ours::No).unwrap().address(), address);
        assert!(adopted.is_empty());
    }
}
