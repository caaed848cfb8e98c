// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams of bytes: an endpoint that sends without end what it is asked for, and a client that takes it.
//!
//! Both ends are blocking threads with large buffers, so that the daemon between them is what limits. What is counted
//! is what the client has received. A first byte of `?` is answered by one byte, which is how the driver finds out that
//! a daemon serves.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const PIECE_BYTES: usize = 256 * 1024;

pub async fn serve(listen: SocketAddr) -> Result<(), String> {
    let listener = TcpListener::bind(listen).map_err(|e| format!("cannot listen on {listen}: {e}"))?;
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || feed(stream));
    }
    Ok(())
}

/// Sends until the other side is gone.
fn feed(mut stream: TcpStream) {
    let mut first = [0];
    if stream.read_exact(&mut first).is_err() {
        return;
    }
    if first == *b"?" {
        // The driver only looks whether somebody is there.
        let _looked_on = stream.write_all(b"!").is_ok();
        return;
    }
    let piece = vec![b'x'; PIECE_BYTES];
    while stream.write_all(&piece).is_ok() {}
}

/// Takes as much as comes over so many streams; prints the MiB.
pub fn load(target: SocketAddr, seconds: usize, streams: usize) -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(seconds as u64);
    let mut takers = Vec::new();
    for _ in 0..streams {
        let mut stream = TcpStream::connect(target).map_err(|e| format!("cannot connect to {target}: {e}"))?;
        stream.write_all(b">").map_err(|e| format!("cannot write: {e}"))?;
        takers.push(std::thread::spawn(move || take(stream, until)));
    }
    let mut bytes = 0;
    for taker in takers {
        bytes += taker.join().map_err(|_| "a stream panicked".to_owned())??;
    }
    println!("{} done", bytes >> 20);
    Ok(())
}

/// Takes what comes until then; the bytes.
fn take(mut stream: TcpStream, until: Instant) -> Result<u64, String> {
    let (mut piece, mut bytes) = (vec![0; PIECE_BYTES], 0);
    while Instant::now() < until {
        match stream.read(&mut piece) {
            Ok(0) => return Err("a stream ended".to_owned()),
            Ok(count) => bytes += count as u64,
            Err(error) => return Err(format!("a stream broke: {error}")),
        };
    }
    Ok(bytes)
}
