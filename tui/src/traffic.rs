// SPDX-License-Identifier: MIT OR Apache-2.0
//! The live tail: a bounded ring of exchanges, a filter in words, and a cursor that holds its exchange while paused.
//!
//! The filter is terms divided by blanks that must all hold: `status>=500 route=orders path~/pages !consumer=alice`;
//! a bare word is looked for in path, host, route, consumer and verdict.

use std::collections::VecDeque;

use weirgate_store::wire::ExchangeRecord;

/// Exchanges kept while following, and again as many that come during a pause.
pub const EXCHANGES_KEPT: usize = 10_000;

/// An exchange with the number it arrived under.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub number: u64,
    pub record: ExchangeRecord,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    ring: VecDeque<Seen>,
    /// What a paused tail shows; the ring fills beside it, so nothing leaves under the cursor.
    held: Option<VecDeque<Seen>>,
    next: u64,
    /// Left out by the daemon because this console was too slow.
    pub dropped: u64,
    /// Number of the exchange under the cursor; the newest while following.
    selected: Option<u64>,
    pub query: Query,
}

impl Traffic {
    pub fn take(&mut self, record: ExchangeRecord) {
        if self.ring.len() == EXCHANGES_KEPT {
            self.ring.pop_front();
        }
        self.ring.push_back(Seen { number: self.next, record });
        self.next += 1;
    }

    pub fn paused(&self) -> bool {
        self.held.is_some()
    }

    /// Exchanges the filter is applied to.
    pub fn kept(&self) -> usize {
        self.held.as_ref().unwrap_or(&self.ring).len()
    }

    /// What is shown, newest first.
    pub fn shown(&self) -> impl Iterator<Item = &Seen> {
        let ring = self.held.as_ref().unwrap_or(&self.ring);
        ring.iter().rev().filter(|seen| self.query.holds(&seen.record))
    }

    /// Exchanges that came since the pause.
    pub fn unseen(&self) -> usize {
        if self.paused() { self.ring.len() } else { 0 }
    }

    pub fn pause(&mut self) {
        if self.held.is_none() {
            self.held = Some(std::mem::take(&mut self.ring));
        }
        if self.selected().is_none() {
            let newest = self.shown().next().map(|seen| seen.number);
            self.selected = newest;
        }
    }

    pub fn follow(&mut self) {
        if let Some(mut held) = self.held.take() {
            held.append(&mut self.ring);
            let over = held.len().saturating_sub(EXCHANGES_KEPT);
            held.drain(..over);
            self.ring = held;
        }
        self.selected = None;
    }

    /// The exchange under the cursor: while following the newest, while paused the one chosen, or if the filter hides
    /// it the next older one.
    pub fn selected(&self) -> Option<&Seen> {
        match self.selected {
            Some(number) => self.shown().find(|seen| seen.number <= number).or_else(|| self.shown().last()),
            None => self.shown().next(),
        }
    }

    /// Moves the cursor; moving means reading, so the tail pauses.
    pub fn step(&mut self, by: isize) {
        self.pause();
        let from = self.selected().map(|seen| seen.number);
        let numbers: Vec<u64> = self.shown().map(|seen| seen.number).collect();
        let at = numbers.iter().position(|n| Some(*n) == from).unwrap_or(0);
        let at = at.saturating_add_signed(by).min(numbers.len().saturating_sub(1));
        self.selected = numbers.get(at).copied();
    }
}

/// A filter that has been understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub text: String,
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Word(String),
    Text { field: Field, op: Op, value: String },
    Number { field: Field, op: Op, value: f64 },
}

/// What a term can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Status,
    Millis,
    Attempts,
    Method,
    Host,
    Path,
    Route,
    Upstream,
    Endpoint,
    Consumer,
    Client,
    Fault,
    Id,
}

/// The names of the fields, as they are typed and as help lists them.
const FIELDS: [(&str, Field); 13] = [
    ("status", Field::Status),
    ("ms", Field::Millis),
    ("attempts", Field::Attempts),
    ("method", Field::Method),
    ("host", Field::Host),
    ("path", Field::Path),
    ("route", Field::Route),
    ("upstream", Field::Upstream),
    ("endpoint", Field::Endpoint),
    ("consumer", Field::Consumer),
    ("client", Field::Client),
    ("fault", Field::Fault),
    ("id", Field::Id),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Equal,
    Differs,
    Contains,
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// Longest first, so that `>=` is not read as `>`.
const OPS: [(&str, Op); 7] = [
    (">=", Op::AtLeast),
    ("<=", Op::AtMost),
    ("!=", Op::Differs),
    ("=", Op::Equal),
    ("~", Op::Contains),
    (">", Op::Above),
    ("<", Op::Below),
];

impl Query {
    /// Understands a filter, or says in a sentence what it does not.
    pub fn parse(text: &str) -> Result<Self, String> {
        let terms = text.split_whitespace().map(term).collect::<Result<Vec<_>, String>>()?;
        Ok(Self { text: text.trim().to_owned(), terms })
    }

    pub fn holds(&self, record: &ExchangeRecord) -> bool {
        self.terms.iter().all(|term| term.test.holds(record) != term.negated)
    }
}

fn term(text: &str) -> Result<Term, String> {
    let (negated, text) = match text.strip_prefix('!') {
        Some(rest) if !rest.is_empty() => (true, rest),
        _ => (false, text),
    };
    let word = || Ok(Term { negated, test: Test::Word(text.to_lowercase()) });
    // The first operator in the text divides it: in `path~/a=b` that is the tilde.
    let divided = text.char_indices().find_map(|(at, _)| {
        let (name, rest) = text.split_at(at);
        OPS.iter().find_map(|(sign, op)| rest.strip_prefix(sign).map(|value| (name, *op, value)))
    });
    let Some((name, op, value)) = divided.filter(|(name, ..)| !name.is_empty() && !name.contains(['/', '?'])) else {
        return word();
    };
    let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
        return Err(format!("\"{name}\" is not a field; fields are {}", known.join(", ")));
    };
    Ok(Term { negated, test: test(*field, op, value)? })
}

fn test(field: Field, op: Op, value: &str) -> Result<Test, String> {
    let numeric = matches!(field, Field::Status | Field::Millis | Field::Attempts);
    let ordered = matches!(op, Op::AtLeast | Op::AtMost | Op::Above | Op::Below);
    match (numeric, ordered) {
        (true, _) if op != Op::Contains => {
            let value = value.parse().map_err(|_| format!("\"{value}\" is not a number"))?;
            Ok(Test::Number { field, op, value })
        }
        (false, true) => Err("only status, ms and attempts can be compared with < and >".to_owned()),
        _ => Ok(Test::Text { field, op, value: value.to_lowercase() }),
    }
}

impl Test {
    fn holds(&self, record: &ExchangeRecord) -> bool {
        match self {
            Self::Word(word) => {
                let optional = [&record.route, &record.consumer, &record.upstream, &record.fault];
                [&record.path, &record.host, &record.method, &record.verdict]
                    .into_iter()
                    .chain(optional.into_iter().flatten())
                    .any(|text| text.to_lowercase().contains(word))
            }
            Self::Text { field, op, value } => {
                let text = field.text(record).to_lowercase();
                match op {
                    Op::Contains => text.contains(value),
                    Op::Differs => text != *value,
                    _ => text == *value,
                }
            }
            Self::Number { field, op, value } => compare(field.number(record), *op, *value),
        }
    }
}

#[expect(clippy::float_cmp, reason = "statuses and counts are whole numbers below 2^53")]
fn compare(number: f64, op: Op, value: f64) -> bool {
    match op {
        Op::Equal | Op::Contains => number == value,
        Op::Differs => number != value,
        Op::AtLeast => number >= value,
        Op::AtMost => number <= value,
        Op::Above => number > value,
        Op::Below => number < value,
    }
}

impl Field {
    fn text(self, record: &ExchangeRecord) -> String {
        let optional = |value: &Option<String>| value.clone().unwrap_or_default();
        match self {
            Self::Status => record.status.to_string(),
            Self::Millis => (record.duration_us / 1_000).to_string(),
            Self::Attempts => record.attempts.to_string(),
            Self::Method => record.method.clone(),
            Self::Host => record.host.clone(),
            Self::Path => record.path.clone(),
            Self::Route => optional(&record.route),
            Self::Upstream => optional(&record.upstream),
            Self::Endpoint => optional(&record.endpoint),
            Self::Consumer => optional(&record.consumer),
            Self::Client => record.client.clone(),
            Self::Fault => optional(&record.fault),
            Self::Id => record.id.clone(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^52 microseconds")]
    fn number(self, record: &ExchangeRecord) -> f64 {
        match self {
            Self::Millis => record.duration_us as f64 / 1_000.0,
            Self::Attempts => f64::from(record.attempts),
            _ => f64::from(record.status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ExchangeRecord {
        ExchangeRecord {
            method: "GET".into(),
            host: "api.example.com".into(),
            path: "/pages/order/771?x=1".into(),
            status: 502,
            duration_us: 1_004_000,
            route: Some("order-page".into()),
            consumer: Some("alice".into()),
            ..ExchangeRecord::default()
        }
    }

    #[test]
    fn terms_hold_or_do_not() {
        let rows = [
            ("", true),
            ("status>=500", true),
            ("status<500", false),
            ("status=502 route=order-page", true),
            ("status=502 route=order", false),
            ("path~/pages", true),
            ("path~x=1", true),
            ("ms>1000", true),
            ("!consumer=alice", false),
            ("consumer!=bob", true),
            ("API.example", true),
            ("/pages/order/771?x=1", true),
            ("nothing", false),
            ("upstream=", true),
        ];
        for (text, want) in rows {
            assert_eq!(Query::parse(text).map(|q| q.holds(&record())), Ok(want), "row {text:?}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let rows = [("colour=red", "is not a field"), ("status>=high", "is not a number"), ("path>1", "only status")];
        for (text, want) in rows {
            let got = Query::parse(text).err().unwrap_or_default();
            assert!(got.contains(want), "row {text:?} said {got:?}");
        }
    }

    #[test]
    fn a_paused_tail_holds_its_exchange() {
        let mut traffic = Traffic::default();
        for _ in 0..5 {
            traffic.take(record());
        }
        traffic.step(1);
        assert_eq!(traffic.selected().map(|seen| seen.number), Some(3));
        traffic.take(record());
        assert_eq!((traffic.selected().map(|seen| seen.number), traffic.unseen()), (Some(3), 1));
        traffic.follow();
        assert_eq!(traffic.selected().map(|seen| seen.number), Some(5));
    }

    #[test]
    fn the_ring_is_bounded_and_the_cursor_stays_inside() {
        let mut traffic = Traffic::default();
        traffic.take(record());
        traffic.pause();
        for _ in 0..EXCHANGES_KEPT + 5 {
            traffic.take(record());
        }
        traffic.step(-1);
        assert_eq!((traffic.kept(), traffic.selected().map(|seen| seen.number)), (1, Some(0)));
        traffic.follow();
        assert_eq!(traffic.kept(), EXCHANGES_KEPT);
    }
}
