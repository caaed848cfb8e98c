// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pipes of one worker, through which splice(2) moves bytes between sockets without copying them, and the buffer
//! for what is not worth a pipe.
//!
//! A pipe is lent while bytes flow and comes back empty, so idle tunnels hold none. What must stay true: a pipe with
//! bytes in it is never lent to somebody else.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// Pipes of one worker, lent or spare: two descriptors each.
const PIPES_MAX: usize = 256;

/// What one pipe holds. The kernel gives an unprivileged user 64 MiB of it in all; beyond that, pipes stay as they come.
pub(super) const PIPE_BYTES: usize = 256 * 1024;

/// What one read copies. A read that fills it shows a stream that is worth a pipe.
pub(super) const COPY_BYTES: usize = 16 * 1024;

/// Pipes and the copy buffer of one worker.
#[derive(Debug)]
pub struct Pipes {
    spare: RefCell<Vec<Pipe>>,
    lent: Cell<usize>,
    pub(super) scratch: RefCell<Box<[u8]>>,
}

/// A pipe; empty when it is lent.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
}

impl Default for Pipes {
    fn default() -> Self {
        let scratch = RefCell::new(vec![0; COPY_BYTES].into_boxed_slice());
        Self { spare: RefCell::default(), lent: Cell::new(0), scratch }
    }
}

impl Pipes {
    /// An empty pipe, unless too many are lent or the system has none.
    pub(super) fn lend(&self) -> Option<Pipe> {
        let pipe = match self.spare.borrow_mut().pop() {
            Some(pipe) => pipe,
            None if self.lent.get() >= PIPES_MAX => return None,
            None => open()?,
        };
        self.lent.set(self.lent.get() + 1);
        Some(pipe)
    }

    /// Takes back a pipe that is empty.
    pub(super) fn take_back(&self, pipe: Pipe) {
        self.forget();
        self.spare.borrow_mut().push(pipe);
    }

    /// A lent pipe was closed with bytes in it.
    pub(super) fn forget(&self) {
        self.lent.set(self.lent.get().saturating_sub(1));
    }
}

#[cold]
fn open() -> Option<Pipe> {
    let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
    // A smaller pipe is a pipe, too.
    let _smaller = fcntl_setpipe_size(&write, PIPE_BYTES).is_err();
    Some(Pipe { read, write })
}
