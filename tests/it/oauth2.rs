// SPDX-License-Identifier: MIT OR Apache-2.0
//! `oauth2` end to end against an issuer that is asked about each token: who passes, how often it is asked, and what happens
//! while it is down or strangers send tokens that nobody made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use crate::support::client::{Client, values};
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::issuer::now_s;
use crate::support::origin::Origin;
use crate::support::wait_until;

/// An issuer that says of `good-…` that it is active, of `short-…` that it is for a moment, of all others that it is not.
struct Issuer {
    origin: Origin,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
    /// How many of the questions may be answered so far.
    allowed: Arc<AtomicUsize>,
}

impl Issuer {
    fn start() -> Self {
        let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicUsize::new(0)));
        let allowed = Arc::new(AtomicUsize::new(usize::MAX));
        let (said, counted, gate) = (Arc::clone(&status), Arc::clone(&asked), Arc::clone(&allowed));
        let origin = Origin::serving(move |peer| {
            while let Some(head) = peer.head() {
                let Some(body) = peer.body(&head) else { return };
                let number = counted.fetch_add(1, Ordering::SeqCst);
                wait_until("the issuer may answer", || number < gate.load(Ordering::SeqCst));
                let answer = answer(&String::from_utf8_lossy(&body));
                let (status, length) = (said.load(Ordering::SeqCst), answer.len());
                peer.say(format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n\r\n{answer}"));
            }
        });
        Self { origin, status, asked, allowed }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn policy(&self, more: &str) -> String {
        let url = format!("http://{}/introspect", self.origin.address());
        format!("introspection_url = \"{url}\", client_id = \"wg 1\", client_secret = \"s:1\"{more}")
    }
}

fn answer(form: &str) -> String {
    let token = form.strip_prefix("token=").and_then(|rest| rest.split('&').next()).expect("a form with a token");
    match token.split('-').next() {
        Some("good") => format!("{{\"active\":true,\"sub\":\"{token}\",\"client_id\":\"robot\",\"scope\":\"a b\"}}"),
        Some("old") => format!("{{\"active\":true,\"exp\":{}}}", now_s() - 1),
        Some("odd") => "{\"active\":\"true\"}".to_owned(),
        _ => "{\"active\":false}".to_owned(),
    }
}

fn config(policy: &str, origin: &Origin) -> String {
    format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\npolicies = [{{ oauth2 = {{ {policy} }} }}]\n[consumers.robot]\n",
        upstream("shop", &[origin.address()])
    )
}

fn bearer(token: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
}

#[test]
fn an_active_token_passes_and_its_issuer_is_asked_once() {
    let (origin, issuer) = (Origin::plain(), Issuer::start());
    let more = ", consumer_claim = \"client_id\", headers = { X-User = \"sub\" }";
    let gateway = Running::start(&config(&issuer.policy(more), &origin));
    for round in 0..3 {
        let reply = gateway.ask(&bearer("good-1"));
        assert_eq!(reply.status, 200, "round {round}: {}", reply.text());
        let head = origin.head();
        assert_eq!(values(&head, "x-user"), ["good-1"], "round {round}");
        assert_eq!(values(&head, "x-consumer-username"), ["robot"], "round {round}");
        assert!(values(&head, "authorization").is_empty(), "round {round}");
    }
    assert_eq!(issuer.asked(), 1);
    // `wg 1` and `s:1`, each encoded as in a form, then joined and in base64.
    assert_eq!(issuer.origin.field("authorization"), ["Basic d2clMjAxOnMlM0Ex"]);
    for _ in 0..3 {
        let reply = gateway.ask(&bearer("bad-1"));
        assert_eq!(reply.status, 401, "{}", reply.text());
        assert!(reply.one("www-authenticate").contains("error=\"invalid_token\""), "{}", reply.head);
    }
    assert_eq!(issuer.asked(), 2, "that a token is not active holds for a while, too");
    assert_eq!(gateway.ask(&bearer("old-1")).status, 401, "active, but its time is over");
    assert_eq!(gateway.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 401);
    assert_eq!((issuer.asked(), issuer.origin.connections()), (3, 1), "all questions over one connection");
}

#[test]
fn all_who_bring_one_token_share_one_question() {
    let (origin, issuer) = (Origin::plain(), Issuer::start());
    issuer.allowed.store(0, Ordering::SeqCst);
    let gateway = Running::start(&config(&issuer.policy(""), &origin));
    let mut clients: Vec<Client> = (0..20).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        assert!(client.say(bearer("good-1")));
    }
    wait_until("the issuer is asked", || issuer.asked() == 1);
    issuer.allowed.store(usize::MAX, Ordering::SeqCst);
    for client in &mut clients {
        assert_eq!(client.reply().status, 200);
    }
    assert_eq!(issuer.asked(), 1);
}

#[test]
fn while_the_issuer_is_down_what_it_said_goes_on() {
    let (origin, issuer) = (Origin::plain(), Issuer::start());
    let gateway = Running::start(&config(&issuer.policy(""), &origin));
    assert_eq!(gateway.ask(&bearer("good-1")).status, 200);
    issuer.status.store(500, Ordering::SeqCst);
    let reply = gateway.ask(&bearer("good-2"));
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(reply.one("retry-after"), "1");
    assert!(reply.field("www-authenticate").is_empty(), "the bearer has done nothing wrong");
    assert_eq!(gateway.ask(&bearer("good-1")).status, 200);
    // Another configuration of the same issuer keeps what it said.
    gateway.apply(&config(&issuer.policy(", realm = \"shop\""), &origin));
    assert_eq!(gateway.ask(&bearer("good-1")).status, 200);
    issuer.status.store(200, Ordering::SeqCst);
    wait_until("the issuer is asked again", || gateway.ask(&bearer("good-2")).status == 200);
    assert_eq!(gateway.ask(&bearer("odd-1")).status, 503, "an answer that says nothing");
}

#[test]
fn a_storm_of_bogus_tokens_is_asked_about_a_few_at_a_time() {
    let (origin, issuer) = (Origin::plain(), Issuer::start());
    issuer.allowed.store(0, Ordering::SeqCst);
    let gateway = Running::start(&config(&issuer.policy(""), &origin));
    let mut clients: Vec<Client> = (0..100).map(|_| gateway.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.say(bearer(&format!("bogus-{number}")));
    }
    wait_until("so many are under way as may", || issuer.asked() == 32);
    issuer.allowed.store(usize::MAX, Ordering::SeqCst);
    for client in &mut clients {
        assert_eq!(client.reply().status, 401);
    }
    assert_eq!(issuer.asked(), 100);
}
