// SPDX-License-Identifier: MIT OR Apache-2.0
//! An endpoint on a thread: it answers every request with its own name and keeps the connection. `/slow` waits until the
//! test lets go, `/healthz` fails when the test says so.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// An endpoint.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    live: Arc<Live>,
}

struct Live {
    name: String,
    is_sick: AtomicBool,
    requests: AtomicUsize,
    waiting: AtomicUsize,
    is_released: Mutex<bool>,
    release: Condvar,
}

impl Origin {
    /// An endpoint that answers with `name`.
    pub(crate) fn named(name: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let live = Arc::new(Live {
            name: name.to_owned(),
            is_sick: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            is_released: Mutex::new(false),
            release: Condvar::new(),
        });
        let serving = Arc::clone(&live);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let live = Arc::clone(&serving);
                std::thread::spawn(move || live.serve(stream));
            }
        });
        Self { address, live }
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.live.requests.load(Ordering::SeqCst)
    }

    /// Requests that wait at `/slow`.
    pub(crate) fn waiting(&self) -> usize {
        self.live.waiting.load(Ordering::SeqCst)
    }

    /// Lets all requests at `/slow` go on, now and later.
    pub(crate) fn release(&self) {
        *self.live.is_released.lock().unwrap() = true;
        self.live.release.notify_all();
    }

    /// Whether `/healthz` says 500.
    pub(crate) fn set_sick(&self, is_sick: bool) {
        self.live.is_sick.store(is_sick, Ordering::SeqCst);
    }
}

impl Live {
    fn serve(&self, stream: TcpStream) {
        stream.set_nodelay(true).ok();
        let Ok(mut writer) = stream.try_clone() else { return };
        let mut reader = BufReader::new(stream);
        while let Some(target) = request(&mut reader) {
            self.requests.fetch_add(1, Ordering::SeqCst);
            if target.starts_with("/slow") {
                self.wait();
            }
            let sick = target.starts_with("/healthz") && self.is_sick.load(Ordering::SeqCst);
            let status = if sick { "500 Sick" } else { "200 OK" };
            let reply = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{}", self.name.len(), self.name);
            if writer.write_all(reply.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut is_released = self.is_released.lock().unwrap();
        while !*is_released {
            is_released = self.release.wait(is_released).unwrap();
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The target of the next request; requests here have no bodies.
fn request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut target = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            return target;
        }
        target = target.or_else(|| line.split(' ').nth(1).map(str::to_owned));
    }
}
