// SPDX-License-Identifier: MIT OR Apache-2.0
//! The place of an exchange in a trace (W3C Trace Context, level 1): what a client says, and what an endpoint is told.

/// A trace, and the span in it that is this exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    pub trace_id: u128,
    /// This exchange.
    pub span_id: u64,
    /// The span of the client, if it named one.
    pub parent_id: Option<u64>,
    /// Whether the client says that it records.
    pub is_sampled: bool,
}

/// Bytes as hexadecimal digits in lower case.
pub fn hex<const N: usize>(bytes: [u8; N]) -> impl Iterator<Item = u8> + Clone {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' - 10 + value };
    bytes.into_iter().flat_map(move |byte| [digit(byte >> 4), digit(byte & 0xf)])
}

/// Characters of a `traceparent`.
const TRACEPARENT_BYTES: usize = 55;

impl Trace {
    /// The exchange with that random id continues what `traceparent` says, or begins a trace of its own.
    pub fn of(id: u128, traceparent: Option<&[u8]>) -> Self {
        let begun = Self { trace_id: id.max(1), span_id: span_of(id), parent_id: None, is_sampled: false };
        traceparent.and_then(|text| Self::continued(id, text)).unwrap_or(begun)
    }

    /// The exchange with that random id continues what `traceparent` says, if that says anything.
    pub fn continued(id: u128, traceparent: &[u8]) -> Option<Self> {
        let (trace_id, parent_id, is_sampled) = parse(traceparent)?;
        Some(Self { trace_id, span_id: span_of(id), parent_id: Some(parent_id), is_sampled })
    }

    /// The span of the so-manyeth time the exchange is sent to an endpoint, counted from 1.
    pub fn span_of_try(&self, number: u64) -> u64 {
        match self.span_id.wrapping_add(number) {
            0 => u64::MAX,
            span => span,
        }
    }

    /// What an endpoint is told: the same trace, with this exchange as its parent.
    pub fn traceparent(&self) -> [u8; TRACEPARENT_BYTES] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let ids = hex(self.trace_id.to_be_bytes()).chain(std::iter::once(b'-')).chain(hex(self.span_id.to_be_bytes()));
        text.iter_mut().skip(3).zip(ids).for_each(|(slot, digit)| *slot = digit);
        if let (Some(last), true) = (text.last_mut(), self.is_sampled) {
            *last = b'1';
        }
        text
    }
}

fn span_of(id: u128) -> u64 {
    // An id of zeros is no id.
    (id as u64).max(1)
}

/// Trace, parent and whether it is sampled (section 3.2.2). Version `ff`, zero ids and capital letters are refused; of a
/// later version the known beginning counts.
fn parse(text: &[u8]) -> Option<(u128, u64, bool)> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let mut parts = text.splitn(5, '-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let shape = lower(version, 2) && lower(trace, 32) && lower(parent, 16) && lower(flags, 2);
    if !shape || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|id| *id != 0)?;
    Some((trace, parent, u8::from_str_radix(flags, 16).ok()? & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::Trace;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_is_continued() {
        let trace = Trace::of(7, Some(GOOD.as_bytes()));
        assert_eq!(trace.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((trace.parent_id, trace.span_id, trace.is_sampled), (Some(0x00f0_67aa_0ba9_02b7), 7, true));
        let told = String::from_utf8(trace.traceparent().to_vec()).expect("it is ASCII");
        assert_eq!(told, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000007-01");
        let next = Trace::of(9, Some(told.as_bytes()));
        assert_eq!((next.trace_id, next.parent_id), (trace.trace_id, Some(7)));
    }

    #[test]
    fn what_is_no_trace_begins_one() {
        let bad = [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ];
        for text in bad {
            let trace = Trace::of(5, Some(text.as_bytes()));
            assert_eq!((trace.trace_id, trace.parent_id), (5, None), "row {text:?}");
        }
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more";
        assert_eq!(Trace::of(5, Some(later.as_bytes())).parent_id, Some(0x00f0_67aa_0ba9_02b7));
        assert_eq!(Trace::of(0, None).span_id, 1, "an id is never zero");
    }
}
