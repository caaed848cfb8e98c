// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the service is asked: a GET with fields of the request, and with what the client wants in forwarding fields.
//!
//! The edge writes `X-Forwarded-For`, `-Proto` and `-Host` as it does for every endpoint; `-Method` and `-Uri` are
//! written here, whatever was there. What would change the form of the answer (conditions, ranges, codings) is left out,
//! as the same answer may be given to others.

use bytes::Bytes;
use http::Method;

use super::ForwardAuthSpec;
use crate::exchange::{Field, Fields, Known, Request};
use crate::policy::call::{Call, REPLY_BYTES_MAX};

/// Fields that are never passed on, in lower case.
const LEFT_OUT: [&[u8]; 11] = [
    b"accept-encoding",
    b"content-encoding",
    b"content-type",
    b"expect",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"if-unmodified-since",
    b"range",
    b"te",
];

const METHOD: &[u8] = b"X-Forwarded-Method";
const URI: &[u8] = b"X-Forwarded-Uri";

pub(super) fn call(spec: &ForwardAuthSpec, asked: &Request) -> Call {
    let mut fields = Fields::new();
    let host = fields.store(asked.host());
    let authority = fields.store(asked.fields.text(asked.authority));
    let path = fields.store(spec.path.as_bytes());
    let query = spec.query.as_ref().map(|query| fields.store(query.as_bytes()));
    for field in asked.fields.iter().filter(|field| is_passed(spec, field)) {
        fields.push(field.name, field.value);
    }
    fields.push(METHOD, asked.method.as_str().as_bytes());
    let mut uri = asked.path().to_vec();
    if let Some(query) = asked.query() {
        uri.push(b'?');
        uri.extend_from_slice(query);
    }
    fields.push(URI, &uri);
    let head =
        Request { method: Method::GET, protocol: asked.protocol, fields, host, authority, path, matched: path, query };
    Call { upstream: spec.upstream, head, body: Bytes::new(), timeout: spec.timeout, reply_bytes_max: REPLY_BYTES_MAX }
}

fn is_passed(spec: &ForwardAuthSpec, field: &Field<'_>) -> bool {
    // There only from a trusted proxy, and then the edge goes on from them.
    let is_way = matches!(
        field.known,
        Known::XForwardedFor | Known::XForwardedHost | Known::XForwardedProto | Known::Forwarded | Known::XRequestId
    );
    if is_way {
        return true;
    }
    let is = |name: &[u8]| field.name.eq_ignore_ascii_case(name);
    if is(METHOD) || is(URI) || LEFT_OUT.iter().any(|name| is(name)) {
        return false;
    }
    spec.request_fields.is_empty() || spec.request_fields.iter().any(|name| is(name.as_bytes()))
}
