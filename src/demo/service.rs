// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the toy services answer, how fast, and when they are unwell. Pure: time and chance are arguments.
//!
//! Every answer names the endpoint that gave it, so that an edited route can be seen from the other side. An HTTP
//! server for them is in `origin`.

use std::time::Duration;

/// How often an endpoint that is unwell at times falls ill.
const ILL_EVERY: Duration = Duration::from_secs(60);
/// Seconds of that time in which it is ill. Not at once, so that the first look shows a healthy gateway.
const ILL_FROM: Duration = Duration::from_secs(20);
const ILL_UNTIL: Duration = Duration::from_secs(35);

/// One order in so many is not there.
const MISSING_EVERY: u64 = 40;
/// The share of orders and stocks that fail for no reason.
const FAILING: f64 = 0.01;
/// The share of stocks that take long, and how long.
const SLOW: f64 = 0.03;
const SLOW_MS: f64 = 450.0;

/// The three services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Orders, as JSON.
    Shop,
    /// What is in stock, as JSON; its speed varies.
    Catalog,
    /// A web site.
    Pages,
}

/// One endpoint of a service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Toy {
    pub(super) service: Service,
    pub(super) name: &'static str,
    /// Fastest and slowest answer in milliseconds.
    pub(super) pace_ms: (f64, f64),
    pub(super) is_ill_at_times: bool,
}

const fn toy(service: Service, name: &'static str, pace_ms: (f64, f64)) -> Toy {
    Toy { service, name, pace_ms, is_ill_at_times: false }
}

/// Every endpoint there is. The third of the shop is the slowest, and unwell for a quarter of every minute.
pub(super) const TOYS: [Toy; 6] = [
    toy(Service::Shop, "shop-1", (1.0, 6.0)),
    toy(Service::Shop, "shop-2", (4.0, 20.0)),
    Toy { is_ill_at_times: true, ..toy(Service::Shop, "shop-3", (15.0, 60.0)) },
    toy(Service::Catalog, "catalog-1", (5.0, 60.0)),
    toy(Service::Catalog, "catalog-2", (5.0, 120.0)),
    toy(Service::Pages, "pages-1", (0.5, 3.0)),
];

/// A reply, and how long it takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) media_type: &'static str,
    pub(super) body: String,
    pub(super) after: Duration,
}

impl Toy {
    /// The answer to a request, `since` the start; `chance` is drawn from 0..1.
    pub(super) fn answer(&self, method: &str, path: &str, since: Duration, chance: f64) -> Answer {
        let ill = self.is_ill_at_times && is_ill(since);
        let (status, what) = match (path, self.service) {
            _ if ill => (503, "\"problem\":\"restarting\"".to_owned()),
            ("/healthz", _) => (200, "\"healthy\":true".to_owned()),
            (_, Service::Shop) => orders(method, path, chance),
            (_, Service::Catalog) => stock(path, chance),
            (_, Service::Pages) => return self.page(path, chance),
        };
        let slow = self.service == Service::Catalog && !ill && chance > 1.0 - SLOW;
        let after = if path == "/healthz" { Duration::ZERO } else { self.pace(chance, slow) };
        let body = format!("{{\"served_by\":\"{}\",{what}}}\n", self.name);
        Answer { status, media_type: "application/json", body, after }
    }

    fn pace(&self, chance: f64, slow: bool) -> Duration {
        let (fastest, slowest) = self.pace_ms;
        // Squared: most answers are among the fast ones.
        let usual = fastest + (slowest - fastest) * chance * chance;
        Duration::from_secs_f64(if slow { SLOW_MS } else { usual } / 1000.0)
    }

    fn page(&self, path: &str, chance: f64) -> Answer {
        let title = match path {
            "/" => "Welcome to the shop",
            "/about" => "About us",
            "/help" => "Help",
            _ => "There is no such page",
        };
        let status = if title == "There is no such page" { 404 } else { 200 };
        let body = format!("<!doctype html><title>{title}</title><h1>{title}</h1><p>served by {}</p>\n", self.name);
        Answer { status, media_type: "text/html; charset=utf-8", body, after: self.pace(chance, false) }
    }
}

fn is_ill(since: Duration) -> bool {
    let within = Duration::from_millis(u64::try_from(since.as_millis() % ILL_EVERY.as_millis()).unwrap_or(0));
    (ILL_FROM..ILL_UNTIL).contains(&within)
}

fn orders(method: &str, path: &str, chance: f64) -> (u16, String) {
    let id = path.strip_prefix("/orders/").and_then(|id| id.parse::<u64>().ok());
    match id {
        _ if chance < FAILING => (500, "\"problem\":\"the order book is locked\"".to_owned()),
        _ if method == "POST" => (201, "\"order\":{\"id\":1001,\"state\":\"new\"}".to_owned()),
        Some(id) if id % MISSING_EVERY == 0 => (404, format!("\"problem\":\"there is no order {id}\"")),
        Some(id) => (200, format!("\"order\":{{\"id\":{id},\"state\":\"sent\"}}")),
        None => (200, "\"orders\":[{\"id\":17,\"state\":\"sent\"},{\"id\":18,\"state\":\"paid\"}]".to_owned()),
    }
}

fn stock(path: &str, chance: f64) -> (u16, String) {
    let sku = path.strip_prefix("/stock/").unwrap_or("everything");
    if chance < FAILING {
        return (500, "\"problem\":\"the warehouse does not answer\"".to_owned());
    }
    (200, format!("\"stock\":{{\"of\":\"{}\",\"pieces\":12}}", sku.escape_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, method: &str, path: &str, second: u64, chance: f64, status: u16) {
        let toy = TOYS.iter().find(|toy| toy.name == name).expect("there is one of that name");
        let answer = toy.answer(method, path, Duration::from_secs(second), chance);
        assert_eq!(answer.status, status, "row {name} {method} {path} at {second} s, chance {chance}: {answer:?}");
        assert!(answer.body.contains(name), "row {name}: {answer:?}");
        assert!(answer.after <= Duration::from_millis(500), "row {name}: {answer:?}");
    }

    #[test]
    fn every_kind_of_answer() {
        check("shop-1", "GET", "/orders", 0, 0.5, 200);
        check("shop-1", "GET", "/orders/17", 0, 0.5, 200);
        check("shop-1", "GET", "/orders/40", 0, 0.5, 404);
        check("shop-1", "GET", "/orders/17", 0, 0.001, 500);
        check("shop-1", "POST", "/orders", 0, 0.5, 201);
        check("catalog-1", "GET", "/stock/a\"b", 0, 0.999, 200);
        check("catalog-1", "GET", "/", 0, 0.5, 200);
        check("pages-1", "GET", "/", 0, 0.5, 200);
        check("pages-1", "GET", "/wp-login.php", 0, 0.5, 404);
    }

    #[test]
    fn one_endpoint_is_ill_for_a_quarter_of_every_minute() {
        for (second, status) in [(0, 200), (19, 200), (20, 503), (34, 503), (35, 200), (79, 200), (80, 503), (95, 200)]
        {
            check("shop-3", "GET", "/healthz", second, 0.5, status);
            check("shop-2", "GET", "/healthz", second, 0.5, 200);
        }
    }
}
