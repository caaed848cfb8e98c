// SPDX-License-Identifier: MIT OR Apache-2.0
//! "Did you mean": the nearest of the words that would have been right.
//!
//! Distance counts insertions, deletions, replacements and swaps of neighbours. A word that is further away than a
//! third of its length is not offered, because a wrong suggestion costs more than none.

/// Longest word that is compared; a longer one is no slip of the finger.
const WORD_CHARS_MAX: usize = 64;

/// Most candidates that are compared: a file with many mistakes and many names must not take minutes.
const COMPARED_MAX: usize = 2_000;

/// Most candidates that are listed in a help text.
const LISTED_MAX: usize = 12;

/// The candidate nearest to `word`, if one is near enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase().replace('_', "-");
    let limit = (wanted.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= limit)
        .take(COMPARED_MAX)
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase().replace('_', "-")), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A help text: the nearest candidate, and the list if it is short.
pub fn help<'a>(word: &str, what: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let listed: Vec<&str> = candidates.clone().into_iter().take(LISTED_MAX + 1).collect();
    let list = if listed.is_empty() {
        format!("there are no {what}")
    } else if listed.len() <= LISTED_MAX {
        format!("{what}: {}", listed.join(", "))
    } else {
        String::new()
    };
    match nearest(word, candidates) {
        Some(near) if list.is_empty() => format!("did you mean \"{near}\"?"),
        Some(near) => format!("did you mean \"{near}\"? {list}"),
        None if list.is_empty() => format!("none of the {what} has a similar name"),
        None => list,
    }
}

/// Optimal string alignment distance; `usize::MAX` for words that are too long to compare.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(WORD_CHARS_MAX + 1).collect();
    let b: Vec<char> = b.chars().take(WORD_CHARS_MAX + 1).collect();
    if a.len() > WORD_CHARS_MAX || b.len() > WORD_CHARS_MAX {
        return usize::MAX;
    }
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = at(&above, j) + usize::from(x != y);
            let mut best = replaced.min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    at(&above, b.len())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        let words = ["upstream", "policies", "match", "priority"];
        for (word, want) in [
            ("upsteam", Some("upstream")),
            ("polices", Some("policies")),
            ("Upstream", Some("upstream")),
            ("mtach", Some("match")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(super::nearest(word, words), want, "row {word:?}");
        }
    }
}
