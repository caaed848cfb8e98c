// SPDX-License-Identifier: MIT OR Apache-2.0
//! Headers as they come, whole, cut and broken, and as we write them. Pure: slices in, facts out.

use std::net::SocketAddr;

use weirgate_store::model::ProxyProtocol;

use super::{BYTES_MAX, Header, Mistake, SIGNATURE, Said, crc32c, parse, write, write_local};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn client(source: &str, destination: &str) -> Said {
    Said::Client { source: address(source), destination: address(destination) }
}

/// Parses `bytes` with and without something behind them, and every shorter piece of them.
#[track_caller]
fn check(bytes: &[u8], expected: Result<Said, Mistake>) {
    let expected = expected.map(|said| Some(Header { said, len: bytes.len() }));
    assert_eq!(parse(bytes), expected, "row {:?}", String::from_utf8_lossy(bytes));
    if expected.is_ok() {
        assert_eq!(parse(&[bytes, b"GET / HTTP/1.1\r\n"].concat()), expected, "with more behind it");
        (0..bytes.len()).for_each(|cut| assert_eq!(parse(&bytes[..cut]), Ok(None), "cut at {cut}"));
    }
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

const V4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0x0f, 0xa0, 0, 80];

#[test]
fn lines() {
    let v4 = client("192.0.2.1:4000", "198.51.100.2:80");
    check(b"PROXY TCP4 192.0.2.1 198.51.100.2 4000 80\r\n", Ok(v4));
    check(b"PROXY TCP6 2001:db8::1 2001:db8::2 4000 443\r\n", Ok(client("[2001:db8::1]:4000", "[2001:db8::2]:443")));
    check(b"PROXY UNKNOWN\r\n", Ok(Said::Itself));
    check(b"PROXY UNKNOWN whatever may be here\r\n", Ok(Said::Itself));
    for broken in [
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4000\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4000 80 1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4000 80\n",
        "PROXY TCP4  192.0.2.1 198.51.100.2 4000 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4000 65536\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 04000 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 +400 80\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.2 4000 80\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 4000 80\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.2 4000 80\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.2 4000 80\r\n",
    ] {
        assert!(matches!(parse(broken.as_bytes()), Err(Mistake::Line | Mistake::Absent)), "row {broken:?}");
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    assert_eq!(parse(long.as_bytes()), Err(Mistake::LineTooLong));
}

#[test]
fn bytes() {
    check(&binary(0x21, 0x11, V4), Ok(client("192.0.2.1:4000", "198.51.100.2:80")));
    check(&binary(0x20, 0x00, &[]), Ok(Said::Itself));
    check(&binary(0x20, 0x11, V4), Ok(Said::Itself));
    check(&binary(0x21, 0x00, b"anything"), Ok(Said::Itself));
    check(&binary(0x21, 0x31, &[b'/'; 216]), Ok(Said::Itself));
    check(&binary(0x21, 0x12, V4), Ok(Said::Itself));
    check(&binary(0x21, 0x11, &V4[..11]), Err(Mistake::TooShort));
    check(&binary(0x21, 0x21, V4), Err(Mistake::TooShort));
    check(&binary(0x31, 0x11, V4), Err(Mistake::Version));
    check(&binary(0x22, 0x11, V4), Err(Mistake::Version));
    check(&binary(0x20, 0, &vec![0; BYTES_MAX]), Err(Mistake::TooLong));
}

#[test]
fn extensions_are_skipped_and_must_be_whole() {
    let v4 = Ok(client("192.0.2.1:4000", "198.51.100.2:80"));
    let with = |extensions: &[u8]| binary(0x21, 0x11, &[V4, extensions].concat());
    check(&with(&[0x02, 0, 3, b'a', b'.', b'b', 0x04, 0, 0]), v4);
    check(&with(&[0x02, 0, 4, b'a', b'.', b'b']), Err(Mistake::Extensions));
    check(&with(&[0x02, 0]), Err(Mistake::Extensions));
    let mut summed = with(&[0x03, 0, 4, 0, 0, 0, 0]);
    check(&summed, Err(Mistake::Checksum));
    let sum = crc32c(&summed, 0..0).to_be_bytes();
    let at = summed.len() - 4;
    summed[at..].copy_from_slice(&sum);
    check(&summed, v4);
}

#[test]
fn the_checksum_is_the_one_of_the_rfc() {
    assert_eq!(crc32c(b"123456789", 0..0), 0xE306_9283);
    assert_eq!(crc32c(&[1; 32], 0..32), 0x8A91_36AA);
}

#[test]
fn other_protocols_are_refused_at_their_first_byte() {
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01", b"PRI * HTTP/2.0", b"\r\n\r\nGET", b"PROXX", b"p"] {
        assert_eq!(parse(bytes), Err(Mistake::Absent), "row {bytes:?}");
    }
    assert_eq!(parse(b""), Ok(None));
}

#[test]
fn what_is_written_reads_the_same() {
    for (source, destination, reads) in [
        ("192.0.2.1:4000", "198.51.100.2:80", client("192.0.2.1:4000", "198.51.100.2:80")),
        ("[2001:db8::1]:1", "[2001:db8::2]:65535", client("[2001:db8::1]:1", "[2001:db8::2]:65535")),
        ("[::ffff:192.0.2.1]:4000", "198.51.100.2:80", client("192.0.2.1:4000", "198.51.100.2:80")),
        ("192.0.2.1:4000", "[2001:db8::2]:80", client("[::ffff:192.0.2.1]:4000", "[2001:db8::2]:80")),
    ] {
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            let mut out = Vec::new();
            write(&mut out, version, address(source), address(destination));
            check(&out, Ok(reads));
        }
    }
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let mut out = Vec::new();
        write_local(&mut out, version);
        check(&out, Ok(Said::Itself));
    }
}
