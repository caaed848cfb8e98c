// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operations of the plain console, question by question: drain, maintenance, ready, weight, canary, connections,
//! the past of an upstream. An empty line always means "none"; what cuts somebody off asks once more.

use weirgate_store::model::{Kind, Span, WEIGHT_MAX};
use weirgate_store::wire::{CanaryVerb, ErrorReply, OverrideMode, OverrideRequest};

use super::{Plain, sentences};
use crate::event::{Answer, Ask, Effect, Event};
use crate::list::ListId;
use crate::{rows, text};

/// What the next line that is typed means.
#[derive(Debug)]
pub(super) enum Wait {
    Choice,
    /// Which endpoint.
    Endpoint(Draft),
    /// One question about it after the other.
    Question(Draft),
    Canary,
    CanaryVerb(String),
    Timeline,
    Connection,
    Sure(Ask),
}

/// An override as far as it is known.
#[derive(Debug)]
pub(super) struct Draft {
    upstream: String,
    address: String,
    request: OverrideRequest,
    /// What is still to be asked, the next one last.
    open: Vec<Question>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Weight,
    Reason,
    Deadline,
    Expires,
}

/// What is said, and what is asked of the daemon.
type Said = (Vec<String>, Vec<Effect>);

fn say(line: impl Into<String>) -> Said {
    (vec![line.into()], Vec::new())
}

/// Begins an operation; `None` if the key means none.
pub(super) fn begin(plain: &mut Plain, key: &str) -> Option<Said> {
    use Question::{Deadline, Expires, Reason, Weight};
    let (mode, open) = match key {
        "7" => (OverrideMode::Drain, vec![Expires, Deadline, Reason]),
        "8" => (OverrideMode::Maint, vec![Expires, Reason]),
        "9" => (OverrideMode::Ready, vec![Reason]),
        "w" => (OverrideMode::Ready, vec![Expires, Reason, Weight]),
        "c" => return Some((vec!["Asked.".to_owned()], vec![all_connections()])),
        "h" => return Some(which(plain, Kind::Upstream, Wait::Timeline)),
        "k" => return Some(writing(plain, which_canary)),
        "x" => {
            return Some(writing(plain, |plain| {
                plain.wait = Wait::Connection;
                (vec!["Asked.".to_owned()], vec![all_connections()])
            }));
        }
        _ => return None,
    };
    let request = OverrideRequest { mode, ..OverrideRequest::default() };
    let draft = Draft { upstream: String::new(), address: String::new(), request, open };
    Some(writing(plain, |plain| {
        plain.wait = Wait::Endpoint(draft);
        let mut lines = plain.endpoints();
        lines.push("Which? Its number, or an empty line for none.".to_owned());
        (lines, Vec::new())
    }))
}

fn all_connections() -> Effect {
    Effect::Ask(Ask::Connections { listener: None, upstream: None })
}

/// Only where something may be written.
fn writing(plain: &mut Plain, begin: impl FnOnce(&mut Plain) -> Said) -> Said {
    match plain.app.write_refusal() {
        Some(refusal) => say(refusal),
        None => begin(plain),
    }
}

fn which(plain: &mut Plain, kind: Kind, wait: Wait) -> Said {
    let names = plain.app.live.objects(kind).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    plain.wait = wait;
    say(format!("Which {}? {names}. An empty line for none.", kind.singular()))
}

fn which_canary(plain: &mut Plain) -> Said {
    let canaries = plain.app.live.status.iter().flat_map(|status| &status.canaries);
    let mut lines: Vec<String> = canaries
        .map(|c| format!("{}: {} gets {} percent, {}: {}", c.route, c.upstream, c.percent, c.state, c.reason))
        .collect();
    if lines.is_empty() {
        return say("No route has a canary.");
    }
    lines.push("Which route? Its name, or an empty line for none.".to_owned());
    plain.wait = Wait::Canary;
    (lines, Vec::new())
}

/// Takes an answer to what was asked.
pub(super) fn answer(plain: &mut Plain, wait: Wait, line: &str) -> Said {
    match wait {
        Wait::Choice => (Vec::new(), Vec::new()),
        Wait::Endpoint(draft) => endpoint(plain, draft, line),
        Wait::Question(draft) => question(plain, draft, line),
        Wait::Canary if plain.app.live.canary(line).is_some() => {
            plain.wait = Wait::CanaryVerb(line.to_owned());
            say("start, stop, resume or back? An empty line for none.")
        }
        Wait::CanaryVerb(route) => canary(route, line),
        Wait::Timeline if plain.app.live.object(Kind::Upstream, line).is_some() => {
            (vec!["Asked.".to_owned()], vec![Effect::Ask(Ask::Timeline { upstream: line.to_owned() })])
        }
        Wait::Connection => connection(plain, line),
        Wait::Sure(ask) if line == "y" => (vec!["Asked.".to_owned()], vec![Effect::Ask(ask)]),
        Wait::Canary | Wait::Timeline | Wait::Sure(_) => say("None."),
    }
}

fn canary(route: String, line: &str) -> Said {
    let verb = match line {
        "start" => CanaryVerb::Start,
        "stop" => CanaryVerb::Stop,
        "resume" => CanaryVerb::Resume,
        "back" => CanaryVerb::Back,
        _ => return say("None."),
    };
    (vec!["Asked.".to_owned()], vec![Effect::Ask(Ask::Canary { route, verb })])
}

fn endpoint(plain: &mut Plain, draft: Draft, line: &str) -> Said {
    let at = line.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    match at.and_then(|at| plain.all_endpoints().into_iter().nth(at)) {
        Some((upstream, address, _)) => {
            let mut draft = Draft { upstream, address, ..draft };
            if draft.open.contains(&Question::Weight) {
                keep_mode(plain, &mut draft);
            }
            ask(plain, draft)
        }
        None => say("None."),
    }
}

/// A new weight must not end a drain: what stands by hand stays, with its deadline.
fn keep_mode(plain: &Plain, draft: &mut Draft) {
    let Some(endpoint) = plain.app.live.endpoint(&draft.upstream, &draft.address) else { return };
    if let Some(over) = &endpoint.overridden {
        let left = |until: i64| u64::try_from((until - plain.app.now_ms) / 1_000).unwrap_or(0).max(1);
        draft.request.mode = over.mode;
        draft.request.deadline_s = over.deadline_ms.map(left);
    }
}

/// Asks the next question, or sends what is known.
fn ask(plain: &mut Plain, draft: Draft) -> Said {
    let Some(next) = draft.open.last() else {
        let ticket = plain.app.next_ticket();
        let Draft { upstream, address, request, .. } = draft;
        let ask = Ask::Override { ticket, upstream, address, request };
        return (vec!["Asked.".to_owned()], vec![Effect::Ask(ask)]);
    };
    let mode = crate::form::mode_name(draft.request.mode);
    let words = match next {
        Question::Weight => format!("Weight of {}, 0 to {WEIGHT_MAX}?", draft.address),
        Question::Reason => format!("{mode} {} of {}: why? An empty line is no reason.", draft.address, draft.upstream),
        Question::Deadline => {
            "Cut what is left after how long, such as 5m? An empty line waits for the last request.".to_owned()
        }
        Question::Expires => "Take it back by itself after how long, such as 2h? An empty line is never.".to_owned(),
    };
    plain.wait = Wait::Question(draft);
    say(words)
}

fn question(plain: &mut Plain, mut draft: Draft, line: &str) -> Said {
    let taken = match draft.open.last() {
        Some(Question::Weight) => match line.parse::<u32>().ok().filter(|weight| *weight <= WEIGHT_MAX) {
            Some(weight) => {
                draft.request.weight = Some(weight);
                Ok(())
            }
            None if line.is_empty() => return say("None."),
            None => Err(format!("{line} is not a whole number from 0 to {WEIGHT_MAX}.")),
        },
        Some(Question::Deadline) => seconds(line).map(|seconds| draft.request.deadline_s = seconds),
        Some(Question::Expires) => seconds(line).map(|seconds| draft.request.expires_s = seconds),
        Some(Question::Reason) => {
            line.clone_into(&mut draft.request.reason);
            Ok(())
        }
        None => Ok(()),
    };
    match taken {
        Ok(()) => {
            draft.open.pop();
            ask(plain, draft)
        }
        Err(wrong) => {
            let (lines, effects) = ask(plain, draft);
            ([vec![wrong], lines].concat(), effects)
        }
    }
}

/// A time in whole seconds; none for an empty line.
fn seconds(line: &str) -> Result<Option<u64>, String> {
    match line.parse::<Span>() {
        _ if line.is_empty() => Ok(None),
        Ok(span) => Ok(Some(span.0.as_secs().max(1))),
        Err(message) => Err(format!("{message}.")),
    }
}

fn connection(plain: &mut Plain, line: &str) -> Said {
    let at = line.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let rows = rows::rows(&plain.app, ListId::Connections);
    let Some((id, cells)) = at.and_then(|at| rows.into_iter().nth(at)) else { return say("None.") };
    let Ok(id) = id.parse() else { return say("None.") };
    plain.wait = Wait::Sure(Ask::Kill { id });
    let client = cells.first().map(|cell| cell.text.as_str()).unwrap_or_default();
    say(format!("Close the connection of {client}? What is in flight on it breaks. y, or an empty line for no."))
}

/// What an event says by itself, after it has changed the state.
pub(super) fn spoken(plain: &Plain, event: &Event) -> Vec<String> {
    let Event::Answered { ask, outcome } = event else { return Vec::new() };
    match (ask, outcome) {
        (Ask::Override { upstream, .. }, Ok(Answer::Endpoint(endpoint))) => {
            vec![format!("{} of {upstream}: {}.", endpoint.address, rows::health_word(endpoint))]
        }
        (Ask::Connections { .. }, Ok(_)) => {
            let mut lines = sentences(ListId::Connections, rows::rows(&plain.app, ListId::Connections));
            if matches!(plain.wait, Wait::Connection) {
                lines.push("Which? Its number, or an empty line for none.".to_owned());
            }
            lines
        }
        (Ask::Timeline { upstream }, Ok(_)) => sentences(ListId::Timeline, rows::timeline(&plain.app, upstream)),
        (Ask::Kill { .. }, Ok(_)) => vec!["It is closed.".to_owned()],
        (Ask::Canary { route, .. }, Ok(_)) => vec![format!("Done. k says how the canary of {route} stands.")],
        (
            Ask::Override { .. }
            | Ask::Connections { .. }
            | Ask::Timeline { .. }
            | Ask::Kill { .. }
            | Ask::Canary { .. },
            Err(ErrorReply { detail, .. }),
        ) => vec![format!("No: {}", text::clean(detail))],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use crate::theme::Theme;

    /// Types the lines one after the other; what is asked of the daemon at last comes back.
    fn talk(lines: &[&str]) -> (Vec<String>, Option<Ask>) {
        let mut plain = Plain { app: sample::app(Theme::MONO), wait: Wait::Choice, said: Vec::new(), numbers: false };
        let mut last = (Vec::new(), None);
        for line in lines {
            let (said, effects) = match std::mem::replace(&mut plain.wait, Wait::Choice) {
                Wait::Choice => plain.choose(line),
                wait => answer(&mut plain, wait, line),
            };
            let asked = effects.into_iter().find_map(|effect| match effect {
                Effect::Ask(ask) => Some(ask),
                _ => None,
            });
            if let Some(ask @ Ask::Connections { .. }) = &asked {
                sample::answer(&mut plain.app, ask.clone(), Answer::Connections(sample::connections()));
            }
            last = (said, asked);
        }
        last
    }

    #[test]
    fn a_new_weight_does_not_end_a_drain() {
        let (_, asked) = talk(&["w", "2", "5", "", ""]);
        let Some(Ask::Override { address, request, .. }) = asked else { panic!("{asked:?}") };
        let got = (address.as_str(), request.mode, request.deadline_s, request.weight);
        assert_eq!(got, ("10.0.1.2:9000", OverrideMode::Drain, Some(252), Some(5)));
    }

    fn check(lines: &[&str], want: &OverrideRequest) {
        let (_, asked) = talk(lines);
        let Some(Ask::Override { upstream, address, request, .. }) = asked else { panic!("row {lines:?}: {asked:?}") };
        assert_eq!((upstream.as_str(), address.as_str()), ("shop", "10.0.0.11:8080"), "row {lines:?}");
        assert_eq!(request, *want, "row {lines:?}");
    }

    #[test]
    fn an_override_is_asked_for_question_by_question() {
        let request = |mode| OverrideRequest { mode, ..OverrideRequest::default() };
        let drain = OverrideRequest { deadline_s: Some(300), ..request(OverrideMode::Drain) };
        check(&["7", "3", "kernel", "5m", ""], &OverrideRequest { reason: "kernel".into(), ..drain.clone() });
        check(&["7", "3", "", "soon", "5m", "2h"], &OverrideRequest { expires_s: Some(7_200), ..drain });
        check(&["8", "3", "", ""], &request(OverrideMode::Maint));
        check(&["9", "3", ""], &request(OverrideMode::Ready));
        check(&["w", "3", "5", "", ""], &OverrideRequest { weight: Some(5), ..request(OverrideMode::Ready) });
    }

    #[test]
    fn a_canary_and_a_connection_are_named_before_they_are_touched() {
        let canary = Ask::Canary { route: "shop-web".into(), verb: CanaryVerb::Back };
        assert_eq!(talk(&["k", "shop-web", "back"]).1, Some(canary));
        assert_eq!(talk(&["k", "orders"]).0, ["None."]);
        assert_eq!(talk(&["x", "1", "y"]).1, Some(Ask::Kill { id: 3 }), "the oldest comes first");
        assert_eq!(talk(&["x", "1", ""]).1, None);
        assert_eq!(talk(&["h", "shop"]).1, Some(Ask::Timeline { upstream: "shop".into() }));
    }
}
