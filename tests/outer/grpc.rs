// SPDX-License-Identifier: MIT OR Apache-2.0
//! gRPC as grpcio speaks it: every kind of call, errors, deadlines and metadata through an h2c upstream, behind a listener
//! with TLS and one without.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::example::certificate;
use super::support::daemon::Daemon;
use super::support::output_of;

/// The Python in which tests/run has installed grpcio. None, said aloud, where it is not; a failure in CI.
fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python3");
    if Command::new(&python).args(["-c", "import grpc"]).status().is_ok_and(|status| status.success()) {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "grpcio is not installed, and in CI nothing may be missing");
    eprintln!("SKIPPED: grpcio is not installed (python3 -m venv target/python, then pip install grpcio in it)");
    None
}

fn calls(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outer/data/grpc_calls.py"));
    // It must not take somebody's proxy for 127.0.0.1.
    command.env("no_proxy", "127.0.0.1,localhost").env_remove("GRPC_PROXY").env_remove("http_proxy");
    command
}

/// The service, on a free port.
struct Service {
    address: SocketAddr,
    child: Child,
}

impl Service {
    fn start(python: &Path) -> Self {
        let mut command = calls(python);
        command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().unwrap_or_else(|_| panic!("the service says {line:?} and no port"));
        Self { address: ([127, 0, 0, 1], port).into(), child }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn every_kind_of_call_passes() {
    let Some(python) = python() else { return };
    let service = Service::start(&python);
    let mut daemon = Daemon::prepared(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\nprotocol = \"https\"\ncertificates = [\"site\"]\n\
         [listeners.plain]\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\n\
         [certificates.site]\nchain = \"site.pem\"\nkey = \"site.key\"\n\
         [upstreams.service]\nprotocol = \"h2c\"\nendpoints = [{{ address = \"{}\" }}]\n[routes.all]\nupstream = \"service\"\n",
        service.address
    ));
    if !certificate(daemon.home.path(), "site", "DNS:site.test") {
        return;
    }
    daemon.launch(daemon.command().arg("--apply").arg(daemon.path("gate.toml")));
    let secure = daemon.web().to_string();
    let plain = daemon.bound("plain").to_string();
    let authorities = daemon.path("site.pem");
    let rows: [&[&str]; 2] = [&[&plain], &[&secure, authorities.to_str().unwrap(), "site.test"]];
    for row in rows {
        let said = output_of(calls(&python).arg("call").args(row));
        assert!(said.contains("all calls are right"), "row {row:?}: {said}");
    }
    daemon.stop();
}
