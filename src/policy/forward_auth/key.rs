// SPDX-License-Identifier: MIT OR Apache-2.0
//! What two requests have in common that get the same verdict: parts of the request, hashed together.
//!
//! Each part is written with its length, so that no two requests write the same bytes for other parts, and one that is
//! not there is written otherwise than one that is empty. The hash is keyed and 128 bits long: nobody makes two
//! requests share a verdict, or chooses whose is forgotten.

use crate::exchange::part::cookies;
use crate::policy::Request;

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    Consumer,
    Host,
    Method,
    Path,
    Query,
    SourceIp,
    /// All fields of that name.
    Header(Box<[u8]>),
    /// All cookies of that name.
    Cookie(Box<[u8]>),
}

/// A key as the table knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(pub(super) u128);

pub(super) fn of_request(secret: &[u8; 32], parts: &[KeyPart], request: &Request<'_>) -> Key {
    let mut writing = Writing(blake3::Hasher::new_keyed(secret));
    let head = &*request.head;
    for part in parts {
        match part {
            KeyPart::Consumer => {
                writing.all(request.identity.consumer.iter().map(|consumer| consumer.name.as_bytes()));
            }
            KeyPart::Host => writing.all([head.host()]),
            KeyPart::Method => writing.all([head.method.as_str().as_bytes()]),
            KeyPart::Path => writing.all([head.path()]),
            KeyPart::Query => writing.all(head.query()),
            KeyPart::SourceIp => writing.all([request.client_ip.to_string().as_bytes()]),
            KeyPart::Header(name) => writing.all(head.fields.named(name)),
            KeyPart::Cookie(name) => writing.all(cookies(&head.fields, name)),
        }
    }
    writing.end()
}

/// The key of a request whose parts have these values, one each and all of them there.
pub(super) fn of_values(secret: &[u8; 32], values: &[&str]) -> Key {
    let mut writing = Writing(blake3::Hasher::new_keyed(secret));
    values.iter().for_each(|value| writing.all([value.as_bytes()]));
    writing.end()
}

struct Writing(blake3::Hasher);

impl Writing {
    fn all<'v>(&mut self, values: impl IntoIterator<Item = &'v [u8]>) {
        let mut count = 0_u64;
        for value in values {
            self.0.update(&(value.len() as u64).to_le_bytes()).update(value);
            count += 1;
        }
        // No length is this, so the end of a part is no value.
        self.0.update(&u64::MAX.to_le_bytes()).update(&count.to_le_bytes());
    }

    fn end(self) -> Key {
        let mut half = [0; 16];
        self.0.finalize_xof().fill(&mut half);
        Key(u128::from_le_bytes(half))
    }
}
