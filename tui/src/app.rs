// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole state of the console, as data: where the operator is, what lies on top of it, and what is known.
//!
//! Nothing here draws, waits or talks. `update` changes it, `view` reads it.

use jiff::tz::TimeZone;
use tui_input::Input;
use weirgate_store::wire::{ChangeRequest, Checked, ErrorReply, ExchangeRecord, ExplainReply, IssuedKey};

use crate::event::Ask;
use crate::form::Form;
use crate::list::{ListId, ListState};
use crate::live::Live;
use crate::theme::Theme;
use crate::traffic::Traffic;

/// Screens one can come back through; deeper ones push the oldest out.
pub const TRAIL_MAX: usize = 16;

/// Popups that can lie on each other.
pub const POPUPS_MAX: usize = 4;

/// How long a notice stays.
pub const NOTICE_MS: i64 = 8_000;

/// The eight screens with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Overview,
    Traffic,
    Routes,
    Upstreams,
    Consumers,
    Certificates,
    Changes,
    System,
}

impl Tab {
    pub const ALL: [Self; 8] = [
        Self::Overview,
        Self::Traffic,
        Self::Routes,
        Self::Upstreams,
        Self::Consumers,
        Self::Certificates,
        Self::Changes,
        Self::System,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Traffic => "traffic",
            Self::Routes => "routes",
            Self::Upstreams => "upstreams",
            Self::Consumers => "consumers",
            Self::Certificates => "certificates",
            Self::Changes => "changes",
            Self::System => "system",
        }
    }
}

/// What fills the terminal. Lists live in [`Lists`], so that coming back finds the cursor where it was.
#[derive(Clone, Debug)]
pub enum Screen {
    Tab(Tab),
    /// One exchange: the verdict card.
    Verdict {
        record: Box<ExchangeRecord>,
        scroll: u16,
    },
    Route {
        name: String,
        scroll: u16,
    },
    Upstream {
        name: String,
    },
    Consumer {
        name: String,
    },
    Certificate {
        name: String,
        scroll: u16,
    },
    Revision(RevisionView),
    Listener {
        name: String,
        scroll: u16,
    },
    /// One endpoint: how a drain goes, and who is connected to it.
    Endpoint(EndpointView),
    /// Client connections, of one object or all.
    Connections(Scope),
    /// When the endpoints of an upstream went down and up.
    Timeline {
        upstream: String,
    },
    Form(Box<Form>),
}

/// An endpoint that is watched, and what it carried since it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointView {
    pub upstream: String,
    pub address: String,
    /// The first time it was looked at, and the requests in flight then.
    pub first: Option<(i64, u32)>,
    /// The most requests in flight since.
    pub peak: u32,
}

/// Which connections are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    Upstream(String),
    Listener(String),
}

/// What one revision changed.
#[derive(Clone, Debug, PartialEq)]
pub struct RevisionView {
    pub older: u64,
    pub newer: u64,
    pub diff: Option<Box<Checked>>,
    pub scroll: u16,
}

/// What lies on top of the screen and takes the keys.
#[derive(Clone, Debug)]
pub enum Popup {
    Help {
        scroll: u16,
    },
    Palette {
        input: Input,
        at: usize,
    },
    Filter {
        input: Input,
        before: String,
        error: Option<String>,
    },
    Confirm(Confirm),
    /// What can be done to the canary of a route.
    Canary {
        route: String,
    },
    Preview(Box<Preview>),
    /// A key just issued: the only time its secret can be seen.
    Secret {
        issued: IssuedKey,
        copied: bool,
    },
    Explain {
        reply: Box<ExplainReply>,
        scroll: u16,
    },
}

/// A question with a yes and a no.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirm {
    pub title: String,
    pub lines: Vec<String>,
    /// What enter does, in a word or two.
    pub yes: &'static str,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Send(Box<Ask>),
    Quit,
    /// Leave the form without applying it, and go there.
    Discard(Option<Tab>),
}

/// A change without a form (a removal, a rollback): its diff first, then the apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    pub title: String,
    pub change: ChangeRequest,
    pub ticket: u64,
    pub stage: PreviewStage,
    pub scroll: u16,
}

#[derive(Clone, Debug, PartialEq)]
pub enum PreviewStage {
    Checking,
    Checked(Box<Checked>),
    Applying(Box<Checked>),
    Refused(ErrorReply),
}

/// The state of the connection to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    Connecting,
    Up,
    Lost { since_ms: i64, reason: String },
}

/// A sentence about what just happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub tone: NoticeTone,
    pub text: String,
    pub until_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeTone {
    Done,
    Failed,
}

/// Cursor, order, sort and filter of each list.
#[derive(Clone, Debug, PartialEq)]
pub struct Lists {
    states: [ListState; ListId::ALL.len()],
}

impl Lists {
    fn new() -> Self {
        let states = std::array::from_fn(|_| ListState::default());
        Self { states }
    }

    #[expect(clippy::indexing_slicing, reason = "one state for each variant, in the order of the variants")]
    pub fn of(&self, id: ListId) -> &ListState {
        &self.states[id as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "one state for each variant, in the order of the variants")]
    pub fn of_mut(&mut self, id: ListId) -> &mut ListState {
        &mut self.states[id as usize]
    }
}

#[derive(Clone, Debug)]
pub struct App {
    pub theme: Theme,
    pub zone: TimeZone,
    /// `--read-only`.
    pub read_only: bool,
    pub size: (u16, u16),
    pub now_ms: i64,
    pub link: Link,
    pub live: Live,
    pub screen: Screen,
    /// Where esc goes back to; the last is the nearest.
    pub trail: Vec<Screen>,
    pub popups: Vec<Popup>,
    pub lists: Lists,
    pub traffic: Traffic,
    pub notice: Option<Notice>,
    /// Whether the stream carries single exchanges now.
    pub following: bool,
    /// A revision that was read, or that is to be read at the next second: applies in a row are read once.
    pub read_revision: u64,
    pub unread_revision: u64,
    /// When the status was last asked for.
    pub status_ms: i64,
    /// A status that was asked for and has not come.
    pub status_asked: bool,
    ticket: u64,
}

impl App {
    pub fn new(theme: Theme, zone: TimeZone, read_only: bool, now_ms: i64) -> Self {
        Self {
            theme,
            zone,
            read_only,
            size: (80, 24),
            now_ms,
            link: Link::Connecting,
            live: Live::default(),
            screen: Screen::Tab(Tab::Overview),
            trail: Vec::new(),
            popups: Vec::new(),
            lists: Lists::new(),
            traffic: Traffic::default(),
            notice: None,
            following: false,
            read_revision: 0,
            unread_revision: 0,
            status_ms: 0,
            status_asked: false,
            ticket: 0,
        }
    }

    /// A number no other question of this console has.
    pub fn next_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// Why nothing can be written now, if so: the sentence shown instead of the keys that write.
    pub fn write_refusal(&self) -> Option<&'static str> {
        let viewer = self.live.status.as_ref().is_some_and(|status| status.role != "admin");
        match self.link {
            _ if self.read_only => Some("read-only: the console was started with --read-only"),
            Link::Connecting => Some("read-only: not connected yet"),
            Link::Lost { .. } => Some("read-only until the daemon answers again"),
            Link::Up if viewer => Some("read-only: your role is viewer; group weirgate-admin may write"),
            Link::Up => None,
        }
    }

    pub fn say(&mut self, tone: NoticeTone, text: impl Into<String>) {
        self.notice = Some(Notice { tone, text: text.into(), until_ms: self.now_ms + NOTICE_MS });
    }

    /// The tab the operator is under, however deep.
    pub fn tab(&self) -> Tab {
        std::iter::once(&self.screen)
            .chain(self.trail.iter().rev())
            .find_map(|screen| match screen {
                Screen::Tab(tab) => Some(*tab),
                _ => None,
            })
            .unwrap_or(Tab::Overview)
    }

    /// The list under the cursor keys, if the screen has one.
    pub fn list_id(&self) -> Option<ListId> {
        match &self.screen {
            Screen::Tab(Tab::Overview) => Some(ListId::Attention),
            Screen::Tab(Tab::Routes) => Some(ListId::Routes),
            Screen::Tab(Tab::Upstreams) => Some(ListId::Upstreams),
            Screen::Tab(Tab::Consumers) => Some(ListId::Consumers),
            Screen::Tab(Tab::Certificates) => Some(ListId::Certificates),
            Screen::Tab(Tab::Changes) => Some(ListId::Revisions),
            Screen::Tab(Tab::System) => Some(ListId::Listeners),
            Screen::Upstream { .. } => Some(ListId::Endpoints),
            Screen::Consumer { .. } => Some(ListId::Keys),
            Screen::Endpoint(_) | Screen::Connections(_) => Some(ListId::Connections),
            Screen::Timeline { .. } => Some(ListId::Timeline),
            Screen::Tab(Tab::Traffic)
            | Screen::Verdict { .. }
            | Screen::Route { .. }
            | Screen::Listener { .. }
            | Screen::Certificate { .. }
            | Screen::Revision(_)
            | Screen::Form(_) => None,
        }
    }

    pub fn list(&self) -> Option<&ListState> {
        self.list_id().map(|id| self.lists.of(id))
    }

    /// The identity under the cursor of the list that is shown.
    pub fn selected(&self) -> Option<&str> {
        self.list()?.selected.as_deref()
    }
}
