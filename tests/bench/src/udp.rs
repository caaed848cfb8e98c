// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams: an endpoint that sends each one back, and clients with one under way each.
//!
//! A client sends its next datagram when the last has come back, so nothing is lost unless the daemon loses it. What is
//! counted is what came back.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

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
        let (done, lost) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(0_u64)));
        for _ in 0..clients {
            let socket = UdpSocket::bind("127.0.0.1:0").await.map_err(|e| format!("no socket: {e}"))?;
            socket.connect(target).await.map_err(|e| format!("cannot connect to {target}: {e}"))?;
            tokio::task::spawn_local(converse(socket, Rc::clone(&done), Rc::clone(&lost)));
        }
        tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
        if lost.get() > done.get() / 1000 {
            return Err(format!("{} of {} datagrams were lost", lost.get(), done.get()));
        }
        println!("{} done", done.get());
        Ok(())
    })
}

async fn converse(socket: UdpSocket, done: Rc<Cell<u64>>, lost: Rc<Cell<u64>>) {
    let mut datagram = [b'x'; DATAGRAM_BYTES];
    loop {
        if socket.send(&datagram).await.is_err() {
            lost.set(lost.get() + 1);
        }
        match tokio::time::timeout(LOST_AFTER, socket.recv(&mut datagram)).await {
            Ok(Ok(_)) => done.set(done.get() + 1),
            _ => lost.set(lost.get() + 1),
        }
    }
}
