// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is calling, and the header fields that tell an endpoint so.
//!
//! An endpoint may believe these fields only because no client can send them: [`strip_identity`] runs on every
//! request at the edge and again in every policy that writes them. They are `X-Consumer-Username`,
//! `X-Consumer-Groups` (joined by commas, absent without groups) and whatever else begins with `X-Consumer-`,
//! `X-Credential-Identifier` and `X-Anonymous-Consumer`.

use std::sync::Arc;

use crate::exchange::Fields;

/// The field that names the consumer.
const USERNAME: &[u8] = b"X-Consumer-Username";

/// The field that lists its groups.
const GROUPS: &[u8] = b"X-Consumer-Groups";

/// Who is calling, as the policies of [`Phase::Authenticate`](super::Phase::Authenticate) found it. Nobody else writes it.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Its object in the configuration, if it has one.
    pub consumer: Option<Arc<Consumer>>,
    /// What a token or an identity provider said of it.
    pub claims: Option<Arc<Claims>>,
    /// Whether nobody proved anything, and the consumer is the one for that.
    pub anonymous: bool,
}

/// What a token, a certificate or an identity provider says of a caller, for policies that decide by it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims {
    /// As the issuer names it; unique only together with the issuer.
    pub subject: Option<Box<str>>,
    /// Of an OAuth 2 token (RFC 6749 section 3.3).
    pub scopes: Box<[Box<str>]>,
    /// All of them.
    pub all: serde_json::Map<String, serde_json::Value>,
}

/// An API client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Stable over changes; the key of limits and quotas. Never reused for another consumer.
    pub id: u32,
    pub name: Arc<str>,
    /// How much its requests wait in the queue of an upstream; that of the route if absent.
    pub urgency: Option<u8>,
    groups: Box<[Box<str>]>,
    name_field: Box<[u8]>,
    groups_field: Box<[u8]>,
}

impl Consumer {
    /// A consumer whose name and groups are made fit for a header field once, here.
    pub fn new(id: u32, name: &str, groups: &[&str]) -> Self {
        let groups_field = groups.iter().map(|group| field_text(group)).collect::<Vec<_>>().join(&b","[..]);
        Self {
            id,
            name: name.into(),
            urgency: None,
            groups: groups.iter().map(|group| Box::from(*group)).collect(),
            name_field: field_text(name).into(),
            groups_field: groups_field.into(),
        }
    }

    /// The same one, with this urgency.
    #[must_use]
    pub fn urgent(self, urgency: Option<u8>) -> Self {
        Self { urgency, ..self }
    }

    pub fn groups(&self) -> &[Box<str>] {
        &self.groups
    }

    /// Tells the endpoint, in place of whatever the fields said before.
    pub fn announce(&self, fields: &mut Fields) {
        strip_identity(fields);
        fields.push(USERNAME, &self.name_field);
        if !self.groups_field.is_empty() {
            fields.push(GROUPS, &self.groups_field);
        }
    }
}

/// Percent-encodes what a field value may not hold, and the comma and the per cent sign, which would be ambiguous.
fn field_text(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b',' && byte != b'%' => out.push(byte),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}

/// Removes every field by which an endpoint would know a consumer.
pub fn strip_identity(fields: &mut Fields) {
    fields.retain(|field| !is_identity(field.name));
}

/// Whether a field says who the consumer is. An underscore counts as a hyphen, because many endpoints make both the
/// same variable.
pub fn is_identity(name: &[u8]) -> bool {
    let matches = |start: &[u8]| {
        let head = name.get(..start.len()).unwrap_or_default();
        let same = |(a, b): (&u8, &u8)| a.to_ascii_lowercase() == *b || (*a == b'_' && *b == b'-');
        head.len() == start.len() && head.iter().zip(start).all(same)
    };
    matches!(name.first(), Some(b'x' | b'X'))
        && (matches(b"x-consumer-")
            || (name.len() == 23 && matches(b"x-credential-identifier"))
            || (name.len() == 20 && matches(b"x-anonymous-consumer")))
}

/// Whether a field tells an endpoint about a client certificate: those of `mtls`, and `Client-Cert` and
/// `Client-Cert-Chain` (RFC 9440), which only a gateway may send.
pub fn is_certificate(name: &[u8]) -> bool {
    let is_like = |(a, b): (&u8, &u8)| a.to_ascii_lowercase() == *b || (*a == b'_' && *b == b'-');
    let starts = |start: &[u8]| name.len() >= start.len() && name.iter().zip(start).all(is_like);
    starts(b"x-client-cert-")
        || (name.len() == 11 && starts(b"client-cert"))
        || (name.len() == 17 && starts(b"client-cert-chain"))
}

#[cfg(test)]
mod tests {
    use super::{Consumer, is_identity, strip_identity};
    use crate::exchange::Fields;

    #[test]
    fn every_spelling_of_an_identity_field_is_known() {
        for name in ["X-Consumer-ID", "x-consumer-username", "X_Consumer_Groups", "X-CREDENTIAL-IDENTIFIER"] {
            assert!(is_identity(name.as_bytes()), "{name}");
        }
        assert!(is_identity(b"X-Anonymous_Consumer") && is_identity(b"x-consumer-"));
        for name in ["X-Consumer", "X-Consumers-Id", "X-Anonymous-Consumer-Not", "X-Edge", "", "X", "é"] {
            assert!(!is_identity(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn every_spelling_of_a_certificate_field_is_known() {
        for name in ["X-Client-Cert-Subject", "x_client_cert_fingerprint", "Client-Cert", "CLIENT_CERT_CHAIN"] {
            assert!(super::is_certificate(name.as_bytes()), "{name}");
        }
        for name in ["X-Client-Certs", "Client-Certificate", "Client-Cer", "X-Client", ""] {
            assert!(!super::is_certificate(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn what_a_client_claims_is_replaced() {
        let mut fields = Fields::new();
        fields.push(b"x_consumer_username", b"root");
        fields.push(b"X-Consumer-Custom-Id", b"0");
        fields.push(b"Accept", b"*/*");
        Consumer::new(1, "ana, the 1st", &["gold", "a,b"]).announce(&mut fields);
        let got: Vec<_> =
            fields.iter().map(|f| (f.name.to_vec(), String::from_utf8_lossy(f.value).into_owned())).collect();
        let want =
            [("Accept", "*/*"), ("X-Consumer-Username", "ana%2C%20the%201st"), ("X-Consumer-Groups", "gold,a%2Cb")];
        assert_eq!(got, want.map(|(name, value)| (name.as_bytes().to_vec(), value.to_owned())));
        strip_identity(&mut fields);
        assert_eq!(fields.len(), 1);
    }
}
