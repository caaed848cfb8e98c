// SPDX-License-Identifier: MIT OR Apache-2.0
//! The facts about an exchange that a line of a log can hold. Their names are an interface: whatever reads the lines
//! was written against them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::suggest;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum LogField {
    /// When it ended, RFC 3339 with milliseconds, UTC.
    Time,
    /// The request id.
    Id,
    /// The trace it belongs to (W3C).
    TraceId,
    /// Who asked: the peer, or what a trusted proxy says.
    Client,
    Listener,
    /// `http` or `https`.
    Scheme,
    Protocol,
    Method,
    Host,
    /// Path and query, the secrets of the query hidden.
    Path,
    Status,
    /// Milliseconds from the first byte of the request to the last of the reply.
    DurationMs,
    BytesIn,
    BytesOut,
    Route,
    Upstream,
    Endpoint,
    Consumer,
    /// How often the request was sent to an endpoint.
    Attempts,
    /// The token of what went wrong.
    Fault,
    /// Milliseconds of waiting for a place and a connection.
    QueueMs,
    ConnectMs,
    /// Milliseconds from the end of the request to the head of the reply.
    WaitMs,
    UserAgent,
    Referer,
    /// `header:NAME`, a field of the request; hidden where its name says that it proves something.
    Header(String),
}

/// What stands before the name of a field of the request.
const HEADER: &str = "header:";

/// The names of all but the fields of the request.
const NAMES: [(&str, LogField); 25] = [
    ("time", LogField::Time),
    ("id", LogField::Id),
    ("trace_id", LogField::TraceId),
    ("client", LogField::Client),
    ("listener", LogField::Listener),
    ("scheme", LogField::Scheme),
    ("protocol", LogField::Protocol),
    ("method", LogField::Method),
    ("host", LogField::Host),
    ("path", LogField::Path),
    ("status", LogField::Status),
    ("duration_ms", LogField::DurationMs),
    ("bytes_in", LogField::BytesIn),
    ("bytes_out", LogField::BytesOut),
    ("route", LogField::Route),
    ("upstream", LogField::Upstream),
    ("endpoint", LogField::Endpoint),
    ("consumer", LogField::Consumer),
    ("attempts", LogField::Attempts),
    ("fault", LogField::Fault),
    ("queue_ms", LogField::QueueMs),
    ("connect_ms", LogField::ConnectMs),
    ("wait_ms", LogField::WaitMs),
    ("user_agent", LogField::UserAgent),
    ("referer", LogField::Referer),
];

/// What a line holds when nobody chooses.
pub const LOG_FIELDS_DEFAULT: [LogField; 18] = [
    LogField::Time,
    LogField::Id,
    LogField::Client,
    LogField::Listener,
    LogField::Protocol,
    LogField::Method,
    LogField::Host,
    LogField::Path,
    LogField::Status,
    LogField::DurationMs,
    LogField::BytesIn,
    LogField::BytesOut,
    LogField::Route,
    LogField::Upstream,
    LogField::Endpoint,
    LogField::Consumer,
    LogField::Fault,
    LogField::UserAgent,
];

impl LogField {
    /// The names that can be written, besides `header:NAME`.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        NAMES.iter().map(|(name, _)| *name)
    }
}

impl FromStr for LogField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix(HEADER) {
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            let good = !name.is_empty() && name.len() <= 128 && name.bytes().all(token);
            let bad = || format!("\"{}\" is not the name of a header field: write header:X-Name", name.escape_debug());
            return if good { Ok(Self::Header(name.to_owned())) } else { Err(bad()) };
        }
        let found = NAMES.iter().find(|(name, _)| *name == text).map(|(_, field)| field.clone());
        found.ok_or_else(|| {
            let help = suggest::help(text, "fields of a log", Self::names());
            format!("\"{}\" is no field of a log: {help}, or header:NAME", text.escape_debug())
        })
    }
}

impl TryFrom<String> for LogField {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for LogField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Header(name) = self {
            return write!(f, "{HEADER}{name}");
        }
        let found = NAMES.iter().find(|(_, field)| field == self);
        f.write_str(found.map_or("?", |(name, _)| name))
    }
}

impl From<LogField> for String {
    fn from(field: LogField) -> Self {
        field.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{LOG_FIELDS_DEFAULT, LogField, NAMES};

    #[test]
    fn every_field_reads_back() {
        for (name, field) in NAMES {
            assert_eq!(name.parse::<LogField>(), Ok(field.clone()));
            assert_eq!(field.to_string(), name);
        }
        let header = "header:X-Tenant".parse::<LogField>();
        assert_eq!(header.map(|field| field.to_string()).as_deref(), Ok("header:X-Tenant"));
        assert!(LOG_FIELDS_DEFAULT.iter().all(|field| field.to_string() != "?"));
    }

    #[test]
    fn what_is_no_field_is_refused_with_a_suggestion() {
        let refused = "statsu".parse::<LogField>().expect_err("it is none");
        assert!(refused.contains("status"), "{refused}");
        assert!("header:".parse::<LogField>().is_err() && "header:a b".parse::<LogField>().is_err());
    }
}
