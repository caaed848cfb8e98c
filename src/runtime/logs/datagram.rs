// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines as datagrams, one each: to the journal, to a syslog daemon of this machine, and over UDP (RFC 5424, RFC 5426).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;

use crate::clock;
use crate::observe::log::queue::Batch;
use crate::observe::log::{Severity, rfc3339, syslog_time};

/// `local0` (RFC 5424 section 6.2.1).
const FACILITY: u8 = 16;

/// Longest MSGID.
const MSGID_MAX: usize = 32;

/// What stands around a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrap {
    /// Fields of the journal.
    Journal,
    /// What syslog(3) writes, which every daemon behind `/dev/log` reads.
    Local,
    /// RFC 5424.
    Network,
}

#[derive(Debug)]
enum Place {
    Unix(String),
    /// `host:port`; asked again at every connection.
    Udp(String),
}

#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

/// Datagrams to one place.
#[derive(Debug)]
pub(super) struct Datagrams {
    place: Place,
    wrap: Wrap,
    name: String,
    host: String,
    socket: Option<Socket>,
    datagram: Vec<u8>,
}

impl Datagrams {
    pub(super) fn unix(path: &str, wrap: Wrap, name: &str) -> Self {
        Self::new(Place::Unix(path.to_owned()), wrap, name)
    }

    pub(super) fn udp(address: &str, name: &str) -> Self {
        Self::new(Place::Udp(address.to_owned()), Wrap::Network, name)
    }

    fn new(place: Place, wrap: Wrap, name: &str) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "-".to_owned() } else { host.trim().to_owned() };
        // A MSGID has at most 32 characters (RFC 5424 section 6); names of objects are ASCII.
        let name = name.get(..MSGID_MAX).unwrap_or(name);
        Self { place, wrap, name: name.to_owned(), host, socket: None, datagram: Vec::new() }
    }

    /// Sends each line; how many were too long for a datagram.
    pub(super) fn write(&mut self, batch: &Batch) -> io::Result<u64> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.opened()?,
        };
        let now_ms = clock::wall_ms();
        let mut lost = 0;
        for (line, severity) in batch.lines() {
            self.wrap_up(line, severity, now_ms);
            let sent = match &socket {
                Socket::Unix(socket) => socket.send(&self.datagram),
                Socket::Udp(socket) => socket.send(&self.datagram),
            };
            match sent {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) => lost += 1,
                // An earlier datagram found nobody: UDP promises nothing, and the next one may find somebody.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && self.wrap == Wrap::Network => {
                    lost += 1;
                }
                Err(error) => return Err(error),
            }
        }
        self.socket = Some(socket);
        Ok(lost)
    }

    fn opened(&self) -> io::Result<Socket> {
        match &self.place {
            Place::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Socket::Unix(socket))
            }
            Place::Udp(address) => {
                let none = || io::Error::other(format!("{address} has no address"));
                let to: SocketAddr = address.to_socket_addrs()?.next().ok_or_else(none)?;
                let any: SocketAddr = match to {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(to)?;
                Ok(Socket::Udp(socket))
            }
        }
    }

    fn wrap_up(&mut self, line: &[u8], severity: Severity, now_ms: i64) {
        let out = &mut self.datagram;
        out.clear();
        let (name, pid) = (&self.name, std::process::id());
        let priority = FACILITY * 8 + severity as u8;
        match self.wrap {
            Wrap::Journal => {
                let fields =
                    format!("PRIORITY={}\nSYSLOG_IDENTIFIER=weirgate\nWEIRGATE_LOG={name}\nMESSAGE=", severity as u8);
                out.extend_from_slice(fields.as_bytes());
            }
            Wrap::Local => {
                out.extend_from_slice(format!("<{priority}>").as_bytes());
                syslog_time(out, now_ms);
                out.extend_from_slice(format!(" weirgate[{pid}]: ").as_bytes());
            }
            Wrap::Network => {
                out.extend_from_slice(format!("<{priority}>1 ").as_bytes());
                rfc3339(out, now_ms);
                out.extend_from_slice(format!(" {} weirgate {pid} {name} - ", self.host).as_bytes());
            }
        }
        out.extend_from_slice(line);
        if self.wrap == Wrap::Journal {
            out.push(b'\n');
        }
    }
}
