// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order of a start, and of a stop.
//!
//! A start: take over sockets, open the store, start the workers, run the last revision, open the control socket, apply
//! the file if one was given, say ready. A stop: say so, accept no more, let what is under way finish, end the workers,
//! keep what was learnt, close the store. Forwarding never waits for the store to be well.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use weirgate_store::engine::{HealthRecord, Options, Store};
use weirgate_store::wire::{ChangeRequest, Edit, EndpointHealth, Problem, StoreHealth};
use weirgate_store::{files, parse, text};

use super::appliance::{Gateway, Remembered};
use super::checker::Kept;
use super::{discovery, memory, usage};
use crate::config::consumers::{Issued, Restored};
use crate::control::Control;
use crate::control::socket::ControlSocket;
use crate::listener::handover::Adopted;
use crate::upstream::health::State;

/// Where a daemon keeps its things and listens for its operator.
#[derive(Clone, Debug)]
pub struct Places {
    pub state: PathBuf,
    pub socket: PathBuf,
    /// The only name server that discovery asks, instead of those of the system.
    pub resolver: Option<SocketAddr>,
}

/// A running daemon.
#[expect(missing_debug_implementations, reason = "it holds the gateway")]
pub struct Daemon {
    pub gateway: Arc<Gateway>,
    pub control: Arc<Control>,
    serving: JoinHandle<std::io::Result<()>>,
    keeping: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Starts everything on the current runtime, which is the control runtime from now on.
    ///
    /// # Errors
    /// A state directory or control socket of another daemon, or a system without threads. A store that cannot be
    /// opened is no error: it is said, and forwarding starts.
    pub async fn start(places: &Places, workers: usize, sockets: Adopted) -> anyhow::Result<Self> {
        let state = places.state.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&state, Options::default())).await?;
        if let Some(holder) = store.held_by() {
            let state = places.state.display();
            anyhow::bail!("{state} is in use by another weirgate ({holder}); stop it, or give another --state");
        }
        tell_store(&store);
        let remembered = remember(&store, sockets, places.resolver).await?;
        let gateway = Gateway::start(workers, remembered).context("cannot start the workers")?;
        let socket = ControlSocket::bind(&places.socket)?;
        let observer = Arc::clone(gateway.observer());
        let control = Control::start(Arc::clone(&gateway) as _, store.clone(), observer).await;
        let serving = tokio::spawn(Arc::clone(&control).serve(socket));
        let keeping = vec![
            tokio::spawn(memory::keep_health(Arc::clone(&gateway), store.clone())),
            tokio::spawn(memory::keep_found(Arc::clone(&gateway), store.clone())),
            tokio::spawn(memory::keep_canaries(Arc::clone(&gateway), store.clone())),
            tokio::spawn(memory::keep_learned(Arc::clone(&gateway), store.clone())),
            tokio::spawn(memory::keep_failures(Arc::clone(&gateway), store.clone())),
            tokio::spawn(usage::run(Arc::clone(&gateway.usage), Arc::clone(gateway.observer()), store)),
        ];
        Ok(Self { gateway, control, serving, keeping })
    }

    /// Applies a configuration file: a new revision if it differs from what runs.
    ///
    /// # Errors
    /// Everything that is wrong with it, printed as a compiler would.
    pub async fn apply_file(&self, file: &Path) -> anyhow::Result<()> {
        let written = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let problems = |found: Vec<Problem>| {
            anyhow::anyhow!(
                "{} is refused\n{}",
                file.display(),
                weirgate_tui::cli::problems_text(&file.display().to_string(), &written, &found)
            )
        };
        let parse::Reading { mut model, problems: mut found, .. } = parse::read_and_check(&written);
        let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let unreadable = files::inline(&mut model, directory);
        add(&mut found, unreadable, &written);
        if !found.is_empty() {
            let part = text::to_toml(&files::for_the_machine(&model, &found));
            let request = ChangeRequest { edits: vec![Edit::ReplaceAll { toml: part }], ..ChangeRequest::default() };
            let checked = self.control.changes.check(&request).await;
            add(&mut found, checked.map(|checked| checked.problems).unwrap_or_default(), &written);
            found.sort_by_key(|problem| problem.line);
            return Err(problems(found));
        }
        let comment = Some(format!("run --apply {}", file.display()));
        self.apply_text(text::to_toml(&model), comment).await
    }

    /// Applies a configuration text with all files already in it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub async fn apply_text(&self, toml: String, comment: Option<String>) -> anyhow::Result<()> {
        let request = ChangeRequest { base: None, comment, edits: vec![Edit::ReplaceAll { toml: toml.clone() }] };
        match self.control.changes.apply(request, "weirgate (start)".to_owned()).await {
            Ok(applied) => {
                tracing::info!(revision = applied.revision.number, changed = applied.changed, "configuration applied");
                Ok(())
            }
            Err(refusal) => {
                let reply = refusal.reply();
                let problems = weirgate_tui::cli::problems_text("configuration", &toml, &reply.problems);
                Err(anyhow::anyhow!("{}\n{problems}", reply.detail))
            }
        }
    }

    /// Finishes what is under way for at most `limit`, then ends everything in order.
    pub async fn stop(self, limit: Duration) {
        self.gateway.drain(limit).await;
        self.control.stop();
        self.keeping.iter().for_each(JoinHandle::abort);
        let store = self.control.store.clone();
        memory::keep_now(&self.gateway, &store).await;
        memory::keep_traffic_now(&self.gateway, &store).await;
        memory::keep_failures_now(&self.gateway, &store).await;
        usage::keep_now(&self.gateway.usage, self.gateway.observer(), &store).await;
        let gateway = Arc::clone(&self.gateway);
        if tokio::task::spawn_blocking(move || gateway.writers.close()).await.is_err() {
            tracing::error!("the logs did not close");
        }
        match self.serving.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the control socket failed"),
            Err(error) => tracing::error!(%error, "the control side ended badly"),
        }
        drop(self.control);
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::error!("the store did not close");
        }
    }
}

/// Adds problems that are about something else than those already told, each with its place in the text.
fn add(problems: &mut Vec<Problem>, found: Vec<Problem>, text: &str) {
    for problem in found {
        if !problems.iter().any(|known| known.path == problem.path) {
            problems.push(parse::locate(Problem { line: None, column: None, ..problem }, text));
        }
    }
}

fn tell_store(store: &Store) {
    let status = store.status();
    match status.health {
        StoreHealth::Ok => tracing::info!("store: {}", status.message),
        StoreHealth::Degraded | StoreHealth::Failed => {
            tracing::error!("THE STORE IS NOT WELL, forwarding goes on: {}", status.message)
        }
    }
}

/// What the store knows from before.
async fn remember(store: &Store, sockets: Adopted, resolver: Option<SocketAddr>) -> anyhow::Result<Remembered> {
    let keyring = store.keyring();
    let mut issued = Restored::default();
    let mut cursor = None;
    loop {
        let page = match store.credentials(cursor).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!("issued keys cannot be read and will be refused: {error}");
                break;
            }
        };
        for record in page.records {
            issued.push(&Issued {
                hash: record.hash,
                consumer: record.consumer,
                expires_s: record.expires_ms.map(|ms| u32::try_from(ms / 1000).unwrap_or(u32::MAX)),
            });
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let health = store.health().await.unwrap_or_default();
    let kept = |one: HealthRecord| {
        let state = match one.health {
            EndpointHealth::Up => State::Healthy,
            EndpointHealth::Down => State::Unhealthy,
            EndpointHealth::Unknown => State::Unknown,
        };
        let kept = Kept { state, ejected_until_ms: one.ejected_until_ms, ejections: one.ejections };
        ((one.upstream, one.address), kept)
    };
    let overrides = store.overrides().await.unwrap_or_default();
    Ok(Remembered {
        sockets,
        key_secret: keyring.hash_secret(),
        private_keys: Box::new(move |fingerprint| keyring.private_key(fingerprint).map_err(|error| error.to_string())),
        issued,
        health: health.into_iter().map(kept).collect(),
        traffic: memory::traffic(store).await,
        overrides: overrides.into_iter().map(|one| ((one.upstream, one.address), one.entry)).collect::<HashMap<_, _>>(),
        discovery: discovery::Remembered {
            resolver,
            found: store.found().await.unwrap_or_default(),
            leases: store.leases().await.unwrap_or_default(),
        },
    })
}
