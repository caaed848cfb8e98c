// SPDX-License-Identifier: MIT OR Apache-2.0
//! An endpoint for tests that does exactly what a row says, on a port of its own, and nothing else.
//!
//! Each connection follows its own list of steps on a thread; no step sleeps, they wait for bytes or for the other
//! side's close.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Far above what any step takes: a test that hangs fails instead.
const STEP_MAX: Duration = Duration::from_secs(20);

/// What an endpoint does next on one connection. After the last step it closes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Reads until this has come; what was read up to its end is forgotten.
    Await(&'static str),
    /// Writes this at once.
    Say(&'static str),
    /// Writes this byte by byte.
    Drip(&'static str),
    /// Writes so many bytes.
    Flood(usize),
    /// Waits for the other side to close.
    Hold,
    /// Closes with a reset.
    Reset,
    /// Refuses to go on unless this has not come.
    Never(&'static str),
}

/// Starts an endpoint that serves these connections in order.
pub(super) fn start(connections: &'static [&'static [Step]]) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for steps in connections {
            let Ok((stream, _)) = listener.accept() else { return };
            std::thread::spawn(move || serve(stream, steps));
        }
    });
    address
}

fn serve(mut stream: TcpStream, steps: &[Step]) {
    stream.set_nodelay(true).expect("a TCP socket");
    stream.set_read_timeout(Some(STEP_MAX)).expect("a TCP socket");
    let mut seen = Vec::new();
    for step in steps {
        match *step {
            Step::Await(text) => await_text(&mut stream, &mut seen, text),
            Step::Say(text) => drop(stream.write_all(text.as_bytes())),
            Step::Drip(text) => text.bytes().for_each(|byte| drop(stream.write_all(&[byte]))),
            Step::Flood(len) => drop(stream.write_all(&vec![b'x'; len])),
            Step::Hold => while stream.read(&mut [0; 1024]).is_ok_and(|len| len > 0) {},
            Step::Reset => {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a TCP socket");
            }
            Step::Never(text) => assert!(find(&seen, text).is_none(), "the endpoint was sent {text:?}"),
        }
    }
}

fn await_text(stream: &mut TcpStream, seen: &mut Vec<u8>, text: &str) {
    let mut buf = [0; 16 * 1024];
    loop {
        if let Some(end) = find(seen, text) {
            seen.drain(..end);
            return;
        }
        match stream.read(&mut buf) {
            Ok(len) if len > 0 => seen.extend_from_slice(&buf[..len]),
            other => panic!("the endpoint waits for {text:?}, has {:?}: {other:?}", String::from_utf8_lossy(seen)),
        }
    }
}

fn find(seen: &[u8], text: &str) -> Option<usize> {
    seen.windows(text.len()).position(|window| window == text.as_bytes()).map(|at| at + text.len())
}
