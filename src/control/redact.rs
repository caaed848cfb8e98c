// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the API shows of an object that holds proofs, and how an edit of what was shown finds them again.
//!
//! A key hash is shown by its first digits and a private key not at all. Whoever sends back what they were shown means
//! "as it is": the short form is replaced by the whole one of the running model before anything else looks at it.

use serde_json::Value;
use weirgate_store::model::{Kind, Model, STORED};
use weirgate_store::wire::Edit;

/// Digits of a hash that are shown; they also name an issued key.
const SHOWN_DIGITS: usize = 16;

/// What stands for the rest.
const ELLIPSIS: char = '…';

/// An object without what proves anything.
pub(super) fn shown(kind: Kind, mut object: Value) -> Value {
    match kind {
        Kind::Consumer => each_key(&mut object, |key| {
            key.remove("secret");
            if let Some(Value::String(hash)) = key.get_mut("hash") {
                *hash = short(hash);
            }
        }),
        Kind::Certificate => {
            if let Some(Value::String(key)) = object.get_mut("key")
                && !key.starts_with(STORED)
            {
                *key = ELLIPSIS.to_string();
            }
        }
        Kind::Listener | Kind::Upstream | Kind::Policy | Kind::Route | Kind::Log => {}
    }
    object
}

/// The edits with every short form replaced by what it stands for, as far as the running model has it.
pub(super) fn restore(edits: &[Edit], running: &Model) -> Vec<Edit> {
    let mut edits = edits.to_vec();
    for edit in &mut edits {
        let (kind, name, object) = match edit {
            Edit::Put { kind, name, object } => (*kind, name, object),
            Edit::Merge { kind, name, patch } => (*kind, name, patch),
            Edit::Delete { .. } | Edit::ReplaceAll { .. } | Edit::Rollback { .. } => continue,
        };
        if kind != Kind::Consumer {
            continue;
        }
        let hashes = hashes(running, name);
        each_key(object, |key| {
            if let Some(Value::String(hash)) = key.get_mut("hash")
                && let Some(whole) = hashes.iter().find(|whole| short(whole) == *hash)
            {
                hash.clone_from(whole);
            }
        });
    }
    edits
}

fn hashes(model: &Model, consumer: &str) -> Vec<String> {
    let consumer = model.consumers.get(consumer);
    let keys = consumer.into_iter().flat_map(|consumer| &consumer.api_keys);
    keys.filter_map(|key| key.hash.clone()).collect()
}

fn short(hash: &str) -> String {
    let mut short: String = hash.chars().take(SHOWN_DIGITS).collect();
    short.push(ELLIPSIS);
    short
}

fn each_key(object: &mut Value, mut change: impl FnMut(&mut serde_json::Map<String, Value>)) {
    let Some(Value::Array(keys)) = object.get_mut("api_keys") else { return };
    keys.iter_mut().filter_map(Value::as_object_mut).for_each(&mut change);
}

#[cfg(test)]
mod tests {
    use super::{restore, shown};
    use serde_json::json;
    use weirgate_store::model::{ApiKey, Consumer, Kind, Model};
    use weirgate_store::wire::Edit;

    #[test]
    fn what_was_shown_can_be_sent_back() {
        let key = ApiKey { secret: None, hash: Some("ab".repeat(32)), prefix: Some("wg_ab".into()) };
        let mut model = Model::default();
        let consumer = Consumer { api_keys: vec![key], ..Consumer::default() };
        let whole = serde_json::to_value(&consumer).expect("it is JSON");
        model.consumers.insert("acme".parse().expect("a name"), consumer);
        let seen = shown(Kind::Consumer, whole.clone());
        assert_eq!(seen, json!({"api_keys": [{"hash": "abababababababab…", "prefix": "wg_ab"}]}));
        let put = Edit::Put { kind: Kind::Consumer, name: "acme".into(), object: seen };
        assert_eq!(restore(&[put], &model), [Edit::Put { kind: Kind::Consumer, name: "acme".into(), object: whole }]);
    }

    #[test]
    fn a_private_key_is_never_shown() {
        let stored = json!({"chain": "x", "key": "stored:abc"});
        assert_eq!(shown(Kind::Certificate, stored.clone()), stored);
        let text = json!({"chain": "x", "key": "-----BEGIN PRIVATE KEY-----"});
        assert_eq!(shown(Kind::Certificate, text), json!({"chain": "x", "key": "…"}));
    }
}
