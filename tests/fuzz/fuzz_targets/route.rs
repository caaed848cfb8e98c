// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any patterns and any request: patterns are read or refused, `find` and `explain` never disagree.
#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use weirgate::exchange::Fields;
use weirgate::route::{Conditions, Found, HostPattern, PathPattern, Query, Route, Table};

fuzz_target!(|input: (Vec<(&str, u8, &str)>, &[u8], &[u8], Option<&[u8]>)| {
    let (patterns, host, path, query) = input;
    let routes = patterns.iter().take(16).enumerate().filter_map(|(order, (host, kind, path))| {
        let path = match kind % 4 {
            0 => PathPattern::exact(path),
            1 => PathPattern::prefix(path),
            2 => PathPattern::template(path),
            _ => PathPattern::regex(path),
        };
        let hosts = vec![HostPattern::parse(host).ok()?];
        let conditions = Conditions { methods: vec![Method::GET; usize::from(kind & 1)], ..Conditions::default() };
        Some(Route { name: String::new(), hosts, path: path.ok()?, conditions, priority: 0, order, value: order })
    });
    let table = Table::build(routes.collect()).expect("16 routes are not too many");
    let fields = Fields::new();
    for method in [Method::GET, Method::PUT] {
        let source = std::net::Ipv4Addr::LOCALHOST.into();
        let fields = &fields;
        let query = Query { host, path, query, method: &method, fields, source, certificate: None, now_s: 0, draw: 0 };
        let told = table.explain(&query);
        match table.find(&query) {
            Found::Hit(value, captures) => {
                assert_eq!(told.winner.map(|winner| *winner.value), Some(*value));
                assert!(captures.iter(path).all(|(_, text)| !text.is_empty()));
            }
            Found::Method(methods) => assert_eq!(told.allowed, methods),
            Found::Miss => assert!(told.winner.is_none() && told.allowed.is_empty()),
        }
    }
});
