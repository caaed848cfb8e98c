// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection that was upgraded, or opened by CONNECT: bytes pass both ways until both sides are done or nothing passes for too long.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::journey::Journey;
use super::reply::Reply;
use crate::clock::Deadlines;
use crate::fault::Fault;
use crate::protocol::client::ClientSide;
use crate::protocol::http1 as codec;

/// How long a tunnel may be silent in both directions.
const IDLE: Duration = Duration::from_secs(3600);

/// Bytes that are on their way in one direction at most.
const BUFFER_BYTES: usize = 16 * 1024;

/// Answers the upgrade and relays until the end.
pub(super) async fn run<B>(mut journey: Journey, side: Rc<ClientSide>, mut reply: Reply<B>) {
    let Some(tunnel) = reply.tunnel.take() else { return };
    let mut head = Vec::new();
    codec::reply_line(&mut head, reply.status);
    codec::fields(&mut head, &reply.fields);
    if reply.status == 101 {
        head.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    }
    codec::end_head(&mut head);
    let written = side.write_all(&head, &tunnel.leftover).await;
    drop(reply);
    if let Err(fault) = written {
        journey.cut(fault);
        return;
    }
    (journey.bytes_in, journey.bytes_out) = side.take_counts();
    let Some((mut client, early)) = side.into_stream() else {
        journey.cut(Fault::Internal("an upgraded connection is still in use"));
        return;
    };
    let mut endpoint = tunnel.stream;
    if endpoint.write_all(&early).await.is_err() || endpoint.flush().await.is_err() {
        return;
    }
    let deadlines = journey.worker.deadlines.clone();
    let (up, down) = relay(&mut client, &mut endpoint, &deadlines).await;
    journey.bytes_in += up;
    journey.bytes_out += down;
}

/// Relays both ways; the bytes that passed up and down.
async fn relay<A, E>(client: &mut A, endpoint: &mut E, deadlines: &Deadlines) -> (u64, u64)
where
    A: AsyncRead + AsyncWrite + Unpin,
    E: AsyncRead + AsyncWrite + Unpin,
{
    let (mut client_read, mut client_write) = tokio::io::split(client);
    let (mut endpoint_read, mut endpoint_write) = tokio::io::split(endpoint);
    let idle = deadlines.guard(IDLE);
    let (mut up, mut down) = (0, 0);
    {
        let passing_up = pump(&mut client_read, &mut endpoint_write, &idle, &mut up);
        let passing_down = pump(&mut endpoint_read, &mut client_write, &idle, &mut down);
        tokio::select! {
            _both = async { tokio::join!(passing_up, passing_down) } => {}
            () = idle.expired() => {}
        }
    }
    (up, down)
}

/// Passes bytes in one direction and then the end of them.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    idle: &crate::clock::Deadline,
    passed: &mut u64,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        idle.reset(IDLE);
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
        to.flush().await?;
        *passed += count as u64;
    }
}
