// SPDX-License-Identifier: MIT OR Apache-2.0
//! How an upstream speaks to its endpoints, compiled.
//!
//! A transport that is made of the same things as the one before is the one before, so that a change elsewhere closes
//! no connection to an endpoint and forgets no TLS session.

use std::sync::Arc;

use weirgate_store::model::{self, CertificateCheck, UpstreamProtocol};

use super::listener::Certificates;
use crate::config::problems::Problems;
use crate::tls::originate::{Originate, OriginateError, Settings};
use crate::upstream::connect::{ALPN_H2, ALPN_HTTP1};
use crate::upstream::pool::PoolLimits;
use crate::upstream::transport::{Speech, Transport};

/// The transport of an upstream; nothing if it is wrong.
pub(super) fn transport(
    name: &str,
    upstream: &model::Upstream,
    certificates: &Certificates,
    earlier: Option<&Arc<Transport>>,
    problems: &mut Problems,
) -> Option<Arc<Transport>> {
    let recipe = recipe(upstream, certificates);
    if let Some(earlier) = earlier.filter(|earlier| earlier.recipe == recipe) {
        return Some(Arc::clone(earlier));
    }
    let (speech, protocol) = match upstream.protocol {
        UpstreamProtocol::Http => (Speech::Http1, None),
        UpstreamProtocol::Https => (Speech::Http1, Some(ALPN_HTTP1)),
        UpstreamProtocol::H2c => (Speech::Http2, None),
        UpstreamProtocol::H2 => (Speech::Http2, Some(ALPN_H2)),
    };
    let tls = match protocol {
        Some(protocol) => Some(tls(name, &upstream.tls, protocol, certificates, problems)?),
        None => None,
    };
    Some(Arc::new(Transport {
        speech,
        tls,
        proxy_header: upstream.proxy_protocol,
        limits: PoolLimits { idle_max: upstream.pool.idle as usize, idle_age: upstream.timeouts.idle.0 },
        warm: upstream.pool.warm as usize,
        timeout: upstream.timeouts.connect.0,
        recipe,
    }))
}

/// All that a transport depends on. A certificate counts by what it is, as its name may mean another one today.
fn recipe(upstream: &model::Upstream, certificates: &Certificates) -> String {
    let model::Upstream { protocol, tls, proxy_protocol, pool, timeouts, .. } = upstream;
    let identity = tls.certificate.as_ref().and_then(|name| certificates.get(name.as_str()));
    let identity = identity.and_then(|served| served.key.cert.first());
    format!("{protocol:?} {tls:?} {proxy_protocol:?} {pool:?} {:?} {:?} {identity:?}", timeouts.idle, timeouts.connect)
}

fn tls(
    name: &str,
    written: &model::UpstreamTls,
    protocol: &'static [u8],
    certificates: &Certificates,
    problems: &mut Problems,
) -> Option<Originate> {
    let identity = match &written.certificate {
        // A certificate that did not compile has its own problem; one that does not exist was found by the check.
        Some(certificate) => Some(Arc::clone(&certificates.get(certificate.as_str())?.key)),
        None => None,
    };
    let made = Originate::new(Settings {
        server_name: written.server_name.as_deref(),
        authorities: written.ca.as_deref(),
        pins: &written.pins,
        identity,
        is_verified: written.verify == CertificateCheck::Full,
        protocol,
    });
    let (field, help) = match &made {
        Err(OriginateError::Authorities(_)) => ("ca", "name a PEM file with the certificates of the authorities"),
        Err(OriginateError::NoSystemAuthorities) => ("ca", "install ca-certificates, or name a PEM file as ca"),
        Err(OriginateError::Name { .. }) => ("server_name", "write a host name or an IP address, without a port"),
        Err(OriginateError::Settings(_)) | Ok(_) => ("verify", "see the reason"),
    };
    problems.keep(&format!("upstreams.{name}.tls.{field}"), help, made)
}
