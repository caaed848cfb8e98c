// SPDX-License-Identifier: MIT OR Apache-2.0
//! A gateway and an archive in memory, for the tests of this module: they do what they are asked and remember it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use weirgate_store::diff;
use weirgate_store::model::{Kind, Model};
use weirgate_store::wire::{
    Effects, EndpointHealth, EndpointOverride, EndpointStatus, ExplainReply, ExplainRequest, IssuedKey, KeyInfo,
    Problem, ProblemCode, RevisionInfo, StoreHealth, StoreStatus,
};

use super::seam::{Appliance, Archive, AuditLine, Draft, Kept, KeyAsk, KeyChange, Later, Prepared, Vitals};

/// A listener of this name cannot be bound.
pub(super) const TAKEN: &str = "taken";

/// A gateway that forwards nothing.
#[derive(Debug, Default)]
pub(super) struct Gateway {
    /// Every revision that was run, in order.
    pub(super) ran: Arc<Mutex<Vec<u64>>>,
    pub(super) keys: Mutex<Vec<KeyChange>>,
    pub(super) overrides: Mutex<Vec<(String, EndpointOverride)>>,
}

struct Ready {
    revision: u64,
    ran: Arc<Mutex<Vec<u64>>>,
}

impl Prepared for Ready {
    fn effects(&self) -> Effects {
        Effects { routes_changed: 1, ..Effects::default() }
    }

    fn commit(self: Box<Self>) -> Later<'static, ()> {
        Box::pin(async move { self.ran.lock().expect("whole").push(self.revision) })
    }
}

impl Appliance for Gateway {
    fn prepare(&self, model: Arc<Model>, revision: u64) -> Later<'_, Result<Box<dyn Prepared>, Vec<Problem>>> {
        let ran = Arc::clone(&self.ran);
        Box::pin(async move {
            if model.names(Kind::Listener).contains(&TAKEN) {
                return Err(vec![Problem {
                    code: ProblemCode::Environment,
                    path: format!("listeners.{TAKEN}.address"),
                    message: "the address is in use".to_owned(),
                    help: None,
                    line: None,
                    column: None,
                }]);
            }
            Ok(Box::new(Ready { revision, ran }) as Box<dyn Prepared>)
        })
    }

    fn connections(&self) -> u64 {
        3
    }

    fn vitals(&self) -> Vitals {
        Vitals { connections: 3, connections_max: 100, workers: 2, ..Vitals::default() }
    }

    fn set_override(&self, _: &str, address: &str, set: EndpointOverride) -> Option<EndpointStatus> {
        self.overrides.lock().expect("whole").push((address.to_owned(), set.clone()));
        Some(EndpointStatus {
            address: address.to_owned(),
            health: EndpointHealth::Up,
            reason: String::new(),
            since_ms: 0,
            weight: set.weight.unwrap_or(1),
            configured_weight: 1,
            backup: false,
            in_flight: 0,
            requests: 0,
            errors: 0,
            overridden: Some(set),
        })
    }

    fn explain(&self, request: &ExplainRequest) -> Result<ExplainReply, String> {
        if request.url.is_empty() {
            return Err("the URL is empty".to_owned());
        }
        let verdict = format!("{} {} goes nowhere", request.method, request.url);
        Ok(ExplainReply { revision: 1, steps: Vec::new(), verdict, status: Some(404), route: None, upstream: None })
    }

    fn change_keys(&self, change: KeyChange) -> Later<'_, ()> {
        Box::pin(async move { self.keys.lock().expect("whole").push(change) })
    }
}

/// An archive that forgets everything at the end of the test.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) revisions: Mutex<Vec<(RevisionInfo, Model)>>,
    pub(super) keys: Mutex<Vec<KeyInfo>>,
    pub(super) audit: Mutex<Vec<AuditLine>>,
    /// Nothing more can be kept.
    pub(super) full: AtomicBool,
}

impl Shelf {
    fn room(&self) -> Result<(), String> {
        if self.full.load(Ordering::Relaxed) { Err("the disk is full".to_owned()) } else { Ok(()) }
    }

    fn add_key(&self, consumer: &str, comment: String, expires_ms: Option<i64>) -> (KeyInfo, [u8; 32]) {
        let mut keys = self.keys.lock().expect("whole");
        let number = u8::try_from(keys.len() + 1).expect("few keys");
        let key = KeyInfo {
            id: format!("{number:016x}"),
            consumer: consumer.to_owned(),
            prefix: "wg_test".to_owned(),
            created_ms: 0,
            expires_ms,
            comment,
            declared: false,
        };
        keys.push(key.clone());
        (key, [number; 32])
    }
}

impl Archive for Shelf {
    fn seal(&self, model: Model) -> Result<Model, Vec<Problem>> {
        Ok(model)
    }

    fn append(&self, draft: Draft) -> Later<'_, Result<Kept, String>> {
        Box::pin(async move {
            self.room()?;
            let (added, changed, removed) = diff::counts(&draft.diff);
            let Draft { number, model, author, comment, .. } = draft;
            let info = RevisionInfo { number, time_ms: 1, author, comment, added, changed, removed };
            self.revisions.lock().expect("whole").insert(0, (info.clone(), Model::clone(&model)));
            Ok(Kept { info, warning: None })
        })
    }

    fn history(&self) -> Later<'_, Vec<RevisionInfo>> {
        let infos = self.revisions.lock().expect("whole").iter().map(|(info, _)| info.clone()).collect();
        Box::pin(async move { infos })
    }

    fn revision(&self, number: u64) -> Later<'_, Option<Model>> {
        let revisions = self.revisions.lock().expect("whole");
        let model = revisions.iter().find(|(info, _)| info.number == number).map(|(_, model)| model.clone());
        Box::pin(async move { model })
    }

    fn issue_key(&self, ask: KeyAsk) -> Later<'_, Result<(IssuedKey, [u8; 32]), String>> {
        Box::pin(async move {
            self.room()?;
            let (key, hash) = self.add_key(&ask.consumer, ask.comment, ask.expires_ms);
            Ok((IssuedKey { secret: "wg_test_secret".to_owned(), key }, hash))
        })
    }

    fn import_keys(&self, consumer: Arc<str>, secrets: Vec<String>) -> Later<'_, Result<Vec<[u8; 32]>, String>> {
        Box::pin(async move {
            self.room()?;
            Ok(secrets.iter().map(|_| self.add_key(&consumer, "imported".to_owned(), None).1).collect())
        })
    }

    fn revoke_key(&self, consumer: Arc<str>, id: String) -> Later<'_, Result<Option<[u8; 32]>, String>> {
        Box::pin(async move {
            let mut keys = self.keys.lock().expect("whole");
            let at = keys.iter().position(|key| key.id == id && key.consumer == *consumer);
            Ok(at.map(|at| {
                let number = u8::from_str_radix(&keys.remove(at).id, 16).expect("small");
                [number; 32]
            }))
        })
    }

    fn keys(&self, consumer: Arc<str>) -> Later<'_, Result<Vec<KeyInfo>, String>> {
        let keys = self.keys.lock().expect("whole");
        let own = keys.iter().filter(|key| key.consumer == *consumer).cloned().collect();
        Box::pin(async move { Ok(own) })
    }

    fn put_override(&self, _: String, _: String, _: EndpointOverride) -> Later<'_, Result<(), String>> {
        Box::pin(async move { self.room() })
    }

    fn audit(&self, line: AuditLine) -> Later<'_, Result<(), String>> {
        self.audit.lock().expect("whole").insert(0, line);
        Box::pin(async { Ok(()) })
    }

    fn audit_lines(&self, count: usize) -> Later<'_, Result<Vec<AuditLine>, String>> {
        let lines = self.audit.lock().expect("whole").iter().take(count).cloned().collect();
        Box::pin(async move { Ok(lines) })
    }

    fn status(&self) -> Later<'_, StoreStatus> {
        Box::pin(async { StoreStatus { health: StoreHealth::Ok, message: "in memory".to_owned() } })
    }
}
