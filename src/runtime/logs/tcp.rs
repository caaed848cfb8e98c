// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines over TCP. A batch that breaks off is sent again from its beginning: a reader may see lines of it twice, and
//! never half of one that it cannot tell from a whole one by its line feed.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// Longest wait for a connection, and for a reader that does not read.
const CONNECT: Duration = Duration::from_secs(5);
const WRITE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Tcp {
    /// `host:port`; asked again at every connection.
    address: String,
    stream: Option<TcpStream>,
}

/// A connection to one of the addresses of `host:port`.
pub(super) fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::other(format!("{address} has no address"));
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_write_timeout(Some(WRITE))?;
                stream.set_read_timeout(Some(WRITE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Tcp {
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut stream = match self.stream.take().filter(is_open) {
            Some(stream) => stream,
            None => connect(&self.address)?,
        };
        stream.write_all(bytes)?;
        self.stream = Some(stream);
        Ok(())
    }
}

/// Whether the reader has not closed its side: the first write after that would be lost without a word.
fn is_open(stream: &TcpStream) -> bool {
    let mut waiting = stream;
    if stream.set_nonblocking(true).is_err() {
        return false;
    }
    let open = match waiting.read(&mut [0; 64]) {
        Ok(count) => count > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    open && stream.set_nonblocking(false).is_ok()
}
