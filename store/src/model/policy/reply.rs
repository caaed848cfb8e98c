// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that answer instead of an endpoint: a redirect, a fixed reply, a maintenance page.

use std::collections::BTreeMap;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Span;

/// Sends the client elsewhere. A route with it needs no upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedirectPolicy {
    /// Where to: `https://{host}{path}`, `/new/{id}`. Names in braces are of the request or of the path of the route.
    pub to: String,
    /// 301 or 308 for good, 302 or 307 for now, 303 to fetch the result with GET.
    #[serde(default = "for_now", skip_serializing_if = "is_for_now")]
    pub status: u16,
    /// Adds the query of the request, unless `to` names it.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub keep_query: bool,
}

fn for_now() -> u16 {
    307
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_for_now(status: &u16) -> bool {
    *status == for_now()
}

fn yes() -> bool {
    true
}

/// Always the same reply. A route with it needs no upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplyPolicy {
    #[serde(skip_serializing_if = "is_ok")]
    pub status: u16,
    /// Field name to value. `Content-Type` is `text/plain` for a `body` and `application/json` for `json` if it is not here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A body that is checked to be JSON and sent to the letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
}

impl Default for ReplyPolicy {
    fn default() -> Self {
        Self { status: 200, headers: BTreeMap::new(), body: None, json: None }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_ok(status: &u16) -> bool {
    *status == 200
}

/// Everybody gets 503, before anybody is asked who they are, except from some networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MaintenancePolicy {
    /// When a client should come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Span>,
    /// The page; HTML if it begins with `<`. Problem details if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Networks whose clients pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<IpNet>,
}
