// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replays the fuzz corpus: what was ever found holds on every ordinary test run, without a fuzzer.

mod codec {
    pub(crate) use super::super::*;
    pub(crate) use crate::exchange::Fields;
}

#[path = "../../../tests/fuzz/checks.rs"]
mod checks;

fn check(target: &str, holds: fn(&[u8])) {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files = std::fs::read_dir(&corpus).expect("the corpus is part of the repository");
    let mut count = 0;
    for file in files {
        let path = file.expect("a readable directory").path();
        let bytes = std::fs::read(&path).expect("a readable file");
        // Every prefix, too: a head or a body that has come in part is the common case on a socket.
        for end in 0..=bytes.len() {
            holds(&bytes[..end]);
        }
        count += 1;
    }
    assert!(count > 0, "no corpus for {target}");
}

#[test]
fn the_corpus_of_each_target_holds() {
    check("head", checks::head);
    check("reply", checks::reply);
    check("body", checks::body);
}
