// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a client is kept on the endpoint that served it: by a value that we seal, or by a cookie that we remember.
//!
//! Here is what is kept and where; reading it from requests and writing it into replies is `proxy::forward::sticky`.
//! What must stay true: nobody learns an address from what we send and nobody can make a value that we take for ours;
//! a value that is not ours is no value, never an error.

pub mod learned;

pub mod seal;

use std::sync::Arc;

pub use learned::Learned;
pub use seal::Seal;

/// An endpoint as it is remembered: who it is, and where it stood in the list when that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub identity: u64,
    /// Looked at first, so that a session is found without a search.
    pub hint: u32,
}

/// How an upstream keeps its clients.
#[derive(Debug)]
pub enum Sticky {
    Cookie { name: Box<[u8]>, attributes: Box<[u8]>, seal: Seal },
    Header { name: Box<[u8]>, seal: Seal },
    Learn { cookie: Box<[u8]>, idle_s: u32, table: Arc<Learned> },
}

impl std::fmt::Display for Sticky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        match self {
            Self::Cookie { name, .. } => write!(f, "its cookie {}", text(name)),
            Self::Header { name, .. } => write!(f, "its header {}", text(name)),
            Self::Learn { cookie, .. } => write!(f, "the endpoint's cookie {}", text(cookie)),
        }
    }
}
