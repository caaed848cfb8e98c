// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP/2 messages to exchanges and back: pseudo-fields to a target, and a reply without what HTTP/2 does not carry.

use std::rc::Rc;

use ::http::request::Parts;
use ::http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::Body;

use super::body::InBody;
use crate::clock;
use crate::exchange::{Client, Exchange, Fields, Known, Protocol, Request, Span};
use crate::fault::Fault;
use crate::protocol::http1::{Framing, RequestFraming};
use crate::protocol::target::{self, Pseudo, Target};
use crate::proxy::edge;
use crate::proxy::forward::Sendable;
use crate::proxy::http::ReplyTo;
use crate::proxy::journey::Journey;
use crate::proxy::reply::{Content, Reply};
use crate::proxy::worker::Worker;

/// A journey, and how its request goes on or why it does not.
pub(super) struct Begun {
    pub(super) journey: Box<Journey>,
    pub(super) framing: Result<RequestFraming, Fault>,
}

/// Makes an exchange of a request head.
pub(super) fn begin(
    worker: &Rc<Worker>,
    client: &Rc<Client>,
    parts: &Parts,
    body: &InBody,
    fields_max: usize,
) -> Begun {
    let arrived = clock::now();
    let snapshot = worker.snapshot();
    let mut fields = worker.buffers.fields();
    let mut client_ip = client.peer.ip().to_canonical();
    let read = read_head(parts, &mut fields, fields_max);
    let framing = match &read {
        Ok(_) => {
            let listener = snapshot.listeners.get(&client.listener);
            let framing = framing(&fields, body);
            client_ip = edge::client_ip(client, &fields, |ip| listener.is_some_and(|listener| listener.trusts(ip)));
            edge::clean_request(&mut fields, client.trusted);
            framing
        }
        Err(fault) => Err(fault.clone()),
    };
    let target = read.ok();
    let raw = if target.is_none() { fields.store(parts.uri.path().as_bytes()) } else { Span::default() };
    let text = |span: fn(&Target) -> Span| target.as_ref().map_or(raw, span);
    let request = Request {
        method: parts.method.clone(),
        protocol: Protocol::Http2,
        host: target.as_ref().map_or(Span::default(), |target| target.host),
        authority: target.as_ref().map_or(Span::default(), |target| target.authority),
        path: text(|target| target.path),
        matched: text(|target| target.matched),
        query: target.as_ref().and_then(|target| target.query),
        fields,
    };
    let id = worker.request_id();
    let x = Exchange { id, client: Rc::clone(client), client_ip, request, arrived, attempts: 0 };
    Begun { journey: Journey::new(x, Rc::clone(worker), snapshot), framing }
}

fn read_head(parts: &Parts, fields: &mut Fields, fields_max: usize) -> Result<Target, Fault> {
    if parts.headers.len() > fields_max {
        return Err(Fault::HeadTooLarge { limit: fields_max });
    }
    let mut crumbs: Vec<&[u8]> = Vec::new();
    for (name, value) in &parts.headers {
        let value = value.as_bytes();
        // RFC 9113 section 8.2.1.
        if value.first().is_some_and(u8::is_ascii_whitespace) || value.last().is_some_and(u8::is_ascii_whitespace) {
            return Err(Fault::Malformed("a field value begins or ends with white space"));
        }
        if name == ::http::header::COOKIE {
            crumbs.push(value);
        } else {
            fields.push(name.as_str().as_bytes(), value);
        }
    }
    // RFC 9113 section 8.2.3: crumbs become one field before they leave HTTP/2.
    if !crumbs.is_empty() {
        fields.push_known(Known::Cookie, &crumbs.join(&b"; "[..]));
    }
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let pseudo = Pseudo {
        // h2 drops a scheme, which it has checked, where there is no `:authority` to go with it.
        scheme: parts.uri.scheme_str().unwrap_or("http").as_bytes(),
        authority: parts.uri.authority().map(|authority| authority.as_str().as_bytes()),
        path: path.as_bytes(),
    };
    target::http2(&parts.method, pseudo, fields)
}

/// h2 has held the length against the data frames; here it is only read.
fn framing(fields: &Fields, body: &InBody) -> Result<RequestFraming, Fault> {
    let announced = match (fields.find(Known::ContentLength), fields.count(Known::ContentLength)) {
        (None, _) => None,
        (Some(value), 1) => {
            let digits = std::str::from_utf8(value).ok().filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
            let length = digits.and_then(|digits| digits.parse::<u64>().ok());
            Some(length.ok_or(Fault::Malformed("Content-Length is not a number"))?)
        }
        (Some(_), _) => return Err(Fault::Malformed("more than one Content-Length")),
    };
    let framing = match announced {
        Some(0) | None if body.is_end_stream() => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    Ok(RequestFraming { framing, keep_alive: true, expect_continue: false, upgrade: None })
}

/// The head of a reply for HTTP/2, and its body.
pub(super) fn reply_head(
    reply: ReplyTo<InBody>,
    worker: &Worker,
    is_bodiless: bool,
) -> (Response<()>, Content<Sendable<InBody>>) {
    let Reply { status, fields, framing, body, .. } = reply;
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = head.headers_mut();
    headers.reserve(fields.len() + 1);
    for field in fields.iter() {
        let name = match field.known {
            Known::ContentLength if !is_bodiless && !matches!(framing, Framing::Length(_)) => continue,
            Known::ContentLength => Ok(::http::header::CONTENT_LENGTH),
            Known::ContentType => Ok(::http::header::CONTENT_TYPE),
            Known::Date => Ok(::http::header::DATE),
            Known::Server => Ok(::http::header::SERVER),
            Known::Via => Ok(::http::header::VIA),
            _ => HeaderName::from_bytes(field.name),
        };
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) {
            headers.append(name, value);
        }
    }
    worker.buffers.return_fields(fields);
    (head, body)
}
