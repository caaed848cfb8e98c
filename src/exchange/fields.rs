// SPDX-License-Identifier: MIT OR Apache-2.0
//! Header fields as one buffer and ranges into it, in the order they arrived.
//!
//! The buffer also keeps whatever else a message needs from its head (target, authority), so that one request costs
//! one buffer, reused by the next request of the connection. A removed field leaves its bytes behind; the buffer is
//! bounded by the head limit of the listener plus what policies add.

use super::Known;

/// A range in the buffer of a [`Fields`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// The range that begins at `start` and holds `len` bytes. Heads are bounded far below 4 GiB.
    pub fn new(start: usize, len: usize) -> Self {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { start: clamp(start), len: clamp(len) }
    }

    /// The range of `len` bytes that begins `start` bytes into this one.
    pub fn within(self, start: usize, len: usize) -> Self {
        Self::new((self.start as usize).saturating_add(start), len)
    }

    /// The part of this range from its byte `from` up to its byte `to`; what lies outside is cut off.
    pub fn part(self, from: usize, to: usize) -> Self {
        let to = to.min(self.len as usize);
        let from = from.min(to);
        Self::new(self.start as usize + from, to - from)
    }

    /// Whether the range holds nothing.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    known: Known,
    name: Span,
    value: Span,
}

/// One field as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub known: Known,
    pub name: &'a [u8],
    pub value: &'a [u8],
}

/// The header fields of one message.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    buf: Vec<u8>,
    entries: Vec<Entry>,
}

impl Fields {
    /// No fields and no buffer yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything and keeps the memory, unless one message had made it larger than `keep_bytes`.
    pub fn reset(&mut self, keep_bytes: usize) {
        self.buf.clear();
        self.entries.clear();
        if self.buf.capacity() > keep_bytes {
            self.buf = Vec::new();
        }
    }

    /// Copies `text` into the buffer and says where it is.
    pub fn store(&mut self, text: &[u8]) -> Span {
        let span = Span::new(self.buf.len(), text.len());
        self.buf.extend_from_slice(text);
        span
    }

    /// The bytes at `span`; empty if it is not of this buffer.
    pub fn text(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        self.buf.get(start..start + span.len as usize).unwrap_or_default()
    }

    /// Adds a field whose name and value are already in the buffer (the codec copies a whole head at once).
    pub fn push_spans(&mut self, name: Span, value: Span) -> Known {
        let known = Known::of(self.text(name));
        self.entries.push(Entry { known, name, value });
        known
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let name = self.store(name);
        let value = self.store(value);
        self.push_spans(name, value);
    }

    /// Adds a known field at the end.
    pub fn push_known(&mut self, known: Known, value: &[u8]) {
        let name = self.store(known.name().as_bytes());
        let value = self.store(value);
        self.entries.push(Entry { known, name, value });
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.entries.iter().map(|entry| self.field(*entry))
    }

    /// The identities of all fields in order, for a stage that counts before it looks.
    pub fn identities(&self) -> impl Iterator<Item = Known> {
        self.entries.iter().map(|entry| entry.known)
    }

    fn field(&self, entry: Entry) -> Field<'_> {
        Field { known: entry.known, name: self.text(entry.name), value: self.text(entry.value) }
    }

    /// The value of the first field of that identity.
    pub fn find(&self, known: Known) -> Option<&[u8]> {
        self.all(known).next()
    }

    /// The values of all fields of that identity, in order.
    pub fn all(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().filter(move |entry| entry.known == known).map(|entry| self.text(entry.value))
    }

    /// How many fields have that identity.
    pub fn count(&self, known: Known) -> usize {
        self.entries.iter().filter(|entry| entry.known == known).count()
    }

    /// The values of all fields of that name, compared without case, in order.
    pub fn named<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// Where the value of the first field of that name lies, which stays so when the field is removed.
    pub fn find_span(&self, name: &[u8]) -> Option<Span> {
        let is_named = |entry: &&Entry| self.text(entry.name).eq_ignore_ascii_case(name);
        self.entries.iter().find(is_named).map(|entry| entry.value)
    }

    /// Removes every field of that identity and says whether there was one.
    pub fn remove(&mut self, known: Known) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.known != known);
        self.entries.len() != before
    }

    /// Removes every field of that name, compared without case, and says whether there was one.
    pub fn remove_named(&mut self, name: &[u8]) -> bool {
        let before = self.entries.len();
        self.retain(|field| !field.name.eq_ignore_ascii_case(name));
        self.entries.len() != before
    }

    /// Keeps the fields for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) {
        let Self { buf, entries } = self;
        let text = |span: Span| buf.get(span.start as usize..(span.start + span.len) as usize).unwrap_or_default();
        entries.retain(|e| keep(Field { known: e.known, name: text(e.name), value: text(e.value) }));
    }

    /// Replaces every field of that identity by one with this value.
    pub fn set(&mut self, known: Known, value: &[u8]) {
        self.remove(known);
        self.push_known(known, value);
    }

    /// Replaces every field of that name by one with this value.
    pub fn set_named(&mut self, name: &[u8], value: &[u8]) {
        self.remove_named(name);
        self.push(name, value);
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, Known};

    fn sample() -> Fields {
        let mut fields = Fields::new();
        fields.push(b"Host", b"a.example");
        fields.push(b"X-One", b"1");
        fields.push(b"x-one", b"2");
        fields.push_known(Known::Via, b"1.1 weirgate");
        fields
    }

    #[test]
    fn fields_are_found_by_identity_and_by_name() {
        let fields = sample();
        assert_eq!(fields.find(Known::Host), Some(&b"a.example"[..]));
        assert_eq!(fields.named(b"X-ONE").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(fields.count(Known::Via), 1);
    }

    #[test]
    fn removal_keeps_the_order_of_the_rest() {
        let mut fields = sample();
        assert!(fields.remove_named(b"x-One"));
        assert!(!fields.remove(Known::Cookie));
        let names: Vec<_> = fields.iter().map(|field| field.name.to_vec()).collect();
        assert_eq!(names, [b"Host".to_vec(), b"Via".to_vec()]);
    }

    #[test]
    fn a_large_buffer_is_not_kept() {
        let mut fields = sample();
        fields.push(b"big", &[b'x'; 8192]);
        fields.reset(4096);
        assert!(fields.is_empty());
        assert_eq!(fields.buf.capacity(), 0);
    }
}
