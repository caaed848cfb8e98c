// SPDX-License-Identifier: MIT OR Apache-2.0
//! What systemd and the daemon say to each other, played by the test: readiness, watchdog, stopping, and listening
//! sockets that are handed over by name.

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use super::support::client::{Client, get};
use super::support::daemon::{Daemon, binary, to_endpoints};
use super::support::origin::Origin;
use super::support::{PATIENCE, neighbour, wait_until};

/// Reads messages until one holds `wanted`.
#[track_caller]
fn told(socket: &UnixDatagram, wanted: &str) {
    let mut seen = String::new();
    let mut message = [0; 4096];
    while !seen.lines().any(|line| line == wanted) {
        let length = socket.recv(&mut message).unwrap_or_else(|error| panic!("no {wanted} ({error}) in:\n{seen}"));
        seen.push_str(&String::from_utf8_lossy(&message[..length]));
        seen.push('\n');
    }
}

#[test]
fn readiness_watchdog_and_the_end_are_told() {
    let origin = Origin::named("one");
    let mut daemon = Daemon::prepared(&to_endpoints(&[origin.address]));
    let socket = UnixDatagram::bind(daemon.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = daemon.command();
    command.arg("--apply").arg("gate.toml").env("NOTIFY_SOCKET", daemon.path("notify"));
    command.env("WATCHDOG_USEC", "200000").env_remove("WATCHDOG_PID");
    daemon.spawn(&mut command);
    told(&socket, "READY=1");
    assert_eq!(get(daemon.web(), "/").unwrap().body, "one", "ready means that the file is applied");
    told(&socket, "WATCHDOG=1");
    told(&socket, "WATCHDOG=1");
    daemon.signal("TERM");
    told(&socket, "STOPPING=1");
    assert!(daemon.ended().success());
}

/// Starts the daemon with `socket` as descriptor 3, as systemd would.
fn start_with(daemon: &mut Daemon, socket: &TcpListener, arguments: &[&str]) {
    // LISTEN_PID must be the pid of the daemon, which only the shell before it can know.
    let script = "export LISTEN_PID=$$; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(binary());
    command.args(daemon.command().get_args()).args(arguments).current_dir(daemon.home.path());
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "weirgate-listener-web").env("NO_COLOR", "1");
    let passed = rustix::io::fcntl_dupfd_cloexec(socket.as_fd(), 3).unwrap();
    // Standard input carries it to the shell, which moves it to where it belongs.
    let moved = format!("exec 3<&0 </dev/null; {script}");
    let mut outer = Command::new("sh");
    outer.args(["-c", &moved]).args(command.get_args().skip(2)).current_dir(daemon.home.path());
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    daemon.launch_with(&mut outer, passed);
}

#[test]
fn a_handed_over_socket_is_used_and_outlives_the_daemon() {
    if neighbour("sh").is_none() {
        return;
    }
    let origin = Origin::named("one");
    let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let toml = to_endpoints(&[origin.address]).replace("127.0.0.1:0", &address.to_string());
    let mut daemon = Daemon::prepared(&toml);
    start_with(&mut daemon, &socket, &["--apply", "gate.toml"]);
    assert_eq!(daemon.web(), address);
    for _ in 0..20 {
        assert_eq!(get(address, "/").unwrap().body, "one");
    }
    daemon.kill();
    // Nobody serves, and nobody is refused: the kernel keeps what connects to the socket that the supervisor holds.
    let waiting: Vec<_> = (0..10).map(|_| TcpStream::connect(address).unwrap()).collect();
    start_with(&mut daemon, &socket, &[]);
    for stream in waiting {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(Client::on(stream).ask("GET", "/", "", "").unwrap().body, "one");
    }
    daemon.stop();
    let waiting = TcpStream::connect(address).unwrap();
    start_with(&mut daemon, &socket, &[]);
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(Client::on(waiting).ask("GET", "/", "", "").unwrap().body, "one");
}

#[test]
fn port_0_stays_one_port_while_the_listener_stands() {
    let origin = Origin::named("one");
    let daemon = Daemon::start(&to_endpoints(&[origin.address]));
    let address = daemon.web();
    assert_ne!(address.port(), 0);
    daemon.done(&["route", "set", "all", "match.path=/"]);
    daemon.done(&["listener", "set", "web", "timeouts.idle=30s"]);
    assert_eq!(daemon.web(), address);
    let exported = daemon.done(&["export"]);
    assert!(exported.contains("127.0.0.1:0"), "the text says what was asked for:\n{exported}");
    daemon.done(&["listener", "set", "second", "--new", "address=127.0.0.1:0", "protocol=http"]);
    assert_ne!(daemon.bound("second"), address);
    daemon.done(&["listener", "delete", "second"]);
    wait_until("only one is left", || daemon.status()["listeners"].as_array().map(Vec::len) == Some(1));
}
