// SPDX-License-Identifier: MIT OR Apache-2.0
//! The head of the request as an endpoint of HTTP/2 gets it: pseudo-fields for the target, and fields in lower case.
//!
//! What is rewritten is the same as over HTTP/1 (`head`). It is made anew for each attempt, as HTTP/2 takes it away.

use std::time::Duration;

use ::http::uri::{Authority, PathAndQuery, Scheme as UriScheme};
use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use bytes::Bytes;

use super::super::edge;
use super::head::render;
use crate::exchange::{Exchange, Known, Scheme};
use crate::fault::Fault;
use crate::protocol::http1::{Framing, RequestFraming};

/// The request without its body.
pub(super) fn request(x: &Exchange, framing: &RequestFraming, endpoint: &str) -> Result<Request<()>, Fault> {
    let mut request = Request::new(());
    *request.method_mut() = x.request.method.clone();
    *request.version_mut() = ::http::Version::HTTP_2;
    *request.uri_mut() = target(x, endpoint)?;
    *request.headers_mut() = fields(x, framing);
    Ok(request)
}

fn target(x: &Exchange, endpoint: &str) -> Result<Uri, Fault> {
    const REFUSED: Fault = Fault::Malformed("the target cannot be sent over HTTP/2");
    let request = &x.request;
    let sent = request.sent();
    let authority = match request.fields.text(sent.authority) {
        // HTTP/1.0 may do without, HTTP/2 may not.
        [] => endpoint.as_bytes(),
        authority => authority,
    };
    let mut path = request.fields.text(sent.path).to_vec();
    if let Some(query) = sent.query {
        path.push(b'?');
        path.extend_from_slice(request.fields.text(query));
    }
    let mut parts = ::http::uri::Parts::default();
    parts.scheme = Some(if x.client.scheme == Scheme::Https { UriScheme::HTTPS } else { UriScheme::HTTP });
    parts.authority = Some(Authority::try_from(authority).map_err(|_| REFUSED)?);
    parts.path_and_query = Some(path_and_query(path).map_err(|_| REFUSED)?);
    Uri::from_parts(parts).map_err(|_| REFUSED)
}

/// Characters that no URI may hold and that clients send nevertheless are written in the one way that is right.
fn path_and_query(path: Vec<u8>) -> Result<PathAndQuery, ::http::uri::InvalidUri> {
    let path = Bytes::from(path);
    PathAndQuery::from_maybe_shared(path.clone()).or_else(|_| {
        let mut encoded = Vec::with_capacity(path.len() + 32);
        for byte in &path {
            if matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}') {
                encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
            } else {
                encoded.push(*byte);
            }
        }
        PathAndQuery::from_maybe_shared(Bytes::from(encoded))
    })
}

fn fields(x: &Exchange, framing: &RequestFraming) -> HeaderMap {
    let fields = &x.request.fields;
    let mut headers = HeaderMap::with_capacity(fields.len() + 8);
    for field in fields.iter() {
        if !edge::is_rewritten(field.known, x.client.trusted) {
            push(&mut headers, field.name, field.value);
        }
    }
    if let Framing::Length(length) = framing.framing {
        let mut digits = [0; 20];
        push(&mut headers, header::CONTENT_LENGTH.as_str().as_bytes(), render(length, &mut digits));
    }
    let mut text = Vec::with_capacity(512);
    edge::write_forwarding(&mut text, x);
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            let (name, value) = line.split_at(colon);
            push(&mut headers, name, value.get(1..).unwrap_or_default().trim_ascii());
        }
    }
    headers
}

fn push(headers: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        headers.append(name, value);
    }
}

/// How long a gRPC client waits, if it is one that says so (`grpc-timeout`: at most 8 digits and a unit).
pub(super) fn grpc_timeout(x: &Exchange) -> Option<Duration> {
    let is_grpc = x.request.fields.find(Known::ContentType).is_some_and(|kind| kind.starts_with(b"application/grpc"));
    if is_grpc { parse_timeout(x.request.fields.named(b"grpc-timeout").next()?) } else { None }
}

fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse_timeout, path_and_query};

    #[test]
    fn a_grpc_timeout_has_a_number_and_a_unit() {
        for (text, want) in [
            ("10S", Some(Duration::from_secs(10))),
            ("250m", Some(Duration::from_millis(250))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("1u", Some(Duration::from_micros(1))),
            ("1n", Some(Duration::from_nanos(1))),
            ("2M", Some(Duration::from_secs(120))),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("10", None),
            ("-1S", None),
            ("1s", None),
        ] {
            assert_eq!(parse_timeout(text.as_bytes()), want, "row {text}");
        }
    }

    #[test]
    fn what_no_uri_may_hold_is_encoded() {
        for (path, want) in [("/a?b=c", "/a?b=c"), ("/?q=<a|b>", "/?q=%3Ca%7Cb%3E"), ("*", "*"), ("/?a=`^", "/?a=`^")] {
            let got = path_and_query(path.as_bytes().to_vec());
            assert_eq!(got.map(|path| path.as_str().to_owned()).ok().as_deref(), Some(want), "row {path}");
        }
    }
}
