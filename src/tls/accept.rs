// SPDX-License-Identifier: MIT OR Apache-2.0
//! The settings of the handshake with a client.

use std::sync::{Arc, OnceLock};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, ProducesTickets};

use super::certificate::SniTable;

/// The protocols offered by ALPN, in our order of preference.
pub const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS 1.3 tickets sent after a handshake. One is enough to resume; each costs a write of some 200 bytes.
const TICKETS: usize = 1;

/// The settings for a listener that serves these certificates.
pub fn server_config(certificates: SniTable) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ticketer()?;
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
