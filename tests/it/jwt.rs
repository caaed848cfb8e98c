// SPDX-License-Identifier: MIT OR Apache-2.0
//! `jwt` end to end against an issuer with real keys: what passes, what is refused and how it is told, and what happens when
//! keys rotate, the issuer is down, or strangers name keys that nobody has.

use serde_json::json;

use crate::support::client::values;
use crate::support::gateway::{Running, WEB, upstream};
use crate::support::issuer::{Issuer, now_s};
use crate::support::origin::Origin;
use crate::support::wait_until;
use weirgate_store::engine::KeySetRecord;
use weirgate_store::wire::{ExplainRequest, IssuerStatus};

fn config(policy: &str, origin: &Origin) -> String {
    format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\npolicies = [{{ jwt = {{ {policy} }} }}]\n\
         [consumers.alice]\ngroups = [\"gold\"]\njwt = {{ subject = \"user-1\" }}\n\
         [consumers.robot]\n",
        upstream("shop", &[origin.address()])
    )
}

fn by_url(issuer: &Issuer) -> String {
    format!("jwks_url = \"{}\", issuer = \"https://id\", audience = [\"api\"]", issuer.url())
}

fn bearer(token: &str) -> String {
    format!("GET /?a=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
}

fn issuers(gateway: &Running) -> Vec<IssuerStatus> {
    weirgate::control::seam::Appliance::vitals(&*gateway.gateway).issuers
}

#[test]
fn a_token_passes_and_the_endpoint_is_told_its_claims() {
    let (origin, issuer) = (Origin::plain(), Issuer::start("k1"));
    let more =
        "consumer_claim = \"sub\", headers = { X-User = \"sub\", X-Roles = \"/realm/roles\", X-Mail = \"mail\" }";
    let gateway = Running::start(&config(&format!("{}, {more}", by_url(&issuer)), &origin));
    let claims = json!({ "iss": "https://id", "aud": ["x", "api"], "sub": "user-1", "exp": now_s() + 300,
        "realm": { "roles": ["a", "b"] } });
    let token = issuer.token_with(&claims);
    for round in ["verified", "remembered"] {
        let reply = gateway.ask(&format!(
            "GET / HTTP/1.1\r\nHost: a\r\nauthorization: bearer {token}\r\nX-User: root\r\nx_roles: admin\r\n\
             X-Mail: root@example.com\r\nX-Consumer-Username: root\r\n\r\n"
        ));
        assert_eq!(reply.status, 200, "{round}: {}", reply.text());
        let head = origin.head();
        assert_eq!(values(&head, "x-user"), ["user-1"], "{round}");
        assert_eq!(values(&head, "x-roles"), ["a,b"], "{round}");
        assert!(values(&head, "x-mail").is_empty() && values(&head, "x_roles").is_empty(), "{round}: {head}");
        assert_eq!(values(&head, "x-consumer-username"), ["alice"], "{round}");
        assert!(values(&head, "authorization").is_empty(), "{round}: the token is hidden");
    }
    assert_eq!(gateway.ask(&bearer(&issuer.token("robot"))).status, 200, "a consumer by its name");
    assert_eq!(values(&origin.head(), "x-consumer-username"), ["robot"]);
    assert_eq!(gateway.ask(&bearer(&issuer.token("alice"))).status, 401, "who has a subject is known by nothing else");
    assert_eq!(gateway.ask(&bearer(&issuer.token("nobody"))).status, 401);
    assert_eq!(issuer.fetches(), 1);
}

#[test]
fn what_is_refused_is_told_as_rfc_6750_says() {
    let (origin, issuer) = (Origin::plain(), Issuer::start("k1"));
    let policy = format!("{}, header = \"Authorization\", query = \"access_token\", cookie = \"t\"", by_url(&issuer));
    let gateway = Running::start(&config(&policy, &origin));
    let token = issuer.token("user-1");
    let claims = |but: serde_json::Value| {
        let mut all = json!({ "iss": "https://id", "aud": "api", "sub": "user-1", "exp": now_s() + 300 });
        but.as_object().expect("an object").iter().for_each(|(name, value)| all[name] = value.clone());
        issuer.token_with(&all)
    };
    let auth = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let cut = &token[..token.len() - 4];
    let rows = [
        (200, "a header", "/".to_owned(), auth(&token), ""),
        (200, "a query", format!("/?access_token={token}&b=1"), String::new(), ""),
        (200, "a cookie", "/".to_owned(), format!("Cookie: t={token}\r\n"), ""),
        (
            200,
            "another scheme beside it",
            format!("/?access_token={token}"),
            "Authorization: Basic YTpi\r\n".into(),
            "",
        ),
        (401, "no token", "/".to_owned(), String::new(), "Bearer realm=\"weirgate\""),
        (
            401,
            "another scheme",
            "/".to_owned(),
            "Authorization: Basic YTpi\r\n".to_owned(),
            "Bearer realm=\"weirgate\"",
        ),
        (401, "no token after the word", "/".to_owned(), auth(""), "Bearer realm=\"weirgate\""),
        (401, "expired", "/".to_owned(), auth(&claims(json!({"exp": now_s() - 61}))), "the token has expired"),
        (401, "another audience", "/".to_owned(), auth(&claims(json!({"aud": "b"}))), "for another audience"),
        (401, "another issuer", "/".to_owned(), auth(&claims(json!({"iss": "b"}))), "from another issuer"),
        (401, "cut", "/".to_owned(), auth(cut), "error=\"invalid_token\""),
        (401, "garbage", "/".to_owned(), auth("garbage"), "the token is malformed"),
        (401, "unsigned", "/".to_owned(), auth("eyJhbGciOiJub25lIn0.e30."), "an algorithm that is not accepted"),
        (401, "two fields", "/".to_owned(), auth(&token).repeat(2), "error=\"invalid_request\""),
        (401, "two places", format!("/?access_token={token}"), auth(&token), "error=\"invalid_request\""),
        (401, "two in the query", format!("/?access_token={token}&access%5Ftoken=x"), String::new(), "invalid_request"),
        (401, "too large", "/".to_owned(), auth(&"k".repeat(9_000)), "the token is too large"),
    ];
    for (status, row, target, fields, challenge) in rows {
        let reached = origin.heads().len();
        let reply = gateway.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(reply.status, status, "row {row}: {}", reply.text());
        if status == 401 {
            assert_eq!(origin.heads().len(), reached, "row {row} reached the endpoint");
            let told = reply.one("www-authenticate");
            assert!(told.starts_with("Bearer realm=\"weirgate\"") && told.contains(challenge), "row {row}: {told}");
            assert!(!reply.text().contains(&token), "row {row}");
            continue;
        }
        assert!(!origin.head().contains(&token), "row {row}: the endpoint sees the token");
    }
    gateway.ask(&format!("GET /?access_token={token}&b=1 HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(origin.head().starts_with("GET /?b=1 HTTP/1.1\r\n"), "{}", origin.head());
    assert_eq!(issuer.fetches(), 1, "no bad token asks for keys that are known");
}

#[test]
fn a_new_key_is_fetched_once_and_a_storm_of_names_is_not() {
    let (origin, issuer) = (Origin::plain(), Issuer::start("k1"));
    issuer.say("Cache-Control: public, max-age=300\r\n");
    let gateway = Running::start(&config(&by_url(&issuer), &origin));
    let old = issuer.token("user-1");
    assert_eq!(gateway.ask(&bearer(&old)).status, 200);
    issuer.rotate("k2");
    // Within the cooldown after the first fetch nobody makes another, however many names they try.
    for n in 0..200 {
        assert_eq!(gateway.ask(&bearer(&Issuer::bogus(&format!("k{n}")))).status, 401, "name {n}");
    }
    assert_eq!(issuer.fetches(), 1);
    assert_eq!(gateway.ask(&bearer(&old)).status, 200, "what is known goes on");
    let status = issuers(&gateway);
    assert_eq!((status.len(), status[0].keys.len(), &*status[0].keys[0].kid), (1, 1, "k1"));
    assert!(status[0].error.is_none() && status[0].fetched_ms.is_some(), "{status:?}");
    let next_s = (status[0].next_ms - status[0].fetched_ms.expect("just seen")) / 1000;
    assert!((225..=250).contains(&next_s), "80 per cent of what the issuer says: {next_s}");
}

#[test]
fn an_issuer_that_is_down_takes_nothing_away() {
    let (origin, issuer) = (Origin::plain(), Issuer::start("k1"));
    let token = issuer.token("user-1");
    issuer.answer(500);
    let gateway = Running::start(&config(&by_url(&issuer), &origin));
    let reply = gateway.ask(&bearer(&token));
    assert_eq!(reply.status, 503, "nobody can say whether the token is good: {}", reply.text());
    assert_eq!(reply.one("retry-after"), "1");
    wait_until("the failure is told", || issuers(&gateway)[0].error.as_deref() == Some("it answered 500"));
    issuer.answer(200);
    wait_until("the keys are fetched", || issuers(&gateway)[0].error.is_none());
    assert_eq!(gateway.ask(&bearer(&token)).status, 200);
    issuer.answer(500);
    // A change of the configuration keeps the keys and asks nobody.
    gateway.apply(&config(&format!("{}, leeway = \"5s\"", by_url(&issuer)), &origin));
    let fetches = issuer.fetches();
    assert_eq!(gateway.ask(&bearer(&token)).status, 200);
    assert_eq!(issuer.fetches(), fetches);
}

#[test]
fn keys_from_before_the_start_count_while_the_issuer_is_down() {
    let (origin, issuer) = (Origin::plain(), Issuer::start("k1"));
    let first = Running::start(&config(&by_url(&issuer), &origin));
    let token = issuer.token("user-1");
    assert_eq!(first.ask(&bearer(&token)).status, 200);
    let kept: Vec<KeySetRecord> = first.gateway.key_sets();
    assert_eq!(kept.len(), 1);
    issuer.answer(503);
    let second = Running::remembering(&config(&by_url(&issuer), &origin), |set| set.key_sets = kept);
    assert_eq!(second.ask(&bearer(&token)).status, 200);
    assert_eq!(second.ask(&bearer(&issuer.token_with(&json!({})))).status, 401);
}

#[test]
fn a_secret_and_a_written_set_need_no_issuer() {
    let (origin, issuer) = (Origin::plain(), Issuer::start("k1"));
    let gateway = Running::start(&config("secret = \"0123456789abcdef0123456789abcdef\"", &origin));
    // HS256 under that secret, made by another implementation; it has no exp.
    assert_eq!(gateway.ask(&bearer(&issuer.token("user-1"))).status, 401, "an ES256 token and a secret");
    let problems = gateway.refused(&config("jwks = '{\"keys\": [{\"kty\": \"oct\"}]}'", &origin));
    assert!(problems[0].message.contains("no key of the set can verify tokens"), "{problems:?}");
    let problems = gateway.refused(&config("jwks = '/etc/hostname'", &origin));
    assert!(problems[0].message.contains("no JSON object"), "the daemon opens no file: {problems:?}");
}

#[test]
fn explain_says_who_it_is_and_asks_nobody() {
    let (origin, issuer) = (Origin::plain(), Issuer::start("k1"));
    let gateway = Running::start(&config(&format!("{}, consumer_claim = \"sub\"", by_url(&issuer)), &origin));
    assert_eq!(gateway.ask(&bearer(&issuer.token("user-1"))).status, 200);
    let ask = |token: &str| {
        let headers = [("Authorization".to_owned(), format!("Bearer {token}"))].into();
        let (method, url) = ("GET".to_owned(), "http://a/".to_owned());
        gateway.explain(&ExplainRequest { method, url, headers, client: None })
    };
    let good = ask(&issuer.token("user-1"));
    let policies = good.steps.iter().find(|step| step.stage == "policies").expect("there is a policy");
    assert_eq!(policies.decision, "pass, as consumer alice");
    assert!(policies.details[0].contains("→ alice (user-1)"), "{policies:?}");
    let bad = ask(&Issuer::bogus("k9"));
    assert_eq!(bad.status, Some(401));
    assert!(bad.verdict.contains("names a key that is not known"), "{}", bad.verdict);
    assert_eq!(issuer.fetches(), 1);
}

const KEY: &str = "key-of-robot-0123456789abcdef";

/// A route that asks as `who` says, with a token and a key to choose from.
fn choices(who: &str, issuer: &Issuer, origin: &Origin) -> String {
    format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\npolicies = [{{ authenticate = {{ {who} }} }}]\n\
         [policies.login]\njwt = {{ {}, consumer_claim = \"sub\", headers = {{ X-User = \"sub\" }} }}\n\
         [policies.key]\napi_key = {{ header = \"X-Api-Key\" }}\n\
         [consumers.alice]\n[consumers.robot]\napi_keys = [{{ secret = \"{KEY}\" }}]\n[consumers.public]\n",
        upstream("shop", &[origin.address()]),
        by_url(issuer)
    )
}

#[test]
fn a_token_is_one_of_several_proofs() {
    let (origin, issuer) = (Origin::plain(), Issuer::start("k1"));
    let gateway = Running::start(&choices("any_of = [\"login\", \"key\"]", &issuer, &origin));
    let ask = |fields: &str| gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX-User: root\r\n{fields}\r\n"));
    let told = || (values(&origin.head(), "x-consumer-username"), values(&origin.head(), "x-user"));
    let token = format!("Authorization: Bearer {}\r\n", issuer.token("alice"));
    assert_eq!(ask(&token).status, 200, "keys of a policy that is only named by another are fetched");
    assert_eq!(told(), (vec!["alice".to_owned()], vec!["alice".to_owned()]));
    assert_eq!(ask(&format!("X-Api-Key: {KEY}\r\n")).status, 200);
    assert_eq!(told(), (vec!["robot".to_owned()], vec![]), "what only a token tells, no client does");
    let bare = ["Bearer realm=\"weirgate\"", "Key realm=\"weirgate\""];
    assert_eq!(ask("").field("www-authenticate"), bare);
    let late = issuer.token_with(&json!({ "iss": "https://id", "aud": "api", "sub": "alice", "exp": now_s() - 300 }));
    let reply = ask(&format!("Authorization: Bearer {late}\r\nX-Api-Key: {KEY}\r\n"));
    assert_eq!(reply.status, 401, "the first that has credentials decides alone: {}", reply.text());
    let why = "Bearer realm=\"weirgate\", error=\"invalid_token\", error_description=\"the token has expired\"";
    assert_eq!(reply.field("www-authenticate"), [why, "Key realm=\"weirgate\""]);
    let failed = "any_of = [\"login\", \"key\"], anonymous = \"public\", anonymous_on = \"failed\"";
    gateway.apply(&choices(failed, &issuer, &origin));
    assert_eq!(ask(&format!("Authorization: Bearer {late}\r\n")).status, 200);
    assert_eq!(told(), (vec!["public".to_owned()], vec![]));
}

#[test]
fn a_token_and_a_key_of_two_consumers_are_refused() {
    let (origin, issuer) = (Origin::plain(), Issuer::start("k1"));
    let gateway = Running::start(&choices("all_of = [\"login\", \"key\"]", &issuer, &origin));
    for (sub, status) in [("robot", 200), ("alice", 403)] {
        let token = issuer.token(sub);
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nX-Api-Key: {KEY}\r\n\r\n");
        let reply = gateway.ask(&request);
        assert_eq!(reply.status, status, "{sub}: {}", reply.text());
        assert_eq!(reply.text().contains("two-consumers"), status == 403, "{sub}: {}", reply.text());
    }
}
