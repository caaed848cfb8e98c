// SPDX-License-Identifier: MIT OR Apache-2.0
//! When keys were used last: seconds since 1970 by the id of a key. Rolled up by the daemon once a minute and not synced:
//! losing the last minutes costs an operator nothing but these minutes.

use super::credential::PAGE;
use super::store::io;
use super::{Batch, Store, StoreError, Tree};
use crate::wire::KeyInfo;

impl Store {
    /// Remembers when keys were used, by how their hashes begin.
    pub async fn put_used(&self, used: Vec<(u64, u32)>) -> Result<(), StoreError> {
        self.call(move |keeper| {
            for page in used.chunks(PAGE) {
                let mut batch = Batch::default();
                page.iter().for_each(|(id, at_s)| batch.put(Tree::Used, id.to_be_bytes(), at_s.to_be_bytes().to_vec()));
                let written = keeper.engine.write(batch);
                keeper.after(written.clone());
                written.map_err(io)?;
            }
            Ok(())
        })
        .await
    }

    /// The same keys, each with when it was used last as far as that is known.
    pub async fn with_used(&self, mut keys: Vec<KeyInfo>) -> Result<Vec<KeyInfo>, StoreError> {
        self.call(move |keeper| {
            for key in &mut keys {
                let Ok(id) = u64::from_str_radix(&key.id, 16) else { continue };
                let at_s = keeper.engine.get(Tree::Used, &id.to_be_bytes()).map_err(io)?;
                let at_s = at_s.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(u32::from_be_bytes);
                key.last_used_ms = at_s.map(|at_s| i64::from(at_s) * 1_000);
            }
            Ok(keys)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Store, wait};
    use crate::wire::KeyInfo;

    #[test]
    fn what_was_used_is_known_after_a_restart_and_forgotten_with_its_key() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let acme = "acme".parse().expect("a name");
        let open = || Store::open(dir.path(), Options::default());
        let key = {
            let store = open();
            let issued = wait(store.issue_key(&acme, "", None, 1)).expect("it is issued");
            let id = u64::from_str_radix(&issued.key.id, 16).expect("digits");
            wait(store.put_used(vec![(id, 5), (1, 6)])).expect("it is kept");
            store.close();
            issued.key
        };
        let store = open();
        let listed = |keys| wait(store.with_used(keys)).expect("it can be read");
        let last = |keys: Vec<KeyInfo>| keys.first().and_then(|key| key.last_used_ms);
        assert_eq!(last(listed(vec![key.clone()])), Some(5_000));
        wait(store.revoke_key(&acme, &key.id)).expect("it is revoked");
        assert_eq!(last(listed(vec![key])), None);
        store.close();
    }
}
