// SPDX-License-Identifier: MIT OR Apache-2.0
//! upstream

pub mod connect;

pub mod connection;

pub mod pool;

mod reply_body;

mod upload;

pub use reply_body::ReplyBody;

#[cfg(test)]
mod origin;

#[cfg(test)]
mod tests;
