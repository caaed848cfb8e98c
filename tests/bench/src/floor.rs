// SPDX-License-Identifier: MIT OR Apache-2.0
//! The floor: a forwarder that copies bytes and parses nothing, one upstream connection per client connection.
//!
//! Per request it costs two reads, two writes and a share of an epoll wait, on the same runtime the daemon uses. No
//! proxy that reads what it forwards can cost less, so a ratio to it says what the reading costs.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};

/// One read takes at most this much. As large as a daemon's body buffer would be, so that big bodies compare fairly.
const COPY_BYTES: usize = 64 * 1024;

pub async fn serve(listen: SocketAddr, origin: SocketAddr) -> Result<(), String> {
    let listener = TcpListener::bind(listen).await.map_err(|e| format!("cannot listen on {listen}: {e}"))?;
    loop {
        if let Ok((client, _)) = listener.accept().await {
            tokio::task::spawn_local(forward(client, origin));
        }
    }
}

async fn forward(mut client: TcpStream, origin: SocketAddr) {
    let Ok(mut endpoint) = TcpStream::connect(origin).await else { return };
    if client.set_nodelay(true).is_err() || endpoint.set_nodelay(true).is_err() {
        return;
    }
    // An error here is one side leaving: both sockets close as they drop, which is all a blind forwarder can say.
    drop(copy_bidirectional_with_sizes(&mut client, &mut endpoint, COPY_BYTES, COPY_BYTES).await);
}
