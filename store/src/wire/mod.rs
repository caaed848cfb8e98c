// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the daemon and the terminal say to each other over the control socket, as JSON.
//!
//! `problem` is what is wrong with a configuration, `change` how it is edited, `status` what runs now, `traffic` what
//! flows, `explain` why. The control API and the console both use exactly these types; `/v1/openapi.json` is made
//! from them.

/// The field by which a caller says through what it came: `console` or `cli`; anything else is the API.
pub const CHANNEL_FIELD: &str = "x-weirgate-channel";

mod change;

mod explain;

mod problem;

mod status;

mod traffic;

mod usage;

pub use change::{
    Applied, ChangeRequest, Checked, DiffEntry, DiffKind, Edit, Effects, IssuedKey, KeyInfo, KeyList, ListedObject,
    ObjectList, RevisionInfo, RevisionList,
};
pub use explain::{ExplainReply, ExplainRequest, ExplainStep};
pub use problem::{ErrorReply, Problem, ProblemCode};
pub use status::{
    CanaryRequest, CanaryStatus, CanaryVerb, ConnectionInfo, EndpointHealth, EndpointOverride, EndpointStatus,
    HealthEvent, LeaseRequest, ListenerStatus, LogStatus, OverrideMode, OverrideRequest, PolicyLine, StatusReply,
    StoreHealth, StoreStatus, UpstreamStatus,
};
pub use traffic::{Event, ExchangeRecord, FieldLine, Frame, LatencyHistogram, Rates, TimelineStep, TryRecord};
pub use usage::{UsagePoint, UsageReply, UsageRow};
