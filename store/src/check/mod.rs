// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules that a model must keep beyond the types of its fields: references, values that make no sense, things
//! that contradict each other. Problems refuse a change; warnings only tell.
//!
//! Pure: nothing is read, bound or resolved here. What needs the machine (a port in use, a key that does not fit its
//! certificate) is for the daemon's compile step. No problem stops the search for the next.

mod balance;

mod discovery;

mod gate;

mod health;

mod listen;

mod log;

mod overload;

mod route;

mod spelling;

mod split;

mod sticky;

mod transport;

mod upstream;

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::model::{Kind, Model, Name};
use crate::parse::PROBLEMS_MAX;
use crate::parse::place::quoted;
use crate::suggest;
use crate::wire::{Problem, ProblemCode};

pub use log::{TemplatePart, template_parts};
pub use spelling::{REGEX_BYTES_MAX, regex};

/// Most warnings in one report.
pub const WARNINGS_MAX: usize = 200;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The model cannot be applied while there is one.
    pub problems: Vec<Problem>,
    /// Allowed, and probably not meant.
    pub warnings: Vec<Problem>,
}

/// Names that exist although their objects could not be read.
#[derive(Clone, Debug, Default)]
pub struct Declared(BTreeSet<(Kind, String)>);

impl Declared {
    pub fn add(&mut self, kind: Kind, name: &str) {
        self.0.insert((kind, name.to_owned()));
    }
}

/// Holds a model against all rules.
pub fn check(model: &Model) -> Report {
    check_declared(model, &Declared::default())
}

/// The same, where the model may lack objects whose names are `declared`.
pub fn check_declared(model: &Model, declared: &Declared) -> Report {
    let mut findings = Findings { model, declared, report: Report::default() };
    listen::check(&mut findings);
    upstream::check(&mut findings);
    overload::check(&mut findings);
    gate::check(&mut findings);
    route::check(&mut findings);
    log::check(&mut findings);
    findings.unused();
    findings.report
}

/// The report under way, and the model it is about.
struct Findings<'a> {
    model: &'a Model,
    declared: &'a Declared,
    report: Report,
}

impl Findings<'_> {
    fn problem(&mut self, code: ProblemCode, path: impl Into<String>, message: impl Display, help: impl Display) {
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(problem(code, path.into(), message, help));
        }
    }

    fn bad(&mut self, path: impl Into<String>, message: impl Display, help: impl Display) {
        self.problem(ProblemCode::BadValue, path, message, help);
    }

    fn warn(&mut self, code: ProblemCode, path: impl Into<String>, message: impl Display, help: impl Display) {
        if self.report.warnings.len() < WARNINGS_MAX {
            self.report.warnings.push(problem(code, path.into(), message, help));
        }
    }

    /// A value that must lie within bounds.
    fn within(&mut self, path: impl FnOnce() -> String, value: u64, least: u64, most: u64) {
        if value < least || value > most {
            self.bad(path(), format!("{value} is out of bounds"), format!("write a number from {least} to {most}"));
        }
    }

    /// A reference to an object by name.
    fn refers(&mut self, path: impl FnOnce() -> String, kind: Kind, name: &Name) {
        let (model, text) = (self.model, name.as_str());
        let exists = match kind {
            Kind::Listener => model.listeners.contains_key(text),
            Kind::Certificate => model.certificates.contains_key(text),
            Kind::Upstream => model.upstreams.contains_key(text),
            Kind::Policy => model.policies.contains_key(text),
            Kind::Route => model.routes.contains_key(text),
            Kind::Consumer => model.consumers.contains_key(text),
            Kind::Log => model.logs.contains_key(text),
        };
        let full = self.report.problems.len() >= PROBLEMS_MAX;
        if exists || full || self.declared.0.contains(&(kind, text.to_owned())) {
            return;
        }
        let help = suggest::help(text, kind.plural(), model.names(kind));
        let message = format!("there is no {} \"{text}\"", kind.singular());
        self.problem(ProblemCode::Dangling, path(), message, help);
    }

    fn unused(&mut self) {
        let model = self.model;
        let served = model.listeners.values().flat_map(|listener| &listener.certificates);
        let shown = model.upstreams.values().filter_map(|upstream| upstream.tls.certificate.as_ref());
        let certificates: BTreeSet<&str> = served.chain(shown).map(Name::as_str).collect();
        let led = model.listeners.values().flat_map(|l| l.upstream.iter().chain(l.sni.values()).chain(l.alpn.values()));
        let routed = model.routes.values().flat_map(split::upstreams);
        let upstreams: BTreeSet<&str> = routed.chain(led).map(Name::as_str).collect();
        let policies: BTreeSet<&str> =
            model.routes.values().flat_map(route::named_policies).map(Name::as_str).collect();
        for (kind, used) in [(Kind::Certificate, certificates), (Kind::Upstream, upstreams), (Kind::Policy, policies)] {
            for name in model.names(kind).into_iter().filter(|name| !used.contains(name)) {
                let path = format!("{}.{}", kind.plural(), quoted(name));
                let message = format!("nothing uses the {} \"{name}\"", kind.singular());
                self.warn(ProblemCode::Dangling, path, message, "use it or delete it");
            }
        }
    }
}

fn problem(code: ProblemCode, path: String, message: impl Display, help: impl Display) -> Problem {
    Problem { code, path, message: message.to_string(), help: Some(help.to_string()), line: None, column: None }
}

#[cfg(test)]
mod tests;
