// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole gateway in this process, on free ports, configured by the text that an operator would write.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use weirgate::listener::handover::Adopted;
use weirgate::policy::hash_of;
use weirgate::runtime::appliance::{Gateway, Remembered, Traffic};
use weirgate_store::model::Model;
use weirgate_store::parse::parse_and_check;
use weirgate_store::wire::{EndpointOverride, ExchangeRecord, ExplainReply, ExplainRequest, OverrideMode, Problem};

use super::client::{Client, Reply};
use super::wait_until;

/// What hashes of keys are keyed with in tests.
pub(crate) const KEY_SECRET: [u8; 32] = [7; 32];

/// Two, so that whatever must hold across workers is tested across workers.
const WORKERS: usize = 2;

/// The listener that most tests use.
pub(crate) const WEB: &str = "[listeners.web]\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\n";

/// A running gateway; dropping it ends it.
pub(crate) struct Running {
    runtime: Runtime,
    pub(crate) gateway: Arc<Gateway>,
    revision: AtomicU64,
}

/// A configuration with one route to endpoints at these addresses.
pub(crate) fn to_endpoints(addresses: &[SocketAddr]) -> String {
    format!("{WEB}{}[routes.all]\nupstream = \"shop\"\n", upstream("shop", addresses))
}

/// The text of an upstream.
pub(crate) fn upstream(name: impl Display, addresses: &[SocketAddr]) -> String {
    let endpoints: Vec<_> = addresses.iter().map(|address| format!("{{ address = \"{address}\" }}")).collect();
    format!("[upstreams.{name}]\nendpoints = [{}]\n", endpoints.join(", "))
}

/// The model of a text, its secrets hashed as the daemon does it.
#[track_caller]
pub(crate) fn model(toml: &str) -> Model {
    let (mut model, _warnings) = parse_and_check(toml).unwrap_or_else(|problems| panic!("{problems:#?}\n{toml}"));
    for key in model.consumers.values_mut().flat_map(|consumer| &mut consumer.api_keys) {
        if let Some(secret) = key.secret.take() {
            let hash = hash_of(&KEY_SECRET, secret.as_bytes());
            key.hash = Some(hash.iter().map(|byte| format!("{byte:02x}")).collect());
        }
    }
    for user in model.consumers.values_mut().flat_map(|consumer| &mut consumer.basic) {
        if let Some(password) = user.password.take() {
            let hash = weirgate_store::engine::hash_password(&KEY_SECRET, &user.user, &password);
            user.hash = Some(hash.expect("there is memory").to_string());
        }
    }
    model
}

impl Running {
    /// Starts a gateway with this configuration.
    #[track_caller]
    pub(crate) fn start(toml: &str) -> Self {
        Self::remembering(toml, |_| {})
    }

    /// Starts a gateway that knows something from before, or is set up otherwise.
    #[track_caller]
    pub(crate) fn remembering(toml: &str, set: impl FnOnce(&mut Remembered)) -> Self {
        Self::made(WORKERS, toml, set)
    }

    /// Starts a gateway with so many workers.
    #[track_caller]
    pub(crate) fn with_workers(workers: usize, toml: &str) -> Self {
        Self::made(workers, toml, |_| {})
    }

    #[track_caller]
    fn made(workers: usize, toml: &str, set: impl FnOnce(&mut Remembered)) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let mut remembered = Remembered {
            sockets: Adopted::default(),
            private_keys: Box::new(|_| Err("no key is stored".to_owned())),
            key_secret: KEY_SECRET,
            issued: Default::default(),
            health: HashMap::new(),
            overrides: HashMap::new(),
            discovery: Default::default(),
            traffic: Traffic::default(),
            key_sets: Vec::new(),
        };
        set(&mut remembered);
        let gateway = runtime.block_on(async { Gateway::start(workers, remembered) }).expect("workers start");
        let running = Self { runtime, gateway, revision: AtomicU64::new(0) };
        running.apply(toml);
        running
    }

    /// A gateway in front of one endpoint.
    #[track_caller]
    pub(crate) fn before(origin: &super::origin::Origin) -> Self {
        Self::start(&to_endpoints(&[origin.address()]))
    }

    /// Runs another configuration.
    #[track_caller]
    pub(crate) fn apply(&self, toml: &str) {
        let revision = self.revision.fetch_add(1, Ordering::SeqCst) + 1;
        let ready = self.prepare(model(toml), revision);
        self.runtime.block_on(ready.commit());
    }

    #[track_caller]
    fn prepare(&self, model: Model, revision: u64) -> weirgate::runtime::appliance::Ready {
        let _entered = self.runtime.enter();
        self.gateway.prepare(Arc::new(model), revision).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    /// What is wrong with a configuration that only the machine refuses.
    #[track_caller]
    pub(crate) fn refused(&self, toml: &str) -> Vec<Problem> {
        let _entered = self.runtime.enter();
        self.gateway.prepare(Arc::new(model(toml)), u64::MAX).err().expect("it is refused")
    }

    /// Runs a future to its end.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Begins to drain, and says when that is over.
    pub(crate) fn begin_drain(&self, limit: Duration) -> tokio::task::JoinHandle<()> {
        let gateway = Arc::clone(&self.gateway);
        let draining = self.runtime.spawn(async move { gateway.drain(limit).await });
        wait_until("the gateway drains", || self.gateway.is_draining());
        draining
    }

    /// Sets an endpoint aside or takes it back.
    #[track_caller]
    pub(crate) fn set_mode(&self, upstream: &str, address: SocketAddr, mode: OverrideMode) {
        let (owner, reason) = ("test".to_owned(), "a test".to_owned());
        let set = EndpointOverride { mode, weight: None, owner, reason, since_ms: 0, ..EndpointOverride::default() };
        assert!(self.gateway.set_override(upstream, &address.to_string(), set), "there is no {address} in {upstream}");
    }

    /// Gives an endpoint another weight.
    #[track_caller]
    pub(crate) fn set_weight(&self, upstream: &str, address: SocketAddr, weight: u32) {
        let (owner, reason) = ("test".to_owned(), "a test".to_owned());
        let set = EndpointOverride { weight: Some(weight), owner, reason, ..EndpointOverride::default() };
        assert!(self.gateway.set_override(upstream, &address.to_string(), set), "there is no {address} in {upstream}");
    }

    /// What would happen to a request.
    #[track_caller]
    pub(crate) fn explain(&self, request: &ExplainRequest) -> ExplainReply {
        weirgate::control::seam::Appliance::explain(&*self.gateway, request).expect("it is understood")
    }

    /// The address of the listener `web`.
    #[track_caller]
    pub(crate) fn web(&self) -> SocketAddr {
        self.gateway.bound("web").expect("there is a listener of that name")
    }

    /// A connection to the listener `web`.
    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::to(self.web())
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, request: &str) -> Reply {
        Client::ask(self.web(), request)
    }

    /// A GET on a connection of its own.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask(&super::client::get(path))
    }

    /// The record of the one request that `ask` makes.
    pub(crate) fn record_of(&self, ask: impl FnOnce()) -> Arc<ExchangeRecord> {
        let observer = self.gateway.observer();
        // An exchange is recorded just after its client has the last byte: one before this must not be taken for it.
        wait_until("what was asked before is recorded", || observer.meters.total().sum().in_flight == 0);
        let mut watch = observer.tap.watch(weirgate::observe::Filter::default()).unwrap();
        ask();
        self.block_on(watch.next()).unwrap()
    }

    /// The records of failed exchanges so far, newest first.
    pub(crate) fn failures(&self) -> Vec<Arc<ExchangeRecord>> {
        self.gateway.observer().tap.failures()
    }

    /// The record of a failed exchange with this token; waits for it.
    #[track_caller]
    pub(crate) fn failure(&self, token: &str) -> Arc<ExchangeRecord> {
        let has = |record: &&Arc<ExchangeRecord>| record.fault.as_deref() == Some(token);
        let start = weirgate::clock::now();
        loop {
            let failures = self.failures();
            if let Some(record) = failures.iter().find(has) {
                return Arc::clone(record);
            }
            let tokens: Vec<_> = failures.iter().map(|record| record.fault.clone()).collect();
            assert!(weirgate::clock::now() - start < Duration::from_secs(5), "no {token} among {tokens:?}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.runtime.block_on(self.gateway.drain(Duration::ZERO));
    }
}
