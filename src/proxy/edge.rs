// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the edge takes from a message and adds to it, whoever sent it: the duties of an intermediary in RFC 9110
//! section 7.6, and the forwarding fields.
//!
//! What concerns one hop only is removed *before* policies run, so that a `Connection` field can name away what the
//! client sent and never what a policy set. Forwarding and identity fields of a client are replaced unless it is a
//! trusted proxy.

use std::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;

use crate::exchange::{Client, Exchange, Field, Fields, Known, Protocol, Request};
use crate::policy::{is_certificate, is_identity};

/// Names that one `Connection` field may list; more is noise and its names stay unnamed.
const NOMINATED_MAX: usize = 16;

/// The longest name in [`Known`].
const KNOWN_NAME_MAX: usize = 17;

/// Field names that a message nominates as hop-by-hop.
type Nominated = SmallVec<[SmallVec<[u8; 32]>; 2]>;

/// Removes from a request what is not for the endpoint: fields of this hop, identity fields, and the forwarding fields
/// of a client that is not a trusted proxy. `keep_expect` leaves `Expect`, which then travels with its body.
pub fn clean_request(fields: &mut Fields, trusted: bool) {
    let nominated = nominated(fields);
    fields.retain(|field| match field.known {
        Known::Other => {
            !is_nominated(&nominated, &field)
                && !is_identity(field.name)
                && !is_certificate(field.name)
                && !is_disguised(field.name)
                && (trusted || !is_forwarding(field.name))
        }
        Known::Connection
        | Known::KeepAlive
        | Known::ProxyConnection
        | Known::Upgrade
        | Known::Http2Settings
        | Known::TransferEncoding
        | Known::ContentLength
        | Known::Expect
        | Known::Host => false,
        Known::Te => field.value.eq_ignore_ascii_case(b"trailers"),
        Known::Forwarded
        | Known::XForwardedFor
        | Known::XForwardedHost
        | Known::XForwardedProto
        | Known::XRealIp
        | Known::XRequestId => trusted && !is_nominated(&nominated, &field),
        // A client may not name away what says who it is or what the message means.
        Known::Authorization | Known::Cookie | Known::ContentType | Known::Date | Known::Via | Known::MaxForwards => {
            true
        }
        Known::AcceptEncoding | Known::Server | Known::Trailer => !is_nominated(&nominated, &field),
    });
}

/// Removes from a reply what is not for the client. `Content-Length` stays: it is true of the whole reply.
pub fn clean_reply(fields: &mut Fields) {
    let nominated = nominated(fields);
    fields.retain(|field| match field.known {
        Known::Connection
        | Known::KeepAlive
        | Known::ProxyConnection
        | Known::Upgrade
        | Known::TransferEncoding
        | Known::Te
        | Known::Http2Settings => false,
        Known::ContentLength | Known::ContentType | Known::Date | Known::Via => true,
        _ => !is_nominated(&nominated, &field),
    });
}

fn nominated(fields: &Fields) -> Nominated {
    let mut names = Nominated::new();
    for value in fields.all(Known::Connection) {
        for name in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            // The options that nearly every message sends name no field.
            let option = name.eq_ignore_ascii_case(b"keep-alive") || name.eq_ignore_ascii_case(b"close");
            if !name.is_empty() && !option && names.len() < NOMINATED_MAX {
                names.push(SmallVec::from_slice(name));
            }
        }
    }
    names
}

fn is_nominated(nominated: &Nominated, field: &Field<'_>) -> bool {
    nominated.iter().any(|name| name.eq_ignore_ascii_case(field.name))
}

/// Whether an endpoint that makes a variable of each field could take this for a name that we act on, because it treats
/// an underscore as a hyphen.
fn is_disguised(name: &[u8]) -> bool {
    let mut plain = [0; KNOWN_NAME_MAX];
    let Some(plain) = plain.get_mut(..name.len()).filter(|_| name.contains(&b'_')) else { return false };
    for (to, from) in plain.iter_mut().zip(name) {
        *to = if *from == b'_' { b'-' } else { *from };
    }
    Known::of(plain) != Known::Other
}

/// Whether a field that only a proxy may send says where a request came from or what it was for.
fn is_forwarding(name: &[u8]) -> bool {
    const FORWARDED: &[u8] = b"x-forwarded-";
    let is_like = |(a, b): (&u8, &u8)| a.to_ascii_lowercase() == *b || (*a == b'_' && *b == b'-');
    let starts = name.len() > FORWARDED.len() && name.iter().zip(FORWARDED).all(is_like);
    let is = |known: &[u8]| name.len() == known.len() && name.iter().zip(known).all(is_like);
    matches!(name.first(), Some(b'x' | b'X')) && (starts || is(b"x-original-url") || is(b"x-rewrite-url"))
}

/// The address that counts as the client's: the peer, or, behind trusted proxies, the nearest address in
/// `X-Forwarded-For` that is not itself trusted.
pub fn client_ip(client: &Client, fields: &Fields, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let peer = client.peer.ip().to_canonical();
    if !client.trusted {
        return peer;
    }
    let mut nearest = peer;
    let lists: SmallVec<[&[u8]; 2]> = fields.all(Known::XForwardedFor).collect();
    for element in lists.iter().rev().flat_map(|list| list.rsplit(|byte| *byte == b',')) {
        let Some(address) = parse_address(element.trim_ascii()) else { return nearest };
        nearest = address;
        if !is_trusted(address) {
            return address;
        }
    }
    nearest
}

fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse::<IpAddr>().ok().or_else(with_port).map(|address| address.to_canonical())
}

/// Writes the fields that tell the endpoint where a request came from, each with its line end.
pub fn write_forwarding(out: &mut Vec<u8>, x: &Exchange) {
    out.extend_from_slice(match x.request.protocol {
        Protocol::Http10 => b"Via: 1.0 weirgate\r\n",
        Protocol::Http11 => b"Via: 1.1 weirgate\r\n",
        Protocol::Http2 => b"Via: 2.0 weirgate\r\n",
    });
    if x.client.trusted {
        return write_trusted(out, x);
    }
    // What such a client said of itself is gone, so all but the host is the same for all its requests.
    let (origin, authority) = (&x.client.origin, x.request.fields.text(x.request.authority));
    let id = x.id.digits();
    let parts: [&[u8]; 8] = [
        &origin.before_host,
        authority,
        &origin.between_hosts,
        authority,
        &origin.after_hosts,
        b"X-Request-Id: ",
        &id,
        b"\r\n",
    ];
    parts.into_iter().for_each(|part| out.extend_from_slice(part));
}

/// What a trusted proxy said is kept and added to.
fn write_trusted(out: &mut Vec<u8>, x: &Exchange) {
    let Exchange { client, request, .. } = x;
    let peer = &*client.origin.peer;
    let authority = request.fields.text(request.authority);
    match joined(&request.fields, Known::XForwardedFor) {
        Some(before) => line(out, b"X-Forwarded-For", &[&before, b", ", peer]),
        None => line(out, b"X-Forwarded-For", &[peer]),
    }
    let proto = request.fields.find(Known::XForwardedProto);
    line(out, b"X-Forwarded-Proto", &[proto.unwrap_or(client.scheme.name().as_bytes())]);
    line(out, b"X-Forwarded-Host", &[request.fields.find(Known::XForwardedHost).unwrap_or(authority)]);
    let before = joined(&request.fields, Known::Forwarded).unwrap_or_default();
    let comma: &[u8] = if before.is_empty() { b"" } else { b", " };
    // `between_hosts` begins with the line end of the field before it and the name.
    let node = client.origin.between_hosts.strip_prefix(b"\r\nForwarded: ").unwrap_or_default();
    for part in [b"Forwarded: ", &*before, comma, node, authority, &client.origin.after_hosts] {
        out.extend_from_slice(part);
    }
    if request.fields.count(Known::XRequestId) == 0 {
        line(out, b"X-Request-Id", &[&x.id.digits()]);
    }
}

fn joined(fields: &Fields, known: Known) -> Option<Vec<u8>> {
    let values: SmallVec<[&[u8]; 2]> = fields.all(known).collect();
    if values.is_empty() { None } else { Some(values.join(&b", "[..])) }
}

fn line(out: &mut Vec<u8>, name: &[u8], parts: &[&[u8]]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether `field` was replaced by what [`write_forwarding`] writes, and must not be written again.
pub fn is_rewritten(known: Known, trusted: bool) -> bool {
    match known {
        Known::XForwardedFor | Known::XForwardedProto | Known::XForwardedHost | Known::Forwarded => true,
        Known::XRequestId => !trusted,
        _ => false,
    }
}

/// Adds our entry to the `Via` of a reply.
pub fn add_via(fields: &mut Fields, received: Protocol) {
    let value: &[u8] = match received {
        Protocol::Http10 => b"1.0 weirgate",
        Protocol::Http11 => b"1.1 weirgate",
        Protocol::Http2 => b"2.0 weirgate",
    };
    fields.push_known(Known::Via, value);
}

/// What `Max-Forwards` asks of us (RFC 9110 section 7.6.2): only for TRACE and OPTIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxForwards {
    /// Not there, or not for this method.
    Pass,
    /// Forward with this value.
    Forward(u32),
    /// We are the last recipient.
    Last,
    Invalid,
}

/// Reads `Max-Forwards`.
pub fn max_forwards(request: &Request) -> MaxForwards {
    if !matches!(request.method, http::Method::TRACE | http::Method::OPTIONS) {
        return MaxForwards::Pass;
    }
    let Some(value) = request.fields.find(Known::MaxForwards) else { return MaxForwards::Pass };
    match std::str::from_utf8(value).ok().filter(|v| v.bytes().all(|b| b.is_ascii_digit())).map(str::parse::<u32>) {
        Some(Ok(0)) => MaxForwards::Last,
        Some(Ok(left)) => MaxForwards::Forward(left - 1),
        Some(Err(_)) | None => MaxForwards::Invalid,
    }
}

#[cfg(test)]
mod tests;
