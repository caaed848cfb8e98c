// SPDX-License-Identifier: MIT OR Apache-2.0
//! Server-sent events: bytes in any portions in, whole events out (WHATWG HTML, section 9.2).
//!
//! Pure, so that it can be tested at every split point. It knows nothing of what an event means, and holds at most one
//! unfinished event of [`EVENT_BYTES_MAX`] bytes.

/// Longest line, and longest event, that is kept; more is an error, because the daemon never sends so much.
pub(crate) const EVENT_BYTES_MAX: usize = 1 << 20;

/// One dispatched event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawEvent {
    /// The `event:` field; empty if there was none.
    pub(crate) name: String,
    /// All `data:` fields, joined by line feeds.
    pub(crate) data: String,
}

/// A line or an event grew over [`EVENT_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event stream sent more than {EVENT_BYTES_MAX} bytes in one event")]
pub(crate) struct TooLong;

/// Collects lines until a blank one ends an event.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    line: Vec<u8>,
    name: String,
    data: String,
    has_data: bool,
    /// The last byte was CR: a LF right after it belongs to the same line end.
    after_cr: bool,
}

impl SseParser {
    /// Takes the next bytes and appends every event they complete to `events`.
    pub(crate) fn feed(&mut self, bytes: &[u8], events: &mut Vec<RawEvent>) -> Result<(), TooLong> {
        for &byte in bytes {
            let ends_crlf = std::mem::replace(&mut self.after_cr, byte == b'\r') && byte == b'\n';
            match byte {
                _ if ends_crlf => {}
                b'\r' | b'\n' => self.end_line(events)?,
                _ if self.line.len() >= EVENT_BYTES_MAX => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<RawEvent>) -> Result<(), TooLong> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            if std::mem::take(&mut self.has_data) {
                events.push(RawEvent { name, data });
            }
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => self.add_data(value)?,
            // A comment (empty field, used as keep-alive), `id` and `retry` mean nothing on a local socket.
            _ => {}
        }
        Ok(())
    }

    fn add_data(&mut self, value: &str) -> Result<(), TooLong> {
        if self.data.len() + value.len() >= EVENT_BYTES_MAX {
            return Err(TooLong);
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push('\n');
        }
        self.data.push_str(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{EVENT_BYTES_MAX, RawEvent, SseParser, TooLong};
    use proptest::prelude::*;

    fn parse(portions: &[&[u8]]) -> Result<Vec<(String, String)>, TooLong> {
        let (mut parser, mut events) = (SseParser::default(), Vec::new());
        for portion in portions {
            parser.feed(portion, &mut events)?;
        }
        Ok(events.into_iter().map(|RawEvent { name, data }| (name, data)).collect())
    }

    fn check(text: &str, want: &[(&str, &str)]) {
        let want: Vec<(String, String)> = want.iter().map(|(n, d)| ((*n).to_owned(), (*d).to_owned())).collect();
        assert_eq!(parse(&[text.as_bytes()]), Ok(want), "row {text:?}");
    }

    #[test]
    fn fields_and_line_ends() {
        check("data: a\n\n", &[("", "a")]);
        check("event: x\ndata:a\n\n", &[("x", "a")]);
        check("event: x\r\ndata: a\r\n\r\ndata: b\r\r", &[("x", "a"), ("", "b")]);
        check("data: a\ndata: b\n\n", &[("", "a\nb")]);
        check("data\n\n", &[("", "")]);
        check(": keep-alive\n\n", &[]);
        check("event: x\n\ndata: a\n\n", &[("", "a")]);
        check("id: 1\nretry: 5\ndata: a\n\n", &[("", "a")]);
        check("data: unfinished\n", &[]);
        check("data:  two spaces\n\n", &[("", " two spaces")]);
    }

    #[test]
    fn nothing_grows_without_bound() {
        let line = vec![b'a'; EVENT_BYTES_MAX + 1];
        assert_eq!(parse(&[&line]), Err(TooLong));
        let half = format!("data: {}\n", "a".repeat(EVENT_BYTES_MAX / 2));
        assert_eq!(parse(&[half.as_bytes(), half.as_bytes(), half.as_bytes()]), Err(TooLong));
    }

    proptest! {
        /// However the bytes are cut, the events are the same.
        #[test]
        fn split_points_do_not_matter(
            lines in proptest::collection::vec("(data: ?|event: ?|:|id:|x)?[a-zé:\u{1F300} ]{0,12}(\n|\r\n|\r)", 0..24),
            cuts in proptest::collection::vec(0usize..400, 0..8),
        ) {
            let text = lines.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let portions: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(parse(&portions), parse(&[bytes]));
        }
    }
}
