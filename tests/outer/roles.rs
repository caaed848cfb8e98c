// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may do what on the control socket: the kernel says who asks, and nobody else is believed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::support::daemon::{Answer, Daemon, binary, to_endpoints};
use super::support::neighbour;
use super::support::origin::Origin;

/// A user that is nobody here.
const STRANGER: &str = "--reuid=54321";

/// Runs the command line as a user without groups.
#[track_caller]
fn ask_as_stranger(daemon: &Daemon, arguments: &[&str]) -> Option<Answer> {
    let mut command = Command::new(neighbour("setpriv")?);
    command.args([STRANGER, "--regid=54321", "--clear-groups"]).arg(binary());
    command.arg("--socket").arg(daemon.socket()).args(arguments).current_dir("/");
    Some(Answer::of(&command.output().unwrap()))
}

#[test]
fn a_stranger_reads_nothing_and_changes_nothing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    let origin = Origin::named("one");
    let daemon = Daemon::start(&to_endpoints(&[origin.address]));
    assert_eq!(daemon.status()["role"], "admin");
    // The stranger gets as far as the file system lets it: here, to the socket itself.
    fs::set_permissions(daemon.home.path(), Permissions::from_mode(0o755)).unwrap();
    let closed = fs::metadata(daemon.socket()).unwrap().permissions().mode() & 0o777;
    assert_eq!(closed & 0o007, 0, "the socket is closed to others: {closed:o}");
    let Some(denied) = ask_as_stranger(&daemon, &["status"]) else { return };
    assert_eq!(denied.code, Some(1), "{}", denied.all());
    assert!(denied.err.contains("permission denied") && denied.err.contains("weirgate-admin"), "{}", denied.err);

    fs::set_permissions(daemon.socket(), Permissions::from_mode(0o777)).unwrap();
    let rows: &[&[&str]] = &[
        &["status"],
        &["export"],
        &["route", "list"],
        &["route", "delete", "all"],
        &["metrics"],
        &["key", "list", "alice"],
    ];
    for arguments in rows {
        let answer = ask_as_stranger(&daemon, arguments).unwrap();
        assert_eq!(answer.code, Some(1), "row {arguments:?}: {}", answer.all());
        assert!(answer.out.is_empty(), "row {arguments:?}: {}", answer.out);
        assert!(answer.err.contains("group"), "row {arguments:?}: what to do: {}", answer.err);
    }
    assert_eq!(daemon.status()["revision"]["number"], 1);
}
