// SPDX-License-Identifier: MIT OR Apache-2.0
//! The terminal side of weirgate: the console, the command-line client, and the socket client that both use.
//!
//! It knows the daemon only by its control API and the words of `weirgate_store`; it never links the store engine.
//! The console is Elm-shaped: [`app`] is data, [`update`] the only code that changes it, [`view`] only reads it, and
//! what touches the world (socket, terminal, clock) is an effect carried out by [`link`] and [`mod@console`].

// the socket
pub mod client;

mod sse;

// the command line
pub mod cli;

// the console: what it knows
pub mod app;

pub mod live;

pub mod list;

pub mod rows;

pub mod attention;

pub mod traffic;

pub mod form;

// what happens to it
pub mod event;

pub mod keymap;

pub mod update;

// what is shown
pub mod text;

pub mod theme;

pub mod view;

// the world
pub mod clock;

pub mod link;

pub mod terminal;

pub mod plain;

pub mod console;

pub use cli::ConsoleOptions;
pub use console::{console, run_console};

#[cfg(test)]
mod fake;

#[cfg(test)]
mod sample;

#[cfg(test)]
mod tests;
