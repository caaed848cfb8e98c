// SPDX-License-Identifier: MIT OR Apache-2.0
//! `usage`: what consumers used, as a table, as JSON, or as comma-separated values for an invoice.

use std::collections::BTreeMap;

use weirgate_store::wire::{UsageReply, UsageRow};

use super::args::UsageArgs;
use super::human;
use super::line::Style;
use super::table::Table;
use super::terminal::{Failure, Terminal};
use crate::client::segment;

/// The columns of comma-separated values; their names are an interface.
const CSV: &str =
    "start,consumer,route,version,requests,client_errors,server_errors,refused,bytes_in,bytes_out,seconds";

pub(crate) async fn usage(t: &mut Terminal<'_>, args: &UsageArgs) -> Result<(), Failure> {
    let mut path = format!("/v1/usage?since={}", segment(&args.since.to_string()));
    if let Some(step) = args.step {
        path.push_str(&format!("&step={}", step.seconds()));
    }
    if let Some(consumer) = &args.consumer {
        path.push_str(&format!("&consumer={}", segment(consumer)));
    }
    let reply: UsageReply = t.client.get(&path).await?;
    if t.json {
        return t.document(&reply);
    }
    let rows = rows(&reply, args.step.is_some());
    if args.csv {
        return t.verbatim(&csv(&rows));
    }
    let mut columns = vec!["CONSUMER", "ROUTE", ">REQUESTS", ">4XX", ">5XX", ">429", ">IN", ">OUT", ">MEAN"];
    if args.step.is_some() {
        columns.insert(0, "FROM");
    }
    let mut table = Table::new(&columns);
    for (start_ms, row) in &rows {
        let mean = row.micros.checked_div(row.requests).unwrap_or(0);
        let route = if row.version.is_empty() { row.route.clone() } else { format!("{} {}", row.route, row.version) };
        let mut cells = vec![
            Style::Name.of(row.consumer.as_str()),
            route.into(),
            human::count(row.requests).into(),
            human::count(row.client_errors).into(),
            if row.server_errors > 0 { Style::Bad.of(human::count(row.server_errors)) } else { "0".into() },
            human::count(row.refused).into(),
            human::bytes(row.bytes_in).into(),
            human::bytes(row.bytes_out).into(),
            human::micros(mean).into(),
        ];
        if args.step.is_some() {
            cells.insert(0, Style::Dim.of(human::date_time(*start_ms, &t.zone)));
        }
        table.push(cells);
    }
    if table.is_empty() { t.say(&["no consumer has used anything in that time".into()]) } else { t.table(&table) }
}

/// One row for each step, or the sums over all of them.
fn rows(reply: &UsageReply, by_step: bool) -> Vec<(i64, UsageRow)> {
    let all = reply.points.iter().flat_map(|point| point.rows.iter().map(|row| (point.start_ms, row)));
    if by_step {
        return all.map(|(start_ms, row)| (start_ms, row.clone())).collect();
    }
    let mut sums: BTreeMap<[&str; 3], UsageRow> = BTreeMap::new();
    for (_, row) in all {
        let empty = UsageRow {
            consumer: row.consumer.clone(),
            route: row.route.clone(),
            version: row.version.clone(),
            ..UsageRow::default()
        };
        sums.entry([&row.consumer, &row.route, &row.version]).or_insert(empty).add(row);
    }
    sums.into_values().map(|row| (reply.from_ms, row)).collect()
}

fn csv(rows: &[(i64, UsageRow)]) -> String {
    let mut out = format!("{CSV}\n");
    for (start_ms, row) in rows {
        let start = jiff::Timestamp::from_millisecond(*start_ms).map(|at| at.to_string()).unwrap_or_default();
        let names = [&row.consumer, &row.route, &row.version].map(|name| quoted(name)).join(",");
        let numbers = [row.requests, row.client_errors, row.server_errors, row.refused, row.bytes_in, row.bytes_out];
        let numbers = numbers.map(|number| number.to_string()).join(",");
        out.push_str(&format!("{start},{names},{numbers},{:.6}\n", row.micros as f64 / 1e6));
    }
    out
}

/// A value as RFC 4180 has it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{csv, rows};
    use weirgate_store::wire::{UsagePoint, UsageReply, UsageRow};

    fn reply() -> UsageReply {
        let row = |consumer: &str, requests| UsageRow {
            consumer: consumer.to_owned(),
            route: "orders".to_owned(),
            requests,
            micros: 1_500,
            ..UsageRow::default()
        };
        let point = |start_ms, rows| UsagePoint { start_ms, rows };
        UsageReply {
            step_s: 1,
            from_ms: 0,
            to_ms: 9_000,
            points: vec![point(1_000, vec![row("ana", 2), row("ben", 1)]), point(2_000, vec![row("ana", 3)])],
        }
    }

    #[test]
    fn steps_are_summed_unless_they_are_asked_for() {
        let sums: Vec<_> = rows(&reply(), false).iter().map(|(_, row)| (row.consumer.clone(), row.requests)).collect();
        assert_eq!(sums, [("ana".to_owned(), 5), ("ben".to_owned(), 1)]);
        assert_eq!(rows(&reply(), true).len(), 3);
    }

    #[test]
    fn values_are_separated_by_commas() {
        let text = csv(&rows(&reply(), true));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines.get(1), Some(&"1970-01-01T00:00:01Z,ana,orders,,2,0,0,0,0,0,0.001500"));
        let odd = UsageRow { consumer: "a,\"b".to_owned(), ..UsageRow::default() };
        assert!(csv(&[(0, odd)]).contains(",\"a,\"\"b\","));
    }
}
