// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be typed after `run`, `demo` and `console`: plain records, because the root crate and not this one knows how
//! to run a daemon.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as Group, ValueEnum};
use weirgate_store::model::Span;

/// Where the daemon keeps what it must remember, unless told otherwise.
pub const STATE_DEFAULT: &str = "/var/lib/weirgate";

/// How to run the daemon.
#[derive(Clone, Debug, Group)]
pub struct RunOptions {
    /// Directory for the store, the revisions and stored keys
    #[arg(long, value_name = "DIR", default_value = STATE_DEFAULT)]
    pub state: PathBuf,
    /// Apply this configuration file at start, as a new revision if it differs
    #[arg(long, value_name = "FILE")]
    pub apply: Option<PathBuf>,
    /// Worker threads [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = workers)]
    pub workers: Option<usize>,
    /// What to log: a level, or directives such as `info,weirgate::upstream=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// How to log
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub log_format: LogFormat,
    /// How long a shutdown waits for requests in flight
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub drain_limit: Span,
    /// Ask this name server, and no other, for the endpoints that DNS names
    #[arg(long, value_name = "IP:PORT")]
    pub resolver: Option<SocketAddr>,
    /// The control socket to open; from `Shared::socket`.
    #[arg(skip)]
    pub socket: PathBuf,
}

/// Most worker threads that may be asked for.
const WORKERS_MAX: usize = 1024;

fn workers(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=WORKERS_MAX).contains(count));
    count.ok_or_else(|| format!("write a whole number from 1 to {WORKERS_MAX}"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, the journal under systemd, JSON otherwise
    Auto,
    Text,
    Json,
    Journal,
}

/// How to run the demonstration.
#[derive(Clone, Debug, Group)]
pub struct DemoOptions {
    /// Open no console: print the addresses and a curl line, and keep serving
    #[arg(long)]
    pub headless: bool,
}

/// How to open the console.
#[derive(Clone, Debug, Group)]
pub struct ConsoleOptions {
    /// Only lines that are appended, for screen readers and slow lines
    #[arg(long)]
    pub plain: bool,
    /// Refuse every change
    #[arg(long)]
    pub read_only: bool,
    /// The control socket to ask; from `Shared::socket`.
    #[arg(skip)]
    pub socket: PathBuf,
}
