// SPDX-License-Identifier: MIT OR Apache-2.0
//! Methods that may pass; the refusal says which.

use std::sync::Arc;

use crate::fault::Fault;
use crate::policy::{Note, Request, Verdict, place};

/// A policy that looks at the method. Methods differ by letter case (RFC 9110 section 9.1).
#[derive(Clone, Debug)]
pub struct Methods {
    pub name: Arc<str>,
    allow: Box<[Box<str>]>,
    /// The same as the `Allow` field of a refusal says it.
    allowed: Arc<str>,
}

impl Methods {
    pub fn new(name: Arc<str>, allow: &[String]) -> Self {
        let allowed = allow.join(", ").into();
        Self { name, allow: allow.iter().map(|method| method.as_str().into()).collect(), allowed }
    }

    pub(in crate::policy) fn check(&self, at: usize, request: &mut Request<'_>) -> Result<Verdict, Fault> {
        let method = request.head.method.as_str();
        if !self.allow.iter().any(|allowed| **allowed == *method) {
            return Err(self.refuse(method));
        }
        request.notes.push(Note::Passed { policy: place(at) });
        Ok(Verdict::Continue)
    }

    #[cold]
    fn refuse(&self, method: &str) -> Fault {
        let (policy, allowed) = (Arc::clone(&self.name), Arc::clone(&self.allowed));
        Fault::MethodRefused { policy, method: method.into(), allowed }
    }
}
