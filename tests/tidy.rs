// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules of the tree that a machine can check: who imports whom, sizes, names, clocks, headers, leftovers.
//!
//! The maps below are the rules; editing a map is a design change and is reviewed as one. The test reads text, not
//! syntax trees, so it needs nothing but the sources; it collects all breaches before it fails, and each one says what
//! to do instead. Comments and string literals are told apart from code first, so naming a rule does not break it.

use std::path::Path;

#[path = "tidy/source.rs"]
mod source;

#[path = "tidy/rules.rs"]
mod rules;

#[path = "tidy/fixtures.rs"]
mod fixtures;

#[path = "tidy/manual.rs"]
mod manual;

use source::Source;

/// The modules a request travels through; `proxy` may use them all.
const STAGES: &[&str] = &[
    "clock", "fault", "exchange", "listener", "tls", "protocol", "route", "policy", "balance", "upstream", "response",
    "observe",
];

/// What each module of the root crate may name under `crate::`, besides itself. `None`: everything.
fn may_use(module: &str) -> Option<Vec<&'static str>> {
    let terms = ["exchange", "fault", "clock"];
    let arriving = ["exchange", "fault", "clock", "observe"];
    Some(match module {
        "clock" | "fault" | "exchange" | "observe" => terms.to_vec(),
        "listener" | "tls" | "protocol" | "policy" => arriving.to_vec(),
        "route" => vec!["exchange"],
        "balance" => vec!["exchange", "clock"],
        "upstream" => [&arriving[..], &["balance", "tls", "protocol"]].concat(),
        "response" => vec!["exchange", "fault"],
        "proxy" => [STAGES, &["config"]].concat(),
        "config" => STAGES.to_vec(),
        "control" => vec!["config", "observe", "clock"],
        _ => return None, // lib, main, cli, runtime, demo: they tie the parts together
    })
}

/// What `proxy` may read of `config`: the compiled snapshot, and the keys that are issued between two of them.
const PROXY_READS: &[&str] = &["snapshot", "consumers"];
/// Modules of the root crate that may start tasks or threads; in `store` only the engine may.
const MAY_SPAWN: &[&str] = &["listener", "upstream", "control", "runtime", "proxy", "demo", "main"];
/// Modules of the root crate that may name the sled engine or the terminal crate.
const MAY_USE_ENGINE: &[&str] = &["control", "runtime", "demo", "main", "cli"];
const MAY_USE_TERMINAL: &[&str] = &["runtime", "demo", "main", "cli"];
/// Pure modules: no I/O, no tasks, nothing asynchronous.
const PURE: &[&str] = &["route", "balance"];
const IMPURE_WORDS: &[&str] =
    &["tokio", "async", "await", "TcpStream", "UdpSocket", "UnixStream", "std::fs", "std::io", "std::thread"];

const FILE_LINES_WARN: usize = 400;
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
/// Less than this is a label, not a sentence on what the file owns.
const HEADER_CHARACTERS_MIN: usize = 40;

/// Nouns of other projects, and ours for the same thing. Exact type names.
const BANNED_TYPES: &[(&str, &str)] = &[
    ("Account", "Consumer"),
    ("Backend", "Upstream (the group) or Endpoint (one address)"),
    ("Cluster", "Upstream"),
    ("Commit", "Change, or the verb apply"),
    ("Context", "Exchange"),
    ("Ctx", "Exchange"),
    ("Entrypoint", "Listener"),
    ("Frontend", "Listener"),
    ("Location", "Route"),
    ("Middleware", "Policy"),
    ("Peer", "Endpoint, or client"),
    ("Plugin", "Policy"),
    ("Rule", "Route or Policy"),
    ("Server", "Listener (ours) or Endpoint (theirs)"),
    ("Session", "Connection, Tunnel or Exchange"),
    ("Transaction", "Change"),
    ("User", "Consumer (of the API) or operator"),
    ("VirtualHost", "Route"),
];
/// Endings that say nothing, whatever stands before them.
const BANNED_ENDINGS: &[&str] = &["Context", "Helper", "Manager", "Util", "Utils"];
/// Drawers for leftovers: a file or directory of these names collects what nobody placed.
const DRAWERS: &[&str] = &["common", "core", "helper", "helpers", "misc", "types", "util", "utils"];

/// One breach of one rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Breach {
    path: String,
    line: usize,
    message: String,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

#[test]
fn the_tree_keeps_its_rules() {
    // Read when it runs, not when it is built: a build directory may be shared between checkouts.
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let mut breaches = Vec::new();
    for (path, text) in source::walk(Path::new(&root)) {
        breaches.extend(rules::any_file(&path, &text));
        if path.ends_with(".rs") {
            breaches.extend(rules::rust_file(&Source::new(&path, &text)));
        }
    }
    breaches.sort();
    let report: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(report.is_empty(), "{} breaches of the tree's rules:\n{}", report.len(), report.join("\n"));
}
