// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client is answered when no endpoint answers: the only place that turns a [`Fault`] into bytes.
//!
//! The body is RFC 9457 problem details with the request id, by which the operator finds the whole story. It never
//! names an endpoint, an address or a policy's inner workings.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::exchange::{Fields, Known, RequestId};
use crate::fault::{Blame, Fault};

/// How long a client should wait before it tries again after a fault that passes by itself.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// The problem type of a refused quota (RFC draft ietf-httpapi-ratelimit-headers).
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// The problem type of a limit that all clients share, of the same draft.
const REDUCED_CAPACITY: &str = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

/// A reply of our own.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub fields: Fields,
    pub body: Bytes,
}

/// The body of an error reply (RFC 9457).
#[derive(Serialize)]
struct ProblemDetails<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// `urn:weirgate:token`, for programs.
    code: &'a str,
    #[serde(rename = "request-id")]
    request_id: String,
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    violated: Option<[&'a str; 1]>,
}

/// The reply for a fault. `fields` is an empty buffer to write into.
#[cold]
pub fn fault_page(fault: &Fault, id: RequestId, mut fields: Fields) -> Answer {
    let facts = fault.facts();
    let body = serde_json::to_vec(&details(fault, id)).unwrap_or_default();
    fields.push_known(Known::ContentType, b"application/problem+json");
    fields.push_known(Known::ContentLength, body.len().to_string().as_bytes());
    fields.push(b"Cache-Control", b"no-store");
    fields.push_known(Known::Server, b"weirgate");
    fields.push_known(Known::XRequestId, &id.digits());
    if let Some(wait) = retry_after(fault) {
        fields.push(b"Retry-After", wait.as_secs_f64().ceil().to_string().as_bytes());
    }
    match fault {
        Fault::CredentialMissing { challenge, .. }
        | Fault::CredentialInvalid { challenge, .. }
        | Fault::CredentialRepeated { challenge, .. }
        | Fault::TokenMissing { challenge, .. }
        | Fault::TokenInvalid { challenge, .. }
        | Fault::TokenRepeated { challenge, .. }
        | Fault::CallerUnknown { challenge, .. }
        | Fault::ScopeMissing { challenge, .. }
        | Fault::Unauthenticated { challenge, .. } => {
            challenge.lines().for_each(|line| fields.push(b"WWW-Authenticate", line.as_bytes()));
        }
        Fault::Method { allowed } => fields.push(b"Allow", allowed.as_bytes()),
        Fault::MethodRefused { allowed, .. } => fields.push(b"Allow", allowed.as_bytes()),
        _ => {}
    }
    Answer { status: facts.status, fields, body: Bytes::from(body) }
}

fn details(fault: &Fault, id: RequestId) -> ProblemDetails<'_> {
    let facts = fault.facts();
    let (kind, violated) = match fault {
        Fault::LimitExceeded { policy, .. }
        | Fault::QuotaExceeded { policy, .. }
        | Fault::TooManyAtOnce { policy, shared: false } => (QUOTA_EXCEEDED, Some([&**policy])),
        Fault::TooManyAtOnce { policy, shared: true } => (REDUCED_CAPACITY, Some([&**policy])),
        _ => ("about:blank", None),
    };
    let detail = match fault {
        Fault::Malformed(what) => Some(*what),
        _ => None,
    };
    ProblemDetails {
        kind,
        title: facts.title,
        status: facts.status,
        detail,
        code: facts.token,
        request_id: id.to_string(),
        violated,
    }
}

fn retry_after(fault: &Fault) -> Option<Duration> {
    match fault {
        Fault::LimitExceeded { retry_after, .. } | Fault::QuotaExceeded { retry_after, .. } => {
            Some((*retry_after).max(RETRY_SOON))
        }
        Fault::Maintenance { retry_after, .. } => *retry_after,
        Fault::TooManyAtOnce { .. } => Some(RETRY_SOON),
        Fault::BreakerOpen { left, .. } => Some((*left).max(RETRY_SOON)),
        _ if fault.facts().status == 503 && fault.facts().blame != Blame::Client => Some(RETRY_SOON),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fields, RequestId, fault_page};
    use crate::fault::Fault;

    fn check(fault: &Fault, status: u16, field: Option<(&str, &str)>, in_body: &str) {
        let answer = fault_page(fault, RequestId(7), Fields::new());
        assert_eq!(answer.status, status, "row {fault:?}");
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(body.contains(in_body) && body.contains("00000007"), "row {fault:?}: {body}");
        if let Some((name, value)) = field {
            let got = answer.fields.named(name.as_bytes()).next().map(|v| String::from_utf8(v.to_vec()).unwrap());
            assert_eq!(got.as_deref(), Some(value), "row {fault:?}");
        }
    }

    #[test]
    fn each_fault_tells_the_client_what_it_may_know() {
        let policy = || "gold".into();
        let limited = Fault::LimitExceeded { policy: policy(), retry_after: Duration::from_millis(2100) };
        check(&limited, 429, Some(("Retry-After", "3")), "\"violated-policies\":[\"gold\"]");
        let method = Fault::Method { allowed: "GET, HEAD".into() };
        check(&method, 405, Some(("Allow", "GET, HEAD")), "\"code\":\"method\"");
        let missing = Fault::CredentialMissing { policy: policy(), challenge: "Key realm=\"r\"".into() };
        check(&missing, 401, Some(("WWW-Authenticate", "Key realm=\"r\"")), "No API key");
        let (refusal, challenge) = (crate::fault::Refusal::PasswordWrong, "Key a\nBasic b".into());
        let wrong = Fault::Unauthenticated { policy: policy(), refusal, challenge };
        check(&wrong, 401, Some(("WWW-Authenticate", "Key a")), "\"code\":\"password-wrong\"");
        let page = fault_page(&wrong, RequestId(7), Fields::new());
        assert_eq!(page.fields.named(b"WWW-Authenticate").count(), 2, "one field for each way");
        check(&Fault::PasswordsFull { policy: policy() }, 503, Some(("Retry-After", "1")), "passwords-full");
        check(&Fault::Malformed("two Host fields"), 400, None, "two Host fields");
        let down = Fault::NoEndpoint { upstream: "shop".into(), reason: "10.0.0.1 is down".into() };
        check(&down, 503, Some(("Retry-After", "1")), "Service unavailable");
        let (upstream, reason) = (|| "shop".into(), || "50 of 50 requests".to_owned());
        let left = Duration::from_millis(4_100);
        let open = Fault::BreakerOpen { upstream: upstream(), left, reason: reason() };
        check(&open, 503, Some(("Retry-After", "5")), "\"code\":\"breaker-open\"");
        let full = Fault::QueueFull { upstream: upstream(), reason: reason(), waiting: 3 };
        check(&full, 503, Some(("Retry-After", "1")), "\"code\":\"queue-full\"");
        let page = fault_page(&down, RequestId(7), Fields::new());
        assert!(!String::from_utf8(page.body.to_vec()).unwrap().contains("10.0.0.1"));
    }
}
