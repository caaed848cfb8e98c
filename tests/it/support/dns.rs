// SPDX-License-Identifier: MIT OR Apache-2.0
//! A name server that says what a test tells it, over UDP on a free port, and counts what it was asked.
//!
//! It writes its answers byte by byte and knows nothing of the resolver under test.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server says to a question.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// These addresses, those of the kind that is asked for, with this TTL in seconds.
    Addresses(u32, Vec<IpAddr>),
    /// These targets, as priority, weight, port and name.
    Targets(u32, Vec<(u16, u16, u16, &'static str)>),
    NoSuchName,
    ServerFailed,
    /// Nothing at all.
    Silence,
}

type Zone = Arc<Mutex<(HashMap<String, Says>, HashMap<String, usize>)>>;

/// A running name server; it ends with its socket.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    zone: Zone,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

const NO_SUCH_NAME: u8 = 3;
const SERVER_FAILED: u8 = 2;

impl NameServer {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a UDP socket");
        let address = socket.local_addr().expect("it is bound");
        let zone = Zone::default();
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (told, ends) = (Arc::clone(&zone), Arc::clone(&stop));
        std::thread::spawn(move || {
            while !ends.load(std::sync::atomic::Ordering::Relaxed) {
                let mut question = [0; 1500];
                let Ok((len, from)) = socket.recv_from(&mut question) else { continue };
                if let Some(answer) = answer(&question[..len], &told) {
                    drop(socket.send_to(&answer, from));
                }
            }
        });
        Self { address, zone, stop }
    }

    /// From now on it says this of a name.
    pub(crate) fn says(&self, name: &str, says: Says) {
        self.zone.lock().unwrap().0.insert(name.to_owned(), says);
    }

    /// How often a name was asked for.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.zone.lock().unwrap().1.get(name).copied().unwrap_or(0)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

fn answer(question: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let (name, end) = name_at(question, 12)?;
    let kind = u16::from_be_bytes([question[end], question[end + 1]]);
    let says = {
        let mut zone = zone.lock().unwrap();
        *zone.1.entry(name.clone()).or_default() += 1;
        zone.0.get(&name).cloned().unwrap_or(Says::NoSuchName)
    };
    let (code, records) = match says {
        Says::Silence => return None,
        Says::NoSuchName => (NO_SUCH_NAME, Vec::new()),
        Says::ServerFailed => (SERVER_FAILED, Vec::new()),
        Says::Addresses(ttl, all) => (0, all.into_iter().filter_map(|ip| address_record(kind, ttl, ip)).collect()),
        Says::Targets(ttl, all) if kind == 33 => {
            (0, all.into_iter().map(|target| target_record(ttl, target)).collect())
        }
        Says::Targets(..) => (0, Vec::new()),
    };
    let mut out = question[..2].to_vec();
    out.extend([0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    out.extend(&question[12..end + 4]);
    records.iter().for_each(|record: &Vec<u8>| out.extend(record));
    Some(out)
}

/// The name at a place, in small letters, and where it ends.
fn name_at(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let len = usize::from(*message.get(at)?);
        if len == 0 {
            return Some((labels.join("."), at + 1));
        }
        labels.push(String::from_utf8_lossy(message.get(at + 1..at + 1 + len)?).to_lowercase());
        at += 1 + len;
    }
}

/// A record about the name of the question.
fn record(kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut out = vec![0xc0, 12];
    out.extend(kind.to_be_bytes());
    out.extend([0, 1]);
    out.extend(ttl.to_be_bytes());
    out.extend((data.len() as u16).to_be_bytes());
    out.extend(data);
    out
}

fn address_record(kind: u16, ttl: u32, ip: IpAddr) -> Option<Vec<u8>> {
    match (kind, ip) {
        (1, IpAddr::V4(ip)) => Some(record(1, ttl, &ip.octets())),
        (28, IpAddr::V6(ip)) => Some(record(28, ttl, &ip.octets())),
        _ => None,
    }
}

fn target_record(ttl: u32, (priority, weight, port, name): (u16, u16, u16, &str)) -> Vec<u8> {
    let mut data = [priority, weight, port].into_iter().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        data.push(label.len() as u8);
        data.extend(label.as_bytes());
    }
    data.push(0);
    record(33, ttl, &data)
}
