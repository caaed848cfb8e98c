// SPDX-License-Identifier: MIT OR Apache-2.0
//! The limit table against a bucket per key in a map, over a million requests.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use weirgate::policy::quota::{Calendar, Period, QuotaTable};
use weirgate::policy::rate_limit::{Limiter, Rate};

const STEPS: u32 = 1_000_000;

/// A bucket that leaks one nanosecond per nanosecond and holds a burst of steps: the other way to say GCRA.
#[derive(Default)]
struct Bucket {
    level: u64,
    at: u64,
}

impl Bucket {
    fn charge(&mut self, rate: Rate, now: u64) -> Result<u32, u64> {
        self.level = self.level.saturating_sub(now - self.at);
        self.at = now;
        let room = rate.span_ns() - self.level;
        if room < rate.step_ns() {
            return Err(rate.step_ns() - room);
        }
        self.level += rate.step_ns();
        Ok(u32::try_from((room - rate.step_ns()) / rate.step_ns()).expect("a burst is a u32"))
    }
}

#[test]
fn the_table_agrees_with_a_bucket_per_key() {
    super::simulate("limit", |random| {
        let limiter = Limiter::new(1024);
        let rates: Vec<_> = (0..40).map(|_| rate(random)).collect();
        let quick = Rate::new(1_000_000_000, 1_000_000_000, 1).expect("a sound rate");
        let mut buckets: HashMap<usize, Bucket> = HashMap::new();
        let mut now = 1;
        for step in 0..STEPS {
            now += random.u64(0..2_000_000);
            let who = random.usize(0..rates.len());
            let (rate, key) = (rates[who], limiter.key(0, &who.to_le_bytes()));
            let bucket = buckets.entry(who).or_default();
            let want = bucket.charge(rate, now);
            let got = limiter.charge(key, rate, now).map(|left| left.requests);
            assert_eq!(got, want, "step {step}, key {who}, {rate:?}");
            if got.is_ok() && random.u8(..) < 30 {
                limiter.refund(key, rate);
                bucket.level -= rate.step_ns();
            }
            // Strangers come by and are forgotten again; that must not be felt.
            let stranger = limiter.key(1, &random.u64(..).to_le_bytes());
            assert!(limiter.charge(stranger, quick, now).is_ok(), "step {step}");
        }
    });
}

/// However many keys come by, the table stays as it was made, and whoever used more than they did is not forgotten.
#[test]
fn strangers_without_number_forget_nobody_who_works() {
    // Ten million, where the code is fast enough for that.
    let strangers: u64 = if cfg!(debug_assertions) { 300_000 } else { 10_000_000 };
    super::simulate("strangers", |random| {
        let table = QuotaTable::new("policy/q".into(), Calendar::new(Period::Day, TimeZone::UTC), 4_096, [5; 32]);
        let limiter = Limiter::new(4_096);
        let slow = Rate::new(1, 3_600_000_000_000, 100).expect("a sound rate");
        let (sets, cells) = (table.sets(), limiter.cells());
        let regulars: Vec<u64> = (0..50).map(|_| random.u64(..)).collect();
        let moment = table.moment(1_000_000);
        for step in 0..strangers {
            assert!(table.charge(random.u64(..), moment, 10).is_some());
            assert!(limiter.charge(limiter.key(0, &random.u64(..).to_le_bytes()), slow, 1 + step).is_ok());
            if step % 100 == 0 {
                regulars.iter().for_each(|key| _ = table.charge(*key, moment, 1_000_000_000));
            }
        }
        for key in regulars {
            assert_eq!(table.used(key, moment), strangers.div_ceil(100), "a regular was forgotten");
        }
        assert_eq!((table.sets(), limiter.cells()), (sets, cells));
        assert!(table.forgotten() > strangers / 2, "they are counted: {}", table.forgotten());
    });
}

fn rate(random: &mut fastrand::Rng) -> Rate {
    Rate::new(random.u64(1..200), random.u64(1..3_000_000_000), random.u32(1..100)).expect("a sound rate")
}

#[test]
fn no_window_holds_more_than_its_share() {
    super::simulate("window", |random| {
        for _ in 0..20 {
            let (limiter, rate) = (Limiter::new(8), rate(random));
            let (key, mut now, mut granted) = (limiter.key(0, b"k"), 1, Vec::new());
            for _ in 0..2000 {
                now += random.u64(0..rate.step_ns().max(2));
                if limiter.charge(key, rate, now).is_ok() {
                    granted.push(now);
                }
            }
            for (first, from) in granted.iter().enumerate() {
                for (last, to) in granted.iter().enumerate().skip(first).step_by(7) {
                    let most = (to - from) / rate.step_ns() + u64::from(rate.burst());
                    assert!(((last - first) as u64) < most, "{rate:?} between {from} and {to}");
                }
            }
        }
    });
}
