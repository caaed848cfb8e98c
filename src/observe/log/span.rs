// SPDX-License-Identifier: MIT OR Apache-2.0
//! An exchange as spans of OTLP in JSON (opentelemetry-proto, `trace/v1`): one for the exchange, one for each time it
//! was sent to an endpoint. Names of attributes are those of the semantic conventions where there is one.
//!
//! A line is one `ResourceSpans`; the writer of the log puts many of them into one request.

use weirgate_store::wire::TryRecord;

use super::escape;
use super::hide::Hidden;
use super::layout::number_to;
use crate::exchange::hex;
use crate::observe::record::Finished;

/// `SPAN_KIND_SERVER` and `SPAN_KIND_CLIENT`.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// What is written around each span.
const SCOPE: &[u8] = b"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"weirgate\"},\"spans\":[";

pub(super) fn write(out: &mut Vec<u8>, finished: &Finished<'_>, wall_ms: i64, hidden: &Hidden, service: &str) {
    let end_us = u64::try_from(wall_ms).unwrap_or(0).saturating_mul(1_000);
    let start_us = end_us.saturating_sub(finished.micros);
    out.extend_from_slice(b"{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"");
    escape::json(out, service.as_bytes());
    out.push(b'"');
    out.extend_from_slice(SCOPE);
    exchange(out, finished, hidden, (start_us, end_us));
    for (number, sent) in (1..).zip((finished.tries)()) {
        out.push(b',');
        attempt(out, finished, &sent, number, start_us);
    }
    out.extend_from_slice(b"]}]}\n");
}

fn exchange(out: &mut Vec<u8>, finished: &Finished<'_>, hidden: &Hidden, (start_us, end_us): (u64, u64)) {
    let trace = finished.trace();
    head(out, trace.trace_id, trace.span_id, trace.parent_id);
    out.extend_from_slice(b",\"name\":\"");
    escape::json(out, if finished.method.is_empty() { finished.protocol.as_bytes() } else { finished.method });
    out.push(b' ');
    escape::json(out, finished.route.map_or(finished.listener, |part| part.name).as_bytes());
    out.push(b'"');
    times(out, SERVER, start_us, end_us);
    let mut attributes = Attributes { out, first: true };
    attributes.text("http.request.method", finished.method);
    attributes.text("url.scheme", finished.scheme.as_bytes());
    let at = finished.target.iter().position(|byte| *byte == b'?').unwrap_or(finished.target.len());
    attributes.text("url.path", finished.target.get(..at).unwrap_or_default());
    if at < finished.target.len() {
        let mut shown = Vec::new();
        hidden.target(finished.target, |piece| shown.extend_from_slice(piece));
        attributes.text("url.query", shown.get(at + 1..).unwrap_or_default());
    }
    attributes.text("server.address", finished.host);
    attributes.text("client.address", finished.client.to_string().as_bytes());
    attributes.text("network.protocol.version", finished.protocol.trim_start_matches("HTTP/").as_bytes());
    attributes.text("user_agent.original", finished.header(b"user-agent").unwrap_or_default());
    attributes.number("http.response.status_code", finished.status.into());
    attributes.number("http.request.body.size", finished.bytes_in);
    attributes.number("http.response.body.size", finished.bytes_out);
    let parts = [
        ("weirgate.route", finished.route),
        ("weirgate.upstream", finished.upstream),
        ("weirgate.endpoint", finished.endpoint),
        ("weirgate.consumer", finished.consumer),
    ];
    for (key, part) in parts {
        attributes.text(key, part.map_or("", |part| part.name).as_bytes());
    }
    attributes.text("weirgate.listener", finished.listener.as_bytes());
    attributes.text("weirgate.request_id", &finished.id.digits());
    attributes.text("error.type", finished.fault.map_or("", |fault| fault.facts().token).as_bytes());
    let failed = finished.is_failure().then(|| finished.fault.map(ToString::to_string).unwrap_or_default());
    end(out, failed.as_deref());
}

fn attempt(out: &mut Vec<u8>, finished: &Finished<'_>, sent: &TryRecord, number: u64, start_us: u64) {
    let trace = finished.trace();
    head(out, trace.trace_id, trace.span_of_try(number), Some(trace.span_id));
    out.extend_from_slice(b",\"name\":\"try ");
    number_to(out, number);
    out.push(b'"');
    let began_us = start_us.saturating_add(sent.began_us);
    let took_us = sent.micros.unwrap_or_else(|| finished.micros.saturating_sub(sent.began_us));
    times(out, CLIENT, began_us, began_us.saturating_add(took_us));
    let mut attributes = Attributes { out, first: true };
    attributes.text("http.request.method", finished.method);
    attributes.text("server.address", sent.endpoint.as_bytes());
    attributes.number("http.request.resend_count", number.saturating_sub(1));
    if sent.fault.is_none() {
        attributes.number("http.response.status_code", finished.status.into());
    }
    end(out, sent.fault.as_deref());
}

fn head(out: &mut Vec<u8>, trace_id: u128, span_id: u64, parent_id: Option<u64>) {
    out.extend_from_slice(b"{\"traceId\":\"");
    out.extend(hex(trace_id.to_be_bytes()));
    out.extend_from_slice(b"\",\"spanId\":\"");
    out.extend(hex(span_id.to_be_bytes()));
    if let Some(parent_id) = parent_id {
        out.extend_from_slice(b"\",\"parentSpanId\":\"");
        out.extend(hex(parent_id.to_be_bytes()));
    }
    out.push(b'"');
}

fn times(out: &mut Vec<u8>, kind: u64, start_us: u64, end_us: u64) {
    out.extend_from_slice(b",\"kind\":");
    number_to(out, kind);
    out.extend_from_slice(b",\"startTimeUnixNano\":\"");
    number_to(out, start_us.saturating_mul(1_000));
    out.extend_from_slice(b"\",\"endTimeUnixNano\":\"");
    number_to(out, end_us.saturating_mul(1_000));
    out.extend_from_slice(b"\",\"attributes\":[");
}

/// `STATUS_CODE_ERROR` for what failed; what did not has no status, as the conventions ask.
fn end(out: &mut Vec<u8>, failed: Option<&str>) {
    out.push(b']');
    if let Some(why) = failed {
        out.extend_from_slice(b",\"status\":{\"code\":2,\"message\":\"");
        escape::json(out, why.as_bytes());
        out.extend_from_slice(b"\"}");
    }
    out.push(b'}');
}

struct Attributes<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Attributes<'_> {
    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(b"{\"key\":\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\",\"value\":{");
    }

    /// Empty texts are left out.
    fn text(&mut self, key: &str, text: &[u8]) {
        if !text.is_empty() {
            self.key(key);
            self.out.extend_from_slice(b"\"stringValue\":\"");
            escape::json(self.out, text);
            self.out.extend_from_slice(b"\"}}");
        }
    }

    /// 64-bit numbers are text in the JSON of protobuf.
    fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        self.out.extend_from_slice(b"\"intValue\":\"");
        number_to(self.out, number);
        self.out.extend_from_slice(b"\"}}");
    }
}
