// SPDX-License-Identifier: MIT OR Apache-2.0
//! Host names: lower case, no trailing dot, no port; IPv6 literals in their canonical form.
//!
//! Stricter than `reg-name` of RFC 3986: no percent-encoding, no sub-delimiters. Names in `A-label` form (`xn--`) pass
//! as they are; an underscore is allowed because service names use it. No name is resolved here.

use std::net::Ipv6Addr;

use smallvec::SmallVec;

/// The longest host name that is accepted (RFC 1035 section 2.3.4).
pub const HOST_BYTES_MAX: usize = 255;

/// A normalised host; most fit without an allocation.
pub type Host = SmallVec<[u8; 64]>;

/// The normal spelling of `text`, which is a host without port.
pub fn normalise(text: &[u8]) -> Result<Host, &'static str> {
    if let Some(inner) = text.strip_prefix(b"[") {
        return literal(inner.strip_suffix(b"]").ok_or("the IPv6 address of the host has no closing bracket")?);
    }
    let name = text.strip_suffix(b".").unwrap_or(text);
    if name.is_empty() {
        return Err("the host is empty");
    }
    if name.len() > HOST_BYTES_MAX {
        return Err("the host is longer than 255 bytes");
    }
    let mut previous = b'.';
    let mut has_upper = false;
    for byte in name {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {}
            b'A'..=b'Z' => has_upper = true,
            b'.' if previous != b'.' => {}
            b'.' => return Err("the host has an empty label"),
            _ => return Err("the host has a byte that no host name may have"),
        }
        previous = *byte;
    }
    if previous == b'.' {
        return Err("the host has an empty label");
    }
    let mut host = Host::from_slice(name);
    if has_upper {
        host.make_ascii_lowercase();
    }
    Ok(host)
}

#[cold]
fn literal(inner: &[u8]) -> Result<Host, &'static str> {
    let address = std::str::from_utf8(inner).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
    let address = address.ok_or("the host in brackets is not an IPv6 address")?;
    Ok(Host::from_slice(format!("[{address}]").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::normalise;

    fn check(rows: &[(&str, Result<&str, &str>)]) {
        for (text, wanted) in rows {
            let got = normalise(text.as_bytes()).map(|host| String::from_utf8_lossy(&host).into_owned());
            assert_eq!(got.as_deref().map_err(|why| *why), *wanted, "{text}");
        }
    }

    #[test]
    fn a_host_has_one_spelling() {
        let bad = Err("the host has a byte that no host name may have");
        check(&[
            ("API.Example.com", Ok("api.example.com")),
            ("example.com.", Ok("example.com")),
            ("_dmarc.example.com", Ok("_dmarc.example.com")),
            ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
            ("127.0.0.1", Ok("127.0.0.1")),
            ("[2001:DB8:0:0:0:0:0:1]", Ok("[2001:db8::1]")),
            ("[fe80::1%25eth0]", Err("the host in brackets is not an IPv6 address")),
            ("", Err("the host is empty")),
            (".", Err("the host is empty")),
            ("a..b", Err("the host has an empty label")),
            ("a..", Err("the host has an empty label")),
            (".a", Err("the host has an empty label")),
            ("a%2eb", bad),
            ("a b", bad),
            ("bücher.example", bad),
        ]);
    }
}
