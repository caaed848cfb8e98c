// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each policy would do with a request, as phrases, by the code that does it. No limit is charged and nobody is
//! asked; the request is changed as it would be, so give it a copy.

use super::{Policy, Reply, Request, Verdict, authenticate, limits};
use crate::fault::Fault;

/// What became of a request at its policies.
#[derive(Debug, Default)]
pub struct Explained {
    /// In running order.
    pub phrases: Vec<String>,
    /// Set if a policy answers, which is the end of its way.
    pub reply: Option<Box<Reply>>,
}

/// What each policy would do, in running order; of a refusal the phrases so far, the last of which says it.
pub fn explain(policies: &[Policy], request: &mut Request<'_>) -> Result<Explained, (Vec<String>, Fault)> {
    let mut explained = Explained::default();
    for (at, policy) in policies.iter().enumerate() {
        let left = policies.len() - at - 1;
        match one(policies, at, policy, request) {
            Ok((phrase, None)) => explained.phrases.push(phrase),
            Ok((phrase, Some(reply))) => {
                explained.phrases.push(format!("{phrase}; {left} more not reached"));
                explained.reply = Some(reply);
                break;
            }
            Err(fault) => {
                explained.phrases.push(format!("{fault}; {left} more not reached"));
                return Err((explained.phrases, fault));
            }
        }
    }
    Ok(explained)
}

type Outcome = Result<(String, Option<Box<Reply>>), Fault>;

fn one(policies: &[Policy], at: usize, policy: &Policy, request: &mut Request<'_>) -> Outcome {
    let name = policy.name();
    let phrase = match policy {
        Policy::AnyOf(_)
        | Policy::ApiKey(_)
        | Policy::Basic(_)
        | Policy::HttpSignature(_)
        | Policy::Jwt(_)
        | Policy::Mtls(_)
        | Policy::OAuth2(_) => authenticate::explain(policy, at, policies, request)?,
        Policy::Authorize(policy) => policy.check(at, request).map(|_| last(policies, request))?,
        Policy::Bots(policy) => policy.check(at, request).map(|_| last(policies, request))?,
        Policy::Cors(cors) => return Ok(answer(name, cors.check(at, request), "lets the browser decide by the reply")),
        Policy::Deprecation(policy) => {
            policy.check(request)?;
            policy.phrase()
        }
        Policy::FixedReply(reply) => return Ok(answer(name, reply.check(at, request), "passes")),
        Policy::ForwardAuth(policy) => policy.explain(request)?,
        Policy::Ip(policy) => policy.check(at, request).map(|_| last(policies, request))?,
        Policy::Methods(policy) => policy.check(at, request).map(|_| last(policies, request))?,
        Policy::IdField(id) => {
            id.check(request);
            format!("{name} writes {}", String::from_utf8_lossy(&id.header))
        }
        Policy::Maintenance(policy) => {
            return Ok(answer(name, policy.check(at, request)?, "lets this client address pass"));
        }
        Policy::Concurrency(_) | Policy::Plan | Policy::Quota(_) | Policy::RateLimit(_) => {
            limits::explain(policies, at, request)?
        }
        Policy::Redirect(redirect) => return Ok(answer(name, redirect.check(at, request)?, "passes")),
        Policy::ReplyHeaders(edits) => format!("{name} {} on the reply", edits.phrase()),
        Policy::RequestHeaders(edits) => {
            edits.apply(&mut request.head.fields);
            format!("{name} {} on the request", edits.phrase())
        }
        Policy::Rewrite(rewrite) => {
            rewrite.check(at, request)?;
            format!("{name} asks the endpoint for {}", sent(request))
        }
        Policy::SecurityHeaders(headers) => format!("{name} {} on the reply", headers.phrase()),
        Policy::Trace(trace) => {
            trace.check(at, request);
            last(policies, request)
        }
    };
    Ok((phrase, None))
}

/// What the policy that was just asked has noted.
fn last(policies: &[Policy], request: &Request<'_>) -> String {
    let consumer = request.identity.consumer.as_deref();
    request.notes.last().map_or_else(String::new, |note| note.phrase(policies, consumer))
}

/// A verdict as a phrase: what it answers, or `else_phrase` if it lets the request pass.
fn answer(name: &str, verdict: Verdict, else_phrase: &str) -> (String, Option<Box<Reply>>) {
    let Verdict::Reply(reply) = verdict else { return (format!("{name} {else_phrase}"), None) };
    let to = reply.fields.named(b"Location").next().map(String::from_utf8_lossy);
    let to = to.map(|to| format!(" and sends the client to {to}")).unwrap_or_default();
    (format!("{name} answers {}{to}", reply.status), Some(reply))
}

fn sent(request: &Request<'_>) -> String {
    let sent = request.head.sent();
    let text = |span| String::from_utf8_lossy(request.head.fields.text(span)).into_owned();
    let query = sent.query.map(|query| format!("?{}", text(query))).unwrap_or_default();
    format!("{}{query} of host {}", text(sent.path), text(sent.authority))
}
