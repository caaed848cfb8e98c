// SPDX-License-Identifier: MIT OR Apache-2.0
//! The exchange itself: a request on its way, who sent it, and what is learnt about it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::Request;

/// What one client connection has in common for all its requests.
#[derive(Clone, Debug)]
pub struct Client {
    pub peer: SocketAddr,
    /// The address of the peer as text, rendered once for all requests.
    pub peer_text: PeerText,
    /// Name of the listener.
    pub listener: Arc<str>,
    pub scheme: Scheme,
    /// What the client named in its TLS handshake, in lower case.
    pub server_name: Option<Box<str>>,
    /// Whether the peer is a proxy whose forwarding fields are believed.
    pub trusted: bool,
}

/// An IP address as text: 45 bytes at most, never on the heap.
pub type PeerText = SmallVec<[u8; 48]>;

impl Client {
    /// The text for [`Client::peer_text`].
    pub fn text_of(peer: SocketAddr) -> PeerText {
        PeerText::from_slice(peer.ip().to_canonical().to_string().as_bytes())
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
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [b'0'; 32];
        for (at, digit) in digits.iter_mut().enumerate() {
            let nibble = (self.0 >> (124 - at * 4)) & 0xf;
            *digit = HEX.get(nibble as usize).copied().unwrap_or(b'0');
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
