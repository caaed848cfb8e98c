// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for what an upstream does when it is given too much or its endpoints fail: limits, queue, breaker, retries,
//! second copies, and how urgent requests are. The rules for endpoints and health checks are in `upstream`.

use super::Findings;
use super::listen::not_zero;
use crate::model::{Breaker, Hedge, Name, Retry, RetryCondition, URGENCY_MAX, Upstream, UpstreamLimits};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

/// Most tries after the first: beyond it a retry is a load, not a remedy.
const RETRY_ATTEMPTS_MAX: u32 = 10;

/// Most bytes of a request body that are kept for another try; they are held for every request under way.
const RETRY_BUFFER_MAX: u64 = 16 * 1024 * 1024;

/// Most requests that wait for one upstream.
const QUEUE_MAX: u32 = 100_000;

pub(super) fn check(findings: &mut Findings<'_>) {
    let model = findings.model;
    for (name, upstream) in &model.upstreams {
        retry(findings, name, upstream);
        limits(findings, name, &upstream.limits);
        if let Some(written) = &upstream.breaker {
            breaker(findings, name, written);
        }
        if let Some(written) = &upstream.hedge {
            hedge(findings, name, upstream, written);
        }
    }
    for (name, route) in &model.routes {
        let path = || format!("routes.{}.urgency", quoted(name.as_str()));
        findings.within(path, u64::from(route.urgency), 0, u64::from(URGENCY_MAX));
    }
    for (name, consumer) in &model.consumers {
        let path = || format!("consumers.{}.urgency", quoted(name.as_str()));
        findings.within(path, u64::from(consumer.urgency.unwrap_or_default()), 0, u64::from(URGENCY_MAX));
    }
}

fn at(name: &Name, field: &str) -> String {
    format!("upstreams.{}.{field}", quoted(name.as_str()))
}

fn retry(findings: &mut Findings<'_>, name: &Name, upstream: &Upstream) {
    let Retry { attempts, on, budget, per_try, buffer } = &upstream.retry;
    findings.within(|| at(name, "retry.attempts"), u64::from(*attempts), 0, u64::from(RETRY_ATTEMPTS_MAX));
    findings.within(|| at(name, "retry.budget"), u64::from(budget.0), 0, 100);
    findings.within(|| at(name, "retry.buffer"), buffer.0, 0, RETRY_BUFFER_MAX);
    if *attempts > 0 && on.is_empty() {
        let help = "write on = [\"connect\"], or attempts = 0";
        findings.warn(ProblemCode::Conflict, at(name, "retry.on"), "nothing is a reason to retry", help);
    }
    let Some(per_try) = per_try else { return };
    let path = || at(name, "retry.per_try");
    not_zero(findings, path, *per_try);
    if *attempts == 0 || !on.contains(&RetryCondition::Timeout) {
        let message = "no other try follows one that took too long";
        findings.problem(ProblemCode::Conflict, path(), message, "add \"timeout\" to retry.on, or leave per_try out");
    } else if per_try.0 >= upstream.timeouts.response.0 {
        let message = "timeouts.response passes before it";
        findings.warn(ProblemCode::Conflict, path(), message, "write a time below timeouts.response");
    }
}

fn limits(findings: &mut Findings<'_>, name: &Name, limits: &UpstreamLimits) {
    findings.within(|| at(name, "limits.queue"), u64::from(limits.queue), 0, u64::from(QUEUE_MAX));
    if limits.queue > 0 {
        not_zero(findings, || at(name, "limits.queue_timeout"), limits.queue_timeout);
    }
    let pairs = [
        ("endpoint_requests", limits.endpoint_requests, "requests", limits.requests),
        ("endpoint_connections", limits.endpoint_connections, "connections", limits.connections),
    ];
    for (field, of_one, all_field, of_all) in pairs {
        if of_all > 0 && of_one > of_all {
            let message = format!("{all_field} = {of_all} is reached before it");
            let path = at(name, &format!("limits.{field}"));
            findings.warn(ProblemCode::Conflict, path, message, format!("write a number below {of_all}"));
        }
    }
    let Some(adaptive) = &limits.adaptive else { return };
    let most = u64::from(adaptive.most);
    findings.within(|| at(name, "limits.adaptive.least"), u64::from(adaptive.least), 1, most.max(1));
    if limits.requests > 0 && adaptive.least > limits.requests {
        let message = format!("requests = {} is below the least", limits.requests);
        findings.problem(
            ProblemCode::Conflict,
            at(name, "limits.adaptive.least"),
            message,
            "write least at or below requests",
        );
    }
}

fn breaker(findings: &mut Findings<'_>, name: &Name, breaker: &Breaker) {
    findings.within(|| at(name, "breaker.failure_rate"), u64::from(breaker.failure_rate.0), 0, 100);
    not_zero(findings, || at(name, "breaker.open"), breaker.open);
    if breaker.consecutive_failures == 0 && breaker.failure_rate.0 == 0 {
        let help = "write consecutive_failures = 20, or leave breaker out";
        findings.problem(ProblemCode::Conflict, at(name, "breaker"), "nothing opens this breaker", help);
    }
    if breaker.open_max.0 < breaker.open.0 {
        let help = "write open_max at or above open";
        findings.problem(ProblemCode::Conflict, at(name, "breaker.open_max"), "it is shorter than open", help);
    }
}

fn hedge(findings: &mut Findings<'_>, name: &Name, upstream: &Upstream, hedge: &Hedge) {
    findings.within(|| at(name, "hedge.percentile"), u64::from(hedge.percentile.0), 50, 99);
    not_zero(findings, || at(name, "hedge.after"), hedge.after);
    if upstream.endpoints.len() == 1 && upstream.discovery.is_none() {
        let message = "there is no other endpoint for a second copy";
        findings.warn(ProblemCode::Conflict, at(name, "hedge"), message, "add an endpoint, or leave hedge out");
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::parse_and_check;
    use crate::wire::ProblemCode::{self, BadValue, Conflict};

    /// A setting of an upstream with two endpoints, and what is found: a problem, or a warning that begins with `~`.
    #[track_caller]
    fn check(setting: &str, found: Option<(ProblemCode, &str)>) {
        let endpoints = "[{ address = \"127.0.0.1:1\" }, { address = \"127.0.0.1:2\" }]";
        let text = format!("[upstreams.v]\nendpoints = {endpoints}\n{setting}\n[routes.v]\nupstream = \"v\"\n");
        let seen: Vec<_> = match parse_and_check(&text) {
            Ok((_, warnings)) => warnings.into_iter().map(|p| (p.code, format!("~{}", p.path))).collect(),
            Err(problems) => problems.into_iter().map(|p| (p.code, p.path)).collect(),
        };
        let want: Vec<_> = found
            .into_iter()
            .map(|(code, path)| match path.strip_prefix('~') {
                Some(path) => (code, format!("~upstreams.v.{path}")),
                None => (code, format!("upstreams.v.{path}")),
            })
            .collect();
        assert_eq!(seen, want, "row {setting}");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        check("retry = { attempts = 11 }", Some((BadValue, "retry.attempts")));
        check("retry = { budget = \"101%\" }", Some((BadValue, "retry.budget")));
        check("retry = { buffer = \"17MiB\" }", Some((BadValue, "retry.buffer")));
        check("retry = { buffer = \"64KiB\" }", None);
        check("retry = { per_try = \"1s\" }", Some((Conflict, "retry.per_try")));
        check("retry = { per_try = \"1s\", on = [\"timeout\"], attempts = 0 }", Some((Conflict, "retry.per_try")));
        check("retry = { per_try = \"0s\", on = [\"timeout\"] }", Some((BadValue, "retry.per_try")));
        check("retry = { per_try = \"30s\", on = [\"timeout\"] }", Some((Conflict, "~retry.per_try")));
        check("retry = { per_try = \"1s\", on = [\"timeout\"] }", None);
        check("limits = { queue = 100001 }", Some((BadValue, "limits.queue")));
        check("limits = { queue_timeout = \"0s\" }", Some((BadValue, "limits.queue_timeout")));
        check("limits = { queue = 0, queue_timeout = \"0s\" }", None);
        check("limits = { requests = 10, endpoint_requests = 20 }", Some((Conflict, "~limits.endpoint_requests")));
        check("limits = { endpoint_requests = 20, endpoint_connections = 3, connections = 9 }", None);
        check("limits = { adaptive = { least = 0 } }", Some((BadValue, "limits.adaptive.least")));
        check("limits = { adaptive = { least = 9, most = 8 } }", Some((BadValue, "limits.adaptive.least")));
        check("limits = { requests = 5, adaptive = {} }", Some((Conflict, "limits.adaptive.least")));
        check("limits = { requests = 500, adaptive = {} }", None);
        check("breaker = { consecutive_failures = 0 }", Some((Conflict, "breaker")));
        check("breaker = { failure_rate = \"101%\" }", Some((BadValue, "breaker.failure_rate")));
        check("breaker = { open = \"2m\" }", Some((Conflict, "breaker.open_max")));
        check("breaker = {}", None);
        check("hedge = { percentile = \"49%\" }", Some((BadValue, "hedge.percentile")));
        check("hedge = { percentile = \"100%\" }", Some((BadValue, "hedge.percentile")));
        check("hedge = { after = \"0ms\" }", Some((BadValue, "hedge.after")));
        check("hedge = {}", None);
    }

    #[test]
    fn urgency_has_eight_steps() {
        for (text, is_right) in [
            ("[routes.v]\nupstream = \"v\"\nurgency = 7\n", true),
            ("[routes.v]\nupstream = \"v\"\nurgency = 8\n", false),
            ("[routes.v]\nupstream = \"v\"\n[consumers.c]\nurgency = 0\n", true),
            ("[routes.v]\nupstream = \"v\"\n[consumers.c]\nurgency = 8\n", false),
        ] {
            let text = format!("[upstreams.v]\nendpoints = [{{ address = \"127.0.0.1:1\" }}]\n{text}");
            assert_eq!(parse_and_check(&text).is_ok(), is_right, "row {text}");
        }
    }
}
