// SPDX-License-Identifier: MIT OR Apache-2.0
//! Edits of the configuration, and what became of them. Every write, from anywhere, is one [`ChangeRequest`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problem;
use crate::model::Kind;

/// A set of edits that is applied as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeRequest {
    /// The revision the edits were made against; refused with 409 if an edited object has changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// Kept with the revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    pub edits: Vec<Edit>,
}

/// One edit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Edit {
    /// Makes or replaces one object.
    Put {
        kind: Kind,
        name: String,
        object: serde_json::Value,
    },
    /// Merges into one object (RFC 7396); a member set to null is removed.
    Merge {
        kind: Kind,
        name: String,
        patch: serde_json::Value,
    },
    Delete {
        kind: Kind,
        name: String,
    },
    /// Replaces everything by the text of a configuration file, with file references already resolved.
    ReplaceAll {
        toml: String,
    },
    /// Goes back to what revision `revision` was.
    Rollback {
        revision: u64,
    },
}

/// A change that has been checked and not applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// Empty if it can be applied.
    pub problems: Vec<Problem>,
    /// Things that are allowed and probably not meant.
    pub warnings: Vec<Problem>,
    pub diff: Vec<DiffEntry>,
    /// The same difference as unified text.
    pub diff_text: String,
    pub effects: Effects,
}

/// A change that is now running.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    pub revision: RevisionInfo,
    pub diff: Vec<DiffEntry>,
    pub effects: Effects,
    pub warnings: Vec<Problem>,
    /// False when nothing differed and no revision was made.
    pub changed: bool,
    /// Set when the change runs but could not be stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_warning: Option<String>,
}

/// One object that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffEntry {
    pub kind: Kind,
    pub name: String,
    pub change: DiffKind,
    /// Paths inside the object that differ, such as `upstream` or `match.hosts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DiffKind {
    Added,
    Changed,
    Removed,
}

/// What an apply does to live traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Effects {
    pub listeners_opened: Vec<String>,
    pub listeners_closed: Vec<String>,
    pub endpoints_added: u32,
    pub endpoints_removed: u32,
    pub routes_changed: u32,
}

/// One stored version of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevisionInfo {
    pub number: u64,
    /// Milliseconds since 1970 UTC.
    pub time_ms: i64,
    /// Login name and channel, such as `ana (console)`.
    pub author: String,
    pub comment: String,
    /// Counts of objects added, changed and removed against the revision before.
    pub added: u32,
    pub changed: u32,
    pub removed: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RevisionList {
    pub running: u64,
    /// Newest first.
    pub revisions: Vec<RevisionInfo>,
}

/// All objects of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectList {
    pub kind: Kind,
    pub revision: u64,
    pub objects: Vec<ListedObject>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListedObject {
    pub name: String,
    pub object: serde_json::Value,
}

/// A key just issued: the only time its secret is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuedKey {
    pub secret: String,
    pub key: KeyInfo,
}

/// A key in place of another: the only time its secret is shown, and until when the other still holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RotatedKey {
    pub secret: String,
    pub key: KeyInfo,
    /// The key before it, with the time at which it ends.
    pub replaced: KeyInfo,
}

/// A key as it can be listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyInfo {
    /// Names the key for `revoke`: the first 16 hexadecimal digits of its hash.
    pub id: String,
    pub consumer: String,
    pub prefix: String,
    pub created_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    pub comment: String,
    /// Whether it stands in the configuration and not in the list of issued keys.
    pub declared: bool,
    /// When it was used last, to the minute and as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyList {
    pub keys: Vec<KeyInfo>,
    /// There may be more than are listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}
