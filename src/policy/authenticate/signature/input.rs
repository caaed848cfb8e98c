// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `Signature-Input` and `Signature` say (RFC 9421 section 4): the part of structured fields (RFC 9651) that they
//! need, bounded and strict. The parameters stay as they were sent, because they are signed as they were sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::exchange::Fields;

/// Bytes of all such fields of a request together.
const FIELD_BYTES_MAX: usize = 8 << 10;

/// Signatures of one request that are read.
const SIGNATURES_MAX: usize = 8;

/// Components of one signature.
const COMPONENTS_MAX: usize = 64;

/// Bytes of a signature; RSA with 8192 bits has 1024.
const SIGNATURE_BYTES_MAX: usize = 1024;

/// One member of `Signature-Input`.
#[derive(Debug, Default)]
pub(super) struct Input<'a> {
    pub(super) label: &'a str,
    pub(super) components: Vec<&'a str>,
    /// From the opening parenthesis to the end of the parameters.
    pub(super) params: &'a str,
    pub(super) created: Option<i64>,
    pub(super) expires: Option<i64>,
    pub(super) key_id: Option<String>,
    pub(super) algorithm: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) tag: Option<String>,
}

type Parsed<T> = Result<T, &'static str>;

/// All fields of this name as one text (RFC 9110 section 5.3).
pub(super) fn joined(fields: &Fields, name: &[u8]) -> Parsed<String> {
    let mut text = String::new();
    for value in fields.named(name) {
        let value = std::str::from_utf8(value).map_err(|_| "a signature field is not ASCII")?;
        if text.len() + value.len() > FIELD_BYTES_MAX {
            return Err("the signature fields are too long");
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(value.trim());
    }
    Ok(text)
}

/// Every signature that the field announces.
pub(super) fn parse(text: &str) -> Parsed<Vec<Input<'_>>> {
    let mut inputs = Vec::new();
    let mut rest = Reader { text, at: 0 };
    loop {
        rest.spaces();
        let label = rest.key()?;
        rest.expect('=')?;
        inputs.push(input(label, &mut rest)?);
        rest.spaces();
        if rest.peek().is_none() {
            return Ok(inputs);
        }
        rest.expect(',')?;
        if inputs.len() >= SIGNATURES_MAX {
            return Err("more signatures than are read");
        }
    }
}

fn input<'a>(label: &'a str, rest: &mut Reader<'a>) -> Parsed<Input<'a>> {
    let start = rest.at;
    let mut input = Input { label, components: components(rest)?, ..Input::default() };
    while rest.peek() == Some(';') {
        rest.expect(';')?;
        rest.spaces();
        let key = rest.key()?;
        rest.expect('=')?;
        match key {
            "created" => input.created = Some(rest.integer()?),
            "expires" => input.expires = Some(rest.integer()?),
            "keyid" => input.key_id = Some(rest.string()?),
            "alg" => input.algorithm = Some(rest.string()?),
            "nonce" => input.nonce = Some(rest.string()?),
            "tag" => input.tag = Some(rest.string()?),
            _ => return Err("Signature-Input has a parameter that is not known"),
        }
    }
    input.params = rest.text.get(start..rest.at).unwrap_or_default();
    Ok(input)
}

fn components<'a>(rest: &mut Reader<'a>) -> Parsed<Vec<&'a str>> {
    let mut components = Vec::new();
    rest.expect('(')?;
    loop {
        rest.spaces();
        if rest.peek() == Some(')') {
            rest.expect(')')?;
            return Ok(components);
        }
        let name = rest.plain_string()?;
        match rest.peek() {
            Some(' ' | ')') => {}
            Some(';') => return Err("components with parameters are not supported"),
            _ => return Err("Signature-Input is malformed"),
        }
        // RFC 9421 section 2: each at most once, in lower case.
        if components.contains(&name) || name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err("Signature-Input names a component twice, or not in lower case");
        }
        if components.len() >= COMPONENTS_MAX {
            return Err("a signature over too many components");
        }
        components.push(name);
    }
}

/// The bytes of the signature with this label.
pub(super) fn signature(text: &str, label: &str) -> Parsed<Vec<u8>> {
    for member in text.split(',').map(str::trim) {
        let Some((name, value)) = member.split_once('=') else { return Err("Signature is malformed") };
        if name != label {
            continue;
        }
        let encoded = value.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
        let encoded = encoded.ok_or("a signature is not between colons")?;
        if encoded.len() > SIGNATURE_BYTES_MAX.div_ceil(3) * 4 {
            return Err("a signature is too long");
        }
        return STANDARD.decode(encoded).map_err(|_| "a signature is not base64");
    }
    Err("Signature-Input names a signature that Signature does not have")
}

/// A text and how far it was read.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn expect(&mut self, letter: char) -> Parsed<()> {
        if self.peek() != Some(letter) {
            return Err("Signature-Input is malformed");
        }
        self.at += letter.len_utf8();
        Ok(())
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// RFC 9651 section 3.1.2.
    fn key(&mut self) -> Parsed<&'a str> {
        let key = self.take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.*".contains(c));
        let starts = key.starts_with(|c: char| c.is_ascii_lowercase() || c == '*');
        if starts { Ok(key) } else { Err("Signature-Input is malformed") }
    }

    /// Seconds since 1970: RFC 9651 section 3.3.1 allows 15 digits.
    fn integer(&mut self) -> Parsed<i64> {
        let digits = self.take_while(|c| c.is_ascii_digit());
        if digits.len() > 15 {
            return Err("a time of a signature is out of bounds");
        }
        digits.parse().map_err(|_| "a time of a signature is not a number")
    }

    /// RFC 9651 section 3.3.3.
    fn string(&mut self) -> Parsed<String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| matches!(c, ' '..='~') && c != '"' && c != '\\'));
            if self.peek() == Some('"') {
                self.expect('"')?;
                return Ok(text);
            }
            self.expect('\\')?;
            match self.peek() {
                Some(letter @ ('"' | '\\')) => {
                    self.expect(letter)?;
                    text.push(letter);
                }
                _ => return Err("Signature-Input is malformed"),
            }
        }
    }

    /// A string without escapes, as the name of a component is.
    fn plain_string(&mut self) -> Parsed<&'a str> {
        self.expect('"')?;
        let text = self.take_while(|c| matches!(c, '!'..='~') && c != '"' && c != '\\');
        self.expect('"')?;
        Ok(text)
    }
}
