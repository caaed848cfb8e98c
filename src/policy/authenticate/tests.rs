// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs of policies that authenticate, alone and together: who the caller is taken for, or why it is refused.

use std::sync::Arc;

use base64::Engine as _;
use http::Method;

use super::any_of::{AnonymousOn, AnyOf};
use super::api_key::{ApiKey, ApiKeySpec};
use super::basic::{self, Basic};
use super::mtls::{self, Mtls};
use super::passwords::{Checked, Passwords, Users};
use super::proofs::Proofs;
use crate::exchange::{self, Client, ClientCertificate, Fields, Protocol, RequestId, Scheme};
use crate::fault::Fault;
use crate::policy::{
    Answer, Consumer, Credential, Credentials, Identity, Notes, Policy, Request, Steps, Verdict, explain, hash_of,
    note, on_request, sort,
};

/// A hash that nothing is checked against here.
fn hash() -> weirgate_store::model::PasswordHash {
    weirgate_store::model::PasswordHash::new([1; 16], [2; 32])
}

/// Ana (number 0) has a key, a password and a certificate; ben (1) has a key; nobody (2) is for the anonymous.
fn credentials() -> Credentials {
    let people: Vec<_> = ["ana", "ben", "nobody"]
        .iter()
        .zip(0..)
        .map(|(name, id)| Some(Arc::new(Consumer::new(id, name, &[]))))
        .collect();
    let key = |key: &str, consumer| Credential { hash: hash_of(&[1; 32], key.as_bytes()), consumer, expires_s: 0 };
    let mut proofs = Proofs::default();
    let users: Users = [(b"ana"[..].into(), (hash(), 0))].into();
    proofs.passwords = Arc::new(Passwords::new(users, [1; 32], Some(super::passwords::queue().0)));
    proofs.certificates.add_name("ana.example", 0);
    proofs.names = ["ana", "ben", "nobody"].iter().zip(0..).map(|(name, id)| (Arc::from(*name), id)).collect();
    let keys = [key("ana-key", 0), key("ben-key", 1)];
    Credentials::build([1; 32], people.into(), keys.into_iter()).with_proofs(Arc::new(proofs))
}

fn key() -> Policy {
    let spec = ApiKeySpec { headers: vec!["X-Api-Key".into()], realm: "k".into(), ..ApiKeySpec::default() };
    Policy::ApiKey(ApiKey::new("key".into(), &spec).unwrap())
}

fn password() -> Policy {
    Policy::Basic(Basic::new("password".into(), "p", basic::Hide::Yes))
}

fn certificate() -> Policy {
    Policy::Mtls(Mtls::new("certificate".into(), "c", mtls::Forward::Yes))
}

fn any_of(anonymous: Option<AnonymousOn>) -> Policy {
    let anonymous = anonymous.map(|on| ("nobody".into(), on));
    Policy::AnyOf(AnyOf::new("door".into(), vec![key(), password(), certificate()], anonymous).unwrap())
}

/// A request in words: `key=…`, `user=…`, `cert=NAME`, `expired`, separated by spaces.
struct Sent {
    fields: Fields,
    certificate: Option<ClientCertificate>,
}

fn sent(text: &str) -> Sent {
    let mut sent = Sent { fields: Fields::new(), certificate: None };
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            Some(("key", key)) => sent.fields.push(b"X-Api-Key", key.as_bytes()),
            Some(("user", user)) => {
                let encoded = base64::engine::general_purpose::STANDARD.encode(user);
                sent.fields.push(b"Authorization", format!("Basic {encoded}").as_bytes());
            }
            Some(("cert", name)) => {
                let (names, not_after_s) = (vec![name.to_owned()], 2_000);
                let subject = "CN=a%\u{e9}".to_owned();
                sent.certificate = Some(ClientCertificate { names, not_after_s, subject, ..Default::default() });
            }
            _ => sent.fields.push(word.as_bytes(), b"1"),
        }
    }
    sent
}

/// Runs `act` over a request at second 1000.
fn with<T>(text: &str, act: impl FnOnce(&mut Request<'_>) -> T) -> (T, Identity, Notes, exchange::Request) {
    let Sent { mut fields, certificate } = sent(text);
    let host = fields.store(b"api.example.com");
    let path = fields.store(b"/");
    let (method, protocol) = (Method::GET, Protocol::Http11);
    let mut head =
        exchange::Request { method, protocol, fields, host, authority: host, path, matched: path, query: None };
    let client = Client::new(([192, 0, 2, 1], 1).into(), "web".into(), Scheme::Https);
    let client = Client { certificate: certificate.map(Box::new), ..client };
    let (mut identity, mut notes) = (Identity::default(), Notes::new());
    let mut request = Request {
        head: &mut head,
        id: RequestId(1),
        client: &client,
        client_ip: client.peer.ip(),
        route: 7,
        credentials: &credentials(),
        identity: &mut identity,
        notes: &mut notes,
        now_ns: 0,
        now_s: 1_000,
    };
    let done = act(&mut request);
    (done, identity, notes, head)
}

/// Who it is, or the fault. A password is right if it is "right".
fn outcome(policies: &[Policy], text: &str) -> String {
    let right = text.contains(":right");
    let (outcome, identity, notes, head) = with(text, |request| {
        let mut steps = Steps::default();
        let mut verdict = on_request(policies, &mut steps, request);
        if matches!(verdict, Ok(Verdict::Wait(_))) {
            let checked = if right { Checked::Matched(0) } else { Checked::Wrong };
            steps.answer = Some(Answer::Password(checked));
            verdict = on_request(policies, &mut steps, request);
        }
        verdict
    });
    match outcome {
        Ok(Verdict::Continue) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let seen: Vec<_> = head.fields.iter().map(|f| format!("{}={}", text(f.name), text(f.value))).collect();
            let line = note::line(&notes, policies, identity.consumer.as_deref());
            format!("{} | {}", line.trim_start_matches("policies: "), seen.join(" "))
        }
        Ok(_) => "waits".to_owned(),
        Err(fault) => format!("{} {fault}", fault.facts().status),
    }
}

#[track_caller]
fn check(policies: &[Policy], rows: &[(&str, &str)]) {
    let mut policies = policies.to_vec();
    sort(&mut policies);
    for (request, want) in rows {
        assert_eq!(outcome(&policies, request), *want, "row {request}");
    }
}

#[test]
fn a_password_or_a_certificate_knows_its_consumer() {
    check(
        &[password()],
        &[
            ("user=ana:right", "password → ana | X-Consumer-Username=ana"),
            ("user=ana:wrong", "401 policy password: there is no such user, or it has another password"),
            ("user=zoe:wrong", "401 policy password: there is no such user, or it has another password"),
            ("", "401 policy password: the request carries no user and password"),
            ("user=ana", "400 the request is malformed: the credentials of scheme Basic have no colon"),
            ("user=a:b user=c:d", "400 the request is malformed: more than one Authorization field"),
        ],
    );
    let known = "certificate → ana | X-Consumer-Username=ana X-Client-Cert-Subject=CN=a%25%C3%A9 \
                 X-Client-Cert-Fingerprint=0000000000000000000000000000000000000000000000000000000000000000";
    check(
        &[certificate()],
        &[
            ("cert=ana.example X-Client-Cert-Subject", known),
            ("cert=ben.example", "401 policy certificate: the client certificate belongs to no consumer"),
            ("", "401 policy certificate: the client showed no certificate"),
        ],
    );
}

#[test]
fn any_of_lets_the_first_presented_decide() {
    let door = any_of(None);
    check(
        std::slice::from_ref(&door),
        &[
            ("key=ana-key", "door by key → ana | X-Consumer-Username=ana"),
            ("user=ana:right", "door by password → ana | X-Consumer-Username=ana"),
            // The key comes first in the list, so the password is neither looked at nor taken out.
            (
                "key=ben-key user=ana:right",
                "door by key → ben | Authorization=Basic YW5hOnJpZ2h0 X-Consumer-Username=ben",
            ),
            ("key=guess user=ana:right", "401 policy key: the API key is unknown, revoked or expired"),
            ("key=ana-key key=ana-key", "401 policy key: the request carries more than one API key"),
            (
                "user=ana:wrong cert=ana.example",
                "401 policy password: there is no such user, or it has another password",
            ),
            ("", "401 policy door: the request carries no credentials"),
        ],
    );
    for request in ["", "key=guess", "user=ana:wrong", "cert=other"] {
        let (fault, ..) = with(request, |request| {
            let mut steps = Steps::default();
            let policies = [door.clone()];
            match on_request(&policies, &mut steps, request) {
                Ok(Verdict::Wait(_)) => {
                    steps.answer = Some(Answer::Password(Checked::Wrong));
                    on_request(&policies, &mut steps, request).err()
                }
                verdict => verdict.err(),
            }
        });
        let Some(Fault::Unauthenticated { challenge, .. } | Fault::CredentialInvalid { challenge, .. }) = fault else {
            panic!("row {request}: {fault:?}")
        };
        let want = ["Key realm=\"k\"", "Basic realm=\"p\", charset=\"UTF-8\"", "Certificate realm=\"c\""];
        assert_eq!(challenge.lines().collect::<Vec<_>>(), want, "row {request}");
    }
}

#[test]
fn nobody_is_anonymous_by_accident() {
    let anonymous = "door → nobody, anonymous | X-Consumer-Username=nobody X-Anonymous-Consumer=true";
    check(
        &[any_of(Some(AnonymousOn::Missing))],
        &[
            ("", anonymous),
            ("key=guess", "401 policy key: the API key is unknown, revoked or expired"),
            ("user=ana:wrong", "401 policy password: there is no such user, or it has another password"),
            ("user=ana", "400 the request is malformed: the credentials of scheme Basic have no colon"),
            ("key=ana-key", "door by key → ana | X-Consumer-Username=ana"),
        ],
    );
    let wrong = "door → nobody, anonymous | X-Api-Key=guess X-Consumer-Username=nobody X-Anonymous-Consumer=true";
    check(
        &[any_of(Some(AnonymousOn::Failed))],
        &[("", anonymous), ("key=guess", wrong), ("key=ana-key", "door by key → ana | X-Consumer-Username=ana")],
    );
    // That a password could not be checked is not that it is wrong.
    let (fault, ..) = with("user=ana:right", |request| {
        let mut steps = Steps { answer: Some(Answer::Password(Checked::Full)), ..Steps::default() };
        on_request(&[any_of(Some(AnonymousOn::Failed))], &mut steps, request).err()
    });
    assert!(matches!(fault, Some(Fault::PasswordsFull { .. })), "{fault:?}");
}

#[test]
fn all_of_wants_one_consumer() {
    check(
        &[key(), password()],
        &[
            ("key=ana-key user=ana:right", "key → ana, password → ana | X-Consumer-Username=ana"),
            (
                "key=ben-key user=ana:right",
                "403 policy password: the credentials of the request belong to two consumers",
            ),
            ("key=ana-key", "401 policy password: the request carries no user and password"),
            ("user=ana:right", "401 policy key: the request carries no API key"),
        ],
    );
}

#[test]
fn explain_says_who_decides_and_why_not_the_others() {
    let door = [any_of(Some(AnonymousOn::Failed))];
    for (request, want) in [
        (
            "user=ana:any",
            "door by password → ana, if the password is right (key: no credentials of its kind; \
             certificate: not asked, password decides)",
        ),
        ("key=ben-key", "door by key → ben (password: not asked, key decides; certificate: not asked, key decides)"),
        ("", "door → nobody, anonymous: no credentials for key, password, certificate"),
        (
            "key=guess",
            "door → nobody, anonymous: policy key: the API key is unknown, revoked or expired (password: not asked, \
             key decides; certificate: not asked, key decides)",
        ),
    ] {
        let (explained, ..) = with(request, |request| explain(&door, request));
        assert_eq!(explained.map_err(|(_, fault)| fault.to_string()), Ok(vec![want.to_owned()]), "row {request}");
    }
    let (explained, ..) = with("user=zoe:any", |request| explain(&[password()], request));
    assert!(explained.is_err_and(|(_, fault)| fault.facts().token == "password-wrong"));
}
