// SPDX-License-Identifier: MIT OR Apache-2.0
//! `top` and `tail`: the event stream as text, one second or one exchange at a time.
//!
//! The daemon filters so that little is sent; the same filter is applied again here, because a line that was not
//! asked for is a wrong answer whoever is to blame.

use std::collections::BTreeMap;

use weirgate_store::wire::{Event, ExchangeRecord, Frame, LatencyHistogram, Rates};

use super::args::{TailArgs, TopArgs};
use super::human;
use super::line::{Piece, Style};
use super::table::Table;
use super::terminal::{Failure, Terminal};
use crate::client::{EventStream, segment};

/// Moves to the upper left corner and clears what is below: a redraw that does not flicker.
const REDRAW: &str = "\x1b[H\x1b[J";

pub(crate) async fn top(t: &mut Terminal<'_>, args: &TopArgs) -> Result<(), Failure> {
    let mut events = t.client.events("/v1/events?topics=traffic").await?;
    while let Some(event) = events.next().await {
        let Event::Traffic(frame) = event? else { continue };
        if t.json {
            t.record(&frame)?;
        } else {
            print_frame(t, &frame, args)?;
        }
        if args.once {
            return Ok(());
        }
    }
    Err(ended())
}

fn ended() -> Failure {
    Failure::Failed("the daemon closed the event stream; it is shutting down or restarting".to_owned())
}

fn print_frame(t: &mut Terminal<'_>, frame: &Frame, args: &TopArgs) -> Result<(), Failure> {
    if t.live && !args.once {
        t.control(REDRAW)?;
    }
    print_totals(t, frame)?;
    let tables = [("ROUTE", &frame.routes), ("UPSTREAM", &frame.upstreams), ("CONSUMER", &frame.consumers)];
    for (heading, rates) in tables {
        if !rates.is_empty() {
            t.blank()?;
            let table = rates_table(heading, rates, args.rows);
            t.table(&table)?;
        }
    }
    Ok(t.out.flush()?)
}

fn print_totals(t: &mut Terminal<'_>, frame: &Frame) -> Result<(), Failure> {
    let total = &frame.total;
    let time = human::date_time(frame.time_ms, &t.zone);
    let requests = format!("{} req/s", human::count(total.requests));
    let errors = format!("   errors {}", human::percent(total.server_errors, total.requests));
    let errors = if total.server_errors > 0 { Style::Bad.of(errors) } else { errors.into() };
    let rest = format!(
        "   429s {}/s   in {}/s   out {}/s",
        human::count(total.refused),
        human::bytes(total.bytes_in),
        human::bytes(total.bytes_out)
    );
    t.say(&[Style::Dim.of(time), "   ".into(), Style::Bold.of(requests), errors, rest.into()])?;
    let (p50, p99) = latency(frame);
    let cpu: Vec<String> = frame.worker_cpu_percent.iter().map(|percent| format!("{percent:.0} %")).collect();
    t.say(&[format!(
        "p50 {}   p99 {}   connections {}   in flight {}   memory {}   cpu {}",
        human::micros(p50),
        human::micros(p99),
        human::count(frame.connections),
        human::count(total.in_flight),
        human::bytes(frame.memory_bytes),
        cpu.join(" ")
    )
    .into()])
}

/// The percentiles of all exchanges; from the histogram where the totals do not carry them.
fn latency(frame: &Frame) -> (u64, u64) {
    match (frame.total.p50_us, frame.total.p99_us) {
        (0, 0) => (percentile(&frame.latency, 50), percentile(&frame.latency, 99)),
        given => given,
    }
}

/// The upper edge of the bucket that holds the given share of all counts; 0 if there are none.
fn percentile(histogram: &LatencyHistogram, percent: u64) -> u64 {
    let all: u64 = histogram.counts.iter().sum();
    let wanted = (all * percent).div_ceil(100);
    let mut seen = 0;
    let buckets = histogram.upper_us.iter().zip(&histogram.counts);
    let mut at_least = buckets.skip_while(|(_, count)| {
        seen += **count;
        seen < wanted
    });
    if all == 0 { 0 } else { at_least.next().map_or(0, |(upper, _)| *upper) }
}

fn rates_table(heading: &str, rates: &BTreeMap<String, Rates>, rows: usize) -> Table {
    let columns = [heading, ">REQ/S", ">4XX/S", ">5XX/S", ">429/S", ">P50", ">P99", ">IN FLIGHT", ">OUT/S"];
    let mut busiest: Vec<(&String, &Rates)> = rates.iter().collect();
    // Stable by name for equal rates, because the map is ordered.
    busiest.sort_by_key(|(_, rates)| std::cmp::Reverse(rates.requests));
    let mut table = Table::new(&columns);
    for (name, r) in busiest.into_iter().take(rows) {
        table.push(vec![
            Style::Name.of(name.as_str()),
            human::count(r.requests).into(),
            human::count(r.client_errors).into(),
            if r.server_errors > 0 { Style::Bad.of(human::count(r.server_errors)) } else { "0".into() },
            human::count(r.refused).into(),
            human::micros(r.p50_us).into(),
            human::micros(r.p99_us).into(),
            human::count(r.in_flight).into(),
            human::bytes(r.bytes_out).into(),
        ]);
    }
    table
}

pub(crate) async fn tail(t: &mut Terminal<'_>, args: &TailArgs) -> Result<(), Failure> {
    let mut events = t.client.events(&tail_path(args)).await?;
    let mut left = args.count;
    while left != Some(0) {
        let Some(exchange) = next_exchange(t, &mut events).await? else { return Err(ended()) };
        if !wanted(args, &exchange) {
            continue;
        }
        if t.json {
            t.record(&exchange)?;
        } else {
            print_exchange(t, &exchange)?;
        }
        left = left.map(|left| left - 1);
    }
    Ok(())
}

async fn next_exchange(t: &mut Terminal<'_>, events: &mut EventStream) -> Result<Option<ExchangeRecord>, Failure> {
    while let Some(event) = events.next().await {
        match event? {
            Event::Exchange(exchange) => return Ok(Some(exchange)),
            Event::Dropped { exchanges } => {
                t.warn(&format!("{exchanges} exchanges left out, because they came faster than they were read"))?;
            }
            Event::Traffic(_) | Event::Health(_) | Event::Revision(_) | Event::Audit { .. } => {}
        }
    }
    Ok(None)
}

fn tail_path(args: &TailArgs) -> String {
    let filters =
        [("route", &args.route), ("status", &args.status), ("consumer", &args.consumer), ("upstream", &args.upstream)];
    let mut path = "/v1/events?topics=exchanges".to_owned();
    for (name, value) in filters {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", segment(value)));
        }
    }
    path
}

fn wanted(args: &TailArgs, exchange: &ExchangeRecord) -> bool {
    let same = |filter: &Option<String>, value: &Option<String>| filter.is_none() || filter == value;
    same(&args.route, &exchange.route)
        && same(&args.consumer, &exchange.consumer)
        && same(&args.upstream, &exchange.upstream)
        && args.status.as_ref().is_none_or(|status| fits(status, exchange.status))
        && (!args.failed || exchange.fault.is_some() || exchange.status >= 500)
}

/// Whether a status is the one, or of the class, that is asked for: `404`, `5xx`.
fn fits(filter: &str, status: u16) -> bool {
    let status = status.to_string();
    match filter.strip_suffix("xx") {
        Some(class) => status.len() == 3 && status.starts_with(class),
        None => status == filter,
    }
}

fn print_exchange(t: &mut Terminal<'_>, x: &ExchangeRecord) -> Result<(), Failure> {
    let time = human::time_of_day(x.time_ms, &t.zone);
    let target = format!("  {:<7} {}{}  ", x.method, x.host, x.path);
    let taken = format!("  {}", human::micros(x.duration_us));
    let named = [("route", &x.route), ("endpoint", &x.endpoint), ("consumer", &x.consumer), ("fault", &x.fault)];
    let facts: Vec<String> =
        named.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?))).collect();
    t.say(&[
        Style::Dim.of(time),
        target.into(),
        status_piece(x.status),
        taken.into(),
        "  ".into(),
        Style::Dim.of(facts.join(" ")),
    ])?;
    if (x.fault.is_some() || x.status >= 500) && !x.verdict.is_empty() {
        t.say(&["    ".into(), x.verdict.as_str().into()])?;
    }
    Ok(t.out.flush()?)
}

fn status_piece(status: u16) -> Piece {
    let style = match status {
        500.. => Style::Bad,
        400..500 => Style::Warn,
        _ => Style::Good,
    };
    style.of(status.to_string())
}

#[cfg(test)]
mod tests {
    use weirgate_store::wire::{ExchangeRecord, LatencyHistogram};

    use super::{TailArgs, fits, percentile, tail_path, wanted};

    #[test]
    fn statuses() {
        for (filter, status, want) in [("5xx", 503, true), ("5xx", 404, false), ("404", 404, true), ("404", 405, false)]
        {
            assert_eq!(fits(filter, status), want, "row {filter} {status}");
        }
    }

    #[test]
    fn percentiles() {
        let histogram = LatencyHistogram { upper_us: vec![1, 10, 100], counts: vec![50, 49, 1] };
        for (percent, want) in [(1, 1), (50, 1), (51, 10), (99, 10), (100, 100)] {
            assert_eq!(percentile(&histogram, percent), want, "row {percent}");
        }
        assert_eq!(percentile(&LatencyHistogram::default(), 99), 0);
    }

    #[test]
    fn filters_are_sent_and_applied() {
        let args = TailArgs { route: Some("a&b".into()), status: Some("5xx".into()), ..TailArgs::default() };
        assert_eq!(tail_path(&args), "/v1/events?topics=exchanges&route=a%26b&status=5xx");
        let exchange = ExchangeRecord { route: Some("a&b".into()), status: 502, ..ExchangeRecord::default() };
        assert!(wanted(&args, &exchange));
        assert!(!wanted(&args, &ExchangeRecord { status: 200, ..exchange.clone() }));
        assert!(!wanted(&args, &ExchangeRecord { route: None, ..exchange.clone() }));
        let failed = TailArgs { failed: true, ..TailArgs::default() };
        assert!(wanted(&failed, &exchange));
        assert!(wanted(&failed, &ExchangeRecord { status: 429, fault: Some("limit".into()), ..exchange.clone() }));
        assert!(!wanted(&failed, &ExchangeRecord { status: 404, ..exchange }));
    }
}
