// SPDX-License-Identifier: MIT OR Apache-2.0
//! Collects what is wrong while a model is compiled, so that all of it is told at once.

use weirgate_store::wire::{Problem, ProblemCode};

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    /// Notes a value that does not hold.
    pub(super) fn invalid(&mut self, path: impl Into<String>, message: impl std::fmt::Display, help: &str) {
        self.0.push(Problem {
            code: ProblemCode::Invalid,
            path: path.into(),
            message: message.to_string(),
            help: Some(help.to_owned()),
            line: None,
            column: None,
        });
    }

    /// The value, or a note of why there is none.
    pub(super) fn keep<T, E: std::fmt::Display>(&mut self, path: &str, help: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.invalid(path, error, help)).ok()
    }

    /// The value if nothing was wrong.
    pub(super) fn into_result<T>(self, value: T) -> Result<T, Vec<Problem>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}
