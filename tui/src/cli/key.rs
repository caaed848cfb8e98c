// SPDX-License-Identifier: MIT OR Apache-2.0
//! `key issue`, `rotate`, `list`, `revoke` and `import`. A secret is printed once, when it is issued, and never again.
//!
//! Keys are facts about the world and not configuration: no revision is made, and a rollback revives none.

use http::Method;
use serde_json::{Value, json};
use weirgate_store::clock;
use weirgate_store::model::Kind;
use weirgate_store::suggest;
use weirgate_store::wire::{IssuedKey, KeyInfo, KeyList, RotatedKey};

use super::args::{KeyVerb, WriteArgs};
use super::human;
use super::line::Style;
use super::object::find;
use super::table::Table;
use super::terminal::{Failure, Terminal, read};
use crate::client::segment;

pub(crate) async fn run(t: &mut Terminal<'_>, verb: &KeyVerb) -> Result<(), Failure> {
    match verb {
        KeyVerb::Issue { consumer, expires, write } => {
            let expires = expires.map(|span| span.to_string());
            issue(t, consumer, expires.as_deref(), write).await
        }
        KeyVerb::Rotate { consumer, id, overlap, expires, write } => {
            let mut body = json!({ "overlap": overlap.to_string() });
            if let (Some(expires), Some(members)) = (expires, body.as_object_mut()) {
                members.insert("expires".to_owned(), expires.to_string().into());
            }
            rotate(t, consumer, id, &body, write).await
        }
        KeyVerb::List { consumer } => list(t, consumer).await,
        KeyVerb::Revoke { consumer, id, write } => revoke(t, consumer, id, write).await,
        KeyVerb::Import { consumer, file, write } => {
            let text = read(file)?;
            import(t, consumer, text, write).await
        }
    }
}

fn path(consumer: &str) -> String {
    format!("/v1/consumers/{}/keys", segment(consumer))
}

async fn issue(t: &mut Terminal<'_>, consumer: &str, expires: Option<&str>, write: &WriteArgs) -> Result<(), Failure> {
    find(t, Kind::Consumer, consumer).await?;
    if write.dry_run {
        return t.say(&[format!("+ a key for {consumer}, until {}", expires.unwrap_or("it is revoked")).into()]);
    }
    let mut body = json!({ "comment": write.comment.as_deref().unwrap_or_default() });
    if let (Some(expires), Some(members)) = (expires, body.as_object_mut()) {
        members.insert("expires".to_owned(), expires.into());
    }
    let issued: IssuedKey = t.client.send(Method::POST, &path(consumer), Some(&body)).await?;
    if t.json {
        return t.document(&issued);
    }
    t.say(&[issued.secret.as_str().into()])?;
    let id = issued.key.id;
    t.note(&[Style::Dim.of(format!("key {id} of {consumer}; keep the secret now, it is not shown again"))])
}

async fn rotate(
    t: &mut Terminal<'_>,
    consumer: &str,
    id: &str,
    body: &Value,
    write: &WriteArgs,
) -> Result<(), Failure> {
    find(t, Kind::Consumer, consumer).await?;
    if write.dry_run {
        return t.say(&[format!("+ a key for {consumer} in place of {id}").into()]);
    }
    let path = format!("{}/{}/rotate", path(consumer), segment(id));
    let rotated: RotatedKey = t.client.send(Method::POST, &path, Some(body)).await?;
    if t.json {
        return t.document(&rotated);
    }
    t.say(&[rotated.secret.as_str().into()])?;
    let end =
        rotated.replaced.expires_ms.map_or_else(|| "it is revoked".to_owned(), |at| human::date_time(at, &t.zone));
    let new = rotated.key.id;
    t.note(&[Style::Dim.of(format!("key {new} of {consumer}; keep the secret now, it is not shown again"))])?;
    t.note(&[Style::Dim.of(format!("key {id} still holds until {end}"))])
}

async fn list(t: &mut Terminal<'_>, consumer: &str) -> Result<(), Failure> {
    find(t, Kind::Consumer, consumer).await?;
    let list: KeyList = t.client.get(&path(consumer)).await?;
    if t.json {
        return t.document(&list);
    }
    if list.keys.is_empty() {
        return t.say(&[format!("{consumer} has no keys; `weirgate key issue {consumer}` makes one").into()]);
    }
    let mut table = Table::new(&["ID", "PREFIX", "CREATED", "EXPIRES", "LAST USED", "FROM", "COMMENT"]);
    let now = clock::wall_ms();
    for key in &list.keys {
        table.push(vec![
            Style::Name.of(key.id.as_str()),
            format!("{}…", key.prefix).into(),
            created(t, key).into(),
            match key.expires_ms {
                None => "never".into(),
                Some(at) if at <= now => Style::Bad.of(format!("✗ {}", human::date_time(at, &t.zone))),
                Some(at) => human::date_time(at, &t.zone).into(),
            },
            key.last_used_ms.map_or_else(|| "-".to_owned(), |at| human::date_time(at, &t.zone)).into(),
            if key.declared { "file" } else { "issued" }.into(),
            key.comment.as_str().into(),
        ]);
    }
    t.table(&table)?;
    if list.truncated {
        t.note(&[Style::Dim.of("there may be more; any of them can be revoked by its id")])?;
    }
    Ok(())
}

/// A key in the configuration has no date of its own.
fn created(t: &Terminal<'_>, key: &KeyInfo) -> String {
    if key.created_ms == 0 { "-".to_owned() } else { human::date_time(key.created_ms, &t.zone) }
}

async fn revoke(t: &mut Terminal<'_>, consumer: &str, id: &str, write: &WriteArgs) -> Result<(), Failure> {
    find(t, Kind::Consumer, consumer).await?;
    let list: KeyList = t.client.get(&path(consumer)).await?;
    let key = list.keys.iter().find(|key| key.id == id);
    // Of very many keys only the first are listed; the daemon finds any of them.
    if key.is_none() && !list.truncated {
        let help = suggest::help(id, "keys", list.keys.iter().map(|key| key.id.as_str()));
        return Err(Failure::Failed(format!("{consumer} has no key {id}; {help}")));
    }
    let shown = key.map_or_else(|| id.to_owned(), |key| format!("{id} ({}…)", key.prefix));
    if write.dry_run {
        return t.say(&[Style::Bad.of("-"), format!(" key {shown} of {consumer}").into()]);
    }
    let path = format!("{}/{}", path(consumer), segment(id));
    let answer: Value = t.client.send::<Value, ()>(Method::DELETE, &path, None).await?;
    if t.json {
        return t.document(&answer);
    }
    t.say(&[Style::Good.of("✓"), format!(" key {shown} of {consumer} is revoked").into()])
}

async fn import(t: &mut Terminal<'_>, consumer: &str, text: String, write: &WriteArgs) -> Result<(), Failure> {
    find(t, Kind::Consumer, consumer).await?;
    let count = text.lines().filter(|line| !line.trim().is_empty()).count();
    if write.dry_run {
        return t.say(&[format!("+ {} keys for {consumer}", human::count(count as u64)).into()]);
    }
    let answer: Value = t.client.send_text(&format!("{}/import", path(consumer)), text).await?;
    if t.json {
        return t.document(&answer);
    }
    let imported = answer.get("imported").and_then(Value::as_u64).unwrap_or(0);
    t.say(&[Style::Good.of("✓"), format!(" {} keys of {consumer} imported", human::count(imported)).into()])
}
