// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole runs of policies through one `check`: what a request brings, how it ends, what the endpoint would see.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::authenticate::api_key::{ApiKeySpec, Hide};
use super::headers::EditSpec;
use super::rate_limit::Per;
use super::{
    ApiKey, Consumer, Credential, Credentials, Edits, Identity, Mistake, Notes, Phase, Policy, RateLimit, Request,
    Steps, Verdict, explain, hash_of, note, on_reply, on_request, sort,
};
use http::Method;

use crate::exchange::{self, Client, Fields, Protocol, RequestId, Scheme};
use crate::fault::Fault;

const SECOND: u64 = 1_000_000_000;

fn credentials() -> Credentials {
    let people = [("ana", &["gold"][..]), ("ben", &[])];
    let consumers = people.iter().zip(0..).map(|((name, groups), id)| Some(Arc::new(Consumer::new(id, name, groups))));
    let key =
        |key: &str, consumer, expires_s| Credential { hash: hash_of(&[1; 32], key.as_bytes()), consumer, expires_s };
    let keys = [key("ana-key", 0, 0), key("ben-key", 1, 0), key("old-key", 1, 1000)];
    Credentials::build([1; 32], consumers.collect(), keys.into_iter())
}

fn api_key(hide: Hide) -> Policy {
    let name = |name: &str| vec![name.to_owned()];
    let spec = ApiKeySpec {
        headers: name("X-Api-Key"),
        queries: name("api_key"),
        cookies: name("key"),
        hide,
        realm: "a\"b".into(),
    };
    Policy::ApiKey(ApiKey::new("partner-key".into(), &spec).unwrap())
}

fn limit(name: &str, per: Per, count: u64, burst: u32) -> Policy {
    let rate = RateLimit::rate(count, Duration::from_secs(1), burst).unwrap();
    Policy::RateLimit(RateLimit::new(name.into(), per, rate, 1024, None))
}

fn edits(remove: &str, set: &str) -> Edits {
    let spec = EditSpec { remove: vec![remove.into()], set: vec![(set.into(), "1".into())], add: Vec::new() };
    Edits::new("edge".into(), &spec).unwrap()
}

/// A route and the outcome of requests to it, each with the same clock.
struct Route {
    policies: Vec<Policy>,
    credentials: Credentials,
    now_ns: u64,
}

impl Route {
    fn new(mut policies: Vec<Policy>) -> Self {
        sort(&mut policies);
        Self { policies, credentials: credentials(), now_ns: 2000 * SECOND }
    }

    /// Sends `client ip, ?query, Header: value, …` and gives the notes and what the endpoint would see, or the fault.
    fn send(&self, text: &str) -> String {
        let (line, request, _) =
            self.run(text, |request| match on_request(&self.policies, &mut Steps::default(), request) {
                Ok(Verdict::Continue) => String::new(),
                Ok(Verdict::Reply(reply)) => reply.status.to_string(),
                Ok(Verdict::Wait(_)) => "waits".to_owned(),
                Ok(Verdict::Call(call)) => format!("asks upstream {}", call.upstream),
                Err(fault) => fault.to_string(),
            });
        if line.is_empty() { request } else { line }
    }

    fn run<T>(&self, text: &str, act: impl FnOnce(&mut Request<'_>) -> T) -> (T, String, Notes) {
        let (mut fields, mut query, mut ip) = (Fields::new(), None, "192.0.2.1");
        for part in text.split(", ").filter(|part| !part.is_empty()) {
            match (part.strip_prefix('?'), part.split_once(": ")) {
                (Some(text), _) => query = Some(fields.store(text.as_bytes())),
                (None, Some((name, value))) => fields.push(name.as_bytes(), value.as_bytes()),
                (None, None) => ip = part,
            }
        }
        let (mut identity, mut notes) = (Identity::default(), Notes::new());
        let [host, path] = ["api.example.com", "/orders"].map(|text| fields.store(text.as_bytes()));
        let (method, protocol) = (Method::GET, Protocol::Http11);
        let mut head =
            exchange::Request { method, protocol, fields, host, authority: host, path, matched: path, query };
        let client_ip = ip.parse().unwrap();
        let mut request = Request {
            head: &mut head,
            id: RequestId(1),
            client: &Client::new(SocketAddr::new(client_ip, 4711), "web".into(), Scheme::Http),
            client_ip,
            route: 7,
            credentials: &self.credentials,
            identity: &mut identity,
            notes: &mut notes,
            now_ns: self.now_ns,
            now_s: i64::try_from(self.now_ns / SECOND).unwrap(),
        };
        let outcome = act(&mut request);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut seen = head.query().map(|query| format!("?{} ", text(query))).unwrap_or_default();
        seen += &head.fields.iter().map(|f| format!("{}={} ", text(f.name), text(f.value))).collect::<String>();
        seen += &format!("| {}", note::line(&notes, &self.policies, identity.consumer.as_deref()));
        (outcome, seen, notes)
    }

    #[track_caller]
    fn check(&self, rows: &[(&str, &str)]) {
        for (request, want) in rows {
            assert_eq!(self.send(request), *want, "{request}");
        }
    }
}

#[test]
fn a_key_opens_the_door_and_is_hidden() {
    Route::new(vec![api_key(Hide::Yes)]).check(&[
        (
            "X-API-KEY: ana-key, X-Consumer-Username: root",
            "X-Consumer-Username=ana X-Consumer-Groups=gold | policies: partner-key → ana",
        ),
        ("?a=1&api_key=ben%2dkey&b", "?a=1&b X-Consumer-Username=ben | policies: partner-key → ben"),
        ("Cookie: a=1; key=ben-key", "Cookie=a=1 X-Consumer-Username=ben | policies: partner-key → ben"),
        ("Accept: a", "policy partner-key: the request carries no API key"),
        ("X-Api-Key: nobody", "policy partner-key: the API key is unknown, revoked or expired"),
        ("X-Api-Key: old-key", "policy partner-key: the API key is unknown, revoked or expired"),
        ("X-Api-Key: ana-key, X-Api-Key: ana-key", "policy partner-key: the request carries more than one API key"),
        ("?api_key=ana-key, X-Api-Key: ben-key", "policy partner-key: the request carries more than one API key"),
    ]);
    let long = format!("X-Api-Key: {}", "k".repeat(300));
    let open = Route::new(vec![api_key(Hide::No)]);
    open.check(&[
        (&long, "policy partner-key: the API key is unknown, revoked or expired"),
        ("X-Api-Key: ben-key", "X-Api-Key=ben-key X-Consumer-Username=ben | policies: partner-key → ben"),
    ]);
    let (outcome, ..) = open.run("", |request| on_request(&open.policies, &mut Steps::default(), request).err());
    let Some(Fault::CredentialMissing { challenge, .. }) = outcome else { panic!("no key was given") };
    assert_eq!(&*challenge, "Key realm=\"ab\"");
}

#[test]
fn policies_run_in_the_fixed_order() {
    let reply = Policy::ReplyHeaders(edits("Server", "X-Frame-Options"));
    let request = Policy::RequestHeaders(edits("X-Internal", "X-Edge"));
    let (ip, gold) = (limit("ip", Per::Ip, 1, 5), limit("gold", Per::Consumer, 1, 5));
    let route = Route::new(vec![reply, request, gold, api_key(Hide::Yes), ip]);
    let phases: Vec<_> = route.policies.iter().map(Policy::phase).collect();
    assert_eq!(phases, [Phase::Access, Phase::Authenticate, Phase::Limit, Phase::Transform, Phase::Reply]);
    let want = "X-Consumer-Username=ben X-Edge=1 | \
                policies: ip 4 of 5 left, partner-key → ben, gold 4 of 5 left, edge changed header fields";
    route.check(&[("X-Api-Key: ben-key, X-Internal: 1", want)]);
}

#[test]
fn limits_count_by_what_they_say() {
    let header = || Per::Header(b"X-Tenant".as_slice().into());
    for (per, same, other) in [
        (Per::Ip, ["192.0.2.1", "::ffff:192.0.2.1"], "192.0.2.2"),
        (Per::Ip, ["2001:db8::1", "2001:db8::2"], "2001:db8:0:1::1"),
        (Per::Consumer, ["192.0.2.1", "192.0.2.1"], "192.0.2.2"),
        (header(), ["192.0.2.1, X-Tenant: a", "192.0.2.2, x-tenant: a"], "192.0.2.1, X-Tenant: b"),
        (header(), ["192.0.2.1", "192.0.2.1"], "192.0.2.2"),
    ] {
        let route = Route::new(vec![limit("l", per.clone(), 1, 1)]);
        let refused = "policy l: refused, next allowed in 1s";
        assert!(route.send(same[0]).ends_with("l 0 of 1 left"), "{per:?}");
        assert_eq!(route.send(same[1]), refused, "{per:?}");
        assert!(route.send(other).ends_with("l 0 of 1 left"), "{per:?}");
    }
    let by_route = Route::new(vec![limit("l", Per::Route, 1, 1)]);
    assert!(by_route.send("192.0.2.1").ends_with("left"));
    assert!(by_route.send("192.0.2.2").starts_with("policy l: refused"));
    let by_consumer = Route::new(vec![api_key(Hide::Yes), limit("l", Per::Consumer, 1, 1)]);
    assert!(by_consumer.send("192.0.2.1, X-Api-Key: ana-key").ends_with("left"));
    assert!(by_consumer.send("192.0.2.2, X-Api-Key: ana-key").starts_with("policy l: refused"));
    assert!(by_consumer.send("192.0.2.1, X-Api-Key: ben-key").ends_with("left"));
}

#[test]
fn a_refused_request_is_charged_by_no_limit() {
    let mut policies =
        vec![limit("wide", Per::Ip, 1, 10), limit("mid", Per::Route, 1, 10), limit("thin", Per::Consumer, 1, 1)];
    policies.insert(0, api_key(Hide::Yes));
    let route = Route::new(policies);
    let ana = "X-Api-Key: ana-key";
    assert!(route.send(ana).ends_with("wide 9 of 10 left, partner-key → ana, mid 9 of 10 left, thin 0 of 1 left"));
    for _ in 0..50 {
        assert_eq!(route.send(ana), "policy thin: refused, next allowed in 1s");
    }
    let ben = route.send("X-Api-Key: ben-key");
    assert!(ben.ends_with("wide 8 of 10 left, partner-key → ben, mid 8 of 10 left, thin 0 of 1 left"), "{ben}");
    assert!(route.send("X-Api-Key: guess").contains("unknown"));
    let (_, seen, _) = route.run(ana, |request| explain(&route.policies, request).is_err());
    assert!(seen.starts_with("X-Consumer-Username=ana"));
    let (phrases, ..) = route.run(ana, |request| explain(&route.policies, request).unwrap_err().0);
    let want = [
        "wide 7 of 10 left",
        "partner-key → ana",
        "mid 8 of 10 left",
        "policy thin: refused, next allowed in 1s; 0 more not reached",
    ];
    assert_eq!(phrases, want, "a guessed key stays charged, explaining charges nothing");
}

#[test]
fn counters_and_rates_outlive_a_change_of_the_limit() {
    let rate = |count, burst| RateLimit::rate(count, Duration::from_secs(1), burst).unwrap();
    let before = RateLimit::new("l".into(), Per::Ip, rate(1, 2), 64, None);
    let route = Route::new(vec![Policy::RateLimit(before.clone())]);
    assert!(route.send("").ends_with("l 1 of 2 left"));
    let wider = RateLimit::new("l".into(), Per::Ip, rate(1, 5), 64, Some(&before));
    assert!(Route::new(vec![Policy::RateLimit(wider)]).send("").ends_with("l 3 of 5 left"));
    let other = RateLimit::new("l".into(), Per::Route, rate(1, 5), 64, Some(&before));
    assert!(Route::new(vec![Policy::RateLimit(other)]).send("").ends_with("l 4 of 5 left"));
    assert_eq!(
        RateLimit::rate(1, Duration::from_secs(1), 0),
        Err(Mistake::Burst { max: super::rate_limit::BURST_MAX })
    );
    assert_eq!(RateLimit::rate(0, Duration::from_secs(1), 1), Err(Mistake::Rate));
}

#[test]
fn replies_say_how_much_is_left() {
    let mut route = Route::new(vec![
        limit("a\"b", Per::Route, 100, 200),
        limit("é", Per::Consumer, 1000, 1),
        Policy::ReplyHeaders(edits("Server", "X-Frame-Options")),
    ]);
    let reply = |route: &Route| {
        let (_, _, notes) =
            route.run("", |request| on_request(&route.policies, &mut Steps::default(), request).is_ok());
        let mut fields = Fields::new();
        fields.push(b"server", b"nginx");
        on_reply(&route.policies, &notes, &mut fields);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        fields.iter().map(|f| format!("{}: {}", text(f.name), text(f.value))).collect::<Vec<_>>()
    };
    let policy = "RateLimit-Policy: \"a\\\"b\";q=200;w=2, \"?\";q=1000;w=1";
    assert_eq!(reply(&route), [policy, "RateLimit: \"a\\\"b\";r=199;t=1, \"?\";r=0;t=1", "X-Frame-Options: 1"]);
    let refused = ["RateLimit-Policy: \"?\";q=1000;w=1", "RateLimit: \"?\";r=0;t=1", "X-Frame-Options: 1"];
    assert_eq!(reply(&route), refused);
    route.policies.truncate(0);
    assert_eq!(reply(&route), ["server: nginx"]);
}

#[test]
fn a_key_policy_says_all_that_is_wrong_with_it() {
    let text = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let spec = ApiKeySpec { headers: text(&["Host", "a b"]), cookies: text(&["k;"]), ..ApiKeySpec::default() };
    let mistakes = ApiKey::new("k".into(), &spec).unwrap_err();
    let want = [Mistake::Reserved("Host".into()), Mistake::HeaderName("a b".into()), Mistake::CookieName("k;".into())];
    assert_eq!(mistakes, want);
    assert_eq!(ApiKey::new("k".into(), &ApiKeySpec::default()).unwrap_err(), [Mistake::NoSource]);
}
