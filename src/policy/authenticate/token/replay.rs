// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replays the fuzz corpus of tokens and key sets: what was ever found holds on every ordinary test run, without a fuzzer.

mod token {
    pub(crate) use super::super::{json, jwks, jws};
}

#[path = "../../../../tests/fuzz/tokens.rs"]
mod tokens;

fn check(target: &str, holds: fn(&[u8])) {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files = std::fs::read_dir(&corpus).expect("the corpus is part of the repository");
    let mut count = 0;
    for file in files {
        let path = file.expect("a readable directory").path();
        holds(&std::fs::read(&path).expect("a readable file"));
        count += 1;
    }
    assert!(count > 0, "no corpus for {target}");
}

#[test]
fn the_corpus_of_each_target_holds() {
    check("jws", tokens::jws);
    check("jwks", tokens::jwks);
}
