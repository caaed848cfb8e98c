// SPDX-License-Identifier: MIT OR Apache-2.0
//! What gRPC needs of a proxy: `te: trailers` goes through, trailers come back, an error is trailers alone, a deadline
//! bounds the wait, and a call that streams both ways is neither buffered nor cut.

use bytes::Bytes;

use crate::support::gateway::{Running, WEB};
use crate::support::h2::{Streams, request};
use crate::support::h2_origin::Echo;
use crate::support::wait_until;

fn start(endpoint: &Echo, more: &str) -> Running {
    let address = endpoint.address();
    Running::start(&format!(
        "{WEB}[upstreams.shop]\nprotocol = \"h2c\"\nendpoints = [{{ address = \"{address}\" }}]\n{more}\n[routes.all]\nupstream = \"shop\"\n"
    ))
}

fn call(path: &str, timeout: Option<&str>) -> http::Request<()> {
    let mut call = request("POST", path);
    let headers = call.headers_mut();
    headers.insert("te", "trailers".parse().unwrap());
    headers.insert("content-type", "application/grpc".parse().unwrap());
    if let Some(timeout) = timeout {
        headers.insert("grpc-timeout", timeout.parse().unwrap());
    }
    call
}

#[test]
fn calls_pass_with_their_trailers() {
    let endpoint = Echo::start();
    let gateway = start(&endpoint, "");
    gateway.block_on(async {
        let session = Streams::to(gateway.web()).await;
        let answer = session.ask(call("/echo", Some("5S")), Some((b"\0\0\0\0\x03abc".to_vec(), None))).await.unwrap();
        assert_eq!((answer.body.as_slice(), answer.status()), (&b"\0\0\0\0\x03abc"[..], 200));
        assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
        let answer = session.ask(call("/status", None), Some((Vec::new(), None))).await.unwrap();
        assert_eq!((answer.field("grpc-status"), answer.body.len()), ("7".into(), 0));
    });
    assert_eq!((endpoint.field("te"), endpoint.field("content-type")), ("trailers".into(), "application/grpc".into()));
}

#[test]
fn a_deadline_bounds_the_wait() {
    let endpoint = Echo::start();
    let gateway = start(&endpoint, "");
    let began = weirgate::clock::now();
    gateway.block_on(async {
        let session = Streams::to(gateway.web()).await;
        let answer = session.ask(call("/hold", Some("200m")), Some((Vec::new(), None))).await.unwrap();
        assert_eq!(answer.status(), 504);
    });
    assert!((weirgate::clock::now() - began).as_secs() < 10, "timeouts.response is 30 s");
    wait_until("the endpoint is told", || endpoint.cancelled() == 1);
}

/// Each message is answered before the next one is sent, for longer than timeouts.response in all.
#[test]
fn a_conversation_is_passed_on_as_it_goes() {
    let endpoint = Echo::start();
    let gateway = start(&endpoint, "timeouts = { response = \"300ms\", idle = \"300ms\" }");
    gateway.block_on(async {
        let stream = tokio::net::TcpStream::connect(gateway.web()).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut requests = requests.ready().await.unwrap();
        let (reply, mut send) = requests.send_request(call("/echo", None), false).unwrap();
        let mut body = reply.await.unwrap().into_body();
        let mut pause = tokio::time::interval(std::time::Duration::from_millis(100));
        for turn in 0..10_u8 {
            // The client thinks, and the endpoint is not blamed for it.
            pause.tick().await;
            send.send_data(Bytes::from(vec![turn; 10]), false).unwrap();
            let data = body.data().await.unwrap().unwrap();
            assert_eq!(data.as_ref(), [turn; 10]);
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        send.send_data(Bytes::new(), true).unwrap();
        assert!(body.data().await.is_none());
        assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    });
}

#[test]
fn a_client_that_cancels_cancels_at_the_endpoint() {
    let endpoint = Echo::start();
    let gateway = start(&endpoint, "");
    gateway.block_on(async {
        let stream = tokio::net::TcpStream::connect(gateway.web()).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut requests = requests.ready().await.unwrap();
        let (reply, mut send) = requests.send_request(call("/hold", None), false).unwrap();
        while endpoint.requests() == 0 {
            tokio::task::yield_now().await;
        }
        send.send_reset(h2::Reason::CANCEL);
        drop(reply);
    });
    wait_until("the endpoint is told", || endpoint.cancelled() == 1);
}
