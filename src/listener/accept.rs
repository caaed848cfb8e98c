// SPDX-License-Identifier: MIT OR Apache-2.0
//! The accept loop of one worker on one socket.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// How long to wait after the system ran out of descriptors or memory, so that accepting does not spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `stop` is notified. `on_connection` must return at once; it spawns what serves the connection.
pub async fn accept(socket: TcpListener, stop: Rc<Notify>, on_connection: impl Fn(TcpStream, SocketAddr)) {
    let stopped = stop.notified();
    tokio::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopped => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, %peer, "a connection died before it was accepted");
                    continue;
                }
                on_connection(stream, peer);
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

/// A connection that died in the queue is nobody's trouble; anything else (EMFILE, ENFILE, ENOBUFS, ENOMEM) lasts.
async fn pause_after(error: &io::Error) {
    let died = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted];
    if died.contains(&error.kind()) {
        return;
    }
    tracing::warn!(%error, "accepting connections fails: the system is out of descriptors or memory; raise LimitNOFILE");
    tokio::time::sleep(EXHAUSTED_PAUSE).await;
}
