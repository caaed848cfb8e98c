// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams: an endpoint that sends each one back, and clients with one under way each.
//!
//! A client sends its next datagram when the last has come back, so nothing is lost unless the daemon loses it. What is
//! counted is what came back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::runtime::{Builder, LocalOptions};

const DATAGRAM_BYTES: usize = 64;

/// A datagram that has not come back by then is lost.
const LOST_AFTER: Duration = Duration::from_millis(500);

pub async fn serve(listen: SocketAddr) -> Result<(), String> {
    let socket = UdpSocket::bind(listen).await.map_err(|e| format!("cannot listen on {listen}: {e}"))?;
    let mut datagram = vec![0; 65_536];
    loop {
        let Ok((count, from)) = socket.recv_from(&mut datagram).await else { continue };
        // A client that left misses nothing.
        let _sent = socket.send_to(datagram.get(..count).unwrap_or_default(), from).await.is_ok();
    }
}

/// Sends from so many clients; prints the datagrams that came back.
pub fn load(target: SocketAddr, seconds: usize, clients: usize) -> Result<(), String> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.map_err(|e| format!("no runtime: {e}"))?.block_on(async move {
        let until = Instant::now() + Duration::from_secs(seconds as u64);
        let mut conversations = Vec::new();
        for _ in 0..clients {
            let socket = UdpSocket::bind("127.0.0.1:0").await.map_err(|e| format!("no socket: {e}"))?;
            socket.connect(target).await.map_err(|e| format!("cannot connect to {target}: {e}"))?;
            conversations.push(tokio::task::spawn_local(converse(socket, until)));
        }
        let (mut done, mut lost) = (0, 0);
        for conversation in conversations {
            let (came, missed) = conversation.await.map_err(|e| format!("a client failed: {e}"))?;
            done += came;
            lost += missed;
        }
        if lost > done / 1000 {
            return Err(format!("{lost} of {done} datagrams were lost"));
        }
        println!("{done} done");
        Ok(())
    })
}

/// Sends and awaits until then; how many came back and how many did not.
async fn converse(socket: UdpSocket, until: Instant) -> (u64, u64) {
    let mut datagram = [b'x'; DATAGRAM_BYTES];
    let (mut done, mut lost) = (0, 0);
    while Instant::now() < until {
        if socket.send(&datagram).await.is_err() {
            lost += 1;
        }
        match tokio::time::timeout(LOST_AFTER, socket.recv(&mut datagram)).await {
            Ok(Ok(_)) => done += 1,
            _ => lost += 1,
        }
    }
    (done, lost)
}
