// SPDX-License-Identifier: MIT OR Apache-2.0
//! `canary`: a split that moves by itself is started, held, resumed or taken back; and how one is told in `status`.

use http::Method;
use weirgate_store::wire::{CanaryRequest, CanaryStatus};

use super::args::CanaryArgs;
use super::human;
use super::line::{Piece, Style};
use super::table::Table;
use super::terminal::{Failure, Terminal};
use crate::client::segment;

pub(crate) async fn canary(t: &mut Terminal<'_>, args: &CanaryArgs) -> Result<(), Failure> {
    let request = CanaryRequest { verb: args.verb.verb() };
    let path = format!("/v1/routes/{}/canary", segment(&args.route));
    let after: CanaryStatus = t.client.send(Method::POST, &path, Some(&request)).await?;
    if t.json {
        return t.document(&after);
    }
    let name = format!("{} → {}", after.route, after.upstream);
    let facts = format!("  {} %  {}", after.percent, after.reason);
    t.say(&[Style::Name.of(name), "  ".into(), state(&after), facts.into()])
}

/// All canaries.
pub(super) fn table(canaries: &[CanaryStatus], now_ms: i64) -> Table {
    let mut table = Table::new(&["CANARY", "UPSTREAM", ">SHARE", "STATE", "NOTE"]);
    for canary in canaries {
        let note = format!("for {}: {}", human::age(now_ms - canary.since_ms), canary.reason);
        table.push(vec![
            Style::Name.of(canary.route.as_str()),
            canary.upstream.as_str().into(),
            format!("{} %", canary.percent).into(),
            state(canary),
            note.into(),
        ]);
    }
    table
}

fn state(canary: &CanaryStatus) -> Piece {
    match canary.state.as_str() {
        "done" => Style::Good.of("✓ done"),
        "moving" => Style::Good.of("→ moving"),
        "back" => Style::Bad.of("✗ back"),
        other => Style::Warn.of(format!("~ {other}")),
    }
}
