// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the demo says of itself: what runs where, and lines to paste into another terminal.
//!
//! Each line works as it is printed, so the program is called as this one was.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::service::Service;
use super::setup::Setup;

/// Addresses, a key, and how this program was called.
#[derive(Debug)]
pub(super) struct Welcome {
    pub(super) http: String,
    https: String,
    pub(super) key: String,
    pub(super) socket: PathBuf,
    services: Vec<(&'static str, String)>,
    program: String,
}

impl Welcome {
    pub(super) fn new(setup: &Setup, socket: PathBuf) -> Self {
        let each = [("shop", Service::Shop), ("catalog", Service::Catalog), ("pages", Service::Pages)];
        let called = std::env::args_os().next().unwrap_or_else(|| "weirgate".into());
        Self {
            http: format!("http://localhost:{}", setup.http.port()),
            https: format!("https://localhost:{}", setup.https.port()),
            key: setup.keys.alice.clone(),
            socket,
            services: each.map(|(name, service)| (name, setup.addresses(service).join("  "))).to_vec(),
            program: called.to_string_lossy().into_owned(),
        }
    }

    pub(super) fn text(&self) -> String {
        let Self { http, https, key, program, .. } = self;
        let socket = self.socket.display();
        let mut text = format!(
            "weirgate demo: a gateway, toy services behind it and traffic before it, all inside this process.\n\n\
             \x20 gateway  {http}  {https} (certificate made just now: curl -k)\n"
        );
        for (name, addresses) in &self.services {
            // Writing to a string cannot fail.
            writeln!(text, "  {name:<8} {addresses}").unwrap_or_default();
        }
        let lines = [
            ("with a valid key: 200".to_owned(), format!("curl -i -H 'X-Api-Key: {key}' {http}/orders/17")),
            ("without a key: 401".to_owned(), format!("curl -i {http}/orders/17")),
            ("the web site, served by pages".to_owned(), format!("curl {http}/")),
            (
                "now by catalog, from the next request on".to_owned(),
                format!("{program} --socket {socket} route set site upstream=catalog"),
            ),
            ("and back".to_owned(), format!("{program} --socket {socket} rollback 1")),
            ("what runs".to_owned(), format!("{program} --socket {socket} status")),
            ("the same live".to_owned(), format!("{program} --socket {socket} console")),
        ];
        text.push_str("\nTry in another terminal:\n");
        for (what, line) in lines {
            writeln!(text, "  # {what}\n  {line}").unwrap_or_default();
        }
        text.push_str("\nshop fails its health checks on one endpoint for 15 s of every minute; acme asks too much now and then.\n");
        text.push_str("Ctrl-C (or q in the console) stops everything and removes what was made.\n");
        text
    }
}
