// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies about tokens: from what an operator wrote to keys that are parsed and places to look.
//!
//! Keys that are fetched are asked for by their address and are the same for every policy and every snapshot that names it;
//! nothing is fetched here. Files have been put in place of their names before: a text that is no key set is refused, so the
//! control socket never makes the daemon open a path that a client chose.

use std::sync::Arc;

use weirgate_store::model::{JwtPolicy as Written, OAuth2Policy as OAuth2Written, Secret};

use super::Given;
use crate::config::problems::Problems;
use crate::policy::authenticate::api_key::Source;
use crate::policy::authenticate::jwt::Jwt;
use crate::policy::authenticate::oauth2::OAuth2;
use crate::policy::authenticate::token::bearer::{self, Bearer};
use crate::policy::authenticate::token::cache::Cache;
use crate::policy::authenticate::token::claims::Rules;
use crate::policy::authenticate::token::introspection::{Asked, Holding};
use crate::policy::authenticate::token::key::Key;
use crate::policy::authenticate::token::keys::{KeySource, Keys};
use crate::policy::authenticate::token::{jwks, place, told::Told};
use crate::policy::{JwtPolicy, OAuth2Policy};

pub(super) fn jwt(
    name: Arc<str>,
    written: &Written,
    path: &str,
    given: &Given<'_>,
    problems: &mut Problems,
) -> Option<JwtPolicy> {
    let keys = keys(written, path, given, problems)?;
    let bearer = Bearer {
        name,
        places: places(&written.header, &written.query, &written.cookie),
        is_hidden: written.hide,
        realm: written.realm.as_str().into(),
        challenge: bearer::challenge(&written.realm),
        consumer: written.consumer_claim.as_deref().map(Into::into),
        told: told(&written.headers),
    };
    let algorithms = written.algorithms.as_slice().into();
    let cache = Cache::new(written.cache as usize);
    Some(JwtPolicy(Arc::new(Jwt { bearer, keys, algorithms, rules: rules(written), cache })))
}

pub(super) fn oauth2(
    name: Arc<str>,
    written: &OAuth2Written,
    path: &str,
    given: &Given<'_>,
    problems: &mut Problems,
) -> Option<OAuth2Policy> {
    let secret = secret(&written.client_secret, &format!("{path}.client_secret"), given, problems)?;
    let seconds = |span: weirgate_store::model::Span| i64::try_from(span.0.as_secs()).unwrap_or(i64::MAX);
    let asked = Asked {
        url: written.introspection_url.as_str().into(),
        ca: written.ca.as_deref().map(Into::into),
        client_id: written.client_id.as_str().into(),
        secret: secret.trim_end().into(),
        holding: Holding { active_s: seconds(written.cache), inactive_s: seconds(written.negative_cache) },
    };
    let help = "give the authorities in PEM form, or leave ca out";
    let introspection = problems.keep(&format!("{path}.ca"), help, (given.introspection)(&asked))?;
    let bearer = Bearer {
        name,
        places: places(&written.header, &written.query, &written.cookie),
        is_hidden: written.hide,
        realm: written.realm.as_str().into(),
        challenge: bearer::challenge(&written.realm),
        consumer: written.consumer_claim.as_deref().map(Into::into),
        told: told(&written.headers),
    };
    let rules = Rules {
        issuer: written.issuer.as_deref().map(Into::into),
        audience: written.audience.iter().map(|text| text.as_str().into()).collect(),
        // That it is active the issuer says; this only keeps clocks out of it.
        leeway_s: LEEWAY_S,
        require: Box::default(),
        lifetime_max_s: None,
        scopes: written.scopes_claim.as_deref().map(Into::into),
    };
    let url = written.introspection_url.as_str().into();
    Some(OAuth2Policy(Arc::new(OAuth2 { bearer, introspection, rules, url })))
}

/// What the clock of an issuer may differ by that was asked a moment ago.
const LEEWAY_S: i64 = 60;

fn keys(written: &Written, path: &str, given: &Given<'_>, problems: &mut Problems) -> Option<Arc<Keys>> {
    if let Some(url) = &written.jwks_url {
        let source = KeySource { url: url.as_str().into(), ca: written.ca.as_deref().map(Into::into) };
        let help = "give the authorities in PEM form, or leave ca out";
        return problems.keep(&format!("{path}.ca"), help, (given.keys)(&source));
    }
    let keys = if let Some(text) = &written.jwks {
        let path = format!("{path}.jwks");
        let help =
            "write the JSON text of a key set, or the name of its file where you apply from: { \"keys\": [ … ] }";
        let read = problems.keep(&path, help, jwks::read(text.as_bytes()))?;
        if read.keys.is_empty() {
            let why = read.skipped.first().map_or_else(|| "it is empty".to_owned(), String::clone);
            problems.invalid(path, format!("no key of the set can verify tokens: {why}"), help);
            return None;
        }
        read.keys
    } else if let Some(pem) = &written.public_key {
        let help = "write -----BEGIN PUBLIC KEY----- text, or the name of its file where you apply from";
        vec![problems.keep(&format!("{path}.public_key"), help, Key::pem(pem))?]
    } else {
        let secret = secret(written.secret.as_ref()?, &format!("{path}.secret"), given, problems)?;
        let help = "use a long random secret: `openssl rand -hex 32`";
        vec![problems.keep(&format!("{path}.secret"), help, Key::secret(secret.as_bytes()))?]
    };
    Some(Arc::new(Keys::written(keys)))
}

/// The secret itself.
fn secret(written: &Secret, path: &str, given: &Given<'_>, problems: &mut Problems) -> Option<String> {
    let Some(fingerprint) = written.stored() else { return Some(written.0.clone()) };
    let help = "write the secret again and apply: the state directory has lost it";
    problems.keep(path, help, (given.private_key)(fingerprint))
}

fn places(header: &Option<String>, query: &Option<String>, cookie: &Option<String>) -> Box<[Source]> {
    let header = header.as_ref().map(|name| Source::Header(name.as_bytes().into()));
    let query = query.as_ref().map(|name| Source::Query(name.as_bytes().into()));
    let cookie = cookie.as_ref().map(|name| Source::Cookie(name.as_bytes().into()));
    let places: Box<[_]> = [header, query, cookie].into_iter().flatten().collect();
    if places.is_empty() { Box::new([place::usual()]) } else { places }
}

fn rules(written: &Written) -> Rules {
    let texts = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect();
    let seconds = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    Rules {
        issuer: written.issuer.as_deref().map(Into::into),
        audience: texts(&written.audience),
        leeway_s: seconds(written.leeway.0),
        require: texts(&written.require),
        lifetime_max_s: written.max_lifetime.map(|span| seconds(span.0)),
        scopes: written.scopes_claim.as_deref().map(Into::into),
    }
}

fn told(headers: &std::collections::BTreeMap<String, String>) -> Box<[Told]> {
    let told =
        |(field, claim): (&String, &String)| Told { field: field.as_bytes().into(), claim: claim.as_str().into() };
    headers.iter().map(told).collect()
}
