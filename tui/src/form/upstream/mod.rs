// SPDX-License-Identifier: MIT OR Apache-2.0
//! The form of an upstream: one section for each question an operator asks of it, in the order of the request. The
//! fields are data in the files below; nothing about an upstream is decided here.

mod choose;

mod connect;

mod failover;

mod health;

mod load;

use weirgate_store::model::Kind;

use super::Form;
use super::section::{Content, RowShape, RowsDoc, Section, SectionDoc};
use crate::live::Live;

pub(super) const SECTIONS: &[SectionDoc] = &[
    SectionDoc {
        title: "balance",
        about: "How an endpoint is chosen for a request.",
        unset: "least-request: the less busy of two",
        content: Content::Fields(choose::BALANCE),
    },
    SectionDoc {
        title: "endpoints",
        about: "The addresses that do the work. Each has a weight, and may be a backup, have a priority and lie in a \
                zone. To take one out for a while, drain it instead: that needs no change.",
        unset: "none written: requests get 503 unless discovery finds some",
        content: Content::Rows(RowsDoc {
            path: "endpoints",
            one: "endpoint",
            shape: RowShape::List,
            columns: choose::ENDPOINT,
        }),
    },
    SectionDoc {
        title: "discovery",
        about: "More endpoints, found while weirgate runs. They join those that are written. When the source fails, the \
                last good answer stays.",
        unset: "none: only the endpoints that are written",
        content: Content::Fields(choose::DISCOVERY),
    },
    SectionDoc {
        title: "zone",
        about: "Keeps requests in the zone of this machine while enough of it works, and spills over when not.",
        unset: "off: all zones alike",
        content: Content::Fields(choose::ZONE),
    },
    SectionDoc {
        title: "sticky",
        about: "Keeps a client on the endpoint that served it first. A drained endpoint keeps its clients, a dead one \
                loses them.",
        unset: "none: each request goes where balance says",
        content: Content::Fields(choose::STICKY),
    },
    SectionDoc {
        title: "protocol",
        about: "What the endpoints speak, whether with TLS, and how they learn who the client is.",
        unset: "http/1.1 without TLS",
        content: Content::Fields(connect::PROTOCOL),
    },
    SectionDoc {
        title: "health",
        about: "Active checks: weirgate asks each endpoint itself, also when no client does.",
        unset: "none: every endpoint is taken to be up",
        content: Content::Fields(health::HEALTH),
    },
    SectionDoc {
        title: "ejection",
        about: "Takes an endpoint out for a while when real requests to it fail (outlier detection). It sees what a \
                health check does not. One endpoint is always left.",
        unset: "off: only health checks take endpoints out",
        content: Content::Fields(failover::OUTLIER),
    },
    SectionDoc {
        title: "recovery",
        about: "What happens when most endpoints are unhealthy, and how gently one comes back.",
        unset: "no panic mode, no slow start",
        content: Content::Fields(failover::RECOVERY),
    },
    SectionDoc {
        title: "retry",
        about: "When a request goes to another endpoint after one failed. Never after a byte of the reply.",
        unset: "2 more tries on connect or reset",
        content: Content::Fields(failover::RETRY),
    },
    SectionDoc {
        title: "hedge",
        about: "Sends a second copy of a slow request without a body to another endpoint and takes the first answer. \
                It cuts the slowest percent, for a few percent more load.",
        unset: "off: no second copies",
        content: Content::Fields(failover::HEDGE),
    },
    SectionDoc {
        title: "breaker",
        about: "Refuses at once while everything fails, instead of letting clients wait, and lets one request through \
                from time to time to see.",
        unset: "off: every request is tried",
        content: Content::Fields(failover::BREAKER),
    },
    SectionDoc {
        title: "limits",
        about: "How much it may carry at a time, over all workers. What is over a limit waits in the queue; 503 if the \
                queue is full or its time is over.",
        unset: "no limits",
        content: Content::Fields(load::LIMITS),
    },
    SectionDoc {
        title: "pool",
        about: "Connections that are kept open to each endpoint, by each worker.",
        unset: "64 unused kept, none opened ahead",
        content: Content::Fields(connect::POOL),
    },
    SectionDoc {
        title: "timeouts",
        about: "How long it waits for an endpoint.",
        unset: "connect 2s · response 30s · idle 60s",
        content: Content::Fields(connect::TIMEOUTS),
    },
];

pub fn new_upstream(live: &Live) -> Form {
    Form::new_object(Kind::Upstream, SECTIONS, live)
}

/// `None` if there is no such upstream.
pub fn edit_upstream(live: &Live, name: &str) -> Option<Form> {
    Form::edit_object(Kind::Upstream, name, SECTIONS, live)
}

/// What is set in each section of an object, for a screen that only shows it: title and summary, of those that say
/// something.
pub(crate) fn settings(object: &serde_json::Value, live: &Live) -> Vec<(&'static str, String)> {
    let sections = SECTIONS.iter().map(|doc| (doc, Section::read(doc, object, live).summary()));
    sections.filter(|(doc, summary)| summary != doc.unset).map(|(doc, summary)| (doc.title, summary)).collect()
}
