// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection that was upgraded, or opened by CONNECT: bytes pass both ways until both sides are done or nothing passes
//! for too long.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::journey::Journey;
use super::reply::Reply;
use crate::clock::Deadline;
use crate::fault::Fault;
use crate::protocol::client::ClientSide;
use crate::protocol::http1 as codec;

/// Bytes that are on their way in one direction at most.
const BUFFER_BYTES: usize = 16 * 1024;

/// Answers the upgrade and relays until the end.
pub(super) async fn run<B>(mut journey: Box<Journey>, side: Rc<ClientSide>, mut reply: Reply<B>) {
    let Some(tunnel) = reply.tunnel.take() else { return };
    let mut head = Vec::new();
    let status = reply.status;
    codec::reply_line(&mut head, status);
    codec::fields(&mut head, &reply.fields);
    if status == 101 {
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
    let listener = journey.snapshot.listeners.get(&journey.x.client.listener);
    let patience = listener.map_or(IDLE, |listener| listener.tunnel);
    let presence = Rc::clone(&journey.x.client.presence);
    presence.protocol.set(if status == 101 { "websocket" } else { "connect" });
    *presence.endpoint.borrow_mut() = journey.destination();
    let idle = journey.worker.deadlines.guard(patience);
    if let Some(in_flight) = &journey.in_flight {
        idle.join(in_flight.endpoint());
    }
    relay(&mut client, &mut endpoint, &mut journey, &Silence { deadline: idle, patience }).await;
}

/// How long a tunnel may be silent in both directions when its listener is gone.
const IDLE: Duration = Duration::from_secs(3600);

/// The silence that ends a tunnel.
struct Silence {
    deadline: Deadline,
    patience: Duration,
}

/// Relays both ways, and counts the bytes that passed.
async fn relay<A, E>(client: &mut A, endpoint: &mut E, journey: &mut Journey, silence: &Silence)
where
    A: AsyncRead + AsyncWrite + Unpin,
    E: AsyncRead + AsyncWrite + Unpin,
{
    // What passes is seen at once; the journey adds its sums when nobody can look any more.
    let presence = Rc::clone(&journey.x.client.presence);
    let (mut client_read, mut client_write) = tokio::io::split(client);
    let (mut endpoint_read, mut endpoint_write) = tokio::io::split(endpoint);
    let (presence, passed) = (&*presence, &mut *journey);
    let (bytes_in, bytes_out) = (&mut passed.bytes_in, &mut passed.bytes_out);
    let up = |bytes| {
        *bytes_in += bytes;
        presence.took(bytes);
    };
    let down = |bytes| {
        *bytes_out += bytes;
        presence.gave(bytes);
    };
    let passing_up = pump(&mut client_read, &mut endpoint_write, silence, up);
    let passing_down = pump(&mut endpoint_read, &mut client_write, silence, down);
    tokio::select! {
        _both = async { tokio::join!(passing_up, passing_down) } => {}
        () = silence.deadline.expired() => {}
    }
}

/// Passes bytes in one direction and then the end of them.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    silence: &Silence,
    mut count_passed: impl FnMut(u64),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        silence.deadline.reset(silence.patience);
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
        to.flush().await?;
        count_passed(count as u64);
    }
}
