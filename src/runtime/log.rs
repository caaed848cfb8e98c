// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where log lines go: text on a terminal, the journal under systemd, JSON otherwise.
//!
//! The level filter is set once; no span is made per request, because a span directive costs on every one of them.

use std::io::IsTerminal;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};
use weirgate_tui::cli::LogFormat;

/// Starts logging.
///
/// # Errors
/// A filter that cannot be read, or a journal that cannot be reached although it was asked for.
pub fn start(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| anyhow::anyhow!("--log {filter:?}: {error}; write a level such as info, or target=level"))?;
    tracing_subscriber::registry().with(layer(format)?.with_filter(filter)).try_init()?;
    Ok(())
}

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

fn layer(format: LogFormat) -> anyhow::Result<Boxed> {
    Ok(match format {
        LogFormat::Text => text(),
        LogFormat::Json => json(),
        LogFormat::Journal => Box::new(tracing_journald::layer()?),
        LogFormat::Auto if std::io::stderr().is_terminal() => text(),
        LogFormat::Auto if std::env::var_os("JOURNAL_STREAM").is_some() => match tracing_journald::layer() {
            Ok(journal) => Box::new(journal),
            Err(_) => json(),
        },
        LogFormat::Auto => json(),
    })
}

fn text() -> Boxed {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Box::new(fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false))
}

fn json() -> Boxed {
    Box::new(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr))
}
