// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an issuer says of tokens that only it can read (RFC 7662), as the request path knows it: answers that still hold,
//! and a bounded queue to the one who asks.
//!
//! Answers about good and about bad tokens are kept apart, so that a storm of bad ones pushes no good one out. What is kept
//! of a token is its hash.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::cache::{Cache, ENTRIES_DEFAULT, Lasting, TokenHash};
use crate::policy::wait::{Answer, Waiting};

/// Questions that wait to be taken up; more are told to come again.
pub const QUESTIONS_MAX: usize = 1_024;

/// Bad tokens that are remembered.
const BAD_MAX: usize = 4_096;

/// Claims of a token that is active.
pub type Active = Arc<Map<String, Value>>;

/// What came of asking.
#[derive(Clone, Debug)]
pub enum Said {
    Active(Active),
    Inactive,
    /// Nobody answered, or not so that it counts.
    Unavailable,
}

/// An answer, for as long as it holds.
#[derive(Clone, Debug)]
struct Held {
    /// None of a token that is not active.
    active: Option<Active>,
    until_s: i64,
}

impl Lasting for Held {
    fn until_s(&self) -> i64 {
        self.until_s
    }
}

/// A token that somebody wants to know about.
pub struct Question {
    pub hash: TokenHash,
    pub token: Box<[u8]>,
    pub reply: oneshot::Sender<Said>,
}

impl std::fmt::Debug for Question {
    /// Never prints the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Question")
    }
}

/// Answers of one issuer, and the way to ask it.
#[derive(Debug)]
pub struct Introspection {
    good: Cache<Held>,
    bad: Cache<Held>,
    questions: mpsc::Sender<Question>,
}

/// Who is asked, as whom, and how long the answers hold.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Asked {
    pub url: Arc<str>,
    /// PEM text of the authorities to trust instead of the system's.
    pub ca: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub secret: Arc<str>,
    pub holding: Holding,
}

impl std::fmt::Debug for Asked {
    /// Never prints the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("url", &self.url).field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// How long answers hold, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holding {
    pub active_s: i64,
    pub inactive_s: i64,
}

impl Introspection {
    /// With the queue that somebody works off.
    pub fn new() -> (Self, mpsc::Receiver<Question>) {
        let (questions, queue) = mpsc::channel(QUESTIONS_MAX);
        (Self { good: Cache::new(ENTRIES_DEFAULT), bad: Cache::new(BAD_MAX), questions }, queue)
    }

    /// What is known now.
    pub fn find(&self, hash: &TokenHash, now_s: i64) -> Option<Said> {
        let held = self.good.find(hash, now_s).or_else(|| self.bad.find(hash, now_s))?;
        Some(held.active.map_or(Said::Inactive, Said::Active))
    }

    /// Asks; nothing if too many questions wait.
    pub fn ask(&self, hash: TokenHash, token: &[u8]) -> Option<Waiting> {
        let (reply, answer) = oneshot::channel();
        let question = Question { hash, token: token.into(), reply };
        match self.questions.try_send(question) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => return None,
        }
        Some(Waiting::new(async move { Answer::Introspected(answer.await.unwrap_or(Said::Unavailable)) }))
    }

    /// Remembers an answer: never longer than the token lives.
    pub fn keep(&self, hash: TokenHash, said: &Said, holding: Holding, now_s: i64) {
        match said {
            Said::Active(claims) => {
                let until_s = now_s.saturating_add(holding.active_s).min(expires(claims));
                self.good.keep(hash, Held { active: Some(Arc::clone(claims)), until_s }, now_s);
            }
            Said::Inactive => {
                let until_s = now_s.saturating_add(holding.inactive_s);
                self.bad.keep(hash, Held { active: None, until_s }, now_s);
            }
            Said::Unavailable => {}
        }
    }
}

/// When a token expires that says so.
#[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes its end, and a fraction is cut")]
pub fn expires(claims: &Map<String, Value>) -> i64 {
    claims.get("exp").map_or(i64::MAX, |exp| exp.as_f64().map_or(0, |exp| exp.floor() as i64))
}

#[cfg(test)]
mod tests {
    use super::{Active, Holding, Introspection, QUESTIONS_MAX, Said};
    use crate::policy::authenticate::token::cache::hash_of;
    use serde_json::{Value, json};

    const HOLDING: Holding = Holding { active_s: 60, inactive_s: 10 };

    fn active(claims: Value) -> Said {
        let Value::Object(claims) = claims else { panic!("it is an object") };
        Said::Active(Active::new(claims))
    }

    /// Rows: what an issuer said at second 100, and until when it holds.
    #[test]
    fn an_answer_holds_as_long_as_it_may() {
        for (said, until_s) in [
            (active(json!({})), 160),
            (active(json!({"exp": 1_000})), 160),
            (active(json!({"exp": 130})), 130),
            (active(json!({"exp": "130"})), 100),
            (Said::Inactive, 110),
            (Said::Unavailable, 100),
        ] {
            let (introspection, _queue) = Introspection::new();
            let hash = hash_of(b"token");
            introspection.keep(hash, &said, HOLDING, 100);
            let holds = (100..200).filter(|now_s| introspection.find(&hash, *now_s).is_some()).count();
            assert_eq!(i64::try_from(holds).unwrap(), until_s - 100, "row {said:?}");
        }
    }

    #[test]
    fn questions_are_bounded_and_bad_tokens_push_no_good_one_out() {
        let (introspection, _queue) = Introspection::new();
        let good = hash_of(b"good");
        introspection.keep(good, &active(json!({})), HOLDING, 0);
        let waiting: Vec<_> = (0..QUESTIONS_MAX).filter_map(|n| introspection.ask(good, &n.to_le_bytes())).collect();
        assert_eq!(waiting.len(), QUESTIONS_MAX);
        assert!(introspection.ask(good, b"one more").is_none());
        for n in 0..100_000_u32 {
            introspection.keep(hash_of(&n.to_le_bytes()), &Said::Inactive, HOLDING, 0);
        }
        assert!(matches!(introspection.find(&good, 1), Some(Said::Active(_))));
    }
}
