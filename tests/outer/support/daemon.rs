// SPDX-License-Identifier: MIT OR Apache-2.0
//! The binary under test: as a daemon in a directory of its own, and as the command line that asks it.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde_json::Value;

use super::client::{Client, Reply};
use super::{PATIENCE, wait_until};

/// The listener that most tests use.
pub(crate) const WEB: &str = "[listeners.web]\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\n";

/// What it logs when all of a start is done.
const SERVES: &str = " serves workers=";

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/weirgate");
    let path = std::env::var_os("WEIRGATE_BIN").map_or_else(default, PathBuf::from);
    assert!(path.is_file(), "{} is not there: cargo build --release", path.display());
    path
}

/// A directory, and the daemon that runs in it.
pub(crate) struct Daemon {
    pub(crate) home: tempfile::TempDir,
    child: Option<Child>,
}

/// What the command line answered.
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Daemon {
    /// A directory with this configuration in it, and nothing running.
    pub(crate) fn prepared(toml: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        fs::write(home.path().join("gate.toml"), toml).expect("it can be written");
        Self { home, child: None }
    }

    /// A daemon that runs this configuration.
    #[track_caller]
    pub(crate) fn start(toml: &str) -> Self {
        let mut daemon = Self::prepared(toml);
        daemon.launch(daemon.command().arg("--apply").arg(daemon.path("gate.toml")));
        daemon
    }

    /// Starts again with what is in the store.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.launch(&mut self.command());
    }

    /// Starts `command`, and waits until it serves what it was given.
    #[track_caller]
    pub(crate) fn launch(&mut self, command: &mut Command) {
        self.launch_with(command, Stdio::null());
    }

    /// The same with something else as its standard input.
    #[track_caller]
    pub(crate) fn launch_with(&mut self, command: &mut Command, input: impl Into<Stdio>) {
        let starts = |log: String| log.matches(SERVES).count();
        let before = starts(self.log());
        self.spawn_with(command, input.into());
        wait_until("the daemon serves", || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("it is our child"));
            assert!(ended.is_none(), "the daemon ended with {ended:?}:\n{}", self.log());
            starts(self.log()) > before
        });
    }

    /// Starts `command` and does not wait.
    pub(crate) fn spawn(&mut self, command: &mut Command) {
        self.spawn_with(command, Stdio::null());
    }

    fn spawn_with(&mut self, command: &mut Command, input: Stdio) {
        assert!(self.child.is_none(), "one is running");
        let log = File::options().create(true).append(true).open(self.path("log")).expect("a log");
        command.stdin(input).stdout(log.try_clone().expect("the same file")).stderr(log);
        self.child = Some(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
    }

    /// `weirgate run` in this directory.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.arg("run").arg("--state").arg(self.path("state")).arg("--socket").arg(self.socket());
        command.args(["--workers", "2", "--log-format", "text"]).current_dir(self.home.path());
        command.env_remove("NOTIFY_SOCKET").env_remove("LISTEN_FDS").env("NO_COLOR", "1");
        command
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("control.sock")
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        super::number_after(&status, "VmRSS:") * 1024
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        super::output_of(Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()));
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let mut status = None;
        wait_until("the daemon ends", || {
            status = child.try_wait().expect("it is our child");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// `kill -9`, whatever it is doing.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// SIGTERM, and a good end.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        let status = self.ended();
        assert!(status.success(), "it ended with {status}:\n{}", self.log());
    }

    /// Asks the control API on a connection of its own.
    pub(crate) fn api(&self, method: &str, target: &str, body: &str) -> io::Result<Reply> {
        self.control()?.ask(method, target, "Content-Type: application/json\r\n", body)
    }

    /// A connection to the control API.
    pub(crate) fn control(&self) -> io::Result<Client<UnixStream>> {
        let stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client::on(stream))
    }

    /// The status as JSON.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        let reply = self.api("GET", "/v1/status", "").expect("it answers");
        serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.body))
    }

    /// Where a listener is bound.
    #[track_caller]
    pub(crate) fn bound(&self, listener: &str) -> SocketAddr {
        let status = self.status();
        let all = status["listeners"].as_array().expect("a list");
        let one = all.iter().find(|one| one["name"] == listener).unwrap_or_else(|| panic!("no {listener}: {status}"));
        one["address"].as_str().expect("a text").parse().expect("an address")
    }

    /// Where the listener `web` is bound.
    #[track_caller]
    pub(crate) fn web(&self) -> SocketAddr {
        self.bound("web")
    }

    /// Runs the command line against this daemon.
    #[track_caller]
    pub(crate) fn ask(&self, arguments: &[&str]) -> Answer {
        let mut command = self.client();
        command.args(arguments);
        Answer::of(&command.output().expect("the binary runs"))
    }

    /// The command line of this daemon, not yet run.
    pub(crate) fn client(&self) -> Command {
        let mut command = Command::new(binary());
        command.arg("--socket").arg(self.socket()).env("NO_COLOR", "1").current_dir(self.home.path());
        command
    }

    /// Runs the command line with `--json`; it must succeed and print one JSON value.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let answer = self.ask(&[&["--json"], arguments].concat());
        assert_eq!(answer.code, Some(0), "{arguments:?}: {}{}", answer.out, answer.err);
        serde_json::from_str(&answer.out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", answer.out))
    }

    /// Runs the command line; it must succeed.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let answer = self.ask(arguments);
        assert_eq!(answer.code, Some(0), "{arguments:?}: {}{}\n{}", answer.out, answer.err, self.log());
        answer.out
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Answer {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Both outputs.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

/// The text of an upstream.
pub(crate) fn upstream(name: &str, addresses: &[SocketAddr]) -> String {
    let endpoints: Vec<_> = addresses.iter().map(|address| format!("{{ address = \"{address}\" }}")).collect();
    format!("[upstreams.{name}]\nendpoints = [{}]\n", endpoints.join(", "))
}

/// A configuration with one route to endpoints at these addresses.
pub(crate) fn to_endpoints(addresses: &[SocketAddr]) -> String {
    format!("{WEB}{}[routes.all]\nupstream = \"shop\"\n", upstream("shop", addresses))
}
