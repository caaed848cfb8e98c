// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where connections arrive: sockets opened once and kept over changes, restarts and upgrades.
//!
//! `socket` opens one SO_REUSEPORT socket per worker and address, `handover` adopts sockets that the service manager
//! kept for us, `accept` is the loop of one worker on one socket. Nothing here reads a byte of a connection.

pub mod accept;

pub mod handover;

pub mod socket;
