// SPDX-License-Identifier: MIT OR Apache-2.0
//! `flush`: verdicts of a service are forgotten before their time is over.

use http::Method;
use weirgate_store::wire::{FlushReply, FlushRequest};

use super::args::FlushArgs;
use super::line::Style;
use super::terminal::{Failure, Terminal};
use crate::client::segment;

pub(crate) async fn flush(t: &mut Terminal<'_>, args: &FlushArgs) -> Result<(), Failure> {
    let key = Some(args.key.clone()).filter(|key| !key.is_empty());
    let request = FlushRequest { subject: args.subject.clone(), key };
    let path = format!("/v1/policies/{}/flush", segment(&args.policy));
    let after: FlushReply = t.client.send(Method::POST, &path, Some(&request)).await?;
    if t.json {
        return t.document(&after);
    }
    let verdicts = if after.flushed == 1 { "verdict is" } else { "verdicts are" };
    t.say(&[Style::Name.of(args.policy.clone()), format!("  {} {verdicts} forgotten", after.flushed).into()])
}
