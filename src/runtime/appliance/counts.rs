// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is used of quotas and plans: taken out for the one who keeps it, shown, and reset.

use weirgate_store::engine::QuotaBlock;
use weirgate_store::model::{Model, Name, PLAN_DEFAULT};
use weirgate_store::wire::{ConsumerUsage, LimitKind, LimitUsage};

use super::Gateway;
use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::policy::Quota;
use crate::policy::plan::{Limit, Part, Usage};
use crate::policy::quota::Moment;
use crate::policy::rate_limit::Per;

/// The block of an owner that has only one.
const ONLY: u32 = 0;

/// The key in it.
const SELF: u64 = 0;

impl Gateway {
    /// What has changed of quotas since the last call.
    pub fn take_counts(&self) -> Vec<QuotaBlock> {
        let now_s = now_s();
        let snapshot = self.snapshot();
        let mut blocks = Vec::new();
        for quota in snapshot.counted.quotas.values() {
            let owner = || quota.table.owner.to_string();
            let forgotten = quota.table.take_forgotten();
            if forgotten > 0 {
                let (quota, keys) = (&quota.name, quota.table.keys());
                tracing::warn!(%quota, keys, forgotten, "more keys than the quota can count: those that used least are forgotten");
            }
            let changed = quota.table.take_changed(now_s).into_iter();
            blocks.extend(changed.map(|(block, counts)| QuotaBlock { owner: owner(), block, counts }));
        }
        let own = self.state().consumers.usages.take_changed();
        let block = |(owner, state)| QuotaBlock { owner, block: ONLY, counts: vec![(SELF, state)] };
        blocks.extend(own.into_iter().map(block));
        blocks
    }

    /// These could not be kept: they are told again.
    pub fn keep_counts_again(&self, blocks: &[QuotaBlock]) {
        let (snapshot, state) = (self.snapshot(), self.state());
        for QuotaBlock { owner, block, .. } in blocks {
            match snapshot.counted.quotas.get(owner.as_str()) {
                Some(quota) => quota.table.keep_again([*block]),
                None => state.consumers.usages.keep_again(owner),
            }
        }
    }

    /// Whether the store has to go on keeping a block; none before the first model runs, when nobody can tell.
    pub fn needs_block(&self, owner: &str, block: u32) -> bool {
        let snapshot = self.snapshot();
        match snapshot.counted.quotas.get(owner) {
            Some(quota) => (block as usize) < quota.table.sets(),
            None => snapshot.is_empty() || self.state().consumers.usages.knows(owner),
        }
    }

    /// What a consumer has used of what it may; `None` if there is none of that name.
    pub fn usage(&self, consumer: &str) -> Option<ConsumerUsage> {
        let snapshot = self.snapshot();
        let (model, usage) = {
            let mut state = self.state();
            (std::sync::Arc::clone(&state.model), state.consumers.usages.of(consumer))
        };
        let plan = plan_name(&model, consumer)?;
        let entitled = snapshot.plans.of(consumer, plan);
        let parts = entitled.iter().flat_map(|plan| &plan.parts);
        let mut limits: Vec<_> = parts.map(|part| own_limit(part, &usage)).collect();
        let mut named: Vec<_> = consumer_quotas(&snapshot).map(|quota| policy_limit(quota, consumer)).collect();
        named.sort_by(|a, b| a.name.cmp(&b.name));
        limits.extend(named);
        let plan = plan.map_or(PLAN_DEFAULT, Name::as_str);
        let plan = snapshot.plans.named.contains_key(plan).then(|| plan.to_owned());
        Some(ConsumerUsage { consumer: consumer.to_owned(), plan, limits })
    }

    /// Forgets what a consumer has used; false if there is none of that name.
    pub fn reset_usage(&self, consumer: &str) -> bool {
        let snapshot = self.snapshot();
        let mut state = self.state();
        if !state.model.consumers.contains_key(consumer) {
            return false;
        }
        state.consumers.usages.of(consumer).reset();
        consumer_quotas(&snapshot).for_each(|quota| quota.table.reset(quota.table.consumer(consumer)));
        true
    }
}

/// The plan that a consumer names; `None` if there is no such consumer.
fn plan_name<'m>(model: &'m Model, consumer: &str) -> Option<Option<&'m Name>> {
    model.consumers.get(consumer).map(|consumer| consumer.plan.as_ref())
}

fn consumer_quotas(snapshot: &Snapshot) -> impl Iterator<Item = &Quota> {
    snapshot.counted.quotas.values().filter(|quota| quota.per == Per::Consumer)
}

fn own_limit(part: &Part, usage: &Usage) -> LimitUsage {
    let limit = part.allows();
    let (kind, left, per, resets_ms) = match &part.limit {
        Limit::Rate { rate, unit, text } => {
            let left = usage.peek_rate(*unit, *rate, clock::since_start_ns());
            let (left, reset_ns) = match left {
                Ok(left) => (left.requests.into(), left.reset_ns),
                Err(retry_ns) => (0, rate.span_ns().saturating_sub(rate.step_ns()).saturating_add(retry_ns)),
            };
            let resets_ms = (reset_ns > 0).then(|| clock::wall_ms() + i64::try_from(reset_ns / 1_000_000).unwrap_or(0));
            (LimitKind::RateLimit, left, text.to_string(), resets_ms)
        }
        Limit::Quota { calendar, .. } => {
            let moment = Moment { now_s: now_s(), window: calendar.at(now_s()) };
            let used = usage.counter(calendar.period()).used(moment);
            let word = calendar.period().word().to_owned();
            (LimitKind::Quota, limit.saturating_sub(used), word, end_ms(moment, used))
        }
        Limit::Concurrency { max } => {
            let left = max.saturating_sub(usage.in_flight());
            (LimitKind::Concurrency, left.into(), "at once".to_owned(), None)
        }
    };
    LimitUsage { name: part.name.to_string(), kind, limit, used: limit.saturating_sub(left), left, per, resets_ms }
}

fn policy_limit(quota: &Quota, consumer: &str) -> LimitUsage {
    let moment = quota.table.moment(now_s());
    let used = quota.table.used(quota.table.consumer(consumer), moment);
    LimitUsage {
        name: quota.name.to_string(),
        kind: LimitKind::Quota,
        limit: quota.requests,
        used,
        left: quota.requests.saturating_sub(used),
        per: quota.table.calendar.period().word().to_owned(),
        resets_ms: end_ms(moment, used),
    }
}

fn end_ms(moment: Moment, used: u64) -> Option<i64> {
    (used > 0).then_some(i64::from(moment.window.end_min) * 60_000)
}

fn now_s() -> i64 {
    clock::wall_ms() / 1000
}
