// SPDX-License-Identifier: MIT OR Apache-2.0
//! The in-house tools that `tests/bench/run` drives: the origin every daemon forwards to, the blind forwarder that is
//! the floor, and two clients for what wrk and h2load cannot do (a fixed rate, and thousands of idle connections).
//!
//! It measures nothing about a daemon: CPU and memory are read from /proc by the driver. Each tool runs on one thread,
//! so the driver can pin it, and stops when its standard input closes, so that none outlives the driver.
#![expect(clippy::disallowed_methods, reason = "load generators measure time; the daemon's clock rule is not for them")]

mod floor;
mod idle;
mod origin;
mod pace;
mod reply;
mod tcp;
mod udp;

use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::runtime::{Builder, LocalOptions};

const USAGE: &str = "usage: weirgate-bench origin LISTEN
       weirgate-bench floor LISTEN ORIGIN
       weirgate-bench tcp-sink LISTEN
       weirgate-bench tcp-load TARGET SECONDS STREAMS
       weirgate-bench udp-echo LISTEN
       weirgate-bench udp-load TARGET SECONDS CLIENTS
       weirgate-bench idle TARGET PATH COUNT
       weirgate-bench pace TARGET PATH REQUESTS_PER_SECOND SECONDS CONNECTIONS";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("weirgate-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Result<(), String> {
    match words {
        ["origin", listen] => until_stdin_closes(origin::serve(address(listen)?)),
        ["floor", listen, origin] => until_stdin_closes(floor::serve(address(listen)?, address(origin)?)),
        ["tcp-sink", listen] => until_stdin_closes(tcp::serve(address(listen)?)),
        ["tcp-load", target, seconds, streams] => tcp::load(address(target)?, number(seconds)?, number(streams)?),
        ["udp-echo", listen] => until_stdin_closes(udp::serve(address(listen)?)),
        ["udp-load", target, seconds, clients] => udp::load(address(target)?, number(seconds)?, number(clients)?),
        ["idle", target, path, count] => idle::hold(address(target)?, path, number(count)?),
        ["pace", target, path, rate, seconds, connections] => {
            let plan = pace::Plan { rate: number(rate)?, seconds: number(seconds)?, connections: number(connections)? };
            pace::run(address(target)?, path, plan)
        }
        _ => Err(USAGE.to_owned()),
    }
}

/// Runs a server on one thread; a second thread does nothing but wait for the driver to close standard input.
fn until_stdin_closes(server: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    std::thread::spawn(|| {
        wait_for_stdin_to_close();
        std::process::exit(0);
    });
    let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default());
    runtime.map_err(|e| format!("no runtime: {e}"))?.block_on(server)
}

fn wait_for_stdin_to_close() {
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line).is_ok_and(|n| n > 0) {
        line.clear();
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not ADDRESS:PORT"))
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}
