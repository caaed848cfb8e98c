// SPDX-License-Identifier: MIT OR Apache-2.0
//! An issuer of tokens with real keys: it signs, publishes its keys at an address, rotates them, and is down when told to.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::origin::Origin;

/// The issuer.
pub(crate) struct Issuer {
    origin: Origin,
    said: Arc<Said>,
}

struct Said {
    keys: Mutex<Vec<(String, EcdsaKeyPair)>>,
    /// What it answers with.
    status: AtomicU16,
    fields: Mutex<String>,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
pub(crate) fn now_s() -> i64 {
    weirgate::clock::wall_ms() / 1000
}

impl Issuer {
    /// One with a key of this name.
    pub(crate) fn start(kid: &str) -> Self {
        let (keys, fields) = (Mutex::new(vec![(kid.to_owned(), pair())]), Mutex::default());
        let said = Arc::new(Said { keys, status: AtomicU16::new(200), fields });
        let shared = Arc::clone(&said);
        let origin = Origin::serving(move |peer| {
            while peer.request().is_some() {
                let (status, body) = (shared.status.load(Ordering::SeqCst), set(&shared));
                let fields = shared.fields.lock().expect("no panic holds it").clone();
                let length = body.len();
                peer.say(format!("HTTP/1.1 {status} Said\r\n{fields}Content-Length: {length}\r\n\r\n{body}"));
            }
        });
        Self { origin, said }
    }

    /// Where its keys are.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/keys", self.origin.address())
    }

    /// How often its keys were asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.origin.heads().len()
    }

    /// Answers with this status from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.said.status.store(status, Ordering::SeqCst);
    }

    /// Says this beside its keys from now on; whole lines.
    pub(crate) fn say(&self, fields: &str) {
        fields.clone_into(&mut self.said.fields.lock().expect("no panic holds it"));
    }

    /// Has a key of this name in place of all others.
    pub(crate) fn rotate(&self, kid: &str) {
        *self.said.keys.lock().expect("no panic holds it") = vec![(kid.to_owned(), pair())];
    }

    /// A good token for `sub`, good for five minutes.
    pub(crate) fn token(&self, sub: &str) -> String {
        self.token_with(&json!({ "iss": "https://id", "aud": "api", "sub": sub, "exp": now_s() + 300 }))
    }

    /// A token with these claims, signed with its first key.
    pub(crate) fn token_with(&self, claims: &Value) -> String {
        let keys = self.said.keys.lock().expect("no panic holds it");
        let (kid, pair) = keys.first().expect("it has a key");
        let header = json!({ "alg": "ES256", "kid": kid, "typ": "JWT" });
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("it signs");
        format!("{signed}.{}", b64(signature))
    }

    /// A token that looks like one of its own, with the name of another key.
    pub(crate) fn bogus(kid: &str) -> String {
        let header = json!({ "alg": "ES256", "kid": kid });
        format!("{}.{}.{}", b64(header.to_string()), b64(format!("{{\"exp\":{}}}", now_s() + 300)), b64([1; 64]))
    }
}

fn pair() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")
}

fn set(said: &Said) -> String {
    let keys = said.keys.lock().expect("no panic holds it");
    let key = |(kid, pair): &(String, EcdsaKeyPair)| {
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": b64(x), "y": b64(y) })
    };
    json!({ "keys": keys.iter().map(key).collect::<Vec<_>>() }).to_string()
}
