// SPDX-License-Identifier: MIT OR Apache-2.0
//! The exchange itself: a request on its way, who sent it, and what is learnt about it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::{ClientCertificate, Presence, Request};

/// What one client connection has in common for all its requests.
#[derive(Clone, Debug)]
pub struct Client {
    pub peer: SocketAddr,
    /// The address it connected to.
    pub local: SocketAddr,
    pub origin: Origin,
    /// Name of the listener.
    pub listener: Arc<str>,
    pub scheme: Scheme,
    /// What the client named in its TLS handshake, in lower case.
    pub server_name: Option<Box<str>>,
    /// The certificate it showed, if it was asked for one.
    pub certificate: Option<Box<ClientCertificate>>,
    /// Whether the peer is a proxy whose forwarding fields are believed.
    pub trusted: bool,
    pub presence: Rc<Presence>,
}

impl Client {
    /// A client that was just accepted.
    pub fn new(peer: SocketAddr, listener: Arc<str>, scheme: Scheme) -> Self {
        Self::of(Rc::new(Presence::new(peer, listener, "http/1.1", 0)), scheme)
    }

    /// The client of an open connection.
    pub fn of(presence: Rc<Presence>, scheme: Scheme) -> Self {
        let (peer, listener) = (presence.client.get(), Arc::clone(&presence.listener));
        let origin = Origin::of(peer, scheme);
        // Whoever accepted it says more.
        let local = SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0);
        Self { peer, local, origin, listener, scheme, server_name: None, certificate: None, trusted: false, presence }
    }
}

/// What every request of a connection says of where it comes from, rendered once.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The address of the peer.
    pub peer: Box<[u8]>,
    /// The forwarding fields up to the host in `X-Forwarded-Host`.
    pub before_host: Box<[u8]>,
    /// From there up to the host in `Forwarded`.
    pub between_hosts: Box<[u8]>,
    /// From there to the end of that line.
    pub after_hosts: Box<[u8]>,
}

impl Origin {
    fn of(peer: SocketAddr, scheme: Scheme) -> Self {
        let (ip, proto) = (peer.ip().to_canonical(), scheme.name());
        // RFC 7239 section 6: an IPv6 address is bracketed and quoted.
        let node = if ip.is_ipv6() { format!("\"[{ip}]\"") } else { ip.to_string() };
        let bytes = |text: String| text.into_bytes().into_boxed_slice();
        Self {
            peer: bytes(ip.to_string()),
            before_host: bytes(format!("X-Forwarded-For: {ip}\r\nX-Forwarded-Proto: {proto}\r\nX-Forwarded-Host: ")),
            between_hosts: bytes(format!("\r\nForwarded: for={node};host=\"")),
            after_hosts: bytes(format!("\";proto={proto}\r\n")),
        }
    }
}

/// How the client spoke to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A random number that names one exchange, printed as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(pub u128);

impl RequestId {
    /// The digits as bytes, for a header field; no allocation.
    pub fn digits(self) -> [u8; 32] {
        let nibble = |value: u8| if value < 10 { b'0' + value } else { b'a' - 10 + value };
        let mut digits = [b'0'; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            if let [high, low] = pair {
                (*high, *low) = (nibble(byte >> 4), nibble(byte & 0xf));
            }
        }
        digits
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// One request and the facts learnt on its way.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub id: RequestId,
    pub client: Rc<Client>,
    /// Who asks: the peer, or what a trusted proxy says.
    pub client_ip: IpAddr,
    pub request: Request,
    /// When the first byte of the head was in hand.
    pub arrived: Instant,
    /// How often it was sent to an endpoint.
    pub attempts: u32,
}

#[cfg(test)]
mod tests {
    use super::RequestId;

    #[test]
    fn digits_and_display_agree() {
        for id in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677] {
            let id = RequestId(id);
            assert_eq!(String::from_utf8(id.digits().to_vec()).unwrap(), id.to_string());
        }
    }
}
