// SPDX-License-Identifier: MIT OR Apache-2.0
//! The balancers through one `check`: a row is a list of endpoints in short form and the endpoints that follow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weirgate_store::model::HashKey;

use super::{Ask, BACKUP_TIER, Balance, Balancer, Candidate, Choice, Estimate, Key, Seat, Settings, Turns, identity};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A balancer and how its endpoints are now.
struct List {
    balancer: Balancer,
    now: Vec<Candidate>,
}

/// `5/2` is weight 5 with two requests in flight, `1/0~30` with a latency of 30 ms; `!` unusable, `+` backup, `2:`
/// priority 2, `@` in the preferred zone.
fn list(settings: Settings, text: &str) -> List {
    let (mut seats, mut now) = (Vec::new(), Vec::new());
    for (index, word) in text.split_whitespace().enumerate() {
        let rest = word.trim_start_matches(['!', '+', '@']);
        let (tier, rest) = rest.split_once(':').unwrap_or(("0", rest));
        let (rest, latency) = rest.split_once('~').unwrap_or((rest, ""));
        let (weight, in_flight) = rest.split_once('/').unwrap_or((rest, "0"));
        let name = NAMES[index % NAMES.len()];
        let weight: u32 = weight.parse().unwrap();
        let tier = if word.contains('+') { BACKUP_TIER } else { tier.parse().unwrap() };
        let (identity, is_local) = (identity(name), word.contains('@'));
        seats.push(Seat { name: name.into(), identity, weight, tier, is_local });
        let measured = latency.parse().map(|ms: u32| Estimate::default().after(ms * 1000, 0));
        now.push(Candidate {
            weight: weight * 100,
            usable: !word.contains('!'),
            in_flight: in_flight.parse().unwrap(),
            estimate: measured.unwrap_or_default(),
        });
    }
    List { balancer: Balancer::new(settings, seats), now }
}

fn plain(balance: Balance) -> Settings {
    Settings { balance, ..Settings::default() }
}

fn ask(seed: u64) -> Ask {
    Ask { source: IpAddr::V4(Ipv4Addr::LOCALHOST), seed, now_ms: 0, key: Key::Source }
}

impl List {
    fn pick(&self, turns: &Turns, ask: &Ask) -> Option<Choice> {
        self.balancer.pick(turns, ask, |index| self.now[index])
    }

    fn name(&self, turns: &Turns, ask: &Ask) -> &'static str {
        self.pick(turns, ask).map_or("-", |choice| NAMES[choice.index])
    }
}

#[track_caller]
fn check(balance: Balance, text: &str, want: &str) {
    let (turns, list) = (Turns::default(), list(plain(balance), text));
    let got: String = (0..want.len() as u64).map(|seed| list.name(&turns, &ask(seed))).collect();
    assert_eq!(got, want, "{balance} over {text}");
}

#[test]
fn weighted_follows_the_known_sequence() {
    check(Balance::Weighted, "5 1 1", "aabacaaaabacaa");
    check(Balance::Weighted, "1 1 1", "abcabc");
    check(Balance::Weighted, "0 3 0", "bbb");
    check(Balance::Weighted, "", "-");
    check(Balance::Weighted, "!1 0", "-");
    check(Balance::Weighted, "!1 +2 +1", "bcbbcb");
}

#[test]
fn round_robin_gives_equal_turns() {
    check(Balance::RoundRobin, "5 1 1", "abcabc");
    check(Balance::RoundRobin, "1 !1 1", "acac");
    check(Balance::RoundRobin, "1 0 1 +1", "acac");
    check(Balance::RoundRobin, "!1 0 +1 +1", "cdcd");
    check(Balance::RoundRobin, "", "-");
    check(Balance::RoundRobin, "!1 +0", "-");
}

#[test]
fn least_request_takes_the_less_busy_per_weight() {
    for balance in [Balance::LeastRequest, Balance::LeastConnections] {
        check(balance, "1/5 1/3 1/9", "bbbb");
        check(balance, "4/4 1/2", "aaaa");
        check(balance, "4/9 1/2", "bbbb");
        check(balance, "!1 0 1/900 +1", "cccc");
        check(balance, "!1 0 +1/3 +1/2", "dddd");
        check(balance, "!1 0 !1 +0 +1", "eeee");
        check(balance, "!1 !1 !1 !1 0", "-");
        check(balance, "", "-");
    }
    check(Balance::LeastConnections, "1/5 1/4 1/3 2/5 1/9", "dddd");
}

#[test]
fn peak_ewma_takes_the_lower_product_per_weight() {
    check(Balance::PeakEwma, "1/0~10 1/0~30", "aaaa");
    check(Balance::PeakEwma, "1/3~10 1/0~30", "bbbb");
    check(Balance::PeakEwma, "1/0~10 4/0~30", "bbbb");
    // What was never measured is as good as the best: what is in flight decides, and weight a tie.
    check(Balance::PeakEwma, "1/1~10 1/0 1/2~5", "bbbb");
    check(Balance::PeakEwma, "1/1~10 1/2 1/0~500", "aaaa");
    check(Balance::PeakEwma, "!1~1 1/3~10 +1~1", "bbbb");
}

#[test]
fn tiers_take_over_one_after_the_other() {
    for balance in Balance::ALL {
        check(balance, "+1 2:1 1:1 !0:1", "ccc");
        check(balance, "+1 2:1 !1:1 !0:1", "bbb");
        check(balance, "+1 2:0 !1:1 !0:1", "aaa");
        check(balance, "!+1 2:0 !1:1 !0:1", "-");
    }
}

#[test]
fn ties_of_least_request_are_drawn_by_weight() {
    for balance in [Balance::LeastRequest, Balance::Random] {
        for text in ["3 1", "3 1 0 !1 +9"] {
            let (turns, list) = (Turns::default(), list(plain(balance), text));
            let first = (0..40_000).filter(|seed| list.name(&turns, &ask(*seed)) == "a").count();
            assert!((29_000..31_000).contains(&first), "{balance}: {first} of 40,000 for three quarters of the weight");
        }
    }
}

#[test]
fn hashes_are_the_same_on_every_node_and_version() {
    let at = |balance, source: &str| {
        let ask = Ask { source: source.parse().unwrap(), seed: 7, ..ask(0) };
        list(plain(balance), "1 1 2 1 1").name(&Turns::default(), &ask)
    };
    // Changing one of these letters moves the clients of every installation: it needs a release note.
    for (balance, want) in [
        (Balance::SourceIp, "ecccdc"),
        (Balance::Rendezvous, "ecccdc"),
        (Balance::Ring, "accccc"),
        (Balance::Maglev, "cdaeee"),
    ] {
        let got = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "192.0.2.77", "2001:db8::1", "2001:db8:0:1::1"];
        assert_eq!(got.map(|source| at(balance, source)).concat(), want, "{balance}");
        assert_eq!(at(balance, "::ffff:10.0.0.1"), at(balance, "10.0.0.1"));
        assert_eq!(at(balance, "2001:db8::1"), at(balance, "2001:db8::ffff:1"));
        let none = Ask { source: IpAddr::V6(Ipv6Addr::LOCALHOST), ..ask(0) };
        assert_eq!(list(plain(balance), "").pick(&Turns::default(), &none), None);
    }
}

#[test]
fn a_ring_is_that_of_ketama() {
    // Found by another program that follows libketama: the points of `a` to `e`, and the next one to MD5 of the key.
    let list = list(Settings { balance: Balance::Ring, by: HashKey::Path, ..Settings::default() }, "1 1 2 1 1");
    let at = |path: &str| {
        let fields = crate::exchange::Fields::new();
        let keyed = super::Keyed { path: path.as_bytes(), query: None, fields: &fields, certificate: None };
        list.name(&Turns::default(), &Ask { key: list.balancer.key(keyed), ..ask(0) })
    };
    let got = (0..24).map(|number| at(&format!("/{number}"))).collect::<String>();
    assert_eq!(got, "acceccccbcedbdbecbcaadbc");
}

#[test]
fn smooth_scores_follow_the_endpoint_not_its_place() {
    let (turns, mut list) = (Turns::default(), list(plain(Balance::Weighted), "5 1 1"));
    let go = |list: &List| list.balancer.seats[list.pick(&turns, &ask(0)).unwrap().index].name.clone();
    assert_eq!([go(&list), go(&list), go(&list)].concat(), "aab");
    let mut seats = list.balancer.seats.clone();
    seats.reverse();
    list.now.reverse();
    list.balancer = Balancer::new(plain(Balance::Weighted), seats);
    assert_eq!([go(&list), go(&list), go(&list), go(&list)].concat(), "acaa");
}

#[test]
fn workers_start_at_different_places() {
    let list = list(plain(Balance::RoundRobin), "1 1 1 1 1");
    let first = |seed| list.pick(&Turns::new(seed), &ask(0)).unwrap().index;
    assert_eq!(first(0), 0);
    assert!((1..20).any(|seed| first(seed) != 0));
    assert!(first(u64::MAX) < 5);
}

#[test]
fn weights_that_change_live_are_followed() {
    for balance in [Balance::Ring, Balance::Maglev] {
        let mut list = list(plain(balance), "1 1 1 1 1");
        let go = |list: &List| {
            let picks = (0..20_000_u32).map(|ip| {
                let ask = Ask { source: IpAddr::V4(Ipv4Addr::from_bits(ip)), ..ask(1) };
                list.pick(&Turns::default(), &ask).unwrap().index
            });
            picks.collect::<Vec<_>>()
        };
        let share = |picks: &[usize]| picks.iter().filter(|index| **index == 0).count() * 100 / picks.len();
        let before = go(&list);
        list.now[0].weight = 50;
        let half = go(&list);
        let kept = |(before, after): (&usize, &usize)| before == after || *before == 0;
        assert!(before.iter().zip(&half).all(kept), "{balance}: only its own keys move");
        assert!((share(&half) * 2).abs_diff(share(&before)) <= 2, "{balance}: {} of {}", share(&half), share(&before));
        list.now[0].weight = 500;
        list.balancer.follow(|index| list.now[index].weight / 100);
        assert!((45..65).contains(&share(&go(&list))), "{balance}: {} of five ninths", share(&go(&list)));
        list.now[0].weight = 100;
        list.balancer.follow(|index| list.now[index].weight / 100);
        assert_eq!(go(&list), before, "{balance}: as it was");
    }
}

#[test]
fn a_balancer_takes_over_the_tables_of_the_same_endpoints_only() {
    let balance = |text| list(plain(Balance::Maglev), text).balancer;
    let earlier = balance("1 1 2");
    earlier.follow(|_| 3);
    let after = |text, settings: Settings| {
        let seats = balance(text).seats;
        let taken = Balancer::after(Some(&earlier), settings, seats);
        taken.share_of_keys(2) == earlier.share_of_keys(2)
    };
    assert!(after("1 1 2", plain(Balance::Maglev)), "weights that were followed, too");
    assert!(!after("1 1 1 2", plain(Balance::Maglev)));
    assert!(!after("1 1 5", plain(Balance::Maglev)));
    assert!(!after("1 1 2", plain(Balance::Ring)));
}

#[test]
fn a_zone_keeps_what_it_can_carry() {
    for balance in [Balance::LeastRequest, Balance::Random, Balance::Maglev, Balance::RoundRobin] {
        for (text, want) in [
            ("@1 @1 @1 @1 1", 100),
            ("@1 @1 @1 !@1 1", 100),
            ("@1 @1 !@1 !@1 1", 71),
            ("@1 !@1 !@1 !@1 1", 36),
            ("!@1 !@1 !@1 !@1 1", 0),
            ("!@1 @1 !1 !1 !1", 100),
            ("1 1 1 +@1 +@1", 0),
        ] {
            let (turns, list) = (Turns::default(), list(Settings { enough: Some(70), ..plain(balance) }, text));
            let local = (0..10_000_u64).filter(|seed| {
                let source = IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(*seed).unwrap()));
                let choice = list.pick(&turns, &Ask { source, ..ask(*seed) }).unwrap();
                list.balancer.seats[choice.index].is_local
            });
            let got = local.count() / 100;
            assert!(got.abs_diff(want) <= 2, "{balance} over {text}: {got} %, not {want} %, stay");
        }
    }
}

#[test]
fn a_choice_explains_itself() {
    let say = |settings: Settings, text: &str| {
        let choice = list(settings, text).pick(&Turns::default(), &ask(1)).unwrap();
        choice.explain(|index| ["10.0.0.11", "10.0.0.12", "10.0.0.13"][index]).to_string()
    };
    let want = "least-request: 10.0.0.12 (in-flight 3) over 10.0.0.11 (in-flight 5)";
    let is = |balance, text: &str, want: &str| assert_eq!(say(plain(balance), text), want);
    is(Balance::LeastRequest, "1/5 1/3", want);
    is(Balance::LeastRequest, "!1 1", "least-request: 10.0.0.12, the only one that can take a request");
    let over = "least-connections: 10.0.0.13 (in-flight 1) over 10.0.0.12 (in-flight 3)";
    is(Balance::LeastConnections, "1/5 1/3 1/1", over);
    let cheaper = "peak-ewma: 10.0.0.12 (latency 2.0 ms, in-flight 3) over 10.0.0.11 (latency 30.0 ms, in-flight 1)";
    is(Balance::PeakEwma, "1/1~30 1/3~2", cheaper);
    is(Balance::RoundRobin, "1 1", "round-robin: 10.0.0.11 has its turn");
    is(Balance::Weighted, "1 3", "weighted: 10.0.0.12 has its turn (3 of 4)");
    is(Balance::Random, "!1 !1 1", "random: 10.0.0.13, the only one that can take a request");
    assert!(say(plain(Balance::SourceIp), "1 1").ends_with(", where this client address hashes to"));
    let moved = say(plain(Balance::Maglev), "!1 1 1");
    assert!(moved.ends_with("where this client address hashes to, cannot take it") || moved.ends_with("hashes to"));
    let backup = "round-robin: 10.0.0.12, the only one that can take a request; a backup, because no other endpoint can \
                  take a request";
    is(Balance::RoundRobin, "!1 +1", backup);
    let fallen = say(plain(Balance::Weighted), "!1 3:1 3:1");
    assert!(fallen.ends_with("; of priority 3, because none of a lower number can take a request"), "{fallen}");
    let zone = Settings { enough: Some(70), ..plain(Balance::RoundRobin) };
    assert!(say(zone, "!@1 1 1").ends_with("; outside the preferred zone, which has not enough usable weight"));
}
