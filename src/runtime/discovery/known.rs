// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of every source: its last good answer, and how the last question went.
//!
//! An answer that fails never takes an endpoint away: the last good one stands until there is a better. That an answer
//! is of another source than is configured now is noticed here, so nobody else has to.

use std::collections::HashMap;
use std::time::Duration;

use weirgate_store::engine::{FoundRecord, LeaseRecord};
use weirgate_store::model::{Discovery, Endpoint};

use super::lease::{Lease, Leases};
use crate::upstream::discovery::{FOUND_MAX, Found, in_order};

/// What a source said.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) endpoints: Vec<Endpoint>,
    /// How long it holds, where the source says so.
    pub(crate) ttl: Option<Duration>,
    /// What was not answered of it.
    pub(crate) trouble: Option<String>,
}

/// One source.
#[derive(Debug)]
struct Known {
    source: Discovery,
    found: Found,
    left_out: usize,
    /// When the last good answer came.
    answered_ms: Option<i64>,
    ttl: Option<Duration>,
    asked_ms: i64,
    /// What is wrong now.
    trouble: Option<String>,
}

/// Everything that is known, and every lease.
#[derive(Debug, Default)]
pub(crate) struct Discovered {
    known: HashMap<String, Known>,
    pub(crate) leases: Leases,
}

impl Discovered {
    /// What was known when the process stopped last.
    pub(crate) fn restored(found: Vec<FoundRecord>, leases: Vec<LeaseRecord>) -> Self {
        let known = |record: FoundRecord| {
            let (endpoints, left_out) = in_order(record.endpoints);
            let known = Known {
                source: record.source,
                found: endpoints.into(),
                left_out,
                answered_ms: Some(record.time_ms),
                ttl: None,
                asked_ms: record.time_ms,
                trouble: None,
            };
            (record.upstream, known)
        };
        let mut restored = Self { known: found.into_iter().map(known).collect(), leases: Leases::default() };
        for LeaseRecord { upstream, endpoint, expires_ms, owner } in leases {
            restored.leases.put(&upstream, Lease { endpoint, expires_ms, owner });
        }
        restored
    }

    /// The endpoints that a source has found for an upstream.
    pub(crate) fn found(&self, upstream: &str, source: &Discovery) -> Found {
        match source {
            Discovery::Lease(_) => self.leases.found(upstream),
            _ => self.of(upstream, source).map(|known| Found::clone(&known.found)).unwrap_or_default(),
        }
    }

    fn of(&self, upstream: &str, source: &Discovery) -> Option<&Known> {
        self.known.get(upstream).filter(|known| known.source == *source)
    }

    /// Takes in what a source said; whether it found other endpoints than before.
    pub(crate) fn tell(
        &mut self,
        upstream: &str,
        source: &Discovery,
        said: Result<Answer, String>,
        now_ms: i64,
    ) -> bool {
        let before = self.found(upstream, source);
        let known = self.known.entry(upstream.to_owned()).or_insert_with(|| Known::nothing(source));
        if known.source != *source {
            *known = Known::nothing(source);
        }
        known.asked_ms = now_ms;
        match said {
            Ok(Answer { endpoints, ttl, trouble }) => {
                let (endpoints, left_out) = in_order(endpoints);
                (known.ttl, known.trouble, known.left_out) = (ttl, trouble, left_out);
                known.answered_ms = Some(now_ms);
                if *before != *endpoints {
                    known.found = endpoints.into();
                    return true;
                }
                false
            }
            Err(trouble) => {
                known.trouble = Some(trouble);
                false
            }
        }
    }

    /// Forgets what is of an upstream that looks nowhere any more.
    pub(crate) fn retain(&mut self, source_of: impl Fn(&str) -> Option<Discovery>) {
        self.known.retain(|upstream, known| source_of(upstream).is_some_and(|source| source == known.source));
        self.leases.retain(|upstream| matches!(source_of(upstream), Some(Discovery::Lease(_))));
    }

    /// What discovery found last, for the operator.
    pub(crate) fn sentence(&self, upstream: &str, source: &Discovery, now_ms: i64) -> String {
        if let Discovery::Lease(_) = source {
            return self.leased(upstream, now_ms);
        }
        let place = match source {
            Discovery::Dns(name) | Discovery::Srv(name) => name,
            Discovery::File(file) => &file.path,
            Discovery::Lease(_) => upstream,
        };
        let Some(known) = self.of(upstream, source) else {
            return format!("{place} was not asked for yet");
        };
        let asked = age(now_ms - known.asked_ms);
        let what = count(known.found.len(), source);
        match (&known.trouble, known.answered_ms) {
            (Some(trouble), None) => format!("{trouble}; tried {asked} ago"),
            (Some(trouble), Some(answered)) if answered < known.asked_ms => {
                let old = age(now_ms - answered);
                format!("{trouble}; the last good answer ({what}, {old} old) is kept")
            }
            (trouble, _) => {
                let left_out = match known.left_out {
                    0 => String::new(),
                    more => format!("; {more} more are left out, at most {FOUND_MAX} are used"),
                };
                let trouble = trouble.as_ref().map_or_else(String::new, |trouble| format!("; {trouble}"));
                format!("{}{left_out}{trouble}", known.good(&what, &asked, place))
            }
        }
    }

    fn leased(&self, upstream: &str, now_ms: i64) -> String {
        let ends: Vec<i64> = self.leases.of(upstream).map(|lease| lease.expires_ms).collect();
        match ends.iter().min() {
            None => "no endpoint holds a lease".to_owned(),
            Some(next) if ends.len() == 1 => format!("1 endpoint holds a lease, which ends in {}", age(next - now_ms)),
            Some(next) => format!("{} endpoints hold leases, the next ends in {}", ends.len(), age(next - now_ms)),
        }
    }

    /// Everything that another process may begin with.
    pub(crate) fn records(&self) -> (Vec<FoundRecord>, Vec<LeaseRecord>) {
        let found = |(upstream, known): (&String, &Known)| {
            Some(FoundRecord {
                upstream: upstream.clone(),
                source: known.source.clone(),
                endpoints: known.found.to_vec(),
                time_ms: known.answered_ms?,
            })
        };
        let lease = |(upstream, lease): (&str, &Lease)| LeaseRecord {
            upstream: upstream.to_owned(),
            endpoint: lease.endpoint.clone(),
            expires_ms: lease.expires_ms,
            owner: lease.owner.clone(),
        };
        (self.known.iter().filter_map(found).collect(), self.leases.all().map(lease).collect())
    }
}

impl Known {
    fn nothing(source: &Discovery) -> Self {
        Self {
            source: source.clone(),
            found: Found::default(),
            left_out: 0,
            answered_ms: None,
            ttl: None,
            asked_ms: 0,
            trouble: None,
        }
    }

    fn good(&self, what: &str, asked: &str, place: &str) -> String {
        match (&self.source, self.ttl) {
            (Discovery::File(_), _) => format!("{what} from {place}, read {asked} ago"),
            (_, Some(ttl)) => format!("{what} from DNS, TTL {} s, asked {asked} ago", ttl.as_secs_f64().round()),
            (_, None) => format!("{what} from DNS, asked {asked} ago, before this start"),
        }
    }
}

fn count(number: usize, source: &Discovery) -> String {
    let (one, many) = match source {
        Discovery::Dns(_) | Discovery::Srv(_) => ("address", "addresses"),
        Discovery::File(_) | Discovery::Lease(_) => ("endpoint", "endpoints"),
    };
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `12 s`, `3 m 12 s`, `5 h 2 m`.
fn age(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} m {s} s"),
        (h, m, _) => format!("{h} h {m} m"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use weirgate_store::model::{DiscoverFile, DiscoverLease, Discovery, Endpoint, Span};

    use super::{Answer, Discovered};
    use crate::runtime::discovery::lease::Lease;

    fn endpoints(count: u8) -> Vec<Endpoint> {
        (0..count).map(|last| Endpoint::plain(([10, 0, 0, last], 80).into())).collect()
    }

    fn answer(count: u8) -> Result<Answer, String> {
        Ok(Answer { endpoints: endpoints(count), ttl: Some(Duration::from_secs(30)), trouble: None })
    }

    #[test]
    fn the_last_good_answer_is_kept_and_told() {
        let (dns, mut all) = (Discovery::Dns("a.test:80".to_owned()), Discovered::default());
        let mut step = |said: Option<Result<Answer, String>>, at_ms: i64, changed: bool, found: usize, says: &str| {
            if let Some(said) = said {
                assert_eq!(all.tell("shop", &dns, said, at_ms), changed, "at {at_ms}");
            }
            assert_eq!(all.found("shop", &dns).len(), found, "at {at_ms}");
            assert_eq!(all.sentence("shop", &dns, at_ms + 12_000), says, "at {at_ms}");
        };
        step(None, 0, false, 0, "a.test:80 was not asked for yet");
        step(
            Some(Err("DNS has no answer for a.test: NXDOMAIN".to_owned())),
            1_000,
            false,
            0,
            "DNS has no answer for a.test: NXDOMAIN; tried 12 s ago",
        );
        step(Some(answer(2)), 2_000, true, 2, "2 addresses from DNS, TTL 30 s, asked 12 s ago");
        step(Some(answer(2)), 32_000, false, 2, "2 addresses from DNS, TTL 30 s, asked 12 s ago");
        step(
            Some(Err("DNS has no answer for a.test: SERVFAIL".to_owned())),
            62_000,
            false,
            2,
            "DNS has no answer for a.test: SERVFAIL; the last good answer (2 addresses, 42 s old) is kept",
        );
        step(Some(answer(1)), 92_000, true, 1, "1 address from DNS, TTL 30 s, asked 12 s ago");
    }

    #[test]
    fn another_source_starts_from_nothing_and_a_restart_does_not() {
        let (one, two) = (Discovery::Dns("a.test:80".to_owned()), Discovery::Dns("b.test:80".to_owned()));
        let mut all = Discovered::default();
        all.tell("shop", &one, answer(2), 1_000);
        assert_eq!((all.found("shop", &one).len(), all.found("shop", &two).len()), (2, 0));
        let lease = Discovery::Lease(DiscoverLease { ttl: Span::seconds(30) });
        let held = Lease { endpoint: endpoints(1).remove(0), expires_ms: 5_000, owner: "x".to_owned() };
        all.leases.put("eu", held);
        let (found, leases) = all.records();
        let mut again = Discovered::restored(found, leases);
        assert_eq!((again.found("shop", &one).len(), again.found("eu", &lease).len()), (2, 1));
        assert_eq!(again.sentence("shop", &one, 61_000), "2 addresses from DNS, asked 1 m 0 s ago, before this start");
        assert_eq!(again.sentence("eu", &lease, 2_000), "1 endpoint holds a lease, which ends in 3 s");
        again.retain(|name| (name == "shop").then(|| two.clone()));
        assert_eq!((again.found("shop", &one).len(), again.found("eu", &lease).len()), (0, 0));
    }

    #[test]
    fn files_speak_of_files() {
        let file = Discovery::File(DiscoverFile { path: "/etc/e".to_owned() });
        let mut all = Discovered::default();
        all.tell("shop", &file, Ok(Answer { endpoints: endpoints(3), ..Answer::default() }), 1_000);
        assert_eq!(all.sentence("shop", &file, 2_000), "3 endpoints from /etc/e, read 1 s ago");
    }
}
