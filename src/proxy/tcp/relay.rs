// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes from one socket to the other, both ways at once, until both ends have been passed on.
//!
//! Small traffic is read and written through the one buffer of the worker; a stream that fills it goes through a pipe
//! from then on, so that its bytes never reach our memory. A tunnel that waits holds neither. Each direction ends by
//! itself: the end of one is passed on while the other goes on.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::pipe::{SpliceFlags, splice};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::super::passage::Passage;
use super::abort;
use super::pipes::{PIPE_BYTES, Pipe, Pipes};
use crate::clock::Deadline;
use crate::fault::{Fault, Sent};

/// Bytes that one direction moves before others of the worker have their turn.
const TURN_BYTES: usize = 1 << 20;

/// A stream that has moved so little at a time is not worth a pipe any more.
const SPLICE_BYTES_MIN: usize = 4 * 1024;

/// Relays until both directions are done.
pub(super) async fn run(
    passage: &Passage,
    client: &TcpStream,
    server: &TcpStream,
    endpoint: &Arc<str>,
) -> Result<(), Fault> {
    let (worker, presence) = (&passage.worker, &passage.presence);
    let pipes = &worker.pipes;
    let (mut up, mut down) = (Direction::new(pipes), Direction::new(pipes));
    let patience = passage.listener.tunnel;
    let idle = worker.deadlines.guard(patience);
    passage.join(&idle);
    let mut cutting = Cutting { client, server, is_over: false };
    let outcome = poll_fn(|cx| {
        let mut moved = 0;
        let upward = up.poll(cx, client, server, &mut moved);
        presence.took(moved);
        let mut back = 0;
        let downward = down.poll(cx, server, client, &mut back);
        presence.gave(back);
        if moved + back > 0 {
            idle.reset(patience);
        }
        match (upward, downward) {
            (Poll::Ready(Err(side)), _) => Poll::Ready(Err(cut(side, Way::Up, endpoint))),
            (_, Poll::Ready(Err(side))) => Poll::Ready(Err(cut(side, Way::Down, endpoint))),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            _ => idle.poll_expired(cx).map(|()| Err(expired(&idle, patience, endpoint))),
        }
    })
    .await;
    cutting.is_over = matches!(outcome, Ok(()) | Err(Fault::TunnelIdle(_)));
    outcome
}

/// Resets both sides unless it is over: when one of them was reset, when an operator ends it, when a shutdown cannot
/// wait any longer.
struct Cutting<'a> {
    client: &'a TcpStream,
    server: &'a TcpStream,
    is_over: bool,
}

impl Drop for Cutting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            abort(self.client);
            abort(self.server);
        }
    }
}

#[cold]
fn expired(idle: &Deadline, patience: Duration, endpoint: &Arc<str>) -> Fault {
    match idle.is_cut() {
        true => Fault::CutOff { endpoint: Arc::clone(endpoint), sent: Sent::Partly },
        false => Fault::TunnelIdle(patience),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// Which of its two sockets ended a direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    From,
    To,
}

fn cut(side: Side, way: Way, endpoint: &Arc<str>) -> Fault {
    match (side, way) {
        (Side::From, Way::Up) | (Side::To, Way::Down) => Fault::ClientReset,
        (Side::From, Way::Down) | (Side::To, Way::Up) => Fault::EndpointReset { endpoint: Arc::clone(endpoint) },
    }
}

/// One direction of a tunnel.
struct Direction {
    pipes: Rc<Pipes>,
    /// Read and not yet written, of a read through the buffer.
    held: Vec<u8>,
    /// How much of `held` is written.
    written: usize,
    pipe: Option<Pipe>,
    in_pipe: usize,
    /// A pipe is worth it.
    is_bulk: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The end was read, and is passed on when all before it is.
    Ended,
    Done,
}

impl Direction {
    fn new(pipes: &Rc<Pipes>) -> Self {
        Self {
            pipes: Rc::clone(pipes),
            held: Vec::new(),
            written: 0,
            pipe: None,
            in_pipe: 0,
            is_bulk: false,
            state: State::Open,
        }
    }

    /// Moves what can be moved now; adds what was read to `moved`. Ready when the end has been passed on.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
        moved: &mut u64,
    ) -> Poll<Result<(), Side>> {
        let mut turn = 0;
        while self.state != State::Done {
            ready!(self.poll_write(cx, to)).map_err(|_| Side::To)?;
            if self.state == State::Ended {
                self.state = State::Done;
                self.let_go();
                // A side that is gone entirely has no use for the end.
                let _gone = SockRef::from(to).shutdown(Shutdown::Write).is_err();
                break;
            }
            if turn >= TURN_BYTES {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let count = ready!(self.poll_read(cx, from, to)).map_err(|_| Side::From)?;
            if count == 0 {
                self.state = State::Ended;
            }
            turn += count;
            *moved += count as u64;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what was read, all of it.
    fn poll_write(&mut self, cx: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<()>> {
        while self.written < self.held.len() {
            match to.try_write(self.held.get(self.written..).unwrap_or_default()) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(to.poll_write_ready(cx))?,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if !self.held.is_empty() {
            (self.held, self.written) = (Vec::new(), 0);
        }
        while let Some(pipe) = self.pipe.as_ref().filter(|_| self.in_pipe > 0) {
            match to.try_io(Interest::WRITABLE, || pass(&pipe.read, to, self.in_pipe)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => self.in_pipe = self.in_pipe.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(to.poll_write_ready(cx))?,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if !self.is_bulk {
            self.let_go();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what there is, into the pipe or through the buffer; 0 is the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, from: &TcpStream, to: &TcpStream) -> Poll<io::Result<usize>> {
        loop {
            if self.is_bulk && self.pipe.is_none() {
                // Without a pipe to be had it is copied, and asks again when it next shows that it is worth one.
                self.pipe = self.pipes.lend();
                self.is_bulk = self.pipe.is_some();
            }
            let read = match &self.pipe {
                Some(pipe) => from.try_io(Interest::READABLE, || pass(from, &pipe.write, PIPE_BYTES)),
                None => self.copy(from, to),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.let_go();
                    ready!(from.poll_read_ready(cx))?;
                }
                Ok(count) if self.pipe.is_some() => {
                    self.in_pipe = count;
                    self.is_bulk = count >= SPLICE_BYTES_MIN;
                    return Poll::Ready(Ok(count));
                }
                read => return Poll::Ready(read),
            }
        }
    }

    /// Reads into the buffer of the worker and writes from it at once; what the other side does not take is kept.
    fn copy(&mut self, from: &TcpStream, to: &TcpStream) -> io::Result<usize> {
        let pipes = Rc::clone(&self.pipes);
        let scratch = &mut *pipes.scratch.borrow_mut();
        let count = read_some(from, scratch)?;
        self.is_bulk = count == scratch.len();
        let bytes = scratch.get(..count).unwrap_or_default();
        let written = match to.try_write(bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            // The next write meets the error again and knows whose it is.
            Err(_) => 0,
        };
        self.held.extend_from_slice(bytes.get(written..).unwrap_or_default());
        Ok(count)
    }

    /// Gives the pipe back if it is empty.
    fn let_go(&mut self) {
        if self.in_pipe == 0
            && let Some(pipe) = self.pipe.take()
        {
            self.pipes.take_back(pipe);
        }
    }
}

impl Drop for Direction {
    fn drop(&mut self) {
        self.let_go();
        if self.pipe.is_some() {
            self.pipes.forget();
        }
    }
}

/// Reads once. A read that does not fill the buffer has emptied the socket, so readiness is cleared with it, which saves
/// the read that finds nothing: bytes that come later wake us anew.
fn read_some(from: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
    let mut count = None;
    let result = from.try_io(Interest::READABLE, || {
        let read = rustix::net::recv(from, &mut *into, rustix::net::RecvFlags::DONTWAIT)?.0;
        count = Some(read);
        if read > 0 && read < into.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(read) }
    });
    count.map_or(result, Ok)
}

fn pass(from: impl std::os::fd::AsFd, to: impl std::os::fd::AsFd, most: usize) -> io::Result<usize> {
    Ok(splice(from, None, to, None, most, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
}
