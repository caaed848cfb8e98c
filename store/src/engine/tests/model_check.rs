// SPDX-License-Identifier: MIT OR Apache-2.0
//! sled against memory: the same calls, with reopening in between, must give the same answers.

use proptest::prelude::*;

use super::super::memory::Memory;
use super::super::sled::Sled;
use super::super::{Batch, Engine, Tree};

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(Tree, u8, Option<usize>)>),
    Get(Tree, u8),
    Scan(Tree, Option<u8>, usize),
    Newest(Tree, usize),
    Reopen,
}

fn tree() -> impl Strategy<Value = Tree> {
    prop_oneof![Just(Tree::Objects), Just(Tree::Facts), Just(Tree::Audit)]
}

fn step() -> impl Strategy<Value = Step> {
    // Sizes on both sides of what fits in one value.
    let size = prop_oneof![4 => 0..100_usize, 1 => 60_000..200_000_usize];
    let write = (tree(), 0..6_u8, proptest::option::of(size));
    prop_oneof![
        4 => proptest::collection::vec(write, 0..5).prop_map(Step::Write),
        2 => (tree(), 0..6_u8).prop_map(|(tree, key)| Step::Get(tree, key)),
        2 => (tree(), proptest::option::of(0..6_u8), 0..4_usize).prop_map(|(t, after, n)| Step::Scan(t, after, n)),
        1 => (tree(), 0..4_usize).prop_map(|(tree, limit)| Step::Newest(tree, limit)),
        1 => Just(Step::Reopen),
    ]
}

fn key(number: u8) -> Vec<u8> {
    vec![b'k', number]
}

fn batch(writes: &[(Tree, u8, Option<usize>)]) -> Batch {
    let mut batch = Batch::default();
    for (tree, number, size) in writes {
        match size {
            Some(size) => batch.put(*tree, key(*number), vec![*number; *size]),
            None => batch.delete(*tree, key(*number)),
        }
    }
    batch
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_engines_answer_alike(steps in proptest::collection::vec(step(), 1..40)) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let open = || loop {
            match Sled::open(dir.path()) {
                Ok(sled) => break sled,
                // The one before lets go of its lock a little after it was dropped.
                Err(error) if error.to_string().contains(super::super::sled::LOCKED) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        };
        let mut memory = Memory::default();
        let mut sled = Some(open());
        for step in steps {
            let engine = sled.as_mut().expect("it is open between steps");
            match step {
                Step::Write(writes) => prop_assert_eq!(engine.write(batch(&writes)), memory.write(batch(&writes))),
                Step::Get(tree, number) => prop_assert_eq!(engine.get(tree, &key(number)), memory.get(tree, &key(number))),
                Step::Scan(tree, after, limit) => {
                    let after = after.map(key);
                    let got = engine.scan(tree, b"k", after.as_deref(), limit);
                    prop_assert_eq!(got, memory.scan(tree, b"k", after.as_deref(), limit));
                }
                Step::Newest(tree, limit) => prop_assert_eq!(engine.newest(tree, limit), memory.newest(tree, limit)),
                Step::Reopen => {
                    engine.sync().expect("it can be synced");
                    drop(sled.take());
                    sled = Some(open());
                }
            }
        }
    }
}
