// SPDX-License-Identifier: MIT OR Apache-2.0
//! The balancers through one `check`: a row is a list of endpoints in short form and the endpoints that follow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Ask, Balance, Candidate, Choice, Turns, identity};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// `5/2` is weight 5 with two requests in flight; `!` unusable, `+` backup.
fn endpoints(text: &str) -> Vec<Candidate> {
    let one = |(index, word): (usize, &str)| {
        let digits = word.trim_start_matches(['!', '+']);
        let (weight, in_flight) = digits.split_once('/').unwrap_or((digits, "0"));
        Candidate {
            identity: identity(NAMES[index % NAMES.len()]),
            weight: weight.parse().unwrap(),
            usable: !word.contains('!'),
            backup: word.contains('+'),
            in_flight: in_flight.parse().unwrap(),
        }
    };
    text.split_whitespace().enumerate().map(one).collect()
}

fn pick(balance: Balance, turns: &Turns, list: &[Candidate], seed: u64) -> Option<Choice> {
    let ask = Ask { source: IpAddr::V4(Ipv4Addr::LOCALHOST), seed };
    balance.pick(turns, ask, list.len(), |index| list[index])
}

#[track_caller]
fn check(balance: Balance, list: &str, want: &str) {
    let (turns, list) = (Turns::default(), endpoints(list));
    let picks = (0..want.len() as u64).map(|seed| pick(balance, &turns, &list, seed));
    let got: String = picks.map(|choice| choice.map_or("-", |choice| NAMES[choice.index])).collect();
    assert_eq!(got, want, "{balance} over {list:?}");
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
    check(Balance::LeastRequest, "1/5 1/3 1/9", "bbbb");
    check(Balance::LeastRequest, "4/4 1/2", "aaaa");
    check(Balance::LeastRequest, "4/9 1/2", "bbbb");
    check(Balance::LeastRequest, "!1 0 1/900 +1", "cccc");
    check(Balance::LeastRequest, "!1 0 +1/3 +1/2", "dddd");
    check(Balance::LeastRequest, "!1 0 !1 +0 +1", "eeee");
    check(Balance::LeastRequest, "!1 !1 !1 !1 0", "-");
    check(Balance::LeastRequest, "", "-");
}

#[test]
fn ties_of_least_request_are_drawn_by_weight() {
    for list in ["3 1", "3 1 0 !1 +9"] {
        let (turns, list) = (Turns::default(), endpoints(list));
        let picks = (0..40_000).filter_map(|seed| pick(Balance::LeastRequest, &turns, &list, seed));
        let first = picks.filter(|choice| choice.index == 0).count();
        assert!((29_000..31_000).contains(&first), "{first} of 40,000 for three quarters of the weight");
    }
}

#[test]
fn source_ip_is_the_same_on_every_node_and_version() {
    let list = endpoints("1 1 2 1 1");
    let at = |source: &str| {
        let ask = Ask { source: source.parse().unwrap(), seed: 7 };
        let choice = Balance::SourceIp.pick(&Turns::default(), ask, list.len(), |index| list[index]);
        NAMES[choice.unwrap().index]
    };
    // Changing one of these letters moves the clients of every installation: it needs a release note.
    let got = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "192.0.2.77", "2001:db8::1", "2001:db8:0:1::1"].map(at);
    assert_eq!(got.concat(), "ecccdc");
    assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
    assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
    let none = Ask { source: IpAddr::V6(Ipv6Addr::LOCALHOST), seed: 0 };
    assert_eq!(Balance::SourceIp.pick(&Turns::default(), none, 0, |index| list[index]), None);
}

#[test]
fn smooth_scores_follow_the_endpoint_not_its_place() {
    let (turns, mut list) = (Turns::default(), endpoints("5 1 1"));
    let go = |list: &[Candidate]| list[pick(Balance::Weighted, &turns, list, 0).unwrap().index].identity;
    let (a, b, c) = (identity("a"), identity("b"), identity("c"));
    assert_eq!([go(&list), go(&list), go(&list)], [a, a, b]);
    list.reverse();
    assert_eq!([go(&list), go(&list), go(&list), go(&list)], [a, c, a, a]);
}

#[test]
fn workers_start_at_different_places() {
    let list = endpoints("1 1 1 1 1");
    let first = |seed| pick(Balance::RoundRobin, &Turns::new(seed), &list, 0).unwrap().index;
    assert_eq!(first(0), 0);
    assert!((1..20).any(|seed| first(seed) != 0));
    assert!(first(u64::MAX) < 5);
}

#[test]
fn a_choice_explains_itself() {
    let names = ["10.0.0.11", "10.0.0.12"];
    let say = |balance, list: &str| {
        let choice = pick(balance, &Turns::default(), &endpoints(list), 1).unwrap();
        choice.explain(|index| names[index]).to_string()
    };
    let want = "least-request: 10.0.0.12 (in-flight 3) over 10.0.0.11 (in-flight 5)";
    assert_eq!(say(Balance::LeastRequest, "1/5 1/3"), want);
    assert_eq!(say(Balance::LeastRequest, "!1 1"), "least-request: 10.0.0.12, the only one that can take a request");
    assert_eq!(say(Balance::RoundRobin, "1 1"), "round-robin: 10.0.0.11 has its turn");
    assert_eq!(say(Balance::Weighted, "1 3"), "weighted: 10.0.0.12 has its turn (3 of 4)");
    assert!(say(Balance::SourceIp, "1 1").starts_with("source-ip: 10.0.0.1"));
}
