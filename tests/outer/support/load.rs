// SPDX-License-Identifier: MIT OR Apache-2.0
//! Steady traffic on kept connections until the test has seen enough, with every failure written down.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::client::Client;

/// More would only be more of the same.
const FAILURES_KEPT: usize = 20;

/// Traffic that runs until [`Load::stop`].
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    good: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Load {
    /// One kept connection per target. Whatever is not 200 is a failure, and so is a connection that closes unasked.
    pub(crate) fn on(address: SocketAddr, targets: &[&str], fields: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let thread = |target: &&str| {
            let (shared, target, fields) = (Arc::clone(&shared), (*target).to_owned(), fields.to_owned());
            std::thread::spawn(move || shared.run(address, &target, &fields))
        };
        let threads = targets.iter().map(thread).collect();
        Self { shared, threads }
    }

    /// Good replies so far.
    pub(crate) fn good(&self) -> u64 {
        self.shared.good.load(Ordering::SeqCst)
    }

    /// Ends it; gives the number of good replies, and what failed.
    pub(crate) fn stop(self) -> (u64, Vec<String>) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("a loader does not panic");
        }
        let failures = std::mem::take(&mut *self.shared.failures.lock().unwrap());
        (self.shared.good.load(Ordering::SeqCst), failures)
    }
}

impl Shared {
    fn run(&self, address: SocketAddr, target: &str, fields: &str) {
        let mut connection = None;
        while !self.is_over.load(Ordering::SeqCst) {
            let client = match connection.take() {
                Some(client) => Ok(client),
                None => Client::connect(address),
            };
            let asked = client.and_then(|mut client| Ok((client.ask("GET", target, fields, "")?, client)));
            match asked {
                Ok((reply, client)) => {
                    let closes = reply.head.to_ascii_lowercase().contains("connection: close");
                    connection = (!closes).then_some(client);
                    if reply.status == 200 {
                        self.good.fetch_add(1, Ordering::SeqCst);
                    } else {
                        self.fail(format!("{target}: {} {}", reply.status, reply.body));
                    }
                }
                Err(error) => self.fail(format!("{target}: {error}")),
            }
        }
    }

    fn fail(&self, what: String) {
        let mut failures = self.failures.lock().unwrap();
        if failures.len() < FAILURES_KEPT {
            failures.push(what);
        }
    }
}
