// SPDX-License-Identifier: MIT OR Apache-2.0
//! The counters of one thing (a route, an endpoint, a consumer …), one shard per worker, merged when somebody looks.
//!
//! A shard has a single writer, its worker, so counting is a load and a store and never a locked instruction or a
//! shared cache line. A shard is allocated at the first exchange of its worker: a hundred thousand routes that nobody
//! asks for cost a pointer each. Readers see sums that are a moment old and never torn.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::{self, BUCKETS, Buckets};

/// What one finished exchange adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub status: u16,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub micros: u64,
}

/// One number that one thread writes and any thread reads.
#[derive(Debug, Default)]
struct Cell(AtomicU64);

impl Cell {
    fn add(&self, more: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters that one worker writes.
#[derive(Debug)]
struct Shard {
    began: Cell,
    ended: Cell,
    requests: Cell,
    client_errors: Cell,
    server_errors: Cell,
    refused: Cell,
    bytes_in: Cell,
    bytes_out: Cell,
    micros: Cell,
    latency: [Cell; BUCKETS],
}

impl Shard {
    fn new() -> Box<Self> {
        Box::new(Self {
            began: Cell::default(),
            ended: Cell::default(),
            requests: Cell::default(),
            client_errors: Cell::default(),
            server_errors: Cell::default(),
            refused: Cell::default(),
            bytes_in: Cell::default(),
            bytes_out: Cell::default(),
            micros: Cell::default(),
            latency: std::array::from_fn(|_| Cell::default()),
        })
    }

    fn record(&self, outcome: &Outcome) {
        self.requests.add(1);
        match outcome.status {
            429 => self.refused.add(1),
            400..=499 => self.client_errors.add(1),
            500.. => self.server_errors.add(1),
            _ => {}
        }
        self.bytes_in.add(outcome.bytes_in);
        self.bytes_out.add(outcome.bytes_out);
        self.micros.add(outcome.micros);
        if let Some(cell) = self.latency.get(histogram::bucket(outcome.micros)) {
            cell.add(1);
        }
    }

    fn add_to(&self, totals: &mut Totals) {
        // `ended` before `began`, or a reader could see more exchanges end than begin.
        let ended = self.ended.read();
        totals.in_flight += self.began.read().saturating_sub(ended);
        totals.requests += self.requests.read();
        totals.client_errors += self.client_errors.read();
        totals.server_errors += self.server_errors.read();
        totals.refused += self.refused.read();
        totals.bytes_in += self.bytes_in.read();
        totals.bytes_out += self.bytes_out.read();
        totals.micros += self.micros.read();
        for (sum, cell) in totals.latency.0.iter_mut().zip(&self.latency) {
            *sum += cell.read();
        }
    }
}

/// The sum over all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub requests: u64,
    /// Replies 4xx save 429.
    pub client_errors: u64,
    /// Replies 5xx.
    pub server_errors: u64,
    /// Replies 429.
    pub refused: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Sum of all latencies.
    pub micros: u64,
    /// Begun and not ended, where the data path says so with `enter` and `leave`.
    pub in_flight: u64,
    pub latency: Buckets,
}

impl Totals {
    /// What was added since `earlier`; the number in flight is of now.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            client_errors: self.client_errors.saturating_sub(earlier.client_errors),
            server_errors: self.server_errors.saturating_sub(earlier.server_errors),
            refused: self.refused.saturating_sub(earlier.refused),
            bytes_in: self.bytes_in.saturating_sub(earlier.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out),
            micros: self.micros.saturating_sub(earlier.micros),
            in_flight: self.in_flight,
            latency: self.latency.since(&earlier.latency),
        }
    }

    /// Adds the counts of another thing.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.client_errors += other.client_errors;
        self.server_errors += other.server_errors;
        self.refused += other.refused;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.micros += other.micros;
        self.in_flight += other.in_flight;
        self.latency.add(&other.latency);
    }
}

/// The counters of one thing.
#[derive(Debug)]
pub struct Meter {
    shards: Box<[OnceLock<Box<Shard>>]>,
}

impl Meter {
    /// Counters for so many workers.
    pub fn new(workers: usize) -> Self {
        Self { shards: (0..workers.max(1)).map(|_| OnceLock::new()).collect() }
    }

    fn shard(&self, worker: usize) -> Option<&Shard> {
        Some(self.shards.get(worker)?.get_or_init(Shard::new))
    }

    /// Counts one finished exchange. Only the thread of that worker may call this.
    pub fn record(&self, worker: usize, outcome: &Outcome) {
        if let Some(shard) = self.shard(worker) {
            shard.record(outcome);
        }
    }

    /// Counts one more in flight. Only the thread of that worker may call this.
    pub fn enter(&self, worker: usize) {
        if let Some(shard) = self.shard(worker) {
            shard.began.add(1);
        }
    }

    /// Counts one fewer in flight. Only the thread of that worker may call this.
    pub fn leave(&self, worker: usize) {
        if let Some(shard) = self.shard(worker) {
            shard.ended.add(1);
        }
    }

    /// The requests counted so far, without the cost of the rest.
    pub fn requests(&self) -> u64 {
        self.shards.iter().filter_map(OnceLock::get).map(|shard| shard.requests.read()).sum()
    }

    /// The number in flight, without the cost of the rest.
    pub fn in_flight(&self) -> u64 {
        let of = |shard: &Shard| {
            let ended = shard.ended.read();
            shard.began.read().saturating_sub(ended)
        };
        self.shards.iter().filter_map(OnceLock::get).map(|shard| of(shard)).sum()
    }

    /// Whether any worker ever counted something here.
    pub fn used(&self) -> bool {
        self.shards.iter().any(|shard| shard.get().is_some())
    }

    /// The sum over all workers.
    pub fn sum(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            shard.add_to(&mut totals);
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::{Meter, Outcome};

    fn outcome(status: u16) -> Outcome {
        Outcome { status, bytes_in: 10, bytes_out: 100, micros: 2_000 }
    }

    #[test]
    fn shards_are_merged_and_statuses_sorted() {
        let meter = Meter::new(2);
        assert!(!meter.used(), "costs nothing until used");
        for (worker, status) in [(0, 200), (1, 304), (0, 404), (1, 429), (0, 499), (1, 502), (0, 101)] {
            meter.record(worker, &outcome(status));
        }
        let sum = meter.sum();
        assert_eq!((sum.requests, sum.client_errors, sum.server_errors, sum.refused), (7, 2, 1, 1));
        assert_eq!((sum.bytes_in, sum.bytes_out, sum.micros), (70, 700, 14_000));
        assert_eq!(sum.latency.count(), 7);
        assert_eq!(meter.requests(), 7);
    }

    #[test]
    fn a_difference_keeps_the_number_in_flight() {
        let meter = Meter::new(1);
        meter.enter(0);
        meter.record(0, &outcome(200));
        let before = meter.sum();
        meter.enter(0);
        meter.leave(0);
        meter.record(0, &outcome(500));
        let since = meter.sum().since(&before);
        assert_eq!((since.requests, since.server_errors, since.in_flight), (1, 1, 1));
    }

    #[test]
    fn a_worker_that_does_not_exist_counts_nowhere() {
        let meter = Meter::new(1);
        meter.record(7, &outcome(200));
        assert_eq!(meter.requests(), 0);
    }
}
