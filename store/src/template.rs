// SPDX-License-Identifier: MIT OR Apache-2.0
//! Texts with names in braces, such as `https://{host}/v2{path}`: what an operator writes where a value of the request
//! belongs.
//!
//! Only the reading is here, for the checks and for compiling; what a name stands for and how it is encoded is known to
//! the policy that uses it. `{{` and `}}` are braces. A name that is none of [`Variable::NAMES`] is one of the path of the
//! route: a parameter of its template, or a group of its regex.

use std::fmt;

use crate::suggest;

/// Longest text of a template.
pub const TEMPLATE_BYTES_MAX: usize = 8 * 1024;

/// Most names in one template.
pub const VALUES_MAX: usize = 32;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Value(Variable),
}

/// What a name in braces stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// The host that the client asked for, without its port.
    Host,
    /// The path as it would go to the endpoint, beginning with a slash.
    Path,
    /// The query as the client wrote it, without the question mark.
    Query,
    Method,
    /// `http` or `https`, as the client speaks to us.
    Scheme,
    ClientIp,
    RequestId,
    /// The name of the consumer; empty without one.
    Consumer,
    /// A part of the path of the route.
    Capture(String),
}

impl Variable {
    /// The names that stand for the same in every route.
    pub const NAMES: [&'static str; 8] =
        ["client_ip", "consumer", "host", "method", "path", "query", "request_id", "scheme"];

    /// As it is written between the braces.
    pub fn name(&self) -> &str {
        match self {
            Self::ClientIp => "client_ip",
            Self::Consumer => "consumer",
            Self::Host => "host",
            Self::Method => "method",
            Self::Path => "path",
            Self::Query => "query",
            Self::RequestId => "request_id",
            Self::Scheme => "scheme",
            Self::Capture(name) => name,
        }
    }

    fn of(name: &str) -> Self {
        match name {
            "client_ip" => Self::ClientIp,
            "consumer" => Self::Consumer,
            "host" => Self::Host,
            "method" => Self::Method,
            "path" => Self::Path,
            "query" => Self::Query,
            "request_id" => Self::RequestId,
            "scheme" => Self::Scheme,
            capture => Self::Capture(capture.to_owned()),
        }
    }
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateFault {
    /// A brace without its partner, at this byte.
    Brace(usize),
    /// Braces around what is no name.
    NoName(String),
    TooLong,
    TooMany,
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Brace(at) => {
                write!(f, "the brace at byte {at} has no partner; write {{{{ or }}}} for a brace itself")
            }
            Self::NoName(name) => write!(f, "\"{{{name}}}\" is not a name in braces"),
            Self::TooLong => write!(f, "a template has at most {TEMPLATE_BYTES_MAX} bytes"),
            Self::TooMany => write!(f, "a template has at most {VALUES_MAX} names"),
        }
    }
}

/// Reads a template.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Piece>, TemplateFault> {
    if text.len() > TEMPLATE_BYTES_MAX {
        return Err(TemplateFault::TooLong);
    }
    let (mut pieces, mut plain, mut values, mut rest) = (Vec::new(), String::new(), 0, text);
    while let Some(at) = rest.find(['{', '}']) {
        let place = text.len() - rest.len() + at;
        let (before, brace) = rest.split_at(at);
        plain.push_str(before);
        if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
            plain.extend(brace.chars().next());
            rest = after;
            continue;
        }
        let inner = brace.strip_prefix('{').ok_or(TemplateFault::Brace(place))?;
        let (name, after) = inner.split_once('}').ok_or(TemplateFault::Brace(place))?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            return Err(TemplateFault::NoName(name.to_owned()));
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Value(Variable::of(name)));
        values += 1;
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    if values > VALUES_MAX { Err(TemplateFault::TooMany) } else { Ok(pieces) }
}

/// A part of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Scheme,
    Host,
    Path,
    Query,
    Fragment,
}

/// The part of a URL in which each piece begins, if the pieces together are one: `https://host/path?query`, or a path.
pub fn parts(pieces: &[Piece]) -> Vec<Part> {
    let mut part = match pieces.first() {
        Some(Piece::Text(text)) if text.starts_with(['/', '?', '#']) => Part::Path,
        Some(Piece::Value(Variable::Path)) => Part::Path,
        _ => Part::Scheme,
    };
    let mut all = Vec::with_capacity(pieces.len());
    for piece in pieces {
        // A path begins with its slash.
        if part == Part::Host && *piece == Piece::Value(Variable::Path) {
            part = Part::Path;
        }
        all.push(part);
        if let Piece::Text(text) = piece {
            part = after(part, text);
        }
    }
    all
}

/// The part in which a text ends that begins in `part`.
fn after(mut part: Part, text: &str) -> Part {
    let mut rest = text;
    if part == Part::Scheme {
        let Some((_, host)) = rest.split_once("://") else { return part };
        (part, rest) = (Part::Host, host);
    }
    for byte in rest.bytes() {
        part = match (part, byte) {
            (Part::Host, b'/') => Part::Path,
            (Part::Host | Part::Path, b'?') => Part::Query,
            (_, b'#') => Part::Fragment,
            (part, _) => part,
        };
    }
    part
}

/// The names that the path of a route must give.
pub fn captures(pieces: &[Piece]) -> impl Iterator<Item = &str> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Value(Variable::Capture(name)) => Some(name.as_str()),
        Piece::Text(_) | Piece::Value(_) => None,
    })
}

/// Help for a name that neither every request nor the path of the route has.
pub fn help(name: &str, captures: &[String]) -> String {
    let names: Vec<&str> = Variable::NAMES.into_iter().chain(captures.iter().map(String::as_str)).collect();
    suggest::help(name, "names", names)
}

#[cfg(test)]
mod tests {
    use super::{Piece, Variable, help, parse};

    fn shown(pieces: &[Piece]) -> String {
        let one = |piece: &Piece| match piece {
            Piece::Text(text) => format!("'{text}'"),
            Piece::Value(variable) => format!("{variable:?}"),
        };
        pieces.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// Rows: a text, and its pieces or what is said of it.
    #[test]
    fn texts_are_cut_at_their_names() {
        for (text, want) in [
            ("", Ok("")),
            ("/plain", Ok("'/plain'")),
            ("https://{host}{path}", Ok("'https://' Host Path")),
            ("/v2/{id}?q={query}", Ok("'/v2/' Capture(\"id\") '?q=' Query")),
            ("{{a}}{scheme}}}", Ok("'{a}' Scheme '}'")),
            ("{client_ip}{consumer}{method}{request_id}", Ok("ClientIp Consumer Method RequestId")),
            ("a{b", Err("the brace at byte 1 has no partner; write {{ or }} for a brace itself")),
            ("ab}c", Err("the brace at byte 2 has no partner; write {{ or }} for a brace itself")),
            ("{}", Err("\"{}\" is not a name in braces")),
            ("{a b}", Err("\"{a b}\" is not a name in braces")),
        ] {
            let got = parse(text).map(|pieces| shown(&pieces)).map_err(|fault| fault.to_string());
            assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned), "row {text:?}");
        }
        assert!(parse(&"x".repeat(9000)).is_err() && parse(&"{host}".repeat(33)).is_err());
    }

    /// Rows: a URL, and the part that each piece begins in.
    #[test]
    fn pieces_know_their_part() {
        use super::Part::{Fragment, Host, Path, Query, Scheme};
        for (text, want) in [
            ("https://{host}{path}?a={query}", &[Scheme, Host, Path, Path, Query][..]),
            ("{scheme}://{tenant}.example.com/{id}#{id}", &[Scheme, Scheme, Host, Host, Path, Path, Fragment]),
            ("/a/{id}?b={id}", &[Path, Path, Path, Query]),
            ("{path}/x", &[Path, Path]),
            ("https://example.com?{query}", &[Scheme, Query]),
            ("{id}", &[Scheme]),
        ] {
            assert_eq!(super::parts(&parse(text).expect("a good template")), want, "row {text}");
        }
    }

    #[test]
    fn a_name_that_is_none_gets_a_suggestion() {
        assert!(help("hosts", &[]).starts_with("did you mean \"host\"?"));
        assert!(help("oder", &["order".to_owned()]).starts_with("did you mean \"order\"?"));
        assert!(matches!(parse("{order}").as_deref(), Ok([Piece::Value(Variable::Capture(_))])));
    }
}
