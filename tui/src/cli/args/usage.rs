// SPDX-License-Identifier: MIT OR Apache-2.0
//! What asks for what was recorded: `why`, and `usage` with what may follow it: whose, since when, in which steps and in which form.

use clap::{Args as Group, Subcommand, ValueEnum};
use weirgate_store::model::Span;

#[derive(Clone, Debug, Subcommand)]
pub enum RecordVerb {
    /// Tell what did happen to a request: every stage with its time, the policies, each try
    Why {
        /// Its id, as in X-Request-Id, an error reply, a log or `tail --json`
        #[arg(value_name = "REQUEST_ID")]
        id: String,
    },
    /// Show what consumers used, by route
    Usage(UsageArgs),
}

#[derive(Clone, Debug, Group)]
pub struct UsageArgs {
    /// Only this consumer
    #[arg(long, value_name = "NAME")]
    pub consumer: Option<String>,
    /// How far back, such as 10m, 6h or 7d
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub since: Span,
    /// A row for each step of this length instead of sums; 1s reaches back 10 minutes, 10s 6 hours, 1m 7 days
    #[arg(long, value_name = "STEP")]
    pub step: Option<StepArg>,
    /// Print comma-separated values
    #[arg(long)]
    pub csv: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StepArg {
    #[value(name = "1s")]
    Second,
    #[value(name = "10s")]
    TenSeconds,
    #[value(name = "1m")]
    Minute,
}

impl StepArg {
    pub fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::TenSeconds => 10,
            Self::Minute => 60,
        }
    }
}
