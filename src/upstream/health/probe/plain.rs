// SPDX-License-Identifier: MIT OR Apache-2.0
//! A check with nothing above TCP but perhaps an HTTP request, in steps that never wait.
//!
//! Thousands of these run every second, so each is a few system calls on a bare socket and nothing else: no task, no
//! timer, no buffer of its own while its reply comes in one piece. Who holds it calls [`Attempt::step`] whenever the
//! socket may have become ready. It hangs up with a reset, which saves both sides two packets, and one of them a minute
//! of TIME_WAIT. The last packet of the handshake is left to the kernel to join with the first data: a check that sends
//! none resets the connection before the endpoint's program hears of it, as HAProxy's checks do.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::super::Failure;
use super::http::{After, KEPT_CHECKS_MAX};
use super::{Check, Probe, REPLY_MAX, Thrift};

/// A connection, and how many checks it has carried.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    uses: u32,
    /// Whether its readiness is told.
    is_watched: bool,
}

/// One check under way.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) probe: Rc<Probe>,
    pub(super) started: Instant,
    link: Link,
    phase: Phase,
    thrift: Thrift,
    /// What has come of a reply, if one read did not bring all that is needed.
    bytes: Vec<u8>,
    /// Whether the connection can carry another check.
    lasts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connect,
    /// So much of the request is sent.
    Send(usize),
    Receive,
}

/// What a phase came to.
enum Ended {
    /// It goes on when the socket is ready.
    NotYet,
    With(Phase),
    /// The endpoint has passed.
    Check,
}

impl Link {
    /// A connection that is being opened.
    fn open(address: SocketAddr) -> Result<Self, Failure> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(family, SocketType::STREAM, flags, None).map_err(refused)?;
        // Where one of these cannot be set, the check costs some packets more.
        let _costly = sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).is_err();
        let _costly = sockopt::set_tcp_quickack(&socket, false).is_err();
        match net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(Self { socket, uses: 0, is_watched: false }),
            Err(errno) => Err(refused(errno)),
        }
    }
}

impl Attempt {
    /// Begins one, over the connection that the last check has left if there is one and it may.
    pub(super) fn new(probe: Rc<Probe>, thrift: Thrift, started: Instant) -> Result<Self, Failure> {
        let held = probe.kept.take().filter(|_| thrift == Thrift::Kept);
        let phase = if held.is_some() { Phase::Send(0) } else { Phase::Connect };
        let link = held.map_or_else(|| Link::open(probe.address), Ok)?;
        Ok(Self { probe, started, link, phase, thrift, bytes: Vec::new(), lasts: false })
    }

    /// When it has failed for want of an answer.
    pub(super) fn ends(&self) -> Instant {
        self.started + self.probe.timeout
    }

    /// Its socket, if nobody watches that yet; from then on somebody does.
    pub(super) fn unwatched(&mut self) -> Option<BorrowedFd<'_>> {
        let is_new = !std::mem::replace(&mut self.link.is_watched, true);
        is_new.then(|| self.link.socket.as_fd())
    }

    /// Goes as far as it can without waiting; what came of the check, once that is known. `scratch` is what it reads into.
    pub(super) fn step(&mut self, scratch: &mut [u8]) -> Option<Result<(), Failure>> {
        loop {
            let ended = match self.phase {
                Phase::Connect => self.connect(),
                Phase::Send(from) => self.send(from),
                Phase::Receive => self.receive(scratch),
            };
            match ended {
                Ok(Ended::NotYet) => return None,
                Ok(Ended::With(next)) => self.phase = next,
                Ok(Ended::Check) => return Some(Ok(())),
                // A kept connection that the endpoint has closed meanwhile says nothing about the endpoint.
                Err(Failure::Closed | Failure::NotHttp(_)) if self.link.uses > 0 => {
                    match Link::open(self.probe.address) {
                        Ok(link) => (self.link, self.phase, self.bytes) = (link, Phase::Connect, Vec::new()),
                        Err(failure) => return Some(Err(failure)),
                    }
                }
                Err(failure) => return Some(Err(failure)),
            }
        }
    }

    fn connect(&self) -> Result<Ended, Failure> {
        // Asked again, it says how it went: on the way (EALREADY), done (0 or EISCONN), or why not.
        match net::connect(&self.link.socket, &self.probe.address) {
            Ok(()) | Err(Errno::ISCONN) => Ok(match &*self.probe.check {
                Check::Http(_) => Ended::With(Phase::Send(0)),
                Check::Grpc(_) | Check::Script(_) | Check::Tcp(_) | Check::Tls(_) => Ended::Check,
            }),
            Err(Errno::ALREADY | Errno::INPROGRESS | Errno::INTR) => Ok(Ended::NotYet),
            Err(errno) => Err(refused(errno)),
        }
    }

    fn send(&self, from: usize) -> Result<Ended, Failure> {
        let request = match self.thrift {
            Thrift::Fresh => &self.probe.request,
            Thrift::Kept => &self.probe.lasting,
        };
        let rest = request.get(from..).unwrap_or_default();
        match net::send(&self.link.socket, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) if sent == rest.len() => Ok(Ended::With(Phase::Receive)),
            Ok(sent) => Ok(Ended::With(Phase::Send(from + sent))),
            Err(Errno::AGAIN) => Ok(Ended::NotYet),
            Err(Errno::INTR) => Ok(Ended::With(Phase::Send(from))),
            Err(_) => Err(Failure::Closed),
        }
    }

    fn receive(&mut self, scratch: &mut [u8]) -> Result<Ended, Failure> {
        let probe = Rc::clone(&self.probe);
        let Check::Http(check) = &*probe.check else { return Ok(Ended::Check) };
        let count = match net::recv(&self.link.socket, &mut *scratch, RecvFlags::DONTWAIT) {
            Ok((_, count)) => count,
            Err(Errno::AGAIN) => return Ok(Ended::NotYet),
            Err(Errno::INTR) => return Ok(Ended::With(Phase::Receive)),
            Err(_) => return Err(Failure::Closed),
        };
        let piece = scratch.get(..count).unwrap_or_default();
        // At its end a reply is what has come of it, and so is the connection.
        let thrift = if count == 0 { Thrift::Fresh } else { self.thrift };
        let verdict = if self.bytes.is_empty() {
            check.judge(piece, thrift)?
        } else {
            self.bytes.extend_from_slice(piece);
            check.judge(&self.bytes, thrift)?
        };
        match verdict {
            Some(after) => self.lasts = after == After::Lasts && self.link.uses + 1 < KEPT_CHECKS_MAX,
            None if count == 0 => return Err(Failure::Closed),
            None => return self.want_more(piece),
        }
        Ok(Ended::Check)
    }

    fn want_more(&mut self, piece: &[u8]) -> Result<Ended, Failure> {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(piece);
        }
        let is_full = self.bytes.len() >= REPLY_MAX;
        if is_full { Err(Failure::NotHttp("its head is larger than 64 KiB")) } else { Ok(Ended::With(Phase::Receive)) }
    }

    /// Leaves the connection to the next check, if it can carry one.
    pub(super) fn leave(self) {
        if self.lasts {
            self.probe.kept.replace(Some(Link { uses: self.link.uses + 1, ..self.link }));
        }
    }
}

fn refused(errno: Errno) -> Failure {
    super::unconnected(&errno.into())
}
