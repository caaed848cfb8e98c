// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client connection whose bytes are passed on as they are: TCP, and TLS that stays closed.
//!
//! Where it goes is decided once, by the listener or by the first message of a TLS client. From then on `relay` moves
//! bytes both ways until both sides are done. Nothing is read into, nothing is added but a PROXY header for an endpoint
//! that wants one.

mod pipes;

mod relay;

pub use pipes::Pipes;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use weirgate_store::model::ListenerProtocol;

use super::greeting;
use super::passage::{self, Passage};
use super::worker::{LocalSnapshot, Worker};
use crate::clock::{self, Deadline};
use crate::config::snapshot::{Listener, Upstream};
use crate::exchange::Presence;
use crate::fault::Fault;
use crate::observe::Stage;
use crate::protocol::proxy_header;
use crate::upstream::connect::{ConnectError, connect};
use crate::upstream::endpoint::Endpoint;

/// The alert `unrecognized_name` (RFC 6066 section 3), fatal: all that a client we have no place for is told.
const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];

/// Serves one connection to its end.
pub(super) async fn serve(
    worker: Rc<Worker>,
    snapshot: LocalSnapshot,
    listener: Arc<Listener>,
    presence: Rc<Presence>,
    client: TcpStream,
) {
    let mut passage = Passage::new(worker, listener, presence);
    // Until it is over, this is how a shutdown finds it.
    passage.fault = Some(Fault::Draining);
    passage.fault = travel(&mut passage, snapshot, client).await.err();
}

async fn travel(passage: &mut Passage, snapshot: LocalSnapshot, mut client: TcpStream) -> Result<(), Fault> {
    let deadline = passage.worker.deadlines.guard(passage.listener.handshake);
    let local = local_address(passage, &client, &deadline).await?;
    let (upstream, early) = match passage.listener.protocol {
        ListenerProtocol::Tls => by_first_message(passage, &mut client, &deadline).await?,
        ListenerProtocol::Http | ListenerProtocol::Https | ListenerProtocol::Tcp | ListenerProtocol::Udp => {
            passage.because = "as the listener leads there";
            (passage.listener.lead.upstream, Vec::new())
        }
    };
    drop(deadline);
    let upstream = snapshot.upstreams.get(upstream.unwrap_or(u32::MAX) as usize).cloned();
    // A tunnel may live for days: it must not hold a whole configuration that nobody else uses any more.
    drop(snapshot);
    let upstream = upstream.ok_or(Fault::Internal("a listener that leads nowhere"))?;
    let (mut server, endpoint) = reach(passage, upstream.clone()).await?;
    greet(passage, &upstream, &endpoint, &mut server, local, &early).await?;
    drop(early);
    relay::run(passage, &client, &server, &endpoint.name).await
}

/// The address that the client connected to. Reads the PROXY header of a listener that demands one.
async fn local_address(passage: &Passage, client: &TcpStream, deadline: &Deadline) -> Result<SocketAddr, Fault> {
    let mut said = None;
    if passage.listener.proxy_protocol {
        said = greeting::proxy_header(&passage.listener, client, &passage.presence, deadline).await?;
    }
    match said {
        Some(destination) => Ok(destination),
        None => client.local_addr().map_err(|_| Fault::ClientClosed),
    }
}

/// Where a TLS client goes by what it says first, and the bytes in which it said it.
async fn by_first_message(
    passage: &mut Passage,
    client: &mut TcpStream,
    deadline: &Deadline,
) -> Result<(Option<u32>, Vec<u8>), Fault> {
    let (hello, bytes) = greeting::client_hello(client, deadline, passage.listener.handshake).await?;
    passage.presence.took(bytes.len() as u64);
    let found = passage.listener.lead.find(hello.server_name.as_deref(), &hello.protocols);
    passage.server_name = hello.server_name;
    let Some((upstream, because)) = found else {
        let name = passage.server_name.as_deref().map(|name| format!("the server name \"{name}\""));
        // A client that is gone already misses nothing.
        let _told = client.try_write(UNRECOGNIZED_NAME).is_ok_and(|count| count == UNRECOGNIZED_NAME.len());
        return Err(Fault::UnknownName(name.unwrap_or_else(|| "a client that names no server".to_owned())));
    };
    passage.because = because.words();
    Ok((Some(upstream), bytes))
}

/// A connection to an endpoint; another one is tried as the retry rules allow.
async fn reach(passage: &mut Passage, upstream: Arc<Upstream>) -> Result<(TcpStream, Arc<Endpoint>), Fault> {
    let (upstream, memory) = passage.lead_to(upstream);
    loop {
        let endpoint = passage.pick_in_turn(&upstream, &memory).await?;
        let began = clock::now();
        let deadline = passage.worker.deadlines.guard(upstream.connect);
        let failed = match connect(endpoint.address, &deadline).await {
            Ok(stream) => {
                passage.time(Stage::Connect, began);
                passage::reached(&endpoint);
                return Ok((stream, endpoint));
            }
            Err(error) => fault_of(&error, &endpoint, upstream.connect),
        };
        passage.missed(&upstream, &memory, &endpoint, failed)?;
    }
}

fn fault_of(error: &ConnectError, endpoint: &Endpoint, after: Duration) -> Fault {
    let endpoint = Arc::clone(&endpoint.name);
    if matches!(error, ConnectError::TimedOut) {
        Fault::ConnectTimeout { endpoint, after }
    } else {
        Fault::Connect { endpoint, cause: error.to_string() }
    }
}

/// Tells the endpoint what comes before the client's own bytes, and those that were read already.
async fn greet(
    passage: &Passage,
    upstream: &Upstream,
    endpoint: &Endpoint,
    server: &mut TcpStream,
    local: SocketAddr,
    early: &[u8],
) -> Result<(), Fault> {
    let mut bytes = Vec::new();
    if let Some(version) = upstream.proxy_protocol {
        proxy_header::write(&mut bytes, version, passage.presence.client.get(), local);
    }
    bytes.extend_from_slice(early);
    if bytes.is_empty() {
        return Ok(());
    }
    // A fresh connection has room for this: only an endpoint that is gone refuses it.
    server.write_all(&bytes).await.map_err(|_| Fault::EndpointReset { endpoint: Arc::clone(&endpoint.name) })
}

/// Makes the coming close a reset, so that nobody takes what was cut for an end.
fn abort(stream: &TcpStream) {
    let _still_a_close = SockRef::from(stream).set_linger(Some(Duration::ZERO)).is_err();
}
