// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for the conditions of routes beside host, path and method: one that breaks a rule, and what is said of it.

use crate::parse::parse_and_check;
use crate::wire::ProblemCode::{self, *};

/// Rows: the conditions of a route, and the code and place of the one problem; none for good ones.
#[track_caller]
fn check(rows: &[(&str, Option<(ProblemCode, &str)>)]) {
    for (matches, want) in rows {
        let upstream = "[upstreams.u]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n";
        let text = format!("{upstream}[routes.a]\nupstream = \"u\"\nmatch = {{ {matches} }}\n");
        let found = parse_and_check(&text);
        let seen: Vec<_> = found.as_ref().err().into_iter().flatten().map(|p| (p.code, p.path.clone())).collect();
        let want: Vec<_> = want.iter().map(|(code, place)| (*code, format!("routes.a.match.{place}"))).collect();
        assert_eq!(seen, want, "row {matches}\n{found:#?}");
    }
}

#[test]
fn conditions() {
    check(&[
        ("cookies = { sid = { present = true } }", None),
        ("content_type = [\"application/json\", \"text/*\"]", None),
        ("grpc = { service = \"shop.v1.Orders\", method = \"Get\" }", None),
        ("window = { days = [\"mon\", \"fri\"], from = \"22:00\", to = \"06:00\", offset = \"+01:00\" }", None),
        ("share = \"10%\", share_by = { cookie = \"sid\" }", None),
        ("cookies = { \"a b\" = \"x\" }", Some((BadValue, "cookies.\"a b\""))),
        ("content_type = [\"json\"]", Some((BadValue, "content_type[0]"))),
        ("content_type = [\"text/x;a=b\"]", Some((BadValue, "content_type[0]"))),
        ("path = \"/x\", grpc = {}", Some((Conflict, "path"))),
        ("content_type = [\"text/*\"], grpc = {}", Some((Conflict, "content_type"))),
        ("grpc = { service = \"a/b\" }", Some((BadValue, "grpc.service"))),
        ("window = { days = [\"mon\"], from = \"8:00\" }", Some((BadValue, "window.from"))),
        ("window = { days = [\"monday\"] }", Some((BadValue, "window.days[0]"))),
        ("window = { offset = \"CET\" }", Some((BadValue, "window.offset"))),
        ("window = { from = \"08:00\", to = \"08:00\" }", Some((Conflict, "window.to"))),
        ("share = \"200%\"", Some((BadValue, "share"))),
        ("share_by = \"source-ip\"", Some((MissingField, "share_by"))),
    ]);
}
