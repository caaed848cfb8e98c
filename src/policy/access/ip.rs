// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may call by address: what is denied may not, and where something is allowed, all else may not.
//!
//! The address is the one that the edge found: that of the peer, or what a trusted proxy says. Nobody else's
//! forwarding fields count.

use std::net::IpAddr;
use std::sync::Arc;

use weirgate_store::networks::Networks;

use crate::fault::Fault;
use crate::policy::{Note, Request, Verdict, place};

/// A policy that looks at addresses.
#[derive(Clone, Debug)]
pub struct Ip {
    pub name: Arc<str>,
    /// Everybody if absent.
    allow: Option<Networks>,
    deny: Networks,
}

impl Ip {
    /// Nothing in `allow` allows everybody.
    pub fn new(name: Arc<str>, allow: Networks, deny: Networks) -> Self {
        Self { name, allow: Some(allow).filter(|allow| !allow.is_empty()), deny }
    }

    pub(in crate::policy) fn check(&self, at: usize, request: &mut Request<'_>) -> Result<Verdict, Fault> {
        let is_refused = self.deny.find(request.client_ip).is_some()
            || self.allow.as_ref().is_some_and(|allow| allow.find(request.client_ip).is_none());
        if is_refused {
            return Err(self.refuse(request.client_ip));
        }
        request.notes.push(Note::Passed { policy: place(at) });
        Ok(Verdict::Continue)
    }

    #[cold]
    fn refuse(&self, address: IpAddr) -> Fault {
        let why = match self.deny.find(address) {
            Some(net) => format!("{net} is denied"),
            None => "it is in none of the networks that are allowed".to_owned(),
        };
        Fault::AddressRefused { policy: Arc::clone(&self.name), address, why }
    }
}
