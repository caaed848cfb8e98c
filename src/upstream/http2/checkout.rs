// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which connection takes a request: one that has room, or a new one that all who wait for it share.
//!
//! Only one connection is opened at a time, so that a burst of requests does not open one each; if it fails, it fails
//! for everyone who waited for it. A fresh connection is one that did not exist when it was asked for.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;

use super::CONNECTIONS_MAX;
use super::connection::{Fresh, Shared, Slot, start};
use crate::clock::Deadline;
use crate::fault::Fault;
use crate::upstream::connect::{self, ConnectError, within};
use crate::upstream::limits::OpenConnection;
use crate::upstream::pool::{Age, Named, Open, Pool, Reuse};

/// The HTTP/2 connections of one worker to one endpoint.
#[derive(Debug, Default)]
pub struct Multiplexed {
    list: RefCell<Vec<Rc<Shared>>>,
    next: Cell<u64>,
    is_opening: Cell<bool>,
    attempt: Cell<u64>,
    /// Why the last attempt failed.
    failed: RefCell<Option<(u64, Fault)>>,
    changed: Notify,
}

impl Multiplexed {
    fn find(&self, floor: u64, named: Option<Named>) -> Option<Slot> {
        let mut list = self.list.borrow_mut();
        list.retain(|shared| shared.is_open());
        let fits = |shared: &&Rc<Shared>| shared.number >= floor && shared.named == named && shared.has_room();
        list.iter().find(fits).map(|shared| Slot::take(Rc::clone(shared)))
    }

    /// Connections that take requests.
    pub(in crate::upstream) fn count(&self) -> usize {
        let mut list = self.list.borrow_mut();
        list.retain(|shared| shared.is_open());
        list.len()
    }

    /// Leaves all connections: what is on them finishes.
    pub(in crate::upstream) fn close_all(&self) {
        self.list.borrow_mut().drain(..).for_each(|shared| shared.leave());
    }
}

/// Lets the next one open a connection, however this one ended.
struct Opening<'a>(&'a Multiplexed);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.is_opening.set(false);
        self.0.attempt.set(self.0.attempt.get() + 1);
        self.0.changed.notify_waiters();
    }
}

impl Pool {
    /// A place on a connection for one request. A new connection is opened only if `permit` allows one.
    pub async fn slot(
        self: &Rc<Self>,
        age: Age,
        reuse: Reuse,
        named: Option<Named>,
        permit: &dyn Fn() -> Option<OpenConnection>,
    ) -> Result<Slot, Fault> {
        let all = self.multiplexed();
        let deadline = self.deadlines().guard(self.transport().timeout);
        let floor = if age == Age::Fresh { all.next.get() } else { 0 };
        loop {
            if let Some(slot) = all.find(floor, named) {
                if reuse == Reuse::Any || !slot.is_quiet() {
                    return Ok(slot);
                }
                // Half of the time, so that the other half is there for a new one.
                let patience = self.deadlines().guard(self.transport().timeout / 2);
                let proof = within(&patience, pin!(slot.shared.prove())).await;
                match proof {
                    Ok(Ok(())) => return Ok(slot),
                    Ok(Err(_)) | Err(_) => slot.shared.leave(),
                }
            } else if all.is_opening.get() && named.is_none() {
                self.wait(&deadline).await?;
            } else {
                let Some(everywhere) = permit() else {
                    return Err(Fault::ConnectionLimit { endpoint: Arc::clone(self.endpoint()) });
                };
                self.open_multiplexed(named, Some(everywhere), &deadline).await?;
            }
        }
    }

    /// Waits for the connection that is being opened.
    async fn wait(&self, deadline: &Deadline) -> Result<(), Fault> {
        let all = self.multiplexed();
        let attempt = all.attempt.get();
        if within(deadline, pin!(all.changed.notified())).await.is_err() {
            return Err(self.unconnected(ConnectError::TimedOut, self.transport().timeout));
        }
        match &*all.failed.borrow() {
            Some((failed, fault)) if *failed == attempt => Err(fault.clone()),
            _ => Ok(()),
        }
    }

    /// Opens a connection and adds it to the list.
    pub(in crate::upstream) async fn open_multiplexed(
        &self,
        named: Option<Named>,
        everywhere: Option<OpenConnection>,
        deadline: &Deadline,
    ) -> Result<(), Fault> {
        let all = self.multiplexed();
        all.is_opening.set(true);
        let _opening = Opening(all);
        let generation = self.generation();
        let mut open = self.count_open();
        open.everywhere = everywhere;
        match self.greet(named, open, deadline).await {
            Ok(shared) if generation == self.generation() => {
                all.list.borrow_mut().push(shared);
                Ok(())
            }
            // The pool was closed meanwhile; whoever waits looks again.
            Ok(shared) => {
                shared.leave();
                Ok(())
            }
            Err(error) => {
                let fault = self.unconnected(error, self.transport().timeout);
                all.failed.replace(Some((all.attempt.get(), fault.clone())));
                Err(fault)
            }
        }
    }

    async fn greet(&self, named: Option<Named>, open: Open, deadline: &Deadline) -> Result<Rc<Shared>, ConnectError> {
        let all = self.multiplexed();
        if all.list.borrow().len() >= CONNECTIONS_MAX {
            let sentence = format!("all {CONNECTIONS_MAX} HTTP/2 connections are full");
            return Err(ConnectError::Refused(sentence));
        }
        let number = all.next.get();
        all.next.set(number + 1);
        let stream = connect::open(self.address(), self.transport(), named, deadline).await?;
        let idle_age = self.transport().limits.idle_age;
        let endpoint = Arc::clone(self.endpoint());
        let (group, deadlines) = (self.group(), self.deadlines().clone());
        let fresh = Fresh { endpoint, stream, open, number, named, group, idle_age, deadlines };
        let started = within(deadline, pin!(start(fresh))).await?;
        let shared = started.map_err(|error| not_http2(&error.to_string()))?;
        let proof = within(deadline, pin!(shared.prove())).await;
        match proof {
            Ok(Ok(())) => Ok(shared),
            Ok(Err(why)) => Err(not_http2(&why)),
            Err(late) => {
                shared.leave();
                Err(late)
            }
        }
    }
}

#[cold]
fn not_http2(why: &str) -> ConnectError {
    ConnectError::Refused(format!("it does not speak HTTP/2: {why}"))
}
