// SPDX-License-Identifier: MIT OR Apache-2.0
//! One object, read so that every mistake in it is found.
//!
//! Serde stops at the first mistake. So: read, note the mistake, mend the value (take the member out, or put in what
//! was missing) and read again, until it reads or cannot be mended. What follows only from a mistake that was already
//! noted is not reported.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::place::{Place, Side, Step};
use super::unsupported;
use crate::model::{Kind, Object};
use crate::suggest;
use crate::wire::ProblemCode;

/// Most mistakes that are reported for one object.
const MISTAKES_MAX: usize = 64;

/// Most readings of one object: every mistake can need two.
const READINGS_MAX: usize = 4 * MISTAKES_MAX;

/// One mistake, before it has a line.
pub(super) struct Mistake {
    pub(super) code: ProblemCode,
    pub(super) place: Place,
    pub(super) side: Side,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// What came of reading one object: perhaps an object (a mended one if there are mistakes), and the mistakes.
pub(super) struct Reading {
    pub(super) object: Option<Object>,
    pub(super) mistakes: Vec<Mistake>,
}

/// What stands in for a required field that is missing or wrong, so that the rest can be read; also the example in
/// the help text.
const STAND_INS: &[(&str, &str)] = &[
    ("address", "\"127.0.0.1:8080\""),
    ("protocol", "\"http\""),
    ("endpoints", "[]"),
    ("chain", "\"site.pem\""),
    ("key", "\"site.key\""),
    ("per", "\"consumer\""),
    ("rate", "\"100/s\""),
    ("path", "\"/healthz\""),
    ("to", "\"stdout\""),
    ("url", "\"http://127.0.0.1:4318/v1/traces\""),
];

/// `known` are mistakes in the object that were found before.
pub(super) fn read(kind: Kind, root: &Place, value: Value, known: Vec<Mistake>) -> Reading {
    match kind {
        Kind::Listener => typed(kind, root, value, known, Object::Listener),
        Kind::Certificate => typed(kind, root, value, known, Object::Certificate),
        Kind::Upstream => typed(kind, root, value, known, |upstream| Object::Upstream(Box::new(upstream))),
        Kind::Policy => typed(kind, root, value, known, Object::Policy),
        Kind::Route => typed(kind, root, value, known, Object::Route),
        Kind::Consumer => typed(kind, root, value, known, Object::Consumer),
        Kind::Log => typed(kind, root, value, known, Object::Log),
    }
}

fn typed<T: DeserializeOwned>(
    kind: Kind,
    root: &Place,
    value: Value,
    known: Vec<Mistake>,
    wrap: fn(T) -> Object,
) -> Reading {
    if !value.is_object() {
        return Reading { object: None, mistakes: vec![not_an_object(kind, root)] };
    }
    let mut mender = Mender { root, value, mistakes: known, gone: Vec::new() };
    for refused in unsupported::find(kind, &mender.value, root) {
        mender.note(Mistake {
            code: ProblemCode::NotSupported,
            place: refused.place,
            side: Side::Key,
            message: refused.message,
            help: Some(refused.help),
        });
    }
    mender.mixed_policies(kind);
    for mistake in 0..mender.mistakes.len() {
        if let Some(place) = mender.mistakes.get(mistake).map(|mistake| mistake.place.clone()) {
            mender.take_out(&place);
        }
    }
    for _ in 0..READINGS_MAX {
        // The plain reading first: it is several times faster than the one that tracks paths.
        if let Ok(object) = T::deserialize(&mender.value) {
            return Reading { object: Some(wrap(object)), mistakes: mender.mistakes };
        }
        let Err(error) = serde_path_to_error::deserialize::<_, T>(&mender.value) else { continue };
        if !mender.mend(&error) {
            break;
        }
    }
    Reading { object: None, mistakes: mender.mistakes }
}

fn not_an_object(kind: Kind, root: &Place) -> Mistake {
    Mistake {
        code: ProblemCode::BadValue,
        place: root.clone(),
        side: Side::Key,
        message: format!("a {} is a table", kind.singular()),
        help: Some(format!("write its settings under [{root}]")),
    }
}

/// A value on its way to being readable.
struct Mender<'a> {
    root: &'a Place,
    value: Value,
    mistakes: Vec<Mistake>,
    /// Array elements taken out, by their place in the original, so that later places can be given as they were.
    gone: Vec<Place>,
}

impl Mender<'_> {
    fn note(&mut self, mistake: Mistake) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(mistake);
        }
    }

    /// A policy has exactly one kind; serde's own message for more says neither which nor why.
    fn mixed_policies(&mut self, kind: Kind) {
        let mut mixed = Vec::new();
        for (policy, place) in unsupported::policies(kind, &self.value, self.root) {
            let keys: Vec<&String> = policy.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
            if policy.is_object() && keys.len() != 1 {
                mixed.push((place, keys.into_iter().cloned().collect::<Vec<_>>()));
            }
        }
        for (place, keys) in mixed {
            let (message, help) = if keys.is_empty() {
                ("a policy without a kind".to_owned(), unsupported::policy_help(""))
            } else {
                let listed = keys.join(", ");
                let message = format!("a policy has one kind, and this one has {}: {listed}", keys.len());
                (message, "write one policy for each".to_owned())
            };
            self.note(Mistake { code: ProblemCode::Conflict, place, side: Side::Value, message, help: Some(help) });
        }
    }

    /// Notes what is wrong and mends it; false if that is not possible.
    fn mend(&mut self, error: &serde_path_to_error::Error<serde_json::Error>) -> bool {
        let found = self.reported_place(error.path());
        let mistake = describe(&error.inner().to_string(), self.original(&found), self.at(&found));
        let place = mistake.place.clone();
        let missing = mistake.code == ProblemCode::MissingField;
        let follows = self
            .mistakes
            .iter()
            .any(|known| known.place.within(&place) || place.within(&known.place) && known.place != *self.root);
        if !follows {
            self.note(mistake);
        }
        if missing { self.put_in(&found, &place) } else { self.take_out_current(&found, &place) }
    }

    /// The place serde stopped at, as far as it exists in the value as it is now.
    fn reported_place(&self, path: &serde_path_to_error::Path) -> Place {
        let mut place = self.root.clone();
        for segment in path {
            let step = match segment {
                Segment::Seq { index } => Step::Index(*index),
                Segment::Map { key } => Step::Key(key.clone()),
                Segment::Enum { variant } => Step::Key(variant.clone()),
                Segment::Unknown => break,
            };
            place.0.push(step);
            if self.at(&place).is_none() {
                place.0.pop();
                break;
            }
        }
        place
    }

    fn inner<'p>(&self, place: &'p Place) -> &'p [Step] {
        place.0.get(self.root.0.len()..).unwrap_or_default()
    }

    fn at(&self, place: &Place) -> Option<&Value> {
        self.inner(place).iter().try_fold(&self.value, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })
    }

    fn at_mut(&mut self, place: &[Step]) -> Option<&mut Value> {
        place.iter().try_fold(&mut self.value, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Index(index) => value.get_mut(index),
        })
    }

    /// The place as it was before elements were taken out.
    fn original(&self, place: &Place) -> Place {
        let mut original = Place::default();
        for step in &place.0 {
            let step = match step {
                Step::Key(key) => Step::Key(key.clone()),
                Step::Index(index) => {
                    let mut taken: Vec<usize> = self.gone.iter().filter_map(|gone| sibling(gone, &original)).collect();
                    taken.sort_unstable();
                    Step::Index(taken.into_iter().fold(*index, |index, gone| index + usize::from(gone <= index)))
                }
            };
            original.0.push(step);
        }
        original
    }

    /// The place as it is now; none if something around it is gone.
    fn current(&self, place: &Place) -> Place {
        let mut original = Place::default();
        let mut current = Place::default();
        for step in &place.0 {
            current.0.push(match step {
                Step::Key(key) => Step::Key(key.clone()),
                Step::Index(index) => {
                    let before = self.gone.iter().filter_map(|gone| sibling(gone, &original));
                    Step::Index(index - before.filter(|gone| gone < index).count())
                }
            });
            original.0.push(step.clone());
        }
        current
    }

    fn take_out(&mut self, original: &Place) {
        let current = self.current(original);
        self.take_out_current(&current, original);
    }

    /// Takes out what is wrong: the member named last in `original` if it exists, else the value at `current`.
    fn take_out_current(&mut self, current: &Place, original: &Place) -> bool {
        let mut steps = self.inner(current).to_vec();
        if let (Some(Step::Key(key)), true) = (original.0.last(), original.0.len() > current.0.len()) {
            steps.push(Step::Key(key.clone()));
        }
        let Some(last) = steps.pop() else { return false };
        match (self.at_mut(&steps), last) {
            (Some(Value::Object(members)), Step::Key(key)) => members.remove(&key).is_some(),
            (Some(Value::Array(elements)), Step::Index(index)) if index < elements.len() => {
                elements.remove(index);
                self.gone.push(original.clone());
                true
            }
            _ => false,
        }
    }

    fn put_in(&mut self, parent: &Place, original: &Place) -> bool {
        let Some(Step::Key(key)) = original.0.last() else { return false };
        let Some(stand_in) = stand_in(key).and_then(|text| serde_json::from_str(text).ok()) else { return false };
        let steps = self.inner(parent).to_vec();
        match self.at_mut(&steps) {
            Some(Value::Object(members)) => members.insert(key.clone(), stand_in).is_none(),
            _ => false,
        }
    }
}

fn sibling(gone: &Place, parent: &Place) -> Option<usize> {
    match gone.0.split_last() {
        Some((Step::Index(index), around)) if *around == *parent.0 => Some(*index),
        _ => None,
    }
}

fn stand_in(key: &str) -> Option<&'static str> {
    STAND_INS.iter().find(|(name, _)| *name == key).map(|(_, text)| *text)
}

/// Serde's sentence as one of ours. `place` is where it stopped, `value` what stands there.
fn describe(sentence: &str, place: Place, value: Option<&Value>) -> Mistake {
    if let Some(name) = between(sentence, "missing field `", "`") {
        let help = stand_in(name).map(|text| format!("write {name} = {text}"));
        let message = format!("\"{name}\" is missing");
        return Mistake {
            code: ProblemCode::MissingField,
            place: place.key(name),
            side: Side::Key,
            message,
            help: Some(help.unwrap_or_else(|| format!("write {name} = …"))),
        };
    }
    for opening in ["unknown field `", "unknown variant `"] {
        if let Some(name) = between(sentence, opening, "`, ") {
            return unknown(name, sentence, place, value);
        }
    }
    let (message, help) = mismatch(sentence);
    Mistake { code: ProblemCode::BadValue, place, side: Side::Value, message, help }
}

fn unknown(name: &str, sentence: &str, place: Place, value: Option<&Value>) -> Mistake {
    let expected: Vec<&str> = sentence
        .rsplit_once("`, expected ")
        .map(|(_, list)| list.split('`').skip(1).step_by(2).collect())
        .unwrap_or_default();
    // Where the key itself was refused, serde's path ends with it or with what it stands in.
    let at_key = matches!(place.0.last(), Some(Step::Key(key)) if key == name)
        && value.and_then(Value::as_str).is_none_or(|text| text != name);
    if at_key || value.is_some_and(Value::is_object) {
        let place = if at_key { place } else { place.key(name) };
        let policy = expected.first() == Some(&"api_key") && expected.contains(&"rate_limit");
        let what = if policy { "kinds of policies" } else { "known here" };
        let message =
            if policy { format!("there is no policy \"{name}\"") } else { format!("there is no setting \"{name}\"") };
        let help = Some(suggest::help(name, what, expected));
        return Mistake { code: ProblemCode::UnknownField, place, side: Side::Key, message, help };
    }
    let message = format!("\"{name}\" is not allowed here");
    let help = Some(suggest::help(name, "allowed", expected));
    Mistake { code: ProblemCode::BadValue, place, side: Side::Value, message, help }
}

/// A value of the wrong type, or one that its own type refused with a sentence.
fn mismatch(sentence: &str) -> (String, Option<String>) {
    let opening = ["invalid type: ", "invalid value: ", "invalid length "];
    let rest = opening.into_iter().find_map(|opening| sentence.strip_prefix(opening));
    if let Some((found, expected)) = rest.and_then(|rest| rest.split_once(", expected ")) {
        let found = plain(found);
        return (format!("{found} cannot stand here"), Some(format!("write {}", plain(expected))));
    }
    if sentence.contains("socket address") {
        let help = "write an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"";
        return ("this is not an address".to_owned(), Some(help.to_owned()));
    }
    if sentence.contains("IP address") || sentence.contains("network") {
        let help = "write a network such as \"10.0.0.0/8\" or \"::1/128\"";
        return ("this is not a network".to_owned(), Some(help.to_owned()));
    }
    match sentence.split_once(": ") {
        Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
        None => (sentence.to_owned(), Some("see the documentation of this setting".to_owned())),
    }
}

/// Rust's names of types in the words of a file.
fn plain(words: &str) -> String {
    let names = [
        ("map", "a table"),
        ("sequence", "a list"),
        ("a sequence", "a list"),
        ("unit value", "nothing"),
        ("null", "nothing"),
        ("a boolean", "true or false"),
        ("u8", "a whole number from 0 to 255"),
        ("u16", "a whole number from 0 to 65535"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("u64", "a whole number, 0 or more"),
        ("i32", "a whole number"),
        ("socket address", "an IP address and a port, such as \"127.0.0.1:8080\""),
        ("IP network address", "a network such as \"10.0.0.0/8\""),
    ];
    if let Some((_, name)) = names.into_iter().find(|(rust, _)| *rust == words) {
        return name.to_owned();
    }
    if words.starts_with("struct ") || words.starts_with("a map") {
        return "a table".to_owned();
    }
    words
        .replace('`', "")
        .replace("integer ", "the number ")
        .replace("floating point ", "the number ")
        .replace("string \"", "the text \"")
}

fn between<'t>(text: &'t str, opening: &str, closing: &str) -> Option<&'t str> {
    text.strip_prefix(opening)?.split_once(closing).map(|(inner, _)| inner)
}
