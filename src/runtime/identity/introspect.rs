// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking issuers about tokens (RFC 7662): one task for each issuer and client, that works off what workers ask.
//!
//! All who ask about one token share one question. So many questions are under way at once, and no more; those that wait are
//! bounded by the queue of workers and by this task's own list. An issuer that fails is left alone for a moment, so that
//! nobody waits long for nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::client::{self, Address, Kept};
use crate::clock;
use crate::policy::authenticate::token::cache::TokenHash;
use crate::policy::authenticate::token::introspection::{
    Active, Asked, Introspection, QUESTIONS_MAX, Question, Said, expires,
};
use crate::policy::authenticate::token::json;

/// Questions to one issuer under way at once.
const UNDER_WAY_MAX: usize = 32;

/// How long an issuer that failed is not asked.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// What a form leaves as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// All issuers that are asked. What no policy uses is forgotten.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Introspections(Mutex<HashMap<Asked, Weak<Introspection>>>);

impl Introspections {
    /// What this issuer says: the same for all who ask. Starts the task that asks if there is none.
    ///
    /// # Errors
    /// A sentence about what is wrong with the address or its authorities.
    pub(in crate::runtime) fn of(&self, asked: &Asked) -> Result<Arc<Introspection>, String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, known| known.strong_count() > 0);
        if let Some(known) = all.get(asked).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let address = Address::new(&asked.url, asked.ca.as_deref())?;
        let (introspection, queue) = Introspection::new();
        let introspection = Arc::new(introspection);
        let desk = Desk::new(asked.clone(), address, Arc::downgrade(&introspection));
        tokio::spawn(desk.run(queue));
        all.insert(asked.clone(), Arc::downgrade(&introspection));
        Ok(introspection)
    }
}

/// What came of a question, and its connection.
type Answered = (TokenHash, Result<Said, String>, Option<Kept>);

/// Where one issuer's questions are worked off.
struct Desk {
    asked: Asked,
    address: Arc<Address>,
    authorization: Arc<str>,
    introspection: Weak<Introspection>,
    /// Who waits for the answer about a token.
    waiting: HashMap<TokenHash, Vec<oneshot::Sender<Said>>>,
    under_way: JoinSet<Answered>,
    /// Connections that wait for a question; as many as there were at once.
    idle: Vec<Kept>,
    /// Until when it is left alone, since the start of the process.
    alone_until_ns: u64,
    is_failing: bool,
}

impl Desk {
    fn new(asked: Asked, address: Address, introspection: Weak<Introspection>) -> Self {
        // Each part is encoded as in a form before they are joined (RFC 6749 section 2.3.1).
        let part = |text: &str| utf8_percent_encode(text, FORM).to_string();
        let pair = format!("{}:{}", part(&asked.client_id), part(&asked.secret));
        let authorization = format!("Basic {}", STANDARD.encode(pair)).into();
        Self {
            asked,
            address: Arc::new(address),
            authorization,
            introspection,
            waiting: HashMap::new(),
            under_way: JoinSet::new(),
            idle: Vec::new(),
            alone_until_ns: 0,
            is_failing: false,
        }
    }

    /// Works until no policy asks any more.
    async fn run(mut self, mut queue: mpsc::Receiver<Question>) {
        loop {
            let has_room = self.under_way.len() < UNDER_WAY_MAX;
            tokio::select! {
                Some(answered) = self.under_way.join_next() => {
                    if let Ok((hash, said, kept)) = answered {
                        self.idle.extend(kept);
                        self.answer(hash, said);
                    }
                }
                question = queue.recv(), if has_room => match question {
                    Some(question) => self.take(question),
                    None => return,
                }
            }
        }
    }

    fn take(&mut self, question: Question) {
        let Question { hash, token, reply } = question;
        let (now_ns, now_s) = (clock::since_start_ns(), clock::wall_ms() / 1000);
        // Whoever asks may have asked before the answer to another one came.
        let known = self.introspection.upgrade().and_then(|held| held.find(&hash, now_s));
        let known = known.or_else(|| (now_ns < self.alone_until_ns).then_some(Said::Unavailable));
        if let Some(said) = known {
            // One that has gone away wants no answer.
            _ = reply.send(said);
            return;
        }
        let waiting = self.waiting.entry(hash).or_default();
        waiting.push(reply);
        match waiting.len() {
            1 => {
                let (address, authorization) = (Arc::clone(&self.address), Arc::clone(&self.authorization));
                let kept = self.idle.pop();
                self.under_way.spawn(async move {
                    let (said, kept) = ask(&address, kept, &authorization, &token).await;
                    (hash, said, kept)
                });
            }
            2..=QUESTIONS_MAX => {}
            _ => drop(waiting.pop()),
        }
    }

    fn answer(&mut self, hash: TokenHash, said: Result<Said, String>) {
        let said = said.unwrap_or_else(|why| self.fail(&why));
        if !matches!(said, Said::Unavailable) && std::mem::take(&mut self.is_failing) {
            tracing::info!(url = &*self.asked.url, "an issuer can be asked again");
        }
        if let Some(introspection) = self.introspection.upgrade() {
            introspection.keep(hash, &said, self.asked.holding, clock::wall_ms() / 1000);
        }
        for reply in self.waiting.remove(&hash).unwrap_or_default() {
            _ = reply.send(said.clone());
        }
    }

    fn fail(&mut self, why: &str) -> Said {
        let alone_ns = u64::try_from(LEFT_ALONE.as_nanos()).unwrap_or(u64::MAX);
        self.alone_until_ns = clock::since_start_ns().saturating_add(alone_ns);
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(
                url = &*self.asked.url,
                why,
                "an issuer cannot be asked; what it said still holds for a while"
            );
        }
        Said::Unavailable
    }
}

async fn ask(
    address: &Address,
    kept: Option<Kept>,
    authorization: &str,
    token: &[u8],
) -> (Result<Said, String>, Option<Kept>) {
    let token = percent_encoding::percent_encode(token, FORM).to_string();
    let form = format!("token={token}&token_type_hint=access_token");
    let (body, kept) = client::post(address, kept, authorization, form).await;
    (body.and_then(|body| read(&body)), kept)
}

fn read(body: &[u8]) -> Result<Said, String> {
    let claims = json::object(body).ok_or("its answer is no JSON object, or has a member twice")?;
    match claims.get("active") {
        Some(Value::Bool(true)) if expires(&claims) > clock::wall_ms() / 1000 => Ok(Said::Active(Active::new(claims))),
        Some(Value::Bool(_)) => Ok(Said::Inactive),
        _ => Err("its answer does not say whether the token is active".to_owned()),
    }
}
