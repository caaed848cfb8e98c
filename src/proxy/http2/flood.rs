// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts the frames that a client sends for nothing: SETTINGS, PING, PRIORITY and whatever nobody knows.
//!
//! Each costs us a look or an answer and the client nine bytes, and h2 bounds none of them. So the bytes on their way
//! to hyper are looked at: nine of each frame, nothing is kept, nothing is changed. Frames that carry a request or take
//! a reply earn their sender some. DATA, RST_STREAM and CONTINUATION have their own bounds, in h2 and in `super`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::Deadlines;

/// The time over which frames are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// Idle frames that a client may send in one window, whatever else it does.
const IDLE_FRAMES_MAX: u32 = 2_000;

/// What no amount of useful frames can raise that to.
const EARNED_MAX: u32 = 20_000;

/// The length of what a client says before its first frame (RFC 9113 section 3.4).
const PREFACE_BYTES: usize = 24;

const HEAD_BYTES: usize = 9;

/// Frame types (RFC 9113 section 6).
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

/// Where in the stream of frames we are, and what was counted.
#[derive(Debug)]
struct Count {
    /// Bytes until the next frame head.
    skip: usize,
    head: [u8; HEAD_BYTES],
    have: usize,
    idle: u32,
    earned: u32,
}

impl Count {
    fn new() -> Self {
        Self { skip: PREFACE_BYTES, head: [0; HEAD_BYTES], have: 0, idle: 0, earned: 0 }
    }

    fn begin_window(&mut self) {
        (self.idle, self.earned) = (0, 0);
    }

    /// Takes bytes into account; false if there were too many frames for nothing.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wanted = (HEAD_BYTES - self.have).min(bytes.len());
            let (piece, rest) = bytes.split_at(wanted);
            if let Some(room) = self.head.get_mut(self.have..self.have + wanted) {
                room.copy_from_slice(piece);
            }
            self.have += wanted;
            bytes = rest;
            if self.have == HEAD_BYTES {
                self.frame();
            }
        }
        self.idle <= IDLE_FRAMES_MAX.saturating_add(self.earned).min(EARNED_MAX)
    }

    fn frame(&mut self) {
        let [high, middle, low, kind, ..] = self.head;
        self.have = 0;
        self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            kind::HEADERS | kind::WINDOW_UPDATE => self.earned = self.earned.saturating_add(1),
            kind::DATA if self.skip > 0 => self.earned = self.earned.saturating_add(1),
            kind::DATA | kind::RST_STREAM | kind::CONTINUATION => {}
            _ => self.idle = self.idle.saturating_add(1),
        }
    }
}

/// A stream whose reader gives up when its client floods it.
#[derive(Debug)]
pub(super) struct Watched<S> {
    inner: S,
    count: Count,
    deadlines: Deadlines,
    window_began: Instant,
}

impl<S> Watched<S> {
    pub(super) fn new(inner: S, deadlines: Deadlines) -> Self {
        let window_began = deadlines.now();
        Self { inner, count: Count::new(), deadlines, window_began }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let now = this.deadlines.now();
        if now.saturating_duration_since(this.window_began) >= WINDOW {
            this.window_began = now;
            this.count.begin_window();
        }
        if this.count.take(buf.filled().get(before..).unwrap_or_default()) {
            return Poll::Ready(Ok(()));
        }
        tracing::info!("an HTTP/2 client floods us with frames that do nothing: closed");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "a flood of control frames")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, EARNED_MAX, IDLE_FRAMES_MAX, PREFACE_BYTES};

    const PING: u8 = 6;

    fn frames(kind: u8, len: u8, count: u32) -> Vec<u8> {
        let one = [&[0, 0, len, kind, 0, 0, 0, 0, 0][..], &vec![6; usize::from(len)]].concat();
        one.repeat(count as usize)
    }

    /// The outcome of these frames, whole and in pieces of every small size.
    fn check(row: &str, bytes: &[u8], passes: bool) {
        let all = [&[b'P'; PREFACE_BYTES][..], bytes].concat();
        for piece in [1, 7, 9, 10, 1000, all.len()] {
            let mut count = Count::new();
            let outcome = all.chunks(piece).all(|part| count.take(part));
            assert_eq!(outcome, passes, "row {row} in pieces of {piece}");
        }
    }

    #[test]
    fn only_frames_that_do_nothing_count() {
        check("as many as allowed", &frames(PING, 8, IDLE_FRAMES_MAX), true);
        check("one too many", &frames(PING, 8, IDLE_FRAMES_MAX + 1), false);
        check("SETTINGS", &frames(4, 0, IDLE_FRAMES_MAX + 1), false);
        check("unknown", &frames(200, 3, IDLE_FRAMES_MAX + 1), false);
        check("data", &frames(0, 100, 50_000), true);
        check("window updates", &frames(8, 4, 50_000), true);
        let mixed = [frames(1, 20, 1_000), frames(PING, 8, IDLE_FRAMES_MAX + 1_000)].concat();
        check("earned", &mixed, true);
        let mixed = [frames(8, 4, EARNED_MAX), frames(PING, 8, EARNED_MAX + 1)].concat();
        check("more than can be earned", &mixed, false);
    }
}
