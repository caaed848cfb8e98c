// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control side: a Unix socket, who may use it, the API behind it, and the one way to change the configuration.
//!
//! Runs on the control runtime only and never on a worker. It knows the gateway through [`seam`] and not by its parts,
//! so a request can never end up here, and nothing here can make one wait. `change` holds the running revision and
//! makes the next one; `api` is what the console and the command line speak.

pub mod api;

pub mod caller;

pub mod change;

mod conflict;

mod expiry;

mod redact;

pub mod refusal;

pub mod seam;

pub mod socket;

#[cfg(test)]
mod stand_in;

#[cfg(test)]
mod tests;

use std::future::{Future, IntoFuture};
use std::io;
use std::sync::Arc;

use tokio::sync::watch;
use weirgate_store::engine::{AuditEntry, Store};
use weirgate_store::wire::Event;

use crate::clock;
use crate::observe::{Observer, frame};
use caller::Caller;
use change::Changes;
use refusal::Refusal;
use seam::Appliance;
use socket::ControlSocket;

/// Characters of a host name that are kept.
const HOST_NAME_MAX: usize = 64;

/// Everything the API needs.
pub struct Control {
    pub changes: Arc<Changes>,
    pub appliance: Arc<dyn Appliance>,
    pub store: Store,
    pub observer: Arc<Observer>,
    /// Host name.
    instance: String,
    version: &'static str,
    started_ms: i64,
    /// Whose turn it is to set or take back an override.
    overriding: tokio::sync::Mutex<()>,
    stop: watch::Sender<bool>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("changes", &self.changes).finish_non_exhaustive()
    }
}

impl Control {
    /// Runs the last revision that can run, and is then ready to serve.
    pub async fn start(appliance: Arc<dyn Appliance>, store: Store, observer: Arc<Observer>) -> Arc<Self> {
        let changes = Changes::start(Arc::clone(&appliance), store.clone(), Arc::clone(&observer)).await;
        Arc::new(Self {
            changes: Arc::new(changes),
            appliance,
            store,
            observer,
            instance: host_name(),
            version: env!("CARGO_PKG_VERSION"),
            started_ms: clock::wall_ms(),
            overriding: tokio::sync::Mutex::new(()),
            stop: watch::Sender::new(false),
        })
    }

    /// Serves the API and makes the frames of each second until [`Control::stop`], then lets open calls end.
    ///
    /// # Errors
    /// What the socket reports when it cannot accept at all.
    pub async fn serve(self: Arc<Self>, socket: ControlSocket) -> io::Result<()> {
        let mut stopping = self.stopping();
        let appliance = Arc::clone(&self.appliance);
        let frames = frame::run(Arc::clone(&self.observer), move || appliance.connections());
        let expiry = expiry::run(Arc::clone(&self));
        let service = api::router(self).into_make_service_with_connect_info::<Caller>();
        let stopped = async move {
            // An error says that the sender is gone, which is as good a reason to stop.
            let _stop = stopping.wait_for(|stop| *stop).await.is_ok();
        };
        let serving = axum::serve(socket, service).with_graceful_shutdown(stopped);
        tokio::select! {
            served = serving.into_future() => served,
            () = frames => Ok(()),
            () = expiry => Ok(()),
        }
    }

    /// Ends the event streams and lets [`Control::serve`] return.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Remembers and publishes a thing outside revisions that was changed.
    async fn audit(&self, author: String, verb: &str, detail: String) {
        let time_ms = clock::wall_ms();
        let text = format!("{verb}: {detail}");
        tracing::info!(author, "{text}");
        let (author_kept, verb, result) = (author.clone(), verb.to_owned(), "done".to_owned());
        let entry = AuditEntry { time_ms, author: author_kept, verb, detail, result, ..AuditEntry::default() };
        if let Err(why) = self.store.append_audit(entry).await {
            tracing::error!("the audit cannot be kept: {why}");
        }
        self.observer.publish(Event::Audit { time_ms, author, text });
    }
}

/// The name of this machine. The hardened unit hides the first file, so the second is asked too.
fn host_name() -> String {
    let read = |path: &&str| std::fs::read_to_string(path).ok();
    let text = ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(read).unwrap_or_default();
    let name = text.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.chars().take(HOST_NAME_MAX).collect() }
}

/// Runs a write to its end even if the caller hangs up between two of its steps.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    let broke = |_| Err(Refusal::Internal("the work broke off; see the log".to_owned()));
    tokio::spawn(work).await.unwrap_or_else(broke)
}
