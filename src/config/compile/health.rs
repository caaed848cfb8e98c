// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is asked of endpoints, ready to be asked. Everything that could be wrong was refused by the check of the model.

use std::sync::Arc;

use regex::bytes::RegexBuilder;
use weirgate_store::check::REGEX_BYTES_MAX;
use weirgate_store::model;

use crate::config::snapshot::HealthPlan;
use crate::tls::originate::{Originate, Settings};
use crate::upstream::connect::{ALPN_H2, ALPN_HTTP1};
use crate::upstream::health;
use crate::upstream::health::probe::agent::AgentCheck;
use crate::upstream::health::probe::{
    BodyPattern, Check, CheckTls, GrpcCheck, HttpCheck, ScriptCheck, Statuses, TcpCheck,
};
use crate::upstream::transport::Transport;

/// Whether something is asked that says whether an endpoint lives; an agent alone does not.
pub(super) fn is_checked(upstream: &model::Upstream) -> bool {
    upstream.health.as_ref().is_some_and(|health| {
        let tests = [health.http.is_some(), health.tcp.is_some(), health.tls.is_some(), health.grpc.is_some()];
        health.script.is_some() || tests.contains(&true)
    })
}

pub(super) fn plan(upstream: &model::Upstream, transport: &Transport) -> Option<HealthPlan> {
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
        check: check(written, transport).map(Arc::new),
        agent: written.agent.as_ref().map(agent),
        port: written.port,
        timeout: written.timeout.0,
        rules,
    })
}

fn check(written: &model::Health, transport: &Transport) -> Option<Check> {
    if let Some(http) = &written.http {
        return Some(Check::Http(http_check(http, check_tls(transport, ALPN_HTTP1))));
    }
    if let Some(grpc) = &written.grpc {
        return Some(Check::Grpc(GrpcCheck {
            service: grpc.service.as_str().into(),
            tls: check_tls(transport, ALPN_H2),
        }));
    }
    if let Some(tls) = &written.tls {
        let name = tls.server_name.as_deref();
        // A name of its own is about another certificate than the one that requests get to see.
        let own = if name.is_none() { check_tls(transport, b"") } else { None };
        return own.or_else(|| of_anyone(name)).map(Check::Tls);
    }
    if let Some(script) = &written.script {
        let args = script.args.iter().map(|arg| arg.as_str().into()).collect();
        return Some(Check::Script(ScriptCheck { path: script.path.as_str().into(), args }));
    }
    let bytes = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().into());
    written.tcp.as_ref().map(|tcp| Check::Tcp(TcpCheck { send: bytes(&tcp.send), expect: bytes(&tcp.expect) }))
}

/// The TLS of the upstream, for checks; none if it has none.
fn check_tls(transport: &Transport, protocol: &[u8]) -> Option<CheckTls> {
    transport.tls.as_ref().map(|tls| CheckTls::new(tls, protocol, &transport.recipe))
}

/// A handshake with whoever is there. It cannot fail to be made: the check of the model has seen the name.
fn of_anyone(server_name: Option<&str>) -> Option<CheckTls> {
    let settings =
        Settings { server_name, authorities: None, pins: &[], identity: None, is_verified: false, protocol: b"" };
    let recipe = server_name.unwrap_or_default();
    Originate::new(settings).ok().map(|originate| CheckTls::new(&originate, b"", recipe))
}

fn http_check(written: &model::HttpCheck, tls: Option<CheckTls>) -> HttpCheck {
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
