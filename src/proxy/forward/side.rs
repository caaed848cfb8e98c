// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which upstream takes the request: the first choice on the way to an endpoint. It is made once and written into the
//! journey, so that attempts, records and the verdict card all speak of the same one.
//!
//! Which endpoint of it is `pick`.

use std::rc::Rc;

use super::super::journey::Journey;
use super::sticky;
use crate::config::snapshot::{Split, Turn};
use crate::exchange::part::Seen;
use crate::fault::Fault;

/// The upstream of the route, or of the side of its split. From here on the journey knows it.
pub(super) fn choose(journey: &mut Journey) -> Result<(), Fault> {
    let snapshot = Rc::clone(&journey.snapshot);
    let route = journey.route.and_then(|index| snapshot.routes.get(index as usize));
    let route = route.ok_or(Fault::Internal("a route that is not there"))?;
    journey.upstream = match &route.split {
        None => Some(route.upstream),
        Some(split) => turn(journey, split),
    };
    Ok(())
}

/// Takes a side of the split.
fn turn(journey: &mut Journey, split: &Split) -> Option<u32> {
    let request = &journey.x.request;
    let seen = Seen {
        fields: &request.fields,
        path: request.matched(),
        query: request.query(),
        source: journey.x.client_ip,
        certificate: journey.x.client.certificate.as_ref().map(|shown| &shown.fingerprint[..]),
    };
    let seed = journey.worker.draw();
    let kept = || sticky::side(&journey.snapshot, split, &request.fields, journey.worker.wall_s());
    let turn: Option<Turn> = split.choose(&seen, seed, kept);
    journey.turn = turn;
    if let Some(field) = &split.testers {
        // It was said to weirgate, and an endpoint that acted on it would do so for anybody.
        journey.x.request.fields.remove_named(field);
    }
    split.sides.get(turn?.side).map(|side| side.upstream)
}
