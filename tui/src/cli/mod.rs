// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command-line client: one verb, one question to the daemon, one answer in text or JSON, one exit code.
//!
//! `args` says what may be typed, `terminal` where the answers go, and each other module holds a few verbs. Exit codes
//! are 0 done, 1 refused or failed, 2 wrong usage. Nothing here decides what is right; the daemon does.

mod args;

mod assign;

mod canary;

mod change;

mod connection;

mod drain;

mod endpoint;

mod exchange;

mod file;

mod history;

mod human;

mod key;

mod lease;

mod line;

mod object;

mod problem;

mod status;

mod table;

mod terminal;

mod timeline;

mod traffic;

mod usage;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use jiff::tz::TimeZone;
use weirgate_store::model::Kind;

pub use args::{Args, Color, Command, ConsoleOptions, DemoOptions, LogFormat, RunOptions, STATE_DEFAULT, Shared, Verb};
pub use problem::problems_text;

use crate::client::{Client, ClientError};
use line::Style;
use terminal::{Failure, Terminal};

/// Exit code for a command line that makes no sense, as clap uses it.
const WRONG_USAGE: u8 = 2;

/// Asks the daemon what was typed and prints the answer.
pub async fn client(shared: &Shared, verb: &Verb) -> ExitCode {
    let choice = match shared.color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    let mut terminal = Terminal {
        client: Client::new(shared.socket()),
        json: shared.json,
        live: io::stdout().is_terminal(),
        zone: TimeZone::system(),
        out: Box::new(io::BufWriter::new(AutoStream::new(io::stdout(), choice))),
        err: Box::new(AutoStream::new(io::stderr(), choice)),
    };
    let outcome = run(&mut terminal, verb).await;
    ExitCode::from(conclude(&mut terminal, outcome))
}

async fn run(t: &mut Terminal<'_>, verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::Status { upstream } => status::status(t, upstream.as_deref()).await,
        Verb::Top(args) => traffic::top(t, args).await,
        Verb::Tail(args) => traffic::tail(t, args).await,
        Verb::Explain(args) => status::explain(t, args).await,
        Verb::Check(args) => file::check(t, args).await,
        Verb::Diff { file } => file::diff(t, file).await,
        Verb::Apply { file, write } => file::apply(t, file, write).await,
        Verb::Export { revision } => history::export(t, *revision).await,
        Verb::History { limit } => history::history(t, *limit).await,
        Verb::Rollback { revision, write } => history::rollback(t, *revision, write).await,
        Verb::Listener(args) => object::run(t, Kind::Listener, args.verb.as_ref()).await,
        Verb::Certificate(args) => object::run(t, Kind::Certificate, args.verb.as_ref()).await,
        Verb::Upstream(args) => object::run(t, Kind::Upstream, args.verb.as_ref()).await,
        Verb::Policy(args) => object::run(t, Kind::Policy, args.verb.as_ref()).await,
        Verb::Route(args) => object::run(t, Kind::Route, args.verb.as_ref()).await,
        Verb::Consumer(args) => object::run(t, Kind::Consumer, args.verb.as_ref()).await,
        Verb::Log(args) => object::run(t, Kind::Log, args.verb.as_ref()).await,
        Verb::Record(verb) => exchange::run(t, verb).await,
        Verb::Endpoint(verb) => endpoint::run(t, verb).await,
        Verb::Connections(args) => connection::run(t, args).await,
        Verb::Canary(args) => canary::canary(t, args).await,
        Verb::Key { verb } => key::run(t, verb).await,
        Verb::Metrics => {
            let text = t.client.text("/v1/metrics").await?;
            t.verbatim(&text)
        }
    }
}

/// Says what went wrong, if anything did, and turns it into an exit code.
fn conclude(t: &mut Terminal<'_>, outcome: Result<(), Failure>) -> u8 {
    let outcome = outcome.and_then(|()| Ok(t.out.flush()?));
    let Err(failure) = outcome else { return 0 };
    let code = match &failure {
        // Whoever read our output has seen enough, as in `weirgate history | head -1`.
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return 0,
        Failure::Usage(_) => WRONG_USAGE,
        _ => 1,
    };
    let said = match failure {
        Failure::Said => Ok(()),
        Failure::Client(ClientError::Refused(reply)) if t.json => t.document(&reply),
        Failure::Client(ClientError::Refused(reply)) => problem::print_refusal(t, &reply, None),
        other => t.note(&[Style::Bad.of("error"), ": ".into(), other.to_string().into()]),
    };
    // If even that cannot be written there is nobody left to tell.
    drop(said.and_then(|()| Ok(t.out.flush()?)));
    code
}

#[cfg(test)]
mod tests;
