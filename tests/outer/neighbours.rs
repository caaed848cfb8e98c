// SPDX-License-Identifier: MIT OR Apache-2.0
//! nginx as endpoint and wrk as client: connections to the endpoint are kept, and nothing fails under full load.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::support::client::get;
use super::support::daemon::{Daemon, to_endpoints};
use super::support::{neighbour, number_after, output_of, wait_until};

/// An nginx on a free port that answers `nginx` and counts its connections at `/stub`.
struct Nginx {
    address: SocketAddr,
    child: Child,
    _home: tempfile::TempDir,
}

impl Nginx {
    fn start() -> Option<Self> {
        let program = neighbour("nginx")?;
        let home = tempfile::tempdir().unwrap();
        let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let directory = home.path().display();
        let text = format!(
            "daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;\n\
             fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;\n\
             server {{ listen {address}; keepalive_requests 1000000;\n\
             location / {{ return 200 nginx; }} location /stub {{ stub_status; }} }} }}\n"
        );
        fs::write(home.path().join("nginx.conf"), text).unwrap();
        let mut command = Command::new(program);
        command.arg("-p").arg(home.path()).arg("-c").arg(home.path().join("nginx.conf")).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        wait_until("nginx listens", || TcpStream::connect(address).is_ok());
        Some(Self { address, child, _home: home })
    }

    /// Connections accepted so far.
    fn accepted(&self) -> u64 {
        number_after(&get(self.address, "/stub").unwrap().body, "requests")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn connections_to_the_endpoint_are_kept_under_load() {
    let Some(wrk) = neighbour("wrk") else { return };
    let Some(nginx) = Nginx::start() else { return };
    let mut daemon = Daemon::start(&to_endpoints(&[nginx.address]));
    assert_eq!(get(daemon.web(), "/").unwrap().body, "nginx");
    let before = nginx.accepted();
    let said = output_of(Command::new(wrk).args(["-t1", "-c16", "-d3", &format!("http://{}/", daemon.web())]));
    let requests = number_after(said.split("Distribution").last().unwrap(), "\n");
    assert!(!said.contains("Non-2xx") && !said.contains("Socket errors"), "{said}");
    let opened = nginx.accepted() - before;
    assert!(opened <= 40, "{opened} connections for {requests} requests: {said}");
    daemon.stop();
}
