// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listeners and certificates: bounds, timeouts and the TLS settings of each.
//!
//! Private keys are asked for by fingerprint and live only in what is served. Nothing is bound here: an address in use
//! is found by the runtime, before it lets the snapshot in.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use foldhash::HashMap;
use rustls::server::danger::ClientCertVerifier;
use weirgate_store::model::{self, ListenerProtocol, Model, Name};

use super::{Given, Indices};
use crate::config::Lead;
use crate::config::problems::Problems;
use crate::config::snapshot::Listener;
use crate::protocol::client::ClientTimeouts;
use crate::protocol::http1::{HeadLimits, TARGET_BYTES_MAX};
use crate::tls::accept::server_config;
use crate::tls::certificate::{ServedCertificate, SniTable};
use crate::tls::client::{self, Demand};

pub(super) type Certificates = HashMap<Arc<str>, Arc<ServedCertificate>>;

pub(super) fn certificates(model: &Model, given: &Given<'_>, problems: &mut Problems) -> Certificates {
    let mut all = Certificates::default();
    for (name, certificate) in &model.certificates {
        let path = format!("certificates.{name}.key");
        let pem = match certificate.key.stored() {
            Some(fingerprint) => (given.private_key)(fingerprint),
            None => Ok(certificate.key.0.clone()),
        };
        let help = "give the key file again and apply: the state directory has lost it";
        let Some(pem) = problems.keep(&path, help, pem) else { continue };
        let help = "name the chain (leaf first) and the private key that was made for it, both in PEM form";
        if let Some(served) = problems.keep(&path, help, ServedCertificate::parse(&certificate.chain, &pem)) {
            all.insert(name.as_str().into(), Arc::new(served));
        }
    }
    all
}

pub(super) fn listeners(
    model: &Model,
    certificates: &Certificates,
    indices: &Indices,
    given: &Given<'_>,
    problems: &mut Problems,
) -> HashMap<Arc<str>, Arc<Listener>> {
    let compiled = model.listeners.iter().filter_map(|(name, listener)| {
        let earlier = given.previous.and_then(|snapshot| snapshot.listeners.get(name.as_str()));
        let open = earlier.map(|listener| Arc::clone(&listener.open));
        let lead = Lead::of(listener, |name| indices.get(name.as_str()).copied());
        let compiled = one(name, listener, certificates, lead, open, problems)?;
        Some((Arc::clone(&compiled.name), Arc::new(compiled)))
    });
    compiled.collect()
}

fn one(
    name: &Name,
    listener: &model::Listener,
    certificates: &Certificates,
    lead: Lead,
    open: Option<Arc<AtomicUsize>>,
    problems: &mut Problems,
) -> Option<Listener> {
    let tls = match listener.protocol {
        ListenerProtocol::Https => Some(tls(name, listener, certificates, problems)?),
        ListenerProtocol::Http | ListenerProtocol::Tcp | ListenerProtocol::Tls | ListenerProtocol::Udp => None,
    };
    let (limits, timeouts) = (&listener.limits, &listener.timeouts);
    let head_bytes = usize::try_from(limits.head.0).unwrap_or(usize::MAX);
    Some(Listener {
        name: name.as_str().into(),
        address: listener.address,
        protocol: listener.protocol,
        tls,
        trusted: listener.trusted_proxies.clone(),
        head: HeadLimits { head_bytes, fields: limits.fields as usize, target_bytes: TARGET_BYTES_MAX.min(head_bytes) },
        timeouts: ClientTimeouts {
            idle: timeouts.idle.0,
            head: timeouts.head.0,
            body: timeouts.body.0,
            write: timeouts.write.0,
        },
        handshake: timeouts.handshake.0,
        tunnel: timeouts.tunnel.0,
        session: timeouts.session.0,
        proxy_protocol: listener.proxy_protocol,
        lead,
        connections: limits.connections as usize,
        body: limits.body.0,
        streams: limits.streams,
        requests: limits.requests,
        open: open.unwrap_or_default(),
    })
}

fn tls(
    name: &Name,
    listener: &model::Listener,
    certificates: &Certificates,
    problems: &mut Problems,
) -> Option<Arc<rustls::ServerConfig>> {
    // A certificate that did not compile has its own problem; one that does not exist was found by the check.
    let served: Option<Vec<_>> = listener.certificates.iter().map(|c| certificates.get(c.as_str()).cloned()).collect();
    let table = SniTable::new(&served?);
    let path = format!("listeners.{name}.certificates");
    let help = "name at least one certificate for an https listener";
    let table = problems.keep(&path, help, table.ok_or("an https listener needs a certificate"));
    let clients = match &listener.client_certificates {
        Some(written) => Some(clients(name, written, problems)?),
        None => None,
    };
    problems.keep(&path, "see the reason", server_config(table?, clients)).map(Arc::new)
}

/// Who verifies the certificates of clients.
fn clients(
    name: &Name,
    written: &model::ClientCertificates,
    problems: &mut Problems,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let demand = if written.required { Demand::Required } else { Demand::Optional };
    let path = format!("listeners.{name}.client_certificates");
    let help = "name a PEM file with the certificates of the authorities, and one with their revocation lists";
    problems.keep(&path, help, client::verifier(&written.ca, written.crl.as_deref(), demand))
}
