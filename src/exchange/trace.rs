// SPDX-License-Identifier: MIT OR Apache-2.0
//! The place of an exchange in a distributed trace: `traceparent` and `tracestate` as the W3C recommendation has them.
//!
//! Read strictly: what is not exactly right is no trace at all, as the recommendation asks. Nothing here decides whom to
//! believe or what to record; a policy does the first and `observe` the second.

use super::Fields;

/// The longest `tracestate` that goes on; more is left out, which the recommendation allows beyond 512 bytes.
const STATE_BYTES_MAX: usize = 512;

/// Members of one `tracestate` (section 3.3.1.1).
const STATE_MEMBERS_MAX: usize = 32;

/// The length of a `traceparent` of version 00.
const PARENT_BYTES: usize = 55;

const PARENT: &[u8] = b"traceparent";
const STATE: &[u8] = b"tracestate";

/// The caller wants it recorded (section 3.2.2.5.1).
const SAMPLED: u8 = 1;

/// The trace id is random (level 2 of the recommendation).
const RANDOM: u8 = 2;

/// The place of one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Never 0.
    pub id: u128,
    /// The caller's step, if the trace did not begin here.
    pub parent: Option<u64>,
    /// Our own step; never 0.
    pub span: u64,
    pub sampled: bool,
    random: bool,
    /// What other tracing systems carry along; empty for nothing.
    state: Box<[u8]>,
}

impl Trace {
    /// A trace that begins here. `id` and `span` are random.
    pub fn begin(id: u128, span: u64, sampled: bool) -> Self {
        Self { id: id.max(1), parent: None, span: span.max(1), sampled, random: true, state: Box::default() }
    }

    /// The trace that a request belongs to, with `span` as our own step; none unless there is exactly one valid
    /// `traceparent`.
    pub fn go_on(fields: &Fields, span: u64) -> Option<Self> {
        let mut parents = fields.named(PARENT);
        let (parent, more) = (parents.next()?, parents.next());
        let (id, caller, flags) = read_parent(parent.trim_ascii()).filter(|_| more.is_none())?;
        let (sampled, random) = (flags & SAMPLED != 0, flags & RANDOM != 0);
        Some(Self { id, parent: Some(caller), span: span.max(1), sampled, random, state: read_state(fields) })
    }

    /// Writes it for the next hop, in place of what is there.
    pub fn write(&self, fields: &mut Fields) {
        fields.set_named(PARENT, self.text().as_bytes());
        fields.remove_named(STATE);
        if !self.state.is_empty() {
            fields.push(STATE, &self.state);
        }
    }

    /// The `traceparent` of the next hop.
    pub fn text(&self) -> String {
        let flags = (u8::from(self.sampled) * SAMPLED) | (u8::from(self.random) * RANDOM);
        format!("00-{:032x}-{:016x}-{flags:02x}", self.id, self.span)
    }
}

/// Trace id, parent id and flags (section 3.2). A later version may have more behind a dash.
fn read_parent(text: &[u8]) -> Option<(u128, u64, u8)> {
    let head = text.get(..PARENT_BYTES)?;
    let mut parts = head.split(|byte| *byte == b'-');
    let mut part = |digits: usize| hex(parts.next()?).filter(|(_, len)| *len == digits).map(|(value, _)| value);
    let (version, id, parent, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let ends = match version {
        0 => text.len() == PARENT_BYTES,
        0xff => false,
        _ => text.get(PARENT_BYTES).is_none_or(|byte| *byte == b'-'),
    };
    let parent = u64::try_from(parent).ok()?;
    (ends && id != 0 && parent != 0).then_some((id, parent, u8::try_from(flags).ok()?))
}

/// A number in lower-case hex digits, and how many there are.
fn hex(text: &[u8]) -> Option<(u128, usize)> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| is_digit(&byte)))?;
    Some((u128::from_str_radix(text, 16).ok()?, text.len()))
}

/// All members of all fields as one list, or nothing if it is not one (section 3.3).
fn read_state(fields: &Fields) -> Box<[u8]> {
    let members: Vec<&[u8]> = fields
        .named(STATE)
        .flat_map(|field| field.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
        .collect();
    let joined = members.join(&b","[..]);
    let fits = members.len() <= STATE_MEMBERS_MAX && joined.len() <= STATE_BYTES_MAX;
    if fits && members.iter().all(|member| is_member(member)) { joined.into() } else { Box::default() }
}

/// `key=value` (section 3.3.1.2).
fn is_member(member: &[u8]) -> bool {
    let Some((key, value)) = super::part::split_pair(member) else { return false };
    let in_key = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let in_value = |byte: &u8| matches!(byte, 0x20..=0x7e) && *byte != b'=';
    let first = key.first().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    first && key.len() <= 256 && key.iter().all(in_key) && !value.is_empty() && value.iter().all(in_value)
}

#[cfg(test)]
mod tests {
    use super::{Fields, Trace};

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn go_on(parents: &[&str], states: &[&str]) -> Option<String> {
        let mut fields = Fields::new();
        parents.iter().for_each(|value| fields.push(b"Traceparent", value.as_bytes()));
        states.iter().for_each(|value| fields.push(b"TraceState", value.as_bytes()));
        let trace = Trace::go_on(&fields, 7)?;
        trace.write(&mut fields);
        let line = |f: crate::exchange::Field<'_>| String::from_utf8_lossy(f.value).into_owned();
        Some(fields.iter().map(line).collect::<Vec<_>>().join(" "))
    }

    /// Rows: what comes, and what goes on; nothing for what is no trace.
    #[test]
    fn a_trace_goes_on_or_is_none() {
        let ours = "0000000000000007";
        for (parent, want) in [
            (format!("00-{ID}-{SPAN}-01"), Some(format!("00-{ID}-{ours}-01"))),
            (format!("00-{ID}-{SPAN}-00"), Some(format!("00-{ID}-{ours}-00"))),
            (format!(" 00-{ID}-{SPAN}-ff "), Some(format!("00-{ID}-{ours}-03"))),
            (format!("cc-{ID}-{SPAN}-01-what-ever"), Some(format!("00-{ID}-{ours}-01"))),
            (format!("cc-{ID}-{SPAN}-01"), Some(format!("00-{ID}-{ours}-01"))),
            (format!("cc-{ID}-{SPAN}-01x"), None),
            (format!("00-{ID}-{SPAN}-01-more"), None),
            (format!("ff-{ID}-{SPAN}-01"), None),
            (format!("00-{}-{SPAN}-01", ID.to_uppercase()), None),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
            (format!("00-{ID}-{}-01", "0".repeat(16)), None),
            (format!("00-{ID}-{SPAN}-1"), None),
            (format!("00-{ID}-{SPAN}-0g"), None),
            (format!("00_{ID}-{SPAN}-01"), None),
            (format!("00-{ID}{SPAN}-01-00"), None),
            (String::new(), None),
        ] {
            assert_eq!(go_on(&[&parent], &[]), want, "row {parent:?}");
        }
        let good = format!("00-{ID}-{SPAN}-01");
        assert_eq!(go_on(&[&good, &good], &[]), None, "two are none");
        assert_eq!(go_on(&[], &[]), None);
    }

    /// Rows: the state that comes, and what goes on of it.
    #[test]
    fn state_goes_on_if_it_is_right() {
        let good = format!("00-{ID}-{SPAN}-01");
        let many = vec!["a=1"; 33].join(",");
        for (states, want) in [
            (&["rojo=00f067aa0ba902b7, congo=t61rcWkgMzE"][..], "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
            (&["a=1", "b@c=2"], "a=1,b@c=2"),
            (&[", a=1,,"], "a=1"),
            (&["A=1"], ""),
            (&["a"], ""),
            (&["a="], ""),
            (&["a=b=c"], ""),
            (&[&*many], ""),
            (&[&*format!("a={}", "x".repeat(600))], ""),
        ] {
            let got = go_on(&[&good], states).unwrap_or_default();
            let state = got.split_once(' ').map_or("", |(_, state)| state);
            assert_eq!(state, want, "row {states:?}");
        }
    }

    #[test]
    fn a_new_one_is_random_and_marked_so() {
        assert_eq!(Trace::begin(1, 0, true).text(), format!("00-{:032x}-{:016x}-03", 1, 1));
        assert_eq!(Trace::begin(0, 2, false).text(), format!("00-{:032x}-{:016x}-02", 1, 2));
    }
}
