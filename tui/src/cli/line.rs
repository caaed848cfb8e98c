// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text for a terminal: styled pieces, and the one place where control characters are made harmless.
//!
//! Paths, host names and header fields come from strangers. Every piece is escaped when it is printed, so no caller
//! can forget it. Styles only repeat what a word or a symbol already says.

use std::borrow::Cow;
use std::fmt::Write as _;

/// How a piece looks where colour is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Plain,
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
    Name,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[1;31m",
            Self::Name => "\x1b[36m",
        }
    }

    /// A piece in this style.
    pub(crate) fn of(self, text: impl Into<String>) -> Piece {
        Piece { style: self, text: text.into() }
    }
}

/// Some text in one style.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) style: Style,
    pub(crate) text: String,
}

impl Piece {
    /// Appends the piece, escaped, to `out`, filled with spaces on the right up to `width` characters.
    pub(crate) fn write(&self, out: &mut String, width: usize) {
        let text = escape(&self.text);
        out.push_str(self.style.code());
        out.push_str(&text);
        if self.style != Style::Plain {
            out.push_str("\x1b[0m");
        }
        let fill = width.saturating_sub(text.chars().count());
        out.extend(std::iter::repeat_n(' ', fill));
    }

    /// Columns it takes.
    pub(crate) fn width(&self) -> usize {
        escape(&self.text).chars().count()
    }
}

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Style::Plain.of(text)
    }
}

impl From<String> for Piece {
    fn from(text: String) -> Self {
        Style::Plain.of(text)
    }
}

/// Whether a character may move the cursor, change the terminal, or make text look like other text.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{061C}' | '\u{FEFF}')
}

/// The text with control, direction and invisible characters written out: `\n`, `\x1b`, `\u{202e}`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_harmful(c) && u32::from(c) < 0x80 => push(&mut out, format_args!("\\x{:02x}", u32::from(c))),
            _ if is_harmful(c) => push(&mut out, format_args!("\\u{{{:x}}}", u32::from(c))),
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// JSON with the harmful characters written as `\uXXXX`; the document means the same.
///
/// Outside strings JSON has no such character but white space, and inside them serde has escaped those below 0x20.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    let harmful = |c: char| is_harmful(c) && c != '\n';
    if !json.contains(harmful) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        if harmful(c) {
            push(&mut out, format_args!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use super::{Style, escape, escape_json};

    #[test]
    fn harmful_characters_are_written_out() {
        for (text, want) in [
            ("/orders?q=ä", "/orders?q=ä"),
            ("a\x1b[2Jb", "a\\x1b[2Jb"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{9b}31m\x7f", "\\u{9b}31m\\x7f"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("\u{200b}\u{feff}", "\\u{200b}\\u{feff}"),
        ] {
            assert_eq!(escape(text), want, "row {text:?}");
        }
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({"path": "\u{1b}\u{9b}\u{202e}\u{7f}ä"});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let escaped = escape_json(&text);
        assert!(!escaped.contains(|c: char| super::is_harmful(c) && c != '\n'), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }

    #[test]
    fn styles_wrap_escaped_text_and_fill_outside() {
        let mut out = String::new();
        Style::Bad.of("\x1bx").write(&mut out, 7);
        assert_eq!(out, "\x1b[1;31m\\x1bx\x1b[0m  ");
    }
}
