// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies of every kind at random, for the tests of the text form.

use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::{name, quota, span, text};
use crate::model::*;

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    let key = (option::of(text()), option::of(text()), option::of(text()), any::<bool>(), text())
        .prop_map(|(header, query, cookie, hide, realm)| ApiKeyPolicy { header, query, cookie, hide, realm });
    let per = prop_oneof![Just(LimitKey::Consumer), Just(LimitKey::Route), text().prop_map(LimitKey::Header)];
    let periods = prop_oneof![Just(1_u64), Just(60), Just(3_600), Just(86_400)];
    let limit = (per, 1..u32::MAX, periods, option::of(any::<u32>())).prop_map(|(per, count, seconds, burst)| {
        RateLimitPolicy { per, rate: Rate { count, period: Duration::from_secs(seconds) }, burst }
    });
    let edits = || {
        (vec(text(), 0..3), btree_map(text(), text(), 0..3), btree_map(text(), text(), 0..3))
            .prop_map(|(remove, set, add)| FieldEdits { remove, set, add })
    };
    let on = prop_oneof![Just(AnonymousOn::Missing), Just(AnonymousOn::Failed)];
    let authenticate = (vec(name(), 0..3), vec(name(), 0..3), option::of(name()), on).prop_map(
        |(any_of, all_of, anonymous, anonymous_on)| AuthenticatePolicy { any_of, all_of, anonymous, anonymous_on },
    );
    let basic = (text(), any::<bool>()).prop_map(|(realm, hide)| BasicPolicy { realm, hide });
    let signature = (vec(text(), 0..3), span(), option::of(text()), any::<bool>(), text()).prop_map(
        |(components, max_age, tag, nonce, realm)| HttpSignaturePolicy { components, max_age, tag, nonce, realm },
    );
    let mtls = (text(), any::<bool>()).prop_map(|(realm, forward)| MtlsPolicy { forward, realm });
    let keys = prop_oneof![Just(LimitKey::Consumer), Just(LimitKey::Ip), text().prop_map(LimitKey::Header)];
    let counted = (quota(), keys.clone()).prop_map(|(Quota { requests, per, timezone }, key)| QuotaPolicy {
        requests,
        per,
        key,
        timezone,
    });
    let at_once = (keys, any::<u32>()).prop_map(|(per, max)| ConcurrencyPolicy { per, max });
    prop_oneof![
        asking().prop_map(|policy| Policy::ForwardAuth(policy.into())),
        demanding().prop_map(|policy| Policy::Authorize(policy.into())),
        authenticate.prop_map(Policy::Authenticate),
        basic.prop_map(Policy::Basic),
        mtls.prop_map(Policy::Mtls),
        signature.prop_map(Policy::HttpSignature),
        key.prop_map(Policy::ApiKey),
        limit.prop_map(Policy::RateLimit),
        counted.prop_map(Policy::Quota),
        at_once.prop_map(Policy::Concurrency),
        edits().prop_map(Policy::RequestHeaders),
        edits().prop_map(Policy::ReplyHeaders),
        answer(),
        for_browsers(),
    ]
}

fn answer() -> impl Strategy<Value = Policy> {
    let redirect = (text(), any::<u16>(), any::<bool>()).prop_map(|(to, status, keep_query)| RedirectPolicy {
        to,
        status,
        keep_query,
    });
    let reply = (any::<u16>(), btree_map(text(), text(), 0..3), option::of(text()), option::of(text()))
        .prop_map(|(status, headers, body, json)| ReplyPolicy { status, headers, body, json });
    let allow = prop_oneof![Just(Vec::new()), Just(vec!["10.0.0.0/8".parse().expect("a network")])];
    let maintenance = (option::of(span()), option::of(text()), allow)
        .prop_map(|(retry_after, body, allow)| MaintenancePolicy { retry_after, body, allow });
    let query = (vec(text(), 0..3), btree_map(text(), text(), 0..3), btree_map(text(), text(), 0..3))
        .prop_map(|(remove, set, add)| QueryEdits { remove, set, add });
    let rewrite = (option::of(text()), option::of(text()), option::of(text()), option::of(text()), query).prop_map(
        |(path, strip_prefix, add_prefix, host, query)| RewritePolicy { path, strip_prefix, add_prefix, host, query },
    );
    prop_oneof![
        redirect.prop_map(Policy::Redirect),
        reply.prop_map(Policy::Reply),
        maintenance.prop_map(Policy::Maintenance),
        rewrite.prop_map(Policy::Rewrite),
    ]
}

fn for_browsers() -> impl Strategy<Value = Policy> {
    let lists = (vec(text(), 0..3), vec(text(), 0..4), vec(text(), 0..3), vec(text(), 0..3));
    let cors = (lists, any::<bool>(), option::of(span()), any::<bool>()).prop_map(
        |((origins, methods, headers, expose), credentials, max_age, private_network)| CorsPolicy {
            origins,
            methods,
            headers,
            expose,
            credentials,
            max_age,
            private_network,
        },
    );
    let hsts = (span(), any::<bool>(), any::<bool>()).prop_map(|(max_age, subdomains, preload)| Hsts {
        max_age,
        subdomains,
        preload,
    });
    let frame = prop_oneof![Just(Frame::Deny), Just(Frame::SameOrigin)];
    let security = (option::of(hsts), any::<bool>(), option::of(frame), vec(option::of(text()), 3)).prop_map(
        |(hsts, nosniff, frame, mut texts)| SecurityHeadersPolicy {
            hsts,
            nosniff,
            frame,
            referrer: texts.pop().flatten(),
            csp: texts.pop().flatten(),
            permissions: texts.pop().flatten(),
        },
    );
    let id = (text(), any::<bool>()).prop_map(|(header, reply)| RequestIdPolicy { header, reply });
    let from = prop_oneof![Just(TraceFrom::Everyone), Just(TraceFrom::Proxies)];
    let trace = (from, 0..=100_u16).prop_map(|(from, share)| TracePolicy { from, sample: Percent(share) });
    let date = || option::of((0..40_000_000_000_i64).prop_map(Date));
    let deprecation = (date(), date(), option::of(text()), option::of(text()), any::<bool>())
        .prop_map(|(since, sunset, successor, docs, gone)| DeprecationPolicy { since, sunset, successor, docs, gone });
    prop_oneof![
        deprecation.prop_map(Policy::Deprecation),
        cors.prop_map(Policy::Cors),
        security.prop_map(Policy::SecurityHeaders),
        id.prop_map(Policy::RequestId),
        trace.prop_map(Policy::Trace),
    ]
}

fn set() -> impl Strategy<Value = Option<SetTest>> {
    let names = || vec(text(), 0..3);
    option::of((names(), names(), names()).prop_map(|(any, all, none)| SetTest { any, all, none }))
}

fn demanding() -> impl Strategy<Value = AuthorizePolicy> {
    let claims = || btree_map(text(), vec(text(), 0..3), 0..3);
    let paths = vec(text().prop_map(PathPattern::Prefix), 0..3);
    let rule = (vec(text(), 0..3), paths, any::<bool>(), set(), set(), claims()).prop_map(
        |(methods, paths, deny, groups, scopes, claims)| AccessRule {
            methods,
            paths,
            deny,
            consumers: None,
            groups,
            scopes,
            claims,
        },
    );
    (set(), set(), set(), claims(), vec(rule, 0..3)).prop_map(|(consumers, groups, scopes, claims, rules)| {
        AuthorizePolicy { consumers, groups, scopes, claims, rules }
    })
}

fn asking() -> impl Strategy<Value = ForwardAuthPolicy> {
    let part = prop_oneof![Just(VerdictKey::SourceIp), text().prop_map(VerdictKey::Header)];
    let cache = (vec(part, 0..3), span(), span(), any::<bool>(), option::of(text()), any::<u32>()).prop_map(
        |(key, ttl, negative_ttl, cache_control, subject, entries)| VerdictCache {
            key,
            ttl,
            negative_ttl,
            cache_control,
            subject,
            entries,
        },
    );
    let failure = prop_oneof![Just(AuthFailure::Deny), Just(AuthFailure::Unavailable), Just(AuthFailure::Allow)];
    (name(), text(), vec(text(), 0..3), vec(text(), 0..3), span(), failure, option::of(cache)).prop_map(
        |(upstream, path, request_headers, reply_headers, timeout, failure, cache)| ForwardAuthPolicy {
            upstream,
            path,
            request_headers,
            reply_headers,
            timeout,
            failure,
            cache,
        },
    )
}
