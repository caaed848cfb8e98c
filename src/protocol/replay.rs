// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replays the fuzz corpus of first bytes: what was ever found holds on every ordinary test run, without a fuzzer.

mod greeting {
    pub(crate) use crate::protocol::{client_hello, proxy_header};
}

#[path = "../../tests/fuzz/greetings.rs"]
mod greetings;

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
    check("proxy_header", greetings::proxy_header);
    check("client_hello", greetings::client_hello);
}
