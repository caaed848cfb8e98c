// SPDX-License-Identifier: MIT OR Apache-2.0
//! The head of the request as the endpoint gets it.

use super::super::edge;
use crate::exchange::{Exchange, Known};
use crate::protocol::http1::{self, Framing, RequestFraming, Upgrade};

/// Writes the head of the request as the endpoint gets it.
pub(super) fn write(out: &mut Vec<u8>, x: &Exchange, framing: &RequestFraming) {
    let request = &x.request;
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.push(b' ');
    let sent = request.sent();
    // Of CONNECT this is host and port.
    out.extend_from_slice(request.fields.text(sent.path));
    if let Some(query) = sent.query {
        out.push(b'?');
        out.extend_from_slice(request.fields.text(query));
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    http1::field(out, b"Host", request.fields.text(sent.authority));
    for field in request.fields.iter() {
        if !edge::is_rewritten(field.known, x.client.trusted) {
            http1::field(out, field.name, field.value);
        }
    }
    match framing.framing {
        Framing::Length(length) => {
            let mut digits = [0; 20];
            http1::field(out, Known::ContentLength.name().as_bytes(), render(length, &mut digits));
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
    if framing.expect_continue {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    match framing.upgrade {
        Some(Upgrade::WebSocket) => out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        // An upgrade that we do not know is not forwarded: what follows it would leave our sight (RFC 9110 section 7.8).
        Some(Upgrade::Other) | None => {}
    }
    edge::write_forwarding(out, x);
    http1::end_head(out);
}

/// Decimal digits without an allocation; any `u64` has at most 20.
pub(in super::super) fn render(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        }
        number /= 10;
        if number == 0 {
            return digits.get(at..).unwrap_or_default();
        }
    }
}
