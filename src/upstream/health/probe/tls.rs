// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TLS check: a handshake that ends well, and the TLS under other checks.
//!
//! Where the upstream itself speaks TLS, a check trusts, names and shows what the connections that carry requests do: an
//! endpoint that every request would refuse is down, and the reason says why. Elsewhere any certificate will do.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::super::Failure;
use super::connect;
use crate::tls::originate::{Originate, explain};

/// How a check shakes hands.
#[derive(Clone, Debug)]
pub struct CheckTls {
    originate: Originate,
    recipe: Box<str>,
}

impl CheckTls {
    /// `recipe` names everything it was made of, to know it again.
    pub fn new(originate: &Originate, protocol: &[u8], recipe: &str) -> Self {
        Self { originate: originate.for_checks(protocol), recipe: recipe.into() }
    }
}

impl PartialEq for CheckTls {
    fn eq(&self, other: &Self) -> bool {
        self.recipe == other.recipe
    }
}

impl Eq for CheckTls {}

pub(super) async fn ask(tls: &CheckTls, address: SocketAddr) -> Result<(), Failure> {
    let mut stream = handshake(tls, address).await?;
    // It has shown that it can; how it takes the farewell says nothing.
    let _gone = stream.shutdown().await.is_err();
    Ok(())
}

pub(super) async fn handshake(tls: &CheckTls, address: SocketAddr) -> Result<TlsStream<TcpStream>, Failure> {
    let tcp = connect(address).await?;
    let shaken = tls.originate.handshake(tcp, address.ip()).await;
    shaken.map_err(|error| Failure::Answer(format!("failed its TLS handshake: {}", explain(&error)).into()))
}
