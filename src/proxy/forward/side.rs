// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which upstream takes the request: the first choice on the way to an endpoint. It is made once and written into the
//! journey, so that attempts, records and the verdict card all speak of the same one.
//!
//! Which endpoint of it is `pick`.

use std::sync::Arc;

use super::super::journey::Journey;
use crate::config::snapshot::Upstream;
use crate::fault::Fault;

/// The upstream of the route. From here on the journey knows it.
pub(super) fn choose(journey: &mut Journey) -> Result<Arc<Upstream>, Fault> {
    let index = journey.route().map(|route| route.upstream);
    journey.upstream = index;
    journey.upstream().cloned().ok_or(Fault::Internal("a route without an upstream"))
}
