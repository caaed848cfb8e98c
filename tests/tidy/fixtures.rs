// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proof that each rule can fail, and that it does not fail on what only looks like a breach.
//!
//! Every fixture is a string given to the rules under a path of its own; the header rule is satisfied for all of them
//! by [`HEADER`], which is why their lines count from three.

use crate::source::Source;
use crate::{FILE_LINES_MAX, FUNCTION_LINES_MAX, rules};

const HEADER: &str = "// SPDX-License-Identifier: MIT OR Apache-2.0\n//! A fixture with a header that is long enough to say something.\n";

/// The rules find exactly one breach, on `line`, whose message contains `message`.
fn refuses(path: &str, body: &str, line: usize, message: &str) {
    let breaches = rules::rust_file(&Source::new(path, &format!("{HEADER}{body}")));
    let told: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{path}: {body}\n{told:#?}");
    let told = told.concat();
    assert!(told.starts_with(&format!("{path}:{line}: ")) && told.contains(message), "{body}\n{told}");
    assert!(told.contains(" — "), "no remedy: {told}");
}

fn accepts(path: &str, body: &str) {
    let breaches = rules::rust_file(&Source::new(path, &format!("{HEADER}{body}")));
    assert!(breaches.is_empty(), "{path}: {body}\n{breaches:#?}");
}

#[test]
fn imports_follow_the_map() {
    refuses("src/route/table.rs", "use crate::policy::Verdict;", 3, "`route` may not use `policy`");
    refuses("src/policy/mod.rs", "\nfn f() { crate::upstream::pool::take() }", 4, "`policy` may not use `upstream`");
    refuses("src/listener/mod.rs", "use crate::{clock, tls::accept};", 3, "`listener` may not use `tls`");
    refuses("src/observe/mod.rs", "use super::proxy;", 3, "`observe` may not use `proxy`");
    refuses("src/tls/accept.rs", "use super::super::listener::Accepted;", 3, "`tls` may not use `listener`");
    refuses("src/proxy/http.rs", "use crate::config::compile;", 3, "only config::snapshot");
    refuses("src/proxy/http.rs", "use crate::control::Change;", 3, "`proxy` may not use `control`");
    accepts("src/proxy/http.rs", "use crate::{config::snapshot::Snapshot, policy, upstream::{pool, retry}};");
    accepts("src/route/table.rs", "use super::host;\nuse crate::exchange::{Fields, Known};\n// crate::policy in prose");
    accepts("src/route/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::policy::Verdict;\n}");
    accepts("src/runtime/boot.rs", "use crate::{control, proxy};");
}

#[test]
fn crates_are_named_where_they_belong() {
    refuses("store/src/revision.rs", "fn f(db: &sled::Db) {}", 3, "sled outside the engine");
    refuses("src/proxy/mod.rs", "use weirgate_store::engine::Engine;", 3, "the engine outside control");
    refuses("src/control/mod.rs", "use weirgate_tui::run;", 3, "the terminal crate inside the daemon");
    accepts("store/src/engine/sled.rs", "fn f(db: &sled::Db) {}");
    accepts("src/control/mod.rs", "use weirgate_store::engine::Engine;");
    accepts("src/policy/mod.rs", "use weirgate_store::model::PolicyName; // assailed::by");
}

#[test]
fn pure_modules_stay_pure() {
    refuses("src/route/path.rs", "async fn f() {}", 3, "`async` in `route`");
    refuses("src/balance/weighted.rs", "use tokio::sync::Notify;", 3, "`tokio` in `balance`");
    accepts("src/route/path.rs", "/// Not async, no tokio.\nfn f(address: std::net::IpAddr) {}");
}

#[test]
fn only_the_clock_reads_the_clock() {
    refuses("src/upstream/retry.rs", "fn f() { Instant::now(); }", 3, "`Instant::now` outside clock.rs");
    refuses("tui/src/app.rs", "fn f(t: Instant) { t.elapsed(); }", 3, "`.elapsed()` outside clock.rs");
    accepts("tui/src/clock.rs", "fn f() { Instant::now(); }");
    accepts("src/clock.rs", "fn f() { SystemTime::now(); }");
}

#[test]
fn tasks_start_where_they_may() {
    refuses("src/policy/cache.rs", "fn f() { tokio::task::spawn_local(g()); }", 3, "a task or thread started here");
    refuses("store/src/revision.rs", "fn f() { std::thread::spawn(g); }", 3, "a task or thread started here");
    accepts("src/listener/mod.rs", "fn f() { tokio::task::spawn_local(g()); }");
    accepts("store/src/engine/mod.rs", "fn f() { std::thread::spawn(g); }");
    accepts("src/policy/mod.rs", "fn respawn() { respawn(); }\ntrait T { fn spawn(&self); }");
}

#[test]
fn names_are_ours() {
    refuses("src/upstream/mod.rs", "pub struct Backend;", 3, "our noun is Upstream");
    refuses("src/proxy/mod.rs", "enum RequestContext { A }", 3, "name what it owns");
    accepts("src/upstream/mod.rs", "struct BackendGone;\nuse std::task::Context;\n// struct Backend");
    let breaches = rules::any_file("src/proxy/utils.rs", "");
    assert!(breaches.iter().any(|b| b.message.contains("a drawer")), "{breaches:#?}");
}

#[test]
fn files_and_functions_have_an_end() {
    refuses("src/tls/mod.rs", &"\n".repeat(FILE_LINES_MAX), FILE_LINES_MAX + 2, "split the file by noun");
    let long = format!("fn short() {{}}\nfn long() {{{}}}", "\n".repeat(FUNCTION_LINES_MAX));
    refuses("src/tls/mod.rs", &long, 4, "split it by step");
    accepts("src/tls/mod.rs", &format!("fn f(bytes: [u8; 4]) {{{}}}", "\n".repeat(FUNCTION_LINES_MAX - 1)));
}

#[test]
fn every_file_has_its_header() {
    let told = |text: &str| rules::rust_file(&Source::new("src/tls/mod.rs", text)).len();
    assert_eq!(told("fn f() {}"), 2);
    assert_eq!(told("// SPDX-License-Identifier: MIT OR Apache-2.0\n//! tls\n"), 1);
    assert_eq!(told("// SPDX-License-Identifier: MIT OR Apache-2.0\n#![doc = include_str!(\"../A.md\")]\n"), 0);
}

#[test]
fn nothing_is_left_behind() {
    refuses("src/tls/mod.rs", "fn f() { todo!() }", 3, "`todo!` left behind");
    refuses("tui/src/app.rs", "fn f() { dbg!(1); }", 3, "`dbg!` left behind");
    refuses("tests/it/main.rs", "#[ignore = \"slow\"]\nfn f() {}", 3, "`#[ignore` left behind");
    refuses("src/tls/mod.rs", "// FIXME: later", 3, "`FIXME` left behind");
    accepts("src/tls/mod.rs", "const S: &str = \"todo! FIXME dbg! #[ignore\";");
}

#[test]
fn metric_names_have_one_home() {
    refuses("src/proxy/http.rs", "const N: &str = \"weirgate_requests_total\";", 3, "a metric name outside");
    accepts("src/observe/names.rs", "const N: &str = \"weirgate_requests_total\";");
    accepts("src/runtime/boot.rs", "const F: &str = \"weirgate_store=info\";\nuse weirgate_store::model;");
}

#[test]
fn no_file_names_its_workplace() {
    let told = |path: &str, text: &str| rules::any_file(path, text).iter().map(|b| b.line).collect::<Vec<_>>();
    assert_eq!(told("README.md", "fine\nsee /home/somebody/notes"), [2]);
    assert!(told("src/control/caller.rs", "ana:x:1000:1000::/home/ana:/bin/sh").is_empty());
    assert_eq!(told("deny.toml", "https://mirror.internal/index"), [1]);
    assert_eq!(told("Cargo.lock", "name = \"a\"\nsource = \"git+https://example.com/a\""), [2]);
    assert!(told("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"").is_empty());
}

#[test]
fn literals_and_comments_are_told_from_code() {
    let check = |text: &str, code: &str| assert_eq!(Source::new("src/a.rs", text).code.trim_end(), code, "{text}");
    check("a // b", "a");
    check("a /* b /* c */ d */ e", "a                   e");
    check(r#"a("b \" c") d"#, "a(        ) d");
    check(r##"a(r#"b " c"#) d"##, "a(          ) d");
    check("a('\"', '\\'', 'x') // b", "a(   ,     ,    )");
    check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
    check("r#type + b'x'", "r#type + b");
    assert_eq!(Source::new("src/a.rs", "a(\"b\") // c").comments.trim(), "// c");
    assert_eq!(Source::new("src/a.rs", "a(\"b\") // c").strings.trim(), "\"b\"");
}
