// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order of a start, and of a stop.
use std::collections::HashMap;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use weirgate_tui::cli::RunOptions;

use super::appliance::{Gateway, Remembered};
use super::{log, systemd};
use crate::listener::handover::Adopted;

/// Runs the daemon until it is told to stop.
pub fn run(options: &RunOptions) -> anyhow::Result<()> {
    let sockets = Adopted::inherit();
    log::start(options.log_format, &options.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(live(options, sockets))
}

async fn live(options: &RunOptions, sockets: Adopted) -> anyhow::Result<()> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = options.workers.unwrap_or(cpus);
    let gateway = Gateway::start(
        workers,
        Remembered {
            sockets,
            private_keys: Box::new(|_| Err("none".to_owned())),
            key_secret: [7; 32],
            issued: Vec::new(),
            health: HashMap::new(),
            overrides: HashMap::new(),
        },
    )?;
    if let Some(file) = &options.apply {
        let text = std::fs::read_to_string(file)?;
        let (mut model, _) = weirgate_store::parse::parse_and_check(&text).map_err(|p| anyhow::anyhow!("{p:#?}"))?;
        let dir = file.parent().unwrap_or(std::path::Path::new("."));
        let problems = weirgate_store::files::inline(&mut model, dir);
        anyhow::ensure!(problems.is_empty(), "{problems:#?}");
        for consumer in model.consumers.values_mut() {
            for key in &mut consumer.api_keys {
                if let Some(secret) = key.secret.take() {
                    let hash = crate::policy::hash_of(&[7; 32], secret.as_bytes());
                    key.hash = Some(hash.iter().map(|b| format!("{b:02x}")).collect());
                }
            }
        }
        let ready = gateway.prepare(Arc::new(model), 1).map_err(|p| anyhow::anyhow!("{p:#?}"))?;
        ready.commit().await;
    }
    systemd::ready("serving");
    tokio::spawn(systemd::watchdog());
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    systemd::stopping();
    gateway.drain(options.drain_limit.0).await;
    Ok(())
}
