// SPDX-License-Identifier: MIT OR Apache-2.0
//! An endpoint that can be killed, hung, made to reset and started again while it is under load. It answers every
//! request with 200 and counts how often each path of a POST reached it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{PATIENCE, find};
use crate::support::origin::OK;

/// What a service does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Answer,
    /// Takes it and says nothing.
    Hang,
    /// Takes it and closes with a reset.
    Reset,
    /// Answers and closes.
    Close,
}

const MOODS: [Mood; 4] = [Mood::Answer, Mood::Hang, Mood::Reset, Mood::Close];

/// The endpoint.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    mood: AtomicU8,
    /// Counts the lives; a thread of an earlier one ends.
    life: AtomicUsize,
    /// Those that are served now, by number.
    streams: Mutex<HashMap<usize, TcpStream>>,
    accepted: AtomicUsize,
    requests: AtomicUsize,
    posts: Mutex<HashMap<String, usize>>,
}

impl Service {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let service = Self { address, shared: Arc::default(), accepting: Mutex::default() };
        service.accept(listener);
        service
    }

    fn accept(&self, listener: TcpListener) {
        let (shared, life) = (Arc::clone(&self.shared), self.shared.life.load(Ordering::SeqCst));
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                if shared.life.load(Ordering::SeqCst) != life {
                    return;
                }
                stream.set_nodelay(true).expect("a TCP socket");
                stream.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
                let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
                let clone = stream.try_clone().expect("a socket");
                shared.streams.lock().expect("no panic holds it").insert(number, clone);
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    serve(&mut stream, &shared, life);
                    // The last of the two to be dropped closes the connection.
                    shared.streams.lock().expect("no panic holds it").remove(&number);
                });
            }
        });
        *self.accepting.lock().expect("no panic holds it") = Some(accepting);
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.shared.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How often each POST came.
    pub(crate) fn posts(&self) -> HashMap<String, usize> {
        self.shared.posts.lock().expect("no panic holds it").clone()
    }

    /// Ends it as the kernel ends a process: nothing listens, and its connections are closed.
    pub(crate) fn kill(&self) {
        self.shared.life.fetch_add(1, Ordering::SeqCst);
        // Wakes the accepting thread, which drops the listening socket.
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
        if let Some(accepting) = self.accepting.lock().expect("no panic holds it").take() {
            accepting.join().expect("it does not panic");
        }
        for (_, stream) in self.shared.streams.lock().expect("no panic holds it").drain() {
            // One that the other side has closed already cannot be closed again.
            _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Starts it again at the same address.
    pub(crate) fn restart(&self) {
        let listener = TcpListener::bind(self.address).expect("the port is still ours");
        self.accept(listener);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

fn serve(stream: &mut TcpStream, shared: &Shared, life: usize) {
    let mut buffer = Vec::new();
    while let Some(path) = request(stream, &mut buffer) {
        if shared.life.load(Ordering::SeqCst) != life {
            return;
        }
        shared.requests.fetch_add(1, Ordering::SeqCst);
        if let Some(path) = path {
            *shared.posts.lock().expect("no panic holds it").entry(path).or_default() += 1;
        }
        let mood = MOODS[usize::from(shared.mood.load(Ordering::SeqCst))];
        match mood {
            Mood::Answer | Mood::Close => {
                if stream.write_all(OK.as_bytes()).is_err() || mood == Mood::Close {
                    return;
                }
            }
            Mood::Reset => {
                socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).expect("a TCP socket");
                return;
            }
            Mood::Hang => {}
        }
    }
}

/// Reads a request; its path if it is a POST. Bodies are five bytes.
#[expect(clippy::option_option, reason = "the end, or a request that is or is not a POST")]
fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Option<String>> {
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let body = if head.starts_with("POST ") { 5 } else { 0 };
            if buffer.len() >= end + 4 + body {
                buffer.drain(..end + 4 + body);
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                return Some((body > 0).then_some(path));
            }
        }
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => buffer.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
}
