// SPDX-License-Identifier: MIT OR Apache-2.0
//! How an upstream speaks to its endpoints, right and wrong: each row says what is reported and where.

use crate::parse::parse_and_check;
use crate::wire::ProblemCode::{self, BadValue, Conflict, Dangling};

/// What all rows stand on.
const BASE: &str = "[upstreams.u]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n[routes.base]\nupstream = \"u\"\n";

#[test]
fn transports() {
    let row = |text: &str| {
        format!(
            "[upstreams.t]\nendpoints = [{{ address = \"127.0.0.1:1\" }}]\n{text}[routes.t]\nupstream = \"t\"\nmatch = {{ path = \"/t\" }}\n"
        )
    };
    let check = |text: &str, want: &[(ProblemCode, &str)]| {
        let found = parse_and_check(&format!("{BASE}{}", row(text))).err().unwrap_or_default();
        let seen: Vec<_> = found.iter().map(|p| (p.code, p.path.as_str())).collect();
        assert_eq!(seen, want, "row {text:?}\n{found:#?}");
    };
    check("tls = { server_name = \"a\" }\n", &[(Conflict, "upstreams.t.tls")]);
    check("protocol = \"h2c\"\ntls = { verify = \"none\" }\n", &[(Conflict, "upstreams.t.tls")]);
    check("protocol = \"https\"\ntls = { server_name = \"a b\" }\n", &[(BadValue, "upstreams.t.tls.server_name")]);
    check("protocol = \"https\"\ntls = { ca = \" \" }\n", &[(BadValue, "upstreams.t.tls.ca")]);
    check("protocol = \"h2\"\ntls = { certificate = \"c\" }\n", &[(Dangling, "upstreams.t.tls.certificate")]);
    let pin = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    check(&format!("protocol = \"h2\"\ntls = {{ pins = [\"{pin}\"] }}\n"), &[]);
    for bad in ["", "x", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=", &format!("{pin}="), &pin.replace('+', "-")] {
        let text = format!("protocol = \"h2\"\ntls = {{ pins = [\"{pin}\", \"{bad}\"] }}\n");
        check(&text, &[(BadValue, "upstreams.t.tls.pins[1]")]);
    }
    check("pool = { idle = 10001 }\n", &[(BadValue, "upstreams.t.pool.idle")]);
    check("pool = { idle = 2, warm = 3 }\n", &[(Conflict, "upstreams.t.pool.warm")]);
    check("pool = { warm = 1 }\nproxy_protocol = \"v2\"\n", &[(Conflict, "upstreams.t.pool.warm")]);
    check("protocol = \"h2c\"\n[routes.c]\nupstream = \"t\"\nconnect = true\n", &[(Conflict, "routes.c.connect")]);
    check("protocol = \"https\"\n[routes.c]\nupstream = \"t\"\nconnect = true\nmatch = { path = \"/c\" }\n", &[]);
    for (text, path) in [
        ("tls = { verify = \"none\" }\n", "upstreams.t.tls.verify"),
        ("tls = { verify = \"none\", ca = \"a.pem\" }\n", "upstreams.t.tls.verify"),
    ] {
        let (_, found) =
            parse_and_check(&format!("{BASE}{}", row(&format!("protocol = \"https\"\n{text}")))).expect("allowed");
        assert_eq!(found.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), [path], "row {text:?}");
    }
}
