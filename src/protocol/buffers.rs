// SPDX-License-Identifier: MIT OR Apache-2.0
//! The buffers of one worker, lent to whoever has bytes in hand.
//!
//! An idle connection holds none: it gives its buffer back before it waits. So memory follows the work in progress and
//! not the number of connections, and a buffer that was just used is still in the cache when the next one takes it.

use std::cell::RefCell;

use bytes::BytesMut;

use crate::exchange::Fields;

/// Bytes that one read can take from a client.
pub const READ_BYTES: usize = 8 * 1024;

/// What a kept head buffer may hold; a larger one is freed.
pub const HEAD_KEEP_BYTES: usize = 4 * 1024;

/// What a kept output buffer may hold; a larger one is freed.
pub const OUTPUT_KEEP_BYTES: usize = 32 * 1024;

/// Buffers of one kind that are kept for reuse.
const SPARE_MAX: usize = 128;

/// Spare buffers of one worker.
#[derive(Debug, Default)]
pub struct Buffers {
    input: RefCell<Vec<BytesMut>>,
    output: RefCell<Vec<Vec<u8>>>,
    fields: RefCell<Vec<Fields>>,
}

impl Buffers {
    /// An empty buffer with room for [`READ_BYTES`].
    pub fn input(&self) -> BytesMut {
        self.input.borrow_mut().pop().unwrap_or_else(|| BytesMut::with_capacity(READ_BYTES))
    }

    /// Takes a buffer back. One that is not empty, or whose memory is still shared with a body, is freed.
    pub fn return_input(&self, mut buffer: BytesMut) {
        let mut spare = self.input.borrow_mut();
        if spare.len() < SPARE_MAX && buffer.is_empty() && buffer.try_reclaim(READ_BYTES) {
            spare.push(buffer);
        }
    }

    /// An empty buffer to write a head into.
    pub fn output(&self) -> Vec<u8> {
        self.output.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes an output buffer back.
    pub fn return_output(&self, mut buffer: Vec<u8>) {
        let mut spare = self.output.borrow_mut();
        if spare.len() < SPARE_MAX && buffer.capacity() <= OUTPUT_KEEP_BYTES {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// Fields with no field in them.
    pub fn fields(&self) -> Fields {
        self.fields.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes fields back.
    pub fn return_fields(&self, mut fields: Fields) {
        let mut spare = self.fields.borrow_mut();
        if spare.len() < SPARE_MAX {
            fields.reset(HEAD_KEEP_BYTES);
            spare.push(fields);
        }
    }
}
