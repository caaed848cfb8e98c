// SPDX-License-Identifier: MIT OR Apache-2.0
//! The store as a whole: what is acknowledged comes back, in every state of the disk.

mod damage;

mod model_check;

use std::path::Path;
use std::sync::Arc;

use super::{AuditEntry, HealthRecord, Options, REVISIONS_MAX, Store, StoreError, TIMELINE_EVENTS_MAX, wait};
use crate::model::Model;
use crate::parse::parse_toml;
use crate::wire::{EndpointHealth, EndpointOverride, HealthEvent, OverrideMode, StoreHealth};

fn open(dir: &Path) -> Store {
    Store::open(dir, Options { free_bytes_min: 0, ..Options::default() })
}

/// A model that shows which revision it belongs to.
fn model(number: u64) -> Arc<Model> {
    let text = format!(
        "[upstreams.a]\nendpoints = [{{ address = \"127.0.0.1:{}\" }}]\n[routes.x]\npriority = {number}\nupstream = \"a\"\n",
        number % 1000 + 1
    );
    Arc::new(parse_toml(&text).expect("it is valid"))
}

fn append(store: &Store, base: u64) -> u64 {
    let made = wait(store.append(base, model(base + 1), "ana (test)", "a change", 7));
    made.expect("it can be stored").number
}

fn running(store: &Store) -> u64 {
    wait(store.running()).expect("the store answers").0.number
}

#[test]
fn revisions_come_back_after_reopening() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    assert_eq!(running(&store), 0);
    assert_eq!(append(&store, 0), 1);
    assert_eq!(append(&store, 1), 2);
    let refused = wait(store.append(1, model(9), "bob", "", 0));
    assert_eq!(refused, Err(StoreError::BaseMoved { running: 2 }));
    store.close();

    let store = open(dir.path());
    assert_eq!(store.status().health, StoreHealth::Ok);
    let (info, now) = wait(store.running()).expect("the store answers");
    assert_eq!((info.number, info.author.as_str(), info.changed, now), (2, "ana (test)", 2, model(2)));
    let first = wait(store.revision(1)).expect("it can be read").expect("it is kept");
    assert_eq!((first.0.added, Arc::new(first.1)), (2, model(1)));
    assert_eq!(wait(store.revision(3)), Ok(None));
    let numbers: Vec<u64> = wait(store.history(10)).expect("the store answers").iter().map(|i| i.number).collect();
    assert_eq!(numbers, [2, 1]);
    store.close();
}

#[test]
fn the_history_is_bounded() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    let last = REVISIONS_MAX as u64 + 5;
    for base in 0..last {
        append(&store, base);
    }
    store.close();
    let store = open(dir.path());
    let history = wait(store.history(usize::MAX)).expect("the store answers");
    assert_eq!(history.len(), REVISIONS_MAX);
    assert_eq!((history[0].number, history[REVISIONS_MAX - 1].number, running(&store)), (last, 6, last));
    assert_eq!(std::fs::read_dir(dir.path().join("revisions")).expect("it is there").count(), REVISIONS_MAX);
    store.close();
}

#[test]
fn issued_keys_outlive_everything_but_their_revocation() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (alice, bob) = ("alice".parse().expect("a name"), "bob".parse().expect("a name"));
    let store = open(dir.path());
    let first = wait(store.issue_key(&alice, "laptop\tand\nmore", Some(99), 5)).expect("it is kept");
    let second = wait(store.issue_key(&alice, "", None, 6)).expect("it is kept");
    assert!(first.secret.starts_with("wg_") && first.secret.len() == 46 && first.secret != second.secret);
    assert!(first.secret.starts_with(&first.key.prefix) && !first.key.declared);
    let imported: Vec<String> = (0..2_500).map(|n| format!("bobs-key-{n:012}")).collect();
    assert_eq!(wait(store.import_keys(&bob, &imported, 8)).map(|keys| keys.len()), Ok(2_500));
    let short = wait(store.import_keys(&bob, &["short".to_owned()], 8));
    assert!(matches!(short, Err(StoreError::BadKey(_))));
    let hash = store.keyring().hash_key(second.secret.as_bytes());
    assert_eq!(wait(store.revoke_key(&alice, &second.key.id)).map(|record| record.hash), Ok(hash));
    let again = wait(store.revoke_key(&alice, &second.key.id));
    assert!(matches!(again, Err(StoreError::NoSuchKey { .. })));
    assert!(wait(store.revoke_key(&alice, "")).is_err());
    let hash = store.keyring().hash_key(first.secret.as_bytes());
    store.close();

    // Once with sled as it was left, once without it: the log alone must give the same.
    for round in ["sled is there", "sled is gone"] {
        let store = open(dir.path());
        assert_eq!(wait(store.keys(&alice)), Ok(vec![first.key.clone()]), "{round}");
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = wait(store.credentials(after)).expect("the store answers");
            all.extend(page.records);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all.len(), 2_501, "{round}");
        assert!(all.iter().any(|r| r.hash == hash && r.consumer == alice && r.expires_ms == Some(99)), "{round}");
        store.close();
        std::fs::remove_dir_all(dir.path().join("sled")).expect("it is there");
    }
}

#[test]
fn a_log_of_mostly_revoked_keys_is_rewritten() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let name = "alice".parse().expect("a name");
    let store = open(dir.path());
    let secrets: Vec<String> = (0..1_200).map(|n| format!("some-secret-{n:08}")).collect();
    let keys = wait(store.import_keys(&name, &secrets, 1)).expect("they are kept");
    for key in keys.iter().skip(1) {
        wait(store.revoke_key(&name, &key.id)).expect("it is there");
    }
    store.close();
    let lines = |dir: &Path| std::fs::read_to_string(dir.join("credentials.log")).expect("it is there").lines().count();
    assert_eq!(lines(dir.path()), 1 + 1_200 + 1_199);
    let store = open(dir.path());
    assert_eq!(lines(dir.path()), 2);
    assert_eq!(wait(store.keys(&name)).map(|keys| keys.len()), Ok(1));
    store.close();
    let store = open(dir.path());
    assert_eq!(wait(store.keys(&name)).map(|keys| keys.len()), Ok(1));
    store.close();
}

#[test]
fn timelines_come_back_newest_first_and_are_bounded() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let event = |upstream: &str, number: i64| HealthEvent {
        time_ms: number,
        upstream: upstream.to_owned(),
        address: "127.0.0.1:1".to_owned(),
        health: EndpointHealth::Down,
        reason: "é".repeat(if number == 0 { 1_000 } else { 1 }),
    };
    let last = TIMELINE_EVENTS_MAX as i64 + 7;
    let store = open(dir.path());
    wait(store.append_timeline(vec![event("a", 0), event("b", 0)])).expect("it is kept");
    assert!(wait(store.timeline("b")).expect("the store answers")[0].reason.len() <= 300);
    (1..=last).for_each(|number| wait(store.append_timeline(vec![event("a", number)])).expect("it is kept"));
    store.close();
    let store = open(dir.path());
    let times: Vec<i64> = wait(store.timeline("a")).expect("the store answers").iter().map(|e| e.time_ms).collect();
    assert_eq!((times.len(), times[0], times[times.len() - 1]), (TIMELINE_EVENTS_MAX, last, 8));
    wait(store.keep_timelines(["a".to_owned()].into())).expect("it answers");
    let count = |upstream| wait(store.timeline(upstream)).expect("the store answers").len();
    assert_eq!((count("a"), count("b"), count("none")), (TIMELINE_EVENTS_MAX, 0, 0));
    store.close();
}

#[test]
fn overrides_health_and_audit_come_back() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let entry = EndpointOverride {
        mode: OverrideMode::Drain,
        weight: Some(3),
        owner: "ana".to_owned(),
        reason: "disk".to_owned(),
        since_ms: 4,
        ..EndpointOverride::default()
    };
    let health = |address: &str| HealthRecord {
        ejected_until_ms: Some(7),
        ejections: 2,
        upstream: "a".to_owned(),
        address: address.to_owned(),
        health: EndpointHealth::Down,
        reason: "refused".to_owned(),
        since_ms: 2,
    };
    let store = open(dir.path());
    wait(store.put_override("a", "127.0.0.1:1", &entry)).expect("it is kept");
    wait(store.put_override("a", "127.0.0.1:2", &entry)).expect("it is kept");
    wait(store.delete_override("a", "127.0.0.1:2")).expect("it is gone");
    wait(store.put_health(vec![health("x"), health("y")])).expect("it is kept");
    wait(store.put_health(vec![health("y")])).expect("it is kept");
    for number in 0..3 {
        let entry = AuditEntry { time_ms: number, verb: "apply".to_owned(), ..AuditEntry::default() };
        wait(store.append_audit(entry)).expect("it is kept");
    }
    store.close();
    let store = open(dir.path());
    let overrides = wait(store.overrides()).expect("the store answers");
    assert_eq!(overrides.len(), 1);
    assert_eq!((overrides[0].address.as_str(), &overrides[0].entry), ("127.0.0.1:1", &entry));
    assert_eq!(wait(store.health()), Ok(vec![health("y")]));
    let audit = wait(store.audit(2)).expect("the store answers");
    assert_eq!(audit.iter().map(|e| e.time_ms).collect::<Vec<_>>(), [2, 1]);
    assert!(audit[0].chain != audit[1].chain && audit[0].chain.len() == 64);
    store.close();
}

#[test]
fn a_second_store_says_who_holds_the_directory() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let first = open(dir.path());
    append(&first, 0);
    let second = open(dir.path());
    assert_eq!(second.held_by().map(|held| held.pid), Some(Some(std::process::id())));
    assert_eq!(second.status().health, StoreHealth::Failed);
    assert!(second.status().message.contains(&format!("process {}", std::process::id())), "{:?}", second.status());
    assert_eq!(running(&second), 1);
    second.close();
    append(&first, 1);
    let other_handle = first.clone();
    first.close();
    assert_eq!(wait(other_handle.history(1)), Err(StoreError::Closed));
    assert_eq!(open(dir.path()).held_by(), None);
}

#[test]
fn a_large_object_is_kept_in_parts_and_comes_back_without_its_text() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let chain = format!("-----BEGIN CERTIFICATE-----\n{}\n", "A".repeat(200_000));
    let text = format!("[certificates.c]\nchain = \"\"\"{chain}\"\"\"\nkey = \"stored:00\"\n");
    let large = Arc::new(parse_toml(&text).expect("it is valid"));
    let store = open(dir.path());
    wait(store.append(0, Arc::clone(&large), "ana", "", 1)).expect("it is kept");
    wait(store.append(1, model(1), "ana", "", 1)).expect("it is kept");
    wait(store.append(2, Arc::clone(&large), "ana", "", 1)).expect("it is kept");
    store.close();
    std::fs::remove_dir_all(dir.path().join("revisions")).expect("it is there");
    let store = open(dir.path());
    let (info, back) = wait(store.running()).expect("the store answers");
    assert_eq!((info.number, back), (3, large));
    store.close();
}
