// SPDX-License-Identifier: MIT OR Apache-2.0
//! What consumers prove themselves by besides API keys, as the data path finds it: immutable, shared by all workers, made
//! anew by a change of the configuration.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::passwords::Passwords;
use super::signature::key::SigningKey;
use super::signature::nonces::Nonces;
use crate::exchange::ClientCertificate;

/// All proofs of all consumers. Numbers are those of [`Consumer::id`](crate::policy::Consumer::id).
#[derive(Clone, Debug, Default)]
pub struct Proofs {
    pub passwords: Arc<Passwords>,
    pub certificates: Certificates,
    /// By the id that signatures name.
    pub signing_keys: HashMap<Box<str>, (SigningKey, u32)>,
    /// Those that signatures used up; they outlive a change.
    pub nonces: Arc<Nonces>,
    /// Consumers by name.
    pub names: HashMap<Arc<str>, u32>,
}

/// Whose a client certificate is.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    fingerprints: HashMap<[u8; 32], u32>,
    subjects: HashMap<String, u32>,
    names: HashMap<String, u32>,
}

impl Certificates {
    /// A certificate by its SHA-256 in hexadecimal digits; whether it is one.
    pub fn add_fingerprint(&mut self, text: &str, consumer: u32) -> bool {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let Some(Ok(fingerprint)) = pairs.collect::<Option<Vec<u8>>>().map(<[u8; 32]>::try_from) else { return false };
        self.fingerprints.insert(fingerprint, consumer);
        true
    }

    /// A certificate by its whole subject. Its parts may stand in the order of the certificate or in that of RFC 4514,
    /// which is the other way round.
    pub fn add_subject(&mut self, text: &str, consumer: u32) {
        let mut parts = subject_parts(text);
        self.subjects.insert(parts.join(", "), consumer);
        parts.reverse();
        self.subjects.insert(parts.join(", "), consumer);
    }

    /// A certificate by one of its alternative names.
    pub fn add_name(&mut self, text: &str, consumer: u32) {
        self.names.insert(alternative_name(text), consumer);
    }

    /// The consumer of a certificate: the most exact way to know it counts.
    pub fn find(&self, certificate: &ClientCertificate) -> Option<u32> {
        let by_name = || certificate.names.iter().find_map(|name| self.names.get(name));
        let by_subject = || self.subjects.get(&certificate.subject);
        self.fingerprints.get(&certificate.fingerprint).or_else(by_name).or_else(by_subject).copied()
    }
}

/// `CN=alice,O=Example` as its parts, without the spaces around them; a comma after a backslash belongs to its part.
fn subject_parts(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut escaped) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        match letter {
            ',' if !escaped => parts.push(std::mem::take(&mut part)),
            _ => part.push(letter),
        }
        escaped = letter == '\\' && !escaped;
    }
    parts.push(part);
    parts.iter().map(|part| typed(part.trim())).collect()
}

/// The types of a subject compare without regard to case, the values do not.
fn typed(part: &str) -> String {
    match part.split_once('=') {
        Some((kind, value)) => format!("{}={}", kind.trim().to_ascii_uppercase(), value.trim()),
        None => part.to_owned(),
    }
}

/// An alternative name in the form of [`ClientCertificate::names`]: addresses in their shortest form, DNS names in lower
/// case, all others as they are.
fn alternative_name(text: &str) -> String {
    if let Ok(address) = text.parse::<IpAddr>() {
        return address.to_string();
    }
    if text.contains("://") || text.contains('@') || text.contains(':') {
        return text.to_owned();
    }
    text.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::Certificates;
    use crate::exchange::ClientCertificate;

    #[test]
    fn a_certificate_belongs_to_who_names_it_most_exactly() {
        let mut known = Certificates::default();
        assert!(known.add_fingerprint(&["AB"; 32].join(":"), 1));
        assert!(!known.add_fingerprint("ab", 9) && !known.add_fingerprint(&"zz".repeat(32), 9));
        known.add_name("Api.Example.com", 2);
        known.add_name("spiffe://example.org/Api", 3);
        known.add_name("2001:DB8:0::1", 4);
        known.add_subject("cn = alice\\, the first , O=Example", 5);
        let certificate = |fingerprint: u8, subject: &str, names: &[&str]| ClientCertificate {
            fingerprint: [fingerprint; 32],
            subject: subject.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..ClientCertificate::default()
        };
        for (shown, want) in [
            (certificate(0xab, "", &["api.example.com"]), Some(1)),
            (certificate(0, "CN=alice\\, the first, O=Example", &["api.example.com"]), Some(2)),
            (certificate(0, "", &["other.example", "spiffe://example.org/Api"]), Some(3)),
            (certificate(0, "", &["spiffe://example.org/api"]), None),
            (certificate(0, "", &["2001:db8::1"]), Some(4)),
            (certificate(0, "CN=alice\\, the first, O=Example", &[]), Some(5)),
            (certificate(0, "O=Example, CN=alice\\, the first", &[]), Some(5)),
            (certificate(0, "CN=alice\\, the first", &[]), None),
            (certificate(0, "CN=alice", &[]), None),
            (certificate(0, "", &[]), None),
        ] {
            assert_eq!(known.find(&shown), want, "row {shown:?}");
        }
    }
}
