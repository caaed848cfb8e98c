// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every consumer has used of its plan, by name: carried over whatever happens to the configuration.
//!
//! A consumer that is gone is remembered until the periods in which it used something are over, so that one that comes
//! back has not got a fresh allowance.

use std::collections::HashMap;
use std::sync::Arc;

use weirgate_store::model::Model;

use crate::policy::plan::Usage;
use crate::policy::quota::Period;

const PERIODS: [Period; 4] = [Period::Minute, Period::Hour, Period::Day, Period::Month];

/// What the store knows a counter of a consumer by.
const OWNER: &str = "consumer/";

#[derive(Debug, Default)]
pub struct Usages {
    by_name: HashMap<Arc<str>, Arc<Usage>>,
}

impl Usages {
    /// Takes in what the store remembered; false if the owner is no consumer.
    pub fn restore(&mut self, owner: &str, state: u64) -> bool {
        let Some((name, period)) = parse(owner) else { return false };
        self.of(name).counter(period).restore(state);
        true
    }

    /// What a consumer has used; nothing, if it was not known.
    pub fn of(&mut self, name: &str) -> Arc<Usage> {
        if let Some(usage) = self.by_name.get(name) {
            return Arc::clone(usage);
        }
        let usage = Arc::<Usage>::default();
        self.by_name.insert(name.into(), Arc::clone(&usage));
        usage
    }

    /// What changed since the last call: owner and state.
    pub fn take_changed(&self) -> Vec<(String, u64)> {
        let of = |(name, usage): (&Arc<str>, &Arc<Usage>)| {
            let changed = |period| Some((owner(name, period), usage.counter(period).take_changed()?));
            PERIODS.into_iter().filter_map(changed).collect::<Vec<_>>()
        };
        self.by_name.iter().flat_map(of).collect()
    }

    /// It could not be kept: tell it again.
    pub fn keep_again(&self, owner: &str) {
        if let Some(usage) = parse(owner).and_then(|(name, period)| Some((self.by_name.get(name)?, period))) {
            usage.0.counter(usage.1).keep_again();
        }
    }

    /// Whether the store has to go on keeping an owner.
    pub fn knows(&self, owner: &str) -> bool {
        parse(owner).is_some_and(|(name, _)| self.by_name.contains_key(name))
    }

    /// Forgets those that are gone and owe nothing.
    pub(super) fn prune(&mut self, model: &Model, now_s: i64) {
        let owes = |usage: &Usage| PERIODS.into_iter().any(|period| usage.counter(period).may_count(period, now_s));
        self.by_name.retain(|name, usage| model.consumers.contains_key(&**name) || owes(usage));
    }
}

fn owner(name: &str, period: Period) -> String {
    format!("{OWNER}{name}/{}", period.word())
}

fn parse(owner: &str) -> Option<(&str, Period)> {
    let (name, word) = owner.strip_prefix(OWNER)?.rsplit_once('/')?;
    Some((name, PERIODS.into_iter().find(|period| period.word() == word)?))
}

#[cfg(test)]
mod tests {
    use super::{Model, Period, Usages, owner};
    use crate::policy::quota::{Moment, Window};

    const MOMENT: Moment = Moment { now_s: 36_000, window: Window { start_min: 600, end_min: 660 } };

    #[test]
    fn a_consumer_that_comes_back_has_used_what_it_had() {
        let mut usages = Usages::default();
        let usage = usages.of("alice");
        usage.counter(Period::Hour).charge(MOMENT, 10).unwrap();
        let changed = usages.take_changed();
        assert_eq!(changed.iter().map(|(owner, _)| owner.as_str()).collect::<Vec<_>>(), ["consumer/alice/hour"]);
        assert!(usages.take_changed().is_empty());
        usages.keep_again("consumer/alice/hour");
        assert_eq!(usages.take_changed(), changed);
        usages.prune(&Model::default(), 36_000 + 3_500);
        assert!(usages.knows("consumer/alice/hour"));
        assert_eq!(usages.of("alice").counter(Period::Hour).used(MOMENT), 1);
        usages.prune(&Model::default(), 36_000 + 3_600);
        assert!(!usages.knows("consumer/alice/hour"));
        assert!(usages.restore(&owner("alice", Period::Hour), changed[0].1) && !usages.restore("policy/a/hour", 1));
        assert_eq!(usages.of("alice").counter(Period::Hour).used(MOMENT), 1);
    }
}
