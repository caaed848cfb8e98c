// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who asks the gateway for what, and how often: customers, visitors, one who asks too much, one with a wrong key.
//!
//! About 130 requests a second in all, one at a time on each connection, so a slow machine lowers the rate and never
//! builds a queue. How a request is sent is in `visitor`.

use std::time::Duration;

use tokio::task::JoinSet;

use super::setup::{API_HOST, SITE_HOST, Setup};
use super::visitor::{Gateway, Visitor};

/// One kind of request. `{n}` in the path becomes a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) host: &'static str,
    pub(super) path: &'static str,
    pub(super) body: &'static str,
}

const fn get(host: &'static str, path: &'static str) -> Ask {
    Ask { method: "GET", host, path, body: "" }
}

const ORDER: Ask = get(API_HOST, "/orders/{n}");
const ORDERS: Ask = get(API_HOST, "/orders");
const NEW_ORDER: Ask = Ask { method: "POST", body: "{\"sku\":\"mug\",\"pieces\":2}", ..ORDERS };
const STOCK: Ask = get(API_HOST, "/stock/sku-{n}");
const HOME: Ask = get(SITE_HOST, "/");
const ABOUT: Ask = get(SITE_HOST, "/about");
const HELP: Ask = get(SITE_HOST, "/help");
const NO_PAGE: Ask = get(SITE_HOST, "/wp-login.php");
const NO_HOST: Ask = get("unknown.example.net", "/");

/// Whose key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Nobody,
    Alice,
    Acme,
    Ben,
    Wrong,
}

/// Which listener is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Http,
    Https,
}

/// What one client does all day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habit {
    pub(super) agent: &'static str,
    pub(super) door: Door,
    /// It comes from 127.0.0.x.
    pub(super) from: u8,
    pub(super) key: Key,
    /// Mean time between a reply and the next request.
    pub(super) every: Duration,
    /// The same while it has a burst; see [`BURST_EVERY`].
    pub(super) every_in_burst: Duration,
    /// One of these, as likely as any other.
    pub(super) asks: &'static [Ask],
}

/// How often a client that has bursts begins one, and how long it lasts.
const BURST_EVERY: Duration = Duration::from_secs(20);
const BURST_LENGTH: Duration = Duration::from_secs(4);

const fn habit(agent: &'static str, from: u8, key: Key, every_ms: u64, asks: &'static [Ask]) -> Habit {
    let every = Duration::from_millis(every_ms);
    Habit { agent, door: Door::Http, from, key, every, every_in_burst: every, asks }
}

const VISIT: &[Ask] = &[HOME, HOME, HOME, ABOUT, HELP];
const BROWSE: &[Ask] = &[STOCK, STOCK, STOCK, HOME];

const HABITS: &[Habit] = &[
    habit("alice-app", 21, Key::Alice, 100, &[ORDERS, ORDER, ORDER, ORDER, ORDER]),
    habit("ben-script", 22, Key::Ben, 250, &[ORDERS, ORDER, NEW_ORDER]),
    Habit {
        every_in_burst: Duration::from_millis(8),
        ..habit("acme-sync", 23, Key::Acme, 150, &[ORDERS, ORDER, ORDER, ORDER, NEW_ORDER])
    },
    habit("browser", 31, Key::Nobody, 60, VISIT),
    habit("browser", 32, Key::Nobody, 60, VISIT),
    habit("browser", 33, Key::Nobody, 80, VISIT),
    Habit { door: Door::Https, ..habit("browser", 34, Key::Nobody, 50, VISIT) },
    Habit { door: Door::Https, ..habit("browser", 35, Key::Nobody, 80, BROWSE) },
    habit("phone", 36, Key::Nobody, 50, BROWSE),
    habit("phone", 37, Key::Nobody, 50, BROWSE),
    habit("phone", 38, Key::Nobody, 70, BROWSE),
    habit("lost-key", 41, Key::Wrong, 2_000, &[ORDERS]),
    habit("scanner", 42, Key::Nobody, 1_500, &[NO_PAGE, NO_HOST]),
];

impl Habit {
    /// The pause before the next request, `since` the start; `chance` is drawn from 0..1.
    pub(super) fn pause(&self, since: Duration, chance: f64) -> Duration {
        let within = since.as_millis() % BURST_EVERY.as_millis();
        // At the end of the time, so that the demo does not begin with refusals.
        let bursts = within >= (BURST_EVERY - BURST_LENGTH).as_millis();
        let mean = if bursts { self.every_in_burst } else { self.every };
        mean.mul_f64(0.5 + chance)
    }
}

/// Starts every client. Dropping the set ends them.
pub(super) fn start(setup: &Setup) -> anyhow::Result<JoinSet<()>> {
    let gateway = Gateway::new(setup)?;
    let mut clients = JoinSet::new();
    for habit in HABITS {
        clients.spawn(Visitor::new(*habit, gateway.clone()).live());
    }
    Ok(clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_acme_asks_too_much_and_only_at_times() {
        for habit in HABITS {
            for (second, bursts) in [(0, false), (15, false), (16, true), (19, true), (20, false), (37, true)] {
                let pause = habit.pause(Duration::from_secs(second), 0.5);
                let expected = if bursts { habit.every_in_burst } else { habit.every };
                assert_eq!(pause, expected, "row {} at {second} s", habit.agent);
            }
            assert_eq!(habit.every == habit.every_in_burst, habit.key != Key::Acme, "row {}", habit.agent);
        }
    }
}
