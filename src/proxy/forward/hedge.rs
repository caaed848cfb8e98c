// SPDX-License-Identifier: MIT OR Apache-2.0
//! One attempt, and what may happen beside it while it is slow: a second copy to another endpoint, or the end of the
//! time that one try may take.
//!
//! An upstream that asks for neither pays for neither: its attempt is run as it is. A copy goes only of an idempotent
//! request without a body, costs retry budget, and takes places like any request. The first answer counts; the other
//! attempt is dropped, and with it its connection, so that nothing of it can be taken for the reply of another request.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep};

use super::super::http::RequestBody;
use super::super::journey::{Attempt, Journey};
use super::super::worker::UpstreamMemory;
use super::attempt::Attempts;
use super::connect::{connect, send};
use super::pick::pick;
use super::replay::{Sendable, Supply};
use super::{Forwarded, admit, measure, outcome};
use crate::balance::Choice;
use crate::clock;
use crate::config::snapshot::Upstream;
use crate::fault::Fault;
use crate::protocol::http1::RequestFraming;
use crate::upstream::endpoint::{Endpoint, InFlight};
use crate::upstream::limits::Place;
use crate::upstream::retry;

/// What every attempt of a request has in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Going<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) memory: &'a UpstreamMemory,
    pub(super) framing: &'a RequestFraming,
    pub(super) head: &'a [u8],
}

/// A request body, or what is left of it.
type Left<B> = Option<Sendable<B>>;

type Answered<B> = Result<Forwarded<Sendable<B>>, Fault>;

impl Going<'_> {
    /// Runs one attempt; what was not touched of the body comes back.
    async fn run<B: RequestBody>(
        &self,
        journey: &Journey,
        endpoint: &Endpoint,
        is_fresh: bool,
        mut body: Left<B>,
    ) -> (Answered<B>, Left<B>) {
        let began = admit::is_measured(self.upstream).then(clock::now);
        let mut sent = None;
        let result = match connect(journey, self.upstream, endpoint, self.framing, is_fresh).await {
            Ok(way) => {
                sent = measure::begin(self.upstream, self.framing);
                send(journey, self.upstream, way, self.framing, self.head, &mut body).await
            }
            Err(fault) => Err(fault),
        };
        measure::attempted(self.upstream, endpoint, &result, sent);
        if let Ok(forwarded) = &result {
            // A connection that became a tunnel ends when it ends.
            journey.measured.set(sent.filter(|_| forwarded.reply.tunnel.is_none()));
        }
        if let (Some(began), Ok(_)) = (began, &result) {
            admit::measure(self.upstream, self.memory, clock::now().saturating_duration_since(began));
        }
        (result, body)
    }

    /// Whether a second copy may go, as far as the request itself goes.
    fn may_copy(&self, journey: &Journey) -> bool {
        let is_plain = self.framing.framing.is_empty() && self.framing.upgrade.is_none();
        is_plain && retry::is_idempotent(journey.x.request.method.as_str())
    }
}

/// One attempt at `endpoint`, the last in the journey. The endpoint is told how it went.
pub(super) async fn attempt<B: RequestBody>(
    journey: &mut Journey,
    going: Going<'_>,
    endpoint: &Arc<Endpoint>,
    attempts: &mut Attempts,
    supply: &mut Supply<B>,
) -> Answered<B> {
    let is_fresh = attempts.stale > 0;
    let body = supply.next();
    let sent = journey.attempt_began();
    if going.upstream.overload.hedge.is_none() && going.upstream.retry.per_try.is_none() {
        let (result, left) = going.run(journey, endpoint, is_fresh, body).await;
        supply.put_back(left);
        outcome::observe(endpoint, journey.in_flight.as_ref(), sent, outcome::Outcome::of(&result));
        return result;
    }
    Box::pin(watched(journey, going, endpoint, attempts, supply, body, sent)).await
}

/// How it ended.
enum Ended<B> {
    First(Answered<B>, Left<B>),
    /// The copy was answered; the first had failed by then, or is dropped.
    Copy(Forwarded<Sendable<B>>, Option<Fault>),
    /// The first took more time than one try may.
    Late(Duration),
}

/// An attempt under way.
type Running<'a, B> = Pin<Box<dyn Future<Output = (Answered<B>, Left<B>)> + 'a>>;

/// A second copy under way.
struct Copied<'a, B> {
    choice: Choice,
    endpoint: Arc<Endpoint>,
    in_flight: InFlight,
    sent: Instant,
    _place: Option<Place>,
    run: Running<'a, B>,
    fault: Option<Fault>,
}

/// An attempt with what may happen beside it.
struct Race<'a, B> {
    journey: &'a Journey,
    going: Going<'a>,
    attempts: &'a Attempts,
    supply: &'a mut Supply<B>,
    copy_at: Option<Pin<Box<Sleep>>>,
    late_at: Option<(Duration, Pin<Box<Sleep>>)>,
    copied: Option<Copied<'a, B>>,
    /// Why the first failed, while the copy goes on.
    fault: Option<Fault>,
}

/// What is left of a copy after the race.
struct Ran {
    choice: Choice,
    endpoint: Arc<Endpoint>,
    in_flight: InFlight,
    sent: Instant,
    fault: Option<Fault>,
}

async fn watched<B: RequestBody>(
    journey: &mut Journey,
    going: Going<'_>,
    endpoint: &Arc<Endpoint>,
    attempts: &mut Attempts,
    supply: &mut Supply<B>,
    body: Left<B>,
    sent: Instant,
) -> Answered<B> {
    let (ended, copied) = race(journey, going, endpoint, attempts, supply, body).await;
    match ended {
        Ended::First(result, left) => {
            supply.put_back(left);
            outcome::observe(endpoint, journey.in_flight.as_ref(), sent, outcome::Outcome::of(&result));
            note_copy(journey, attempts, copied, result.is_err());
            result
        }
        Ended::Copy(forwarded, fault) => {
            if let Some(fault) = &fault {
                outcome::observe(endpoint, journey.in_flight.as_ref(), sent, outcome::Outcome::Failed(fault));
            }
            let result = Ok(forwarded);
            if let Some(Ran { choice, endpoint, in_flight, sent, .. }) = copied {
                outcome::observe(&endpoint, Some(&in_flight), sent, outcome::Outcome::of(&result));
                move_to_copy(journey, (choice, sent), in_flight, fault);
            }
            result
        }
        Ended::Late(after) => {
            let fault = Fault::TryTimeout { endpoint: Arc::clone(&endpoint.name), after };
            outcome::observe(endpoint, journey.in_flight.as_ref(), sent, outcome::Outcome::Failed(&fault));
            note_copy(journey, attempts, copied, true);
            Err(fault)
        }
    }
}

/// Lets the attempt run, and a copy beside it if one is due.
async fn race<B: RequestBody>(
    journey: &Journey,
    going: Going<'_>,
    endpoint: &Arc<Endpoint>,
    attempts: &Attempts,
    supply: &mut Supply<B>,
    body: Left<B>,
) -> (Ended<B>, Option<Ran>) {
    let mut first = pin!(going.run(journey, endpoint, attempts.stale > 0, body));
    let mut race = Race {
        journey,
        going,
        attempts,
        supply,
        copy_at: copy_delay(journey, going, attempts).map(|delay| Box::pin(sleep(delay))),
        late_at: going.upstream.retry.per_try.map(|limit| (limit, Box::pin(sleep(limit)))),
        copied: None,
        fault: None,
    };
    let ended = poll_fn(|cx| race.poll(cx, first.as_mut())).await;
    let ran = race.copied.map(|Copied { choice, endpoint, in_flight, sent, fault, .. }| Ran {
        choice,
        endpoint,
        in_flight,
        sent,
        fault,
    });
    (ended, ran)
}

impl<B: RequestBody> Race<'_, B> {
    fn poll<F>(&mut self, cx: &mut Context<'_>, first: Pin<&mut F>) -> Poll<Ended<B>>
    where
        F: Future<Output = (Answered<B>, Left<B>)>,
    {
        if self.fault.is_none()
            && let Poll::Ready((result, left)) = first.poll(cx)
        {
            match result {
                Err(fault) if self.is_copy_running() => self.fault = Some(fault),
                result => return Poll::Ready(Ended::First(result, left)),
            }
        }
        if self.is_copy_due(cx) {
            self.begin_copy();
        }
        if let Poll::Ready(ended) = self.poll_copy(cx) {
            return Poll::Ready(ended);
        }
        match self.late(cx) {
            Some(limit) => Poll::Ready(Ended::Late(limit)),
            None => Poll::Pending,
        }
    }

    fn is_copy_running(&self) -> bool {
        self.copied.as_ref().is_some_and(|copied| copied.fault.is_none())
    }

    fn is_copy_due(&mut self, cx: &mut Context<'_>) -> bool {
        let is_due = self.copy_at.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if is_due {
            self.copy_at = None;
        }
        is_due
    }

    /// Sends the copy, if another endpoint, the limits and the retry budget allow one.
    fn begin_copy(&mut self) {
        let Going { upstream, memory, .. } = self.going;
        let elsewhere = self.attempts.beside(self.journey);
        let Some((choice, in_flight, place)) = admit::second(self.journey, upstream, memory, &elsewhere) else {
            return;
        };
        let Ok(endpoint) = admit::endpoint_of(upstream, choice).cloned() else { return };
        let Some(body) = self.supply.next() else { return };
        if !retry::allows_copy(&upstream.retry, &mut memory.budget.borrow_mut(), clock::since_start_ns()) {
            return;
        }
        upstream.overload.load.hedges.fetch_add(1, Ordering::Relaxed);
        let (journey, going, to) = (self.journey, self.going, Arc::clone(&endpoint));
        let run = Box::pin(async move { going.run(journey, &to, false, Some(body)).await });
        self.copied = Some(Copied { choice, endpoint, in_flight, sent: clock::now(), _place: place, run, fault: None });
    }

    fn poll_copy(&mut self, cx: &mut Context<'_>) -> Poll<Ended<B>> {
        let Some(copied) = self.copied.as_mut().filter(|copied| copied.fault.is_none()) else { return Poll::Pending };
        let (result, _) = ready!(copied.run.as_mut().poll(cx));
        let first = self.fault.take();
        match (result, first) {
            (Ok(forwarded), first) => Poll::Ready(Ended::Copy(forwarded, first)),
            (Err(fault), Some(first)) => {
                copied.fault = Some(fault);
                Poll::Ready(Ended::First(Err(first), None))
            }
            (Err(fault), None) => {
                copied.fault = Some(fault);
                Poll::Pending
            }
        }
    }

    /// The time that one try may take, once it is over and another try may follow.
    fn late(&mut self, cx: &mut Context<'_>) -> Option<Duration> {
        let (limit, timer) = self.late_at.as_mut()?;
        if timer.as_mut().poll(cx).is_pending() {
            return None;
        }
        let limit = *limit;
        self.late_at = None;
        (!self.is_copy_running() && self.may_another_follow(limit)).then_some(limit)
    }

    fn may_another_follow(&self, after: Duration) -> bool {
        let Going { upstream, memory, .. } = self.going;
        let fault = Fault::TryTimeout { endpoint: "".into(), after };
        let body = if self.supply.is_left() { retry::Body::InHand } else { retry::Body::Spent };
        let tried = self.attempts.after_failure(self.journey, body);
        let now_ns = clock::since_start_ns();
        retry::may_follow(&upstream.retry, &fault, tried, &memory.budget.borrow(), now_ns)
            && pick(self.journey, upstream, memory, &self.attempts.beside(self.journey)).is_ok()
    }
}

/// Writes a copy that was of no use into the journey, before the attempt that decided.
fn note_copy(journey: &mut Journey, attempts: &mut Attempts, copied: Option<Ran>, is_failed: bool) {
    let Some(Ran { choice, fault, sent: began, .. }) = copied else { return };
    let note = if is_failed { "a copy, as the first was slow" } else { "a copy, as the first was slow; dropped" };
    let place = journey.attempts.len().saturating_sub(1);
    journey.attempts.insert(place, Attempt { choice, fault, note: Some(note), began, ended: Some(clock::now()) });
    journey.x.attempts += 1;
    if is_failed {
        attempts.tried.push(choice.index);
    }
}

/// The copy was answered: from here on the exchange is at its endpoint.
fn move_to_copy(journey: &mut Journey, (choice, began): (Choice, Instant), in_flight: InFlight, fault: Option<Fault>) {
    if let Some(first) = journey.attempts.last_mut() {
        first.note = fault.is_none().then_some("dropped: a copy was answered before it");
        first.fault = fault;
        first.ended = Some(clock::now());
    }
    let note = Some("a copy, as the first was slow; answered first");
    journey.attempts.push(Attempt { choice, fault: None, note, began, ended: None });
    journey.x.attempts += 1;
    journey.in_flight = Some(in_flight);
}

/// When a second copy is to go, if ever.
fn copy_delay(journey: &Journey, going: Going<'_>, attempts: &Attempts) -> Option<Duration> {
    let rules = going.upstream.overload.hedge?;
    // Only beside the first attempt: a request that has failed somewhere has had its second chance.
    if going.upstream.endpoints.len() < 2 || !attempts.is_first() || !going.may_copy(journey) {
        return None;
    }
    going.memory.recent.borrow_mut().delay(rules)
}
