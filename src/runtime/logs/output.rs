// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the lines of a log go, by kind, and what a failure to write them says of another try.

use std::io::{self, Write as _};

use weirgate_store::model::LogSink;

use super::datagram::{Datagrams, Wrap};
use super::file::File;
use super::otlp::Collector;
use super::tcp::Tcp;
use crate::observe::log::queue::Batch;

/// Why a batch was not written.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// Another try may help.
    Later(String),
    /// None will.
    Never(String),
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

#[derive(Debug)]
pub(super) enum Output {
    Stdout,
    File(File),
    Datagrams(Datagrams),
    Tcp(Tcp),
    Otlp(Collector),
}

impl Output {
    /// Opens nothing yet: that is done by the first write, and again after each failure.
    pub(super) fn new(name: &str, to: &LogSink) -> Self {
        match to {
            LogSink::Stdout => Self::Stdout,
            LogSink::Journald => Self::Datagrams(Datagrams::unix(JOURNAL, Wrap::Journal, name)),
            LogSink::File(file) => Self::File(File::new(&file.path, file.size.map(|size| size.0))),
            LogSink::Syslog(syslog) => match (&syslog.unix, &syslog.udp) {
                (_, Some(address)) => Self::Datagrams(Datagrams::udp(address, name)),
                (Some(path), None) => Self::Datagrams(Datagrams::unix(path, Wrap::Local, name)),
                (None, None) => Self::Datagrams(Datagrams::unix("/dev/log", Wrap::Local, name)),
            },
            LogSink::Tcp(address) => Self::Tcp(Tcp::new(address)),
            LogSink::Otlp(otlp) => Self::Otlp(Collector::new(&otlp.url)),
        }
    }

    /// Writes a batch from the byte `done` on, and moves it as far as it came. How many lines had to be left out.
    pub(super) fn write(&mut self, batch: &Batch, done: &mut usize) -> Result<u64, Unwritten> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(&batch.bytes)?;
                stdout.flush()?;
                Ok(0)
            }
            Self::File(file) => file.write(&batch.bytes, done).map(|()| 0).map_err(Unwritten::from),
            Self::Datagrams(datagrams) => datagrams.write(batch).map_err(Unwritten::from),
            Self::Tcp(tcp) => tcp.write(&batch.bytes).map(|()| 0).map_err(Unwritten::from),
            Self::Otlp(collector) => collector.post(batch).map(|()| 0),
        }
    }

    /// Opens again what can be moved away under it.
    pub(super) fn reopen(&mut self) {
        if let Self::File(file) = self {
            file.close();
        }
    }
}

/// The socket of the journal (systemd, "Native Journal Protocol").
const JOURNAL: &str = "/run/systemd/journal/socket";
