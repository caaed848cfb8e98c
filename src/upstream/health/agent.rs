// SPDX-License-Identifier: MIT OR Apache-2.0
//! The line of an agent (HAProxy's agent-check): what it says, and what of it is in force. Pure.
//!
//! A word that is not known is passed over, as HAProxy does, so that agents written for it work. What an agent has done
//! only the agent undoes: `ready` takes back its own `drain` and `maint`, `up` its own `down`, and neither touches what
//! an operator or another check decided. An agent that does not answer changes nothing.

/// Longest text of a reason that is kept.
const REASON_BYTES_MAX: usize = 200;

/// What an agent has set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aside {
    #[default]
    Ready,
    Drain,
    Maint,
}

/// What an agent has said so far, as far as it is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    pub aside: Aside,
    /// Why it is down.
    pub down: Option<String>,
    /// Per cent of the weight.
    pub share: Option<u8>,
}

impl Agent {
    /// Takes a line. What changed, as a sentence; none if nothing did.
    pub fn hear(&mut self, line: &str) -> Option<String> {
        let before = self.clone();
        let (words, reason) = match line.split_once('#') {
            Some((words, reason)) => (words, reason.trim()),
            None => (line, ""),
        };
        for word in words.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
            self.take(word, reason);
        }
        (*self != before).then(|| self.sentence())
    }

    fn take(&mut self, word: &str, reason: &str) {
        if let Some(percent) = word.strip_suffix('%').and_then(|number| number.parse::<u16>().ok()) {
            // Above the configured weight is not for an agent to say.
            self.share = u8::try_from(percent.min(100)).ok();
            return;
        }
        match word.to_ascii_lowercase().as_str() {
            "ready" => self.aside = Aside::Ready,
            "drain" => self.aside = Aside::Drain,
            "maint" => self.aside = Aside::Maint,
            "up" => self.down = None,
            word @ ("down" | "stopped" | "fail" | "failed") => {
                let end =
                    reason.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= REASON_BYTES_MAX);
                let reason = reason.get(..end.last().unwrap_or(0)).unwrap_or_default();
                let clean = reason.chars().filter(|c| !c.is_control()).collect::<String>();
                self.down = Some(if clean.is_empty() { word.to_owned() } else { format!("{word}, {clean}") });
            }
            _ => {}
        }
    }

    fn sentence(&self) -> String {
        let mut parts = vec![match (&self.down, self.aside) {
            (Some(down), _) => format!("the agent says {down}"),
            (None, Aside::Drain) => "the agent says drain".to_owned(),
            (None, Aside::Maint) => "the agent says maint".to_owned(),
            (None, Aside::Ready) => "the agent says ready".to_owned(),
        }];
        parts.extend(self.share.map(|percent| format!("{percent}% of the weight")));
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::{Agent, Aside};

    /// The lines one after the other; what is in force after the last and what it said of the last change.
    #[track_caller]
    fn check(lines: &[&str], aside: Aside, down: Option<&str>, share: Option<u8>, said: Option<&str>) {
        let mut agent = Agent::default();
        let last = lines.iter().map(|line| agent.hear(line)).last().flatten();
        assert_eq!(agent, Agent { aside, down: down.map(str::to_owned), share }, "{lines:?}");
        assert_eq!(last.as_deref(), said, "{lines:?}");
    }

    #[test]
    fn lines_of_haproxy_agents() {
        check(&["75%"], Aside::Ready, None, Some(75), Some("the agent says ready, 75% of the weight"));
        check(&["75% ready"], Aside::Ready, None, Some(75), Some("the agent says ready, 75% of the weight"));
        check(&["drain"], Aside::Drain, None, None, Some("the agent says drain"));
        check(&["drain", "up"], Aside::Drain, None, None, None);
        check(&["maint", "ready"], Aside::Ready, None, None, Some("the agent says ready"));
        check(&["down#disk full"], Aside::Ready, Some("down, disk full"), None, Some("the agent says down, disk full"));
        check(&["down", "ready"], Aside::Ready, Some("down"), None, None);
        check(&["stopped", "up"], Aside::Ready, None, None, Some("the agent says ready"));
        check(&["FAIL"], Aside::Ready, Some("fail"), None, Some("the agent says fail"));
        check(&["up,50%\tready"], Aside::Ready, None, Some(50), Some("the agent says ready, 50% of the weight"));
        check(&["300%"], Aside::Ready, None, Some(100), Some("the agent says ready, 100% of the weight"));
        check(&["maxconn:30 weight:9 nonsense"], Aside::Ready, None, None, None);
        check(&[""], Aside::Ready, None, None, None);
    }
}
