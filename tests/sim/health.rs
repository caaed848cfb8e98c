// SPDX-License-Identifier: MIT OR Apache-2.0
//! The health of endpoints through random checks and requests, and a whole upstream through outage and return in
//! virtual time. The invariants: states follow their runs of checks, never too many are ejected and one is always left,
//! ejections grow to a bound and end, shares only rise, nothing goes to the new, a hang is noticed within twenty requests.

use std::time::Duration;

use weirgate::upstream::health::{Around, CheckOutcome, Failure, Health, Rules, Schedule, State};
use weirgate::upstream::outlier::{self, Ejections, Spared};
use weirgate::upstream::passive::{Ending, Holds, Passive};
use weirgate::upstream::slow_start;

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

/// An endpoint of a simulated upstream: the real counts and the real history, and whether it fails requests.
struct Member {
    passive: Passive,
    ejections: Ejections,
    is_ill: bool,
    /// The last ejection: how long it was, and when it ended.
    last: Option<(Duration, u64)>,
}

fn well(fleet: &[Member], index: usize, rules: &outlier::Rules) -> bool {
    let passive = &fleet[index].passive;
    !passive.is_ejected() && (rules.consecutive == 0 || passive.streak() < rules.consecutive)
}

/// The others as the decision about one of them sees them.
fn group(fleet: &[Member], index: usize, rules: &outlier::Rules) -> outlier::Group {
    let others = || (0..fleet.len()).filter(|other| *other != index);
    outlier::Group {
        total: fleet.len(),
        ejected: others().filter(|other| fleet[*other].passive.is_ejected()).count(),
        answering: others().filter(|other| well(fleet, *other, rules)).count(),
    }
}

/// Requests to endpoints that fall ill and recover: never more than the share is ejected, one is always left, each
/// ejection soon after another is longer up to the bound, and each ends at its time.
#[test]
fn ejections_keep_their_bounds() {
    super::simulate("outlier", |random| {
        for _ in 0..250 {
            let eject = Duration::from_millis(random.u64(100..5_000));
            let rules = outlier::Rules {
                consecutive: random.u32(1..8),
                eject,
                eject_max: eject * random.u32(1..12),
                ejected_max: random.u32(0..=100),
                ..outlier::Rules::default()
            };
            let member = |_| {
                let passive = Passive::default();
                passive.count(Some(rules.consecutive));
                Member { passive, ejections: Ejections::default(), is_ill: false, last: None }
            };
            let mut fleet: Vec<Member> = (0..random.usize(1..12)).map(member).collect();
            let mut now = 0;
            for _ in 0..4_000 {
                now += random.u64(0..20) * MS;
                step(&mut fleet, &rules, random, now);
                let out = fleet.iter().filter(|member| member.passive.is_ejected()).count();
                assert!(out <= rules.most_of(fleet.len()), "{out} of {} are ejected, {rules:?}", fleet.len());
                assert!(out < fleet.len(), "nobody is left");
            }
        }
    });
}

fn step(fleet: &mut [Member], rules: &outlier::Rules, random: &mut fastrand::Rng, now: u64) {
    for member in fleet.iter_mut() {
        if member.ejections.end_if_over(now) {
            member.passive.set_ejected(false);
            member.passive.forget_streak();
        }
        let late = member.ejections.until_ns().is_some_and(|until| until <= now);
        assert!(!late && member.passive.is_ejected() == member.ejections.until_ns().is_some(), "out beyond its time");
    }
    let index = random.usize(0..fleet.len());
    if random.u8(..) < 5 {
        fleet[index].is_ill = !fleet[index].is_ill;
    }
    if !fleet[index].passive.allows(State::Unknown, Holds::Respected) {
        return;
    }
    fleet[index].passive.settle(if fleet[index].is_ill { Ending::Bad } else { Ending::Good });
    if fleet[index].passive.streak() < rules.consecutive {
        return;
    }
    let group = group(fleet, index, rules);
    let member = &mut fleet[index];
    match member.ejections.eject(rules, group, now) {
        Ok(lasts) => {
            assert!(group.answering > 0 && lasts >= rules.eject && lasts <= rules.eject_max, "{lasts:?}, {rules:?}");
            if let Some((before, ended)) = member.last.filter(|(_, ended)| now - ended < nanos(rules.eject)) {
                let longer = (before + rules.eject).min(rules.eject_max);
                assert!(lasts >= longer, "{lasts:?} after {before:?} that ended {} ms before", (now - ended) / MS);
            }
            member.last = Some((lasts, now + nanos(lasts)));
            member.passive.set_ejected(true);
        }
        Err(Spared::Last) => {
            for other in fleet.iter_mut() {
                if other.ejections.end(now) {
                    other.passive.set_ejected(false);
                    other.last = None;
                }
            }
        }
        Err(Spared::Ejected | Spared::Share { .. }) => {}
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("short")
}

/// Whatever is decided about an endpoint that was never checked, no request goes to it; and a share never falls, is
/// never nothing, and is whole at the end of its window.
#[test]
fn nothing_goes_to_the_new_and_shares_only_rise() {
    super::simulate("shares", |random| {
        for _ in 0..200_000 {
            let passive = Passive::default();
            passive.set_ejected(random.bool());
            passive.set_panic(random.bool());
            passive.set_aside(random.bool());
            assert!(!passive.allows(State::New, if random.bool() { Holds::Ignored } else { Holds::Respected }));
        }
        for _ in 0..20_000 {
            let window = Duration::from_millis(random.u64(0..120_000));
            let (mut at, mut last) = (Duration::ZERO, 0);
            loop {
                let (percent, next) = slow_start::share(window, at);
                assert!(percent >= last && percent > 0, "{percent} after {last} at {at:?} of {window:?}");
                last = percent;
                let Some(next) = next else { break };
                // The checker may be late.
                at += next + Duration::from_millis(random.u64(0..50));
            }
            assert!(last == 100 && at <= window + Duration::from_millis(50), "{last} at {at:?} of {window:?}");
        }
    });
}

/// An endpoint of any usual time that hangs at any rate of requests: fewer than twenty are sent while it is measured,
/// as long as requests do not come faster than it can be noticed; the first reply lifts the hold; and one that answers
/// in its usual times is never held.
#[test]
fn a_hang_is_noticed_and_good_endpoints_are_not_held() {
    super::simulate("hang", |random| {
        for _ in 0..4_000 {
            let usual = random.u64(1..200) * MS;
            let every = random.u64(usual.max(5 * MS) * 2 / 3..2_000 * MS);
            let passive = Passive::default();
            let mut now = 0;
            for _ in 0..200 {
                now += every;
                passive.begun(now);
                assert!(!passive.is_held(), "held at {every} ns, usual {usual} ns, though it answers");
                passive.answered(Duration::from_nanos(random.u64(usual / 2..usual * 3 / 2)));
            }
            let mut sent = 0;
            while passive.allows(State::Unknown, Holds::Respected) {
                now += every;
                passive.begun(now);
                sent += 1;
                assert!(sent < 20, "{sent} requests to a hung endpoint, every {every} ns, usual {usual} ns");
            }
            passive.answered(Duration::from_nanos(now));
            assert!(!passive.is_held());
        }
    });
}
