// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be typed after `usage`: whose it is, and whether it is to be forgotten.

use clap::Args;

#[derive(Clone, Debug, Args)]
pub struct UsageArgs {
    /// Name of the consumer
    pub consumer: String,
    /// Forget what it has used: all its quotas and rates are whole again
    #[arg(long)]
    pub reset: bool,
    /// Show what would be forgotten and forget nothing
    #[arg(long, requires = "reset")]
    pub dry_run: bool,
}
