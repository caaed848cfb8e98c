// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens of somebody else's making: joserfc signs with every algorithm, publishes its keys and is asked about tokens.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::support::client::Client;
use super::support::daemon::{Daemon, to_endpoints};
use super::support::origin::Origin;

/// As in `issuer.py`.
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The Python in which tests/run has installed joserfc. None, said aloud, where it is not; a failure in CI.
fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python3");
    if Command::new(&python).args(["-c", "import joserfc"]).status().is_ok_and(|status| status.success()) {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "joserfc is not installed, and in CI nothing may be missing");
    eprintln!("SKIPPED: joserfc is not installed (python3 -m venv target/python, then pip install joserfc in it)");
    None
}

/// The issuer, on a free port.
struct Issuer {
    address: SocketAddr,
    child: Child,
}

impl Issuer {
    fn start(python: &Path) -> Self {
        let mut command = Command::new(python);
        command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outer/data/issuer.py"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().unwrap_or_else(|_| panic!("the issuer says {line:?} and no port"));
        Self { address: ([127, 0, 0, 1], port).into(), child }
    }

    fn token(&self, alg: &str, aud: &str, life: i64) -> String {
        let path = format!("/token?alg={alg}&sub=ana&aud={aud}&life={life}");
        Client::connect(self.address).unwrap().ask("GET", &path, "", "").unwrap().body
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

const PUBLIC: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

#[test]
fn tokens_of_another_implementation_hold_with_every_algorithm() {
    let Some(python) = python() else { return };
    let (issuer, origin) = (Issuer::start(&python), Origin::named("one"));
    let at = issuer.address;
    let route = |name: &str, policy: &str| {
        format!("[routes.{name}]\nmatch = {{ path = \"/{name}\" }}\nupstream = \"shop\"\npolicies = [{{ {policy} }}]\n")
    };
    let daemon = Daemon::start(&format!(
        "{}{}{}{}",
        to_endpoints(&[origin.address]),
        route(
            "jwt",
            &format!("jwt = {{ jwks_url = \"http://{at}/keys\", issuer = \"https://id\", audience = [\"api\"] }}")
        ),
        route("hmac", &format!("jwt = {{ secret = \"{SECRET}\", algorithms = [\"HS256\", \"HS384\", \"HS512\"] }}")),
        route(
            "asked",
            &format!(
                "oauth2 = {{ introspection_url = \"http://{at}/introspect\", client_id = \"w\", client_secret = \"s\" }}"
            )
        ),
    ));
    let mut client = Client::connect(daemon.web()).unwrap();
    let mut check = |row: &str, path: &str, token: &str, status: u16| {
        let reply = client.ask("GET", path, &format!("Authorization: Bearer {token}\r\n"), "").unwrap();
        assert_eq!(reply.status, status, "row {row} on {path}: {}", reply.body);
    };
    for alg in PUBLIC {
        let token = issuer.token(alg, "api", 300);
        check(alg, "/jwt", &token, 200);
        check(alg, "/asked", &token, 200);
        check(alg, "/hmac", &token, 401);
        check("of another audience", "/jwt", &issuer.token(alg, "other", 300), 401);
        check("expired", "/jwt", &issuer.token(alg, "api", -61), 401);
        check("expired", "/asked", &issuer.token(alg, "api", -61), 401);
        let cut = &token[..token.len() - 2];
        check("cut", "/jwt", cut, 401);
        check("cut", "/asked", cut, 401);
    }
    for alg in ["HS256", "HS384", "HS512"] {
        let token = issuer.token(alg, "api", 300);
        check(alg, "/hmac", &token, 200);
        check(alg, "/jwt", &token, 401);
        check(alg, "/asked", &token, 401);
    }
    let shown = daemon.done(&["export"]);
    assert!(!shown.contains(SECRET), "a secret is printed: {shown}");
    let issuers = &daemon.json(&["status"])["issuers"];
    let keys: Vec<&str> = issuers[0]["keys"].as_array().unwrap().iter().filter_map(|key| key["kid"].as_str()).collect();
    assert_eq!(keys, ["rsa", "p256", "p384", "ed"], "{issuers}");
    assert_eq!(issuers[0]["skipped"].as_array().map(Vec::len), Some(2), "P-521 and the key for encryption: {issuers}");
}
