// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any target and any Host: no panic, and what is accepted is in its normal spelling, which stays as it is.
#![no_main]

use http::{Method, Version};
use libfuzzer_sys::fuzz_target;
use weirgate::exchange::{Fields, Known};
use weirgate::protocol::target::{Form, http1};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (target, host) = input;
    let mut fields = Fields::new();
    let span = fields.store(target);
    fields.push_known(Known::Host, host);
    let Ok(read) = http1(Version::HTTP_11, &Method::GET, span, &mut fields) else { return };
    assert_ne!(read.form, Form::Asterisk);
    let (path, matched) = (fields.text(read.path).to_vec(), fields.text(read.matched).to_vec());
    for text in [&path, &matched] {
        assert!(text.starts_with(b"/") && text.is_ascii());
        for banned in [&b"//"[..], b"/./", b"/../", b"%2F", b"%2f", b"%00", b"\\"] {
            assert!(!text.windows(banned.len()).any(|part| part == banned));
        }
    }
    for (text, path, matched) in [(&path, &path, &matched), (&matched, &matched, &matched)] {
        let mut fields = Fields::new();
        let span = fields.store(text);
        fields.push_known(Known::Host, b"h");
        let again = http1(Version::HTTP_11, &Method::GET, span, &mut fields).expect("a normal path is good");
        assert_eq!((fields.text(again.path), fields.text(again.matched)), (&path[..], &matched[..]));
    }
});
