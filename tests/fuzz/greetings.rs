// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must hold for any first bytes of a connection. The fuzz targets feed it, and a unit test replays the corpus.
//!
//! Both parsers are asked again and again while bytes come in, so above all they must not change their mind. It names
//! them by `super::greeting`, which each of its two homes provides.
#![allow(dead_code, reason = "a fuzz target uses one check of these")]

use super::greeting::{client_hello, proxy_header};
use weirgate_store::model::ProxyProtocol;

/// What is decided on some bytes stays decided when more come.
fn is_steadfast<T: PartialEq + std::fmt::Debug, E: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    parse: impl Fn(&[u8]) -> Result<Option<T>, E>,
) {
    let whole = parse(bytes);
    for end in 0..bytes.len() {
        let part = parse(bytes.get(..end).expect("it is within"));
        if part != Ok(None) {
            assert_eq!(part, whole, "at {end} of {}", bytes.len());
        }
    }
}

/// A header is no longer than what it was read from, and written anew it names the same client.
pub(crate) fn proxy_header(bytes: &[u8]) {
    is_steadfast(bytes, proxy_header::parse);
    let Ok(Some(header)) = proxy_header::parse(bytes) else { return };
    assert!(header.len <= bytes.len().min(proxy_header::BYTES_MAX));
    let proxy_header::Said::Client { source, destination } = header.said else { return };
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let mut written = Vec::new();
        proxy_header::write(&mut written, version, source, destination);
        let again = proxy_header::parse(&written).expect("what we write is sound").expect("and whole");
        assert_eq!(again.len, written.len());
        let proxy_header::Said::Client { source: s, destination: d } = again.said else { panic!("it names a client") };
        for (read, was) in [(s, source), (d, destination)] {
            assert_eq!((read.ip().to_canonical(), read.port()), (was.ip().to_canonical(), was.port()));
        }
    }
}

/// A server name is a host name in its one spelling.
pub(crate) fn client_hello(bytes: &[u8]) {
    is_steadfast(bytes, client_hello::parse);
    let Ok(Some(hello)) = client_hello::parse(bytes) else { return };
    if let Some(name) = &hello.server_name {
        assert!(!name.is_empty() && name.len() <= 253 && name.is_ascii() && **name == *name.to_ascii_lowercase());
    }
    assert!(hello.protocols.iter().all(|protocol| !protocol.is_empty()));
}
