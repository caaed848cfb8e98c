// SPDX-License-Identifier: MIT OR Apache-2.0
//! `kill -9` at random moments: the test runs itself as a child that applies changes and says which were
//! acknowledged, kills it, and opens what it left. Every acknowledged revision and key must be there, and what runs
//! must be one whole revision.
#![cfg(feature = "engine")]
#![expect(clippy::print_stdout, reason = "the child tells its parent what was acknowledged")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use weirgate_store::engine::{Options, Store, wait};
use weirgate_store::model::{Model, Name};
use weirgate_store::parse::parse_toml;

const CHILD: &str = "WEIRGATE_CRASH_DIR";

/// Kills in one run.
const ROUNDS: u64 = 25;

/// Longest life of a child after its first acknowledgement.
const LIFE_MS: u64 = 120;

fn model(number: u64) -> Arc<Model> {
    let text = format!("[routes.x]\npriority = {number}\n[routes.y]\npriority = {number}\n[routes.n{}]\n", number % 7);
    Arc::new(parse_toml(&text).expect("it is valid"))
}

fn alice() -> Name {
    "alice".parse().expect("it is a name")
}

/// What the child does until it is killed.
fn child(dir: &Path) {
    let store = Store::open(dir, Options::default());
    let mut base = wait(store.running()).expect("the store answers").0.number;
    loop {
        base = wait(store.append(base, model(base + 1), "child", "", 1)).expect("it is stored").number;
        println!("revision {base}");
        if base.is_multiple_of(3) {
            let issued = wait(store.issue_key(&alice(), "", None, 1)).expect("it is kept");
            println!("key {}", issued.key.id);
        }
        std::io::stdout().flush().expect("the parent reads");
    }
}

/// The last acknowledged revision, and all acknowledged keys, of one child killed after `life`.
fn run_and_kill(dir: &Path, life: Duration) -> (u64, Vec<String>) {
    let mut process = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "acknowledged_changes_survive_kill_9", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this binary runs");
    let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    // A child that is killed while it opens the store has acknowledged nothing; that is a round too.
    let (mut last, mut keys) = (0, Vec::new());
    let mut read = |line: &str| match line.split_once(' ') {
        Some(("revision", number)) => last = number.parse().unwrap_or(last),
        Some(("key", id)) => keys.push(id.to_owned()),
        _ => {}
    };
    if !life.is_zero() {
        lines.by_ref().take_while(|line| !line.starts_with("revision")).for_each(drop);
    }
    // Not waiting for anything: the moment of the kill is the point.
    std::thread::sleep(life);
    process.kill().expect("it runs still");
    process.wait().expect("it was started here");
    lines.for_each(|line| read(&line));
    (last, keys)
}

#[test]
fn acknowledged_changes_survive_kill_9() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return child(Path::new(&dir));
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut random = fastrand::Rng::with_seed(2);
    let (mut last, mut keys) = (0, Vec::new());
    for round in 0..ROUNDS {
        let life = Duration::from_millis(if round % 5 == 0 { 0 } else { random.u64(1..LIFE_MS) });
        let (acknowledged, issued) = run_and_kill(dir.path(), life);
        last = last.max(acknowledged);
        keys.extend(issued);
        let store = Store::open(dir.path(), Options::default());
        let (info, now) = wait(store.running()).expect("the store answers");
        assert!(info.number >= last, "round {round}: revision {last} is lost, {} runs", info.number);
        if info.number > 0 {
            assert_eq!(now, model(info.number), "round {round}: the revision is not whole");
        }
        let kept: Vec<String> =
            wait(store.keys(&alice())).expect("the store answers").into_iter().map(|k| k.id).collect();
        let lost: Vec<_> = keys.iter().filter(|id| !kept.contains(id)).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}, {:?}", store.status());
        last = info.number;
        store.close();
    }
    assert!(last > ROUNDS, "only {last} changes in {ROUNDS} rounds");
}
