// SPDX-License-Identifier: MIT OR Apache-2.0
//! The health of endpoints through random checks, and a whole upstream through outage and return in virtual time.

use std::time::Duration;

use weirgate::upstream::health::{Around, CheckOutcome, Failure, Health, Rules, Schedule, State};

const MS: u64 = 1_000_000;

/// How long a simulated check takes.
const CHECK_NS: u64 = 5 * MS;

fn outcome(good: bool) -> CheckOutcome {
    let failure = Failure::Status { got: 500, want: "200".into() };
    if good {
        CheckOutcome::Passed { took: Duration::from_nanos(CHECK_NS), note: None }
    } else {
        CheckOutcome::Failed(failure)
    }
}

#[test]
fn a_state_changes_only_after_its_run_of_checks() {
    super::simulate("health", |random| {
        for _ in 0..200 {
            let rules = Rules { fall: random.u32(1..6), rise: random.u32(1..6), ..Rules::default() };
            let start = [State::New, State::Unknown, State::Healthy, State::Unhealthy][random.usize(0..4)];
            let (mut health, mut good_run, mut bad_run) = (Health::new(start, 0), 0, 0);
            let (badness, mut schedule) = (random.u8(..), Schedule::new(rules, start, 0, random.u64(..)));
            for at in 1..1000 {
                let good = random.u8(..) >= badness;
                let around = if random.bool() { Around::Lit } else { Around::Dark };
                (good_run, bad_run) = if good { (good_run + 1, 0) } else { (0, bad_run + 1) };
                let before = health.state();
                let turn = health.observe(rules, outcome(good), around, at);
                let want = match (before, good) {
                    (State::New | State::Unknown, true) => State::Healthy,
                    (State::New, false) => State::Unhealthy,
                    (State::Unhealthy, true) if around == Around::Dark || good_run >= rules.rise => State::Healthy,
                    (State::Unknown | State::Healthy, false) if bad_run >= rules.fall => State::Unhealthy,
                    (same, _) => same,
                };
                assert_eq!(health.state(), want, "from {before:?} with {good_run} good, {bad_run} bad, {rules:?}");
                assert_eq!(turn.map(|turn| (turn.from, turn.to)), (before != want).then_some((before, want)));
                schedule.checked(rules, &health, around, at * MS);
                let wait = schedule.due_ns() / MS - at;
                assert!((150..=2200).contains(&wait), "{wait} ms after {health:?}");
                // Runs begin anew with each state.
                if before != want {
                    (good_run, bad_run) = (0, 0);
                }
            }
        }
    });
}

/// When all endpoints die at `down` and one returns at `up`: when the last was out, and when the first was back.
fn outage(random: &mut fastrand::Rng, rules: Rules, count: usize, down: u64, up: u64) -> (u64, u64) {
    let mut fleet: Vec<_> = (0..count)
        .map(|_| (Health::new(State::Unknown, 0), Schedule::new(rules, State::Unknown, 0, random.u64(..))))
        .collect();
    let mut out = 0;
    loop {
        let next = (0..count).min_by_key(|&index| fleet[index].1.due_ns()).expect("a fleet");
        let around = around(&fleet);
        let (health, schedule) = &mut fleet[next];
        let at = schedule.due_ns();
        let done = at + CHECK_NS;
        let good = at < down || (at >= up && next == 0);
        let turn = health.observe(rules, outcome(good), around, done);
        schedule.checked(rules, health, around, done);
        match turn {
            Some(turn) if turn.to == State::Healthy && at >= up => return (out, turn.at_ns),
            Some(turn) if turn.to == State::Unhealthy => {
                out = turn.at_ns;
                let around = self::around(&fleet);
                fleet.iter_mut().for_each(|(health, schedule)| schedule.hasten(rules, health, around, done));
            }
            _ => {}
        }
    }
}

fn around(fleet: &[(Health, Schedule)]) -> Around {
    if fleet.iter().any(|(health, _)| health.state().is_usable()) { Around::Lit } else { Around::Dark }
}

#[test]
fn an_outage_ends_within_six_tenths_of_a_second_of_the_first_return() {
    super::simulate("outage", |random| {
        for _ in 0..500 {
            let rules = Rules { interval: Duration::from_millis(random.u64(500..60_000)), ..Rules::default() };
            let interval = u64::try_from(rules.interval.as_nanos()).expect("short");
            let down = 3 * interval + random.u64(0..interval);
            let up = down + 5 * interval + random.u64(0..interval);
            let count = random.usize(1..8);
            let (out, back) = outage(random, rules, count, down, up);
            assert!(out - down <= interval * 2, "out {} ms after it died, {rules:?}", (out - down) / MS);
            assert!(back - up <= 600 * MS, "back {} ms after it returned, {rules:?}", (back - up) / MS);
        }
    });
}
