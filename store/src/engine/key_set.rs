// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last good key sets of issuers, so that a restart while an issuer is down takes nothing away. Public keys only.

use super::{Batch, Store, StoreError, Tree};

/// A key set as an issuer published it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySetRecord {
    pub url: String,
    /// The document, as it was read.
    pub text: Vec<u8>,
    pub fetched_ms: i64,
}

impl Store {
    /// Remembers these key sets and forgets all others. Not synced: losing the last moments costs a fetch.
    pub async fn put_key_sets(&self, records: Vec<KeySetRecord>) -> Result<(), StoreError> {
        let known = self.all(Tree::KeySets).await?;
        let mut batch = Batch::default();
        known.into_iter().for_each(|(key, _)| batch.delete(Tree::KeySets, key));
        for record in records {
            // Addresses may be longer than a key may be.
            let key = blake3::hash(record.url.as_bytes()).as_bytes().to_vec();
            let text = String::from_utf8_lossy(&record.text);
            let value = serde_json::json!({ "url": record.url, "text": text, "fetched_ms": record.fetched_ms });
            batch.put(Tree::KeySets, key, value.to_string().into_bytes());
        }
        self.write(batch).await
    }

    pub async fn key_sets(&self) -> Result<Vec<KeySetRecord>, StoreError> {
        let read = |(_, value): (Vec<u8>, Vec<u8>)| {
            let value: serde_json::Value = serde_json::from_slice(&value).ok()?;
            let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
            let fetched_ms = value.get("fetched_ms")?.as_i64()?;
            Some(KeySetRecord { url: text("url")?, text: text("text")?.into_bytes(), fetched_ms })
        };
        Ok(self.all(Tree::KeySets).await?.into_iter().filter_map(read).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Store, wait};
    use super::KeySetRecord;

    #[test]
    fn key_sets_survive_a_restart_and_gone_ones_are_forgotten() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let record = |url: &str| KeySetRecord { url: url.into(), text: b"{\"keys\":[]}".to_vec(), fetched_ms: 7 };
        let store = Store::open(dir.path(), Options::default());
        wait(store.put_key_sets(vec![record("https://a"), record("https://b")])).expect("they are kept");
        wait(store.put_key_sets(vec![record("https://b"), record(&"c".repeat(2_000))])).expect("they are kept");
        store.close();
        let store = Store::open(dir.path(), Options::default());
        let mut urls: Vec<_> =
            wait(store.key_sets()).expect("they are read").into_iter().map(|set| set.url.len()).collect();
        urls.sort_unstable();
        assert_eq!(urls, [9, 2_000]);
        assert!(wait(store.key_sets()).expect("they are read").contains(&record("https://b")));
        store.close();
    }
}
