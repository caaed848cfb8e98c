// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS as curl and openssl see it: the certificate by name, the protocol by ALPN, versions, resumption; and HTTP/2 under
//! load by h2load.

use std::process::{Command, Stdio};

use super::example::certificate;
use super::support::daemon::{Daemon, upstream};
use super::support::origin::Origin;
use super::support::{neighbour, number_after, output_of, pause};

/// Requests of one run of h2load.
const REQUESTS: u64 = 10_000;

/// A daemon with two certificates on an https listener.
fn appliance(origin: &Origin) -> Option<Daemon> {
    let mut daemon = Daemon::prepared(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\nprotocol = \"https\"\ncertificates = [\"first\", \"second\"]\n\
         [listeners.plain]\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\n\
         [certificates.first]\nchain = \"first.pem\"\nkey = \"first.key\"\n\
         [certificates.second]\nchain = \"second.pem\"\nkey = \"second.key\"\n{}[routes.all]\nupstream = \"shop\"\n",
        upstream("shop", &[origin.address])
    ));
    let made = certificate(daemon.home.path(), "first", "DNS:first.test,DNS:*.first.test")
        && certificate(daemon.home.path(), "second", "DNS:second.test");
    made.then(|| {
        daemon.launch(daemon.command().arg("--apply").arg(daemon.path("gate.toml")));
        daemon
    })
}

/// What openssl says about one handshake.
fn handshake(daemon: &Daemon, arguments: &[&str]) -> String {
    let mut command = Command::new(neighbour("openssl").expect("it made the certificates"));
    command.args(["s_client", "-connect", &daemon.web().to_string()]).args(arguments).stdin(Stdio::null());
    let output = command.current_dir(daemon.home.path()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn name_protocol_and_version_are_agreed() {
    let origin = Origin::named("one");
    let Some(daemon) = appliance(&origin) else { return };
    let rows: &[(&[&str], &[&str])] = &[
        (&["-servername", "first.test"], &["CN = first"]),
        (&["-servername", "a.first.test"], &["CN = first"]),
        (&["-servername", "second.test"], &["CN = second"]),
        (&["-servername", "other.test"], &["CN = first"]),
        (&["-noservername"], &["CN = first"]),
        (&["-alpn", "h2,http/1.1"], &["ALPN protocol: h2"]),
        (&["-alpn", "http/1.1"], &["ALPN protocol: http/1.1"]),
        (&["-tls1_3"], &["TLSv1.3"]),
        (&["-tls1_2"], &["TLSv1.2", "Secure Renegotiation IS supported"]),
        (&["-tls1_1", "-cipher", "ALL@SECLEVEL=0"], &["Cipher is (NONE)"]),
    ];
    for (arguments, wanted) in rows {
        let said = handshake(&daemon, arguments);
        let plain = said.replace("CN=", "CN = ");
        assert!(wanted.iter().all(|one| plain.contains(one)), "row {arguments:?}: no {wanted:?} in:\n{said}");
    }
    assert_eq!(daemon.status()["role"], "admin", "it is well after all of that");
}

#[test]
fn a_connection_is_resumed() {
    let origin = Origin::named("one");
    let Some(daemon) = appliance(&origin) else { return };
    for version in ["-tls1_2", "-tls1_3"] {
        // A ticket of TLS 1.3 comes after the handshake: the client must stay until it has one.
        let mut first = Command::new(neighbour("openssl").expect("it is there"));
        first.args(["s_client", "-connect", &daemon.web().to_string(), version, "-sess_out", "session"]);
        first.current_dir(daemon.home.path()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut first = first.spawn().unwrap();
        super::support::wait_until("the session is written", || {
            let size = std::fs::metadata(daemon.path("session")).map(|about| about.len());
            size.is_ok_and(|size| size > 0)
        });
        pause(std::time::Duration::from_millis(50));
        drop(first.stdin.take());
        first.wait().unwrap();
        let said = handshake(&daemon, &[version, "-sess_in", "session"]);
        assert!(said.contains("Reused, TLSv1"), "row {version}: {said}");
        std::fs::remove_file(daemon.path("session")).unwrap();
    }
}

#[test]
fn curl_speaks_every_protocol() {
    let Some(curl) = neighbour("curl") else { return };
    let origin = Origin::named("one");
    let Some(daemon) = appliance(&origin) else { return };
    let port = daemon.web().port();
    let secure = format!("https://first.test:{port}/");
    let plain = format!("http://{}/", daemon.bound("plain"));
    let rows: &[(&[&str], &str, &str)] = &[
        (&["--http1.1"], &secure, "one 1.1 200"),
        (&["--http2"], &secure, "one 2 200"),
        (&["--tls-max", "1.2"], &secure, "one 2 200"),
        (&["--http1.1"], &plain, "one 1.1 200"),
        (&["--http2-prior-knowledge"], &plain, "one 2 200"),
        (&["--http1.0"], &plain, "one 1.1 200"),
    ];
    for (arguments, url, wanted) in rows {
        let mut command = Command::new(&curl);
        command.args(["-sS", "--noproxy", "*", "--cacert"]).arg(daemon.path("first.pem"));
        command.args(["--resolve", &format!("first.test:{port}:127.0.0.1"), "-w", " %{http_version} %{http_code}"]);
        assert_eq!(output_of(command.args(*arguments).arg(url)), *wanted, "row {arguments:?} {url}");
    }
}

#[test]
fn http2_takes_ten_thousand_requests_without_an_error() {
    let Some(h2load) = neighbour("h2load") else { return };
    let origin = Origin::named("one");
    let Some(daemon) = appliance(&origin) else { return };
    for url in [format!("https://{}/", daemon.web()), format!("http://{}/", daemon.bound("plain"))] {
        let mut command = Command::new(&h2load);
        let said = output_of(command.args(["-n", &REQUESTS.to_string(), "-c", "4", "-m", "20", &url]));
        assert_eq!(number_after(&said, "status codes:"), REQUESTS, "row {url}: {said}");
        assert!(said.contains("0 failed, 0 errored, 0 timeout"), "row {url}: {said}");
    }
    let Some(nghttp) = neighbour("nghttp") else { return };
    let said = output_of(Command::new(nghttp).args(["-v", "--no-dep", &format!("https://{}/", daemon.web())]));
    assert!(said.contains(":status: 200") && said.contains("END_STREAM"), "{said}");
}

#[test]
fn what_is_passed_on_unopened_is_opened_by_the_endpoint_alone() {
    let origin = Origin::named("one");
    let inside = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let mut daemon = Daemon::prepared(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\nprotocol = \"tls\"\nsni = {{ \"*.first.test\" = \"inside\" }}\n\
         [listeners.inside]\naddress = \"{inside}\"\nprotocol = \"https\"\ncertificates = [\"first\"]\n\
         [certificates.first]\nchain = \"first.pem\"\nkey = \"first.key\"\n{}{}[routes.all]\nupstream = \"shop\"\n",
        upstream("shop", &[origin.address]),
        upstream("inside", &[inside])
    ));
    if !certificate(daemon.home.path(), "first", "DNS:*.first.test") {
        return;
    }
    daemon.launch(daemon.command().arg("--apply").arg(daemon.path("gate.toml")));
    for (arguments, wanted) in [
        (&["-servername", "a.first.test", "-alpn", "h2"][..], &["CN = first", "ALPN protocol: h2"][..]),
        (&["-servername", "a.first.test", "-tls1_2"], &["CN = first", "TLSv1.2"]),
        (&["-servername", "other.test"], &["unrecognized name"]),
        (&["-noservername"], &["unrecognized name"]),
    ] {
        let said = handshake(&daemon, arguments).replace("CN=", "CN = ");
        assert!(wanted.iter().all(|one| said.contains(one)), "row {arguments:?}: no {wanted:?} in:\n{said}");
    }
    daemon.stop();
}
