// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quotas over many threads, many keys and restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::tz::TimeZone;

use super::{Calendar, Period, QuotaTable};

const HOUR: i64 = 3600;

fn table(keys: usize) -> QuotaTable {
    QuotaTable::new(Arc::from("policy/q"), Calendar::new(Period::Hour, TimeZone::UTC), keys, [7; 32])
}

#[test]
fn eight_threads_together_get_exactly_the_quota_of_each_key() {
    let (table, requests) = (table(64), 1000);
    let granted: Vec<AtomicU64> = (0..16).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for round in 0..200 * granted.len() {
                    let at = round % granted.len();
                    if table.charge(table.key(0, &at.to_le_bytes()), table.moment(HOUR), requests).is_some() {
                        granted[at].fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    for (at, got) in granted.into_iter().enumerate() {
        assert_eq!(got.into_inner(), 1000, "key {at}");
    }
}

#[test]
fn a_table_keeps_every_key_that_it_is_made_for() {
    let table = table(4096);
    let key = |n: u64| table.key(1, &n.to_le_bytes());
    for _ in 0..3 {
        (0..4096).for_each(|n| assert!(table.charge(key(n), table.moment(HOUR), 3).is_some()));
    }
    assert!((0..4096).all(|n| table.charge(key(n), table.moment(HOUR), 3).is_none()));
    assert_eq!(table.forgotten(), 0);
    // In the next hour every cell is free again.
    (4096..8192).for_each(|n| assert!(table.charge(key(n), table.moment(2 * HOUR), 3).is_some()));
    assert_eq!(table.forgotten(), 0);
}

#[test]
fn of_too_many_keys_those_that_used_least_are_forgotten_and_counted() {
    let table = table(32);
    let (regular, moment) = (table.key(2, b"regular"), table.moment(HOUR));
    (0..100).for_each(|_| assert!(table.charge(regular, moment, 1000).is_some()));
    for stranger in 0..100_000_u64 {
        assert!(table.charge(table.key(3, &stranger.to_le_bytes()), moment, 1000).is_some());
    }
    assert_eq!(table.used(regular, moment), 100, "whoever used much is not forgotten for strangers");
    assert!(table.forgotten() >= 100_000 - 64, "{}", table.forgotten());
}

#[test]
fn what_was_told_is_what_a_table_of_any_size_counts_on_from() {
    let (before, after) = (table(1000), table(10));
    let key = |n: u64| before.key(4, &n.to_le_bytes());
    for n in 0..20 {
        (0..=n).for_each(|_| _ = before.charge(key(n), before.moment(HOUR), 100).unwrap());
    }
    let told = before.take_changed(HOUR);
    assert!(before.take_changed(HOUR).is_empty(), "told once");
    before.charge(key(3), before.moment(HOUR), 100).unwrap();
    let more = before.take_changed(HOUR);
    assert_eq!(more.len(), 1, "only the set that changed");
    before.keep_again([more[0].0]);
    assert_eq!(before.take_changed(HOUR), more);
    after.restore(told.into_iter().chain(more).flat_map(|(_, counts)| counts), HOUR);
    for n in 0..20 {
        let used = n + 1 + u64::from(n == 3);
        assert_eq!(after.used(key(n), after.moment(HOUR)), used, "key {n}");
        assert_eq!(after.used(key(n), after.moment(2 * HOUR)), 0, "key {n} in the next hour");
    }
    let again: usize = after.take_changed(HOUR).into_iter().map(|(_, counts)| counts.len()).sum();
    assert_eq!(again, 20, "in a table of another size they are in other sets");
}
