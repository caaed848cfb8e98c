// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens of an issuer with real keys, good and hostile, through one `check`; and what is read of key sets.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::claims::Rules;
use super::jws::{self, TOKEN_BYTES_MAX};
use super::key::{Key, NoKey};
use super::keys::Keys;
use super::refusal::Refusal;
use super::{json as strict, jwks};

const NOW: i64 = 1_800_000_000;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

struct Issuer {
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
}

/// Its keys are made once: an RSA key takes a while.
fn issuer() -> &'static Issuer {
    static ISSUER: OnceLock<Issuer> = OnceLock::new();
    ISSUER.get_or_init(|| Issuer {
        p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
        ed: Ed25519KeyPair::generate().unwrap(),
        rsa: RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap(),
    })
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ec(kid: &str, curve: &str, pair: &EcdsaKeyPair) -> Value {
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "kid": kid, "use": "sig", "x": b64(x), "y": b64(y) })
}

/// Modulus and exponent out of `SEQUENCE { INTEGER, INTEGER }`.
fn rsa_numbers(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    fn one(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, at) = match der[1] {
            0x82 => (usize::from(u16::from_be_bytes([der[2], der[3]])), 4),
            0x81 => (usize::from(der[2]), 3),
            short => (usize::from(short), 2),
        };
        (&der[at..at + length], &der[at + length..])
    }
    let (n, rest) = one(one(der).0);
    (n.to_vec(), one(rest).0.to_vec())
}

/// The set that the issuer publishes; its RSA key is pinned to one algorithm.
fn key_set() -> Value {
    let Issuer { p256, p384, ed, rsa } = issuer();
    let (n, e) = rsa_numbers(rsa.public_key().as_ref());
    json!({ "keys": [
        ec("a", "P-256", p256),
        ec("b", "P-384", p384),
        { "kty": "OKP", "crv": "Ed25519", "kid": "c", "x": b64(ed.public_key().as_ref()) },
        { "kty": "RSA", "kid": "d", "alg": "RS256", "n": b64(n), "e": b64(e) },
        { "kty": "oct", "kid": "shared", "k": b64(SECRET) },
        { "kty": "EC", "crv": "P-256", "kid": "enc", "use": "enc", "x": "AA", "y": "AA" },
        { "kty": "EC", "crv": "secp256k1", "kid": "coin", "x": "AA", "y": "AA" },
        { "kty": "new", "kid": "later" },
        "no object",
    ]})
}

fn sign(alg: &str, signed: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let Issuer { p256, p384, ed, rsa } = issuer();
    let of_rsa = |padding: &'static dyn signature::RsaEncoding| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(padding, &random, signed, &mut signature).unwrap();
        signature
    };
    match alg {
        "ES256" => p256.sign(&random, signed).unwrap().as_ref().to_vec(),
        "ES384" => p384.sign(&random, signed).unwrap().as_ref().to_vec(),
        "EdDSA" => ed.sign(signed).as_ref().to_vec(),
        "RS256" => of_rsa(&signature::RSA_PKCS1_SHA256),
        "RS512" => of_rsa(&signature::RSA_PKCS1_SHA512),
        "PS256" => of_rsa(&signature::RSA_PSS_SHA256),
        "HS256" => hmac(SECRET, signed),
        _ => Vec::new(),
    }
}

fn hmac(secret: &[u8], signed: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    aws_lc_rs::hmac::sign(&key, signed).as_ref().to_vec()
}

/// A token with this text as header and claims, signed as `alg` says.
fn token(alg: &str, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", b64(header), b64(claims));
    let signature = b64(sign(alg, signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn good() -> String {
    claims(&json!({}))
}

/// Good claims but for these; null is none.
fn claims(but: &Value) -> String {
    let mut all = json!({ "iss": "https://id", "sub": "ana", "aud": ["x", "api"], "iat": NOW - 10, "exp": NOW + 300 });
    for (name, value) in but.as_object().unwrap() {
        match value {
            Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
            other => all[name] = other.clone(),
        }
    }
    all.to_string()
}

fn keys() -> Keys {
    let read = jwks::read(key_set().to_string().as_bytes()).unwrap();
    assert_eq!(read.keys.len(), 4, "{:?}", read.skipped);
    Keys::written(read.keys)
}

fn rules() -> Rules {
    Rules {
        issuer: Some("https://id".into()),
        audience: Box::new(["api".into(), "other".into()]),
        leeway_s: 60,
        require: Box::new(["exp".into()]),
        lifetime_max_s: Some(3_600),
        scopes: None,
    }
}

fn judge(keys: &Keys, rules: &Rules, token: &[u8]) -> Result<Value, Refusal> {
    let unverified = jws::read(token)?;
    let set = keys.set();
    let key = set.find(unverified.kid.as_deref(), unverified.algorithm).ok_or(Refusal::Key)?;
    if !key.verifies(unverified.algorithm, unverified.signed, &unverified.signature) {
        return Err(Refusal::Signature);
    }
    let all = unverified.claims()?;
    rules.check(&all, NOW)?;
    Ok(Value::Object(all))
}

#[track_caller]
fn check(rows: &[(&str, String, Result<(), Refusal>)]) {
    let (keys, rules) = (keys(), rules());
    for (row, token, want) in rows {
        assert_eq!(judge(&keys, &rules, token.as_bytes()).map(drop), *want, "row {row}: {token}");
    }
}

#[test]
fn a_token_of_each_algorithm_holds() {
    let header = |alg: &str, kid: &str| format!("{{\"alg\":\"{alg}\",\"kid\":\"{kid}\",\"typ\":\"JWT\"}}");
    let row = |alg: &'static str, kid: &str| (alg, token(alg, &header(alg, kid), &good()), Ok(()));
    check(&[row("ES256", "a"), row("ES384", "b"), row("EdDSA", "c"), row("RS256", "d")]);
    let mut pinned = key_set();
    pinned["keys"][3]["alg"] = json!("PS256");
    let keys = Keys::written(jwks::read(pinned.to_string().as_bytes()).unwrap().keys);
    assert!(judge(&keys, &rules(), row("PS256", "d").1.as_bytes()).is_ok());
    assert_eq!(judge(&keys, &rules(), row("RS256", "d").1.as_bytes()), Err(Refusal::Key));
}

/// Every trick with algorithms and keys.
#[test]
fn no_token_chooses_how_it_is_verified() {
    let (n, _) = rsa_numbers(issuer().rsa.public_key().as_ref());
    let header = |text: &str| text.replace('\'', "\"");
    let unsigned = |text: &str| format!("{}.{}.", b64(header(text)), b64(good()));
    let confused = |secret: &[u8], kid: &str| {
        let signed = format!("{}.{}", b64(format!("{{\"alg\":\"HS256\",\"kid\":\"{kid}\"}}")), b64(good()));
        format!("{signed}.{}", b64(hmac(secret, signed.as_bytes())))
    };
    check(&[
        ("none", unsigned("{'alg':'none'}"), Err(Refusal::Algorithm)),
        ("None", unsigned("{'alg':'None','kid':'a'}"), Err(Refusal::Algorithm)),
        ("no alg", unsigned("{'kid':'a'}"), Err(Refusal::Malformed)),
        ("alg is a list", unsigned("{'alg':['ES256'],'kid':'a'}"), Err(Refusal::Malformed)),
        ("es256", token("ES256", &header("{'alg':'es256','kid':'a'}"), &good()), Err(Refusal::Algorithm)),
        ("ES256K", unsigned("{'alg':'ES256K','kid':'a'}"), Err(Refusal::Algorithm)),
        ("no signature", unsigned("{'alg':'ES256','kid':'a'}"), Err(Refusal::Signature)),
        ("HMAC with the modulus", confused(&n, "d"), Err(Refusal::Key)),
        ("HMAC with the DER", confused(issuer().rsa.public_key().as_ref(), "d"), Err(Refusal::Key)),
        ("HMAC with an empty secret", confused(b"", "a"), Err(Refusal::Key)),
        ("HMAC with a published secret", confused(SECRET, "shared"), Err(Refusal::Key)),
        (
            "RS512 with a key for RS256",
            token("RS512", &header("{'alg':'RS512','kid':'d'}"), &good()),
            Err(Refusal::Key),
        ),
        (
            "PS256 with a key for RS256",
            token("PS256", &header("{'alg':'PS256','kid':'d'}"), &good()),
            Err(Refusal::Key),
        ),
        (
            "another key of its kind",
            token("ES256", &header("{'alg':'ES384','kid':'b'}"), &good()),
            Err(Refusal::Signature),
        ),
        ("the name of another", token("ES256", &header("{'alg':'ES256','kid':'b'}"), &good()), Err(Refusal::Key)),
    ]);
}

#[test]
fn no_token_chooses_its_key() {
    let header = |text: &str| text.replace('\'', "\"");
    check(&[
        ("an unknown name", token("ES256", &header("{'alg':'ES256','kid':'z'}"), &good()), Err(Refusal::Key)),
        ("no name, and one that fits", token("ES256", &header("{'alg':'ES256'}"), &good()), Ok(())),
        ("kid is a number", token("ES256", &header("{'alg':'ES256','kid':1}"), &good()), Err(Refusal::Malformed)),
        ("crit", token("ES256", &header("{'alg':'ES256','kid':'a','crit':['exp']}"), &good()), Err(Refusal::Critical)),
        (
            "b64",
            token("ES256", &header("{'alg':'ES256','kid':'a','b64':false,'crit':['b64']}"), &good()),
            Err(Refusal::Critical),
        ),
        (
            "brings its key",
            token("ES256", &header("{'alg':'ES256','kid':'z','jwk':{'kty':'oct','k':'AA'}}"), &good()),
            Err(Refusal::Key),
        ),
        (
            "says where its key is",
            token("ES256", &header("{'alg':'ES256','kid':'z','jku':'http://evil'}"), &good()),
            Err(Refusal::Key),
        ),
        (
            "two algs",
            token("ES256", &header("{'alg':'ES256','alg':'none','kid':'a'}"), &good()),
            Err(Refusal::Malformed),
        ),
        (
            "a signature in DER",
            {
                let signed = format!("{}.{}", b64(header("{'alg':'ES256','kid':'a'}")), b64(good()));
                format!("{signed}.{}", b64([0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01]))
            },
            Err(Refusal::Signature),
        ),
        (
            "zeros for a signature",
            {
                let signed = format!("{}.{}", b64(header("{'alg':'ES256','kid':'a'}")), b64(good()));
                format!("{signed}.{}", b64([0; 64]))
            },
            Err(Refusal::Signature),
        ),
    ]);
}

#[test]
fn no_spelling_of_a_token_is_another() {
    let header = "{\"alg\":\"ES256\",\"kid\":\"a\"}";
    let whole = token("ES256", header, &good());
    let parts: Vec<&str> = whole.split('.').collect();
    let [h, p, s] = [parts[0], parts[1], parts[2]];
    let bad = || Err(Refusal::Malformed);
    let padded = format!("{}.{p}.{s}", URL_SAFE.encode(header));
    let standard = STANDARD.encode([0xfb; 64]);
    let deep = format!("{{\"exp\":{},\"a\":{}1{}}}", NOW + 9, "[".repeat(2_000), "]".repeat(2_000));
    check(&[
        ("whole", whole.clone(), Ok(())),
        ("one part", h.to_owned(), bad()),
        ("two parts", format!("{h}.{p}"), bad()),
        ("four parts", format!("{whole}."), bad()),
        ("encrypted", format!("{h}.{p}.{s}.{s}.{s}"), bad()),
        ("empty", String::new(), bad()),
        ("dots", "..".to_owned(), bad()),
        ("a space", format!("{h}.{p} .{s}"), Err(Refusal::Signature)),
        ("a line end", format!("{h}.{p}\n.{s}"), Err(Refusal::Signature)),
        ("a space in the header", format!("{h} .{p}.{s}"), bad()),
        ("a space in the signature", format!("{h}.{p}.{s} "), bad()),
        ("padding", format!("{padded}="), bad()),
        ("the other alphabet", format!("{h}.{p}.{standard}"), bad()),
        ("loose bits", format!("{h}.{p}.{}", loosen(s)), bad()),
        ("other claims", format!("{h}.{}.{s}", b64(claims(&json!({"sub": "root"})))), Err(Refusal::Signature)),
        ("other header", format!("{}.{p}.{s}", b64("{\"kid\":\"a\",\"alg\":\"ES256\"}")), Err(Refusal::Signature)),
        ("claims twice", token("ES256", header, &good().replace("{", "{\"sub\":\"root\",")), bad()),
        ("nested too deeply", token("ES256", header, &deep), bad()),
        ("no object", token("ES256", header, "[]"), bad()),
        ("no JSON", token("ES256", header, "hello"), bad()),
        ("too large", format!("{h}.{}.{s}", "A".repeat(TOKEN_BYTES_MAX)), Err(Refusal::TooLarge)),
    ]);
}

/// The same bytes with bits set that belong to none of them.
fn loosen(text: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = text.chars().last().unwrap();
    let at = ALPHABET.find(last).unwrap();
    format!("{}{}", &text[..text.len() - 1], ALPHABET.chars().nth(at | 1).filter(|c| *c != last).unwrap_or('B'))
}

#[test]
fn claims_say_for_whom_and_how_long() {
    let row = |row: &'static str, but: Value, want| {
        (row, token("ES256", "{\"alg\":\"ES256\",\"kid\":\"a\"}", &claims(&but)), want)
    };
    check(&[
        row("expired within the leeway", json!({"exp": NOW - 59}), Ok(())),
        row("expired", json!({"exp": NOW - 60}), Err(Refusal::Expired)),
        row("no end", json!({"exp": null}), Err(Refusal::Missing("exp".into()))),
        row("an end with a fraction", json!({"exp": NOW as f64 + 0.5}), Ok(())),
        row("the end is text", json!({"exp": "1800000300"}), Err(Refusal::Malformed)),
        row("the end of the world", json!({"exp": 1e300}), Err(Refusal::Malformed)),
        row("the end is null", json!({"exp": [null]}), Err(Refusal::Malformed)),
        row("not yet, within the leeway", json!({"nbf": NOW + 60}), Ok(())),
        row("not yet", json!({"nbf": NOW + 61}), Err(Refusal::Early)),
        row("made in the future", json!({"iat": NOW + 61}), Err(Refusal::Early)),
        row("lives too long", json!({"iat": NOW - 10, "exp": NOW + 3_591}), Err(Refusal::Lifetime)),
        row("lives as long as it may", json!({"iat": NOW - 10, "exp": NOW + 3_590}), Ok(())),
        row("without iat it counts from now", json!({"iat": null, "exp": NOW + 3_601}), Err(Refusal::Lifetime)),
        row("another issuer", json!({"iss": "https://id/"}), Err(Refusal::Issuer)),
        row("no issuer", json!({"iss": null}), Err(Refusal::Issuer)),
        row("an issuer that is a list", json!({"iss": ["https://id"]}), Err(Refusal::Malformed)),
        row("one audience", json!({"aud": "other"}), Ok(())),
        row("another audience", json!({"aud": "apis"}), Err(Refusal::Audience)),
        row("no audience", json!({"aud": null}), Err(Refusal::Audience)),
        row("an empty audience", json!({"aud": []}), Err(Refusal::Audience)),
        row("an audience of numbers", json!({"aud": ["api", 1]}), Err(Refusal::Malformed)),
    ]);
}

#[test]
fn scopes_are_found_in_either_form() {
    for (claims, path, want) in [
        (json!({"scope": "a  b"}), None, "a b"),
        (json!({"scp": ["a", "b"]}), None, "a b"),
        (json!({"scope": ""}), None, ""),
        (json!({"realm": {"roles": ["x", 1, "y"]}}), Some("/realm/roles"), "x y"),
        (json!({"https://ex/roles": "x"}), Some("https://ex/roles"), "x"),
        (json!({"scope": "a"}), Some("/none/here"), ""),
    ] {
        let rules = Rules { scopes: path.map(Into::into), ..Rules::default() };
        let Value::Object(all) = claims.clone() else { panic!("it is an object") };
        assert_eq!(rules.told(all).scopes.join(" "), want, "row {claims}");
    }
}

#[test]
fn keys_that_are_none_are_passed_over_with_a_reason() {
    let read = jwks::read(key_set().to_string().as_bytes()).unwrap();
    let want = [
        "key shared: oct is no kind of key that verifies tokens",
        "key enc: it is not for signatures",
        "key coin: secp256k1 is no kind of key that verifies tokens",
        "key later: new is no kind of key that verifies tokens",
        "key number 9: it is no object",
    ];
    assert_eq!(read.skipped, want);
    for text in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[],\"keys\":[]}", "<html>"] {
        assert!(jwks::read(text.as_bytes()).is_err(), "row {text}");
    }
    let many = json!({ "keys": vec![json!({"kty": "oct"}); 1_000] }).to_string();
    assert_eq!(jwks::read(many.as_bytes()).unwrap().skipped.len(), jwks::KEYS_MAX + 1);
    assert_eq!(Key::secret(&[1; 31]).err(), Some(NoKey::ShortSecret));
    let short = json!({"keys": [{"kty": "RSA", "n": b64([0xff; 128]), "e": "AQAB"}]}).to_string();
    assert_eq!(jwks::read(short.as_bytes()).unwrap().skipped, ["key number 1: an RSA key has at least 2048 bits"]);
    let off = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": b64([1; 32]), "y": b64([1; 32])}]}).to_string();
    assert_eq!(jwks::read(off.as_bytes()).unwrap().keys.len(), 0, "a point that is not on the curve");
}

#[test]
fn a_pem_key_and_a_secret_verify_without_a_name() {
    use aws_lc_rs::encoding::AsDer as _;
    let pem = |der: &[u8]| format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der));
    let Issuer { p256, ed, rsa, .. } = issuer();
    let rows = [
        ("ES256", Key::pem(&pem(p256.public_key().as_der().unwrap().as_ref()))),
        ("EdDSA", Key::pem(&pem(ed.public_key().as_der().unwrap().as_ref()))),
        ("PS256", Key::pem(&pem(rsa.public_key().as_der().unwrap().as_ref()))),
        ("RS512", Key::pem(&pem(rsa.public_key().as_der().unwrap().as_ref()))),
        ("HS256", Key::secret(SECRET)),
    ];
    for (alg, key) in rows {
        let keys = Keys::written(vec![key.unwrap_or_else(|why| panic!("row {alg}: {why}"))]);
        for header in [format!("{{\"alg\":\"{alg}\"}}"), format!("{{\"alg\":\"{alg}\",\"kid\":\"any\"}}")] {
            let token = token(alg, &header, &good());
            assert_eq!(judge(&keys, &rules(), token.as_bytes()).map(drop), Ok(()), "row {header}");
        }
    }
    assert!(Key::pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----").is_err());
    assert!(Key::pem("no PEM").is_err());
}

proptest::proptest! {
    /// Nothing that is not signed is believed, and nothing makes a reader fall.
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, at in 0_usize..600, byte: u8) {
        static KEYS: OnceLock<(Arc<Keys>, String)> = OnceLock::new();
        let (keys, good) = KEYS.get_or_init(|| {
            (Arc::new(keys()), token("ES256", "{\"alg\":\"ES256\",\"kid\":\"a\"}", &good()))
        });
        proptest::prop_assert!(judge(keys, &rules(), &bytes).is_err());
        let mut changed = good.clone().into_bytes();
        let at = at % changed.len();
        if changed[at] != byte {
            changed[at] = byte;
            proptest::prop_assert!(judge(keys, &rules(), &changed).is_err());
        }
        drop(jwks::read(&bytes));
        drop(strict::object(&bytes));
    }
}
