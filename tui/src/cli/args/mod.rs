// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole command line of `weirgate`, as data: parsing, help, man pages and completions all come from here.
//!
//! It says what may be typed and nothing of what happens then. The verbs are here; what may follow one is in the file of
//! its noun.

mod connection;

mod endpoint;

mod key;

mod object;

mod run;

mod traffic;

mod usage;

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};

pub(super) use connection::{CanaryArgs, ConnectionVerb, ConnectionsArgs};
pub(super) use endpoint::{
    DrainArgs, EndpointArgs, EndpointVerb, LeaseArgs, MaintArgs, OverrideArgs, TimelineArgs, WeightArgs,
};
pub(super) use key::KeyVerb;
pub(super) use object::{ObjectArgs, ObjectVerb, SetArgs};
pub use run::{ConsoleOptions, DemoOptions, LogFormat, RunOptions, STATE_DEFAULT};
pub(super) use traffic::{ExplainArgs, TailArgs, TopArgs};
pub(super) use usage::{RecordVerb, UsageArgs};

use crate::client::{SOCKET_DEFAULT, SOCKET_VARIABLE};

const EXAMPLES: &str = "\
Examples:
  weirgate demo                                        see everything work, with nothing to set up
  weirgate check gate.toml && weirgate apply gate.toml
  weirgate route set orders match.path=/v2/orders --dry-run
  weirgate explain GET http://api.example.com/orders -H 'X-Api-Key: secret'
  weirgate tail --status 5xx
  weirgate drain shop 10.0.0.12:8080 --deadline 5m --wait --reason 'kernel update'

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
NO_COLOR is respected, and nothing is said by colour alone.";

/// Load balancer and API gateway in one binary, edited live from a terminal
#[derive(Debug, Parser)]
#[command(name = "weirgate", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub shared: Shared,
    #[command(subcommand)]
    pub command: Command,
}

/// What may be given to every verb.
#[derive(Clone, Debug, Group)]
pub struct Shared {
    /// Control socket of the daemon [default: $WEIRGATE_SOCKET, or /run/weirgate/control.sock]
    #[arg(long, global = true, help_heading = "Everywhere", value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print the JSON of the control API instead of text
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// When to use colour
    #[arg(long, global = true, help_heading = "Everywhere", value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

impl Args {
    /// Reads the command line of this process; help and mistakes end it. Puts the socket where it is needed.
    pub fn read() -> Self {
        let mut args = <Self as Parser>::parse();
        match &mut args.command {
            Command::Run(options) => options.socket = args.shared.socket(),
            Command::Console(options) => options.socket = args.shared.socket(),
            Command::Demo(_) | Command::Client(_) | Command::Generate { .. } => {}
        }
        args
    }
}

impl Shared {
    /// The socket that was asked for: by option, by variable, or the usual one.
    pub fn socket(&self) -> PathBuf {
        let variable = || std::env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        self.socket.clone().or_else(variable).unwrap_or_else(|| PathBuf::from(SOCKET_DEFAULT))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground
    Run(RunOptions),
    /// Start toy services, a gateway before them and traffic, and open the console: nothing to set up
    Demo(DemoOptions),
    /// Open the console
    Console(ConsoleOptions),
    #[command(flatten)]
    Client(Verb),
    /// Write man pages and shell completions into a directory
    #[command(hide = true)]
    Generate {
        /// Made if there is none
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

/// What the command line asks of a running daemon.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show what runs: listeners, upstreams and the health of their endpoints
    Status {
        /// Only this upstream
        upstream: Option<String>,
    },
    /// Watch rates, errors and latencies by route, upstream and consumer
    Top(TopArgs),
    /// Follow single exchanges as they finish
    Tail(TailArgs),
    /// Say what would happen to a request, and why, without sending it
    Explain(ExplainArgs),
    /// Check a configuration file and print all its mistakes
    Check(CheckArgs),
    /// Show how a configuration file differs from what runs
    Diff {
        /// Configuration file; - reads standard input
        file: PathBuf,
    },
    /// Make a configuration file the running configuration, all of it or nothing
    Apply {
        /// Configuration file; - reads standard input
        file: PathBuf,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Print the running configuration, or an earlier one, as TOML
    Export {
        /// Number of an earlier revision
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
    },
    /// List the stored revisions, newest first
    History {
        /// Show at most so many
        #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20)]
        limit: usize,
    },
    /// Go back to what an earlier revision was, as a new revision
    Rollback {
        /// Number of the revision, as `history` prints it
        #[arg(value_name = "N")]
        revision: u64,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// List, show, set or delete listeners
    #[command(visible_alias = "listeners")]
    Listener(ObjectArgs),
    /// List, show, set or delete certificates
    #[command(visible_alias = "certificates", aliases = ["cert", "certs"])]
    Certificate(ObjectArgs),
    /// List, show, set or delete upstreams
    #[command(visible_alias = "upstreams")]
    Upstream(ObjectArgs),
    /// List, show, set or delete policies
    #[command(visible_alias = "policies")]
    Policy(ObjectArgs),
    /// List, show, set or delete routes
    #[command(visible_alias = "routes")]
    Route(ObjectArgs),
    /// List, show, set or delete consumers
    #[command(visible_alias = "consumers")]
    Consumer(ObjectArgs),
    /// List, show, set or delete logs of exchanges
    #[command(visible_alias = "logs")]
    Log(ObjectArgs),
    #[command(flatten)]
    Record(RecordVerb),
    #[command(flatten)]
    Endpoint(EndpointVerb),
    /// List client connections, or end one
    #[command(visible_alias = "connection")]
    Connections(ConnectionsArgs),
    /// Start, stop, resume or take back the canary of a route
    Canary(CanaryArgs),
    /// Issue, list, revoke or import API keys of a consumer
    Key {
        #[command(subcommand)]
        verb: KeyVerb,
    },
    /// Print all counters in OpenMetrics form
    Metrics,
}

/// What every write takes.
#[derive(Clone, Debug, Default, Group)]
pub struct WriteArgs {
    /// Show what would change and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Kept with the revision
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
}

#[derive(Clone, Debug, Group)]
pub struct CheckArgs {
    /// Configuration file; - reads standard input
    pub file: PathBuf,
    /// Do not ask a running daemon for what only it can see, such as a port in use
    #[arg(long)]
    pub offline: bool,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Args;

    /// Each row: a command line, and whether it is right.
    fn check(rows: &[(&str, bool)]) {
        for (line, right) in rows {
            let parsed = Args::try_parse_from(line.split_whitespace());
            assert_eq!(parsed.is_ok(), *right, "row {line:?}: {parsed:?}");
        }
    }

    #[test]
    fn the_definition_holds() {
        Args::command().debug_assert();
    }

    #[test]
    fn command_lines() {
        check(&[
            ("weirgate run --state /tmp/s --socket /tmp/c --apply f.toml --workers 2", true),
            ("weirgate run --workers 0", false),
            ("weirgate run --drain-limit 5", false),
            ("weirgate demo --headless", true),
            ("weirgate console --plain --read-only --socket /tmp/c", true),
            ("weirgate routes", true),
            ("weirgate routes list --json", true),
            ("weirgate certs", true),
            ("weirgate route show a", true),
            ("weirgate route set a upstream=b --dry-run --comment x", true),
            ("weirgate route set a", false),
            ("weirgate route set a --file f.toml", true),
            ("weirgate route set a b=c --file f.toml", false),
            ("weirgate status", true),
            ("weirgate status shop", true),
            ("weirgate drain shop 127.0.0.1:1 --deadline 5m --expires 1h --wait", true),
            ("weirgate drain shop 127.0.0.1:1 --dry-run --wait", false),
            ("weirgate drain shop 127.0.0.1:1 --deadline soon", false),
            ("weirgate maint shop 127.0.0.1:1 --expires 1h", true),
            ("weirgate maint shop 127.0.0.1:1 --deadline 1h", false),
            ("weirgate ready shop 127.0.0.1:1 --expires 1h", false),
            ("weirgate lease shop 127.0.0.1:1 --ttl 15s --weight 3", true),
            ("weirgate lease shop 127.0.0.1:1 --remove", true),
            ("weirgate lease shop 127.0.0.1:1 --remove --ttl 15s", false),
            ("weirgate timeline shop", true),
            ("weirgate timeline shop :8080 -n 5", true),
            ("weirgate connections --listener web --upstream shop", true),
            ("weirgate connections kill 17", true),
            ("weirgate connections kill x", false),
            ("weirgate canary shop start", true),
            ("weirgate canary shop begin", false),
            ("weirgate weight shop 127.0.0.1:1 3 --expires 1h", true),
            ("weirgate weight shop 127.0.0.1:1 3", true),
            ("weirgate weight shop 127.0.0.1:1 --reset", true),
            ("weirgate weight shop 127.0.0.1:1", false),
            ("weirgate weight shop 127.0.0.1:1 3 --reset", false),
            ("weirgate tail --status 5xx", true),
            ("weirgate tail --status 6xx", false),
            ("weirgate explain GET http://a/ -H A:b --client ::1", true),
            ("weirgate explain GET http://a/ -H A", false),
            ("weirgate key issue alice --expires 30d", true),
            ("weirgate key issue alice --expires soon", false),
            ("weirgate logs", true),
            ("weirgate log set access to=stdout --new", true),
            ("weirgate why 0123456789abcdef0123456789abcdef", true),
            ("weirgate why", false),
            ("weirgate usage", true),
            ("weirgate usage --consumer acme --since 7d --csv", true),
            ("weirgate usage --since yesterday", false),
            ("weirgate usage --step 1m", true),
            ("weirgate usage --step 5m", false),
            ("weirgate frobnicate", false),
        ]);
    }
}
