// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reply fields that make a page safer, rendered once and set in place of what the endpoint says.

use std::sync::Arc;

use super::Replied;
use crate::exchange::{Fields, Scheme};

/// A name and a value.
type Pair = (&'static str, Box<str>);

/// Compiled fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityHeaders {
    pub name: Arc<str>,
    pub fields: Box<[Pair]>,
    /// `Strict-Transport-Security`, which has no meaning on a connection that anyone could change (RFC 6797 section 7.2).
    pub hsts: Option<Box<str>>,
}

const HSTS: &str = "Strict-Transport-Security";

impl SecurityHeaders {
    pub(super) fn annotate(&self, replied: &Replied<'_>, fields: &mut Fields) {
        for (name, value) in &self.fields {
            fields.set_named(name.as_bytes(), value.as_bytes());
        }
        if let Some(hsts) = self.hsts.as_deref().filter(|_| replied.client.scheme == Scheme::Https) {
            fields.set_named(HSTS.as_bytes(), hsts.as_bytes());
        }
    }

    /// What it sets, as a phrase for explain.
    pub(super) fn phrase(&self) -> String {
        let names = self.fields.iter().map(|(name, _)| *name);
        let hsts = self.hsts.as_ref().map(|_| "Strict-Transport-Security over TLS");
        format!("sets {}", names.chain(hsts).collect::<Vec<_>>().join(", "))
    }
}
