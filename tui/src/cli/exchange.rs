// SPDX-License-Identifier: MIT OR Apache-2.0
//! `why`: what did happen to one request, as it was recorded.

use weirgate_store::wire::ExchangeRecord;

use super::args::RecordVerb;
use super::line::Style;
use super::terminal::{Failure, Terminal};
use super::{human, usage};
use crate::client::segment;

/// Cells of the longest bar.
const BAR: u64 = 40;

/// What was recorded, by verb.
pub(crate) async fn run(t: &mut Terminal<'_>, verb: &RecordVerb) -> Result<(), Failure> {
    match verb {
        RecordVerb::Why { id } => why(t, id).await,
        RecordVerb::Usage(args) => usage::usage(t, args).await,
    }
}

async fn why(t: &mut Terminal<'_>, id: &str) -> Result<(), Failure> {
    let record: ExchangeRecord = t.client.get(&format!("/v1/exchanges/{}", segment(id))).await?;
    if t.json {
        return t.document(&record);
    }
    print(t, &record)
}

fn print(t: &mut Terminal<'_>, x: &ExchangeRecord) -> Result<(), Failure> {
    let time = human::date_time(x.time_ms, &t.zone);
    let target = format!("  {} {}{}  {}", x.method, x.host, x.path, human::micros(x.duration_us));
    t.say(&[Style::Dim.of(time), target.into()])?;
    t.say(&[Style::Bold.of(x.verdict.as_str())])?;
    t.blank()?;
    let longest = x.timeline.iter().map(|step| step.micros).max().unwrap_or(0);
    for step in &x.timeline {
        let cells = step.micros.saturating_mul(BAR).checked_div(longest).unwrap_or(0);
        let bar = "#".repeat(usize::try_from(cells).unwrap_or(0));
        let line = format!("  {:<9} {:>10}  ", step.stage, human::micros(step.micros));
        t.say(&[line.into(), Style::Dim.of(bar)])?;
    }
    for (number, sent) in (1..).zip(&x.tries) {
        let took = sent.micros.map_or("until the end".to_owned(), human::micros);
        let began = format!("  try {number}  {}, after {}, took {took}: ", sent.endpoint, human::micros(sent.began_us));
        let end = sent.fault.as_deref().map_or_else(|| Style::Good.of("answered"), |fault| Style::Bad.of(fault));
        t.say(&[began.into(), end])?;
    }
    for reason in &x.why {
        t.say(&["  ".into(), reason.as_str().into()])?;
    }
    t.blank()?;
    for (name, value) in facts(x) {
        t.say(&[Style::Dim.of(format!("  {name:<10}")), value.into()])?;
    }
    for field in &x.request {
        t.say(&[Style::Dim.of(format!("  > {}: ", field.name)), field.value.as_str().into()])?;
    }
    Ok(())
}

fn facts(x: &ExchangeRecord) -> Vec<(&'static str, String)> {
    let named = |name, value: &Option<String>| value.clone().map(|value| (name, value));
    let mut facts = vec![
        ("id", x.id.clone()),
        ("client", format!("{} over {} on listener {}", x.client, x.protocol, x.listener)),
        ("bytes", format!("{} in, {} out", human::bytes(x.bytes_in), human::bytes(x.bytes_out))),
    ];
    let rest = [
        named("consumer", &x.consumer),
        named("route", &x.route),
        named("upstream", &x.upstream),
        named("fault", &x.fault),
        named("trace", &x.trace),
    ];
    facts.extend(rest.into_iter().flatten());
    facts
}
