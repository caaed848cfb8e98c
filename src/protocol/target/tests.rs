// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every row is a request and what becomes of it: `authority path[?query]`, then `~matched` where that differs.

use http::{Method, Version};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

use super::{Pseudo, Target, http1, http2};
use crate::exchange::{Fields, Known};
use crate::fault::Fault;

fn show(target: Target, fields: &Fields) -> String {
    let text = |span| String::from_utf8_lossy(fields.text(span)).into_owned();
    let mut shown = format!("{} {}", text(target.authority), text(target.path));
    if let Some(query) = target.query {
        shown = format!("{shown}?{}", text(query));
    }
    if target.matched != target.path {
        shown = format!("{shown} ~{}", text(target.matched));
    }
    shown
}

fn shown(result: Result<Target, Fault>, fields: &Fields) -> String {
    match result {
        Ok(target) => show(target, fields),
        Err(Fault::Malformed(why)) => format!("400 {why}"),
        Err(other) => format!("{other:?}"),
    }
}

fn read(version: Version, method: &Method, target: &[u8], hosts: &[&[u8]]) -> String {
    let mut fields = Fields::new();
    let span = fields.store(target);
    for host in hosts {
        fields.push_known(Known::Host, host);
    }
    let result = http1(version, method, span, &mut fields);
    shown(result, &fields)
}

/// Rows of target and outcome, all with `Host: h`. An outcome that begins with `400` need only begin so.
fn check(rows: &[(&str, &str)]) {
    for (target, wanted) in rows {
        let got = read(Version::HTTP_11, &Method::GET, target.as_bytes(), &[b"h"]);
        let wanted = if wanted.starts_with("400") { (*wanted).to_owned() } else { format!("h {wanted}") };
        let good = if wanted.starts_with("400") { got.starts_with(&wanted) } else { got == wanted };
        assert!(good, "{target:?}: wanted {wanted:?}, got {got:?}");
    }
}

/// Rows of `Host` values and the authority that goes on.
fn check_host(rows: &[(&[&str], &str)]) {
    for (hosts, wanted) in rows {
        let hosts: Vec<_> = hosts.iter().map(|host| host.as_bytes()).collect();
        let got = read(Version::HTTP_11, &Method::GET, b"/", &hosts);
        let good = got.strip_suffix(" /") == Some(wanted) || (wanted.starts_with("400") && got.starts_with(wanted));
        assert!(good, "{hosts:?}: wanted {wanted:?}, got {got:?}");
    }
}

#[test]
fn a_normal_path_is_left_alone() {
    check(&[
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("/a/b.c/d-e_f~g", "/a/b.c/d-e_f~g"),
        ("/a.", "/a."),
        ("/a..", "/a.."),
        ("/...", "/..."),
        ("/..a", "/..a"),
        ("/.well-known/acme", "/.well-known/acme"),
        ("/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,="),
        ("/?x", "/?x"),
        ("/a?", "/a?"),
        ("/a?b=/../%2f//;\\|", "/a?b=/../%2f//;\\|"),
        ("/a?b?c", "/a?b?c"),
        ("/a%20b", "/a%20b"),
        ("/a%25b", "/a%25b"),
        ("/%252f", "/%252f"),
        ("/caf%C3%A9", "/caf%C3%A9"),
    ]);
}

#[test]
fn every_spelling_becomes_one() {
    check(&[
        ("/%61dmin", "/admin"),
        ("/%41", "/A"),
        ("/%7euser", "/~user"),
        ("/%7Euser%2D%5f", "/~user-_"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/%3c%3E", "/%3C%3E"),
        ("/a%3fb%23", "/a%3Fb%23"),
        ("//", "/"),
        ("//a", "/a"),
        ("///a////b", "/a/b"),
        ("/a//", "/a/"),
        ("/.", "/"),
        ("/./", "/"),
        ("/./a", "/a"),
        ("/a/.", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/../../c", "/c"),
        ("/a//../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/%2e/a", "/a"),
        ("/%2E%2e%2e", "/..."),
        ("/x/../admin/./panel", "/admin/panel"),
        ("/a|b^c", "/a%7Cb%5Ec"),
        ("/a[1]{x}", "/a%5B1%5D%7Bx%7D"),
        ("/\"<>`", "/%22%3C%3E%60"),
        ("//evil.example/x", "/evil.example/x"),
    ]);
}

#[test]
fn delimiters_and_parameters_meet_the_same_rules_and_go_on_as_written() {
    check(&[
        ("/users%3aexport", "/users%3Aexport ~/users:export"),
        ("/a%40b%2Bc", "/a%40b%2Bc ~/a@b+c"),
        ("/admin;x/panel", "/admin;x/panel ~/admin/panel"),
        ("/admin;/panel", "/admin;/panel ~/admin/panel"),
        ("/a;v=1;w=2", "/a;v=1;w=2 ~/a"),
        ("/a;v=%41?q;r", "/a;v=A?q;r ~/a"),
        ("/admin%3bx/panel", "/admin%3Bx/panel ~/admin/panel"),
        ("/a%3B;b/c", "/a%3B;b/c ~/a/c"),
        ("/a;x/../b", "/b"),
        ("/...;x", "/...;x ~/..."),
        ("/..;/admin", "400 a path parameter hides"),
        ("/a/..;x=1/b", "400 a path parameter hides"),
        ("/.;/admin", "400 a path parameter hides"),
        ("/;/admin", "400 a path parameter hides"),
        ("/;x", "400 a path parameter hides"),
        ("/a/%2e%2e;/b", "400 a path parameter hides"),
        ("/a/..%3B/b", "400 a path parameter hides"),
        ("/%3Bx/admin", "400 a path parameter hides"),
    ]);
}

#[test]
fn what_has_two_meanings_is_refused() {
    check(&[
        ("/..", "400 the path climbs"),
        ("/../a", "400 the path climbs"),
        ("/a/../../b", "400 the path climbs"),
        ("/%2e%2e/a", "400 the path climbs"),
        ("//..", "400 the path climbs"),
        ("/a%2fb", "400 the path has an encoded slash"),
        ("/a%2Fb", "400 the path has an encoded slash"),
        ("/a/..%2fb", "400 the path has an encoded slash"),
        ("/a\\b", "400 the path has a backslash"),
        ("/a/..\\admin", "400 the path has a backslash"),
        ("/a%5cb", "400 the path has an encoded backslash"),
        ("/a%5C..%5Cb", "400 the path has an encoded backslash"),
        ("/a%00", "400 the path has an encoded control"),
        ("/a%0d%0aX:%20y", "400 the path has an encoded control"),
        ("/%09", "400 the path has an encoded control"),
        ("/%7f", "400 the path has an encoded control"),
        ("/%c0%af", "400 percent-encoded bytes"),
        ("/%c0%ae%c0%ae/a", "400 percent-encoded bytes"),
        ("/%e0%80%af", "400 percent-encoded bytes"),
        ("/%f0%80%80%af", "400 percent-encoded bytes"),
        ("/%ff", "400 percent-encoded bytes"),
        ("/%e9", "400 percent-encoded bytes"),
        ("/%c3/%a9", "400 percent-encoded bytes"),
        ("/%ed%a0%80", "400 percent-encoded bytes"),
        ("/%", "400 a percent sign"),
        ("/%4", "400 a percent sign"),
        ("/%zz", "400 a percent sign"),
        ("/%u002f", "400 a percent sign"),
        ("/%%34%31", "400 a percent sign"),
        ("/a\0", "400 the target has a control"),
        ("/a b", "400 the target has a control"),
        ("/a\tb", "400 the target has a control"),
        ("/a\x7f", "400 the target has a control"),
        ("/café", "400 the target has a byte beyond ASCII"),
        ("/a#b", "400 the target has a fragment"),
        ("/#", "400 the target has a fragment"),
        ("/a?b#c", "400 the target has a fragment"),
        ("/a?b c", "400 the target has a control"),
        ("/a?b\0", "400 the target has a control"),
        ("/a?é", "400 the target has a byte beyond ASCII"),
        ("", "400 the target is empty"),
        ("a", "400 the target is neither"),
        ("*", "400 the target `*` is for OPTIONS"),
        ("h:443", "400 the target is neither"),
        ("?x", "400 the target is neither"),
    ]);
}

#[test]
fn an_absolute_target_must_agree_with_host() {
    check(&[
        ("http://h/a", "/a"),
        ("HTTP://H/a", "/a"),
        ("https://h", "/"),
        ("http://h?x=1", "/?x=1"),
        ("http://h./a/../b", "/b"),
        ("http://h:/a", "/a"),
        ("http://other/a", "400 the target and Host name different"),
        ("http://h:8080/a", "400 the target and Host name different"),
        ("https://h:80/a", "400 the target and Host name different"),
        ("http://u@h/a", "400 the host carries user information"),
        ("http://u:p@h/a", "400 the host carries user information"),
        ("http://h:x/a", "400 the port"),
        ("http:///a", "400 the host is empty"),
        ("http:/h/a", "400 the target is neither"),
        ("http:h", "400 the target is neither"),
        ("ftp://h/a", "400 the target is neither"),
        ("http://h/a#b", "400 the target has a fragment"),
        ("http://h#b", "400 the target has a fragment"),
        ("http://h\\@h/a", "400 the host carries user information"),
    ]);
    let with = |target: &str, host: &str| read(Version::HTTP_11, &Method::GET, target.as_bytes(), &[host.as_bytes()]);
    assert_eq!(with("http://h/a", "h:80"), "h /a");
    assert_eq!(with("https://h:443/a", "H"), "h:443 /a");
    assert_eq!(with("http://[::1]:81/a", "[0::1]:81"), "[::1]:81 /a");
}

#[test]
fn exactly_one_good_host_goes_on() {
    check_host(&[
        (&["example.com"], "example.com"),
        (&["EXAMPLE.com."], "example.com"),
        (&["example.com:8080"], "example.com:8080"),
        (&["example.com.:8080"], "example.com:8080"),
        (&["example.com:"], "example.com"),
        (&["a_b.example"], "a_b.example"),
        (&["127.0.0.1:80"], "127.0.0.1:80"),
        (&["[::1]"], "[::1]"),
        (&["[0:0::1]:65535"], "[::1]:65535"),
        (&[], "400 the request has no Host"),
        (&["a", "b"], "400 the request has more than one Host"),
        (&["a", "a"], "400 the request has more than one Host"),
        (&[""], "400 the host is empty"),
        (&[":80"], "400 the host is empty"),
        (&["a:0"], "400 the port"),
        (&["a:080"], "400 the port"),
        (&["a:65536"], "400 the port"),
        (&["a:+1"], "400 the port"),
        (&["a:-1"], "400 the port"),
        (&["a:80:80"], "400 the port"),
        (&["a:8x"], "400 the port"),
        (&["u@a"], "400 the host carries"),
        (&["a b"], "400 the host has a byte"),
        (&["a\0"], "400 the host has a byte"),
        (&["a/b"], "400 the host has a byte"),
        (&["a,b"], "400 the host has a byte"),
        (&["a%41"], "400 the host has a byte"),
        (&["ä"], "400 the host has a byte"),
        (&["*.a"], "400 the host has a byte"),
        (&["a..b"], "400 the host has an empty label"),
        (&["[::1"], "400 the IPv6 address"),
        (&["[::1]x"], "400 something follows"),
        (&["[::g]"], "400 the host in brackets"),
        (&["[::1%eth0]"], "400 the host in brackets"),
    ]);
    let long = "a".repeat(256);
    check_host(&[(&[&long], "400 the host is longer"), (&[&long[..255]], &long[..255])]);
}

#[test]
fn method_and_version_decide_the_rest() {
    let read = |version, method, target: &str, hosts: &[&[u8]]| read(version, &method, target.as_bytes(), hosts);
    assert_eq!(read(Version::HTTP_10, Method::GET, "/a", &[]), " /a");
    assert_eq!(read(Version::HTTP_10, Method::GET, "http://h/a", &[]), "h /a");
    assert_eq!(read(Version::HTTP_11, Method::OPTIONS, "*", &[b"h"]), "h *");
    assert_eq!(read(Version::HTTP_11, Method::OPTIONS, "http://h", &[b"h"]), "h *");
    assert_eq!(read(Version::HTTP_11, Method::OPTIONS, "http://h/", &[b"h"]), "h /");
    assert_eq!(read(Version::HTTP_11, Method::CONNECT, "H:443", &[b"h:443"]), "h:443 h:443 ~/");
    for (target, hosts) in [
        ("h:443", &[&b"h:80"[..]][..]),
        ("h:443", &[b"g:443"]),
        ("h:443", &[]),
        ("h", &[b"h"]),
        ("/", &[b"h"]),
        ("http://h:80/", &[b"h:80"]),
        ("u@h:443", &[b"h:443"]),
        ("h:443/", &[b"h:443"]),
    ] {
        assert!(read(Version::HTTP_11, Method::CONNECT, target, hosts).starts_with("400 "), "row {target}");
    }
}

#[test]
fn http2_is_held_to_the_same_rules() {
    let read = |scheme: &str, authority: Option<&str>, path: &str, hosts: &[&str]| {
        let mut fields = Fields::new();
        for host in hosts {
            fields.push_known(Known::Host, host.as_bytes());
        }
        let authority = authority.map(str::as_bytes);
        let pseudo = Pseudo { scheme: scheme.as_bytes(), authority, path: path.as_bytes() };
        let result = http2(&Method::GET, pseudo, &mut fields);
        shown(result, &fields)
    };
    assert_eq!(read("https", Some("A.b:8443"), "/x/../y?z", &[]), "a.b:8443 /y?z");
    assert_eq!(read("https", None, "/", &["a"]), "a /");
    assert_eq!(read("https", Some("a"), "/", &["A:443"]), "a /");
    for (scheme, authority, path, hosts) in [
        ("https", Some("a"), "/", &["b"][..]),
        ("https", Some("a"), "/", &["a", "a"]),
        ("https", Some("a"), "/", &["a:80"]),
        ("https", Some("u@a"), "/", &[]),
        ("https", Some(""), "/", &[]),
        ("https", None, "/", &[]),
        ("ftp", Some("a"), "/", &[]),
        ("https", Some("a"), "", &[]),
        ("https", Some("a"), "x", &[]),
        ("https", Some("a"), "*", &[]),
        ("https", Some("a"), "http://a/", &[]),
        ("https", Some("a"), "/%2f", &[]),
    ] {
        let got = read(scheme, authority, path, hosts);
        assert!(got.starts_with("400"), "{scheme} {authority:?} {path} {hosts:?}: {got}");
    }
}

/// Texts made of what paths are made of, so that the interesting cases are not lost in noise.
const PIECES: [&str; 26] = [
    "/", "/", "/", ".", "..", "%2e", "%2E", "a", "b", "%61", ";", "%3b", ";x", "%3A", ":", "%2f", "%5c", "%C3%A9",
    "%c0", "%25", "2f", "?", "[", "é", "\\", "%00",
];

fn check_invariants(target: &[u8]) {
    let mut fields = Fields::new();
    let span = fields.store(target);
    fields.push_known(Known::Host, b"h");
    let Ok(first) = http1(Version::HTTP_11, &Method::GET, span, &mut fields) else { return };
    let (path, matched) = (fields.text(first.path).to_vec(), fields.text(first.matched).to_vec());
    for (text, banned) in
        [(&path, &["//", "/./", "/../", "%2f", "%2F", "\\"][..]), (&matched, &["//", "/./", "/../", ";"])]
    {
        let text = String::from_utf8(text.clone()).expect("normal paths are ASCII");
        assert!(banned.iter().all(|banned| !text.contains(banned)), "{target:?} became {text}");
        assert!(!text.ends_with("/.") && !text.ends_with("/.."), "{target:?} became {text}");
    }
    let again = fields.store(&path);
    let second = http1(Version::HTTP_11, &Method::GET, again, &mut fields).expect("a normal path is good");
    assert_eq!((fields.text(second.path), fields.text(second.matched)), (&path[..], &matched[..]), "{target:?}");
    let once = fields.store(&matched);
    let third = http1(Version::HTTP_11, &Method::GET, once, &mut fields).expect("a matched path is good");
    assert_eq!(fields.text(third.matched), matched, "{target:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_normal_path_stays_as_it_is(pieces in prop::collection::vec(0..PIECES.len(), 0..14)) {
        let text: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
        check_invariants(format!("/{text}").as_bytes());
    }

    #[test]
    fn no_bytes_break_it(target in prop::collection::vec(any::<u8>(), 0..40), host in prop::collection::vec(any::<u8>(), 0..20)) {
        check_invariants(&target);
        read(Version::HTTP_11, &Method::GET, &target, &[&host]);
        let mut fields = Fields::new();
        let pseudo = Pseudo { scheme: b"http", authority: Some(&host), path: &target };
        if let Ok(target) = http2(&Method::GET, pseudo, &mut fields) {
            show(target, &fields);
        }
    }
}
