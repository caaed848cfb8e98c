// SPDX-License-Identifier: MIT OR Apache-2.0
//! A snapshot of every screen, popup and form at 80×24, 120×40 and 200×60, and of some without colour or symbols.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use weirgate_store::wire::{ErrorReply, IssuedKey};

use super::{asked, press, write};
use crate::app::App;
use crate::event::{Answer, Ask, Effect, Event};
use crate::sample;
use crate::theme::Theme;
use crate::update::update;
use crate::view;

/// The sizes every screen is drawn at.
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn draw(app: &App, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(app, frame)).unwrap();
    terminal
}

fn check(name: &str, app: &mut App) {
    for (width, height) in SIZES {
        update(app, Event::Resize { width, height });
        let terminal = draw(app, width, height);
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), terminal.backend());
    }
}

fn app() -> App {
    sample::app(Theme::COLOR)
}

/// Presses the keys on a fresh console and takes the pictures.
fn check_keys(name: &str, keys: &str) {
    let mut app = app();
    press(&mut app, keys);
    check(name, &mut app);
}

#[test]
fn overview() {
    check_keys("overview", "1");
}

#[test]
fn overview_all_well() {
    let mut app = app();
    let mut status = sample::status();
    for endpoint in status.upstreams.iter_mut().flat_map(|upstream| &mut upstream.endpoints) {
        endpoint.health = weirgate_store::wire::EndpointHealth::Up;
        endpoint.overridden = None;
    }
    sample::answer(&mut app, Ask::Status, Answer::Status(Box::new(status)));
    app.live.routes.clear();
    app.live.consumers.clear();
    update(&mut app, Event::Tick { now_ms: sample::NOW });
    check("overview_all_well", &mut app);
}

#[test]
fn starting() {
    check("starting", &mut sample::fresh(Theme::COLOR));
}

#[test]
fn lost() {
    let mut app = app();
    update(&mut app, Event::Lost { reason: "connection refused".into() });
    update(&mut app, Event::Tick { now_ms: sample::NOW + 5_000 });
    check("lost", &mut app);
}

#[test]
fn read_only() {
    let mut app = app();
    app.read_only = true;
    press(&mut app, "3 e");
    check("read_only", &mut app);
}

#[test]
fn traffic() {
    check_keys("traffic", "2");
    check_keys("traffic_paused", "2 down down down");
    let mut app = app();
    press(&mut app, "2 /");
    write(&mut app, "status>=500 route=order-page");
    check("traffic_filter", &mut app);
    write(&mut app, " colour=red");
    check("traffic_filter_wrong", &mut app);
}

#[test]
fn verdict() {
    check_keys("verdict", "2 down down down enter");
}

#[test]
fn explain() {
    let mut app = app();
    let ask = asked(&press(&mut app, "2 down enter e"));
    sample::answer(&mut app, ask, Answer::Explained(sample::explained()));
    check("explain", &mut app);
}

#[test]
fn routes() {
    check_keys("routes", "3 down");
    check_keys("routes_sorted", "3 s s s s S");
    check_keys("route", "3 down enter");
    let mut app = app();
    press(&mut app, "3 /");
    write(&mut app, "order");
    check("routes_filter", &mut app);
}

#[test]
fn route_form() {
    check_keys("route_form", "3 down e");
    check_keys("route_form_page", "3 down e enter down down");
    check_keys("route_new", "3 n");
    let mut app = app();
    press(&mut app, "3 down e enter down down down down c");
    let Ask::Check { ticket, change } = asked(&press(&mut app, "ctrl-s")) else { panic!("no check was asked for") };
    let mut refused = sample::checked();
    refused.problems = vec![
        sample::problem("routes.orders.upstream", "no upstream is named \"catalgo\""),
        sample::problem("listeners.web", "port 80 is in use"),
    ];
    let ask = Ask::Check { ticket, change: change.clone() };
    sample::answer(&mut app, ask.clone(), Answer::Checked(Box::new(refused)));
    check("route_form_refused", &mut app);
    let ask = asked(&press(&mut app, "ctrl-s"));
    sample::answer(&mut app, ask, Answer::Checked(Box::new(sample::checked())));
    check("route_form_review", &mut app);
}

#[test]
fn leaving_a_form() {
    check_keys("form_leave", "3 e enter x esc esc");
}

#[test]
fn upstreams() {
    check_keys("upstreams", "4 down");
    check_keys("upstream", "4 down enter down down");
    check_keys("upstream_busy", "4 down down enter down");
    check_keys("upstream_form", "4 down e");
}

/// Every section of the form of an upstream, and its rows.
#[test]
fn upstream_sections() {
    for (number, name) in (0..).zip(["balance", "endpoints", "discovery", "zone", "sticky", "protocol", "health"]) {
        let down = "down ".repeat(number);
        check_keys(&format!("upstream_form_{name}"), &format!("4 down e {down} enter"));
    }
    for (number, name) in (7..).zip(["ejection", "recovery", "retry", "hedge", "breaker", "limits", "pool", "timeouts"])
    {
        let down = "down ".repeat(number);
        check_keys(&format!("upstream_form_{name}"), &format!("4 down down e {down} enter"));
    }
    check_keys("upstream_form_endpoint", "4 down e down enter down enter down down down");
    check_keys("upstream_new", "4 n");
    check_keys("upstream_form_health_grpc", "4 down e down down down down down down enter right right right");
}

#[test]
fn upstream_rows_refused() {
    let mut app = app();
    press(&mut app, "4 down e down enter n");
    write(&mut app, "10.0.0.14");
    let ask = asked(&press(&mut app, "ctrl-s"));
    let mut refused = sample::checked();
    refused.problems = vec![sample::problem("upstreams.shop.endpoints[3].address", "\"10.0.0.14\" has no port")];
    sample::answer(&mut app, ask, Answer::Checked(Box::new(refused)));
    check("upstream_endpoint_refused", &mut app);
    press(&mut app, "esc");
    check("upstream_endpoints_refused", &mut app);
    press(&mut app, "esc");
    check("upstream_form_refused", &mut app);
}

#[test]
fn route_with_a_split() {
    check_keys("route_split", "3 down down enter");
    check_keys("route_canary", "3 down down enter c");
    check_keys("route_form_split", "3 down down e down down enter");
    check_keys("route_form_split_by", "3 down down e down down down enter");
    check_keys("route_form_canary", "3 down down e down down down down enter down");
    check_keys("route_form_mirror", "3 down down e down down down down down enter");
    check_keys("route_form_more", "3 down down e down down down down down down enter");
    check_keys("route_form_conditions", "3 down down e down enter");
}

#[test]
fn listeners() {
    check_keys("listener", "8 down down enter");
    check_keys("listener_form", "8 down down e");
    check_keys("listener_form_page", "8 down down e enter down");
    check_keys("listener_form_names", "8 down down e down enter");
    check_keys("listener_new", "8 n");
}

/// On an endpoint that drains, while its clients finish.
fn draining() -> App {
    let mut app = app();
    let ask = asked(&press(&mut app, "4 enter down enter"));
    sample::answer(&mut app, ask, Answer::Connections(sample::connections()));
    let mut status = sample::status();
    status.upstreams[0].endpoints[1].in_flight = 2;
    update(&mut app, Event::Tick { now_ms: sample::NOW + 10_000 });
    sample::answer(&mut app, Ask::Status, Answer::Status(Box::new(status)));
    app
}

#[test]
fn draining_an_endpoint() {
    let mut app = draining();
    check("drain", &mut app);
    press(&mut app, "x");
    check("drain_cut", &mut app);
    press(&mut app, "esc K");
    check("connection_close", &mut app);
    press(&mut app, "esc");
    let mut status = sample::status();
    status.upstreams[0].endpoints[1].in_flight = 0;
    sample::answer(&mut app, Ask::Status, Answer::Status(Box::new(status)));
    let ask = Ask::Connections { listener: None, upstream: Some("catalog".into()) };
    sample::answer(&mut app, ask, Answer::Connections(Vec::new()));
    check("drain_over", &mut app);
    let mut healthy = self::app();
    let ask = asked(&press(&mut healthy, "4 down enter enter"));
    sample::answer(&mut healthy, ask, Answer::Connections(sample::connections()));
    check("endpoint", &mut healthy);
}

#[test]
fn connections_and_history() {
    let mut app = app();
    let ask = asked(&press(&mut app, "8 c"));
    check("connections_asked", &mut app);
    sample::answer(&mut app, ask.clone(), Answer::Connections(sample::connections()));
    check("connections", &mut app);
    let detail = "there is no GET /v1/connections here".to_owned();
    let refusal = ErrorReply { status: 404, title: "not found".into(), detail, problems: Vec::new() };
    update(&mut app, Event::Answered { ask, outcome: Err(refusal) });
    check("connections_refused", &mut app);
    let ask = asked(&press(&mut app, "4 down enter h"));
    sample::answer(&mut app, ask, Answer::Timeline(sample::timeline()));
    check("timeline", &mut app);
}

#[test]
fn endpoint_form() {
    let mut app = app();
    press(&mut app, "4 down enter d");
    write(&mut app, "kernel update, back at 15:00");
    check("endpoint_form", &mut app);
    press(&mut app, "ctrl-s");
    check("endpoint_form_review", &mut app);
    check_keys("endpoint_weight", "4 down enter w 9 9 9 9 9 9 9 ctrl-s");
}

/// On the screen of alice, with her keys.
fn alice() -> App {
    let mut app = app();
    let ask = asked(&press(&mut app, "5 down enter"));
    sample::answer(&mut app, ask, Answer::Keys(sample::keys("alice")));
    let ask = Ask::Usage { consumer: "alice".into() };
    sample::answer(&mut app, ask, Answer::Usage(sample::usage("alice")));
    app
}

#[test]
fn consumers() {
    check_keys("consumers", "5");
    check("consumer", &mut alice());
    check_keys("consumer_new", "5 n");
    check_keys("consumer_form", "5 e down");
}

#[test]
fn keys_are_issued_and_revoked() {
    let mut app = alice();
    press(&mut app, "x");
    check("key_revoke", &mut app);
    press(&mut app, "esc i");
    write(&mut app, "mobile app");
    check("key_form", &mut app);
    let ask = asked(&press(&mut app, "ctrl-s"));
    let key = sample::keys("alice").keys[0].clone();
    let issued = IssuedKey { secret: "wg_7f3aQ0Zx2bW9mK4rT8vLsN1pYcD6hJ5e".into(), key };
    sample::answer(&mut app, ask, Answer::Issued(issued));
    check("key_secret", &mut app);
    assert!(matches!(press(&mut app, "y")[..], [Effect::Copy(_)]));
}

#[test]
fn certificates() {
    check_keys("certificates", "6");
    check_keys("certificate", "6 enter");
}

#[test]
fn changes() {
    check_keys("changes", "7 down");
    let mut app = app();
    let ask = asked(&press(&mut app, "7 down enter"));
    sample::answer(&mut app, ask, Answer::Checked(Box::new(sample::checked())));
    check("revision", &mut app);
    let ask = asked(&press(&mut app, "b"));
    check("rollback_checking", &mut app);
    sample::answer(&mut app, ask.clone(), Answer::Checked(Box::new(sample::checked())));
    check("rollback", &mut app);
    let ask = asked(&press(&mut app, "a"));
    let refusal = ErrorReply {
        status: 409,
        title: "conflict".into(),
        detail: "revision 213 by ben changed route orders in the meantime".into(),
        problems: Vec::new(),
    };
    update(&mut app, Event::Answered { ask, outcome: Err(refusal) });
    check("rollback_refused", &mut app);
}

#[test]
fn deleting_a_route() {
    let mut app = app();
    let ask = asked(&press(&mut app, "3 down D"));
    let mut checked = sample::checked();
    checked.diff[0].change = weirgate_store::wire::DiffKind::Removed;
    checked.diff[0].fields.clear();
    sample::answer(&mut app, ask, Answer::Checked(Box::new(checked)));
    check("route_delete", &mut app);
}

#[test]
fn system() {
    check_keys("system", "8");
}

#[test]
fn help_and_palette() {
    check_keys("help_routes", "3 ?");
    check_keys("palette", ":");
    let mut app = app();
    press(&mut app, ":");
    write(&mut app, "drsh13");
    check("palette_found", &mut app);
    let mut app = self::app();
    press(&mut app, ":");
    write(&mut app, "canary");
    check("palette_canary", &mut app);
    check_keys("help_upstream", "4 down enter ?");
    check_keys("help_endpoint", "4 down enter enter ?");
}

#[test]
fn empty_screens() {
    for (tab, name) in ["overview", "traffic", "routes", "upstreams", "consumers", "certificates", "changes", "system"]
        .into_iter()
        .enumerate()
    {
        let mut app = sample::fresh(Theme::COLOR);
        update(&mut app, Event::Connected);
        let mut status = sample::status();
        status.upstreams.clear();
        status.listeners.clear();
        sample::answer(&mut app, Ask::Status, Answer::Status(Box::new(status)));
        for kind in weirgate_store::model::Kind::ALL {
            let list = weirgate_store::wire::ObjectList { kind, revision: 0, objects: Vec::new() };
            sample::answer(&mut app, Ask::List(kind), Answer::List(list));
        }
        let list = weirgate_store::wire::RevisionList { running: 0, revisions: Vec::new() };
        sample::answer(&mut app, Ask::Revisions, Answer::Revisions(list));
        press(&mut app, &(tab + 1).to_string());
        let terminal = draw(&app, 80, 24);
        insta::assert_snapshot!(format!("empty_{name}"), terminal.backend());
    }
}

#[test]
fn without_colour_nothing_is_coloured_and_nothing_is_lost() {
    for keys in [
        "1",
        "2 down",
        "3 down",
        "4 down enter",
        "3 down e",
        "4 down down enter",
        "4 e down enter",
        "4 enter down enter",
    ] {
        let (mut color, mut mono) = (app(), sample::app(Theme::MONO));
        press(&mut color, keys);
        press(&mut mono, keys);
        let (color, mono) = (draw(&color, 80, 24), draw(&mono, 80, 24));
        assert_eq!(color.backend().to_string(), mono.backend().to_string());
        let colours = mono.backend().buffer().content.iter().filter(|cell| cell.fg != ratatui::style::Color::Reset);
        assert_eq!(colours.count(), 0, "row {keys}");
    }
}

#[test]
fn ascii_is_ascii() {
    for (name, keys) in [
        ("ascii_overview", "1"),
        ("ascii_traffic", "2 down"),
        ("ascii_form", "3 down e"),
        ("ascii_form_page", "4 down e down down down down down down enter"),
        ("ascii_upstream", "4 down down enter"),
        ("ascii_endpoint", "4 enter down enter"),
        ("ascii_route", "3 down down enter"),
    ] {
        let mut app = sample::app(Theme::ASCII);
        press(&mut app, keys);
        let terminal = draw(&app, 80, 24);
        let text = terminal.backend().to_string();
        assert!(text.is_ascii(), "row {name}: {:?}", text.chars().find(|c| !c.is_ascii()));
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn tiny_terminals_do_not_panic() {
    for keys in [
        "1",
        "2",
        "3 down e",
        "3 e enter",
        "3 ?",
        ":",
        "4 enter",
        "4 enter enter",
        "4 e down enter",
        "7 enter",
        "8",
        "8 c",
    ] {
        let mut app = app();
        press(&mut app, keys);
        for width in [1, 20, 40, 41, 60] {
            for height in [1, 5, 8, 9, 12] {
                draw(&app, width, height);
            }
        }
    }
}
