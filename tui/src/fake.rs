// SPDX-License-Identifier: MIT OR Apache-2.0
//! A daemon for tests: canned replies on a Unix socket in a temporary directory, one request a connection.
//!
//! It says what it was told to say and remembers what it was asked. It checks nothing; the real API is tested with
//! the daemon.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::client::Client;

/// What the daemon says to requests that begin with `start`, such as `GET /v1/status`.
#[derive(Clone, Debug)]
pub(crate) struct Canned {
    pub(crate) start: String,
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A running fake; it ends when dropped.
pub(crate) struct Fake {
    pub(crate) socket: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Fake {
    /// Starts one; the first row whose start fits answers.
    pub(crate) fn start(rows: &[(&str, u16, String)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let rows: Vec<Canned> = rows
            .iter()
            .map(|(start, status, body)| Canned { start: (*start).to_owned(), status: *status, body: body.clone() })
            .collect();
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(stream, &rows, &log).await;
            }
        });
        Self { socket, asked, task, _directory: directory }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.socket.clone())
    }

    /// Every request so far as `METHOD path body`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: UnixStream, rows: &[Canned], log: &Mutex<Vec<String>>) {
    let (head, body) = read_request(&mut stream).await;
    let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let entry = if body.is_empty() { line.clone() } else { format!("{line} {body}") };
    log.lock().unwrap().push(entry);
    let (status, body) = match rows.iter().find(|row| line.starts_with(&row.start)) {
        Some(row) => (row.status, row.body.clone()),
        None => (404, format!(r#"{{"status":404,"title":"not found","detail":"no canned reply for {line}"}}"#)),
    };
    let kind = if body.starts_with("event:") { "text/event-stream" } else { "application/json" };
    let reply = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    // The client may have gone; what it saw is what the test looks at.
    drop(stream.write_all(reply.as_bytes()).await);
}

async fn read_request(stream: &mut UnixStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().unwrap() {
                return (head.to_owned(), body.to_owned());
            }
        }
        let mut portion = [0u8; 4096];
        let count = stream.read(&mut portion).await.unwrap_or(0);
        if count == 0 {
            return (text, String::new());
        }
        bytes.extend(portion.iter().take(count));
    }
}
