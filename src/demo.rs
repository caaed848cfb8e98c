// SPDX-License-Identifier: MIT OR Apache-2.0
//! `weirgate demo`: toy services, a gateway before them and traffic, all in this process; then the console.
//!
//! It uses the gateway as an operator and his clients would: a configuration text, the control socket, real
//! connections. It owns nothing of the gateway and touches nothing of the machine but loopback ports and one temporary
//! directory, which is gone when it ends.

mod origin;

mod service;

mod setup;

mod traffic;

mod visitor;

mod welcome;

#[cfg(test)]
mod tests;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use weirgate_tui::cli::{ConsoleOptions, DemoOptions, LogFormat};

use self::setup::{Ports, Setup};
use self::welcome::Welcome;
use crate::listener::handover::Adopted;
use crate::runtime::boot::{Daemon, Places};
use crate::runtime::{control_runtime, default_workers, log};

/// How long the end waits for requests in flight. The slowest toy service takes a third of it.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// What the log may say without a console: the traffic is there to be looked at, not to fill a screen with.
const LOG_FILTER: &str = "error";

/// Name of the file in the temporary directory that holds what is printed at the start.
const WELCOME_FILE: &str = "welcome.txt";

/// Runs until the operator leaves the console, or without one until a signal.
///
/// # Errors
/// What kept it from starting, and what broke the console. Everything is stopped and removed in either case.
pub fn run(options: &DemoOptions) -> anyhow::Result<()> {
    let headless = options.headless || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal();
    if headless {
        // With a console there is no log at all: it would be written across the picture.
        log::start(LogFormat::Text, LOG_FILTER)?;
    }
    control_runtime()?.block_on(live(headless))
}

async fn live(headless: bool) -> anyhow::Result<()> {
    // Before anything is made, so that an early signal is not a kill that leaves it lying there.
    let mut signals = Signals::listen()?;
    let demo = Demo::start(Ports::Usual).await?;
    say(&demo.welcome.text())?;
    let shown = tokio::select! {
        () = signals.any() => Ok(()),
        left = demo.console(), if !headless => left,
    };
    let removed = demo.stop().await?;
    // After a hang-up nobody is there to read it.
    let told = say(&format!("The demo is over: everything is stopped, and {} is removed.\n", removed.display()));
    shown.and(told.or(Ok(())))
}

/// The signals that end the demo: Ctrl-C, a request to stop, and a terminal that was closed.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Everything that runs.
struct Demo {
    welcome: Welcome,
    daemon: Daemon,
    /// Dropping a set ends its tasks.
    services: JoinSet<()>,
    traffic: JoinSet<()>,
    /// Last, so that it is removed after everything that writes there.
    directory: TempDir,
}

impl Demo {
    async fn start(ports: Ports) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("weirgate-demo-").tempdir()?;
        let (services, endpoints) = origin::start_all().await.context("cannot start the toy services")?;
        let setup = Setup::make(ports, endpoints)?;
        let (state, socket) = (directory.path().join("state"), directory.path().join("control.sock"));
        let places = Places { state, socket, resolver: None };
        let daemon = Daemon::start(&places, default_workers(), Adopted::default()).await?;
        let welcome = Welcome::new(&setup, places.socket);
        let file = directory.path().join(WELCOME_FILE);
        std::fs::write(&file, welcome.text())?;
        let comment = format!("to try things: cat {}", file.display());
        if let Err(error) = daemon.apply_text(setup.toml(), Some(comment)).await {
            daemon.stop(Duration::ZERO).await;
            return Err(error);
        }
        let traffic = traffic::start(&setup)?;
        Ok(Self { welcome, daemon, services, traffic, directory })
    }

    fn socket(&self) -> PathBuf {
        self.welcome.socket.clone()
    }

    async fn console(&self) -> anyhow::Result<()> {
        let options = ConsoleOptions { plain: false, read_only: false, socket: self.socket() };
        weirgate_tui::run_console(options).await
    }

    /// Against the way of a request, so that nothing fails on the way out: clients, gateway, services, files. Returns
    /// the directory that was removed.
    async fn stop(mut self) -> anyhow::Result<PathBuf> {
        self.traffic.shutdown().await;
        self.daemon.stop(DRAIN_LIMIT).await;
        self.services.shutdown().await;
        let path = self.directory.path().to_owned();
        self.directory.close().with_context(|| format!("cannot remove {}", path.display()))?;
        Ok(path)
    }
}
