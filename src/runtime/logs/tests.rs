// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writers against real files and sockets: what arrives, what is written again, what is given up.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use weirgate_store::model::Model;
use weirgate_store::parse::parse_and_check;

use super::Writers;
use super::datagram::{Datagrams, Wrap};
use crate::observe::log::Severity;
use crate::observe::log::queue::{Batch, Queue};

fn batch(lines: &[&str]) -> Batch {
    let mut batch = Batch::default();
    for line in lines {
        batch.bytes.extend_from_slice(format!("{line}\n").as_bytes());
        batch.ends.push((u32::try_from(batch.bytes.len()).expect("small"), Severity::Info));
    }
    batch
}

fn model(sink: &str) -> Model {
    parse_and_check(&format!("[logs.a]\nto = {sink}\n")).unwrap_or_else(|problems| panic!("{problems:#?}")).0
}

/// Writers of one log, and its queue.
fn started(sink: &str) -> (Writers, Arc<Queue>) {
    let writers = Writers::default();
    let prepared = writers.prepare(&model(sink)).expect("it can be written");
    let queue = prepared.queue("a").expect("it is there");
    writers.adopt(prepared);
    (writers, queue)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = crate::clock::now();
    while !holds() {
        assert!(crate::clock::now() - start < Duration::from_secs(10), "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_file_is_opened_again_after_it_was_moved() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.log");
    let (writers, queue) = started(&format!("{{ file = {{ path = \"{}\" }} }}", path.display()));
    assert!(!path.exists(), "preparing makes no file");
    queue.put(batch(&["one", "two"]));
    until("two lines are written", || queue.written() == 2);
    std::fs::rename(&path, dir.path().join("access.log.1")).expect("it is moved");
    queue.put(batch(&["three"]));
    until("three lines are written", || queue.written() == 3);
    writers.reopen();
    queue.put(batch(&["four"]));
    writers.close();
    assert_eq!(read(&dir.path().join("access.log.1")), "one\ntwo\nthree\n");
    assert_eq!(read(&path), "four\n");
    assert_eq!((queue.written(), queue.dropped()), (4, 0));
}

#[test]
fn a_full_file_begins_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.log");
    let (writers, queue) = started(&format!("{{ file = {{ path = \"{}\", size = \"1MiB\" }} }}", path.display()));
    let long = "x".repeat(300 << 10);
    for _ in 0..5 {
        queue.put(batch(&[&long]));
    }
    writers.close();
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    assert_eq!(size(&dir.path().join("access.log.1")), 4 * ((300 << 10) + 1));
    assert_eq!(size(&path), (300 << 10) + 1);
}

#[test]
fn a_file_that_cannot_be_written_refuses_the_change() {
    let refused = Writers::default().prepare(&model("{ file = { path = \"/no/such/place/a.log\" } }"));
    let problems = refused.expect_err("there is no such directory");
    assert_eq!(problems.first().map(|problem| problem.path.as_str()), Some("logs.a.to.file.path"));
}

#[test]
fn a_log_that_stays_keeps_its_writer() {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = format!("{{ file = {{ path = \"{}\" }} }}", dir.path().join("a").display());
    let (writers, queue) = started(&sink);
    let again = writers.prepare(&model(&sink)).expect("it can be written");
    assert!(Arc::ptr_eq(&queue, &again.queue("a").expect("it is there")));
    writers.adopt(again);
    assert!(!queue.is_closed());
    let gone = writers.prepare(&Model::default()).expect("nothing to write");
    writers.adopt(gone);
    assert!(queue.is_closed() && writers.statuses().is_empty());
}

#[test]
fn lines_over_tcp_wait_for_a_reader_and_find_it_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let (writers, queue) = started(&format!("{{ tcp = \"{address}\" }}"));
    queue.put(batch(&["one"]));
    until("the writer is in trouble", || queue.trouble().is_some());
    let listener = TcpListener::bind(address).expect("the port is free again");
    let (first, _) = listener.accept().expect("it connects again");
    let mut line = String::new();
    BufReader::new(&first).read_line(&mut line).expect("a line");
    assert_eq!(line, "one\n");
    until("the trouble is over", || queue.trouble().is_none());
    drop(first);
    queue.put(batch(&["two"]));
    let (second, _) = listener.accept().expect("it connects again");
    line.clear();
    BufReader::new(&second).read_line(&mut line).expect("a line");
    assert_eq!(line, "two\n");
    writers.close();
    assert_eq!((queue.written(), queue.dropped()), (2, 0));
}

#[test]
fn a_reader_that_is_not_there_holds_up_no_stop() {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let (writers, queue) = started(&format!("{{ tcp = \"{address}\" }}"));
    queue.put(batch(&["one", "two"]));
    until("the writer is in trouble", || queue.trouble().is_some());
    writers.close();
    assert_eq!((queue.written(), queue.dropped()), (0, 2));
}

#[test]
fn syslog_over_udp_is_rfc_5424() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("it is bound");
    let (writers, queue) = started(&format!("{{ syslog = {{ udp = \"{address}\" }} }}"));
    queue.put(batch(&["{\"status\":200}"]));
    let mut buffer = [0; 1024];
    let length = socket.recv(&mut buffer).expect("a datagram");
    let text = String::from_utf8_lossy(&buffer[..length]);
    let parts: Vec<_> = text.splitn(8, ' ').collect();
    assert_eq!((parts[0], parts[3], parts[5], parts[6]), ("<134>1", "weirgate", "a", "-"), "{text}");
    assert!(parts[1].ends_with('Z') && parts[4] == std::process::id().to_string(), "{text}");
    assert_eq!(parts[7], "{\"status\":200}");
    writers.close();
}

#[test]
fn datagrams_of_this_machine() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let path = path.to_str().expect("text");
    let receive = || {
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).expect("a datagram");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    Datagrams::unix(path, Wrap::Journal, "a").write(&batch(&["line"])).expect("it is sent");
    assert_eq!(receive(), "PRIORITY=6\nSYSLOG_IDENTIFIER=weirgate\nWEIRGATE_LOG=a\nMESSAGE=line\n");
    let (writers, queue) = started(&format!("{{ syslog = {{ unix = \"{path}\" }} }}"));
    queue.put(batch(&["line"]));
    let text = receive();
    assert!(text.starts_with("<134>") && text.ends_with(&format!(" weirgate[{}]: line", std::process::id())), "{text}");
    writers.close();
}

/// Answers one request with a status line, and gives back what was asked.
fn collect(listener: &TcpListener, status: &str) -> String {
    let (mut stream, _) = listener.accept().expect("a collector is asked");
    let (mut text, mut piece) = (String::new(), [0; 4096]);
    while !text.ends_with("]}") {
        let count = stream.read(&mut piece).expect("it is read");
        assert!(count > 0, "cut: {text}");
        text.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").expect("it is answered");
    text
}

#[test]
fn a_collector_gets_a_batch_again_when_it_was_busy_and_not_when_it_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let (writers, queue) = started(&format!("{{ otlp = {{ url = \"http://{address}/v1/traces\" }} }}"));
    queue.put(batch(&["{\"one\":1}", "{\"two\":2}"]));
    for status in ["503 Busy", "200 OK"] {
        let asked = collect(&listener, status);
        assert!(asked.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{asked}");
        assert!(asked.ends_with("\r\n\r\n{\"resourceSpans\":[{\"one\":1},{\"two\":2}]}"), "{asked}");
    }
    until("both are written", || queue.written() == 2);
    queue.put(batch(&["{\"three\":3}"]));
    collect(&listener, "400 Bad Request");
    until("it is given up", || queue.dropped() == 1);
    writers.close();
}
