// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a listener without routes leads: one upstream, or one by what a TLS client says first.
//!
//! Upstreams are places in the list of the same snapshot. The order is fixed and as documented: application protocol,
//! then server name (exact, then the longest domain, then any), then the listener's own upstream.

use std::collections::HashMap;

use weirgate_store::model;

/// Labels of a server name that can count for a domain: a name of 127 labels must not cost 127 look-ups.
const LABELS_MAX: usize = 16;

/// Where connections of a listener go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lead {
    pub upstream: Option<u32>,
    pub alpn: Vec<(Box<[u8]>, u32)>,
    exact: HashMap<Box<str>, u32>,
    /// Everything under a domain, which is the key.
    under: HashMap<Box<str>, u32>,
    any: Option<u32>,
}

/// Why a connection goes where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    Alpn,
    ServerName,
    Listener,
}

impl Because {
    /// As part of a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Alpn => "by its application protocol",
            Self::ServerName => "by its server name",
            Self::Listener => "as the listener leads there",
        }
    }
}

impl Lead {
    /// Of a listener, given the place of each upstream.
    pub fn of(listener: &model::Listener, place: impl Fn(&model::Name) -> Option<u32>) -> Self {
        let mut lead = Self { upstream: listener.upstream.as_ref().and_then(&place), ..Self::default() };
        let alpn = listener.alpn.iter().filter_map(|(protocol, name)| Some((protocol.as_bytes().into(), place(name)?)));
        lead.alpn = alpn.collect();
        for (pattern, name) in &listener.sni {
            let Some(at) = place(name) else { continue };
            let pattern = pattern.to_ascii_lowercase();
            match pattern.strip_prefix("*.") {
                _ if pattern == "*" => lead.any = Some(at),
                Some(domain) => drop(lead.under.insert(domain.into(), at)),
                None => drop(lead.exact.insert(pattern.into(), at)),
            }
        }
        lead
    }

    /// Where a TLS client goes that says this. Of several protocols the first that is in the list counts.
    pub fn find(&self, server_name: Option<&str>, protocols: &[Box<[u8]>]) -> Option<(u32, Because)> {
        let offered = protocols.iter().find_map(|offered| self.alpn.iter().find(|(protocol, _)| protocol == offered));
        if let Some((_, at)) = offered {
            return Some((*at, Because::Alpn));
        }
        let named =
            server_name.and_then(|name| self.exact.get(name).or_else(|| self.domain_of(name))).or(self.any.as_ref());
        match named {
            Some(at) => Some((*at, Because::ServerName)),
            None => self.upstream.map(|at| (at, Because::Listener)),
        }
    }

    /// The longest domain in the list that the name lies under.
    fn domain_of(&self, name: &str) -> Option<&u32> {
        let labels = name.bytes().filter(|byte| *byte == b'.').count();
        let dots = name.bytes().enumerate().filter(|(_, byte)| *byte == b'.').map(|(at, _)| at + 1);
        dots.skip(labels.saturating_sub(LABELS_MAX)).find_map(|at| self.under.get(name.get(at..)?))
    }
}

#[cfg(test)]
mod tests {
    use weirgate_store::model::{Listener, Name};

    use super::{Because, Lead};

    /// The places are the digits that the names end with.
    fn lead(upstream: Option<&str>, sni: &[(&str, &str)], alpn: &[(&str, &str)]) -> Lead {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        let map = |rows: &[(&str, &str)]| rows.iter().map(|(key, to)| ((*key).to_owned(), name(to))).collect();
        let mut listener = Listener::plain(([127, 0, 0, 1], 0).into());
        (listener.upstream, listener.sni, listener.alpn) = (upstream.map(name), map(sni), map(alpn));
        Lead::of(&listener, |name| name.as_str().trim_start_matches('u').parse().ok())
    }

    #[track_caller]
    fn check(lead: &Lead, name: Option<&str>, protocols: &[&str], expected: Option<(u32, Because)>) {
        let protocols: Vec<Box<[u8]>> = protocols.iter().map(|protocol| protocol.as_bytes().into()).collect();
        assert_eq!(lead.find(name, &protocols), expected, "row {name:?} {protocols:?}");
    }

    #[test]
    fn protocol_then_name_then_the_listener() {
        let sni = [("shop.example.com", "u1"), ("*.example.com", "u2"), ("*.a.example.com", "u3")];
        let lead = lead(Some("u9"), &sni, &[("acme-tls/1", "u7"), ("h2", "u8")]);
        let by_name = |at| Some((at, Because::ServerName));
        check(&lead, Some("shop.example.com"), &[], by_name(1));
        check(&lead, Some("x.example.com"), &[], by_name(2));
        check(&lead, Some("x.y.example.com"), &[], by_name(2));
        check(&lead, Some("x.a.example.com"), &[], by_name(3));
        check(&lead, Some("example.com"), &[], Some((9, Because::Listener)));
        check(&lead, None, &[], Some((9, Because::Listener)));
        check(&lead, Some("shop.example.com"), &["http/1.1", "h2", "acme-tls/1"], Some((8, Because::Alpn)));
        check(&lead, Some("shop.example.com"), &["http/1.1"], by_name(1));
    }

    #[test]
    fn any_name_is_also_no_name_and_without_a_match_there_is_nothing() {
        check(&lead(Some("u9"), &[("*", "u1")], &[]), None, &[], Some((1, Because::ServerName)));
        check(&lead(None, &[("*.example.com", "u1")], &[]), Some("other.example"), &[], None);
        let deep = format!("{}example.com", "a.".repeat(120));
        check(&lead(None, &[("*.example.com", "u1")], &[]), Some(&deep), &[], Some((1, Because::ServerName)));
    }
}
