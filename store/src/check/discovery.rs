// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for where endpoints are looked for. Whether a name resolves or a file is there is not asked: both may come
//! later, and an upstream without endpoints says so.

use std::time::Duration;

use super::Findings;
use crate::model::{DiscoverFile, DiscoverLease, Discovery};

/// Shortest life of a registration: a renewal takes a round trip.
const LEASE_MIN: Duration = Duration::from_secs(1);

/// Longest life of a registration: beyond it the endpoint is better written.
const LEASE_MAX: Duration = Duration::from_secs(86_400);

pub(super) fn check(findings: &mut Findings<'_>, at: impl Fn() -> String, source: &Discovery) {
    match source {
        Discovery::Dns(text) => {
            if Discovery::name_and_port(text).is_none() {
                let message = format!("{text:?} is not a name and a port");
                findings.bad(format!("{}.dns", at()), message, "write dns = \"shop.internal:8080\"");
            }
        }
        Discovery::Srv(text) => {
            if !Discovery::is_name(text) || !text.starts_with('_') {
                let message = format!("{text:?} is not the name of an SRV record");
                findings.bad(format!("{}.srv", at()), message, "write srv = \"_http._tcp.shop.internal\"");
            }
        }
        Discovery::File(DiscoverFile { path }) => {
            if !path.starts_with('/') || path.contains('\0') {
                let message = format!("{path:?} is not an absolute path");
                findings.bad(format!("{}.file.path", at()), message, "write path = \"/etc/weirgate/shop.endpoints\"");
            }
        }
        Discovery::Lease(DiscoverLease { ttl }) => {
            if !(LEASE_MIN..=LEASE_MAX).contains(&ttl.0) {
                let help = "write a time from 1s to 24h, such as ttl = \"30s\"";
                findings.bad(format!("{}.lease.ttl", at()), format!("{ttl} is out of bounds"), help);
            }
        }
    }
}
