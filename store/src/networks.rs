// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which of many networks an address is in: sorted once, then a binary search and a walk outwards.
//!
//! Networks of one family either contain each other or have nothing in common, so the last one that begins at or before
//! an address is inside the one that is looked for. The walk takes at most one step for each bit of the prefix.
//! Addresses and networks of IPv4 that are written as IPv6 (`::ffff:10.0.0.1`) count as IPv4, on both sides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// Where an address of IPv4 begins in one of IPv6 that is mapped.
const MAPPED_BITS: u8 = 96;

/// No network is around it.
const OUTERMOST: u32 = u32::MAX;

/// Networks to look addresses up in. Immutable.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    v4: Box<[Entry]>,
    v6: Box<[Entry]>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    first: u128,
    last: u128,
    prefix: u8,
    /// The smallest network around it, by place.
    around: u32,
}

impl Networks {
    /// Sorts the networks; one that stands there twice counts once.
    pub fn new(all: impl IntoIterator<Item = IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in all.into_iter().map(canonical) {
            let of = if matches!(net, IpNet::V4(_)) { &mut v4 } else { &mut v6 };
            let (first, last) = (number(net.network()), number(net.broadcast()));
            of.push(Entry { first, last, prefix: net.prefix_len(), around: OUTERMOST });
        }
        Self { v4: nested(v4), v6: nested(v6) }
    }

    /// The smallest of the networks that contain an address.
    pub fn find(&self, ip: IpAddr) -> Option<IpNet> {
        let ip = ip.to_canonical();
        let entry = find(if ip.is_ipv4() { &self.v4 } else { &self.v6 }, number(ip), |_| true)?;
        network(ip, entry)
    }

    /// A network that contains the whole of this one.
    pub fn around(&self, net: IpNet) -> Option<IpNet> {
        let net = canonical(net);
        let of = if matches!(net, IpNet::V4(_)) { &self.v4 } else { &self.v6 };
        let entry = find(of, number(net.network()), |entry| entry.prefix <= net.prefix_len())?;
        network(net.network(), entry)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn find(entries: &[Entry], ip: u128, fits: impl Fn(&Entry) -> bool) -> Option<Entry> {
    let mut at = entries.partition_point(|entry| entry.first <= ip).checked_sub(1)?;
    loop {
        let entry = entries.get(at)?;
        if ip <= entry.last && fits(entry) {
            return Some(*entry);
        }
        at = entry.around as usize;
    }
}

fn network(ip: IpAddr, entry: Entry) -> Option<IpNet> {
    Some(IpNet::new(ip, entry.prefix).ok()?.trunc())
}

/// Sorts outer before inner and says of each which is around it.
fn nested(mut entries: Vec<Entry>) -> Box<[Entry]> {
    entries.sort_unstable_by_key(|entry| (entry.first, entry.prefix));
    entries.dedup_by_key(|entry| (entry.first, entry.prefix));
    let mut open: Vec<(u32, u128)> = Vec::new();
    for (at, entry) in (0..).zip(&mut entries) {
        while open.last().is_some_and(|(_, last)| *last < entry.first) {
            open.pop();
        }
        entry.around = open.last().map_or(OUTERMOST, |(around, _)| *around);
        open.push((at, entry.last));
    }
    entries.into()
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The same network, in IPv4 where it is one of IPv4 addresses only.
fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net.trunc() };
    let mapped = |ip: Ipv6Addr| -> Option<Ipv4Addr> { ip.to_ipv4_mapped() };
    let prefix = v6.prefix_len().checked_sub(MAPPED_BITS);
    let inner = mapped(v6.network()).zip(prefix).and_then(|(ip, prefix)| Ipv4Net::new(ip, prefix).ok());
    inner.map_or(IpNet::V6(v6.trunc()), |inner| IpNet::V4(inner.trunc()))
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;

    use super::Networks;

    fn networks(all: &[&str]) -> Networks {
        Networks::new(all.iter().map(|text| text.parse::<IpNet>().unwrap()))
    }

    #[track_caller]
    fn check(all: &[&str], rows: &[(&str, Option<&str>)]) {
        let networks = networks(all);
        for (ip, want) in rows {
            let got = networks.find(ip.parse().unwrap()).map(|net| net.to_string());
            assert_eq!(got.as_deref(), *want, "row {ip} in {all:?}");
        }
    }

    #[test]
    fn the_smallest_network_around_an_address_is_found() {
        let all =
            ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "192.168.0.0/16", "2001:db8::/32", "::1/128"];
        check(
            &all,
            &[
                ("10.0.0.0", Some("10.0.0.0/8")),
                ("10.255.255.255", Some("10.0.0.0/8")),
                ("9.255.255.255", None),
                ("11.0.0.0", None),
                ("10.1.2.2", Some("10.1.2.0/24")),
                ("10.1.2.3", Some("10.1.2.3/32")),
                ("10.1.3.0", Some("10.1.0.0/16")),
                ("10.2.0.0", Some("10.0.0.0/8")),
                ("192.168.4.4", Some("192.168.0.0/16")),
                ("::ffff:10.1.2.3", Some("10.1.2.3/32")),
                ("2001:db8:1::1", Some("2001:db8::/32")),
                ("2001:db9::", None),
                ("::1", Some("::1/128")),
            ],
        );
        check(&["::ffff:10.0.0.0/104"], &[("10.9.9.9", Some("10.0.0.0/8")), ("11.0.0.0", None), ("::1", None)]);
        check(&["0.0.0.0/0"], &[("255.255.255.255", Some("0.0.0.0/0")), ("::ffff:1.2.3.4", Some("0.0.0.0/0"))]);
        check(&["::/0"], &[("1.2.3.4", None), ("::", Some("::/0")), ("ffff::", Some("::/0"))]);
        check(&[], &[("1.2.3.4", None), ("::", None)]);
    }

    #[test]
    fn a_network_around_another_is_found() {
        let networks = networks(&["10.0.0.0/8", "10.1.2.0/24"]);
        for (net, want) in [
            ("10.1.2.0/24", Some("10.1.2.0/24")),
            ("10.1.2.128/25", Some("10.1.2.0/24")),
            ("10.1.0.0/16", Some("10.0.0.0/8")),
            ("10.0.0.0/7", None),
            ("0.0.0.0/0", None),
            ("::/0", None),
        ] {
            let got = networks.around(net.parse().unwrap()).map(|net| net.to_string());
            assert_eq!(got.as_deref(), want, "row {net}");
        }
    }

    /// Against looking at each of them, over many random networks and addresses near their edges.
    #[test]
    fn it_says_what_looking_at_each_would_say() {
        let mut dice = fastrand::Rng::with_seed(7);
        let all: Vec<IpNet> = (0..3_000)
            .map(|_| {
                let (bits, prefix) = (dice.u32(..) & 0x0fff_ffff, dice.u8(4..=32));
                IpNet::new(std::net::Ipv4Addr::from_bits(bits).into(), prefix).unwrap().trunc()
            })
            .collect();
        let networks = Networks::new(all.iter().copied());
        for _ in 0..20_000 {
            let edge = all[dice.usize(..all.len())];
            let std::net::IpAddr::V4(edge) = (if dice.bool() { edge.network() } else { edge.broadcast() }) else {
                panic!("all are IPv4")
            };
            let ip = std::net::Ipv4Addr::from_bits(edge.to_bits().wrapping_add(dice.u32(0..3)).wrapping_sub(1)).into();
            let want = all.iter().filter(|net| net.contains(&ip)).max_by_key(|net| net.prefix_len()).copied();
            assert_eq!(networks.find(ip), want, "{ip}");
        }
    }
}
