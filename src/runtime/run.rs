// SPDX-License-Identifier: MIT OR Apache-2.0
//! `weirgate run`: a daemon in the foreground, from its options to its signals.

use tokio::signal::unix::{SignalKind, signal};
use weirgate_tui::cli::RunOptions;

use super::boot::{Daemon, Places};
use super::{log, systemd};
use crate::listener::handover::Adopted;

/// Threads of the control runtime. What it does is little and seldom urgent; two, so that one long piece of work
/// (compiling a large model) does not hold up the watchdog.
const CONTROL_THREADS: usize = 2;

/// Runs until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// What kept it from starting.
pub fn run(options: &RunOptions) -> anyhow::Result<()> {
    // First of all: no other descriptor may be opened before.
    let sockets = Adopted::inherit();
    log::start(options.log_format, &options.log)?;
    control_runtime()?.block_on(live(options, sockets))
}

/// The runtime of everything but traffic.
///
/// # Errors
/// A system that gives no threads.
pub fn control_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(CONTROL_THREADS).thread_name("control").enable_all().build()
}

/// Workers when nobody says how many: one per CPU.
pub fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

async fn live(options: &RunOptions, sockets: Adopted) -> anyhow::Result<()> {
    // Before anything that takes time, so that an early signal is not a kill.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let places = Places { state: options.state.clone(), socket: options.socket.clone(), resolver: options.resolver };
    let workers = options.workers.unwrap_or_else(default_workers);
    let daemon = Daemon::start(&places, workers, sockets).await?;
    if let Some(file) = &options.apply
        && let Err(error) = daemon.apply_file(file).await
    {
        daemon.stop(std::time::Duration::ZERO).await;
        return Err(error);
    }
    daemon.gateway.close_unclaimed();
    systemd::ready("serving");
    tokio::spawn(systemd::watchdog());
    tracing::info!(workers, socket = %places.socket.display(), "weirgate {} serves", env!("CARGO_PKG_VERSION"));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                tracing::info!("opening the files of logs again");
                daemon.gateway.writers.reopen();
            }
        }
    }
    tracing::info!(limit = %options.drain_limit, "stopping: no new connections, requests in flight finish");
    systemd::stopping();
    daemon.stop(options.drain_limit.0).await;
    tracing::info!("stopped");
    Ok(())
}
