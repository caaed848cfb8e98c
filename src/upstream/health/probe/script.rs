// SPDX-License-Identifier: MIT OR Apache-2.0
//! A script check: a program that says by its exit code whether an endpoint is healthy.
//!
//! It is started by path, never by a shell, with the address and the port as last arguments, no input, and an empty
//! environment but for `PATH`. It is the leader of a process group of its own, which is killed whole when the check
//! ends, however it ends. What it may do beyond that is bounded by the unit that weirgate runs in, whose sandbox it
//! inherits. The first line it prints is the reason of a failure.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::unix::pipe::Receiver;
use tokio::runtime::Handle;

use super::super::Failure;

/// Bytes of output that are kept; the rest is read and forgotten.
const OUTPUT_BYTES_MAX: usize = 1_024;

/// Longest reason that is taken from the output.
const REASON_CHARS_MAX: usize = 120;

/// What `PATH` is in a script.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program and its first arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptCheck {
    pub path: Box<str>,
    pub args: Box<[Box<str>]>,
}

pub(super) async fn ask(check: &ScriptCheck, address: SocketAddr) -> Result<(), Failure> {
    let cannot =
        |error: &dyn std::fmt::Display| Failure::Answer(format!("could not run {}: {error}", check.path).into());
    let mut command = command(check, address);
    // Starting waits for the program to be read from its disk, which may be a slow one.
    let started = tokio::task::spawn_blocking(move || command.spawn()).await.map_err(|error| cannot(&error))?;
    let mut running = Running { child: Some(started.map_err(|error| cannot(&error))?) };
    let exit = running.exit_fd().map_err(|error| cannot(&error))?;
    let mut output = running.output().map_err(|error| cannot(&error))?;
    let mut kept = Vec::new();
    let mut piece = [0; 1_024];
    let mut is_open = true;
    loop {
        tokio::select! {
            biased;
            // What it has printed is read before its end is looked at.
            read = output.read(&mut piece), if is_open => match read {
                Ok(count) if count > 0 => {
                    let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len()).min(count);
                    kept.extend_from_slice(piece.get(..room).unwrap_or_default());
                }
                _ => is_open = false,
            },
            ended = exit.readable() => match ended {
                Ok(mut ended) => break ended.retain_ready(),
                Err(error) => return Err(cannot(&error)),
            },
        }
    }
    let status = running.end().map_err(|error| cannot(&error))?;
    if status.success() {
        return Ok(());
    }
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    Err(Failure::Answer(format!("{how}{}", reason(&kept)).into()))
}

fn command(check: &ScriptCheck, address: SocketAddr) -> Command {
    let mut command = Command::new(&*check.path);
    command.args(check.args.iter().map(|arg| &**arg)).arg(address.ip().to_string()).arg(address.port().to_string());
    command.env_clear().env("PATH", PATH).current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// The first line of what was printed.
fn reason(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().next().unwrap_or_default().trim();
    let line: String = line.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

/// A program under way. Dropping it kills it and everything it has started.
struct Running {
    child: Option<Child>,
}

impl Running {
    /// Readable once it has ended.
    #[expect(deprecated, reason = "its successor is unsafe; an owned descriptor keeps what that asks for")]
    fn exit_fd(&self) -> std::io::Result<AsyncFd<OwnedFd>> {
        let pid = self.child.as_ref().and_then(group).ok_or(std::io::ErrorKind::NotFound)?;
        AsyncFd::with_interest(pidfd_open(pid, PidfdFlags::NONBLOCK)?, Interest::READABLE)
    }

    fn output(&mut self) -> std::io::Result<Receiver> {
        let output = self.child.as_mut().and_then(|child| child.stdout.take()).ok_or(std::io::ErrorKind::NotFound)?;
        Receiver::from_owned_fd(output.into())
    }

    /// The exit code of a program that has ended. What is left of its group is killed before: until it is waited for, no
    /// other group can have its number.
    fn end(&mut self) -> std::io::Result<ExitStatus> {
        let mut child = self.child.take().ok_or(std::io::ErrorKind::NotFound)?;
        kill(&child);
        child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        kill(&child);
        // A program that hangs in the kernel is waited for elsewhere; it must not hold up other checks.
        if let (Ok(None), Ok(runtime)) = (child.try_wait(), Handle::try_current()) {
            runtime.spawn_blocking(move || child.wait());
        }
    }
}

/// A program leads a group of its own number.
fn group(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

fn kill(child: &Child) {
    // An error says that nobody is left.
    let _gone = group(child).is_none_or(|group| kill_process_group(group, Signal::KILL).is_err());
}
