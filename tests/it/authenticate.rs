// SPDX-License-Identifier: MIT OR Apache-2.0
//! Passwords, client certificates and the choice among several proofs, over sockets: who is let in, what the endpoint is
//! told, and what a client can never send itself.

use std::sync::Arc;

use base64::Engine as _;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use weirgate_store::wire::ExplainRequest;

use crate::support::client::{get, values};
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::origin::Origin;
use crate::support::secure::{Authority, Signed};
use crate::support::tls::{certificate, config, handshake};

const PASSWORD: &str = "correct horse battery";

const KEY: &str = "partner-secret-0123456789";

fn basic(user: &str, password: &str) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {encoded}\r\n")
}

fn with(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// A gateway whose only route asks for this.
fn door(policies: &str, origin: &Origin) -> String {
    format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\npolicies = [{policies}]\n\
         [policies.partner-key.api_key]\nheader = \"X-Api-Key\"\n\
         [policies.staff.basic]\nrealm = \"staff only\"\n\
         [policies.card.mtls]\nforward = true\n\
         [consumers.ana]\ngroups = [\"staff\"]\nbasic = [{{ user = \"ana\", password = \"{PASSWORD}\" }}]\n\
         [consumers.partner]\napi_keys = [{{ secret = \"{KEY}\" }}]\n\
         [consumers.public]\n",
        upstream("shop", &[origin.address()])
    )
}

#[test]
fn a_password_opens_and_stays_here() {
    let origin = Origin::plain();
    let gateway = Running::start(&door("\"staff\"", &origin));
    let long = "x".repeat(300);
    for (row, fields, status) in [
        ("right", basic("ana", PASSWORD), 200),
        ("right again, from memory", basic("ana", PASSWORD), 200),
        ("in other letters", basic("ana", PASSWORD).replace("Basic", "bASIC"), 200),
        ("none", String::new(), 401),
        ("wrong", basic("ana", "correct horse batter"), 401),
        ("another user", basic("bob", PASSWORD), 401),
        ("another case", basic("Ana", PASSWORD), 401),
        ("another scheme", "Authorization: Bearer abc\r\n".to_owned(), 401),
        ("no base64", "Authorization: Basic ???\r\n".to_owned(), 400),
        ("no colon", "Authorization: Basic YWJj\r\n".to_owned(), 400),
        ("too long", basic("ana", &long), 400),
        ("two", basic("ana", PASSWORD) + &basic("ana", PASSWORD), 400),
    ] {
        let reached = origin.heads().len();
        let reply = gateway.ask(&with(&(fields + "X-Consumer-Username: root\r\n")));
        assert_eq!(reply.status, status, "row {row}: {}", reply.text());
        if status == 200 {
            let head = origin.head();
            assert_eq!(values(&head, "x-consumer-username"), ["ana"], "row {row}");
            assert!(values(&head, "authorization").is_empty(), "row {row}: {head}");
        } else {
            assert_eq!(origin.heads().len(), reached, "row {row} reached the endpoint");
        }
        if status == 401 {
            assert_eq!(reply.one("www-authenticate"), "Basic realm=\"staff only\", charset=\"UTF-8\"", "row {row}");
        }
        assert!(!reply.text().contains(PASSWORD), "row {row}");
    }
    // Another password, and the old one is not remembered.
    gateway.apply(&door("\"staff\"", &origin).replace(PASSWORD, "another good password"));
    assert_eq!(gateway.ask(&with(&basic("ana", PASSWORD))).status, 401);
    assert_eq!(gateway.ask(&with(&basic("ana", "another good password"))).status, 200);
}

#[test]
fn guessing_passwords_does_not_hold_up_the_others() {
    const GUESSES: usize = 120;
    let origin = Origin::plain();
    let text = door("\"staff\"", &origin) + "[routes.open]\nmatch = { path = \"/open\" }\nupstream = \"shop\"\n";
    let gateway = Running::start(&text);
    assert_eq!(gateway.ask(&with(&basic("ana", PASSWORD))).status, 200);
    let mut guesses: Vec<_> = (0..GUESSES).map(|_| gateway.connect()).collect();
    for (at, guess) in guesses.iter_mut().enumerate() {
        assert!(guess.say(with(&basic("ana", &format!("a guess of no worth {at}")))));
    }
    // They wait for the threads that check; the workers do not.
    assert_eq!(gateway.get("/open").status, 200);
    assert_eq!(gateway.ask(&with(&basic("ana", PASSWORD))).status, 200, "a known password waits for nobody");
    let replies: Vec<_> = guesses.iter_mut().map(|guess| guess.reply()).collect();
    let full = replies.iter().filter(|reply| reply.status == 503).count();
    assert!(replies.iter().all(|reply| matches!(reply.status, 401 | 503)), "{replies:?}");
    assert!(full > 0, "more wait than may");
    assert!(replies.iter().filter(|reply| reply.status == 503).all(|reply| reply.one("retry-after") == "1"));
}

#[test]
fn any_of_several_proofs() {
    let origin = Origin::plain();
    let list = "any_of = [\"partner-key\", \"staff\"]";
    let gateway = Running::start(&door(&format!("{{ authenticate = {{ {list} }} }}"), &origin));
    let key = format!("X-Api-Key: {KEY}\r\n");
    let ask = |fields: &str| gateway.ask(&with(fields));
    let who = || origin.field("x-consumer-username").join(",");
    assert_eq!((ask(&key).status, who()), (200, "partner".to_owned()));
    assert_eq!((ask(&basic("ana", PASSWORD)).status, who()), (200, "ana".to_owned()));
    assert_eq!((ask(&(basic("ana", PASSWORD) + &key)).status, who()), (200, "partner".to_owned()));
    for fields in [String::new(), "X-Api-Key: guess\r\n".to_owned(), basic("ana", "wrong password")] {
        let reply = ask(&fields);
        assert_eq!(reply.status, 401, "row {fields}");
        let want = ["Key realm=\"weirgate\"", "Basic realm=\"staff only\", charset=\"UTF-8\""];
        assert_eq!(reply.field("www-authenticate"), want, "row {fields}");
    }
    // Nobody is anonymous until the operator says who that is.
    let public = format!("{{ authenticate = {{ {list}, anonymous = \"public\" }} }}");
    gateway.apply(&door(&public, &origin));
    let claim = "X-Anonymous-Consumer: false\r\nX-Consumer-Username: root\r\n";
    assert_eq!((ask(claim).status, who()), (200, "public".to_owned()));
    assert_eq!(origin.field("x-anonymous-consumer"), ["true"]);
    assert_eq!(ask("X-Api-Key: guess\r\n").status, 401, "a wrong key is not no key");
    assert_eq!(ask(&key).status, 200);
    assert!(origin.field("x-anonymous-consumer").is_empty());
    let failed = public.replace("\"public\" }", "\"public\", anonymous_on = \"failed\" }");
    gateway.apply(&door(&failed, &origin));
    assert_eq!((ask("X-Api-Key: guess\r\n").status, who()), (200, "public".to_owned()));
}

#[test]
fn limits_of_a_consumer_hold_for_the_anonymous_one() {
    let origin = Origin::plain();
    let policies = "{ authenticate = { any_of = [\"partner-key\"], anonymous = \"public\" } }, \
                    { rate_limit = { per = \"consumer\", rate = \"1/h\", burst = 2 } }";
    let gateway = Running::start(&door(policies, &origin));
    let statuses: Vec<_> = (0..4).map(|_| gateway.get("/").status).collect();
    assert_eq!(statuses, [200, 200, 429, 429]);
    assert_eq!(gateway.ask(&with(&format!("X-Api-Key: {KEY}\r\n"))).status, 200);
}

#[test]
fn all_of_is_the_same_as_one_after_the_other() {
    let origin = Origin::plain();
    let (key, right) = (format!("X-Api-Key: {KEY}\r\n"), basic("ana", PASSWORD));
    let mine = "[consumers.ana]\napi_keys = [{ secret = \"a-key-of-ana-0123456789\" }]\n";
    for policies in ["\"partner-key\", \"staff\"", "{ authenticate = { all_of = [\"partner-key\", \"staff\"] } }"] {
        let gateway = Running::start(&door(policies, &origin).replace("[consumers.ana]\n", mine));
        let ask = |fields: &str| gateway.ask(&with(fields)).status;
        assert_eq!(ask(&format!("X-Api-Key: a-key-of-ana-0123456789\r\n{right}")), 200, "{policies}");
        assert_eq!(origin.field("x-consumer-username"), ["ana"], "{policies}");
        assert_eq!((ask(&key), ask(&right)), (401, 401), "{policies}");
        assert_eq!(ask(&format!("{key}{right}")), 403, "two consumers are nobody: {policies}");
    }
}

#[test]
fn explain_names_the_proof_that_decides() {
    let origin = Origin::plain();
    let gateway = Running::start(&door("{ authenticate = { any_of = [\"partner-key\", \"staff\"] } }", &origin));
    let request = |name: &str, value: String| ExplainRequest {
        method: "GET".into(),
        url: "http://a/".into(),
        headers: [(name.to_owned(), value)].into(),
        client: None,
    };
    let password = basic("ana", "whatever it is");
    let password = password.trim_start_matches("Authorization: ").trim_end().to_owned();
    let told = gateway.explain(&request("Authorization", password));
    let step = told.steps.iter().find(|step| step.stage == "policies").expect("there are policies");
    assert!(step.decision.contains("consumer ana"), "{step:?}");
    let want = "by staff → ana, if the password is right (partner-key: no credentials of its kind)";
    assert!(step.details.iter().any(|line| line.contains(want)), "{step:?}");
    assert_eq!(gateway.explain(&request("X-Api-Key", "guess".into())).status, Some(401));
}

#[test]
fn the_example_of_the_manual_can_be_applied() {
    const PAGE: &str = include_str!("../../packaging/doc/policies-authenticate.md");
    let example = PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let (_, warnings) = weirgate_store::parse::parse_and_check(example).expect("it is right");
    assert!(warnings.is_empty(), "{warnings:#?}");
}

/// A client that shows a certificate, or none.
fn client(shown: Option<&Signed>, versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut client = (*config(versions, &[])).clone();
    let Some(shown) = shown else { return Arc::new(client) };
    let chain = vec![CertificateDer::from_pem_slice(shown.pem.as_bytes()).expect("it is PEM")];
    let key = PrivateKeyDer::from_pem_slice(shown.key_pem.as_bytes()).expect("it is PEM");
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).expect("a key");
    let certified = rustls::sign::CertifiedKey::new(chain, key);
    client.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    Arc::new(client)
}

/// The status that a client gets, or 0 if its connection is refused.
fn status(gateway: &Running, client: &Arc<ClientConfig>) -> u16 {
    let Ok(mut client) = handshake(gateway.web(), client, "a.example") else { return 0 };
    // In TLS 1.3 the client is done before its certificate is looked at.
    if !client.say(get("/")) {
        return 0;
    }
    client.rest_or_status().unwrap_or(0)
}

fn secured(authority: &Authority, settings: &str, policies: &str, more: &str, origins: &[&Origin]) -> String {
    let (served, _) = certificate("site", &["a.example"]);
    let addresses: Vec<_> = origins.iter().map(|origin| origin.address()).collect();
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\nprotocol = \"https\"\ncertificates = [\"site\"]\n\
         client_certificates = {{ {}{settings} }}\n{served}{}{more}[routes.all]\nupstream = \"shop\"\n\
         policies = [{policies}]\n[policies.card.mtls]\nforward = true\n\
         [consumers.api]\ncertificates = [{{ san = \"api.client.example\" }}]\n",
        authority.ca(),
        upstream("shop", &addresses),
    )
}

#[test]
fn a_client_certificate_is_asked_for_and_known() {
    let (ours, theirs) = (Authority::new(), Authority::named("another authority"));
    let (api, other) = (ours.sign(&["api.client.example"]), ours.sign(&["other.client.example"]));
    let forged = theirs.sign(&["api.client.example"]);
    let origin = Origin::plain();
    for version in [&TLS12, &TLS13] {
        let required = Running::start(&secured(&ours, "", "\"card\"", "", &[&origin]));
        for (row, shown, want) in [
            ("ours", Some(&api), 200),
            ("of nobody", Some(&other), 401),
            ("forged", Some(&forged), 0),
            ("none", None, 0),
        ] {
            assert_eq!(status(&required, &client(shown, &[version])), want, "row {row} {version:?}");
        }
        let optional = Running::start(&secured(&ours, ", required = false", "\"card\"", "", &[&origin]));
        for (row, shown, want) in [("ours", Some(&api), 200), ("forged", Some(&forged), 0), ("none", None, 401)] {
            assert_eq!(status(&optional, &client(shown, &[version])), want, "optional, row {row} {version:?}");
        }
    }
}

#[test]
fn only_weirgate_tells_an_endpoint_of_a_certificate() {
    let ours = Authority::new();
    let api = ours.sign(&["api.client.example"]);
    let origin = Origin::plain();
    let gateway = Running::start(&secured(&ours, ", required = false", "\"card\"", "", &[&origin]));
    let mut known = handshake(gateway.web(), &client(Some(&api), &[&TLS13]), "a.example").unwrap();
    let claims = "X-Client-Cert-Subject: CN=root\r\nx_client_cert_fingerprint: 00\r\nClient-Cert: :AA==:\r\n";
    known.say(with(claims));
    assert_eq!(known.reply().status, 200);
    let head = origin.head();
    assert_eq!(values(&head, "x-consumer-username"), ["api"]);
    assert_eq!(values(&head, "x-client-cert-fingerprint").concat().len(), 64, "{head}");
    assert!(!head.contains("root") && !head.contains("_cert_") && values(&head, "client-cert").is_empty(), "{head}");
    // Without the policy nobody tells it anything.
    gateway.apply(&secured(&ours, ", required = false", "", "", &[&origin]));
    known.say(with(claims));
    assert_eq!(known.reply().status, 200);
    assert!(!origin.head().to_ascii_lowercase().contains("cert"), "{}", origin.head());
}

#[test]
fn another_authority_counts_for_new_connections_and_no_ticket_outlives_it() {
    let (before, after) = (Authority::new(), Authority::named("the next authority"));
    let (old, new) = (before.sign(&["api.client.example"]), after.sign(&["api.client.example"]));
    let origin = Origin::plain();
    let gateway = Running::start(&secured(&before, "", "\"card\"", "", &[&origin]));
    let old = client(Some(&old), &[&TLS13]);
    let mut open = handshake(gateway.web(), &old, "a.example").unwrap();
    open.say(get("/"));
    assert_eq!(open.reply().status, 200);
    // It has a ticket now, with which it would resume where the ticket still counts.
    assert_eq!(status(&gateway, &old), 200);
    gateway.apply(&secured(&after, "", "\"card\"", "", &[&origin]));
    assert_eq!(status(&gateway, &old), 0, "the certificate is none of the new authority's, ticket or not");
    assert_eq!(status(&gateway, &client(Some(&new), &[&TLS13])), 200);
    open.say(get("/"));
    assert_eq!(open.reply().status, 200, "an open connection goes on");
}

#[test]
fn a_client_is_kept_on_an_endpoint_by_its_certificate() {
    let ours = Authority::new();
    let origins = ["a", "b", "c"].map(Origin::named);
    let [a, b, c] = &origins;
    let hash = "balance = \"maglev\"\nhash = { by = \"client-certificate\" }\n";
    let text = secured(&ours, "", "", hash, &[a, b, c]);
    let gateway = Running::start(&text);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..16 {
        let client = client(Some(&ours.sign(&["some.client.example"])), &[&TLS13]);
        let served: std::collections::BTreeSet<_> = (0..4)
            .map(|_| {
                let mut client = handshake(gateway.web(), &client, "a.example").unwrap();
                client.say(get("/"));
                client.reply().text()
            })
            .collect();
        assert_eq!(served.len(), 1, "one certificate, one endpoint: {served:?}");
        seen.extend(served);
    }
    assert!(seen.len() > 1, "sixteen certificates are spread: {seen:?}");
}

#[test]
fn what_cannot_verify_a_client_is_refused_by_name() {
    let origin = Origin::plain();
    let gateway = Running::start(&secured(&Authority::new(), "", "\"card\"", "", &[&origin]));
    let text = secured(
        &Authority::new(),
        ", crl = \"-----BEGIN X509 CRL-----\\nAA==\\n-----END X509 CRL-----\"",
        "",
        "",
        &[&origin],
    );
    let problems = gateway.refused(&text);
    assert!(problems.iter().any(|problem| problem.path == "listeners.web.client_certificates"), "{problems:?}");
}

#[test]
fn a_signed_request_is_known_and_counts_once() {
    let origin = Origin::plain();
    let mine = "[policies.signed.http_signature]\n[consumers.ana]\n\
                signing_keys = [{ id = \"ana-1\", algorithm = \"hmac-sha256\", secret = \"a shared secret of ana\" }]\n";
    let gateway = Running::start(&door("\"signed\"", &origin).replace("[consumers.ana]\n", mine));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"a shared secret of ana");
    let now_s = weirgate::clock::wall_ms() / 1000;
    let sign = |created: i64, nonce: &str| {
        let params = format!(
            "(\"@method\" \"@authority\" \"@path\" \"@query\" \"x-order\");created={created};keyid=\"ana-1\";nonce=\"{nonce}\""
        );
        let base = format!(
            "\"@method\": GET\n\"@authority\": a\n\"@path\": /orders\n\"@query\": ?n=1\n\"x-order\": 7, 8\n\
             \"@signature-params\": {params}"
        );
        let tag = aws_lc_rs::hmac::sign(&key, base.as_bytes());
        let signature = base64::engine::general_purpose::STANDARD.encode(tag.as_ref());
        format!("Signature-Input: s={params}\r\nSignature: s=:{signature}:\r\n")
    };
    let ask = |target: &str, order: &str, signature: &str| {
        gateway.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\nX-Order: {order}\r\nX-Order: 8\r\n{signature}\r\n"))
    };
    assert_eq!(ask("/orders?n=1", "7", &sign(now_s, "one")).status, 200);
    assert_eq!(origin.field("x-consumer-username"), ["ana"]);
    for (row, target, order, signature, token) in [
        ("again", "/orders?n=1", "7", sign(now_s, "one"), "signature-replayed"),
        ("another path", "/admin?n=1", "7", sign(now_s, "two"), "signature-wrong"),
        ("another query", "/orders?n=2", "7", sign(now_s, "three"), "signature-wrong"),
        ("another field", "/orders?n=1", "9", sign(now_s, "four"), "signature-wrong"),
        ("old", "/orders?n=1", "7", sign(now_s - 1_000, "five"), "signature-stale"),
        ("none", "/orders?n=1", "7", String::new(), "signature-missing"),
    ] {
        let reply = ask(target, order, &signature);
        assert_eq!(reply.status, 401, "row {row}");
        assert!(reply.text().contains(token), "row {row}: {}", reply.text());
        assert_eq!(reply.one("www-authenticate"), "Signature realm=\"weirgate\"", "row {row}");
    }
    // A nonce that was used up stays so over a change.
    gateway.apply(
        &door("\"signed\"", &origin)
            .replace("[consumers.ana]\n", &mine.replace("[policies.signed", "[consumers.more]\n[policies.signed")),
    );
    assert_eq!(ask("/orders?n=1", "7", &sign(now_s, "one")).status, 401);
    assert_eq!(ask("/orders?n=1", "7", &sign(now_s, "new")).status, 200);
}

#[test]
fn a_key_that_cannot_verify_is_refused_by_name() {
    let origin = Origin::plain();
    let gateway = Running::start(&door("\"partner-key\"", &origin));
    let keys =
        "signing_keys = [{ id = \"k\", algorithm = \"ed25519\", public_key = \"-----BEGIN PUBLIC KEY-----\" }]\n";
    let problems = gateway
        .refused(&door("\"partner-key\"", &origin).replace("[consumers.ana]\n", &format!("[consumers.ana]\n{keys}")));
    assert!(problems.iter().any(|problem| problem.path == "consumers.ana.signing_keys[0]"), "{problems:?}");
}
