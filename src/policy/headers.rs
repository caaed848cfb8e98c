// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes to header fields, of the request or of the reply: remove, then set, then add.
//!
//! Nothing here may touch what frames or directs a message: hop-by-hop fields, lengths, Host. That is refused when
//! the policy is built, so the request path only applies. Names compare without case.

use std::sync::Arc;

use weirgate_store::model::RESERVED_FIELDS;

use super::Mistake;
use crate::exchange::Fields;

/// Changes in one policy.
pub const EDITS_MAX: usize = 100;

/// Bytes of one value.
pub const VALUE_MAX: usize = 8 * 1024;

/// What the operator wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditSpec {
    pub remove: Vec<String>,
    pub set: Vec<(String, String)>,
    pub add: Vec<(String, String)>,
}

/// A name and a value.
type Pair = (Box<[u8]>, Box<[u8]>);

/// Changes that are known to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edits {
    pub name: Arc<str>,
    remove: Box<[Box<[u8]>]>,
    set: Box<[Pair]>,
    add: Box<[Pair]>,
}

impl Edits {
    /// Checks every change and says everything that is wrong with them at once.
    pub fn new(name: Arc<str>, spec: &EditSpec) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        if spec.remove.len() + spec.set.len() + spec.add.len() > EDITS_MAX {
            mistakes.push(Mistake::TooMany { what: "changes in one policy", max: EDITS_MAX });
        }
        mistakes.extend(spec.remove.iter().filter_map(|name| check_name(name).err()));
        for (name, value) in spec.set.iter().chain(&spec.add) {
            mistakes.extend(check_name(name).err());
            mistakes.extend(check_value(name, value).err());
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let bytes = |text: &String| text.as_bytes().into();
        let pairs = |list: &[(String, String)]| list.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
        let remove = spec.remove.iter().map(bytes).collect();
        Ok(Self { name, remove, set: pairs(&spec.set), add: pairs(&spec.add) })
    }

    /// Makes the changes.
    pub fn apply(&self, fields: &mut Fields) {
        for name in &self.remove {
            fields.remove_named(name);
        }
        for (name, value) in &self.set {
            fields.set_named(name, value);
        }
        for (name, value) in &self.add {
            fields.push(name, value);
        }
    }

    /// The changes as a phrase for explain.
    pub fn phrase(&self) -> String {
        let names =
            |verb: &str, names: Vec<String>| (!names.is_empty()).then(|| format!("{verb} {}", names.join(", ")));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let pair = |(name, _): &Pair| text(name);
        let parts = [
            names("removes", self.remove.iter().map(|name| text(name)).collect()),
            names("sets", self.set.iter().map(pair).collect()),
            names("adds", self.add.iter().map(pair).collect()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// Whether a policy may read or write a field of this name.
pub(super) fn check_name(name: &str) -> Result<(), Mistake> {
    if !is_token(name) {
        return Err(Mistake::HeaderName(name.to_owned()));
    }
    if RESERVED_FIELDS.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err(Mistake::Reserved(name.to_owned()));
    }
    Ok(())
}

/// A token (RFC 9110 section 5.6.2), no longer than a name can sensibly be.
pub(super) fn is_token(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=256).contains(&name.len()) && name.bytes().all(token)
}

fn check_value(name: &str, value: &str) -> Result<(), Mistake> {
    let control = value.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f);
    let padded = value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']);
    if control || padded {
        return Err(Mistake::HeaderValue(name.to_owned()));
    }
    if value.len() > VALUE_MAX {
        return Err(Mistake::TooMany { what: "bytes in one value", max: VALUE_MAX });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{EditSpec, Edits};
    use crate::exchange::Fields;

    fn spec(remove: &[&str], set: &[(&str, &str)], add: &[(&str, &str)]) -> EditSpec {
        let pairs = |list: &[(&str, &str)]| list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        EditSpec { remove: remove.iter().map(|name| (*name).to_owned()).collect(), set: pairs(set), add: pairs(add) }
    }

    #[test]
    fn changes_run_in_one_order() {
        let edits = spec(&["x-internal"], &[("X-Edge", "weirgate")], &[("X-Internal", "new"), ("X-Edge", "two")]);
        let edits = Edits::new("edge".into(), &edits).unwrap();
        let mut fields = Fields::new();
        for (name, value) in [("X-Internal", "old"), ("x-edge", "forged"), ("Accept", "*/*"), ("X-EDGE", "again")] {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        edits.apply(&mut fields);
        let line = |f: crate::exchange::Field<'_>| {
            format!("{}:{}", String::from_utf8_lossy(f.name), String::from_utf8_lossy(f.value))
        };
        let got: Vec<_> = fields.iter().map(line).collect();
        assert_eq!(got, ["Accept:*/*", "X-Edge:weirgate", "X-Internal:new", "X-Edge:two"]);
        assert_eq!(edits.phrase(), "removes x-internal; sets X-Edge; adds X-Internal, X-Edge");
    }

    #[track_caller]
    fn check(spec: &EditSpec, want: &[&str]) {
        let mistakes = Edits::new("p".into(), spec).err().unwrap_or_default();
        let got: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn what_frames_a_message_is_out_of_reach() {
        let reserved = "cannot be changed here: weirgate itself decides it, because it frames or directs the message";
        for name in ["Host", "content-length", "TRANSFER-ENCODING", "Connection", "TE", "Upgrade", "Keep-Alive"] {
            check(&spec(&[name], &[], &[]), &[&format!("{name} {reserved}")]);
            check(&spec(&[], &[(name, "1")], &[]), &[&format!("{name} {reserved}")]);
            check(&spec(&[], &[], &[(name, "1")]), &[&format!("{name} {reserved}")]);
        }
        let bad = "the value of X-A holds a control character, or begins or ends with a space";
        for value in ["a\r\nX-B: c", "\0", " a", "a\t", "\u{7f}"] {
            check(&spec(&[], &[("X-A", value)], &[]), &[bad]);
        }
        check(&spec(&[], &[("X-A", ""), ("X-B", "é\tb")], &[]), &[]);
        let names = |name: &str| format!("\"{name}\" cannot be a header name: letters, digits and hyphens, not empty");
        check(&spec(&["", ":path", "a b"], &[], &[]), &[&names(""), &names(":path"), &names("a b")]);
        let many = vec!["x"; 101];
        check(&spec(&many, &[], &[]), &["more than 100 changes in one policy"]);
    }
}
