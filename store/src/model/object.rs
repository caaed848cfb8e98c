// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any one object: what an edit carries and a list shows.

use serde_json::Value;

use super::{Certificate, Consumer, Kind, Listener, Log, Model, Name, Policy, Route, Upstream};

/// One object of one of the seven kinds.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    Listener(Listener),
    Certificate(Certificate),
    /// Boxed: it is several times as large as the others.
    Upstream(Box<Upstream>),
    Policy(Policy),
    Route(Route),
    Consumer(Consumer),
    Log(Log),
}

impl Object {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Listener(_) => Kind::Listener,
            Self::Certificate(_) => Kind::Certificate,
            Self::Upstream(_) => Kind::Upstream,
            Self::Policy(_) => Kind::Policy,
            Self::Route(_) => Kind::Route,
            Self::Consumer(_) => Kind::Consumer,
            Self::Log(_) => Kind::Log,
        }
    }

    /// Puts it into a model, in place of one of the same kind and name.
    pub fn insert_into(self, model: &mut Model, name: Name) {
        match self {
            Self::Listener(object) => drop(model.listeners.insert(name, object)),
            Self::Certificate(object) => drop(model.certificates.insert(name, object)),
            Self::Upstream(object) => drop(model.upstreams.insert(name, *object)),
            Self::Policy(object) => drop(model.policies.insert(name, object)),
            Self::Route(object) => drop(model.routes.insert(name, object)),
            Self::Consumer(object) => drop(model.consumers.insert(name, object)),
            Self::Log(object) => drop(model.logs.insert(name, object)),
        }
    }
}

impl Model {
    /// One object as JSON, in the form of the API.
    pub fn object(&self, kind: Kind, name: &str) -> Option<Value> {
        fn json<T: serde::Serialize>(object: Option<&T>) -> Option<Value> {
            object.and_then(|object| serde_json::to_value(object).ok())
        }
        match kind {
            Kind::Listener => json(self.listeners.get(name)),
            Kind::Certificate => json(self.certificates.get(name)),
            Kind::Upstream => json(self.upstreams.get(name)),
            Kind::Policy => json(self.policies.get(name)),
            Kind::Route => json(self.routes.get(name)),
            Kind::Consumer => json(self.consumers.get(name)),
            Kind::Log => json(self.logs.get(name)),
        }
    }

    /// The names of all objects of a kind, in order.
    pub fn names(&self, kind: Kind) -> Vec<&str> {
        match kind {
            Kind::Listener => self.listeners.keys().map(Name::as_str).collect(),
            Kind::Certificate => self.certificates.keys().map(Name::as_str).collect(),
            Kind::Upstream => self.upstreams.keys().map(Name::as_str).collect(),
            Kind::Policy => self.policies.keys().map(Name::as_str).collect(),
            Kind::Route => self.routes.keys().map(Name::as_str).collect(),
            Kind::Consumer => self.consumers.keys().map(Name::as_str).collect(),
            Kind::Log => self.logs.keys().map(Name::as_str).collect(),
        }
    }

    /// Removes one object; false if there is none of that name.
    pub fn remove(&mut self, kind: Kind, name: &str) -> bool {
        match kind {
            Kind::Listener => self.listeners.remove(name).is_some(),
            Kind::Certificate => self.certificates.remove(name).is_some(),
            Kind::Upstream => self.upstreams.remove(name).is_some(),
            Kind::Policy => self.policies.remove(name).is_some(),
            Kind::Route => self.routes.remove(name).is_some(),
            Kind::Consumer => self.consumers.remove(name).is_some(),
            Kind::Log => self.logs.remove(name).is_some(),
        }
    }
}
