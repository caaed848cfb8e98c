// SPDX-License-Identifier: MIT OR Apache-2.0
//! The register of all meters, by what they count and its name.
//!
//! Only the control side comes here: `compile` asks for the meter of each object by name, so an object that stays
//! keeps its counts over any number of revisions, and puts the handle into the snapshot. The request path has the
//! handle and never sees the register. Meters of objects that are gone are pruned.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cells::Meter;
use super::copies::Copies;

/// Most consumers that have counters of their own; the others share one.
pub const CONSUMERS_MAX: usize = 10_000;

/// The name that stands for all consumers beyond the bound.
pub(super) const OTHER: &str = "other";

/// What a meter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metered {
    Route,
    Upstream,
    /// By `upstream/address`.
    Endpoint,
    Consumer,
    /// A side of a route's split, by `route/upstream`.
    Side,
}

type ByName = HashMap<Arc<str>, Arc<Meter>>;

/// All meters of the daemon.
#[derive(Debug)]
pub struct Meters {
    workers: usize,
    total: Arc<Meter>,
    routes: Mutex<ByName>,
    upstreams: Mutex<ByName>,
    endpoints: Mutex<ByName>,
    consumers: Mutex<ByName>,
    sides: Mutex<ByName>,
    mirrors: Mutex<HashMap<Arc<str>, Arc<Copies>>>,
}

impl Meters {
    /// An empty register for so many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            total: Arc::new(Meter::new(workers)),
            routes: Mutex::default(),
            upstreams: Mutex::default(),
            endpoints: Mutex::default(),
            consumers: Mutex::default(),
            sides: Mutex::default(),
            mirrors: Mutex::default(),
        }
    }

    /// How many workers count.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The meter of every exchange.
    pub fn total(&self) -> &Arc<Meter> {
        &self.total
    }

    /// The meter of that name, made if there is none.
    pub fn meter(&self, kind: Metered, name: &str) -> Arc<Meter> {
        let mut table = self.table(kind);
        if let Some(meter) = table.get(name) {
            return Arc::clone(meter);
        }
        let full = kind == Metered::Consumer && table.len() >= CONSUMERS_MAX;
        let name = if full { OTHER } else { name };
        Arc::clone(table.entry(Arc::from(name)).or_insert_with(|| Arc::new(Meter::new(self.workers))))
    }

    /// Forgets the meters of names that are gone. Exchanges still in flight count into the handle they hold.
    pub fn prune(&self, kind: Metered, keep: impl Fn(&str) -> bool) {
        self.table(kind).retain(|name, _| keep(name) || (kind == Metered::Consumer && &**name == OTHER));
    }

    /// The meters that have counted something.
    pub fn used(&self, kind: Metered) -> Vec<(Arc<str>, Arc<Meter>)> {
        let table = self.table(kind);
        let used = table.iter().filter(|(_, meter)| meter.used());
        used.map(|(name, meter)| (Arc::clone(name), Arc::clone(meter))).collect()
    }

    /// The counts of the mirror of that route, made if there are none.
    pub fn copies(&self, route: &str) -> Arc<Copies> {
        let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(mirrors.entry(Arc::from(route)).or_default())
    }

    /// The counts of all mirrors, by route.
    pub fn mirrors(&self) -> Vec<(Arc<str>, Arc<Copies>)> {
        let mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        mirrors.iter().map(|(route, copies)| (Arc::clone(route), Arc::clone(copies))).collect()
    }

    /// Forgets the mirrors of routes that have none any more.
    pub fn prune_mirrors(&self, keep: impl Fn(&str) -> bool) {
        self.mirrors.lock().unwrap_or_else(PoisonError::into_inner).retain(|route, _| keep(route));
    }

    fn table(&self, kind: Metered) -> MutexGuard<'_, ByName> {
        let table = match kind {
            Metered::Route => &self.routes,
            Metered::Upstream => &self.upstreams,
            Metered::Endpoint => &self.endpoints,
            Metered::Consumer => &self.consumers,
            Metered::Side => &self.sides,
        };
        // A register of handles is whole after any panic.
        table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{CONSUMERS_MAX, Metered, Meters, OTHER};
    use crate::observe::Outcome;
    use std::sync::Arc;

    #[test]
    fn an_object_that_stays_keeps_its_counts() {
        let meters = Meters::new(1);
        meters.meter(Metered::Route, "a").record(0, &Outcome::default());
        meters.meter(Metered::Route, "gone").record(0, &Outcome::default());
        meters.prune(Metered::Route, |name| name == "a");
        assert_eq!(meters.meter(Metered::Route, "a").requests(), 1);
        assert_eq!(meters.meter(Metered::Route, "gone").requests(), 0, "was pruned");
        assert_eq!(meters.meter(Metered::Upstream, "a").requests(), 0, "another kind is another meter");
    }

    #[test]
    fn consumers_beyond_the_bound_share_a_meter() {
        let meters = Meters::new(1);
        for n in 0..CONSUMERS_MAX {
            meters.meter(Metered::Consumer, &n.to_string());
        }
        let one = meters.meter(Metered::Consumer, "one-more");
        let two = meters.meter(Metered::Consumer, "and-another");
        assert!(Arc::ptr_eq(&one, &two));
        one.record(0, &Outcome::default());
        let used: Vec<_> = meters.used(Metered::Consumer).into_iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(used, [OTHER]);
    }
}
