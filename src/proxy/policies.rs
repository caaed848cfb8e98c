// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request at the policies of its route: at once, or with waits in between where one has to ask somebody.

use tokio::time::timeout;

use super::journey::Journey;
use super::worker::LocalSnapshot;
use crate::clock;
use crate::config::snapshot::Route;
use crate::fault::Fault;
use crate::observe::Stage;
use crate::policy::wait::WAIT_MAX;
use crate::policy::{self, Answer, Reply, Steps, Verdict, Waiting};

/// Passes the request by its policies. A reply of one of them is the end of its way.
pub(super) async fn check(journey: &mut Journey) -> Result<Option<Reply>, Fault> {
    let Some(route) = journey.route() else { return Err(NO_ROUTE) };
    if route.policies.is_empty() {
        return Ok(None);
    }
    match begin(journey)? {
        Begun::Passed => Ok(None),
        Begun::Replied(reply) => Ok(Some(*reply)),
        // Boxed, so that requests that ask nobody do not carry the room for it.
        Begun::Asked(asked) => Box::pin(ask(journey, *asked)).await,
    }
}

const NO_ROUTE: Fault = Fault::Internal("a route that is not there");

enum Begun {
    Passed,
    Replied(Box<Reply>),
    Asked(Box<Asked>),
}

struct Asked {
    steps: Steps,
    waiting: Waiting,
    snapshot: LocalSnapshot,
}

/// As far as it goes without waiting.
fn begin(journey: &mut Journey) -> Result<Begun, Fault> {
    let snapshot = LocalSnapshot::clone(&journey.snapshot);
    let route = journey.route.and_then(|index| snapshot.routes.get(index as usize)).ok_or(NO_ROUTE)?;
    let mut steps = Steps::default();
    Ok(match run(journey, route, &mut steps)? {
        Verdict::Continue => Begun::Passed,
        Verdict::Reply(reply) => Begun::Replied(reply),
        Verdict::Wait(waiting) => Begun::Asked(Box::new(Asked { steps, waiting, snapshot })),
    })
}

/// The rest of the way, and how long it took: only where somebody is asked is that more than reading the clock costs.
async fn ask(journey: &mut Journey, asked: Asked) -> Result<Option<Reply>, Fault> {
    let began = clock::now();
    let outcome = ask_on(journey, asked).await;
    journey.time(Stage::Policies, began, clock::now());
    outcome
}

/// Every wait, one after the other.
async fn ask_on(journey: &mut Journey, asked: Asked) -> Result<Option<Reply>, Fault> {
    let Asked { mut steps, mut waiting, snapshot } = asked;
    let route = journey.route.and_then(|index| snapshot.routes.get(index as usize)).ok_or(NO_ROUTE)?;
    loop {
        steps.answer = Some(timeout(WAIT_MAX, waiting).await.unwrap_or(Answer::Late));
        match run(journey, route, &mut steps)? {
            Verdict::Continue => return Ok(None),
            Verdict::Reply(reply) => return Ok(Some(*reply)),
            Verdict::Wait(next) => waiting = next,
        }
    }
}

fn run(journey: &mut Journey, route: &Route, steps: &mut Steps) -> Result<Verdict, Fault> {
    let directory = journey.worker.shared.directory();
    let x = &mut journey.x;
    let mut request = policy::Request {
        head: &mut x.request,
        id: x.id,
        client: &x.client,
        client_ip: x.client_ip,
        route: route.identity,
        credentials: &directory.credentials,
        identity: &mut journey.identity,
        notes: &mut journey.notes,
        now_ns: clock::since_start_ns_at(x.arrived),
        now_s: journey.worker.wall_s(),
    };
    policy::on_request(&route.policies, steps, &mut request)
}
