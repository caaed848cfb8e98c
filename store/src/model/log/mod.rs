// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Log: where finished exchanges are written, which of them, and how a line looks.
//!
//! Nothing here can be told to write a body or a credential: `redact` only adds to the names that are hidden anyway.

mod field;

mod status;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use field::{LOG_FIELDS_DEFAULT, LogField};
pub use status::StatusRange;

use super::listener::is_default;
use super::{ByteSize, Name, Percent, Span};

/// One log of exchanges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Where it goes.
    pub to: LogSink,
    /// How a line looks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub format: LogFormat,
    /// What a line of `json` and `logfmt` holds, in this order; a useful set if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<LogField>,
    /// Which exchanges it is for; all if empty.
    #[serde(default, skip_serializing_if = "is_default")]
    pub only: LogFilter,
    /// The share that is written. Failures and slow exchanges always are.
    #[serde(default = "all", skip_serializing_if = "is_all")]
    pub sample: Percent,
    /// From this time on an exchange is slow.
    #[serde(default = "second", skip_serializing_if = "is_second")]
    pub slow: Span,
    /// More names of header fields and query parameters whose values are hidden.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
}

fn all() -> Percent {
    Percent(100)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_all(share: &Percent) -> bool {
    *share == all()
}

fn second() -> Span {
    Span::seconds(1)
}

fn is_second(span: &Span) -> bool {
    *span == second()
}

/// Where a log goes. Whatever it is, a queue of bounded size lies before it: what does not fit is dropped and counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LogSink {
    /// The standard output of the daemon.
    Stdout,
    /// The journal of this machine.
    Journald,
    /// A file, opened again on SIGHUP.
    File(LogFile),
    /// A syslog daemon (RFC 5424).
    Syslog(LogSyslog),
    /// `host:port`: lines over TCP, connected again with growing pauses.
    Tcp(String),
    /// Spans to an OpenTelemetry collector (OTLP over HTTP, JSON): one for the exchange, one for each attempt.
    Otlp(LogOtlp),
}

impl LogSink {
    /// The key of its kind in the file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Journald => "journald",
            Self::File(_) => "file",
            Self::Syslog(_) => "syslog",
            Self::Tcp(_) => "tcp",
            Self::Otlp(_) => "otlp",
        }
    }
}

/// A file to write to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// Absolute path on this machine.
    pub path: String,
    /// From this size on the file is renamed to `path.1` and begun anew; never if absent, which is right with logrotate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
}

/// A syslog daemon; exactly one of `unix` and `udp`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSyslog {
    /// Path of its socket, such as `/dev/log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unix: Option<String>,
    /// `host:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp: Option<String>,
}

/// A collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogOtlp {
    /// Where spans are posted to, such as `http://127.0.0.1:4318/v1/traces`.
    pub url: String,
    /// The `service.name` of the spans.
    #[serde(default = "service", skip_serializing_if = "is_service")]
    pub service: String,
}

fn service() -> String {
    "weirgate".to_owned()
}

fn is_service(name: &str) -> bool {
    name == "weirgate"
}

/// How a line looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LogFormat {
    /// One JSON object.
    #[default]
    Json,
    /// `key=value`, quoted where needed.
    Logfmt,
    /// The combined format of Apache and nginx.
    Combined,
    /// Text with `{field}` in it; `{{` is a brace.
    Template(String),
}

/// Which exchanges a log is for; a list that is empty holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogFilter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Name>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Name>,
    /// Such as `"404"`, `"5xx"` or `"400-499"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<StatusRange>,
}
