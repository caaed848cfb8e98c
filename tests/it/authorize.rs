// SPDX-License-Identifier: MIT OR Apache-2.0
//! `authorize` end to end, with consumers that are known by their keys, and with what tokens say.

use serde_json::json;
use weirgate_store::parse::parse_and_check;
use weirgate_store::wire::ExplainRequest;

use crate::support::gateway::{Running, WEB, upstream};
use crate::support::issuer::{Issuer, now_s};
use crate::support::origin::Origin;

const ANA: &str = "ana-secret-0123456789abcdef";
const BEN: &str = "ben-secret-0123456789abcdef";

fn config(policies: &str, origin: &Origin) -> String {
    format!(
        "{WEB}{}[routes.all]\nupstream = \"shop\"\npolicies = [{policies}]\n\
         [consumers.ana]\ngroups = [\"staff\", \"admin\"]\napi_keys = [{{ secret = \"{ANA}\" }}]\n\
         [consumers.ben]\ngroups = [\"staff\", \"probation\"]\napi_keys = [{{ secret = \"{BEN}\" }}]\n",
        upstream("shop", &[origin.address()])
    )
}

const KEYED: &str = "{ api_key = { header = \"X-Api-Key\" } }";

fn ask(gateway: &Running, what: &str, key: &str) -> u16 {
    gateway.ask(&format!("{what} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\n\r\n")).status
}

/// Rows: what is demanded, and what ana and ben get.
#[test]
fn groups_and_consumers() {
    let origin = Origin::plain();
    let gateway = Running::start(&config(KEYED, &origin));
    for (demand, ana, ben) in [
        ("groups = { any = [\"admin\", \"ops\"] }", 200, 403),
        ("groups = { all = [\"staff\", \"admin\"] }", 200, 403),
        ("groups = { any = [\"staff\"] }", 200, 200),
        ("groups = { any = [\"staff\"], none = [\"probation\"] }", 200, 403),
        ("groups = { none = [\"probation\"] }", 200, 403),
        ("consumers = { any = [\"ben\"] }", 403, 200),
        ("consumers = { none = [\"ben\"] }", 200, 403),
        ("scopes = { any = [\"read\"] }", 403, 403),
        ("claims = { email = [\"a\"] }", 403, 403),
    ] {
        // Written before the policy that knows who calls: the order of phases counts, not that of the file.
        gateway.apply(&config(&format!("{{ authorize = {{ {demand} }} }}, {KEYED}"), &origin));
        assert_eq!((ask(&gateway, "GET /", ANA), ask(&gateway, "GET /", BEN)), (ana, ben), "row {demand}");
    }
    gateway.apply(&config(
        &format!("{KEYED}, {{ authorize = {{ groups = {{ any = [\"admin\", \"ops\"] }} }} }}"),
        &origin,
    ));
    let story = gateway.record_of(|| assert_eq!(ask(&gateway, "GET /", BEN), 403)).verdict.clone();
    assert!(story.contains("its set of groups is none of admin, ops"), "{story}");
}

#[test]
fn nobody_known_is_401_and_a_scope_that_lacks_is_named() {
    let origin = Origin::plain();
    let gateway = Running::start(&config("{ authorize = { groups = { any = [\"admin\"] } } }", &origin));
    let reply = gateway.get("/");
    assert_eq!((reply.status, reply.one("www-authenticate").as_str()), (401, "Bearer realm=\"weirgate\""));
    let scopes = "{ authorize = { scopes = { all = [\"orders:read\", \"orders:write\"] } } }";
    gateway.apply(&config(&format!("{KEYED}, {scopes}"), &origin));
    let reply = gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: {ANA}\r\n\r\n"));
    assert_eq!(reply.status, 403);
    assert_eq!(
        reply.one("www-authenticate"),
        "Bearer realm=\"weirgate\", error=\"insufficient_scope\", scope=\"orders:read orders:write\""
    );
    assert!(reply.text().contains("\"code\":\"scope-missing\""), "{}", reply.text());
}

#[test]
fn the_first_rule_that_fits_decides() {
    let origin = Origin::plain();
    let rules = "{ authorize = { rules = [\
        { paths = [\"/public\"] },\
        { methods = [\"GET\"], paths = [{ template = \"/orders/{id}\" }], groups = { any = [\"staff\"] } },\
        { paths = [{ exact = \"/orders/secret\" }], deny = true },\
        { paths = [\"/orders\"], groups = { any = [\"admin\"] } },\
        { paths = [{ regex = \"/v[0-9]+/x\" }], consumers = { any = [\"ben\"] } },\
        ] } }";
    let gateway = Running::start(&config(&format!("{KEYED}, {rules}"), &origin));
    for (what, ana, ben) in [
        ("GET /public", 200, 200),
        ("GET /public/a", 200, 200),
        ("GET /publicity", 403, 403),
        ("GET /orders/1", 200, 200),
        ("GET /orders/secret", 200, 200),
        ("PUT /orders/secret", 403, 403),
        ("PUT /orders/1", 200, 403),
        ("HEAD /orders/1", 200, 403),
        ("GET /orders/1/2", 200, 403),
        ("GET /v2/x", 403, 200),
        ("GET /v2/x/y", 403, 403),
        ("GET /", 403, 403),
        // What is compared is what a route compares: one spelling.
        ("GET /public/../orders/1/2", 200, 403),
        ("GET /%6frders/1/2", 200, 403),
        ("GET //orders//1//2", 200, 403),
    ] {
        assert_eq!((ask(&gateway, what, ANA), ask(&gateway, what, BEN)), (ana, ben), "row {what}");
    }
    let record = gateway.record_of(|| assert_eq!(ask(&gateway, "PUT /orders/1", BEN), 403));
    assert!(record.verdict.contains("rule 4: its set of groups is none of admin"), "{record:?}");
    let record = gateway.record_of(|| assert_eq!(ask(&gateway, "PUT /orders/1", ANA), 200));
    assert!(record.why.join(" ").contains("all.authorize let it through by rule 4"), "{record:?}");
    let explained = gateway.explain(&ExplainRequest {
        method: "PUT".to_owned(),
        url: "http://a/orders/1".to_owned(),
        headers: [("X-Api-Key".to_owned(), ANA.to_owned())].into(),
        ..ExplainRequest::default()
    });
    assert!(format!("{explained:?}").contains("all.authorize let it through by rule 4"), "{explained:?}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let origin = Origin::plain();
    for (demand, want) in [
        ("", "demands nothing"),
        ("groups = {}", "demands nothing"),
        ("groups = { any = [\"a\"], none = [\"a\"] }", "is wanted and not wanted"),
        ("consumers = { any = [\"anna\"] }", "there is no consumer"),
        ("consumers = { all = [\"ana\", \"ben\"] }", "cannot be all of several"),
        ("claims = { roles = [] }", "no value would be right"),
        ("claims = { \"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q\" = [\"x\"] }", "cannot be the name of a claim"),
        ("rules = [{}, { paths = [\"/a\"] }]", "never reached"),
        ("rules = [{ deny = true, groups = { any = [\"a\"] } }]", "either denies everybody"),
        ("rules = [{ paths = [\"a\"] }]", "begins with '/'"),
        ("rules = [{ paths = [{ regex = \"(a\" }] }]", "regular expression"),
        ("when = \"true\"", "when"),
    ] {
        let text = config(&format!("{KEYED}, {{ authorize = {{ {demand} }} }}"), &origin);
        let problems = format!("{:?}", parse_and_check(&text).expect_err(demand));
        assert!(problems.contains(want), "row {demand}: {problems}");
    }
    let text = config("{ authorize = { groups = { any = [\"a\"] } } }", &origin);
    let (_, warnings) = parse_and_check(&text).expect("it is allowed");
    assert!(format!("{warnings:?}").contains("no policy of the route finds that out"), "{warnings:?}");
}

/// Rows: the claims of a token, and the code of the refusal, if it is one.
#[test]
fn scopes_and_claims_of_a_token_decide() {
    let (origin, issuer) = (Origin::plain(), Issuer::start("k1"));
    let jwt = format!("{{ jwt = {{ jwks_url = \"{}\", issuer = \"https://id\" }} }}", issuer.url());
    let demand = "{ authorize = { scopes = { all = [\"orders:read\", \"orders:write\"] }, \
        claims = { tier = [\"gold\"], \"/realm/roles\" = [\"clerk\"] } } }";
    let gateway = Running::start(&config(&format!("{jwt}, {demand}"), &origin));
    let roles = json!({ "roles": ["clerk", "cook"] });
    for (claims, refused) in [
        (json!({ "scope": "orders:read orders:write x", "tier": "gold", "realm": roles }), None),
        (json!({ "scp": ["orders:write", "orders:read"], "tier": ["gold"], "realm": roles }), None),
        (json!({ "scope": "orders:read", "tier": "gold", "realm": roles }), Some("scope-missing")),
        (json!({ "tier": "gold", "realm": roles }), Some("scope-missing")),
        (json!({ "scope": "orders:read orders:write", "tier": "tin", "realm": roles }), Some("not-allowed")),
        (json!({ "scope": "orders:read orders:write", "tier": "gold", "realm": {} }), Some("not-allowed")),
    ] {
        let mut all = json!({ "iss": "https://id", "sub": "user-1", "exp": now_s() + 300 });
        claims.as_object().expect("an object").iter().for_each(|(name, value)| all[name] = value.clone());
        let token = issuer.token_with(&all);
        let reply = gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"));
        assert_eq!(reply.status, if refused.is_some() { 403 } else { 200 }, "row {claims}: {}", reply.text());
        let code = format!("\"code\":\"{}\"", refused.unwrap_or_default());
        assert!(refused.is_none() || reply.text().contains(&code), "row {claims}: {}", reply.text());
        if refused == Some("scope-missing") {
            let want = "Bearer realm=\"weirgate\", error=\"insufficient_scope\", scope=\"orders:read orders:write\"";
            assert_eq!(reply.one("www-authenticate"), want, "row {claims}");
        }
    }
    assert_eq!(gateway.get("/").status, 401, "without a token");
}
