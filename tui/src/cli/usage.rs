// SPDX-License-Identifier: MIT OR Apache-2.0
//! `usage`: what a consumer has used of its plan and quotas, and forgetting that.

use http::Method;
use weirgate_store::clock;
use weirgate_store::model::Kind;
use weirgate_store::wire::ConsumerUsage;

use super::args::UsageArgs;
use super::human;
use super::line::Style;
use super::object::find;
use super::table::Table;
use super::terminal::{Failure, Terminal};
use crate::client::segment;

pub(crate) async fn run(t: &mut Terminal<'_>, args: &UsageArgs) -> Result<(), Failure> {
    let UsageArgs { consumer, reset, dry_run } = args;
    find(t, Kind::Consumer, consumer).await?;
    let path = format!("/v1/consumers/{}/usage", segment(consumer));
    if *reset && !dry_run {
        let usage: ConsumerUsage = t.client.send::<_, ()>(Method::DELETE, &path, None).await?;
        if t.json {
            return t.document(&usage);
        }
        return t.say(&[Style::Good.of("✓"), format!(" what {consumer} has used is forgotten").into()]);
    }
    let usage: ConsumerUsage = t.client.get(&path).await?;
    if t.json {
        return t.document(&usage);
    }
    if *reset {
        let used = usage.limits.iter().filter(|limit| limit.used > 0).map(|limit| limit.name.as_str());
        let names = used.collect::<Vec<_>>().join(", ");
        let text = if names.is_empty() { format!("{consumer} has used nothing") } else { format!(" usage: {names}") };
        return t.say(&[Style::Bad.of("-"), text.into()]);
    }
    show(t, &usage)
}

fn show(t: &mut Terminal<'_>, usage: &ConsumerUsage) -> Result<(), Failure> {
    let ConsumerUsage { consumer, plan, limits } = usage;
    if limits.is_empty() {
        return t.say(&[format!("nothing limits {consumer} by itself; give it a plan or a quota").into()]);
    }
    let mut table = Table::new(&["LIMIT", "KIND", "PER", ">USED", ">LEFT", ">OF", "RESETS"]);
    let now_ms = clock::wall_ms();
    for limit in limits {
        let left = human::count(limit.left);
        table.push(vec![
            Style::Name.of(limit.name.as_str()),
            limit.kind.word().into(),
            limit.per.as_str().into(),
            human::count(limit.used).into(),
            if limit.left == 0 { Style::Bad.of(format!("✗ {left}")) } else { left.into() },
            human::count(limit.limit).into(),
            match limit.resets_ms {
                Some(at) => format!("in {}", human::age((at - now_ms).max(0))).into(),
                None => Style::Dim.of("-"),
            },
        ]);
    }
    if let Some(plan) = plan {
        t.say(&[Style::Dim.of(format!("plan {plan}"))])?;
    }
    t.table(&table)
}
