// SPDX-License-Identifier: MIT OR Apache-2.0
//! The test vectors of RFC 9421 appendix B.2, whole policies over signed requests, and strangers' bytes.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;

use super::key::{Algorithm, KeyError, SigningKey};
use super::{HttpSignature, HttpSignatureSpec, Nonce, base, input};
use crate::exchange::{self, Client, Fields, Protocol, RequestId, Scheme};
use crate::policy::authenticate::proofs::Proofs;
use crate::policy::{Consumer, Credentials, Identity, Notes, Policy, Request, Steps, on_request};

/// When the requests of the appendix were signed.
const CREATED: i64 = 1_618_884_473;

/// B.1.4.
const ED25519: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n";

/// B.1.2.
const RSA: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2\n\
    +QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+\n\
    oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq\n\
    gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W\n\
    Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4\n\
    aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI\n\
    2wIDAQAB\n-----END PUBLIC KEY-----\n";

/// B.1.5.
const SHARED: &str = "base64:uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";

const DIGEST: &str =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

/// The request of appendix B.2, with these fields beside its own.
fn request(more: &[(&str, &str)]) -> exchange::Request {
    let mut fields = Fields::new();
    let own = [
        ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", "application/json"),
        ("Content-Digest", DIGEST),
        ("Content-Length", "18"),
    ];
    for (name, value) in own.iter().chain(more) {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    let authority = fields.store(b"Example.com:443");
    let path = fields.store(b"/foo");
    let query = Some(fields.store(b"param=Value&Pet=dog"));
    let (method, protocol) = (Method::POST, Protocol::Http11);
    exchange::Request { method, protocol, fields, host: authority, authority, path, matched: path, query }
}

/// The signature base of an input, and the first input.
fn base_of(text: &str) -> Result<Vec<u8>, &'static str> {
    let inputs = input::parse(text)?;
    base::of(inputs.first().ok_or("none")?, &request(&[]), Scheme::Https)
}

#[test]
fn the_vectors_of_the_rfc() {
    let rsa = SigningKey::public(Algorithm::RsaPssSha512, RSA).unwrap();
    let ed25519 = SigningKey::public(Algorithm::Ed25519, ED25519).unwrap();
    let shared = SigningKey::secret(SHARED).unwrap();
    let rows = [
        (
            "B.2.1",
            &rsa,
            "sig-b21=();created=1618884473;keyid=\"test-key-rsa-pss\";nonce=\"b3k2pp5k7z-50gnwp.yemd\"",
            "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
        ),
        (
            "B.2.3",
            &rsa,
            "sig-b23=(\"date\" \"@method\" \"@path\" \"@query\" \"@authority\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-rsa-pss\"",
            "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
        ),
        (
            "B.2.5",
            &shared,
            "sig-b25=(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"",
            "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
        ),
        (
            "B.2.6",
            &ed25519,
            "sig-b26=(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"",
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
        ),
    ];
    for (row, key, text, signature) in rows {
        let base = base_of(text).unwrap();
        let signature = STANDARD.decode(signature).unwrap();
        assert!(key.verifies(&base, &signature), "row {row}: {}", String::from_utf8_lossy(&base));
        let mut other = base.clone();
        other.pop();
        assert!(!key.verifies(&other, &signature), "row {row}: a changed base");
        assert!(!key.verifies(&base, signature.split_last().unwrap().1), "row {row}: a cut signature");
    }
}

#[test]
fn keys_are_taken_for_what_they_are() {
    assert_eq!(SigningKey::public(Algorithm::Ed25519, RSA).err(), Some(KeyError::Other("ed25519")));
    assert_eq!(SigningKey::public(Algorithm::RsaV15Sha256, ED25519).err(), Some(KeyError::Other("rsa-v1_5-sha256")));
    assert_eq!(SigningKey::public(Algorithm::HmacSha256, ED25519).err(), Some(KeyError::NotPublic));
    assert_eq!(SigningKey::public(Algorithm::Ed25519, "none").err(), Some(KeyError::NotPublic));
    assert_eq!(SigningKey::secret("base64:?").err(), Some(KeyError::NotBase64));
    assert!(!format!("{:?}", SigningKey::secret("a-secret-of-some-length")).contains("a-secret"));
}

#[test]
fn the_text_that_is_signed() {
    let text =
        |components: &str| base_of(&format!("s=({components});created=1")).map(|base| String::from_utf8(base).unwrap());
    let all =
        "\"@method\" \"@authority\" \"@scheme\" \"@target-uri\" \"@request-target\" \"@path\" \"@query\" \"host\"";
    let want = format!(
        "\"@method\": POST\n\"@authority\": example.com\n\"@scheme\": https\n\
         \"@target-uri\": https://example.com/foo?param=Value&Pet=dog\n\"@request-target\": /foo?param=Value&Pet=dog\n\
         \"@path\": /foo\n\"@query\": ?param=Value&Pet=dog\n\"host\": Example.com:443\n\
         \"@signature-params\": ({all});created=1"
    );
    assert_eq!(text(all), Ok(want));
    for (components, why) in [
        ("\"x-absent\"", "does not have"),
        ("\"@status\"", "not supported"),
        ("\"@query-param\";name=\"Pet\"", "not supported"),
        ("\"date\" \"date\"", "twice"),
        ("\"Date\"", "lower case"),
        ("\"\"", "twice, or"),
        ("\"date", "malformed"),
        ("date", "malformed"),
        ("\"date\"\"host\"", "malformed"),
    ] {
        assert!(text(components).is_err_and(|error| error.contains(why)), "row {components}: {:?}", text(components));
    }
}

#[test]
fn what_the_fields_announce_is_read_strictly() {
    let inputs =
        input::parse("a=();created=1;keyid=\"k\\\"\\\\\", b=( \"date\"  );expires=2;tag=\"t\";alg=\"x\"").unwrap();
    let [a, b] = inputs.as_slice() else { panic!("{inputs:?}") };
    assert_eq!((a.label, a.created, a.key_id.as_deref()), ("a", Some(1), Some("k\"\\")));
    assert_eq!((b.params, b.expires), ("( \"date\"  );expires=2;tag=\"t\";alg=\"x\"", Some(2)));
    for bad in [
        "",
        "a",
        "a=",
        "a=1",
        "a=()x",
        "a=();",
        "a=();created",
        "a=();created=x",
        "a=();keyid=k",
        "A=()",
        "a=(),",
        "a=();other=1",
        "a=();created=1234567890123456",
    ] {
        assert!(input::parse(bad).is_err(), "row {bad}");
    }
    assert!(input::parse(&["a=()"; 9].join(",")).is_err(), "more than are read");
    assert_eq!(input::signature("a=:YQ==:, b=:Yg==:", "b"), Ok(b"b".to_vec()));
    for bad in ["", "a=:YQ==:", "b=YQ==", "b=:YQ=:", "b=::x", "x"] {
        assert!(input::signature(bad, "b").is_err(), "row {bad}");
    }
}

/// Signs the components of a request of the appendix as a client would.
fn signed(components: &str, params: &str, key: &dyn Fn(&[u8]) -> Vec<u8>) -> exchange::Request {
    let text = format!("sig=({components}){params}");
    let base = base_of(&text).unwrap();
    request(&[("Signature-Input", &text), ("Signature", &format!("sig=:{}:", STANDARD.encode(key(&base))))])
}

fn hmac(base: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"a shared secret");
    aws_lc_rs::hmac::sign(&key, base).as_ref().to_vec()
}

fn spec() -> HttpSignatureSpec {
    let components = ["@method", "@authority", "@path", "@query"].map(str::to_owned).to_vec();
    let (tag, nonce) = (None, Nonce::Optional);
    HttpSignatureSpec { components, max_age: Duration::from_secs(300), tag, nonce, realm: "r".into() }
}

/// How a request fares `later_s` after the appendix was signed.
fn outcome(credentials: &Credentials, spec: &HttpSignatureSpec, mut head: exchange::Request, later_s: i64) -> String {
    let client = Client::new(([192, 0, 2, 1], 1).into(), "web".into(), Scheme::Https);
    let (mut identity, mut notes) = (Identity::default(), Notes::new());
    let mut request = Request {
        head: &mut head,
        id: RequestId(1),
        client: &client,
        client_ip: client.peer.ip(),
        route: 7,
        credentials,
        identity: &mut identity,
        notes: &mut notes,
        now_ns: 0,
        now_s: CREATED + later_s,
    };
    let policy = Policy::HttpSignature(HttpSignature::new("signed".into(), spec));
    match on_request(&[policy], &mut Steps::default(), &mut request) {
        Ok(_) => identity.consumer.map_or("nobody".to_owned(), |consumer| consumer.name.to_string()),
        Err(fault) => fault.facts().token.to_owned(),
    }
}

fn credentials(keys: Vec<(&str, SigningKey)>) -> Credentials {
    let consumers = Arc::new([Some(Arc::new(Consumer::new(0, "ana", &[])))]);
    let signing_keys = keys.into_iter().map(|(id, key)| (id.into(), (key, 0))).collect();
    let proofs = Proofs { signing_keys, ..Proofs::default() };
    Credentials::build([1; 32], consumers, std::iter::empty()).with_proofs(Arc::new(proofs))
}

#[test]
fn a_request_is_believed_for_a_while_and_for_what_it_signed() {
    const ENOUGH: &str = "\"@method\" \"@target-uri\"";
    let known = credentials(vec![("k", SigningKey::secret("a shared secret").unwrap())]);
    let at = |later: i64| format!(";created={};keyid=\"k\"", CREATED + later);
    let tell =
        |components: &str, params: &str, later| outcome(&known, &spec(), signed(components, params, &hmac), later);
    for (row, components, params, later, want) in [
        ("right", ENOUGH, at(0), 0, "ana"),
        ("at its end", ENOUGH, at(0), 300, "ana"),
        ("too old", ENOUGH, at(0), 301, "signature-stale"),
        ("a little ahead", ENOUGH, at(30), 0, "ana"),
        ("of the future", ENOUGH, at(31), 0, "signature-stale"),
        ("expired", ENOUGH, at(0) + &format!(";expires={}", CREATED + 5), 5, "signature-stale"),
        ("without a time", ENOUGH, ";keyid=\"k\"".to_owned(), 0, "signature-stale"),
        ("without a key", ENOUGH, format!(";created={CREATED}"), 0, "signature-unknown"),
        ("of another key", ENOUGH, format!(";created={CREATED};keyid=\"x\""), 0, "signature-unknown"),
        ("over too little", "\"@method\"", at(0), 0, "signature-incomplete"),
        ("over nothing", "", at(0), 0, "signature-incomplete"),
        ("another algorithm", ENOUGH, at(0) + ";alg=\"ed25519\"", 0, "signature-wrong"),
        ("its algorithm", ENOUGH, at(0) + ";alg=\"hmac-sha256\"", 0, "ana"),
    ] {
        assert_eq!(tell(components, &params, later), want, "row {row}");
    }
    // Whatever of a signed request is changed on its way.
    let params = at(0);
    for (row, change) in [
        ("method", &(|head: &mut exchange::Request| head.method = Method::PUT) as &dyn Fn(&mut exchange::Request)),
        ("path", &|head| head.path = head.fields.store(b"/admin")),
        ("query", &|head| head.query = None),
        ("authority", &|head| head.authority = head.fields.store(b"other.example")),
    ] {
        let mut head = signed(ENOUGH, &params, &hmac);
        change(&mut head);
        assert_eq!(outcome(&known, &spec(), head, 0), "signature-wrong", "row {row}");
    }
    assert_eq!(outcome(&known, &spec(), request(&[]), 0), "signature-missing");
    let input = format!("sig=({ENOUGH}){params}");
    assert_eq!(outcome(&known, &spec(), request(&[("Signature-Input", &input)]), 0), "malformed");
}

#[test]
fn a_nonce_and_a_tag_are_what_the_operator_says() {
    const ENOUGH: &str = "\"@method\" \"@target-uri\"";
    let known = credentials(vec![("k", SigningKey::secret("a shared secret").unwrap())]);
    let send = |spec: &HttpSignatureSpec, more: &str| {
        outcome(&known, spec, signed(ENOUGH, &format!(";created={CREATED};keyid=\"k\"{more}"), &hmac), 0)
    };
    assert_eq!(send(&spec(), ";nonce=\"one\""), "ana");
    assert_eq!(send(&spec(), ";nonce=\"one\""), "signature-replayed");
    assert_eq!(send(&spec(), ";nonce=\"two\""), "ana");
    let strict = HttpSignatureSpec { nonce: Nonce::Required, tag: Some("shop".into()), ..spec() };
    assert_eq!(send(&strict, ";nonce=\"three\""), "signature-unknown", "for another purpose");
    assert_eq!(send(&strict, ";tag=\"shop\""), "signature-incomplete");
    assert_eq!(send(&strict, ";tag=\"shop\";nonce=\"three\""), "ana");
}

#[test]
fn public_keys_of_every_kind_verify_what_their_private_ones_sign() {
    const ENOUGH: &str = "\"@method\" \"@target-uri\"";
    let params = format!(";created={CREATED};keyid=\"k\"");
    let pem = |prefix: &[u8], key: &[u8]| {
        let text = STANDARD.encode([prefix, key].concat());
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    };
    let pair = Ed25519KeyPair::generate().unwrap();
    let key = pem(b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", pair.public_key().as_ref());
    let known = credentials(vec![("k", SigningKey::public(Algorithm::Ed25519, &key).unwrap())]);
    let head = signed(ENOUGH, &params, &|base| pair.sign(base).as_ref().to_vec());
    assert_eq!(outcome(&known, &spec(), head, 0), "ana");
    assert_eq!(outcome(&known, &spec(), signed(ENOUGH, &params, &hmac), 0), "signature-wrong", "a key is no secret");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let prefix =
        b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
    let key = pem(prefix, pair.public_key().as_ref());
    let known = credentials(vec![("k", SigningKey::public(Algorithm::EcdsaP256Sha256, &key).unwrap())]);
    let head = signed(ENOUGH, &params, &|base| pair.sign(&SystemRandom::new(), base).unwrap().as_ref().to_vec());
    assert_eq!(outcome(&known, &spec(), head, 0), "ana");
}

proptest::proptest! {
    #[test]
    fn any_text_is_survived(text: String, fields in "[a-z=();\",: \\\\0-9*]{0,60}") {
        drop(input::parse(&text));
        drop(input::parse(&fields));
        drop(input::signature(&fields, "a"));
    }
}
