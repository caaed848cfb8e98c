// SPDX-License-Identifier: MIT OR Apache-2.0
//! Issued keys of a consumer: made, listed, imported, revoked. They are facts and not configuration: no revision holds
//! them and no rollback revives one.
//!
//! Each step is durable before it counts, and runs to its end even if the caller hangs up.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weirgate_store::engine::{KEYS_LISTED_MAX, StoreError};
use weirgate_store::model::{Kind, Name, Span};
use weirgate_store::wire::{IssuedKey, KeyInfo, KeyList, RotatedKey};

use super::extract::{Asker, Document, Named};
use super::objects::missing;
use super::operation::Operation;
use crate::clock;
use crate::control::refusal::Refusal;
use crate::control::seam::KeyChange;
use crate::control::{Control, to_the_end};

/// Largest text of secrets to import: two million of them fit.
pub const IMPORT_BYTES_MAX: usize = 128 << 20;

/// Secrets that go to the store at a time.
const IMPORT_BATCH: usize = 20_000;

/// Longest line of an import.
const SECRET_BYTES_MAX: usize = 512;

/// Shortest secret, as in the configuration.
const SECRET_BYTES_MIN: usize = 16;

/// How long a key holds after it was rotated, if nobody says.
const OVERLAP_DEFAULT: Duration = Duration::from_secs(86_400);

/// Longest comment of a key.
const COMMENT_BYTES_MAX: usize = 256;

/// What a new key shall be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct IssueRequest {
    /// What it is for.
    comment: String,
    /// How long it holds; for ever if absent.
    expires: Option<Span>,
}

/// How a key is replaced.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RotateRequest {
    /// How long the old key still holds; a day if absent, and never longer than it would have.
    overlap: Option<Span>,
    /// How long the new one holds; for ever if absent.
    expires: Option<Span>,
}

/// How many keys an import added.
#[derive(Debug, Serialize, JsonSchema)]
struct Imported {
    imported: u64,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::look(Method::GET, "/v1/consumers/{name}/keys", "The keys of a consumer", get(list))
            .gives::<KeyList>(),
        Operation::change(
            Method::POST,
            "/v1/consumers/{name}/keys",
            "Issue a key; its secret is shown once",
            post(issue),
        )
        .takes::<IssueRequest>()
        .gives::<IssuedKey>(),
        Operation::change(
            Method::POST,
            "/v1/consumers/{name}/keys/import",
            "Take in keys made elsewhere, one secret a line",
            post(import),
        )
        .takes_text("text/plain; charset=utf-8")
        .gives::<Imported>(),
        Operation::change(
            Method::POST,
            "/v1/consumers/{name}/keys/{id}/rotate",
            "Issue a key in place of another, which holds on for a while; its secret is shown once",
            post(rotate),
        )
        .takes::<RotateRequest>()
        .gives::<RotatedKey>(),
        Operation::change(Method::DELETE, "/v1/consumers/{name}/keys/{id}", "Revoke an issued key", delete(revoke)),
    ]
}

async fn list(State(control): State<Arc<Control>>, Named(name): Named<String>) -> Result<Json<KeyList>, Refusal> {
    let consumer = known(&control, &name)?;
    let issued = control.store.keys(&consumer).await?;
    let truncated = issued.len() >= KEYS_LISTED_MAX;
    let mut keys = declared(&control, &name);
    keys.extend(issued);
    let keys = control.store.with_used(keys).await?;
    Ok(Json(KeyList { keys, truncated }))
}

async fn issue(
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named(name): Named<String>,
    Document(request): Document<IssueRequest>,
) -> Result<Json<IssuedKey>, Refusal> {
    let consumer = known(&control, &name)?;
    if request.comment.len() > COMMENT_BYTES_MAX {
        return Err(Refusal::Malformed(format!("the comment is longer than {COMMENT_BYTES_MAX} bytes")));
    }
    let expires_ms = request.expires.map(|span| after(clock::wall_ms(), span));
    to_the_end(async move {
        let issued = control.store.issue_key(&consumer, &request.comment, expires_ms, clock::wall_ms()).await;
        let issued = issued?;
        let hashes = vec![control.store.keyring().hash_key(issued.secret.as_bytes())];
        let change = KeyChange::Issued { consumer, hashes, expires_ms };
        control.appliance.change_keys(change).await;
        control.audit(asker.author, "key issue", format!("{} of consumer {name}", issued.key.id)).await;
        Ok(Json(issued))
    })
    .await
}

async fn rotate(
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named((name, id)): Named<(String, String)>,
    Document(request): Document<RotateRequest>,
) -> Result<Json<RotatedKey>, Refusal> {
    let consumer = known(&control, &name)?;
    let now_ms = clock::wall_ms();
    let overlap_end_ms = after(now_ms, request.overlap.unwrap_or(Span(OVERLAP_DEFAULT)));
    let expires_ms = request.expires.map(|span| after(now_ms, span));
    if expires_ms.is_some_and(|end| end <= overlap_end_ms) {
        let text = "the new key would end before the old one does; write a shorter overlap or a later end";
        return Err(Refusal::Malformed(text.to_owned()));
    }
    to_the_end(async move {
        let rotated = match control.store.rotate_key(&consumer, &id, overlap_end_ms, expires_ms, now_ms).await {
            Err(StoreError::NoSuchKey { .. }) => return Err(no_key(&control, &name, &id)),
            rotated => rotated?,
        };
        let hashes = vec![control.store.keyring().hash_key(rotated.rotated.secret.as_bytes())];
        // The new one first, so that there is no moment without a key.
        let new = KeyChange::Issued { consumer: consumer.clone(), hashes, expires_ms };
        control.appliance.change_keys(new).await;
        let old = KeyChange::Issued {
            consumer,
            hashes: vec![rotated.replaced.hash],
            expires_ms: rotated.replaced.expires_ms,
        };
        control.appliance.change_keys(old).await;
        let what = format!("{id} of consumer {name} by {}", rotated.rotated.key.id);
        control.audit(asker.author, "key rotate", what).await;
        Ok(Json(rotated.rotated))
    })
    .await
}

fn after(now_ms: i64, span: Span) -> i64 {
    now_ms.saturating_add(i64::try_from(span.0.as_millis()).unwrap_or(i64::MAX))
}

async fn revoke(
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named((name, id)): Named<(String, String)>,
) -> Result<Response, Refusal> {
    let consumer: Name = name.parse().map_err(Refusal::Missing)?;
    to_the_end(async move {
        let revoked = match control.store.revoke_key(&consumer, &id).await {
            Err(StoreError::NoSuchKey { .. }) => return Err(no_key(&control, &name, &id)),
            revoked => revoked?,
        };
        control.appliance.change_keys(KeyChange::Revoked { hash: revoked.hash }).await;
        control.audit(asker.author, "key revoke", format!("{id} of consumer {name}")).await;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

fn no_key(control: &Control, name: &str, id: &str) -> Refusal {
    if declared(control, name).iter().any(|key| key.id == id) {
        return Refusal::Malformed(format!("key {id} stands in the configuration: edit consumer {name} to remove it"));
    }
    Refusal::Missing(format!(
        "consumer {name} has no key {}; GET /v1/consumers/{name}/keys lists them",
        id.escape_debug()
    ))
}

/// Reads as it comes and stores by the batch, so that a million secrets are never in memory at once.
async fn import(
    State(control): State<Arc<Control>>,
    asker: Asker,
    Named(name): Named<String>,
    request: Request,
) -> Result<Json<Imported>, Refusal> {
    let consumer = known(&control, &name)?;
    let mut body = request.into_body().into_data_stream();
    let (mut rest, mut read, mut imported) = (Vec::new(), 0_usize, 0);
    let mut lines = Lines::default();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Refusal::Malformed(format!("the body broke off: {error}")))?;
        read += chunk.len();
        if read > IMPORT_BYTES_MAX {
            return Err(Refusal::TooLarge(format!(
                "at most {IMPORT_BYTES_MAX} bytes at a time; {imported} keys are in"
            )));
        }
        lines.feed(&chunk, &mut rest)?;
        if rest.len() >= IMPORT_BATCH {
            imported += keep(&control, &consumer, std::mem::take(&mut rest)).await?;
        }
    }
    lines.end(&mut rest)?;
    imported += keep(&control, &consumer, rest).await?;
    control.audit(asker.author, "key import", format!("{imported} keys of consumer {name}")).await;
    Ok(Json(Imported { imported }))
}

async fn keep(control: &Arc<Control>, consumer: &Name, secrets: Vec<String>) -> Result<u64, Refusal> {
    if secrets.is_empty() {
        return Ok(0);
    }
    let (control, consumer) = (Arc::clone(control), consumer.clone());
    to_the_end(async move {
        control.store.import_keys(&consumer, &secrets, clock::wall_ms()).await?;
        let keyring = control.store.keyring();
        let hashes: Vec<_> = secrets.iter().map(|secret| keyring.hash_key(secret.as_bytes())).collect();
        drop(secrets);
        let count = hashes.len() as u64;
        control.appliance.change_keys(KeyChange::Issued { consumer, hashes, expires_ms: None }).await;
        Ok(count)
    })
    .await
}

/// Cuts a stream into secrets.
#[derive(Debug, Default)]
struct Lines {
    /// A line whose end has not come.
    open: Vec<u8>,
    number: u64,
}

impl Lines {
    fn feed(&mut self, chunk: &[u8], secrets: &mut Vec<String>) -> Result<(), Refusal> {
        let mut pieces = chunk.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            self.open.extend_from_slice(piece);
            if self.open.len() > SECRET_BYTES_MAX {
                return Err(self.bad(&format!("is longer than {SECRET_BYTES_MAX} bytes")));
            }
            if pieces.peek().is_some() {
                self.end(secrets)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, secrets: &mut Vec<String>) -> Result<(), Refusal> {
        self.number += 1;
        let line = std::mem::take(&mut self.open);
        let Ok(text) = String::from_utf8(line) else { return Err(self.bad("is not text")) };
        let secret = text.trim();
        if secret.is_empty() {
            return Ok(());
        }
        if secret.len() < SECRET_BYTES_MIN || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.bad(&format!("is not a secret of at least {SECRET_BYTES_MIN} visible ASCII characters")));
        }
        secrets.push(secret.to_owned());
        Ok(())
    }

    fn bad(&self, why: &str) -> Refusal {
        Refusal::Malformed(format!("line {} {why}; the lines before it may be in", self.number.max(1)))
    }
}

fn known(control: &Control, name: &str) -> Result<Name, Refusal> {
    let running = control.changes.running();
    let found = running.model.consumers.get_key_value(name).map(|(name, _)| name.clone());
    found.ok_or_else(|| missing(Kind::Consumer, name))
}

/// The keys that stand in the configuration.
fn declared(control: &Control, name: &str) -> Vec<KeyInfo> {
    let running = control.changes.running();
    let keys = running.model.consumers.get(name).into_iter().flat_map(|consumer| &consumer.api_keys);
    keys.map(|key| KeyInfo {
        id: key.hash.as_deref().unwrap_or_default().chars().take(16).collect(),
        consumer: name.to_owned(),
        prefix: key.prefix.clone().unwrap_or_default(),
        created_ms: running.info.time_ms,
        expires_ms: None,
        comment: "from the configuration".to_owned(),
        declared: true,
        last_used_ms: None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::Lines;

    fn cut(chunks: &[&str]) -> Result<Vec<String>, String> {
        let (mut lines, mut secrets) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.feed(chunk.as_bytes(), &mut secrets).map_err(|refusal| refusal.reply().detail)?;
        }
        lines.end(&mut secrets).map_err(|refusal| refusal.reply().detail)?;
        Ok(secrets)
    }

    #[test]
    fn secrets_are_cut_at_line_ends_wherever_the_chunks_end() {
        let want = vec!["secret-number-one-1".to_owned(), "secret-number-two-2".to_owned()];
        assert_eq!(cut(&["secret-number-one-1\nsecret-number-two-2\n"]), Ok(want.clone()));
        assert_eq!(cut(&["secret-num", "ber-one-1\r", "\n\n", "secret-number-two-2"]), Ok(want));
        assert_eq!(cut(&[]), Ok(Vec::new()));
    }

    #[test]
    fn a_bad_line_is_named() {
        let short = cut(&["secret-number-one-1\nshort\n"]).expect_err("too short");
        assert!(short.starts_with("line 2 "), "{short}");
        let long = cut(&[&"x".repeat(600)]).expect_err("too long");
        assert!(long.starts_with("line 1 "), "{long}");
    }
}
