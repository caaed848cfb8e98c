// SPDX-License-Identifier: MIT OR Apache-2.0
//! The story of the demo from outside: its printed key, its traffic, its control socket, an edited route, its end.
//!
//! On free ports, so that it can run beside a demo. Everything is waited for by looking, for at most [`PATIENCE`].

use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};
use weirgate_store::model::Kind;
use weirgate_store::wire::{Applied, ChangeRequest, Edit, EndpointHealth, StatusReply};
use weirgate_tui::client::Client;

use super::*;

/// Long enough for a loaded machine and a time of illness.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        let mut looks = interval(LOOK_EVERY);
        while !holds().await {
            looks.tick().await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// The reply to a GET at `http://localhost:port`, whole.
async fn get(base: &str, path: &str, fields: &str) -> String {
    let address = base.trim_start_matches("http://").replace("localhost", "127.0.0.1");
    let mut stream = TcpStream::connect(address).await.expect("the gateway listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.expect("the gateway reads");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.expect("the gateway answers");
    reply
}

async fn every_route_is_asked(control: &Client) -> bool {
    let metrics = control.text("/v1/metrics").await.expect("it answers");
    let asked = |route: &str| {
        let label = format!("route=\"{route}\"");
        let lines =
            metrics.lines().filter(|line| line.starts_with("weirgate_route_requests_total") && line.contains(&label));
        lines.filter_map(|line| line.rsplit(' ').next()).any(|count| count != "0")
    };
    ["orders", "order", "catalog", "site"].into_iter().all(asked)
}

async fn every_endpoint_is_up(control: &Client) -> bool {
    let status: StatusReply = control.get("/v1/status").await.expect("it answers");
    assert_eq!(status.upstreams.len(), 3);
    let mut endpoints = status.upstreams.iter().flat_map(|upstream| &upstream.endpoints);
    endpoints.all(|endpoint| endpoint.health == EndpointHealth::Up)
}

#[test]
fn the_demo_does_what_it_prints() {
    control_runtime().expect("a runtime").block_on(async {
        let demo = Demo::start(Ports::Free).await.expect("it starts");
        let (base, key) = (demo.welcome.http.clone(), format!("X-Api-Key: {}\r\n", demo.welcome.key));
        let directory = demo.directory.path().to_owned();
        let written = std::fs::read_to_string(directory.join(WELCOME_FILE)).expect("it is there");
        assert!(written.contains(&base) && written.contains(&demo.welcome.key), "{written}");

        let control = Client::new(demo.socket());
        wait_until("every route is asked", async || every_route_is_asked(&control).await).await;
        wait_until("every endpoint is up", async || every_endpoint_is_up(&control).await).await;
        // One order in a hundred fails on purpose.
        wait_until("200 with the key", async || get(&base, "/orders/17", &key).await.starts_with("HTTP/1.1 200")).await;
        let without = get(&base, "/orders/17", "").await;
        assert!(without.starts_with("HTTP/1.1 401"), "{without}");

        let before = get(&base, "/", "").await;
        assert!(before.contains("served by pages-1"), "{before}");
        let patch = json!({ "upstream": "catalog" });
        let edit = Edit::Merge { kind: Kind::Route, name: "site".to_owned(), patch };
        let change = ChangeRequest { edits: vec![edit], ..ChangeRequest::default() };
        let applied: Applied = control.send(Method::POST, "/v1/change", Some(&change)).await.expect("a right edit");
        assert!(applied.changed);
        let after = get(&base, "/", "").await;
        assert!(after.contains("\"served_by\":\"catalog-"), "{after}");

        demo.stop().await.expect("it stops");
        assert!(!directory.exists(), "{} is left", directory.display());
        assert!(TcpStream::connect(base.trim_start_matches("http://")).await.is_err(), "something still listens");
    });
}
