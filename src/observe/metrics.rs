// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every number as OpenMetrics text, for a scraper.
//!
//! The names are in `names`. Cardinality is bounded: of each kind only the busiest objects have a line of their own,
//! the rest is summed under `other`, so that a table of a hundred thousand routes cannot drown a scraper.

use std::fmt::Write;
use std::sync::Arc;

use weirgate_store::wire::{EndpointHealth, LogStatus, UpstreamStatus};

use super::cells::Totals;
use super::copies::Copied;
use super::histogram::{BUCKETS, upper_us};
use super::meters::OTHER;
use super::names::{self, Family, ObjectFamilies, Type};
use super::{Metered, Observer, process};

/// Objects of one kind with lines of their own.
pub const OBJECTS_MAX: usize = 1_000;

/// The media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One edge of the exported histogram stands for so many buckets: an octave.
const BUCKETS_PER_EDGE: usize = 4;

/// What only the control side knows.
#[derive(Clone, Copy, Debug)]
pub struct Scrape<'a> {
    pub version: &'a str,
    pub revision: u64,
    pub store_ok: bool,
    pub connections: u64,
    pub upstreams: &'a [UpstreamStatus],
    pub logs: &'a [LogStatus],
}

/// All metrics of this moment.
pub fn text(observer: &Observer, scrape: &Scrape<'_>) -> String {
    let mut page = Page::default();
    page.daemon(observer, scrape);
    page.total(&observer.meters.total().sum());
    page.endpoints(scrape.upstreams);
    page.loads(scrape.upstreams);
    let kinds = [
        (Metered::Route, names::ROUTE),
        (Metered::Upstream, names::UPSTREAM),
        (Metered::Endpoint, names::ENDPOINT),
        (Metered::Consumer, names::CONSUMER),
        (Metered::Side, names::SIDE),
    ];
    for (kind, families) in kinds {
        page.objects(&families, &bounded(observer, kind));
    }
    page.copies(observer);
    page.logs(scrape.logs);
    page.0.push_str("# EOF\n");
    page.0
}

/// The busiest objects by name, and the sum of the others.
fn bounded(observer: &Observer, kind: Metered) -> Vec<(Arc<str>, Totals)> {
    let mut used = observer.meters.used(kind);
    used.sort_by_cached_key(|(name, meter)| (std::cmp::Reverse(meter.requests()), Arc::clone(name)));
    let mut rest = Totals::default();
    for (_, meter) in used.iter().skip(OBJECTS_MAX) {
        rest.add(&meter.sum());
    }
    let cut = used.len() > OBJECTS_MAX;
    used.truncate(OBJECTS_MAX);
    // One line per name: the meter that consumers beyond their bound share has the same label as the rest.
    let mut lines: Vec<(Arc<str>, Totals)> = Vec::new();
    for (name, meter) in used {
        if cut && &*name == OTHER {
            rest.add(&meter.sum());
        } else {
            lines.push((name, meter.sum()));
        }
    }
    if cut {
        lines.push((Arc::from(OTHER), rest));
    }
    lines
}

/// The classes of failure, and how many there were.
fn classes(totals: &Totals) -> [(&'static str, u64); 3] {
    [("client", totals.client_errors), ("refused", totals.refused), ("server", totals.server_errors)]
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn head(&mut self, family: Family) {
        let Family { name, kind, help } = family;
        // Writing to a String cannot fail.
        let _ok = write!(self.0, "# TYPE {name} {}\n# HELP {name} {help}\n", kind.word()).is_ok();
    }

    fn sample(&mut self, family: Family, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let suffix = match family.kind {
            Type::Info => "_info",
            Type::Counter => "_total",
            Type::Gauge | Type::Histogram => "",
        };
        self.line(family.name, suffix, labels, value);
    }

    fn line(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        self.0.push_str(suffix);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            escape(&mut self.0, text);
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ok = writeln!(self.0, " {value}").is_ok();
    }

    fn one(&mut self, family: Family, value: impl std::fmt::Display) {
        self.head(family);
        self.sample(family, &[], value);
    }

    fn daemon(&mut self, observer: &Observer, scrape: &Scrape<'_>) {
        self.head(names::BUILD);
        self.sample(names::BUILD, &[("version", scrape.version)], 1);
        self.one(names::REVISION, scrape.revision);
        self.one(names::STORE_OK, u8::from(scrape.store_ok));
        self.one(names::CONNECTIONS, scrape.connections);
        self.one(names::MEMORY, process::memory_bytes());
        self.head(names::WORKER_CPU);
        for (worker, thread) in observer.threads().enumerate() {
            let cpu = process::thread_cpu_seconds(thread);
            self.sample(names::WORKER_CPU, &[("worker", &worker.to_string())], cpu);
        }
        self.one(names::TAIL_DROPPED, observer.tap.dropped());
    }

    fn total(&mut self, total: &Totals) {
        self.one(names::REQUESTS, total.requests);
        self.head(names::ERRORS);
        for (class, count) in classes(total) {
            self.sample(names::ERRORS, &[("class", class)], count);
        }
        self.one(names::BYTES_IN, total.bytes_in);
        self.one(names::BYTES_OUT, total.bytes_out);
        self.one(names::IN_FLIGHT, total.in_flight);
        self.duration(total);
    }

    fn duration(&mut self, total: &Totals) {
        self.head(names::DURATION);
        let name = names::DURATION.name;
        let mut below = 0;
        for (edge, counts) in total.latency.0.chunks(BUCKETS_PER_EDGE).enumerate() {
            below += counts.iter().sum::<u64>();
            let last = (edge + 1) * BUCKETS_PER_EDGE == BUCKETS;
            // The last bucket also counts everything beyond its edge.
            let le = if last { "+Inf".to_owned() } else { seconds(upper_us(edge * 4 + 3)).to_string() };
            self.line(name, "_bucket", &[("le", &le)], below);
        }
        self.line(name, "_sum", &[], seconds(total.micros));
        self.line(name, "_count", &[], below);
    }

    fn endpoints(&mut self, upstreams: &[UpstreamStatus]) {
        for family in [names::ENDPOINT_UP, names::ENDPOINT_IN_FLIGHT, names::ENDPOINT_CONNECTIONS, names::OVERRIDDEN] {
            self.head(family);
            let all = upstreams.iter().flat_map(|upstream| upstream.endpoints.iter().map(move |e| (upstream, e)));
            for (upstream, endpoint) in all.take(OBJECTS_MAX) {
                let value = match family.name {
                    name if name == names::ENDPOINT_UP.name => u32::from(endpoint.health != EndpointHealth::Down),
                    name if name == names::OVERRIDDEN.name => u32::from(endpoint.overridden.is_some()),
                    name if name == names::ENDPOINT_CONNECTIONS.name => endpoint.connections,
                    _ => endpoint.in_flight,
                };
                self.sample(family, &[("upstream", &upstream.name), ("endpoint", &endpoint.address)], value);
            }
        }
    }

    /// What upstreams carry, and what waits for them.
    fn loads(&mut self, upstreams: &[UpstreamStatus]) {
        type Value = fn(&UpstreamStatus) -> Option<f64>;
        let families: [(Family, Value); 6] = [
            (names::QUEUED, |upstream| Some(f64::from(upstream.queued))),
            (names::QUEUE_TIMEOUTS, |upstream| Some(upstream.queue_timeouts as f64)),
            (names::QUEUE_SECONDS, |upstream| Some(seconds(upstream.queue_us))),
            (names::REQUESTS_MAX, |upstream| upstream.requests_max.map(f64::from)),
            (names::BREAKER_OPEN, |upstream| Some(f64::from(u8::from(upstream.breaker_open)))),
            (names::HEDGES, |upstream| Some(upstream.hedges as f64)),
        ];
        for (family, value) in families {
            self.head(family);
            for upstream in upstreams.iter().take(OBJECTS_MAX) {
                if let Some(value) = value(upstream) {
                    self.sample(family, &[("upstream", &upstream.name)], value);
                }
            }
        }
    }

    fn copies(&mut self, observer: &Observer) {
        let mut mirrors = observer.meters.mirrors();
        if mirrors.is_empty() {
            return;
        }
        mirrors.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.head(names::COPIES);
        for (route, copies) in mirrors.into_iter().take(OBJECTS_MAX) {
            for copied in Copied::ALL {
                self.sample(names::COPIES, &[("route", &route), ("result", copied.word())], copies.of(copied));
            }
        }
    }

    fn logs(&mut self, logs: &[LogStatus]) {
        type Value = fn(&LogStatus) -> u64;
        let families: [(Family, Value); 2] =
            [(names::LOG_WRITTEN, |log| log.written), (names::LOG_DROPPED, |log| log.dropped)];
        for (family, value) in families.into_iter().filter(|_| !logs.is_empty()) {
            self.head(family);
            for log in logs.iter().take(OBJECTS_MAX) {
                self.sample(family, &[("log", &log.name)], value(log));
            }
        }
    }

    fn objects(&mut self, families: &ObjectFamilies, objects: &[(Arc<str>, Totals)]) {
        self.head(families.requests);
        for (name, totals) in objects {
            self.sample(families.requests, &[(families.label, name)], totals.requests);
        }
        self.head(families.errors);
        for (name, totals) in objects {
            for (class, count) in classes(totals).into_iter().filter(|(_, count)| *count > 0) {
                self.sample(families.errors, &[(families.label, name), ("class", class)], count);
            }
        }
        self.head(families.seconds);
        for (name, totals) in objects {
            self.sample(families.seconds, &[(families.label, name)], seconds(totals.micros));
        }
    }
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OBJECTS_MAX, Scrape, text};
    use crate::observe::{Metered, Observer, Outcome};
    use std::collections::{HashMap, HashSet};
    use weirgate_store::wire::{EndpointHealth, EndpointStatus, LogStatus, UpstreamStatus};

    /// A strict reader of what the specification calls the exposition format: types before samples, families not
    /// interleaved, no sample twice, the suffix that the type asks for, values that are numbers, and the end mark.
    fn parse(page: &str) -> Result<HashMap<String, f64>, String> {
        let body = page.strip_suffix("# EOF\n").ok_or("no end mark")?;
        let (mut samples, mut finished, mut current) = (HashMap::new(), HashSet::new(), ("", ""));
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                current = rest.split_once(' ').ok_or("a type without a word")?;
                if !finished.insert(current.0) {
                    return Err(format!("{} is declared twice", current.0));
                }
                continue;
            }
            if line.starts_with("# HELP ") {
                continue;
            }
            let (series, value) = line.rsplit_once(' ').ok_or_else(|| format!("no value: {line}"))?;
            let name = series.split('{').next().unwrap_or(series);
            let suffix = name.strip_prefix(current.0).ok_or_else(|| format!("{name} stands under {}", current.0))?;
            let allowed: &[&str] = match current.1 {
                "info" => &["_info"],
                "counter" => &["_total"],
                "gauge" => &[""],
                "histogram" => &["_bucket", "_sum", "_count"],
                other => return Err(format!("unknown type {other}")),
            };
            if !allowed.contains(&suffix) {
                return Err(format!("{name} has not the suffix of a {}", current.1));
            }
            let value: f64 = value.parse().map_err(|_| format!("{value} is not a number"))?;
            if samples.insert(series.to_owned(), value).is_some() {
                return Err(format!("{series} is there twice"));
            }
        }
        Ok(samples)
    }

    fn upstream() -> UpstreamStatus {
        let endpoint = EndpointStatus {
            address: "10.0.0.1:80".into(),
            health: EndpointHealth::Down,
            reason: String::new(),
            since_ms: 0,
            weight: 1,
            configured_weight: 1,
            backup: false,
            in_flight: 3,
            requests: 0,
            errors: 0,
            overridden: None,
            ..EndpointStatus::default()
        };
        UpstreamStatus {
            name: "sh\"op".into(),
            balance: "least-request".into(),
            usable: 0,
            endpoints: vec![endpoint],
            queued: 4,
            queue_us: 1_500_000,
            ..UpstreamStatus::default()
        }
    }

    fn page(observer: &Observer) -> HashMap<String, f64> {
        let upstreams = [upstream()];
        let logs = [LogStatus { name: "access".into(), written: 9, dropped: 1, ..LogStatus::default() }];
        let scrape = Scrape {
            version: "0.1.0",
            revision: 7,
            store_ok: true,
            connections: 2,
            upstreams: &upstreams,
            logs: &logs,
        };
        let page = text(observer, &scrape);
        parse(&page).unwrap_or_else(|why| panic!("{why} in\n{page}"))
    }

    #[test]
    fn the_text_is_openmetrics() {
        let observer = Observer::new(2);
        let slow = Outcome { status: 502, bytes_in: 5, bytes_out: 6, micros: 400_000_000 };
        observer.meters.total().record(0, &slow);
        observer.meters.total().record(1, &Outcome { status: 200, micros: 3, ..slow });
        observer.meters.meter(Metered::Route, "orders").record(0, &slow);
        let samples = page(&observer);
        let want = [
            ("weirgate_build_info{version=\"0.1.0\"}", 1.0),
            ("weirgate_revision", 7.0),
            ("weirgate_requests_total", 2.0),
            ("weirgate_request_errors_total{class=\"server\"}", 1.0),
            ("weirgate_request_duration_seconds_bucket{le=\"0.000003\"}", 1.0),
            ("weirgate_request_duration_seconds_bucket{le=\"+Inf\"}", 2.0),
            ("weirgate_request_duration_seconds_count", 2.0),
            ("weirgate_route_requests_total{route=\"orders\"}", 1.0),
            ("weirgate_endpoint_up{upstream=\"sh\\\"op\",endpoint=\"10.0.0.1:80\"}", 0.0),
            ("weirgate_log_dropped_lines_total{log=\"access\"}", 1.0),
            ("weirgate_upstream_queued{upstream=\"sh\\\"op\"}", 4.0),
            ("weirgate_upstream_queue_seconds_total{upstream=\"sh\\\"op\"}", 1.5),
            ("weirgate_endpoint_in_flight{upstream=\"sh\\\"op\",endpoint=\"10.0.0.1:80\"}", 3.0),
        ];
        for (series, value) in want {
            assert_eq!(samples.get(series), Some(&value), "{series}");
        }
    }

    #[test]
    fn labels_are_bounded_and_nothing_is_lost() {
        let observer = Observer::new(1);
        for n in 0..OBJECTS_MAX + 50 {
            observer.meters.meter(Metered::Route, &format!("r{n}")).record(0, &Outcome::default());
        }
        let samples = page(&observer);
        let routes: Vec<_> = samples.iter().filter(|(s, _)| s.starts_with("weirgate_route_requests_total")).collect();
        assert_eq!(routes.len(), OBJECTS_MAX + 1);
        assert_eq!(routes.iter().map(|(_, value)| **value).sum::<f64>(), (OBJECTS_MAX + 50) as f64);
    }
}
