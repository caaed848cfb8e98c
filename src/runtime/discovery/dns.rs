// SPDX-License-Identifier: MIT OR Apache-2.0
//! Questions to DNS: the addresses of a name, and the targets of an SRV record with theirs.
//!
//! One resolver per process, without a cache: we keep the answer for its TTL ourselves. An answer without an address is
//! a failure, too: a zone that was emptied by mistake must not empty an upstream.

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use weirgate_store::model::{Discovery, Endpoint};

use super::known::Answer;
use crate::clock;
use crate::upstream::discovery::{FOUND_MAX, Target, of_addresses, of_targets};

/// Shortest time that an answer is kept, whatever its TTL: a TTL of 0 must not become a storm of questions.
const TTL_MIN: Duration = Duration::from_secs(1);

/// Longest time that an answer is kept, whatever its TTL: an endpoint that moved is noticed within this time.
const TTL_MAX: Duration = Duration::from_secs(300);

/// For one name server to answer one question.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Further tries of a question.
const ATTEMPTS: usize = 1;

/// For a whole answer, with all targets of an SRV record.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Targets of an SRV record that are looked at.
const TARGETS_MAX: usize = 64;

/// Asks name servers: those that the system is configured with, or the one that was given.
pub(super) struct Asker {
    given: Option<SocketAddr>,
    /// Made at the first question, so that a process without DNS needs none of its configuration.
    resolver: Mutex<Option<TokioResolver>>,
}

/// Addresses of one name, and until when they hold.
struct Addresses {
    ips: Vec<IpAddr>,
    until: Instant,
    trouble: Option<String>,
}

impl Asker {
    pub(super) fn new(given: Option<SocketAddr>) -> Self {
        Self { given, resolver: Mutex::new(None) }
    }

    /// What DNS says about a source; `kept` is the last good answer.
    pub(super) async fn ask(&self, source: &Discovery, kept: &[Endpoint]) -> Result<Answer, String> {
        let resolver = self.resolver()?;
        let asking = async {
            match source {
                Discovery::Dns(text) => of_name(&resolver, text, kept).await,
                Discovery::Srv(name) => of_service(&resolver, name).await,
                Discovery::File(_) | Discovery::Lease(_) => Err("this is not in DNS".to_owned()),
            }
        };
        let late = |_| Err(format!("DNS has no answer within {} s", ANSWER_MAX.as_secs()));
        tokio::time::timeout(ANSWER_MAX, asking).await.unwrap_or_else(late)
    }

    fn resolver(&self) -> Result<TokioResolver, String> {
        let mut held = self.resolver.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(resolver) = &*held {
            return Ok(resolver.clone());
        }
        let made = make(self.given).map_err(|error| format!("DNS cannot be asked: {error}"))?;
        *held = Some(made.clone());
        Ok(made)
    }
}

fn make(given: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let mut builder = match given {
        None => TokioResolver::builder_tokio()?,
        Some(address) => {
            let connection = |protocol| {
                let mut connection = ConnectionConfig::new(protocol);
                connection.port = address.port();
                connection
            };
            let connections = vec![connection(ProtocolConfig::Udp), connection(ProtocolConfig::Tcp)];
            let server = NameServerConfig::new(address.ip(), true, connections);
            let config = ResolverConfig::from_name_servers(vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    set(builder.options_mut());
    builder.build()
}

fn set(options: &mut ResolverOpts) {
    options.cache_size = 0;
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
}

async fn of_name(resolver: &TokioResolver, text: &str, kept: &[Endpoint]) -> Result<Answer, String> {
    let (name, port) = Discovery::name_and_port(text).ok_or("this is not a name and a port")?;
    let kept: Vec<IpAddr> = kept.iter().map(|endpoint| endpoint.address.ip()).collect();
    let found = addresses(resolver, name, &kept).await?;
    Ok(Answer { endpoints: of_addresses(found.ips, port), ttl: Some(left(found.until)), trouble: found.trouble })
}

/// Both kinds of addresses. If one kind fails and the other does not, what was known of the failed kind is kept.
async fn addresses(resolver: &TokioResolver, name: &str, kept: &[IpAddr]) -> Result<Addresses, String> {
    let (four, six) = tokio::join!(resolver.lookup(name, RecordType::A), resolver.lookup(name, RecordType::AAAA));
    let (four, six) = (Part::of(four), Part::of(six));
    let (mut ips, mut until, mut trouble) = (Vec::new(), None, None);
    let mut nothing = "no address";
    for (part, is_of_kind) in [(four, IpAddr::is_ipv4 as fn(&IpAddr) -> bool), (six, IpAddr::is_ipv6)] {
        match part {
            Part::Found(found, valid_until) => {
                ips.extend(found);
                until = Some(until.map_or(valid_until, |until: Instant| until.min(valid_until)));
            }
            Part::Nothing(why) => nothing = why,
            Part::Failed(why) => {
                ips.extend(kept.iter().filter(|ip| is_of_kind(ip)));
                trouble = Some(format!("DNS has no answer for {name}: {why}"));
            }
        }
    }
    match (until, trouble) {
        (Some(until), trouble) => Ok(Addresses { ips, until, trouble }),
        (None, Some(trouble)) => Err(trouble),
        (None, None) => Err(format!("DNS has no answer for {name}: {nothing}")),
    }
}

async fn of_service(resolver: &TokioResolver, name: &str) -> Result<Answer, String> {
    let said = resolver.lookup(name, RecordType::SRV).await;
    let lookup = said.map_err(|error| format!("DNS has no answer for {name}: {}", cause(&error)))?;
    let mut until = lookup.valid_until();
    let (mut targets, mut trouble) = (Vec::new(), None);
    for record in lookup.answers().iter().take(TARGETS_MAX) {
        let RData::SRV(service) = &record.data else { continue };
        // RFC 2782: a root target says that the service is not here.
        if service.target.is_root() {
            continue;
        }
        match addresses(resolver, &service.target.to_utf8(), &[]).await {
            Ok(found) => {
                until = until.min(found.until);
                let addresses = found.ips.into_iter().take(FOUND_MAX).collect();
                let (priority, weight, port) = (service.priority, service.weight, service.port);
                targets.push(Target { priority, weight, port, addresses });
            }
            Err(why) => trouble = Some(why),
        }
    }
    match (targets.is_empty(), trouble) {
        (_, Some(trouble)) => Err(trouble),
        (true, None) => Err(format!("DNS has no answer for {name}: no target")),
        (false, None) => Ok(Answer { endpoints: of_targets(&targets), ttl: Some(left(until)), trouble: None }),
    }
}

/// What came of one question.
enum Part {
    Found(Vec<IpAddr>, Instant),
    /// The servers say that there is nothing.
    Nothing(&'static str),
    Failed(String),
}

impl Part {
    fn of(said: Result<Lookup, NetError>) -> Self {
        match said {
            Ok(lookup) => {
                let ip = |data: &RData| match data {
                    RData::A(ip) => Some(IpAddr::from(ip.0)),
                    RData::AAAA(ip) => Some(IpAddr::from(ip.0)),
                    _ => None,
                };
                let ips: Vec<_> = lookup.answers().iter().filter_map(|record| ip(&record.data)).collect();
                if ips.is_empty() { Self::Nothing("no address") } else { Self::Found(ips, lookup.valid_until()) }
            }
            Err(error) if error.is_nx_domain() => Self::Nothing("NXDOMAIN"),
            Err(error) if error.is_no_records_found() => Self::Nothing("no address"),
            Err(error) => Self::Failed(cause(&error)),
        }
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(clock::now()).clamp(TTL_MIN, TTL_MAX)
}

/// A failure in the words of DNS.
fn cause(error: &NetError) -> String {
    match error {
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => "SERVFAIL".to_owned(),
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => "REFUSED".to_owned(),
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
            ResponseCode::ServFail => "SERVFAIL".to_owned(),
            _ => "no record".to_owned(),
        },
        NetError::Timeout => "no server answered in time".to_owned(),
        other => other.to_string(),
    }
}
