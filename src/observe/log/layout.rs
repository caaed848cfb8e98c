// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a line looks: JSON, logfmt, the combined format, a template, or a span. Decided when a log is compiled; a line
//! is one pass over its columns, into a buffer that is used again.

use std::io::Write as _;
use std::net::IpAddr;

use weirgate_store::check::{TemplatePart, template_parts};
use weirgate_store::model::{self, LOG_FIELDS_DEFAULT, LogField, LogFormat, LogSink};

use super::hide::Hidden;
use super::{escape, span, stamp};
use crate::exchange::hex;
use crate::observe::record::Finished;
use crate::observe::{Stage, redact};

/// One fact of a line.
#[derive(Debug)]
pub(super) struct Column {
    field: LogField,
    /// What stands before the value: `"status":` or `status=`.
    key: Box<[u8]>,
    /// A field of the request whose name says that its value proves something.
    is_hidden: bool,
}

#[derive(Debug)]
pub(super) enum Piece {
    Text(Box<[u8]>),
    Field(Column),
}

#[derive(Debug)]
pub(super) enum Layout {
    Json(Vec<Column>),
    Logfmt(Vec<Column>),
    Template(Vec<Piece>),
    Spans { service: Box<str> },
}

/// The combined format of Apache as a template of ours.
const COMBINED: &str =
    "{client} - {consumer} [{time}] \"{method} {path} {protocol}\" {status} {bytes_out} \"{referer}\" \"{user_agent}\"";

/// A value on its way into a line.
pub(super) enum Value<'a> {
    Absent,
    /// As it came from the network.
    Text(&'a [u8]),
    /// A path and query, whose secrets are to be hidden.
    Target(&'a [u8]),
    Number(u64),
    Ip(IpAddr),
    /// As 32 hexadecimal digits.
    Id(u128),
    /// In microseconds.
    Millis(u64),
    Time,
}

/// How values are written into a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Json,
    Logfmt,
    Apache,
}

impl Layout {
    pub(super) fn new(log: &model::Log, hidden: &Hidden) -> Result<Self, String> {
        if let LogSink::Otlp(otlp) = &log.to {
            return Ok(Self::Spans { service: otlp.service.as_str().into() });
        }
        let fields = if log.fields.is_empty() { &LOG_FIELDS_DEFAULT[..] } else { &log.fields[..] };
        let columns = |key: fn(&str) -> String| {
            fields.iter().map(|field| column(field, key(&field.to_string()), hidden)).collect()
        };
        Ok(match &log.format {
            LogFormat::Json => Self::Json(columns(|name| format!("\"{name}\":"))),
            LogFormat::Logfmt => Self::Logfmt(columns(|name| format!("{}=", name.replace(':', "_")))),
            LogFormat::Combined => Self::template(COMBINED, hidden)?,
            LogFormat::Template(template) => Self::template(template, hidden)?,
        })
    }

    fn template(template: &str, hidden: &Hidden) -> Result<Self, String> {
        let piece = |part| match part {
            TemplatePart::Text(text) => Piece::Text(text.into_bytes().into()),
            TemplatePart::Field(field) => Piece::Field(column(&field, String::new(), hidden)),
        };
        Ok(Self::Template(template_parts(template)?.into_iter().map(piece).collect()))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, finished: &Finished<'_>, wall_ms: i64, hidden: &Hidden) {
        let line = Line { finished, wall_ms, hidden };
        match self {
            Self::Json(columns) => {
                out.push(b'{');
                line.columns(out, columns, b',', Way::Json);
                out.extend_from_slice(b"}\n");
            }
            Self::Logfmt(columns) => {
                line.columns(out, columns, b' ', Way::Logfmt);
                out.push(b'\n');
            }
            Self::Template(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => out.extend_from_slice(text),
                        Piece::Field(column) => line.value(out, &line.of(column), Way::Apache),
                    }
                }
                out.push(b'\n');
            }
            Self::Spans { service } => span::write(out, finished, wall_ms, hidden, service),
        }
    }
}

fn column(field: &LogField, key: String, hidden: &Hidden) -> Column {
    let is_hidden = matches!(field, LogField::Header(name) if hidden.hides(name.as_bytes()));
    Column { field: field.clone(), key: key.into_bytes().into(), is_hidden }
}

/// One line under way.
struct Line<'a> {
    finished: &'a Finished<'a>,
    wall_ms: i64,
    hidden: &'a Hidden,
}

impl<'a> Line<'a> {
    /// What is absent is left out.
    fn columns(&self, out: &mut Vec<u8>, columns: &[Column], separator: u8, way: Way) {
        let mut first = true;
        for column in columns {
            let value = self.of(column);
            if matches!(value, Value::Absent) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(separator);
            }
            out.extend_from_slice(&column.key);
            self.value(out, &value, way);
        }
    }

    fn of(&self, column: &'a Column) -> Value<'a> {
        let value = of(&column.field, self.finished);
        if column.is_hidden && !matches!(value, Value::Absent) {
            return Value::Text(redact::HIDDEN.as_bytes());
        }
        value
    }

    fn value(&self, out: &mut Vec<u8>, value: &Value<'_>, way: Way) {
        match value {
            Value::Absent => out.push(b'-'),
            Value::Number(number) => number_to(out, *number),
            Value::Millis(micros) => millis(out, *micros),
            Value::Ip(ip) => quoted(out, way, |out| ip_to(out, *ip)),
            Value::Id(id) => quoted(out, way, |out| out.extend(hex(id.to_be_bytes()))),
            Value::Text(text) => quoted(out, way, |out| escaped(out, text, way)),
            Value::Time => quoted(out, way, |out| match way {
                Way::Json | Way::Logfmt => stamp::rfc3339(out, self.wall_ms),
                Way::Apache => stamp::apache(out, self.wall_ms),
            }),
            Value::Target(target) if !target.contains(&b'?') => quoted(out, way, |out| escaped(out, target, way)),
            Value::Target(target) => {
                let mut shown = Vec::with_capacity(target.len());
                self.hidden.target(target, |piece| shown.extend_from_slice(piece));
                quoted(out, way, |out| escaped(out, &shown, way));
            }
        }
    }
}

fn quoted(out: &mut Vec<u8>, way: Way, write: impl FnOnce(&mut Vec<u8>)) {
    if way == Way::Json {
        out.push(b'"');
        write(out);
        out.push(b'"');
    } else {
        write(out);
    }
}

fn escaped(out: &mut Vec<u8>, text: &[u8], way: Way) {
    match way {
        Way::Json => escape::json(out, text),
        Way::Logfmt => escape::logfmt(out, text),
        Way::Apache => escape::apache(out, text),
    }
}

/// A fact about an exchange.
pub(super) fn of<'a>(field: &'a LogField, finished: &'a Finished<'a>) -> Value<'a> {
    let text = |text: &'a [u8]| if text.is_empty() { Value::Absent } else { Value::Text(text) };
    let named = |name: Option<&'a str>| name.map_or(Value::Absent, |name| Value::Text(name.as_bytes()));
    let header = |name: &'a [u8]| finished.header(name).map_or(Value::Absent, Value::Text);
    let stage = |stage| finished.timings.of(stage).map_or(Value::Absent, Value::Millis);
    match field {
        LogField::Time => Value::Time,
        LogField::Id => Value::Id(finished.id.0),
        LogField::TraceId => finished.trace_id().map_or(Value::Absent, Value::Id),
        LogField::Client => Value::Ip(finished.client),
        LogField::Listener => named(Some(finished.listener)),
        LogField::Scheme => text(finished.scheme.as_bytes()),
        LogField::Protocol => named(Some(finished.protocol)),
        LogField::Method => text(finished.method),
        LogField::Host => text(finished.host),
        LogField::Path if finished.target.is_empty() => Value::Absent,
        LogField::Path => Value::Target(finished.target),
        LogField::Status => Value::Number(finished.status.into()),
        LogField::DurationMs => Value::Millis(finished.micros),
        LogField::BytesIn => Value::Number(finished.bytes_in),
        LogField::BytesOut => Value::Number(finished.bytes_out),
        LogField::Route => named(finished.route.map(|part| part.name)),
        LogField::Upstream => named(finished.upstream.map(|part| part.name)),
        LogField::Endpoint => named(finished.endpoint.map(|part| part.name)),
        LogField::Consumer => named(finished.consumer.map(|part| part.name)),
        LogField::Attempts => Value::Number(finished.attempts.into()),
        LogField::Fault => named(finished.fault.map(|fault| fault.facts().token)),
        LogField::QueueMs => stage(Stage::Queue),
        LogField::ConnectMs => stage(Stage::Connect),
        LogField::WaitMs => stage(Stage::Wait),
        LogField::UserAgent => header(b"user-agent"),
        LogField::Referer => header(b"referer"),
        LogField::Header(name) => header(name.as_bytes()),
    }
}

pub(super) fn number_to(out: &mut Vec<u8>, mut number: u64) {
    /// Digits of the largest number.
    const DIGITS_MAX: usize = 20;
    let mut digits = [0; DIGITS_MAX];
    let mut count = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (number % 10) as u8;
        number /= 10;
        count += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(DIGITS_MAX - count..).unwrap_or_default());
}

fn ip_to(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            for (at, octet) in ip.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                number_to(out, octet.into());
            }
        }
        // Writing to a vector cannot fail.
        IpAddr::V6(ip) => write!(out, "{ip}").unwrap_or_default(),
    }
}

/// Microseconds as milliseconds with three places.
fn millis(out: &mut Vec<u8>, micros: u64) {
    number_to(out, micros / 1_000);
    let rest = micros % 1_000;
    out.push(b'.');
    out.extend([rest / 100, rest / 10 % 10, rest % 10].map(|digit| b'0' + digit as u8));
}
