// SPDX-License-Identifier: MIT OR Apache-2.0
//! A store that cannot be opened does not stop forwarding: the last revision runs from its text, and it is said.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::client::get;
use super::support::daemon::{Daemon, binary, to_endpoints};
use super::support::origin::Origin;
use super::support::{neighbour, output_of};

/// sled leaves one behind when it is killed while it writes it; it does no harm.
const SNAPSHOT: &str = "a snapshot cut short";

/// What is made anew from the text says so.
const REBUILT: &str = "garbage everywhere";

/// All files under a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).map(|all| all.map_while(Result::ok).collect::<Vec<_>>()).unwrap_or_default();
    let below = |entry: fs::DirEntry| {
        if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] }
    };
    entries.into_iter().flat_map(below).collect()
}

/// The directory in which sled keeps its files.
#[track_caller]
fn engine_directory(state: &Path) -> PathBuf {
    let conf = files(state).into_iter().find(|path| path.ends_with("conf"));
    conf.and_then(|path| path.parent().map(Path::to_owned)).expect("sled keeps a file called conf")
}

/// Runs, is damaged, starts again: the route still works, and the status says what is wrong.
#[track_caller]
fn check(row: &str, damage: impl Fn(&Path), want: &[&str]) {
    let origin = Origin::named("still here");
    let toml = format!("{}[consumers.alice]\n", to_endpoints(&[origin.address]));
    let mut daemon = Daemon::start(&toml);
    let key = daemon.json(&["key", "issue", "alice"]);
    daemon.done(&["route", "set", "all", "match.path=/kept"]);
    daemon.stop();
    damage(&daemon.path("state"));
    daemon.restart();
    let reply = get(daemon.web(), "/kept").unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "still here"), "row {row}: {}", daemon.log());
    let status = daemon.status();
    let listed = daemon.json(&["key", "list", "alice"]);
    assert!(listed.to_string().contains(key["key"]["id"].as_str().unwrap()), "row {row}: the key is lost: {listed}");
    let health = status["store"]["health"].as_str().unwrap();
    assert!(want.contains(&health), "row {row}: {status}\n{}", daemon.log());
    assert!(row != REBUILT || status.to_string().contains("rebuilt from the text"), "row {row}: {status}");
    if health != "ok" {
        let said = daemon.done(&["status"]);
        assert!(said.contains(health), "row {row}: {said}");
        assert!(daemon.log().contains("THE STORE IS NOT WELL"), "row {row}: {}", daemon.log());
    }
}

#[test]
fn forwarding_starts_whatever_the_store_is_like() {
    let garbage = |name: &'static str| {
        move |state: &Path| fs::write(engine_directory(state).join(name), b"\xff garbage \0 all over").unwrap()
    };
    check("garbage in conf", garbage("conf"), &["degraded", "failed", "ok"]);
    check("garbage in db", garbage("db"), &["degraded", "failed", "ok"]);
    check(SNAPSHOT, garbage("snap.00000000000000FF.generating"), &["ok", "degraded", "failed"]);
    let all_garbage = |state: &Path| {
        for file in files(&engine_directory(state)) {
            fs::write(file, b"not sled").unwrap();
        }
    };
    check(REBUILT, all_garbage, &["degraded", "failed", "ok"]);
    let a_file_instead = |state: &Path| {
        let engine = engine_directory(state);
        fs::remove_dir_all(&engine).unwrap();
        fs::write(&engine, b"not a directory").unwrap();
    };
    check("a file where the directory was", a_file_instead, &["ok", "degraded"]);
}

/// Whoever may not write the state directory forwards all the same.
#[test]
fn forwarding_starts_where_nothing_can_be_written() {
    let Some(setpriv) = neighbour("setpriv") else { return };
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    let origin = Origin::named("still here");
    let mut daemon = Daemon::start(&to_endpoints(&[origin.address]));
    daemon.stop();
    for directory in [daemon.home.path().to_owned(), daemon.path("state")] {
        output_of(Command::new("chmod").args(["-R", "a+rX,go-w"]).arg(directory));
    }
    let sockets = tempfile::tempdir().unwrap();
    fs::set_permissions(sockets.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let socket = sockets.path().join("control.sock");
    let mut command = Command::new(setpriv);
    command.args(["--reuid=54321", "--regid=54321", "--clear-groups"]).arg(binary()).args(["run", "--state"]);
    command.arg(daemon.path("state")).arg("--socket").arg(&socket).args(["--log-format", "text"]).current_dir("/");
    daemon.launch(&mut command);
    std::os::unix::fs::symlink(&socket, daemon.socket()).unwrap();
    let reply = get(daemon.web(), "/").unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "still here"), "{}", daemon.log());
    let status = daemon.status();
    assert_eq!(status["store"]["health"], "failed", "{status}");
    assert!(daemon.log().contains("THE STORE IS NOT WELL"), "{}", daemon.log());
    let said = daemon.done(&["status"]);
    assert!(said.contains("nothing can be stored"), "{said}");
}
