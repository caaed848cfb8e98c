// SPDX-License-Identifier: MIT OR Apache-2.0
//! The manual names what an operator can meet: every metric and every token of a fault is in `operations.md`. The
//! names are read from the sources as text, like everything here.

use std::path::Path;

fn read(path: &str) -> String {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    std::fs::read_to_string(Path::new(&root).join(path)).expect("the file is in the tree")
}

/// The string literals of a source that come right after `mark`.
fn literals<'t>(text: &'t str, mark: &str) -> Vec<&'t str> {
    let after = text.split(mark).skip(1);
    after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next()).collect()
}

fn check(names: &[&str], least: usize, what: &str) {
    let manual = read("packaging/doc/operations.md");
    assert!(names.len() >= least, "only {} {what} were found in the sources", names.len());
    let missing: Vec<_> = names.iter().filter(|name| !manual.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "packaging/doc/operations.md does not name these {what}: {missing:?}");
}

#[test]
fn every_metric_is_in_the_manual() {
    let source = read("src/observe/names.rs");
    check(&literals(&source, "family("), 25, "metrics");
}

#[test]
fn every_fault_is_in_the_manual() {
    let source = read("src/fault.rs");
    let table = source.split("pub fn facts(&self)").nth(1).expect("the table of faults");
    let tokens: Vec<&str> =
        ["Never, ", "Safe, ", "sent.retry(), "].iter().flat_map(|mark| literals(table, mark)).collect();
    check(&tokens, 25, "faults");
}
