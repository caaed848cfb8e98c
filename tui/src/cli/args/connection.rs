// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be typed after `connections`, `canary` and `flush`: client connections, splits that move by themselves, and
//! what a service decided.

use clap::{Args as Group, Subcommand, ValueEnum};
use weirgate_store::wire::CanaryVerb;

#[derive(Clone, Debug, Group)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ConnectionsArgs {
    /// Without one: list
    #[command(subcommand)]
    pub verb: Option<ConnectionVerb>,
    /// Only those of this listener
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// Only those that an endpoint of this upstream serves
    #[arg(long, value_name = "NAME")]
    pub upstream: Option<String>,
    /// Show at most so many, the newest first
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100)]
    pub limit: usize,
}

#[derive(Clone, Debug, Subcommand)]
pub enum ConnectionVerb {
    /// End one at once, whatever it is doing
    Kill {
        /// As the list prints it
        id: u64,
    },
}

#[derive(Clone, Debug, Group)]
pub struct CanaryArgs {
    /// Name of a route with a canary
    pub route: String,
    /// What to do with it
    pub verb: CanaryWord,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CanaryWord {
    /// Begin with the first step
    Start,
    /// Stay at the step reached
    Stop,
    /// Go on from there
    Resume,
    /// Go back to no share at all
    Back,
}

impl CanaryWord {
    /// As the daemon is told.
    pub fn verb(self) -> CanaryVerb {
        match self {
            Self::Start => CanaryVerb::Start,
            Self::Stop => CanaryVerb::Stop,
            Self::Resume => CanaryVerb::Resume,
            Self::Back => CanaryVerb::Back,
        }
    }
}

#[derive(Clone, Debug, Group)]
pub struct FlushArgs {
    /// Name of the policy; one written in place is ROUTE.forward_auth
    pub policy: String,
    /// Only what was decided about this subject
    #[arg(long, value_name = "NAME", conflicts_with = "key")]
    pub subject: Option<String>,
    /// Only what was decided for this key: once for each part of `cache.key`, in that order
    #[arg(long, value_name = "VALUE")]
    pub key: Vec<String>,
}
