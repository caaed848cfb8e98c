// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be typed after `key`. A secret is never among it: keys come from files or are made by the daemon.

use std::path::PathBuf;

use clap::Subcommand;
use weirgate_store::model::Span;

use super::WriteArgs;

#[derive(Clone, Debug, Subcommand)]
pub enum KeyVerb {
    /// Make a key and print it, this once
    Issue {
        /// Name of the consumer
        consumer: String,
        /// When it ends, such as 30d; never, if absent
        #[arg(long, value_name = "TIME")]
        expires: Option<Span>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Make a key in place of another, which holds on for a while
    Rotate {
        /// Name of the consumer
        consumer: String,
        /// As `key list` prints it
        id: String,
        /// How long the old key still holds
        #[arg(long, value_name = "TIME", default_value = "1d")]
        overlap: Span,
        /// When the new one ends, such as 90d; never, if absent
        #[arg(long, value_name = "TIME")]
        expires: Option<Span>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// List the keys of a consumer
    List {
        /// Name of the consumer
        consumer: String,
    },
    /// Make a key worthless at once
    Revoke {
        /// Name of the consumer
        consumer: String,
        /// As `key list` prints it
        id: String,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Take over existing keys, one a line
    Import {
        /// Name of the consumer
        consumer: String,
        /// File with the keys; - reads standard input
        file: PathBuf,
        #[command(flatten)]
        write: WriteArgs,
    },
}
