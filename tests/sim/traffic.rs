// SPDX-License-Identifier: MIT OR Apache-2.0
//! Splits and canaries over many callers, weights and plans, in virtual time.
//!
//! Invariants, each the name of a test: shares are those of the weights; a caller stays on its side while weights do, and
//! moves only to a side that has grown against its own; a canary is what a reference of four lines says, after every
//! look, word of an operator and restart, and callers move only the way that its share does.

use std::time::Duration;

use weirgate::route::canary::{OnTrouble, Plan, Progress, Seen, State, Verb};
use weirgate::route::split::{WHOLE, pick, point_of};

/// Sides by identity and weight, at least one of them with a weight.
fn sides(random: &mut fastrand::Rng) -> Vec<(u64, u32)> {
    let most = [1, 3, 100, 10_000][random.usize(0..4)];
    let mut sides: Vec<_> = (0..random.usize(1..8)).map(|_| (random.u64(..), random.u32(0..=most))).collect();
    let some = random.usize(0..sides.len());
    sides[some].1 = sides[some].1.max(1);
    sides
}

fn side_of(caller: u64, sides: &[(u64, u32)]) -> usize {
    let side = pick(caller, sides.iter().copied()).expect("one has a weight");
    assert!(sides[side].1 > 0, "{caller:#x} went to a side of weight 0 among {sides:?}");
    side
}

#[test]
fn shares_are_those_of_the_weights() {
    super::simulate("split shares", |random| {
        for _ in 0..60 {
            let (sides, callers) = (sides(random), 10_000);
            let mut counts = vec![0_u32; sides.len()];
            (0..callers).for_each(|_| counts[side_of(random.u64(..), &sides)] += 1);
            let total: u32 = sides.iter().map(|(_, weight)| weight).sum();
            for ((_, weight), count) in sides.iter().zip(counts) {
                let share = f64::from(*weight) / f64::from(total);
                let (want, sigma) = (f64::from(callers) * share, (f64::from(callers) * share * (1.0 - share)).sqrt());
                let off = (f64::from(count) - want).abs();
                assert!(off <= 6.0 * sigma, "{count} of {callers} callers for {weight} of {total} among {sides:?}");
            }
        }
    });
}

#[test]
fn a_caller_stays_and_moves_only_to_a_side_that_has_grown_against_its_own() {
    super::simulate("split moves", |random| {
        for _ in 0..300 {
            let mut sides = sides(random);
            let callers: Vec<u64> = (0..500).map(|_| random.u64(..)).collect();
            let mut at: Vec<usize> = callers.iter().map(|caller| side_of(*caller, &sides)).collect();
            for change in 0..6 {
                let before = sides.clone();
                for (_, weight) in &mut sides {
                    *weight = [*weight, *weight, random.u32(0..=10_000), 0][random.usize(0..4)];
                }
                let some = random.usize(0..sides.len());
                sides[some].1 = sides[some].1.max(1);
                // The order in which a configuration names its sides says nothing.
                let turned = random.usize(0..sides.len());
                sides.rotate_left(turned);
                let place = |side: usize| (side + sides.len() - turned) % sides.len();
                for (caller, at) in callers.iter().zip(&mut at) {
                    let (from, to) = (*at, side_of(*caller, &sides));
                    let ((_, old_from), (_, new_from)) = (before[from], sides[place(from)]);
                    let ((_, old_to), (_, new_to)) = (before[(to + turned) % sides.len()], sides[to]);
                    let has_grown = u64::from(new_to) * u64::from(old_from) > u64::from(old_to) * u64::from(new_from);
                    let is_same = to == place(from);
                    assert!(is_same || has_grown, "change {change}: {caller:#x} from {before:?} to {sides:?}");
                    *at = to;
                }
            }
        }
    });
}

/// What stands for the requests of a canary's side, and for the store.
struct Run {
    plan: Plan,
    progress: Progress,
    /// Since the step began, or since the start if that is later.
    seen: Seen,
    now_ms: i64,
    callers: Vec<u64>,
    sides: [u64; 2],
}

/// What the requests of a step say by a count of their own: one of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    TooFew,
    Trouble,
    Fine,
}

fn verdict(plan: &Plan, seen: Seen) -> Verdict {
    let (requests, errors) = (seen.requests as f64, seen.errors as f64);
    let is_slow =
        plan.latency_max.is_some_and(|most| u128::from(seen.micros / seen.requests.max(1)) > most.as_micros());
    match () {
        () if seen.requests < plan.requests => Verdict::TooFew,
        () if seen.requests == 0 => Verdict::Fine,
        () if errors / requests > f64::from(plan.errors_max) / 100.0 + 1e-12 || is_slow => Verdict::Trouble,
        () => Verdict::Fine,
    }
}

fn plan(random: &mut fastrand::Rng) -> Plan {
    let mut steps: Vec<u16> = (0..random.usize(1..6)).map(|_| random.u16(1..=100)).collect();
    steps.sort_unstable();
    steps.dedup();
    Plan {
        upstream: "next".to_owned(),
        steps,
        every: Duration::from_millis(random.u64(1..60_000)),
        errors_max: random.u16(0..=100),
        latency_max: random.bool().then(|| Duration::from_micros(random.u64(1_000..200_000))),
        requests: random.u64(0..300),
        on_trouble: if random.bool() { OnTrouble::Back } else { OnTrouble::Stop },
    }
}

impl Run {
    fn new(random: &mut fastrand::Rng) -> Self {
        let now_ms = random.i64(0..1_000_000_000);
        let sides = ["old", "next"].map(|name| point_of(name.as_bytes()));
        let callers = (0..40).map(|_| random.u64(..)).collect();
        let progress = Progress::start("begun", now_ms);
        Self { plan: plan(random), progress, seen: Seen::default(), now_ms, callers, sides }
    }

    fn percent(&self) -> u16 {
        self.progress.percent(&self.plan)
    }

    /// Who of the callers is on the new side.
    fn taken(&self) -> Vec<bool> {
        let share = self.percent();
        let sides = [(self.sides[0], u32::from(WHOLE - share)), (self.sides[1], u32::from(share))];
        self.callers.iter().map(|caller| side_of(*caller, &sides) == 1).collect()
    }

    /// Requests come in for a while.
    fn pass(&mut self, random: &mut fastrand::Rng, badness: u64) {
        self.now_ms += random.i64(0..2_000);
        let requests = random.u64(0..40);
        self.seen.requests += requests;
        self.seen.errors += (0..requests).filter(|_| random.u64(0..100) < badness).count() as u64;
        self.seen.micros += requests * random.u64(500..20_000 + badness * 3_000);
    }

    /// Takes another standing, and looks at who moves by it.
    fn turn(&mut self, next: Progress, step: u32) {
        let (before, taken) = (self.percent(), self.taken());
        (self.progress, self.seen) = (next, Seen::default());
        let (after, now_taken) = (self.percent(), self.taken());
        for (was, is) in taken.iter().zip(&now_taken) {
            assert!(was == is || *is == (after > before), "step {step}: from {before}% to {after}%: {was} to {is}");
        }
        if after == 0 || after == WHOLE {
            assert!(now_taken.iter().all(|is| *is == (after == WHOLE)), "step {step}: {after}%");
        }
        assert_eq!(self.progress.since_ms, self.now_ms, "step {step}");
    }

    fn look(&mut self, step: u32) {
        let (at, plan, verdict) = (&self.progress, &self.plan, verdict(&self.plan, self.seen));
        let next = at.look(plan, self.seen, self.now_ms);
        let is_over = self.now_ms - at.since_ms >= i64::try_from(plan.every.as_millis()).expect("short");
        let moves = at.state == State::Moving && (verdict == Verdict::Trouble || verdict == Verdict::Fine && is_over);
        let got = next.as_ref().map(|next| (next.state, next.step));
        let (place, last) = (at.step, u32::try_from(plan.steps.len()).expect("few") - 1);
        let want = match (verdict, plan.on_trouble) {
            (Verdict::Trouble, OnTrouble::Back) => (State::Back, None),
            (Verdict::Trouble, OnTrouble::Stop) => (State::Stopped, place),
            _ if place == Some(last) => (State::Done, place),
            _ => (State::Moving, place.map(|place| place + 1)),
        };
        let seen = self.seen;
        assert_eq!(got, moves.then_some(want), "step {step}: {at:?} with {seen:?}, {verdict:?} by {plan:?}");
        let (Some(next), before) = (next, self.percent()) else { return };
        self.turn(next, step);
        let after = self.percent();
        match self.progress.state {
            State::Moving => assert!(after > before, "step {step}: rose from {before}% to {after}%"),
            State::Done | State::Stopped => assert_eq!(after, before, "step {step}: it stays"),
            State::Back => assert_eq!(after, 0, "step {step}: it went back"),
        }
    }

    fn ask(&mut self, verb: Verb, step: u32) {
        let (state, place) = (self.progress.state, self.progress.step);
        let want = match (verb, state) {
            (Verb::Start, _) => Some((State::Moving, Some(0))),
            (Verb::Stop, State::Moving) => Some((State::Stopped, place)),
            (Verb::Resume, State::Stopped) => Some((State::Moving, place)),
            (Verb::Back, State::Moving | State::Stopped | State::Done) => Some((State::Back, None)),
            _ => None,
        };
        let next = self.progress.ask(&self.plan, verb, "ana", self.now_ms);
        let got = next.as_ref().ok().map(|next| (next.state, next.step));
        assert_eq!(got, want, "step {step}: {verb:?} of {state:?} gave {next:?}");
        if let Ok(next) = next {
            self.turn(next, step);
        }
    }

    /// The process starts anew: what the store keeps is all that is known, and nothing is counted.
    fn restart(&mut self, step: u32) {
        let before = (self.progress.clone(), self.percent(), self.taken());
        let Progress { state, step: place, since_ms, reason } = self.progress.clone();
        let state = State::of(state.word()).expect("a word of ours");
        self.progress = Progress { state, step: place, since_ms, reason };
        self.seen = Seen::default();
        assert_eq!(
            (self.progress.clone(), self.percent(), self.taken()),
            before,
            "step {step}: a restart moves nothing"
        );
    }
}

#[test]
fn a_canary_rises_stops_and_goes_back_as_its_plan_says_and_nothing_else_moves_it() {
    super::simulate("canary", |random| {
        let mut ends = [0_u32; 4];
        for _ in 0..250 {
            let (mut run, mut badness) = (Run::new(random), random.u64(0..10));
            for step in 0..3_000 {
                if random.u8(..) == 0 {
                    badness = [0, 0, 2, 10, 60][random.usize(0..5)];
                }
                run.pass(random, badness);
                match random.u16(0..1_000) {
                    0 => run.ask(Verb::Start, step),
                    1 => run.ask(Verb::Stop, step),
                    2..6 => run.ask(Verb::Resume, step),
                    6 => run.ask(Verb::Back, step),
                    7..12 => run.restart(step),
                    _ => {}
                }
                run.look(step);
            }
            let states = [State::Moving, State::Done, State::Stopped, State::Back];
            for (count, state) in ends.iter_mut().zip(states) {
                *count += u32::from(state == run.progress.state);
            }
        }
        assert!(ends.iter().all(|count| *count > 0), "not every end was seen: {ends:?}");
    });
}
