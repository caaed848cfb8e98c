// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one normal spelling of a path and of a host, for requests and for the rules that match them.
//!
//! Both sides of a comparison come through here, so that a rule holds in every spelling of what it names. What cannot
//! be given one meaning that every endpoint shares (an encoded slash, a hidden dot segment) is refused, never guessed.
//! Nothing here knows a header, a form of target or a route; reasons are plain words for a fault or a problem.

pub mod host;

pub mod path;
