// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be typed after the name of a kind: list, show, set, delete.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

use super::WriteArgs;

#[derive(Clone, Debug, Group)]
pub struct ObjectArgs {
    /// Without one: list
    #[command(subcommand)]
    pub verb: Option<ObjectVerb>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum ObjectVerb {
    /// List all of them
    List,
    /// Print one
    Show {
        /// Its name, as the list prints it
        name: String,
    },
    /// Change some fields of one, or write one whole from a file
    #[command(after_help = SET_EXAMPLES)]
    Set(SetArgs),
    /// Remove one
    Delete {
        /// Its name, as the list prints it
        name: String,
        #[command(flatten)]
        write: WriteArgs,
    },
}

const SET_EXAMPLES: &str = "\
A value that is JSON is taken as such, any other is text; null removes the field.
  weirgate route set orders match.path=/v2/orders 'match.methods=[\"GET\",\"POST\"]'
  weirgate route set orders max_body=null
  weirgate upstream set shop --file shop.toml";

#[derive(Clone, Debug, Default, Group)]
pub struct SetArgs {
    /// Its name, as the list prints it
    pub name: String,
    /// Fields to set, such as upstream=shop or timeouts.connect=2s
    #[arg(value_name = "FIELD=VALUE", required_unless_present = "file")]
    pub fields: Vec<String>,
    /// Write the whole object from a TOML or JSON file; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fields", "new"])]
    pub file: Option<PathBuf>,
    /// Make it if there is none of that name
    #[arg(long)]
    pub new: bool,
    #[command(flatten)]
    pub write: WriteArgs,
}
