// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an answer of discovery means: lines of a file, records of DNS, each as endpoints.
//!
//! Pure: who asks and when is `runtime::discovery`. Whatever is found is sorted by address and bounded, so that the same
//! answer in another order is the same answer, and a name with a thousand addresses does not fill the memory.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use weirgate_store::model::{Endpoint, PRIORITY_MAX, WEIGHT_MAX};

/// Most endpoints that one source brings; what comes after them in the order of addresses is left out and told.
pub const FOUND_MAX: usize = 512;

/// Endpoints that were found for one upstream, by address.
pub type Found = Arc<[Endpoint]>;

/// Sorted, each address once, at most [`FOUND_MAX`]; and how many were left out.
pub fn in_order(mut endpoints: Vec<Endpoint>) -> (Vec<Endpoint>, usize) {
    endpoints.sort_by_key(|endpoint| (endpoint.address, endpoint.priority));
    endpoints.dedup_by_key(|endpoint| endpoint.address);
    let left_out = endpoints.len().saturating_sub(FOUND_MAX);
    endpoints.truncate(FOUND_MAX);
    (endpoints, left_out)
}

/// Whether a connection to such an address can be meant.
pub fn is_an_endpoint(address: SocketAddr) -> bool {
    address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast()
}

/// The endpoints in a file, one a line: `address`, `address weight`, `address weight backup`.
///
/// # Errors
/// The first line that is none of these, and why: then nothing of the file counts.
pub fn of_file(text: &str) -> Result<Vec<Endpoint>, String> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let endpoint = of_line(line).map_err(|why| format!("line {number}: {why}"))?;
        if endpoints.iter().any(|other| other.address == endpoint.address) {
            return Err(format!("line {number}: {} stands there twice", endpoint.address));
        }
        if endpoints.len() == FOUND_MAX {
            return Err(format!("line {number}: more than {FOUND_MAX} endpoints"));
        }
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

fn of_line(line: &str) -> Result<Endpoint, String> {
    let mut words = line.split_whitespace();
    let address = words.next().unwrap_or_default();
    let shown = || address.chars().take(64).collect::<String>().escape_debug().to_string();
    let parsed: SocketAddr = address.parse().map_err(|_| format!("\"{}\" is not an IP address and port", shown()))?;
    if !is_an_endpoint(parsed) {
        return Err(format!("\"{}\" cannot be connected to", shown()));
    }
    let weight = match words.next() {
        None => 1,
        Some(word) => word
            .parse()
            .ok()
            .filter(|weight| *weight <= WEIGHT_MAX)
            .ok_or_else(|| format!("a weight is a whole number from 0 to {WEIGHT_MAX}"))?,
    };
    let backup = match (words.next(), words.next()) {
        (None, _) => false,
        (Some("backup"), None) => true,
        (Some(_), _) => return Err("after the weight only \"backup\" may stand".to_owned()),
    };
    Ok(Endpoint { weight, backup, ..Endpoint::plain(parsed) })
}

/// The addresses of a name at a port.
pub fn of_addresses(addresses: impl IntoIterator<Item = IpAddr>, port: u16) -> Vec<Endpoint> {
    let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
    addresses.filter(|address| is_an_endpoint(*address)).map(Endpoint::plain).collect()
}

/// One SRV record, its target resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    pub addresses: Vec<IpAddr>,
}

/// The endpoints that SRV records mean (RFC 2782). Priorities become ranks from 0; what comes after our last tier is in
/// it. A weight of 0 is a very small share there and none here, so it becomes 1; weights above ours are scaled.
pub fn of_targets(targets: &[Target]) -> Vec<Endpoint> {
    let mut tiers: Vec<u16> = targets.iter().map(|target| target.priority).collect();
    tiers.sort_unstable();
    tiers.dedup();
    let heaviest = targets.iter().map(|target| u32::from(target.weight)).max().unwrap_or(0);
    let mut endpoints = Vec::new();
    for target in targets {
        let rank = tiers.iter().position(|tier| *tier == target.priority).unwrap_or(0);
        let weight = u32::from(target.weight);
        let weight = if heaviest > WEIGHT_MAX { weight * WEIGHT_MAX / heaviest } else { weight };
        for endpoint in of_addresses(target.addresses.iter().copied(), target.port) {
            let priority = u8::try_from(rank).unwrap_or(PRIORITY_MAX).min(PRIORITY_MAX);
            endpoints.push(Endpoint { priority, weight: weight.max(1), ..endpoint });
        }
    }
    endpoints
}

#[cfg(test)]
mod tests {
    use weirgate_store::model::Endpoint;

    use super::{FOUND_MAX, Target, in_order, of_addresses, of_file, of_targets};

    fn brief(endpoints: &[Endpoint]) -> String {
        let one = |e: &Endpoint| {
            format!("{} {} {}{}", e.address, e.weight, e.priority, if e.backup { " backup" } else { "" })
        };
        endpoints.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        for (text, want) in [
            ("", ""),
            ("# nobody yet\n\n", ""),
            (
                "10.0.0.1:80\n10.0.0.2:80 5 # big\n[::1]:80 0 backup",
                "10.0.0.1:80 1 0, 10.0.0.2:80 5 0, [::1]:80 0 0 backup",
            ),
            ("10.0.0.1:80\nten", "line 2: \"ten\" is not an IP address and port"),
            ("10.0.0.1", "line 1: \"10.0.0.1\" is not an IP address and port"),
            ("10.0.0.1:0", "line 1: \"10.0.0.1:0\" cannot be connected to"),
            ("10.0.0.1:80 10001", "line 1: a weight is a whole number from 0 to 10000"),
            ("10.0.0.1:80 1 spare", "line 1: after the weight only \"backup\" may stand"),
            ("10.0.0.1:80 1 backup 2", "line 1: after the weight only \"backup\" may stand"),
            ("10.0.0.1:80\n\n10.0.0.1:80 2", "line 3: 10.0.0.1:80 stands there twice"),
        ] {
            let got = of_file(text).map_or_else(|why| why, |endpoints| brief(&endpoints));
            assert_eq!(got, want, "row {text:?}");
        }
    }

    #[test]
    fn srv_priorities_are_ranks_and_weights_fit() {
        let row = |targets: &[(u16, u16)], want: &str| {
            let target = |(last, (priority, weight)): (u8, &(u16, u16))| Target {
                priority: *priority,
                weight: *weight,
                port: 80,
                addresses: vec![[10, 0, 0, last].into()],
            };
            let targets: Vec<_> = (1..).zip(targets).map(target).collect();
            assert_eq!(brief(&of_targets(&targets)), want, "row {targets:?}");
        };
        row(&[(10, 5), (20, 5), (10, 0)], "10.0.0.1:80 5 0, 10.0.0.2:80 5 1, 10.0.0.3:80 1 0");
        row(&[(0, 60_000), (0, 30_000), (0, 1)], "10.0.0.1:80 10000 0, 10.0.0.2:80 5000 0, 10.0.0.3:80 1 0");
        let many: Vec<(u16, u16)> = (0..12).map(|priority| (priority, 1)).collect();
        let targets = many.iter().map(|(priority, weight)| Target {
            priority: *priority,
            weight: *weight,
            port: 80,
            addresses: vec![[10, 0, 1, u8::try_from(*priority).expect("small")].into()],
        });
        let ranks: Vec<u8> = of_targets(&targets.collect::<Vec<_>>()).iter().map(|e| e.priority).collect();
        assert_eq!(ranks, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9]);
    }

    #[test]
    fn answers_have_an_order_and_a_bound() {
        let many = (0..600_u16).rev().map(|n| std::net::IpAddr::from([10, 0, (n / 256) as u8, (n % 256) as u8]));
        let (kept, left_out) = in_order(of_addresses(many.clone().chain(many), 80));
        assert_eq!((kept.len(), left_out), (FOUND_MAX, 600 - FOUND_MAX));
        assert_eq!(kept.first().map(|e| e.address.to_string()).as_deref(), Some("10.0.0.0:80"));
        assert!(of_addresses([[0, 0, 0, 0].into(), [224, 0, 0, 1].into()], 80).is_empty());
    }
}
