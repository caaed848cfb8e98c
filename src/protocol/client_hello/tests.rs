// SPDX-License-Identifier: MIT OR Apache-2.0
//! First messages as clients send them, cut and broken in every place, and one of a real TLS client.

use super::{BYTES_MAX, Hello, Mistake, parse};

fn vector(bytes: usize, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[4 - bytes..], content].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(2, content)].concat()
}

fn name(name: &str) -> Vec<u8> {
    extension(0, &vector(2, &[&[0], &vector(2, name.as_bytes())[..]].concat()))
}

fn alpn(protocols: &[&str]) -> Vec<u8> {
    let list: Vec<u8> = protocols.iter().flat_map(|protocol| vector(1, protocol.as_bytes())).collect();
    extension(16, &vector(2, &list))
}

/// The handshake message with these extensions.
fn message(extensions: &[u8]) -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &vector(1, &[9; 32]), &vector(2, &[0x13, 1]), &vector(1, &[0]), extensions];
    [&[1][..], &vector(3, &body.concat())].concat()
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|piece| [&[22, 3, 1][..], &vector(2, piece)].concat()).collect()
}

fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    records(&message(&vector(2, &extensions.concat())), 16_384)
}

fn said(name: Option<&str>, protocols: &[&str]) -> Hello {
    Hello { server_name: name.map(Into::into), protocols: protocols.iter().map(|p| p.as_bytes().into()).collect() }
}

/// What `bytes` says, at every cut of it and in records of every size.
#[track_caller]
fn check(extensions: &[Vec<u8>], expected: &Hello) {
    let whole = hello(extensions);
    assert_eq!(parse(&whole).as_ref(), Ok(&Some(expected.clone())));
    assert_eq!(parse(&[&whole[..], &[22, 9, 9]].concat()).unwrap().as_ref(), Some(expected), "more behind it");
    (0..whole.len()).for_each(|cut| assert_eq!(parse(&whole[..cut]), Ok(None), "cut at {cut}"));
    let message = message(&vector(2, &extensions.concat()));
    for size in [5, 7, 31, 100] {
        let pieces = records(&message, size);
        assert_eq!(parse(&pieces).as_ref(), Ok(&Some(expected.clone())), "records of {size}");
        (0..pieces.len()).for_each(|cut| assert_eq!(parse(&pieces[..cut]), Ok(None), "records of {size} cut at {cut}"));
    }
}

#[test]
fn names_and_protocols_are_found_however_they_come() {
    check(&[name("shop.example.com")], &said(Some("shop.example.com"), &[]));
    check(
        &[name("Shop.Example.COM."), alpn(&["h2", "http/1.1"])],
        &said(Some("shop.example.com"), &["h2", "http/1.1"]),
    );
    check(&[extension(43, &[2, 3, 4]), alpn(&["acme-tls/1"])], &said(None, &["acme-tls/1"]));
    check(&[extension(0xfafa, &[])], &said(None, &[]));
    let bare = records(&message(&[]), 16_384);
    assert_eq!(parse(&bare), Ok(Some(Hello::default())), "no extensions at all");
}

#[test]
fn what_is_no_such_message_is_refused_at_once() {
    let rows: &[(&[u8], Mistake)] = &[
        (b"GET / HTTP/1.1\r\n", Mistake::NotTls),
        (b"SSH-2.0-OpenSSH", Mistake::NotTls),
        (&[22, 2], Mistake::NotTls),
        (&[21, 3, 3, 0, 2, 2, 40], Mistake::NotTls),
        (&[22, 3, 1, 0, 4, 2, 0, 0, 0], Mistake::NotTls),
        (&[22, 3, 1, 0, 0], Mistake::Malformed),
        (&[22, 3, 1, 0x40, 1], Mistake::Malformed),
        (&[22, 3, 1, 0, 4, 1, 1, 0, 0], Mistake::TooLong),
        (&[22, 3, 1, 0, 4, 1, 0, 0, 0], Mistake::Malformed),
    ];
    for (bytes, expected) in rows {
        assert_eq!(parse(bytes), Err(*expected), "row {bytes:?}");
    }
    let in_crumbs = records(&message(&vector(2, &name("a.example"))), 1);
    assert_eq!(parse(&in_crumbs), Err(Mistake::TooLong), "a byte per record");
}

#[test]
fn lies_in_the_extensions_are_refused() {
    let rows: &[(Vec<u8>, Mistake)] = &[
        (hello(&[name("a.example"), name("b.example")]), Mistake::Malformed),
        (hello(&[alpn(&["h2"]), alpn(&["h2"])]), Mistake::Malformed),
        (hello(&[alpn(&[])]), Mistake::Malformed),
        (hello(&[alpn(&[""])]), Mistake::Malformed),
        (hello(&[extension(0, &[])]), Mistake::Malformed),
        (hello(&[extension(0, &[0, 9, 0, 0, 1, b'a'])]), Mistake::Malformed),
        (hello(&[vec![0, 0, 0, 9]]), Mistake::Malformed),
        (hello(&[name("")]), Mistake::Name),
        (hello(&[name("a b")]), Mistake::Name),
        (hello(&[name("sh\u{f6}p.example")]), Mistake::Name),
        (hello(&[name(&"a".repeat(254))]), Mistake::Name),
        (records(&message(&[0]), 16_384), Mistake::Malformed),
        (records(&message(&[0, 0, 0]), 16_384), Mistake::Malformed),
    ];
    for (at, (bytes, expected)) in rows.iter().enumerate() {
        assert_eq!(parse(bytes), Err(*expected), "row {at}");
    }
}

#[test]
fn a_message_that_never_ends_is_refused_at_the_bound() {
    let endless = [&[22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc][..], &vec![0; BYTES_MAX]].concat();
    assert_eq!(parse(&endless[..BYTES_MAX - 1]), Ok(None));
    assert_eq!(parse(&endless[..BYTES_MAX]), Err(Mistake::TooLong));
}

#[test]
fn a_real_client_is_understood() {
    let mut config =
        rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let server = "shop.example.com".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config), server).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    assert_eq!(parse(&bytes), Ok(Some(said(Some("shop.example.com"), &["h2", "http/1.1"]))));
}
