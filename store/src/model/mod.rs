// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an operator writes: seven kinds of named objects. The field names here are the ones in the file, the API, the
//! console and the docs.
//!
//! These are plain records: serde reads and writes them, `parse` finds all mistakes of a text at once, `check` the
//! ones that span records. Nothing here is read on the request path; `config::compile` turns a [`Model`] into what is.

mod certificate;

mod consumer;

mod listener;

mod log;

mod object;

mod or_true;

mod policy;

mod route;

mod unit;

mod upstream;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use certificate::{Certificate, CertificateKey, PEM, STORED};
pub use consumer::{ApiKey, Consumer};
pub use listener::{Listener, ListenerLimits, ListenerProtocol, ListenerTimeouts};
pub use log::{
    LOG_FIELDS_DEFAULT, Log, LogField, LogFile, LogFilter, LogFormat, LogOtlp, LogSink, LogSyslog, StatusRange,
};
pub use object::Object;
pub use policy::{ApiKeyPolicy, FieldEdits, LimitKey, Policy, PolicyRef, RESERVED_FIELDS, RateLimitPolicy};
pub use route::{
    Canary, HostPattern, Match, Mirror, OnTrouble, PathPattern, Route, Side, URGENCY_DEFAULT, URGENCY_MAX, ValueMatch,
};
pub use unit::{ByteSize, NAME_BYTES_MAX, Name, Percent, Rate, Span};
pub use upstream::{
    Adaptive, AgentCheck, Balance, Breaker, CertificateCheck, DiscoverFile, DiscoverLease, Discovery, Endpoint,
    GrpcCheck, Hash, HashKey, Health, Hedge, HttpCheck, KETAMA_POINTS, Learn, Outlier, PRIORITY_MAX, Pool,
    ProxyProtocol, Retry, RetryCondition, ScriptCheck, Sticky, StickyCookie, TcpCheck, TlsCheck, Upstream,
    UpstreamLimits, UpstreamProtocol, UpstreamTimeouts, UpstreamTls, WEIGHT_MAX, Zone,
};

/// The whole configuration: every object of every kind, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub listeners: BTreeMap<Name, Listener>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<Name, Certificate>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub upstreams: BTreeMap<Name, Upstream>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<Name, Policy>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<Name, Route>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub consumers: BTreeMap<Name, Consumer>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub logs: BTreeMap<Name, Log>,
}

/// The seven kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Listener,
    Certificate,
    Upstream,
    Policy,
    Route,
    Consumer,
    Log,
}

impl Kind {
    /// All kinds in the order of the file.
    pub const ALL: [Self; 7] =
        [Self::Listener, Self::Certificate, Self::Upstream, Self::Policy, Self::Route, Self::Consumer, Self::Log];

    /// The name of one, as in `weirgate route show`.
    pub fn singular(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Certificate => "certificate",
            Self::Upstream => "upstream",
            Self::Policy => "policy",
            Self::Route => "route",
            Self::Consumer => "consumer",
            Self::Log => "log",
        }
    }

    /// The name of the collection, as in the file and in `/v1/routes`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Listener => "listeners",
            Self::Certificate => "certificates",
            Self::Upstream => "upstreams",
            Self::Policy => "policies",
            Self::Route => "routes",
            Self::Consumer => "consumers",
            Self::Log => "logs",
        }
    }

    /// The kind whose collection has that name.
    pub fn of_plural(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == name)
    }
}
