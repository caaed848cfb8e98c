// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every way an exchange can fail. One table answers: whose fault, what status, may we try again, what token in the log.
//!
//! `Display` is the operator's sentence; the client gets the fixed title of [`Facts`] and nothing that names an
//! endpoint. Only `response` turns a fault into bytes. Faults are cold: they are built off the fast path.

use std::sync::Arc;
use std::time::Duration;

use Blame::{Client, Endpoint, Operator, Weirgate};
use Retry::{Never, Safe};

/// Who has to change something for this not to happen again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    Client,
    Endpoint,
    Operator,
    Weirgate,
}

/// Whether a request may be sent to an endpoint again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing can have been processed: any request may be sent again.
    Safe,
    /// The endpoint may have processed it: only an idempotent request may be sent again (RFC 9110 section 9.2.2).
    Idempotent,
    /// Sending it again cannot help or is not allowed.
    Never,
}

/// How much of the request an endpoint can have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Nothing,
    Partly,
    Wholly,
}

impl Sent {
    fn retry(self) -> Retry {
        match self {
            Self::Nothing => Safe,
            Self::Partly | Self::Wholly => Retry::Idempotent,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing was sent",
            Self::Partly => "part of the request was sent",
            Self::Wholly => "the whole request was sent",
        }
    }
}

/// Why a caller is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the client certificate has expired")]
    CertificateExpired,
    #[error("the client showed no certificate")]
    CertificateMissing,
    #[error("the client certificate belongs to no consumer")]
    CertificateUnknown,
    #[error("the request carries no credentials")]
    NoCredentials,
    #[error("the request carries no user and password")]
    PasswordMissing,
    #[error("there is no such user, or it has another password")]
    PasswordWrong,
    #[error("the signature does not cover all that it must, or has no nonce")]
    SignatureIncomplete,
    #[error("the request is not signed")]
    SignatureMissing,
    #[error("a signature with this nonce was used before")]
    SignatureReplayed,
    #[error("the signature is too old, of the future, or has expired")]
    SignatureStale,
    #[error("no signature is by a key that is known, for this purpose")]
    SignatureUnknown,
    #[error("the signature is wrong")]
    SignatureWrong,
    #[error("the credentials of the request belong to two consumers")]
    TwoConsumers,
}

impl Refusal {
    fn facts(self) -> Facts {
        let (status, token, title) = match self {
            Self::CertificateExpired => (401, "certificate-expired", "The client certificate has expired"),
            Self::CertificateMissing => (401, "certificate-missing", "No client certificate"),
            Self::CertificateUnknown => (401, "certificate-unknown", "Unknown client certificate"),
            Self::NoCredentials => (401, "no-credentials", "No credentials found in request"),
            Self::PasswordMissing => (401, "password-missing", "No user and password found in request"),
            Self::PasswordWrong => (401, "password-wrong", "Invalid user or password"),
            Self::SignatureIncomplete => (401, "signature-incomplete", "The signature does not cover enough"),
            Self::SignatureMissing => (401, "signature-missing", "The request is not signed"),
            Self::SignatureReplayed => (401, "signature-replayed", "The signature was used before"),
            Self::SignatureStale => (401, "signature-stale", "The signature is not current"),
            Self::SignatureUnknown => (401, "signature-unknown", "Unknown signing key"),
            Self::SignatureWrong => (401, "signature-wrong", "Invalid signature"),
            Self::TwoConsumers => (403, "two-consumers", "The credentials do not belong together"),
        };
        facts(status, Client, Never, token, title)
    }
}

/// A failed exchange.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    // ── the client ──
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    #[error("the request head has more than {limit} bytes or fields")]
    HeadTooLarge { limit: usize },
    #[error("the request target has more than {limit} bytes")]
    TargetTooLong { limit: usize },
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge { limit: u64 },
    #[error("the client did not send a whole request head in {0:?}")]
    HeadTimeout(Duration),
    #[error("the client sent nothing of its request body for {0:?}")]
    BodyTimeout(Duration),
    #[error("the client closed the connection before its request was complete")]
    ClientClosed,
    #[error("the client took nothing of the reply for {0:?}")]
    ClientStalled(Duration),
    #[error("HTTP version not supported")]
    Version,
    #[error("routes match all but the method; they allow {allowed}")]
    Method { allowed: String },
    #[error("the expectation of the client cannot be met; only 100-continue is known")]
    Expectation,
    #[error("no route matches")]
    NoRoute,
    #[error("the host of the request is not served on this TLS connection")]
    Misdirected,
    #[error("policy {policy}: the request carries no API key")]
    CredentialMissing { policy: Arc<str>, challenge: Arc<str> },
    #[error("policy {policy}: the API key is unknown, revoked or expired")]
    CredentialInvalid { policy: Arc<str>, challenge: Arc<str> },
    #[error("policy {policy}: the request carries more than one API key")]
    CredentialRepeated { policy: Arc<str>, challenge: Arc<str> },
    #[error("policy {policy}: the request carries no token")]
    TokenMissing { policy: Arc<str>, challenge: Arc<str> },
    #[error("policy {policy}: {why}")]
    TokenInvalid { policy: Arc<str>, why: Arc<str>, challenge: Arc<str> },
    #[error("policy {policy}: the request carries more than one token")]
    TokenRepeated { policy: Arc<str>, challenge: Arc<str> },
    #[error("policy {policy}: {address} may not call: {why}")]
    AddressRefused { policy: Arc<str>, address: std::net::IpAddr, why: String },
    #[error("policy {policy}: not a welcome caller: {why}")]
    AgentRefused { policy: Arc<str>, why: String },
    #[error("policy {policy}: {method} may not pass; allowed are {allowed}")]
    MethodRefused { policy: Arc<str>, method: Box<str>, allowed: Arc<str> },
    #[error("policy {policy}: somebody has to be known, and nobody is")]
    CallerUnknown { policy: Arc<str>, challenge: Arc<str> },
    #[error("policy {policy}: {why}")]
    ScopeMissing { policy: Arc<str>, challenge: Arc<str>, why: String },
    #[error("policy {policy}: {why}")]
    NotAllowed { policy: Arc<str>, why: String },
    /// Each line of the challenge is one of a method that would do.
    #[error("policy {policy}: {refusal}")]
    Unauthenticated { policy: Arc<str>, refusal: Refusal, challenge: Arc<str> },
    #[error("policy {policy}: as many nonces are remembered as may be")]
    NoncesFull { policy: Arc<str> },
    #[error("policy {policy}: too many passwords wait to be checked")]
    PasswordsFull { policy: Arc<str> },
    #[error("policy {policy}: refused, next allowed in {retry_after:?}")]
    LimitExceeded { policy: Arc<str>, retry_after: Duration },
    #[error("policy {policy}: what is called here has been taken out of service")]
    Gone { policy: Arc<str> },
    #[error("what a policy makes of the request cannot be sent: {0}")]
    Unwritable(&'static str),
    #[error("policy {policy}: the quota is used up, next allowed in {retry_after:?}")]
    QuotaExceeded { policy: Arc<str>, retry_after: Duration },
    /// `shared`: by all callers together, so that this one can do nothing about it.
    #[error("policy {policy}: as many requests are under way as may be")]
    TooManyAtOnce { policy: Arc<str>, shared: bool },
    #[error("{0}")]
    BadGreeting(String),
    #[error("the client did not say in {0:?} what has to come first")]
    GreetingTimeout(Duration),
    #[error("no upstream is meant for {0}")]
    UnknownName(String),
    #[error("the client reset the connection")]
    ClientReset,
    #[error("nothing passed in either direction for {0:?}")]
    TunnelIdle(Duration),
    // ── the endpoints ──
    #[error("policy {policy}: nobody decided: {why}")]
    Undecided { policy: Arc<str>, why: Arc<str>, status: u16 },
    #[error("upstream {upstream} did not answer in the {after:?} that a policy gives it")]
    CallTimeout { upstream: Arc<str>, after: Duration },
    #[error("no endpoint of upstream {upstream} can take a request: {reason}")]
    NoEndpoint { upstream: Arc<str>, reason: String },
    #[error("endpoint {endpoint} refused or failed the connection: {cause}")]
    Connect { endpoint: Arc<str>, cause: String },
    #[error("endpoint {endpoint} did not accept a connection in {after:?}")]
    ConnectTimeout { endpoint: Arc<str>, after: Duration },
    #[error("endpoint {endpoint} closed a kept connection before a byte of reply; {}", sent.words())]
    Stale { endpoint: Arc<str>, sent: Sent },
    #[error("endpoint {endpoint} closed the connection before a byte of reply; {}", sent.words())]
    Closed { endpoint: Arc<str>, sent: Sent },
    #[error("endpoint {endpoint} refused the request before it looked at it (HTTP/2 REFUSED_STREAM)")]
    StreamRefused { endpoint: Arc<str> },
    #[error("endpoint {endpoint} reset the stream before a reply ({reason}); {}", sent.words())]
    StreamReset { endpoint: Arc<str>, reason: Arc<str>, sent: Sent },
    #[error("upstream {upstream} speaks HTTP/2 to its endpoints, and {what} passes only over HTTP/1.1")]
    OnlyHttp1 { upstream: Arc<str>, what: &'static str },
    #[error("endpoint {endpoint} did not answer in {after:?}; {}", sent.words())]
    ReplyTimeout { endpoint: Arc<str>, after: Duration, sent: Sent },
    #[error("endpoint {endpoint} did not answer in the {after:?} that one try may take")]
    TryTimeout { endpoint: Arc<str>, after: Duration },
    #[error("upstream {upstream} is full ({reason}) and its queue, too: {waiting} wait, as many as may")]
    QueueFull { upstream: Arc<str>, reason: String, waiting: u32 },
    #[error(
        "upstream {upstream} is full ({reason}) and no place became free in the {waited:?} that a request may wait"
    )]
    QueueTimeout { upstream: Arc<str>, reason: String, waited: Duration },
    #[error("the circuit breaker of upstream {upstream} is open, for {left:?} more: {reason}")]
    BreakerOpen { upstream: Arc<str>, left: Duration, reason: String },
    /// Not a failure of the exchange: it goes back to the queue.
    #[error("no more connections to endpoint {endpoint} are allowed")]
    ConnectionLimit { endpoint: Arc<str> },
    #[error("endpoint {endpoint} sent a reply that is not HTTP: {what}")]
    BadReply { endpoint: Arc<str>, what: &'static str },
    #[error("endpoint {endpoint} broke off in the middle of a reply: {what}")]
    ReplyCut { endpoint: Arc<str>, what: &'static str },
    #[error("endpoint {endpoint} was drained and its deadline passed; {}", sent.words())]
    CutOff { endpoint: Arc<str>, sent: Sent },
    /// Not a failure of the exchange: what a reply is judged as when the upstream retries on its status.
    #[error("endpoint {endpoint} answered {status}")]
    Answered { endpoint: Arc<str>, status: u16 },
    #[error("endpoint {endpoint} reset the connection")]
    EndpointReset { endpoint: Arc<str> },
    // ── weirgate itself and its operator ──
    #[error("policy {policy}: the issuer of the token cannot be asked")]
    IssuerUnavailable { policy: Arc<str> },
    #[error("a PROXY header is taken from trusted_proxies only, and {0} is none of them")]
    UntrustedProxy(std::net::IpAddr),
    #[error("policy {policy}: the route is under maintenance")]
    Maintenance { policy: Arc<str>, retry_after: Option<Duration> },
    #[error("an operator ended the connection")]
    Killed,
    #[error("weirgate is shutting down")]
    Draining,
    #[error("the limit of {limit} connections is reached")]
    Connections { limit: usize },
    #[error("internal: {0}")]
    Internal(&'static str),
}

/// What the fault table says of one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub status: u16,
    pub blame: Blame,
    pub retry: Retry,
    /// Stable, short, for logs, metrics and filters.
    pub token: &'static str,
    /// The fixed title that the client may read.
    pub title: &'static str,
}

const fn facts(status: u16, blame: Blame, retry: Retry, token: &'static str, title: &'static str) -> Facts {
    Facts { status, blame, retry, token, title }
}

impl Fault {
    /// The same refusal with another challenge, where the fault has one.
    #[must_use]
    pub fn challenged(mut self, by: &Arc<str>) -> Self {
        match &mut self {
            Self::CredentialMissing { challenge, .. }
            | Self::CredentialInvalid { challenge, .. }
            | Self::CredentialRepeated { challenge, .. }
            | Self::TokenMissing { challenge, .. }
            | Self::Unauthenticated { challenge, .. } => *challenge = Arc::clone(by),
            // Its own says what is wrong with the token, which nothing else of its scheme does.
            Self::TokenInvalid { challenge, .. } | Self::TokenRepeated { challenge, .. } => {
                let others = by.lines().filter(|line| !line.starts_with("Bearer "));
                *challenge = std::iter::once(&**challenge).chain(others).collect::<Vec<_>>().join("\n").into();
            }
            _ => {}
        }
        self
    }

    /// Status, blame, whether to try again, token and title.
    pub fn facts(&self) -> Facts {
        match self {
            Self::Malformed(_) => facts(400, Client, Never, "malformed", "The request is malformed"),
            Self::HeadTooLarge { .. } => facts(431, Client, Never, "head-too-large", "Request header fields too large"),
            Self::TargetTooLong { .. } => facts(414, Client, Never, "target-too-long", "URI too long"),
            Self::BodyTooLarge { .. } => facts(413, Client, Never, "body-too-large", "Content too large"),
            Self::HeadTimeout(_) => facts(408, Client, Never, "head-timeout", "Request timeout"),
            Self::BodyTimeout(_) => facts(408, Client, Never, "body-timeout", "Request timeout"),
            Self::ClientClosed => facts(499, Client, Never, "client-closed", "Client closed the request"),
            Self::ClientStalled(_) => facts(499, Client, Never, "client-stalled", "Client stopped reading"),
            Self::Version => facts(505, Client, Never, "version", "HTTP version not supported"),
            Self::Method { .. } => facts(405, Client, Never, "method", "Method not allowed"),
            Self::Expectation => facts(417, Client, Never, "expectation", "Expectation failed"),
            Self::NoRoute => facts(404, Client, Never, "no-route", "Nothing is served here"),
            Self::Misdirected => facts(421, Client, Never, "misdirected", "Misdirected request"),
            Self::CredentialMissing { .. } => facts(401, Client, Never, "key-missing", "No API key found in request"),
            Self::CredentialInvalid { .. } => facts(401, Client, Never, "key-invalid", "Invalid API key"),
            Self::CredentialRepeated { .. } => facts(401, Client, Never, "key-repeated", "Duplicate API key found"),
            Self::TokenMissing { .. } => facts(401, Client, Never, "token-missing", "No token found in request"),
            Self::TokenInvalid { .. } => facts(401, Client, Never, "token-invalid", "Invalid token"),
            Self::TokenRepeated { .. } => facts(401, Client, Never, "token-repeated", "Duplicate token found"),
            Self::AddressRefused { .. } => facts(403, Client, Never, "address-refused", "Forbidden"),
            Self::AgentRefused { .. } => facts(403, Client, Never, "agent-refused", "Forbidden"),
            Self::MethodRefused { .. } => facts(405, Client, Never, "method-refused", "Method not allowed"),
            Self::CallerUnknown { .. } => facts(401, Client, Never, "caller-unknown", "Authentication required"),
            Self::ScopeMissing { .. } => facts(403, Client, Never, "scope-missing", "Insufficient scope"),
            Self::NotAllowed { .. } => facts(403, Client, Never, "not-allowed", "Forbidden"),
            Self::Undecided { status, .. } => undecided(*status),
            Self::CallTimeout { .. } => facts(504, Endpoint, Never, "call-timeout", "Gateway timeout"),
            Self::Unauthenticated { refusal, .. } => refusal.facts(),
            Self::NoncesFull { .. } => facts(503, Operator, Never, "nonces-full", "Service unavailable"),
            Self::PasswordsFull { .. } => facts(503, Operator, Never, "passwords-full", "Service unavailable"),
            Self::LimitExceeded { .. } => facts(429, Client, Never, "limit-exceeded", "Too many requests"),
            Self::Gone { .. } => facts(410, Client, Never, "gone", "This has been taken out of service"),
            Self::Unwritable(_) => facts(400, Client, Never, "unwritable", "The request cannot be passed on"),
            Self::QuotaExceeded { .. } => facts(429, Client, Never, "quota-exceeded", "Quota exceeded"),
            Self::TooManyAtOnce { shared, .. } => too_many_at_once(*shared),
            Self::BadGreeting(_) => facts(400, Client, Never, "bad-greeting", "The request is malformed"),
            Self::GreetingTimeout(_) => facts(408, Client, Never, "greeting-timeout", "Request timeout"),
            Self::UnknownName(_) => facts(421, Client, Never, "unknown-name", "Misdirected request"),
            Self::ClientReset => facts(499, Client, Never, "client-reset", "Client closed the request"),
            Self::TunnelIdle(_) => facts(408, Client, Never, "tunnel-idle", "Request timeout"),
            Self::NoEndpoint { .. } => facts(503, Endpoint, Never, "no-endpoint", "Service unavailable"),
            Self::Connect { .. } => facts(502, Endpoint, Safe, "connect-failed", "Bad gateway"),
            Self::ConnectTimeout { .. } => facts(504, Endpoint, Safe, "connect-timeout", "Gateway timeout"),
            Self::Stale { sent, .. } => facts(502, Endpoint, sent.retry(), "stale-connection", "Bad gateway"),
            Self::Closed { sent, .. } => facts(502, Endpoint, sent.retry(), "endpoint-closed", "Bad gateway"),
            Self::StreamRefused { .. } => facts(502, Endpoint, Safe, "stream-refused", "Bad gateway"),
            Self::StreamReset { sent, .. } => facts(502, Endpoint, sent.retry(), "stream-reset", "Bad gateway"),
            Self::OnlyHttp1 { .. } => facts(501, Operator, Never, "only-http1", "Not implemented"),
            Self::ReplyTimeout { sent, .. } => facts(504, Endpoint, sent.retry(), "reply-timeout", "Gateway timeout"),
            Self::TryTimeout { .. } => facts(504, Endpoint, Retry::Idempotent, "try-timeout", "Gateway timeout"),
            Self::QueueFull { .. } => facts(503, Operator, Never, "queue-full", "Service unavailable"),
            Self::QueueTimeout { .. } => facts(503, Operator, Never, "queue-timeout", "Service unavailable"),
            Self::BreakerOpen { .. } => facts(503, Endpoint, Never, "breaker-open", "Service unavailable"),
            Self::ConnectionLimit { .. } => facts(503, Operator, Safe, "connection-limit", "Service unavailable"),
            Self::BadReply { .. } => facts(502, Endpoint, Never, "bad-reply", "Bad gateway"),
            Self::ReplyCut { .. } => facts(502, Endpoint, Never, "reply-cut", "Bad gateway"),
            Self::CutOff { sent, .. } => facts(503, Operator, sent.retry(), "cut-off", "Service unavailable"),
            Self::Answered { status, .. } => facts(*status, Endpoint, Retry::Idempotent, "answered", "Bad gateway"),
            Self::EndpointReset { .. } => facts(502, Endpoint, Never, "endpoint-reset", "Bad gateway"),
            Self::IssuerUnavailable { .. } => facts(503, Operator, Never, "issuer-unavailable", "Service unavailable"),
            Self::UntrustedProxy(_) => facts(403, Operator, Never, "untrusted-proxy", "Forbidden"),
            Self::Maintenance { .. } => facts(503, Operator, Never, "maintenance", "Under maintenance"),
            Self::Killed => facts(499, Operator, Never, "killed", "Client closed the request"),
            Self::Draining => facts(503, Weirgate, Never, "draining", "Service unavailable"),
            Self::Connections { .. } => facts(503, Operator, Never, "connections", "Service unavailable"),
            Self::Internal(_) => facts(500, Weirgate, Never, "internal", "Internal server error"),
        }
    }
}

/// Nobody decided: a refusal, or a service that is not there, as the operator wants it.
fn undecided(status: u16) -> Facts {
    let title = if status == 503 { "Service unavailable" } else { "Forbidden" };
    facts(status, Endpoint, Never, "undecided", title)
}

/// Where a whole route is full, that is no fault of the client.
fn too_many_at_once(shared: bool) -> Facts {
    match shared {
        true => facts(503, Operator, Never, "too-many-at-once", "Service unavailable"),
        false => facts(429, Client, Never, "too-many-at-once", "Too many requests at once"),
    }
}
