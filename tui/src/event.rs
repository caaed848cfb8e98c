// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that can happen to the console, and everything it can ask of the world: two closed sets.
//!
//! Effects are data. `update` returns them, `link` and `terminal` carry them out, and tests compare them.

use crossterm::event::KeyEvent;
use weirgate_store::model::Kind;
use weirgate_store::wire;

/// What happened.
#[expect(clippy::large_enum_variant, reason = "the queue is short, and what is big in an answer is boxed already")]
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Key(KeyEvent),
    /// A text pasted into the terminal: typed where text is typed, ignored elsewhere, never obeyed as keys.
    Paste(String),
    Resize {
        width: u16,
        height: u16,
    },
    /// At most once a second.
    Tick {
        now_ms: i64,
    },
    /// The daemon answers and the event stream runs.
    Connected,
    /// The daemon does not answer; `link` keeps trying.
    Lost {
        reason: String,
    },
    Answered {
        ask: Ask,
        outcome: Result<Answer, wire::ErrorReply>,
    },
    Stream(Box<wire::Event>),
}

/// What the world should do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Ask(Ask),
    /// Subscribe anew to the event stream, with or without single exchanges.
    Follow {
        exchanges: bool,
    },
    /// Put a text on the clipboard of the terminal (OSC 52).
    Copy(String),
    Quit,
}

/// One call of the control API. `ticket` ties an answer to the form or popup that asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    Status,
    List(Kind),
    Revisions,
    Diff {
        older: u64,
        newer: u64,
    },
    Check {
        ticket: u64,
        change: wire::ChangeRequest,
    },
    Apply {
        ticket: u64,
        change: wire::ChangeRequest,
    },
    Override {
        ticket: u64,
        upstream: String,
        address: String,
        request: wire::OverrideRequest,
    },
    Keys {
        consumer: String,
    },
    IssueKey {
        ticket: u64,
        consumer: String,
        comment: String,
        expires: Option<String>,
    },
    RevokeKey {
        consumer: String,
        id: String,
    },
    Explain(wire::ExplainRequest),
    /// Only those that came through a listener, or that stay on an endpoint of an upstream, if one is named.
    Connections {
        listener: Option<String>,
        upstream: Option<String>,
    },
    Kill {
        id: u64,
    },
    Timeline {
        upstream: String,
    },
    Canary {
        route: String,
        verb: wire::CanaryVerb,
    },
    /// What a consumer used in the last hour.
    Usage {
        consumer: String,
    },
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Status(Box<wire::StatusReply>),
    List(wire::ObjectList),
    Revisions(wire::RevisionList),
    Checked(Box<wire::Checked>),
    Applied(Box<wire::Applied>),
    Endpoint(Box<wire::EndpointStatus>),
    Keys(wire::KeyList),
    Issued(wire::IssuedKey),
    Revoked,
    Explained(wire::ExplainReply),
    Connections(Vec<wire::ConnectionInfo>),
    Killed,
    Timeline(Vec<wire::HealthEvent>),
    /// The daemon took the verb; the status says what came of it.
    Canary,
    Usage(wire::UsageReply),
}
