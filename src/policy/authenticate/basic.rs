// SPDX-License-Identifier: MIT OR Apache-2.0
//! A user and a password in `Authorization: Basic …` (RFC 7617).
//!
//! A password that was right a moment ago is found by a keyed hash; any other is checked off the worker, and takes as
//! long for a user that does not exist. Bytes of strangers are bounded before anything is decoded, and a password is
//! never copied into a note, a fault or a log.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smallvec::SmallVec;

use super::passwords::{self, Checked};
use super::{challenge_of, identify};
use crate::exchange::{Fields, Known};
use crate::fault::{Fault, Refusal};
use crate::policy::wait::{Answer, Waiting};
use crate::policy::{Request, Steps, Verdict};

/// Bytes of user, colon and password.
pub const CREDENTIALS_MAX: usize = 256;

/// So many in base64.
const ENCODED_MAX: usize = CREDENTIALS_MAX.div_ceil(3) * 4;

const SCHEME: &[u8] = b"basic";

/// Whether the endpoint sees the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hide {
    Yes,
    No,
}

/// Asks for a user and a password.
#[derive(Clone, Debug)]
pub struct Basic {
    pub name: Arc<str>,
    hide: Hide,
    challenge: Arc<str>,
}

/// A user and a password as they were sent.
type Bytes = SmallVec<[u8; CREDENTIALS_MAX + 2]>;

struct Sent {
    bytes: Bytes,
    colon: usize,
}

impl Sent {
    fn user(&self) -> &[u8] {
        self.bytes.get(..self.colon).unwrap_or_default()
    }

    fn password(&self) -> &[u8] {
        self.bytes.get(self.colon + 1..).unwrap_or_default()
    }
}

impl Basic {
    pub fn new(name: Arc<str>, realm: &str, hide: Hide) -> Self {
        Self { name, hide, challenge: challenge_of("Basic", realm, ", charset=\"UTF-8\"") }
    }

    pub(super) fn challenge(&self) -> &Arc<str> {
        &self.challenge
    }

    pub(super) fn check(&self, at: usize, request: &mut Request<'_>, steps: &mut Steps) -> Result<Verdict, Fault> {
        match steps.answer.take() {
            None => {}
            Some(Answer::Password(Checked::Matched(consumer))) => return self.admit(at, request, consumer),
            Some(Answer::Password(Checked::Wrong)) => return Err(self.refused(Refusal::PasswordWrong)),
            Some(_) => return Err(Fault::PasswordsFull { policy: Arc::clone(&self.name) }),
        }
        let sent = read(&request.head.fields)?.ok_or_else(|| self.refused(Refusal::PasswordMissing))?;
        let passwords = &request.credentials.proofs().passwords;
        if let Some(consumer) = passwords.verified(sent.user(), sent.password(), request.now_s) {
            return self.admit(at, request, consumer);
        }
        if !passwords.can_check() {
            return Err(self.refused(Refusal::PasswordWrong));
        }
        let (passwords, now_s) = (Arc::clone(passwords), request.now_s);
        Ok(Verdict::Wait(Waiting::new(async move {
            Answer::Password(passwords::check(passwords, sent.user(), sent.password(), now_s).await)
        })))
    }

    fn admit(&self, at: usize, request: &mut Request<'_>, consumer: u32) -> Result<Verdict, Fault> {
        let credentials = request.credentials;
        let Some(consumer) = credentials.consumer(consumer) else { return Err(self.refused(Refusal::PasswordWrong)) };
        if self.hide == Hide::Yes {
            request.head.fields.remove(Known::Authorization);
        }
        identify(&self.name, at, request, consumer)?;
        Ok(Verdict::Continue)
    }

    /// Everything but the password, which takes a processor some time.
    pub(super) fn explain(&self, at: usize, request: &mut Request<'_>) -> Result<String, Fault> {
        let sent = read(&request.head.fields)?.ok_or_else(|| self.refused(Refusal::PasswordMissing))?;
        let consumer = request.credentials.proofs().passwords.consumer_of(sent.user());
        self.admit(at, request, consumer.ok_or_else(|| self.refused(Refusal::PasswordWrong))?)?;
        let consumer = request.identity.consumer.as_ref().map_or("a consumer", |consumer| &consumer.name);
        Ok(format!("{} → {consumer}, if the password is right", self.name))
    }

    #[cold]
    fn refused(&self, refusal: Refusal) -> Fault {
        Fault::Unauthenticated { policy: Arc::clone(&self.name), refusal, challenge: Arc::clone(&self.challenge) }
    }
}

/// Whether there are credentials of this scheme.
pub(super) fn presents(fields: &Fields) -> bool {
    fields.all(Known::Authorization).any(|value| token_of(value).is_some())
}

/// What follows the name of the scheme.
fn token_of(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let apart = rest.first().is_none_or(|byte| *byte == b' ');
    (apart && scheme.eq_ignore_ascii_case(SCHEME)).then(|| rest.trim_ascii())
}

/// The one pair of user and password, if there is any.
fn read(fields: &Fields) -> Result<Option<Sent>, Fault> {
    let mut all = fields.all(Known::Authorization);
    let Some(first) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(Fault::Malformed("more than one Authorization field"));
    }
    let Some(token) = token_of(first) else { return Ok(None) };
    decode(token).map(Some)
}

fn decode(token: &[u8]) -> Result<Sent, Fault> {
    if token.len() > ENCODED_MAX {
        return Err(Fault::Malformed("user and password are too long"));
    }
    let mut bytes = Bytes::from_elem(0, CREDENTIALS_MAX + 2);
    let length = STANDARD
        .decode_slice(token, &mut bytes)
        .map_err(|_| Fault::Malformed("the credentials of scheme Basic are not base64"))?;
    bytes.truncate(length);
    if length > CREDENTIALS_MAX {
        return Err(Fault::Malformed("user and password are too long"));
    }
    // RFC 7617 section 2: neither holds a control character, and the user holds no colon.
    if bytes.iter().any(u8::is_ascii_control) {
        return Err(Fault::Malformed("a user or password with a control character"));
    }
    let colon = bytes.iter().position(|byte| *byte == b':');
    let colon = colon.ok_or(Fault::Malformed("the credentials of scheme Basic have no colon"))?;
    Ok(Sent { bytes, colon })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::{CREDENTIALS_MAX, read};
    use crate::exchange::{Fields, Known};

    /// The user and password of an `Authorization` field, or why there are none.
    fn parse(value: &[u8]) -> String {
        let mut fields = Fields::new();
        fields.push_known(Known::Authorization, value);
        match read(&fields) {
            Ok(None) => "none".to_owned(),
            Ok(Some(sent)) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                format!("{}|{}", text(sent.user()), text(sent.password()))
            }
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn what_is_sent_is_read_exactly() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let long = "p".repeat(CREDENTIALS_MAX - 2);
        for (value, want) in [
            (basic("ana:secret"), "ana|secret".to_owned()),
            (basic("ana:a:b"), "ana|a:b".to_owned()),
            (basic("ana:"), "ana|".to_owned()),
            (basic(":x"), "|x".to_owned()),
            (basic("änä:pässwörd"), "änä|pässwörd".to_owned()),
            (basic(&format!("a:{long}")), format!("a|{long}")),
            ("bAsIc   YTpi".to_owned(), "a|b".to_owned()),
            ("Bearer YTpi".to_owned(), "none".to_owned()),
            ("Basicly YTpi".to_owned(), "none".to_owned()),
            ("Bas".to_owned(), "none".to_owned()),
            (String::new(), "none".to_owned()),
        ] {
            assert_eq!(parse(value.as_bytes()), want, "row {value}");
        }
        for (value, want) in [
            (basic("ana"), "no colon"),
            ("Basic".to_owned(), "no colon"),
            (basic("a\u{0}:b"), "control"),
            (basic("a:b\r\n"), "control"),
            (basic(&format!("a:{long}x")), "too long"),
            (basic(&"x:".repeat(4000)), "too long"),
            ("Basic YTpi!".to_owned(), "not base64"),
            ("Basic YTp".to_owned(), "not base64"),
            ("Basic YTpi YTpi".to_owned(), "not base64"),
            ("Basic YTpiYg".to_owned(), "not base64"),
        ] {
            assert!(parse(value.as_bytes()).contains(want), "row {value}: {}", parse(value.as_bytes()));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(value: Vec<u8>) {
            parse(&value);
            parse(&[b"Basic ", value.as_slice()].concat());
            parse(&[b"Basic ", STANDARD.encode(&value).as_bytes()].concat());
        }
    }
}
