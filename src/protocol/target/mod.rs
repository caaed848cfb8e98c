// SPDX-License-Identifier: MIT OR Apache-2.0
//! The target of a request: which host, which path, in one spelling, or a reason to refuse it.
//!
//! Everything that names a resource is settled here, before routing: the form of the target (RFC 9112 section 3.2),
//! agreement of target, `:authority` and `Host`, and the spelling of path and host (`exchange::spelling`). What was
//! matched is what is sent: the codec writes [`Target::authority`] as the only `Host` and [`Target::path`] as the
//! path, never the client's own text. An absolute target that names another host than `Host` is refused: RFC 9112 lets
//! the target win, but a cache or a filter in front that reads `Host` would then have judged another request.

mod authority;

#[cfg(test)]
mod tests;

use http::{Method, Version};

use crate::exchange::spelling::path;
use crate::exchange::{Fields, Known, Span};
use crate::fault::Fault;

use authority::Authority;

/// How the client wrote the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `http://host/path`
    Absolute,
    /// `*`, for OPTIONS only
    Asterisk,
    /// `host:port`, for CONNECT only
    Authority,
    /// `/path`, and every `:path` of HTTP/2
    Origin,
}

/// A checked target. The spans are of the [`Fields`] that it was read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub form: Form,
    /// Host and port as they go to the endpoint; empty only for HTTP/1.0 without `Host`.
    pub authority: Span,
    /// The host alone: lower case, no trailing dot.
    pub host: Span,
    pub port: Option<u16>,
    /// The path as it goes to the endpoint; `*` for [`Form::Asterisk`].
    pub path: Span,
    /// The path that routes and policies compare; the same span as `path` unless the client wrote delimiters encoded
    /// or path parameters.
    pub matched: Span,
    /// What follows the `?`, as it came.
    pub query: Option<Span>,
}

/// Reads the target of an HTTP/1 request, whose text is already in `fields` beside its header fields.
pub fn http1(version: Version, method: &Method, target: Span, fields: &mut Fields) -> Result<Target, Fault> {
    let host = host_field(fields)?;
    if *method == Method::CONNECT {
        return connect(host.as_ref(), target, fields);
    }
    if host.is_none() && version != Version::HTTP_10 {
        return Err(Fault::Malformed("the request has no Host"));
    }
    match fields.text(target) {
        [] => Err(Fault::Malformed("the target is empty")),
        b"*" => asterisk(method, &host.unwrap_or_default(), target, fields),
        [b'/', ..] => origin(Form::Origin, &host.unwrap_or_default(), target, fields),
        _ => absolute(method, host.as_ref(), target, fields),
    }
}

/// The pseudo-fields of an HTTP/2 request that name what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Pseudo<'a> {
    pub scheme: &'a [u8],
    pub authority: Option<&'a [u8]>,
    pub path: &'a [u8],
}

/// Reads the target of an HTTP/2 request (RFC 9113 section 8.3.1); its header fields are already in `fields`.
pub fn http2(method: &Method, pseudo: Pseudo<'_>, fields: &mut Fields) -> Result<Target, Fault> {
    refuse_connect(method)?;
    let default_port = default_port(pseudo.scheme).ok_or(Fault::Malformed("the scheme is neither http nor https"))?;
    let named = pseudo.authority.map(Authority::parse).transpose().map_err(Fault::Malformed)?;
    let host = match (named, host_field(fields)?) {
        (Some(named), Some(host)) if !named.is_same(&host, default_port) => {
            return Err(Fault::Malformed("`:authority` and Host name different hosts"));
        }
        (Some(named), _) => named,
        (None, Some(host)) => host,
        (None, None) => return Err(Fault::Malformed("the request has neither `:authority` nor Host")),
    };
    let target = fields.store(pseudo.path);
    match pseudo.path {
        b"*" => asterisk(method, &host, target, fields),
        [b'/', ..] => origin(Form::Origin, &host, target, fields),
        _ => Err(Fault::Malformed("`:path` does not begin with a slash")),
    }
}

/// The target of CONNECT is a host and a port and nothing else (RFC 9110 section 9.3.6). Routes see it as the path `/`.
fn connect(host: Option<&Authority>, target: Span, fields: &mut Fields) -> Result<Target, Fault> {
    const NEITHER: Fault = Fault::Malformed("the target of CONNECT is not a host with a port");
    let named = Authority::parse(fields.text(target)).map_err(|_| NEITHER)?;
    let port = named.port().ok_or(NEITHER)?;
    if !host.ok_or(Fault::Malformed("the request has no Host"))?.is_same(&named, port) {
        return Err(Fault::Malformed("the target and Host name different hosts"));
    }
    let path = fields.store(named.text());
    let matched = fields.store(b"/");
    Ok(finish(Form::Authority, &named, Parts { path, matched, query: None }, fields))
}

fn refuse_connect(method: &Method) -> Result<(), Fault> {
    if *method == Method::CONNECT { Err(Fault::Malformed("CONNECT is not served here")) } else { Ok(()) }
}

/// The one `Host` of the request. Two are refused even when equal: the next hop may read either (RFC 9112 section 3.2).
fn host_field(fields: &Fields) -> Result<Option<Authority>, Fault> {
    let mut values = fields.all(Known::Host);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::Malformed("the request has more than one Host"));
    }
    Authority::parse(value).map(Some).map_err(Fault::Malformed)
}

fn asterisk(method: &Method, host: &Authority, target: Span, fields: &mut Fields) -> Result<Target, Fault> {
    if *method != Method::OPTIONS {
        return Err(Fault::Malformed("the target `*` is for OPTIONS only"));
    }
    Ok(finish(Form::Asterisk, host, Parts { path: target, matched: target, query: None }, fields))
}

fn origin(form: Form, host: &Authority, target: Span, fields: &mut Fields) -> Result<Target, Fault> {
    let parts = split(target, fields)?;
    Ok(finish(form, host, parts, fields))
}

fn absolute(method: &Method, host: Option<&Authority>, target: Span, fields: &mut Fields) -> Result<Target, Fault> {
    const NEITHER: Fault = Fault::Malformed("the target is neither a path nor an http or https URL");
    let text = fields.text(target);
    let colon = text.iter().position(|byte| *byte == b':').ok_or(NEITHER)?;
    let default_port = default_port(text.get(..colon).unwrap_or_default()).ok_or(NEITHER)?;
    let after = text.get(colon..).and_then(|rest| rest.strip_prefix(b"://")).ok_or(NEITHER)?;
    let end = after.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(after.len());
    let named = Authority::parse(after.get(..end).unwrap_or_default()).map_err(Fault::Malformed)?;
    if host.is_some_and(|host| !named.is_same(host, default_port)) {
        return Err(Fault::Malformed("the target and Host name different hosts"));
    }
    let rest = target.part(colon + 3 + end, text.len());
    match after.get(end) {
        Some(b'/') => origin(Form::Absolute, &named, rest, fields),
        // The last proxy turns it back into `*` (RFC 9112 section 3.2.4).
        None if *method == Method::OPTIONS => {
            let star = fields.store(b"*");
            Ok(finish(Form::Asterisk, &named, Parts { path: star, matched: star, query: None }, fields))
        }
        _ => {
            let text = [b"/", fields.text(rest)].concat();
            let rest = fields.store(&text);
            origin(Form::Absolute, &named, rest, fields)
        }
    }
}

fn default_port(scheme: &[u8]) -> Option<u16> {
    if scheme.eq_ignore_ascii_case(b"http") {
        Some(80)
    } else if scheme.eq_ignore_ascii_case(b"https") {
        Some(443)
    } else {
        None
    }
}

#[derive(Clone, Copy)]
struct Parts {
    path: Span,
    matched: Span,
    query: Option<Span>,
}

/// Path and query of a target that begins with a slash. A path in its normal spelling stays where it is.
fn split(target: Span, fields: &mut Fields) -> Result<Parts, Fault> {
    let text = fields.text(target);
    let scan = path::scan(text);
    let query = text.get(scan.end + 1..);
    check_query(query.unwrap_or_default()).map_err(Fault::Malformed)?;
    let query = query.map(|_| target.part(scan.end + 1, text.len()));
    let raw = target.part(0, scan.end);
    if scan.is_normal {
        return Ok(Parts { path: raw, matched: raw, query });
    }
    let new = path::rewrite(fields.text(raw)).map_err(Fault::Malformed)?;
    let path = fields.store(&new.sent);
    let matched = new.matched.map_or(path, |matched| fields.store(&matched));
    Ok(Parts { path, matched, query })
}

/// A query goes on as it came, so it is only kept from breaking the request line or starting a fragment.
fn check_query(query: &[u8]) -> Result<(), &'static str> {
    match query.iter().find(|byte| !matches!(byte, 0x21..=0x7e) || **byte == b'#') {
        None => Ok(()),
        Some(b'#') => Err("the target has a fragment"),
        Some(0x80..) => Err("the target has a byte beyond ASCII that is not percent-encoded"),
        Some(_) => Err("the target has a control character or a space"),
    }
}

fn finish(form: Form, host: &Authority, parts: Parts, fields: &mut Fields) -> Target {
    let authority = fields.store(host.text());
    let Parts { path, matched, query } = parts;
    Target { form, authority, host: authority.part(0, host.host_len()), port: host.port(), path, matched, query }
}
