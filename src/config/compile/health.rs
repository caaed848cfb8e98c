// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is asked of endpoints, ready to be asked. Everything that could be wrong was refused by the check of the model.

use std::sync::Arc;

use regex::bytes::RegexBuilder;
use weirgate_store::check::REGEX_BYTES_MAX;
use weirgate_store::model::{self, UpstreamProtocol};

use crate::config::snapshot::HealthPlan;
use crate::upstream::health;
use crate::upstream::health::probe::agent::AgentCheck;
use crate::upstream::health::probe::{
    BodyPattern, Check, GrpcCheck, HttpCheck, ScriptCheck, ServerNames, Statuses, TcpCheck, TlsCheck,
};

/// Whether something is asked that says whether an endpoint lives; an agent alone does not.
pub(super) fn is_checked(upstream: &model::Upstream) -> bool {
    upstream.health.as_ref().is_some_and(|health| {
        let tests = [health.http.is_some(), health.tcp.is_some(), health.tls.is_some(), health.grpc.is_some()];
        health.script.is_some() || tests.contains(&true)
    })
}

pub(super) fn plan(upstream: &model::Upstream) -> Option<HealthPlan> {
    let written = upstream.health.as_ref()?;
    let rules = health::Rules {
        fall: written.fall,
        rise: written.rise,
        interval: written.interval.0,
        fast: written.fast_interval.map(|span| span.0),
    };
    let agent = |agent: &model::AgentCheck| {
        Arc::new(AgentCheck { port: agent.port, send: agent.send.as_deref().map(Box::from) })
    };
    Some(HealthPlan {
        check: check(written, upstream).map(Arc::new),
        agent: written.agent.as_ref().map(agent),
        port: written.port,
        timeout: written.timeout.0,
        rules,
    })
}

fn check(written: &model::Health, upstream: &model::Upstream) -> Option<Check> {
    let name = || ServerNames(upstream.tls.server_name.as_deref().map(Box::from));
    if let Some(http) = &written.http {
        let is_tls = matches!(upstream.protocol, UpstreamProtocol::Https | UpstreamProtocol::H2);
        return Some(Check::Http(http_check(http, is_tls.then(name))));
    }
    if let Some(grpc) = &written.grpc {
        let is_tls = upstream.protocol == UpstreamProtocol::H2;
        return Some(Check::Grpc(GrpcCheck { service: grpc.service.as_str().into(), tls: is_tls.then(name) }));
    }
    if let Some(tls) = &written.tls {
        return Some(Check::Tls(TlsCheck { names: ServerNames(tls.server_name.as_deref().map(Box::from)) }));
    }
    if let Some(script) = &written.script {
        let args = script.args.iter().map(|arg| arg.as_str().into()).collect();
        return Some(Check::Script(ScriptCheck { path: script.path.as_str().into(), args }));
    }
    let bytes = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().into());
    written.tcp.as_ref().map(|tcp| Check::Tcp(TcpCheck { send: bytes(&tcp.send), expect: bytes(&tcp.expect) }))
}

fn http_check(written: &model::HttpCheck, tls: Option<ServerNames>) -> HttpCheck {
    let pattern = |pattern: &String| {
        // The check of the model has compiled it within the same bound.
        RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build().ok().map(BodyPattern)
    };
    HttpCheck {
        method: written.method.as_str().into(),
        path: written.path.as_str().into(),
        host: written.host.as_deref().map(Box::from),
        fields: written.headers.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect(),
        expect: Statuses::of(&written.expect),
        body: written.body.as_ref().and_then(pattern),
        tls,
    }
}
