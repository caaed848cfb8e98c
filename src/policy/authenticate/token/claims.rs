// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the claims of a token must say to count here (RFC 7519 section 4.1), and for how long they do.
//!
//! A claim of the wrong type is a malformed token and never an absent claim. Times are seconds, perhaps with a fraction;
//! `leeway_s` is what clocks may differ by, on either side.

use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::policy::Claims;

/// The rules of one policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    pub issuer: Option<Box<str>>,
    /// One of these; any if empty.
    pub audience: Box<[Box<str>]>,
    pub leeway_s: i64,
    /// Claims that must be there.
    pub require: Box<[Box<str>]>,
    /// From `iat`, or from now where there is none, to `exp`.
    pub lifetime_max_s: Option<i64>,
    /// Where scopes are; in `scope` or `scp` if absent.
    pub scopes: Option<Box<str>>,
}

/// Times beyond this are no times: a million years.
const SECONDS_MAX: f64 = 31_556_952_000_000.0;

impl Rules {
    /// Holds claims against the rules.
    ///
    /// # Errors
    /// Why they do not count.
    pub fn check(&self, claims: &Map<String, Value>, now_s: i64) -> Result<i64, Refusal> {
        if let Some(missing) = self.require.iter().find(|name| claims.get(&***name).is_none_or(Value::is_null)) {
            return Err(Refusal::Missing(missing.clone()));
        }
        let until = self.times(claims, now_s)?;
        if let Some(issuer) = &self.issuer
            && text(claims, "iss")? != Some(&**issuer)
        {
            return Err(Refusal::Issuer);
        }
        if !self.audience.is_empty() && !self.is_for_us(claims)? {
            return Err(Refusal::Audience);
        }
        Ok(until)
    }

    fn times(&self, claims: &Map<String, Value>, now_s: i64) -> Result<i64, Refusal> {
        let (expires, begins, issued) = (seconds(claims, "exp")?, seconds(claims, "nbf")?, seconds(claims, "iat")?);
        let until = expires.map_or(i64::MAX, |expires| expires.saturating_add(self.leeway_s));
        if now_s >= until {
            return Err(Refusal::Expired);
        }
        let latest = now_s.saturating_add(self.leeway_s);
        if begins.is_some_and(|begins| begins > latest) || issued.is_some_and(|issued| issued > latest) {
            return Err(Refusal::Early);
        }
        if let Some(most) = self.lifetime_max_s {
            let expires = expires.ok_or_else(|| Refusal::Missing("exp".into()))?;
            if expires.saturating_sub(issued.unwrap_or(now_s)) > most {
                return Err(Refusal::Lifetime);
            }
        }
        Ok(until)
    }

    /// Whether one of those whom a token is meant for is one of ours.
    fn is_for_us(&self, claims: &Map<String, Value>) -> Result<bool, Refusal> {
        let is_ours = |name: &str| self.audience.iter().any(|ours| **ours == *name);
        match claims.get("aud") {
            None => Ok(false),
            Some(Value::String(name)) => Ok(is_ours(name)),
            Some(Value::Array(names)) => {
                let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
                Ok(names.ok_or(Refusal::Malformed)?.into_iter().any(is_ours))
            }
            Some(_) => Err(Refusal::Malformed),
        }
    }

    /// The claims as other policies see them.
    pub fn told(&self, all: Map<String, Value>) -> Claims {
        let scopes = match &self.scopes {
            Some(path) => find(&all, path),
            None => all.get("scope").or_else(|| all.get("scp")),
        };
        let scopes = match scopes {
            Some(Value::String(text)) => text.split_ascii_whitespace().map(Into::into).collect(),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(Into::into).collect(),
            _ => Box::default(),
        };
        let subject = all.get("sub").and_then(Value::as_str).map(Into::into);
        Claims { subject, scopes, all }
    }
}

/// A claim by its name, or inside another by a JSON Pointer (RFC 6901), which begins with a slash.
pub fn find<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    let Some(pointer) = path.strip_prefix('/') else { return claims.get(path) };
    let (first, rest) = pointer.split_once('/').map_or((pointer, None), |(first, rest)| (first, Some(rest)));
    let outer = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    match rest {
        Some(rest) => outer.pointer(&format!("/{rest}")),
        None => Some(outer),
    }
}

fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Result<Option<&'c str>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::Malformed),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "bounded by SECONDS_MAX, and a fraction of a second is none")]
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| seconds.abs() < SECONDS_MAX).ok_or(Refusal::Malformed)?;
    Ok(Some(seconds.floor() as i64))
}
