// SPDX-License-Identifier: MIT OR Apache-2.0
//! The numbers of each second, for the console: what every meter gained since the second before.
//!
//! Runs on the control runtime and only while somebody listens: an idle daemon with no console does nothing here. The
//! size of a frame is bounded by naming only the busiest objects of each kind; the totals are always whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use weirgate_store::wire::{Event, Frame, LatencyHistogram, Rates};

use super::cells::{Meter, Totals};
use super::histogram::{BUCKETS, upper_us};
use super::{Metered, Observer, process};
use crate::clock;

/// Objects of one kind that one frame names, the busiest first.
pub const OBJECTS_MAX: usize = 500;

/// How often a frame is made.
pub const PERIOD: Duration = Duration::from_secs(1);

/// Publishes one frame a second until the future is dropped. `connections` says how many clients are connected.
pub async fn run(observer: Arc<Observer>, connections: impl Fn() -> u64 + Send) {
    let mut sampler = Sampler::new(Arc::clone(&observer));
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if observer.subscribers() == 0 {
            sampler.forget();
            continue;
        }
        let frame = sampler.sample(clock::now(), connections());
        observer.publish(Event::Traffic(frame));
    }
}

/// What one object had counted at the last frame.
#[derive(Debug)]
struct Seen {
    /// Tells a pruned and remade meter of the same name from the old one.
    meter: Arc<Meter>,
    totals: Totals,
}

#[derive(Debug, Default)]
struct Earlier {
    at: Option<Instant>,
    total: Totals,
    objects: [HashMap<Arc<str>, Seen>; 4],
    cpu_seconds: Vec<f64>,
}

/// Makes frames out of differences.
#[derive(Debug)]
pub struct Sampler {
    observer: Arc<Observer>,
    earlier: Earlier,
    sequence: u64,
}

impl Sampler {
    /// A sampler whose first frame has no rates: it has no second before.
    pub fn new(observer: Arc<Observer>) -> Self {
        Self { observer, earlier: Earlier::default(), sequence: 0 }
    }

    /// Gives back the memory of the last frame; the next one is a first one again.
    pub fn forget(&mut self) {
        self.earlier = Earlier::default();
    }

    /// The numbers since the last call.
    pub fn sample(&mut self, now: Instant, connections: u64) -> Frame {
        let first = self.earlier.at.is_none();
        let elapsed = self.earlier.at.map_or(PERIOD, |at| now.duration_since(at));
        self.earlier.at = Some(now);
        self.sequence += 1;
        let [routes, upstreams, endpoints, consumers] =
            [Metered::Route, Metered::Upstream, Metered::Endpoint, Metered::Consumer].map(|k| self.objects(k, first));
        let total = self.observer.meters.total().sum();
        let gained = if first { idle(&total) } else { total.since(&self.earlier.total) };
        self.earlier.total = total;
        Frame {
            time_ms: clock::wall_ms(),
            sequence: self.sequence,
            connections,
            total: rates(&gained),
            latency: latency(&gained),
            routes,
            endpoints,
            upstreams,
            consumers,
            memory_bytes: process::memory_bytes(),
            worker_cpu_percent: self.cpu_percent(elapsed),
        }
    }

    fn objects(&mut self, kind: Metered, first: bool) -> BTreeMap<String, Rates> {
        let Some(seen) = self.earlier.objects.get_mut(kind as usize) else { return BTreeMap::new() };
        let mut before = std::mem::take(seen);
        let mut busy: Vec<(Arc<str>, Rates)> = Vec::new();
        for (name, meter) in self.observer.meters.used(kind) {
            let old = before.remove(&name).filter(|old| Arc::ptr_eq(&old.meter, &meter));
            let old = match old {
                // Quiet: nothing to say, and no histogram to add up.
                Some(old) if old.totals.requests == meter.requests() && meter.in_flight() == 0 => {
                    seen.insert(name, old);
                    continue;
                }
                other => other,
            };
            let totals = meter.sum();
            let gained = match old {
                Some(old) => totals.since(&old.totals),
                None if first => idle(&totals),
                None => totals.clone(),
            };
            busy.push((Arc::clone(&name), rates(&gained)));
            seen.insert(name, Seen { meter, totals });
        }
        busiest(busy)
    }

    fn cpu_percent(&mut self, elapsed: Duration) -> Vec<f32> {
        let now: Vec<f64> = self.observer.threads().map(process::thread_cpu_seconds).collect();
        let before = std::mem::replace(&mut self.earlier.cpu_seconds, now.clone());
        let share = |(index, now): (usize, &f64)| {
            let before = before.get(index).copied().unwrap_or(*now);
            ((now - before).max(0.0) / elapsed.as_secs_f64().max(0.001) * 100.0) as f32
        };
        now.iter().enumerate().map(share).collect()
    }
}

/// A first look: nothing gained yet, but what is in flight is in flight.
fn idle(totals: &Totals) -> Totals {
    Totals { in_flight: totals.in_flight, ..Totals::default() }
}

fn busiest(mut busy: Vec<(Arc<str>, Rates)>) -> BTreeMap<String, Rates> {
    if busy.len() > OBJECTS_MAX {
        busy.select_nth_unstable_by_key(OBJECTS_MAX, |(_, rates)| std::cmp::Reverse(rates.requests));
        busy.truncate(OBJECTS_MAX);
    }
    busy.into_iter().map(|(name, rates)| (name.to_string(), rates)).collect()
}

fn rates(gained: &Totals) -> Rates {
    Rates {
        requests: gained.requests,
        client_errors: gained.client_errors,
        server_errors: gained.server_errors,
        refused: gained.refused,
        bytes_in: gained.bytes_in,
        bytes_out: gained.bytes_out,
        in_flight: gained.in_flight,
        p50_us: gained.latency.quantile_us(0.5),
        p99_us: gained.latency.quantile_us(0.99),
    }
}

/// Only the buckets that counted something: a second rarely fills more than a dozen of them.
fn latency(gained: &Totals) -> LatencyHistogram {
    let filled = (0..BUCKETS).zip(gained.latency.0).filter(|(_, count)| *count > 0);
    let (upper_us, counts) = filled.map(|(bucket, count)| (upper_us(bucket), count)).unzip();
    LatencyHistogram { upper_us, counts }
}

#[cfg(test)]
mod tests {
    use super::{OBJECTS_MAX, PERIOD, Sampler};
    use crate::clock;
    use crate::observe::{Metered, Observer, Outcome};
    use std::sync::Arc;

    fn outcome(status: u16) -> Outcome {
        Outcome { status, bytes_in: 1, bytes_out: 2, micros: 1_000 }
    }

    #[test]
    fn a_frame_holds_what_was_gained_since_the_last() {
        let observer = Arc::new(Observer::new(2));
        let route = observer.meters.meter(Metered::Route, "orders");
        route.record(0, &outcome(200));
        let mut sampler = Sampler::new(Arc::clone(&observer));
        let start = clock::now();
        let first = sampler.sample(start, 5);
        assert_eq!(first.routes.get("orders").map(|r| r.requests), Some(0), "the first frame has no second before");
        route.record(1, &outcome(500));
        route.enter(1);
        observer.meters.total().record(1, &outcome(500));
        let second = sampler.sample(start + PERIOD, 5);
        let orders = second.routes.get("orders").expect("was busy");
        assert_eq!((orders.requests, orders.server_errors, orders.in_flight), (1, 1, 1));
        assert_eq!((second.total.requests, second.latency.counts.clone(), second.sequence), (1, vec![1], 2));
        route.leave(1);
        assert!(sampler.sample(start + PERIOD * 2, 5).routes.is_empty(), "quiet routes are left out");
        assert!(second.memory_bytes > 0);
    }

    #[test]
    fn a_remade_meter_does_not_inherit() {
        let observer = Arc::new(Observer::new(1));
        let mut sampler = Sampler::new(Arc::clone(&observer));
        let start = clock::now();
        for _ in 0..5 {
            observer.meters.meter(Metered::Route, "a").record(0, &outcome(200));
        }
        sampler.sample(start, 0);
        observer.meters.prune(Metered::Route, |_| false);
        observer.meters.meter(Metered::Route, "a").record(0, &outcome(200));
        let frame = sampler.sample(start + PERIOD, 0);
        assert_eq!(frame.routes.get("a").map(|r| r.requests), Some(1));
    }

    #[test]
    fn a_frame_names_the_busiest() {
        let observer = Arc::new(Observer::new(1));
        let mut sampler = Sampler::new(Arc::clone(&observer));
        let start = clock::now();
        sampler.sample(start, 0);
        for n in 0..OBJECTS_MAX + 10 {
            observer.meters.meter(Metered::Route, &format!("r{n}")).record(0, &outcome(200));
        }
        observer.meters.meter(Metered::Route, "r7").record(0, &outcome(200));
        let frame = sampler.sample(start + PERIOD, 0);
        assert_eq!(frame.routes.len(), OBJECTS_MAX);
        assert_eq!(frame.routes.get("r7").map(|r| r.requests), Some(2));
    }

    #[test]
    fn workers_are_timed_by_thread() {
        let observer = Arc::new(Observer::new(1));
        let _recorder = observer.recorder(0);
        let mut sampler = Sampler::new(Arc::clone(&observer));
        let start = clock::now();
        sampler.sample(start, 0);
        let busy: u64 = (0..20_000_000_u64).map(std::hint::black_box).sum();
        assert!(std::hint::black_box(busy) > 0);
        let frame = sampler.sample(start + PERIOD, 0);
        assert_eq!(frame.worker_cpu_percent.len(), 1);
    }
}
