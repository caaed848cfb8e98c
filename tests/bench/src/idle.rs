// SPDX-License-Identifier: MIT OR Apache-2.0
//! Thousands of keep-alive connections that each made one request and then rest, for measuring memory per connection.
//!
//! One after the other, so that a daemon that shares upstream connections needs only one and what is measured is the
//! client side. Prints `ready` when all rest; ends when standard input closes.

use std::io::Write;
use std::net::SocketAddr;

use crate::reply::Client;

pub fn hold(target: SocketAddr, path: &str, count: usize) -> Result<(), String> {
    let mut clients = Vec::with_capacity(count);
    for number in 1..=count {
        let mut client = Client::connect(target, path)?;
        client.exchange().map_err(|why| format!("connection {number} of {count}: {why}"))?;
        client.rest();
        clients.push(client);
    }
    println!("ready {}", clients.len());
    std::io::stdout().flush().map_err(|e| e.to_string())?;
    crate::wait_for_stdin_to_close();
    Ok(())
}
