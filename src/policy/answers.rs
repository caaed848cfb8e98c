// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replies that are written in the configuration: always the same one, or 503 while an operator works.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::{Note, Reply, Request, Verdict, place};
use crate::exchange::{Fields, Known};
use crate::fault::Fault;

/// Always the same reply.
#[derive(Clone, Debug)]
pub struct FixedReply {
    pub name: Arc<str>,
    pub status: u16,
    fields: Fields,
    body: Arc<[u8]>,
}

impl FixedReply {
    /// `kind` is the media type if `headers` name none.
    pub fn new(name: Arc<str>, status: u16, headers: &[(&str, &str)], kind: Option<&str>, body: &str) -> Self {
        let mut fields = Fields::new();
        for (name, value) in headers {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        if let Some(kind) = kind.filter(|_| fields.count(Known::ContentType) == 0) {
            fields.push_known(Known::ContentType, kind.as_bytes());
        }
        Self { name, status, fields, body: body.as_bytes().into() }
    }

    pub(super) fn check(&self, at: usize, request: &mut Request<'_>) -> Verdict {
        request.notes.push(Note::Answered { policy: place(at) });
        let body = Cow::Owned(self.body.to_vec());
        Verdict::Reply(Box::new(Reply { status: self.status, fields: self.fields.clone(), body }))
    }
}

/// 503 for everybody but some.
#[derive(Clone, Debug)]
pub struct Maintenance {
    pub name: Arc<str>,
    allow: Box<[IpNet]>,
    retry_after: Option<Duration>,
    /// Problem details without one.
    page: Option<FixedReply>,
}

impl Maintenance {
    pub fn new(name: Arc<str>, allow: &[IpNet], retry_after: Option<Duration>, body: Option<&str>) -> Self {
        let seconds = retry_after.map(|after| after.as_secs().to_string());
        let mut headers = vec![("Cache-Control", "no-store")];
        headers.extend(seconds.as_deref().map(|seconds| ("Retry-After", seconds)));
        let kind = |body: &str| match body.trim_start().starts_with('<') {
            true => "text/html; charset=utf-8",
            false => "text/plain; charset=utf-8",
        };
        let page = body.map(|body| FixedReply::new(Arc::clone(&name), 503, &headers, Some(kind(body)), body));
        Self { name, allow: allow.into(), retry_after, page }
    }

    /// Whether a client passes.
    pub(super) fn passes(&self, client: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(&client))
    }

    pub(super) fn check(&self, at: usize, request: &mut Request<'_>) -> Result<Verdict, Fault> {
        if self.passes(request.client_ip) {
            return Ok(Verdict::Continue);
        }
        match &self.page {
            Some(page) => Ok(page.check(at, request)),
            None => Err(Fault::Maintenance { policy: Arc::clone(&self.name), retry_after: self.retry_after }),
        }
    }
}
