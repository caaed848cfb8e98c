// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the console knows about the daemon: the last answer of each kind, and a bounded past of the numbers.
//!
//! Everything here came over the socket. Nothing here decides what is shown; it only remembers, merges and averages.

use std::collections::{BTreeMap, VecDeque};

use weirgate_store::model::Kind;
use weirgate_store::wire::{
    CanaryStatus, ConnectionInfo, EndpointStatus, Frame, HealthEvent, KeyInfo, LatencyHistogram, ListedObject, Rates,
    RevisionList, StatusReply, UpstreamStatus, UsageReply,
};

/// Seconds of traffic kept for the charts; the widest terminal shows fewer.
pub const SECONDS_KEPT: usize = 600;

/// Whole frames kept, over which the rates in tables are averaged so that they can be read.
pub const FRAMES_AVERAGED: usize = 5;

/// Seconds of requests kept of each upstream, for its small chart.
pub const TREND_KEPT: usize = 60;

/// Changes of health kept of the upstream that is looked at.
pub const TIMELINE_KEPT: usize = 1_000;

/// Lines of the log of health, revisions and audit.
pub const LOG_KEPT: usize = 200;

/// One second, without the tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Second {
    pub time_ms: i64,
    pub total: Rates,
    pub latency: LatencyHistogram,
}

/// Rates of one thing, averaged over the last frames.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    pub requests: f64,
    pub refused: f64,
    pub errors: u64,
    pub counted: u64,
    pub in_flight: u64,
    pub p50_us: u64,
    pub p99_us: u64,
}

/// The objects of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    pub revision: u64,
    pub by_name: BTreeMap<String, serde_json::Value>,
}

/// One line of what happened to the daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    pub time_ms: i64,
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live {
    pub status: Option<StatusReply>,
    /// When the last status or frame came.
    pub heard_ms: i64,
    pub seconds: VecDeque<Second>,
    pub last: Frame,
    frames: VecDeque<Frame>,
    pub routes: BTreeMap<String, Flow>,
    pub upstreams: BTreeMap<String, Flow>,
    pub endpoints: BTreeMap<String, Flow>,
    pub consumers: BTreeMap<String, Flow>,
    objects: BTreeMap<Kind, Objects>,
    pub revisions: Option<RevisionList>,
    /// Client connections as they were last asked for, or why they could not be.
    pub connections: Option<Result<Vec<ConnectionInfo>, String>>,
    /// The past of one upstream: the one looked at last.
    pub timeline: Option<(String, Result<Vec<HealthEvent>, String>)>,
    /// Requests of the last seconds of each upstream.
    pub trends: BTreeMap<String, VecDeque<u64>>,
    /// The keys of one consumer: the one looked at last.
    pub keys: Option<(String, Vec<KeyInfo>)>,
    /// What one consumer used: the one looked at last.
    pub usage: Option<(String, UsageReply)>,
    pub log: VecDeque<LogLine>,
}

impl Live {
    pub fn objects(&self, kind: Kind) -> impl Iterator<Item = (&String, &serde_json::Value)> {
        self.objects.get(&kind).into_iter().flat_map(|objects| &objects.by_name)
    }

    pub fn object(&self, kind: Kind, name: &str) -> Option<&serde_json::Value> {
        self.objects.get(&kind)?.by_name.get(name)
    }

    /// Whether the list of that kind has come at all; before that, empty means nothing.
    pub fn knows(&self, kind: Kind) -> bool {
        self.objects.contains_key(&kind)
    }

    /// The revision the list of that kind was read at: the base of an edit.
    pub fn base(&self, kind: Kind) -> Option<u64> {
        self.objects.get(&kind).map(|objects| objects.revision)
    }

    pub fn set_objects(&mut self, kind: Kind, revision: u64, objects: Vec<ListedObject>) {
        let by_name = objects.into_iter().map(|listed| (listed.name, listed.object)).collect();
        self.objects.insert(kind, Objects { revision, by_name });
    }

    pub fn say(&mut self, time_ms: i64, text: String) {
        if self.log.len() == LOG_KEPT {
            self.log.pop_front();
        }
        self.log.push_back(LogLine { time_ms, text });
    }

    /// Takes one second of numbers.
    pub fn take(&mut self, frame: Frame) {
        if self.seconds.len() == SECONDS_KEPT {
            self.seconds.pop_front();
        }
        self.seconds.push_back(Second {
            time_ms: frame.time_ms,
            total: frame.total.clone(),
            latency: frame.latency.clone(),
        });
        if self.frames.len() == FRAMES_AVERAGED {
            self.frames.pop_front();
        }
        self.last = Frame {
            time_ms: frame.time_ms,
            sequence: frame.sequence,
            connections: frame.connections,
            total: frame.total.clone(),
            latency: frame.latency.clone(),
            memory_bytes: frame.memory_bytes,
            worker_cpu_percent: frame.worker_cpu_percent.clone(),
            ..Frame::default()
        };
        self.take_trends(&frame);
        self.frames.push_back(frame);
        self.routes = averaged(&self.frames, |frame| &frame.routes);
        self.upstreams = averaged(&self.frames, |frame| &frame.upstreams);
        self.endpoints = averaged(&self.frames, |frame| &frame.endpoints);
        self.consumers = averaged(&self.frames, |frame| &frame.consumers);
    }

    /// One second more of every upstream that is known; a silent one had none.
    fn take_trends(&mut self, frame: &Frame) {
        let known = self.status.iter().flat_map(|status| &status.upstreams);
        let mut trends = std::mem::take(&mut self.trends);
        self.trends = known
            .map(|upstream| {
                let mut trend = trends.remove(&upstream.name).unwrap_or_default();
                if trend.len() == TREND_KEPT {
                    trend.pop_front();
                }
                trend.push_back(frame.upstreams.get(&upstream.name).map_or(0, |rates| rates.requests));
                (upstream.name.clone(), trend)
            })
            .collect();
    }

    /// A change of health, for the past that is looked at.
    pub fn happened(&mut self, event: &HealthEvent) {
        if let Some((upstream, Ok(events))) = &mut self.timeline
            && *upstream == event.upstream
        {
            let oldest = events.iter().enumerate().min_by_key(|(_, event)| event.time_ms).map(|(at, _)| at);
            if let Some(oldest) = oldest.filter(|_| events.len() >= TIMELINE_KEPT) {
                events.swap_remove(oldest);
            }
            events.push(event.clone());
        }
    }

    /// The state of an upstream.
    pub fn upstream(&self, name: &str) -> Option<&UpstreamStatus> {
        self.status.as_ref()?.upstreams.iter().find(|upstream| upstream.name == name)
    }

    /// The state of an endpoint.
    pub fn endpoint(&self, upstream: &str, address: &str) -> Option<&EndpointStatus> {
        self.upstream(upstream)?.endpoints.iter().find(|endpoint| endpoint.address == address)
    }

    /// The state of the canary of a route.
    pub fn canary(&self, route: &str) -> Option<&CanaryStatus> {
        self.status.as_ref()?.canaries.iter().find(|canary| canary.route == route)
    }

    /// The total of the last frames, averaged.
    pub fn total(&self) -> Flow {
        let rates: Vec<&Rates> = self.frames.iter().map(|frame| &frame.total).collect();
        flow(&rates, self.frames.len())
    }
}

fn averaged(frames: &VecDeque<Frame>, table: impl Fn(&Frame) -> &BTreeMap<String, Rates>) -> BTreeMap<String, Flow> {
    let mut by_name: BTreeMap<&String, Vec<&Rates>> = BTreeMap::new();
    for frame in frames {
        for (name, rates) in table(frame) {
            by_name.entry(name).or_default().push(rates);
        }
    }
    by_name.into_iter().map(|(name, rates)| (name.clone(), flow(&rates, frames.len()))).collect()
}

/// A thing without traffic is absent from a frame, so the divisor is the number of frames and not of entries.
#[expect(clippy::cast_precision_loss, reason = "rates need three digits")]
fn flow(rates: &[&Rates], frames: usize) -> Flow {
    let sum = |pick: fn(&Rates) -> u64| rates.iter().map(|r| pick(r)).sum::<u64>();
    let divisor = frames.max(1) as f64;
    let requests = sum(|r| r.requests);
    Flow {
        requests: requests as f64 / divisor,
        refused: sum(|r| r.refused) as f64 / divisor,
        errors: sum(|r| r.server_errors),
        counted: requests,
        in_flight: rates.last().map_or(0, |r| r.in_flight),
        p50_us: weighted(rates, |r| r.p50_us),
        p99_us: rates.iter().map(|r| r.p99_us).max().unwrap_or(0),
    }
}

/// A median of medians, weighted by requests: near enough for a table, exact values are in the exporters.
fn weighted(rates: &[&Rates], pick: fn(&Rates) -> u64) -> u64 {
    let requests: u64 = rates.iter().map(|r| r.requests).sum();
    let weighted: u64 = rates.iter().map(|r| pick(r).saturating_mul(r.requests)).sum();
    weighted.checked_div(requests).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_averaged_over_all_frames_even_if_a_thing_was_silent() {
        let mut live = Live::default();
        for requests in [10, 0, 20, 30] {
            let mut frame = Frame::default();
            if requests > 0 {
                frame.routes.insert("orders".into(), Rates { requests, ..Rates::default() });
            }
            live.take(frame);
        }
        assert!((live.routes["orders"].requests - 15.0).abs() < 1e-9);
    }

    #[test]
    fn the_past_is_bounded() {
        let mut live = Live::default();
        for _ in 0..SECONDS_KEPT + 10 {
            live.take(Frame::default());
            live.say(0, String::new());
        }
        assert_eq!((live.seconds.len(), live.log.len()), (SECONDS_KEPT, LOG_KEPT));
    }
}
