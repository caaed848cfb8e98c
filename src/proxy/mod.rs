// SPDX-License-Identifier: MIT OR Apache-2.0
//! The journey itself: one page for each kind of traffic, and what the pages share.

pub mod edge;
