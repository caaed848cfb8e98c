// SPDX-License-Identifier: MIT OR Apache-2.0
//! Logs, each with the queue that leads to its writer.

use std::sync::Arc;

use weirgate_store::model::Model;

use super::Given;
use crate::config::problems::Problems;
use crate::observe::log::Log;

pub(super) fn logs(model: &Model, given: &Given<'_>, problems: &mut Problems) -> Vec<Arc<Log>> {
    let mut logs = Vec::new();
    for (name, log) in &model.logs {
        let Some(queue) = (given.queue)(name.as_str()) else { continue };
        match Log::new(name.as_str(), log, queue) {
            Ok(log) => logs.push(Arc::new(log)),
            // Checked before; said again rather than passed over.
            Err(sentence) => problems.invalid(format!("logs.{name}.format"), sentence, "write format = \"json\""),
        }
    }
    logs
}
