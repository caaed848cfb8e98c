// SPDX-License-Identifier: MIT OR Apache-2.0
//! The id of a request in a field of choice, and its place in a distributed trace.
//!
//! Both are believed of a client only as far as the operator says, and both are decided once and early, so that whatever
//! refuses the request later can still be found by them.

use std::sync::Arc;

use super::{Note, Replied, Request, Verdict, place};
use crate::exchange::{Client, Fields, Trace};

/// The longest id of another proxy that is kept.
const ID_BYTES_MAX: usize = 128;

/// The id of each request in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdField {
    pub name: Arc<str>,
    pub header: Box<[u8]>,
    /// Whether the client gets it, too.
    pub reply: bool,
}

impl IdField {
    pub(super) fn check(&self, request: &mut Request<'_>) -> Verdict {
        if !self.is_kept(request.client, &request.head.fields) {
            request.head.fields.set_named(&self.header, &request.id.digits());
        }
        Verdict::Continue
    }

    /// Only a trusted proxy may have named the request before us.
    fn is_kept(&self, client: &Client, fields: &Fields) -> bool {
        let mut all = fields.named(&self.header);
        let fits = |id: &[u8]| (1..=ID_BYTES_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
        client.trusted && all.next().is_some_and(fits) && all.next().is_none()
    }

    pub(super) fn annotate(&self, replied: &Replied<'_>, fields: &mut Fields) {
        if !self.reply {
            return;
        }
        let asked = &replied.head.fields;
        let kept = asked.named(&self.header).next().filter(|_| self.is_kept(replied.client, asked));
        fields.set_named(&self.header, kept.unwrap_or(&replied.id.digits()));
    }
}

/// W3C trace context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContinued {
    pub name: Arc<str>,
    /// Whether only trusted proxies may bring a trace.
    pub proxies_only: bool,
    /// Share of the traces that begin here that are marked as recorded, in per cent.
    pub sample: u16,
}

impl TraceContinued {
    pub(super) fn check(&self, at: usize, request: &mut Request<'_>) -> Verdict {
        let (span, draw) = (fastrand::u64(1..), fastrand::u64(..));
        let believed = request.client.trusted || !self.proxies_only;
        let theirs = if believed { Trace::go_on(&request.head.fields, span) } else { None };
        let begun = theirs.is_none();
        let sampled = draw % 100 < u64::from(self.sample);
        let trace = theirs.unwrap_or_else(|| Trace::begin(request.id.0, span, sampled));
        trace.write(&mut request.head.fields);
        request.notes.push(Note::Traced { policy: place(at), begun });
        request.head.trace = Some(Box::new(trace));
        Verdict::Continue
    }
}
