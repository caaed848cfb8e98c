// SPDX-License-Identifier: MIT OR Apache-2.0
//! `lease`: an endpoint is registered for a while, that is renewed, or it is taken away.

use http::Method;
use serde_json::Value;
use weirgate_store::wire::{EndpointStatus, LeaseRequest};

use super::args::LeaseArgs;
use super::endpoint::{path_of, print_one, seconds};
use super::line::Style;
use super::terminal::{Failure, Terminal};

pub(crate) async fn lease(t: &mut Terminal<'_>, args: &LeaseArgs) -> Result<(), Failure> {
    let path = path_of(&args.upstream, &args.endpoint, "lease");
    if args.remove {
        let answer: Value = t.client.send::<Value, ()>(Method::DELETE, &path, None).await?;
        if t.json {
            return t.document(&answer);
        }
        return t.say(&[Style::Good.of("✓"), format!(" {} is taken from {}", args.endpoint, args.upstream).into()]);
    }
    let ttl_s = seconds("--ttl", args.ttl)?;
    let request = LeaseRequest { ttl_s, weight: args.weight, zone: args.zone.clone() };
    let after: EndpointStatus = t.client.send(Method::PUT, &path, Some(&request)).await?;
    print_one(t, &args.upstream, &after)
}
