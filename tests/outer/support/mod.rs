// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the outer tests stand on: a daemon in a directory of its own, endpoints on threads, a client that counts every
//! failure, and neighbours found on the path. Everything waits for a condition and gives up after [`PATIENCE`].

pub(crate) mod client;

pub(crate) mod daemon;

pub(crate) mod load;

pub(crate) mod origin;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Far above what any wait takes on a busy machine: a test that hangs fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `what` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = weirgate::clock::now();
    while !holds() {
        assert!(weirgate::clock::now() - start < PATIENCE, "it never came to this: {what}");
        pause(Duration::from_millis(10));
    }
}

/// Lets time pass between two looks.
pub(crate) fn pause(time: Duration) {
    std::thread::park_timeout(time);
}

/// How much is done: the first number in CI and by default, the second with `WEIRGATE_OUTER_FULL=1`.
pub(crate) fn amount(small: usize, full: usize) -> usize {
    if std::env::var_os("WEIRGATE_OUTER_FULL").is_some() { full } else { small }
}

/// A program of somebody else. None, said aloud, where it is not installed; a failure in CI.
#[track_caller]
pub(crate) fn neighbour(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/bin")]);
    let found = places.map(|place| place.join(name)).find(|program| program.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is not installed, and in CI nothing may be missing");
        eprintln!("SKIPPED: {name} is not installed");
    }
    found
}

/// Runs a command to its end and gives what it said on both outputs; it must succeed.
#[track_caller]
pub(crate) fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{text}", output.status);
    text
}

/// The first number in `text` after `label`.
#[track_caller]
pub(crate) fn number_after(text: &str, label: &str) -> u64 {
    let rest = text.split_once(label).unwrap_or_else(|| panic!("no {label:?} in:\n{text}")).1;
    let digits: String = rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after {label:?} in:\n{text}"))
}
