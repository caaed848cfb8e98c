// SPDX-License-Identifier: MIT OR Apache-2.0
//! The settings of the handshake with a client.

use std::sync::{Arc, OnceLock};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets};

use super::certificate::SniTable;

/// The protocols offered by ALPN, in our order of preference.
pub const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS 1.3 tickets sent after a handshake. One is enough to resume; each costs a write of some 200 bytes.
const TICKETS: usize = 1;

/// The settings for a listener that serves these certificates, and asks clients for theirs if it has a verifier.
pub fn server_config(
    certificates: SniTable,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    // A ticket vouches for the certificate of its session: it must not outlive the authorities it was verified by.
    let tickets = if clients.is_some() { aws_lc_rs::Ticketer::new()? } else { ticketer()? };
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = tickets;
    config.send_tls13_tickets = TICKETS;
    // 0-RTT data can be replayed; nothing here may run twice.
    config.max_early_data_size = 0;
    Ok(config)
}

/// One ticketer for all listeners and workers, made at first use.
fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    static TICKETER: OnceLock<Arc<dyn ProducesTickets>> = OnceLock::new();
    if let Some(ticketer) = TICKETER.get() {
        return Ok(Arc::clone(ticketer));
    }
    let made = aws_lc_rs::Ticketer::new()?;
    Ok(Arc::clone(TICKETER.get_or_init(|| made)))
}
