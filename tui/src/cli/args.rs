// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole command line of `weirgate`, as data: parsing, help, man pages and completions all come from here.
//!
//! It says what may be typed and nothing of what happens then. Options of the verbs that start something are plain
//! records, because the root crate and not this one knows how to run a daemon.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use weirgate_store::model::Span;

use crate::client::{SOCKET_DEFAULT, SOCKET_VARIABLE};

/// Where the daemon keeps what it must remember, unless told otherwise.
pub const STATE_DEFAULT: &str = "/var/lib/weirgate";

const EXAMPLES: &str = "\
Examples:
  weirgate demo                                        see everything work, with nothing to set up
  weirgate check gate.toml && weirgate apply gate.toml
  weirgate route set orders match.path=/v2/orders --dry-run
  weirgate explain GET http://api.example.com/orders -H 'X-Api-Key: secret'
  weirgate tail --status 5xx
  weirgate drain shop 10.0.0.12:8080 --reason 'kernel update'

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
    /// The control socket to open; from [`Shared::socket`].
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
    /// The control socket to ask; from [`Shared::socket`].
    #[arg(skip)]
    pub socket: PathBuf,
}

/// What the command line asks of a running daemon.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show what runs: listeners, upstreams and the health of their endpoints
    Status,
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
    /// Send an endpoint no new requests; those in flight finish
    Drain(OverrideArgs),
    /// Take an endpoint back into service
    Ready(OverrideArgs),
    /// Send an endpoint nothing, not even health checks
    Maint(OverrideArgs),
    /// Give an endpoint another weight until it is reset
    Weight(WeightArgs),
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
pub struct TopArgs {
    /// Print one second and end
    #[arg(long)]
    pub once: bool,
    /// Rows per table
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 10)]
    pub rows: usize,
}

#[derive(Clone, Debug, Default, Group)]
pub struct TailArgs {
    /// Only exchanges of this route
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
    /// Only this status, such as 404 or 5xx
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub status: Option<String>,
    /// Only exchanges of this consumer
    #[arg(long, value_name = "NAME")]
    pub consumer: Option<String>,
    /// Only exchanges that went to this upstream
    #[arg(long, value_name = "NAME")]
    pub upstream: Option<String>,
    /// Only exchanges that weirgate or an endpoint failed: any fault, and status 500 and above
    #[arg(long)]
    pub failed: bool,
    /// End after so many
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub count: Option<u64>,
}

fn status(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    let fits = matches!(lower.as_bytes(), [b'1'..=b'5', b, c]
        if (b.is_ascii_digit() && c.is_ascii_digit()) || (*b == b'x' && *c == b'x'));
    if fits { Ok(lower) } else { Err("write a status such as 404, or a class such as 5xx".to_owned()) }
}

#[derive(Clone, Debug, Group)]
pub struct ExplainArgs {
    /// Such as GET
    pub method: String,
    /// Such as <http://api.example.com/orders>
    pub url: String,
    /// A header field of the request; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = field)]
    pub headers: Vec<(String, String)>,
    /// Address of the client
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub client: IpAddr,
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'Name: value'")?;
    let name = name.trim();
    if name.is_empty() {
        return Err("the name before the colon is empty".to_owned());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

#[derive(Clone, Debug, Group)]
pub struct CheckArgs {
    /// Configuration file; - reads standard input
    pub file: PathBuf,
    /// Do not ask a running daemon for what only it can see, such as a port in use
    #[arg(long)]
    pub offline: bool,
}

#[derive(Clone, Debug, Group)]
pub struct ObjectArgs {
    /// Without one: list
    #[command(subcommand)]
    pub verb: Option<ObjectVerb>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum ObjectVerb {
    /// List all of them
    List,
    /// Print one
    Show {
        /// Its name, as the list prints it
        name: String,
    },
    /// Change some fields of one, or write one whole from a file
    #[command(after_help = SET_EXAMPLES)]
    Set(SetArgs),
    /// Remove one
    Delete {
        /// Its name, as the list prints it
        name: String,
        #[command(flatten)]
        write: WriteArgs,
    },
}

const SET_EXAMPLES: &str = "\
A value that is JSON is taken as such, any other is text; null removes the field.
  weirgate route set orders match.path=/v2/orders 'match.methods=[\"GET\",\"POST\"]'
  weirgate route set orders max_body=null
  weirgate upstream set shop --file shop.toml";

#[derive(Clone, Debug, Default, Group)]
pub struct SetArgs {
    /// Its name, as the list prints it
    pub name: String,
    /// Fields to set, such as upstream=shop or timeouts.connect=2s
    #[arg(value_name = "FIELD=VALUE", required_unless_present = "file")]
    pub fields: Vec<String>,
    /// Write the whole object from a TOML or JSON file; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fields", "new"])]
    pub file: Option<PathBuf>,
    /// Make it if there is none of that name
    #[arg(long)]
    pub new: bool,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Clone, Debug, Group)]
pub struct OverrideArgs {
    /// Name of the upstream
    pub upstream: String,
    /// Address of the endpoint; its host or :port is enough if only one fits
    pub endpoint: String,
    /// Shown wherever the endpoint is shown
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Show what would change and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Clone, Debug, Group)]
pub struct WeightArgs {
    #[command(flatten)]
    pub target: OverrideArgs,
    /// Share of the work relative to the other endpoints; 0 takes no new work
    #[arg(value_name = "N", required_unless_present = "reset")]
    pub weight: Option<u32>,
    /// Go back to the configured weight
    #[arg(long, conflicts_with = "weight")]
    pub reset: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub enum KeyVerb {
    /// Make a key and print it, this once
    Issue {
        /// Name of the consumer
        consumer: String,
        /// When it ends, such as 30d; never, if absent
        #[arg(long, value_name = "TIME")]
        expires: Option<Span>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// List the keys of a consumer
    List {
        /// Name of the consumer
        consumer: String,
    },
    /// Make a key worthless at once
    Revoke {
        /// Name of the consumer
        consumer: String,
        /// As `key list` prints it
        id: String,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Take over existing keys, one a line
    Import {
        /// Name of the consumer
        consumer: String,
        /// File with the keys; - reads standard input
        file: PathBuf,
        #[command(flatten)]
        write: WriteArgs,
    },
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
            ("weirgate frobnicate", false),
        ]);
    }
}
