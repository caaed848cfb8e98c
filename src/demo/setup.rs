// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the demo configures: ports that are free, keys and a certificate made for this run, and the text of it all.
//!
//! The text (`gate.toml`) is what an operator would write. Who asks and who answers is in `traffic` and `service`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context as _;

use super::origin::Listening;
use super::service::Service;

/// The ports that are taken if they are free.
const HTTP_PORT: u16 = 8080;
const HTTPS_PORT: u16 = 8443;

/// Names that the gateway answers for.
pub(super) const API_HOST: &str = "api.example.com";
pub(super) const SITE_HOST: &str = "www.example.com";

/// Random bytes of a key.
const KEY_BYTES: usize = 16;

/// The text with words in the place of what is chosen for this run.
const TEMPLATE: &str = include_str!("gate.toml");

/// Which ports the gateway takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ports {
    /// 8080 and 8443, or free ones in their place.
    Usual,
    #[cfg(test)]
    Free,
}

/// The keys of the three consumers.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) alice: String,
    pub(super) acme: String,
    pub(super) ben: String,
}

/// Everything that was chosen for this run.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) http: SocketAddr,
    pub(super) https: SocketAddr,
    pub(super) keys: Keys,
    /// PEM, and the same in DER.
    chain: String,
    pub(super) certificate: rustls_pki_types::CertificateDer<'static>,
    private_key: String,
    pub(super) endpoints: Vec<Listening>,
}

impl Setup {
    pub(super) fn make(ports: Ports, endpoints: Vec<Listening>) -> anyhow::Result<Self> {
        let (http, https) = match ports {
            Ports::Usual => (HTTP_PORT, HTTPS_PORT),
            #[cfg(test)]
            Ports::Free => (0, 0),
        };
        let (http, https) = addresses(http, https).context("there is no free port on 127.0.0.1")?;
        let names = [SITE_HOST, API_HOST, "localhost"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
        Ok(Self {
            http,
            https,
            keys: Keys { alice: key("alice")?, acme: key("acme")?, ben: key("ben")? },
            chain: made.cert.pem(),
            certificate: made.cert.der().clone(),
            private_key: made.signing_key.serialize_pem(),
            endpoints,
        })
    }

    /// Addresses of the endpoints of a service.
    pub(super) fn addresses(&self, service: Service) -> Vec<String> {
        let of_it = self.endpoints.iter().filter(|endpoint| endpoint.service == service);
        of_it.map(|endpoint| endpoint.address.to_string()).collect()
    }

    /// The configuration.
    pub(super) fn toml(&self) -> String {
        let endpoints = |service| {
            let each = self.addresses(service).into_iter().map(|address| format!("{{ address = \"{address}\" }}"));
            each.collect::<Vec<_>>().join(", ")
        };
        let words = [
            ("@HTTP@", self.http.to_string()),
            ("@HTTPS@", self.https.to_string()),
            ("@CHAIN@", self.chain.clone()),
            ("@PRIVATE_KEY@", self.private_key.clone()),
            ("@SHOP@", endpoints(Service::Shop)),
            ("@CATALOG@", endpoints(Service::Catalog)),
            ("@PAGES@", endpoints(Service::Pages)),
            ("@API_HOST@", API_HOST.to_owned()),
            ("@SITE_HOST@", SITE_HOST.to_owned()),
            ("@ALICE@", self.keys.alice.clone()),
            ("@ACME@", self.keys.acme.clone()),
            ("@BEN@", self.keys.ben.clone()),
        ];
        words.iter().fold(TEMPLATE.to_owned(), |text, (word, value)| text.replace(word, value))
    }
}

/// Two addresses nobody listens on: the wanted ports, or free ones. Both are held until both are known, so that they
/// differ; between here and the listener somebody may still take one, and then the start says so.
fn addresses(http: u16, https: u16) -> std::io::Result<(SocketAddr, SocketAddr)> {
    let hold =
        |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let (http, https) = (hold(http)?, hold(https)?);
    Ok((http.local_addr()?, https.local_addr()?))
}

/// A key nobody can guess: other people may share this machine.
fn key(owner: &str) -> anyhow::Result<String> {
    let mut bytes = [0; KEY_BYTES];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{owner}-{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = taken.local_addr().expect("it is bound").port();
        let (http, https) = addresses(port, port).expect("there are others");
        assert!(http.port() != port && https.port() != port && http != https, "{http} {https} beside {port}");
    }

    #[test]
    fn the_configuration_is_one_an_operator_may_apply() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let each = [Service::Shop, Service::Catalog, Service::Pages];
        let endpoints = each.map(|service| Listening { service, address }).to_vec();
        let setup = Setup::make(Ports::Free, endpoints).expect("there are ports");
        let parsed = weirgate_store::parse::parse_and_check(&setup.toml());
        assert!(!setup.toml().lines().any(|line| !line.starts_with('#') && line.contains('@')), "{}", setup.toml());
        assert!(parsed.as_ref().is_ok_and(|(_, warnings)| warnings.is_empty()), "{parsed:#?}");
    }
}
