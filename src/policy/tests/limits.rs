// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quotas, requests at once and plans, among the other policies of a route.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::{Hide, Route, SECOND, api_key, limit};
use crate::exchange::Fields;
use crate::fault::Fault;
use crate::policy::plan::{Entitlement, Part, Plan, Usage};
use crate::policy::quota::{Calendar, Period, QuotaTable};
use crate::policy::rate_limit::Per;
use crate::policy::{
    Concurrency, Consumer, Credential, Credentials, Mistake, Policy, Quota, RateLimit, Replied, Request, Steps,
    explain, hash_of, on_reply, on_request,
};

fn quota(name: &str, per: Per, requests: u64) -> Policy {
    let table = QuotaTable::new(name.into(), calendar(Period::Hour), 100, [3; 32]);
    Policy::Quota(Quota::new(name.into(), per, requests, Arc::new(table)).unwrap())
}

fn calendar(period: Period) -> Calendar {
    Calendar::new(period, TimeZone::UTC)
}

fn at_once(name: &str, per: Per, max: u32) -> Policy {
    Policy::Concurrency(Concurrency::new(name.into(), per, max, 100, None))
}

/// A route on which ana has this plan, and ben none.
fn planned(policies: Vec<Policy>, parts: Vec<Part>) -> Route {
    let mut route = Route::new(policies.into_iter().chain([api_key(Hide::Yes), Policy::Plan]).collect());
    let plan = Arc::new(Plan { name: "gold".into(), parts: parts.into() });
    let entitlement = Entitlement { plan, usage: Arc::new(Usage::default()) };
    let consumers = vec![
        Some(Arc::new(Consumer::new(0, "ana", &[]).entitled(Some(entitlement)))),
        Some(Arc::new(Consumer::new(1, "ben", &[]))),
    ];
    let key = |key: &str, consumer| Credential { hash: hash_of(&[1; 32], key.as_bytes()), consumer, expires_s: 0 };
    let keys = [key("ana-key", 0), key("ben-key", 1)];
    route.credentials = Credentials::build([1; 32], consumers.into(), keys.into_iter());
    route
}

#[test]
fn a_quota_counts_by_what_it_says_until_its_period_ends() {
    let header = || Per::Header(b"X-Tenant".as_slice().into());
    for (per, same, other) in [
        (Per::Ip, ["192.0.2.1", "::ffff:192.0.2.1"], "192.0.2.2"),
        (Per::Ip, ["2001:db8::1", "2001:db8::2"], "2001:db8:0:1::1"),
        (Per::Consumer, ["192.0.2.1", "192.0.2.1"], "192.0.2.2"),
        (header(), ["192.0.2.1, X-Tenant: a", "192.0.2.2, x-tenant: a"], "192.0.2.1, X-Tenant: b"),
    ] {
        let mut route = Route::new(vec![quota("q", per.clone(), 1)]);
        assert!(route.send(same[0]).ends_with("q 0 of 1 left"), "{per:?}");
        // 2000 s are 1600 s before the next hour.
        assert_eq!(route.send(same[1]), "policy q: the quota is used up, next allowed in 1600s", "{per:?}");
        assert!(route.send(other).ends_with("q 0 of 1 left"), "{per:?}");
        route.now_ns = 3600 * SECOND;
        assert!(route.send(same[1]).ends_with("q 0 of 1 left"), "{per:?} in the next hour");
    }
    let by_route = Route::new(vec![quota("q", Per::Route, 1)]);
    assert!(by_route.send("192.0.2.1").ends_with("left"));
    assert!(by_route.send("192.0.2.2").contains("used up"));
    let table = Arc::new(QuotaTable::new("q".into(), calendar(Period::Day), 1, [3; 32]));
    assert_eq!(Quota::new("q".into(), Per::Ip, 0, table).unwrap_err(), Mistake::Requests { max: 30_000_000_000 });
}

#[test]
fn whoever_refuses_a_quota_is_not_charged_for_it() {
    let route = Route::new(vec![
        quota("by-ip", Per::Ip, 10),
        api_key(Hide::Yes),
        quota("month", Per::Consumer, 10),
        limit("thin", Per::Consumer, 1, 1),
    ]);
    let ana = "X-Api-Key: ana-key";
    let left = "by-ip 9 of 10 left, partner-key → ana, month 9 of 10 left, thin 0 of 1 left";
    assert!(route.send(ana).ends_with(left), "{}", route.send(ana));
    for _ in 0..20 {
        assert_eq!(route.send(ana), "policy thin: refused, next allowed in 1s");
        assert!(route.send("X-Api-Key: guess").contains("unknown"));
    }
    let ben = route.send("X-Api-Key: ben-key");
    assert!(ben.ends_with("by-ip 8 of 10 left, partner-key → ben, month 9 of 10 left, thin 0 of 1 left"), "{ben}");
}

#[test]
fn requests_at_once_are_counted_while_they_are_under_way() {
    let route = Route::new(vec![at_once("few", Per::Ip, 2)]);
    let begin = |client: &str| {
        let (steps, ..) = route.run(client, |request| {
            let mut steps = Steps::default();
            on_request(&route.policies, &mut steps, request).map(|_| steps.slots)
        });
        steps
    };
    let first = begin("192.0.2.1").unwrap();
    let second = begin("192.0.2.1").unwrap();
    assert!(matches!(begin("192.0.2.1"), Err(Fault::TooManyAtOnce { shared: false, .. })));
    assert!(begin("192.0.2.2").is_ok());
    drop(first);
    let third = begin("192.0.2.1").unwrap();
    assert_eq!(begin("192.0.2.1").unwrap_err().facts().status, 429);
    drop((second, third));
    let shared = Route::new(vec![at_once("all", Per::Route, 0)]);
    let (fault, ..) = shared.run("", |request| on_request(&shared.policies, &mut Steps::default(), request).err());
    assert_eq!(fault.map(|fault| fault.facts().status), Some(503), "one caller can do nothing about it");
}

#[test]
fn a_plan_is_one_transaction_and_another_consumer_has_another() {
    let rate = RateLimit::rate(10, Duration::from_secs(1), 3).unwrap();
    let parts = vec![
        Part::rate("gold", rate, Duration::from_secs(1), "10/s".to_owned()).unwrap(),
        Part::quota("gold", 5, Arc::new(calendar(Period::Hour))),
        Part::concurrency("gold", 100),
    ];
    let mut route = planned(vec![limit("wide", Per::Route, 1, 100)], parts);
    let ana = "X-Api-Key: ana-key";
    let first = route.send(ana);
    let want = "partner-key → ana, wide 99 of 100 left, gold:10/s 2 of 3 left, gold:hour 4 of 5 left, \
                gold:concurrency 99 of 100 left";
    assert!(first.ends_with(want), "{first}");
    assert!(route.send(ana).contains("gold:hour 3 of 5") && route.send(ana).contains("gold:hour 2 of 5"));
    for _ in 0..10 {
        assert_eq!(route.send(ana), "policy gold:10/s: refused, next allowed in 100ms");
    }
    let ben = route.send("X-Api-Key: ben-key");
    assert!(ben.ends_with("partner-key → ben, wide 96 of 100 left"), "{ben}");
    route.now_ns += SECOND;
    assert!(route.send(ana).contains("gold:hour 1 of 5") && route.send(ana).contains("gold:hour 0 of 5"));
    assert!(route.send(ana).contains("policy gold:hour: the quota is used up, next allowed in 1599s"));
    let (phrases, ..) = route.run(ana, |request| explain(&route.policies, request).unwrap_err().0);
    assert_eq!(
        phrases,
        [
            "partner-key → ana",
            "wide 95 of 100 left",
            "policy gold:hour: the quota is used up, next allowed in 1599s; 0 more not reached"
        ]
    );
    let (phrases, ..) = route.run("X-Api-Key: ben-key", |request| explain(&route.policies, request).unwrap().phrases);
    assert_eq!(phrases[2], "the caller has no plan");
}

#[test]
fn replies_tell_of_quotas_and_plans_but_not_of_requests_at_once() {
    let parts = vec![Part::quota("gold", 5, Arc::new(calendar(Period::Month))), Part::concurrency("gold", 7)];
    let route = planned(vec![quota("day", Per::Consumer, 100), at_once("few", Per::Route, 9)], parts);
    let reply = |request: &str| {
        let ((fields, _), ..) = route.run(request, |request| {
            let outcome = on_request(&route.policies, &mut Steps::default(), request);
            let mut fields = Fields::new();
            let Request { head, id, client, identity, notes, .. } = &*request;
            let consumer = identity.consumer.as_deref();
            let replied = Replied { head, id: *id, client, consumer, notes };
            on_reply(&route.policies, &replied, &mut fields);
            (fields, outcome)
        });
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        fields.iter().map(|f| format!("{}: {}", text(f.name), text(f.value))).collect::<Vec<_>>()
    };
    // The clock of the test stands at 1970-01-01 00:33:20.
    let left = 31 * 86_400 - 2000;
    assert_eq!(
        reply("X-Api-Key: ana-key"),
        [
            "RateLimit-Policy: \"day\";q=100;w=3600, \"gold:month\";q=5;w=2678400".to_owned(),
            format!("RateLimit: \"day\";r=99;t=1600, \"gold:month\";r=4;t={left}"),
        ]
    );
    (0..4).for_each(|_| drop(reply("X-Api-Key: ana-key")));
    assert_eq!(
        reply("X-Api-Key: ana-key"),
        [
            "RateLimit-Policy: \"gold:month\";q=5;w=2678400".to_owned(),
            format!("RateLimit: \"gold:month\";r=0;t={left}")
        ]
    );
}
