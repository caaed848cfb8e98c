// SPDX-License-Identifier: MIT OR Apache-2.0
//! Texts with values of the request in them, compiled: every name is resolved and its encoding decided before the first
//! request comes.
//!
//! A value is written as what it becomes a part of needs it: no value can begin another path segment, parameter or host.
//! The exception is what is already of that part: `{path}` and a part of the path inside a path, `{query}` in a query. A
//! host takes only the host of the request, or a part of the path that is one label.

use std::io::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use weirgate_store::template::{self, Part, Piece, Variable};

use super::{Mistake, Request};
use crate::exchange::spelling::host::HOST_BYTES_MAX;
use crate::fault::Fault;

/// Everything but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest label of a host (RFC 1035 section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// What a whole template becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Host,
    Path,
    /// One value of a query.
    Query,
    /// A URL or a path with a query.
    Url,
}

/// A compiled template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Box<[Segment]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(Box<[u8]>),
    Value { of: Of, part: Part },
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Host,
    Path,
    Query,
    Method,
    Scheme,
    ClientIp,
    RequestId,
    Consumer,
    /// A part of the path, by its place in [`Request::captured`].
    Capture(usize),
}

impl Template {
    /// `place_of` says where a part of the route's path is among the captures.
    pub fn new(text: &str, form: Form, place_of: &dyn Fn(&str) -> Option<usize>) -> Result<Self, Mistake> {
        let wrong = |why: String| Mistake::Template { text: text.to_owned(), why };
        let pieces = template::parse(text).map_err(|fault| wrong(fault.to_string()))?;
        let parts = match form {
            Form::Url => template::parts(&pieces),
            Form::Host => vec![Part::Host; pieces.len()],
            Form::Path => vec![Part::Path; pieces.len()],
            // Not a part that a query could go on in: everything is one value.
            Form::Query => vec![Part::Fragment; pieces.len()],
        };
        let segment = |(piece, part): (Piece, Part)| {
            Ok(match piece {
                // Of a value in a query the text is a value, too.
                Piece::Text(text) if form == Form::Query => {
                    Segment::Text(percent_encode(text.as_bytes(), RESERVED).to_string().into_bytes().into())
                }
                Piece::Text(text) => Segment::Text(text.into_bytes().into()),
                Piece::Value(variable) => Segment::Value { of: Of::new(&variable, place_of).map_err(wrong)?, part },
            })
        };
        pieces.into_iter().zip(parts).map(segment).collect::<Result<Box<[_]>, _>>().map(Self)
    }

    /// Whether it holds the query of the request.
    pub fn holds_query(&self) -> bool {
        self.0.iter().any(|segment| matches!(segment, Segment::Value { of: Of::Query, .. }))
    }

    /// Whether it holds a part of the path.
    pub fn holds_capture(&self) -> bool {
        self.0.iter().any(|segment| matches!(segment, Segment::Value { of: Of::Capture(_), .. }))
    }

    /// Appends it, filled in, to `out`.
    ///
    /// # Errors
    /// A value that cannot stand where it should.
    pub fn render(&self, request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        for segment in &self.0 {
            match segment {
                Segment::Text(text) => out.extend_from_slice(text),
                Segment::Value { of, part } => of.render(*part, request, out)?,
            }
        }
        Ok(())
    }
}

impl Of {
    fn new(variable: &Variable, place_of: &dyn Fn(&str) -> Option<usize>) -> Result<Self, String> {
        Ok(match variable {
            Variable::Host => Self::Host,
            Variable::Path => Self::Path,
            Variable::Query => Self::Query,
            Variable::Method => Self::Method,
            Variable::Scheme => Self::Scheme,
            Variable::ClientIp => Self::ClientIp,
            Variable::RequestId => Self::RequestId,
            Variable::Consumer => Self::Consumer,
            Variable::Capture(name) => {
                let missing = || format!("no request and no path of this route has \"{{{name}}}\"");
                Self::Capture(place_of(name).ok_or_else(missing)?)
            }
        })
    }

    fn render(self, part: Part, request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let head = &*request.head;
        match self {
            Self::Host => put(head.host(), part, out),
            Self::Path if part == Part::Path => out.extend_from_slice(head.path()),
            Self::Path => put_decoded(head.path(), out),
            Self::Query if part == Part::Query => out.extend_from_slice(head.query().unwrap_or_default()),
            Self::Query => put(head.query().unwrap_or_default(), part, out),
            Self::Method => put(head.method.as_str().as_bytes(), part, out),
            Self::Scheme => out.extend_from_slice(request.client.scheme.name().as_bytes()),
            // Writing to memory cannot fail.
            Self::ClientIp => write!(out, "{}", request.client_ip).unwrap_or_default(),
            Self::RequestId => out.extend_from_slice(&request.id.digits()),
            Self::Consumer => {
                let name = request.identity.consumer.as_ref().map_or("", |consumer| &consumer.name);
                put(name.as_bytes(), part, out);
            }
            Self::Capture(at) => return put_capture(captured(request, at), part, out),
        }
        Ok(())
    }
}

fn captured<'r>(request: &'r Request<'_>, at: usize) -> &'r [u8] {
    let span = request.captured.get(at).copied().unwrap_or_default();
    request.head.matched().get(span.0 as usize..span.1 as usize).unwrap_or_default()
}

/// A value that is plain text.
fn put(value: &[u8], part: Part, out: &mut Vec<u8>) {
    match part {
        // Checked when it came in.
        Part::Host | Part::Scheme => out.extend_from_slice(value),
        Part::Path | Part::Query | Part::Fragment => out.extend(percent_encode(value, RESERVED).flat_map(str::bytes)),
    }
}

/// A value that is percent-encoded already, for another place than that for which it was.
fn put_decoded(value: &[u8], out: &mut Vec<u8>) {
    let plain: Vec<u8> = percent_decode(value).collect();
    out.extend(percent_encode(&plain, RESERVED).flat_map(str::bytes));
}

fn put_capture(value: &[u8], part: Part, out: &mut Vec<u8>) -> Result<(), Fault> {
    match part {
        Part::Path => out.extend_from_slice(value),
        Part::Query | Part::Fragment => put_decoded(value, out),
        Part::Host | Part::Scheme => {
            let is_label = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_';
            let fits = (1..=LABEL_BYTES_MAX).contains(&value.len()) && value.len() < HOST_BYTES_MAX;
            if !fits || !value.iter().all(is_label) || value.starts_with(b"-") || value.ends_with(b"-") {
                return Err(Fault::Unwritable("a part of the path cannot stand in a host"));
            }
            out.extend(value.iter().map(u8::to_ascii_lowercase));
        }
    }
    Ok(())
}
