// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is written reads back as what it was, for models of every shape.

use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

mod log;

use super::to_toml;
use crate::model::*;
use crate::parse::parse_toml;

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9][a-z0-9._-]{0,8}".prop_map(|text| text.parse().expect("the pattern is that of a name"))
}

/// Any text, with the characters that need escapes more often than by chance.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z\"\\\\\n\r\t\u{0}\u{7f}é#'=]{0,12}", "([a-zA-Z+/=-]{1,8}\n){2,4}"]
}

fn span() -> impl Strategy<Value = Span> {
    (0..400_000_u64).prop_map(|ms| Span(Duration::from_millis(ms)))
}

fn size() -> impl Strategy<Value = ByteSize> {
    prop_oneof![(0..5000_u64).prop_map(ByteSize), (0..5000_u64).prop_map(|kib| ByteSize(kib << 10))]
}

fn address() -> impl Strategy<Value = std::net::SocketAddr> {
    prop_oneof![
        any::<([u8; 4], u16)>().prop_map(|(ip, port)| (ip, port).into()),
        any::<([u16; 8], u16)>().prop_map(|(ip, port)| (ip, port).into()),
    ]
}

fn listener() -> impl Strategy<Value = Listener> {
    let limits =
        (any::<[u32; 4]>(), size(), size()).prop_map(|([connections, fields, streams, requests], head, body)| {
            ListenerLimits { connections, head, fields, body, streams, requests }
        });
    let times = (span(), span(), span(), span(), span(), span(), span());
    let timeouts = times.prop_map(|(handshake, head, body, write, idle, tunnel, session)| ListenerTimeouts {
        handshake,
        head,
        body,
        write,
        idle,
        tunnel,
        session,
    });
    let lead = (option::of(name()), btree_map(text(), name(), 0..3), btree_map(text(), name(), 0..3), any::<bool>());
    let protocol = prop_oneof![
        Just(ListenerProtocol::Http),
        Just(ListenerProtocol::Https),
        Just(ListenerProtocol::Tcp),
        Just(ListenerProtocol::Tls),
        Just(ListenerProtocol::Udp),
    ];
    let networks = vec((any::<[u8; 4]>(), 0..=32_u8), 0..3).prop_map(|networks| {
        let network = |(ip, bits): ([u8; 4], u8)| ipnet::IpNet::new(ip.into(), bits).expect("at most 32 bits");
        networks.into_iter().map(network).collect::<Vec<_>>()
    });
    let defaults = Just((ListenerLimits::default(), ListenerTimeouts::default()));
    let bounds = prop_oneof![defaults, (limits, timeouts)];
    (address(), protocol, vec(name(), 0..3), networks, bounds, lead).prop_map(
        |(address, protocol, certificates, trusted_proxies, bounds, (upstream, sni, alpn, proxy_protocol))| Listener {
            protocol,
            certificates,
            trusted_proxies,
            limits: bounds.0,
            timeouts: bounds.1,
            upstream,
            sni,
            alpn,
            proxy_protocol,
            ..Listener::plain(address)
        },
    )
}

fn discovery() -> impl Strategy<Value = Discovery> {
    prop_oneof![
        text().prop_map(Discovery::Dns),
        text().prop_map(Discovery::Srv),
        text().prop_map(|path| Discovery::File(DiscoverFile { path })),
        span().prop_map(|ttl| Discovery::Lease(DiscoverLease { ttl })),
    ]
}

fn upstream() -> impl Strategy<Value = Upstream> {
    let endpoint = (address(), 0..5_u32, any::<bool>(), 0..10_u8, option::of(text()))
        .prop_map(|(address, weight, backup, priority, zone)| Endpoint { address, weight, backup, priority, zone });
    let on = prop_oneof![Just(RetryCondition::Timeout), Just(RetryCondition::Status502)];
    let retry = (any::<u32>(), vec(on, 0..3), 0..=100_u16, option::of(span()), size()).prop_map(
        |(attempts, on, budget, per_try, buffer)| Retry { attempts, on, budget: Percent(budget), per_try, buffer },
    );
    let timeouts =
        (span(), span(), span()).prop_map(|(connect, response, idle)| UpstreamTimeouts { connect, response, idle });
    let source = option::of(discovery());
    let retry = prop_oneof![Just(Retry::default()), retry];
    let care = (option::of(outlier()), 0..=100_u16, option::of(span()));
    (
        (choice(), option::of(sticky())),
        (vec(endpoint, 0..12), source),
        (option::of(health().boxed()).boxed(), care.boxed(), retry),
        timeouts,
        overload(),
        transport(),
    )
        .prop_map(
            |(
                ((balance, hash, zone), sticky),
                (endpoints, discovery),
                (health, (outlier, panic, slow_start), retry),
                timeouts,
                (limits, breaker, hedge),
                transport,
            )| Upstream {
                balance,
                hash,
                zone,
                sticky,
                endpoints,
                discovery,
                health,
                outlier,
                panic: Percent(panic),
                slow_start,
                retry,
                timeouts,
                limits,
                breaker,
                hedge,
                ..transport
            },
        )
}

/// An upstream that says only how its endpoints are spoken to.
fn transport() -> impl Strategy<Value = Upstream> {
    use UpstreamProtocol::{H2, H2c, Http, Https};
    let check = prop_oneof![Just(CertificateCheck::Full), Just(CertificateCheck::None)];
    let tls = (option::of(text()), option::of(text()), vec(text(), 0..3), option::of(name()), check).prop_map(
        |(server_name, ca, pins, certificate, verify)| UpstreamTls { server_name, ca, pins, certificate, verify },
    );
    let protocol = prop_oneof![Just(Http), Just(Https), Just(H2c), Just(H2)];
    let header = option::of(prop_oneof![Just(ProxyProtocol::V1), Just(ProxyProtocol::V2)]);
    let pool = any::<(u32, u32)>().prop_map(|(idle, warm)| Pool { idle, warm });
    (protocol, tls, header, pool).prop_map(|(protocol, tls, proxy_protocol, pool)| Upstream {
        protocol,
        tls,
        proxy_protocol,
        pool,
        ..Upstream::default()
    })
}

fn overload() -> impl Strategy<Value = (UpstreamLimits, Option<Breaker>, Option<Hedge>)> {
    let adaptive = any::<(u32, u32)>().prop_map(|(least, most)| Adaptive { least, most });
    let limits = (any::<(u32, u32, u32, u32, u32)>(), span(), option::of(adaptive)).prop_map(
        |((connections, requests, endpoint_connections, endpoint_requests, queue), queue_timeout, adaptive)| {
            UpstreamLimits {
                connections,
                requests,
                endpoint_connections,
                endpoint_requests,
                queue,
                queue_timeout,
                adaptive,
            }
        },
    );
    let breaker = (any::<(u32, u32)>(), 0..=100_u16, span(), span()).prop_map(
        |((consecutive_failures, requests), rate, open, open_max)| Breaker {
            consecutive_failures,
            failure_rate: Percent(rate),
            requests,
            open,
            open_max,
        },
    );
    let hedge = (0..=100_u16, span()).prop_map(|(percentile, after)| Hedge { percentile: Percent(percentile), after });
    let limits = prop_oneof![Just(UpstreamLimits::default()), limits];
    (limits, option::of(breaker), option::of(hedge))
}

fn health() -> impl Strategy<Value = Health> {
    let headers = btree_map(text(), text(), 0..3);
    let http = (text(), text(), option::of(text()), headers, vec(any::<u16>(), 0..3), option::of(text())).prop_map(
        |(method, path, host, headers, expect, body)| HttpCheck { method, path, host, headers, expect, body },
    );
    let tcp = (option::of(text()), option::of(text())).prop_map(|(send, expect)| TcpCheck { send, expect });
    let tls = option::of(text()).prop_map(|server_name| TlsCheck { server_name });
    let grpc = text().prop_map(|service| GrpcCheck { service });
    let script = (text(), vec(text(), 0..3)).prop_map(|(path, args)| ScriptCheck { path, args });
    let agent = (any::<u16>(), option::of(text())).prop_map(|(port, send)| AgentCheck { port, send });
    let kinds = (option::of(http), option::of(tcp), option::of(tls), option::of(grpc), option::of(script));
    let times = (span(), option::of(span()), span(), any::<(u32, u32)>());
    (kinds, option::of(agent), option::of(any::<u16>()), times).prop_map(
        |((http, tcp, tls, grpc, script), agent, port, (interval, fast_interval, timeout, (fall, rise)))| Health {
            http,
            tcp,
            tls,
            grpc,
            script,
            agent,
            port,
            interval,
            fast_interval,
            timeout,
            fall,
            rise,
        },
    )
}

fn outlier() -> impl Strategy<Value = Outlier> {
    let counts = (any::<u32>(), 0..=100_u16, any::<u32>(), 0..=100_u16);
    (counts, span(), span(), span()).prop_map(
        |((consecutive_failures, failure_rate, requests, ejected_max), interval, eject, eject_max)| Outlier {
            consecutive_failures,
            failure_rate: Percent(failure_rate),
            requests,
            interval,
            eject,
            eject_max,
            ejected_max: Percent(ejected_max),
        },
    )
}

/// How an upstream chooses.
fn choice() -> impl Strategy<Value = (Balance, Hash, Option<Zone>)> {
    let balance = proptest::sample::select(Balance::ALL.to_vec());
    let by = prop_oneof![
        Just(HashKey::SourceIp),
        Just(HashKey::Path),
        Just(HashKey::ClientCertificate),
        text().prop_map(HashKey::Header),
        text().prop_map(HashKey::Cookie),
        text().prop_map(HashKey::Query),
    ];
    let percent = || (0..=1000_u16).prop_map(Percent);
    let points = prop_oneof![Just(KETAMA_POINTS), any::<u32>()];
    let hash =
        (by, option::of(percent()), points).prop_map(|(by, bounded_load, points)| Hash { by, bounded_load, points });
    let zone = (text(), percent()).prop_map(|(prefer, enough)| Zone { prefer, enough });
    (balance, hash, option::of(zone))
}

fn policy() -> impl Strategy<Value = Policy> {
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
    prop_oneof![
        key.prop_map(Policy::ApiKey),
        limit.prop_map(Policy::RateLimit),
        edits().prop_map(Policy::RequestHeaders),
        edits().prop_map(Policy::ReplyHeaders),
    ]
}

fn side() -> impl Strategy<Value = Side> {
    (name(), 0..100_u32).prop_map(|(upstream, weight)| Side { upstream, weight })
}

fn canary() -> impl Strategy<Value = Canary> {
    let percent = || (0..=100_u16).prop_map(Percent);
    let trouble = prop_oneof![Just(OnTrouble::Back), Just(OnTrouble::Stop)];
    (name(), vec(percent(), 0..4), span(), percent(), option::of(span()), any::<u32>(), trouble).prop_map(
        |(upstream, steps, every, errors_max, latency_max, requests, on_trouble)| Canary {
            upstream,
            steps,
            every,
            errors_max,
            latency_max,
            requests,
            on_trouble,
        },
    )
}

fn sticky() -> impl Strategy<Value = Sticky> {
    let cookie =
        (text(), text(), option::of(span())).prop_map(|(name, path, max_age)| StickyCookie { name, path, max_age });
    let learn = (text(), any::<u32>(), span()).prop_map(|(cookie, entries, idle)| Learn { cookie, entries, idle });
    prop_oneof![cookie.prop_map(Sticky::Cookie), text().prop_map(Sticky::Header), learn.prop_map(Sticky::Learn),]
}

fn mirror() -> impl Strategy<Value = Mirror> {
    let share = (0..=100_u16).prop_map(Percent);
    (name(), share, size()).prop_map(|(upstream, share, max_body)| Mirror { upstream, share, max_body })
}

fn hash_key() -> impl Strategy<Value = HashKey> {
    prop_oneof![
        Just(HashKey::SourceIp),
        Just(HashKey::Path),
        Just(HashKey::ClientCertificate),
        text().prop_map(HashKey::Header),
        text().prop_map(HashKey::Cookie),
        text().prop_map(HashKey::Query),
    ]
}

fn route() -> impl Strategy<Value = Route> {
    let path = (0..4_u8, text()).prop_map(|(form, text)| match form {
        0 => PathPattern::Prefix(text),
        1 => PathPattern::Exact { exact: text },
        2 => PathPattern::Template { template: text },
        _ => PathPattern::Regex { regex: text },
    });
    let value = || {
        prop_oneof![
            text().prop_map(ValueMatch::Exact),
            text().prop_map(|regex| ValueMatch::Regex { regex }),
            any::<bool>().prop_map(|present| ValueMatch::Present { present }),
        ]
    };
    let hosts = vec(text().prop_map(HostPattern), 0..3);
    let matches = (hosts, path, vec(text(), 0..3), btree_map(text(), value(), 0..3), btree_map(text(), value(), 0..3))
        .prop_map(|(hosts, path, methods, headers, query)| Match { hosts, path, methods, headers, query });
    let reference = prop_oneof![name().prop_map(PolicyRef::Named), policy().prop_map(PolicyRef::Inline)];
    let leads = (option::of(name()), vec(side(), 0..3), option::of(hash_key()), option::of(text()));
    let moves = (option::of(canary()), option::of(mirror()));
    let bounds = (option::of(size()), any::<u8>(), any::<bool>());
    (matches, leads, moves, vec(reference, 0..4), any::<i32>(), bounds).prop_map(
        |(
            matches,
            (upstream, split, split_by, testers),
            (canary, mirror),
            policies,
            priority,
            (max_body, urgency, connect),
        )| {
            Route {
                matches,
                upstream,
                split,
                split_by,
                testers,
                canary,
                mirror,
                policies,
                priority,
                max_body,
                urgency,
                connect,
            }
        },
    )
}

fn consumer() -> impl Strategy<Value = Consumer> {
    let key = (option::of(text()), option::of(text()), option::of(text())).prop_map(|(secret, hash, prefix)| ApiKey {
        secret,
        hash,
        prefix,
    });
    (vec(text(), 0..3), vec(key, 0..3), option::of(any::<u8>())).prop_map(|(groups, api_keys, urgency)| Consumer {
        groups,
        api_keys,
        urgency,
    })
}

/// A model with objects of every kind.
pub(crate) fn model() -> impl Strategy<Value = Model> {
    let certificate = (text(), text()).prop_map(|(chain, key)| Certificate { chain, key: CertificateKey(key) });
    (
        btree_map(name(), listener().boxed(), 0..3),
        btree_map(name(), certificate, 0..3),
        btree_map(name(), upstream().boxed(), 0..3),
        btree_map(name(), policy(), 0..3),
        btree_map(name(), route().boxed(), 0..4),
        btree_map(name(), consumer(), 0..3),
        btree_map(name(), log::log().boxed(), 0..3),
    )
        .prop_map(|(listeners, certificates, upstreams, policies, routes, consumers, logs)| Model {
            listeners,
            certificates,
            upstreams,
            policies,
            routes,
            consumers,
            logs,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_model_reads_back_as_it_was(model in model()) {
        let text = to_toml(&model);
        let back = parse_toml(&text);
        prop_assert_eq!(back, Ok(model), "{}", text);
    }

    /// The quick reading of a right text and the careful one must never differ in what they take.
    #[test]
    fn both_readings_of_a_text_agree(
        model in model(),
        edits in vec((any::<proptest::sample::Index>(), "[a-z\"\n={}\\[\\],0-9]{0,2}"), 0..3),
    ) {
        let mut text: Vec<char> = to_toml(&model).chars().collect();
        for (at, with) in edits {
            let at = at.index(text.len() + 1);
            text.splice(at..(at + 1).min(text.len()).max(at), with.chars());
        }
        let text: String = text.into_iter().collect();
        if let Some(quick) = crate::parse::at_once(&text) {
            prop_assert_eq!(crate::parse::carefully(&text), Ok(quick), "{}", text);
        } else {
            prop_assert!(crate::parse::carefully(&text).is_err(), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "([a-z.\\[\\]={}\"' \n0-9#,-]|routes|upstreams|policies){0,60}") {
        let _either_way = crate::parse::parse_and_check(&text).is_ok();
    }
}

#[test]
fn the_text_is_meant_to_be_read() {
    let written = "[upstreams.a]\nendpoints = [{ address = \"127.0.0.1:1\", weight = 2 }]\n\n\
        [routes.\"a.b\"]\nmatch = { hosts = [\"x.y\"], path = { template = \"/a/{id}\" } }\nupstream = \"a\"\npolicies = [\"p\"]\n";
    assert_eq!(to_toml(&parse_toml(written).expect("it is valid")), written);
}
