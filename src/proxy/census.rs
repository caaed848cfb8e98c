// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is connected: the open connections and UDP sessions of one worker, to be listed, counted and ended.
//!
//! It costs a connection one small allocation and a place in a slab, and its traffic nothing: ending one aborts its
//! task, so no connection waits for a signal. Numbers are unique in the process and never reused.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use slab::Slab;
use tokio::task::AbortHandle;
use weirgate_store::wire::ConnectionInfo;

use crate::exchange::Presence;

/// Most workers that numbers of connections can tell apart.
const WORKERS_MAX: u64 = 1 << 10;

/// Which connections are asked for; an absent condition holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub listener: Option<String>,
    pub upstream: Option<String>,
    /// At most so many, the newest.
    pub limit: usize,
}

impl Wanted {
    fn wants(&self, presence: &Presence) -> bool {
        let listener = self.listener.as_ref().is_none_or(|name| **name == *presence.listener);
        let to = |name: &String| presence.endpoint.borrow().as_ref().is_some_and(|(upstream, _)| **name == **upstream);
        listener && self.upstream.as_ref().is_none_or(to)
    }
}

/// The open connections of one worker.
#[derive(Debug)]
pub struct Census {
    worker: u64,
    next: Cell<u64>,
    entries: RefCell<Slab<Entry>>,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    presence: Rc<Presence>,
    /// Absent until its task is spawned, which is before anybody else runs.
    task: Option<AbortHandle>,
}

impl Census {
    /// Nobody, at the worker with this index.
    pub fn new(worker: usize) -> Self {
        Self { worker: worker as u64 % WORKERS_MAX, next: Cell::new(1), entries: RefCell::default() }
    }

    /// The index of the worker that a connection belongs to.
    pub fn worker_of(id: u64) -> usize {
        usize::try_from(id % WORKERS_MAX).unwrap_or(usize::MAX)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes one in until the guard is dropped.
    pub fn enter(self: &Rc<Self>, presence: Presence) -> Open {
        let presence = Rc::new(presence);
        let id = self.next.replace(self.next.get() + 1) * WORKERS_MAX + self.worker;
        let key = self.entries.borrow_mut().insert(Entry { id, presence: Rc::clone(&presence), task: None });
        Open { census: Rc::clone(self), key, presence }
    }

    /// Says which task serves the connection with this key.
    pub fn served_by(&self, key: usize, task: AbortHandle) {
        if let Some(entry) = self.entries.borrow_mut().get_mut(key) {
            entry.task = Some(task);
        }
    }

    /// Ends the connection with this number; whether there was one.
    pub fn kill(&self, id: u64) -> bool {
        let entries = self.entries.borrow();
        let Some((_, entry)) = entries.iter().find(|(_, entry)| entry.id == id) else { return false };
        entry.presence.killed.set(true);
        if let Some(task) = &entry.task {
            task.abort();
        }
        true
    }

    /// Those that are wanted, newest first.
    pub fn list(&self, wanted: &Wanted) -> Vec<ConnectionInfo> {
        let entries = self.entries.borrow();
        let matching = entries.iter().map(|(_, entry)| entry).filter(|entry| wanted.wants(&entry.presence));
        let mut found: Vec<&Entry> = matching.collect();
        found.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.id));
        found.into_iter().take(wanted.limit).map(info).collect()
    }
}

fn info(entry: &Entry) -> ConnectionInfo {
    let presence = &entry.presence;
    let endpoint = presence.endpoint.borrow();
    ConnectionInfo {
        id: entry.id,
        listener: presence.listener.to_string(),
        protocol: presence.protocol.get().to_owned(),
        client: presence.client.get().to_string(),
        upstream: endpoint.as_ref().map(|(upstream, _)| upstream.to_string()),
        endpoint: endpoint.as_ref().map(|(_, endpoint)| endpoint.to_string()),
        since_ms: presence.since_ms,
        bytes_in: presence.bytes_in.get(),
        bytes_out: presence.bytes_out.get(),
    }
}

/// One open connection; dropping it takes it out.
#[derive(Debug)]
pub struct Open {
    census: Rc<Census>,
    pub key: usize,
    pub presence: Rc<Presence>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.census.entries.borrow_mut().try_remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{Census, Wanted};
    use crate::exchange::Presence;

    #[test]
    fn those_who_are_there_are_listed_newest_first_and_within_bounds() {
        let census = Rc::new(Census::new(3));
        let enter =
            |listener: &str| census.enter(Presence::new(([192, 0, 2, 1], 4000).into(), listener.into(), "tcp", 0));
        let (old, mail, new) = (enter("web"), enter("mail"), enter("web"));
        *mail.presence.endpoint.borrow_mut() = Some(("mx".into(), "10.0.0.1:25".into()));
        let list = |listener: Option<&str>, upstream: Option<&str>, limit| {
            let wanted = Wanted { listener: listener.map(Into::into), upstream: upstream.map(Into::into), limit };
            census.list(&wanted).into_iter().map(|info| (info.listener, info.id)).collect::<Vec<_>>()
        };
        let all = list(None, None, 9);
        assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["web", "mail", "web"]);
        assert!(all.is_sorted_by_key(|(_, id)| std::cmp::Reverse(*id)));
        assert!(all.iter().all(|(_, id)| Census::worker_of(*id) == 3));
        assert_eq!(list(None, None, 1), all[..1]);
        assert_eq!(list(Some("web"), None, 9).len(), 2);
        assert_eq!(list(None, Some("mx"), 9), all[1..2]);
        assert!(census.kill(all[0].1) && new.presence.killed.get() && !old.presence.killed.get());
        assert!(!census.kill(1));
        drop((old, mail, new));
        assert!(census.is_empty());
    }
}
