// SPDX-License-Identifier: MIT OR Apache-2.0
//! One source file taken apart: code, comments and string literals in three texts of equal shape, and which lines are
//! tests. It knows where a word stands, not what is allowed there.
//!
//! The scanner must never be wrong about where a string or a comment ends, or every rule after it is; its own table of
//! cases is in `fixtures.rs`.

use std::path::Path;

/// What holds no source of ours (`.git` is a file in a linked worktree).
const SKIPPED: &[&str] = &["target", ".git", "node_modules"];

/// A file's text, split. All three texts have the same number of characters and the same line breaks.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) raw: String,
    /// Comments and the insides of literals are blank.
    pub(crate) code: String,
    /// Everything but comments is blank.
    pub(crate) comments: String,
    /// Everything but the insides of string literals is blank.
    pub(crate) strings: String,
    test_lines: Vec<bool>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let [code, comments, strings] = split(text);
        let test_lines = test_lines(path, &code);
        Self { path: path.to_owned(), raw: text.to_owned(), code, comments, strings, test_lines }
    }

    /// `src/route/table.rs` → `route`; `src/clock.rs` → `clock`; outside `src/` → none.
    pub(crate) fn module(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?;
        rest.split('/').next().map(|first| first.trim_end_matches(".rs"))
    }

    /// How many `super::` lead from this file to the crate root.
    pub(crate) fn depth(&self) -> usize {
        let parts = self.path.trim_end_matches("/mod.rs").split('/').count();
        parts.saturating_sub(1)
    }

    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.test_lines.get(line.saturating_sub(1)).copied().unwrap_or(false)
    }
}

/// The line on which the character at `at` stands, from one.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
}

/// Lines of `text` that hold `word` between characters that cannot belong to a name.
pub(crate) fn lines_with<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    positions(text, word).map(move |at| line_of(text, at))
}

/// Where `word` stands in `text` as a whole word (its own ends are looked at only if they are name characters).
pub(crate) fn positions<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    let opens_name = word.starts_with(name);
    let ends_name = word.ends_with(name);
    text.match_indices(word).filter_map(move |(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|t| t.chars().next());
        let free = !(opens_name && before.is_some_and(name) || ends_name && after.is_some_and(name));
        free.then_some(at)
    })
}

/// The end of the block that opens at the first `{` after `from`; none if a `;` comes first or it never closes.
pub(crate) fn block_end(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (offset, c) in code.get(from..)?.char_indices() {
        match c {
            '[' | '(' if depth == 0 => brackets += 1,
            ']' | ')' if depth == 0 => brackets = brackets.saturating_sub(1),
            ';' if depth == 0 && brackets == 0 => return None,
            '{' => depth += 1,
            '}' if depth <= 1 => return Some(from + offset),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn test_lines(path: &str, code: &str) -> Vec<bool> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let whole = path.starts_with("tests/") || path.contains("/tests/") || name.ends_with("tests.rs");
    let mut lines = vec![whole; code.lines().count()];
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let first = code.get(..at).map_or(0, |t| t.matches('\n').count());
        let last = block_end(code, at).and_then(|end| code.get(..end)).map_or(first + 1, |t| t.matches('\n').count());
        lines.iter_mut().take(last + 1).skip(first).for_each(|line| *line = true);
    }
    lines
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Code,
    Comment,
    Text,
}

fn split(text: &str) -> [String; 3] {
    let chars: Vec<char> = text.chars().collect();
    let mut parts = vec![Part::Code; chars.len()];
    let mut at = 0;
    while at < chars.len() {
        let (part, end) = piece(&chars, at);
        parts.iter_mut().take(end).skip(at).for_each(|slot| *slot = part);
        at = end.max(at + 1);
    }
    [Part::Code, Part::Comment, Part::Text].map(|wanted| {
        let keep = |(c, part): (&char, &Part)| if *c == '\n' || *part == wanted { *c } else { ' ' };
        chars.iter().zip(&parts).map(keep).collect()
    })
}

/// The piece that starts at `at`: what it is and where it ends.
fn piece(chars: &[char], at: usize) -> (Part, usize) {
    let next = |n: usize| chars.get(at + n).copied().unwrap_or(' ');
    let in_name = at > 0 && chars.get(at - 1).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    match (next(0), next(1)) {
        ('/', '/') => (Part::Comment, find(chars, at, |i| at_is(chars, i, "\n"))),
        ('/', '*') => (Part::Comment, block_comment_end(chars, at)),
        ('"', _) => (Part::Text, text_end(chars, at + 1)),
        ('b' | 'c', '"') if !in_name => (Part::Text, text_end(chars, at + 2)),
        ('r', '"' | '#') if !in_name => raw_text(chars, at, 1),
        ('b' | 'c', 'r') if !in_name && matches!(next(2), '"' | '#') => raw_text(chars, at, 2),
        ('\'', '\\') => (Part::Text, find(chars, at + 3, |i| at_is(chars, i, "'")) + 1),
        ('\'', _) if next(2) == '\'' => (Part::Text, at + 3),
        _ => (Part::Code, at + 1),
    }
}

fn at_is(chars: &[char], at: usize, wanted: &str) -> bool {
    wanted.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c))
}

fn find(chars: &[char], from: usize, stop: impl Fn(usize) -> bool) -> usize {
    (from..chars.len()).find(|i| stop(*i)).unwrap_or(chars.len())
}

fn text_end(chars: &[char], mut at: usize) -> usize {
    while let Some(c) = chars.get(at) {
        match c {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn raw_text(chars: &[char], at: usize, prefix: usize) -> (Part, usize) {
    let hashes = chars.iter().skip(at + prefix).take_while(|c| **c == '#').count();
    if chars.get(at + prefix + hashes) != Some(&'"') {
        return (Part::Code, at + 1); // r#name
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let end = find(chars, at + prefix + hashes + 1, |i| at_is(chars, i, &close));
    (Part::Text, (end + close.len()).min(chars.len()))
}

fn block_comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < chars.len() {
        if at_is(chars, at, "/*") {
            depth += 1;
            at += 2;
        } else if at_is(chars, at, "*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    chars.len()
}

/// Every text file of the tree, as (path from the root, text), in no particular order.
pub(crate) fn walk(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if SKIPPED.iter().any(|skipped| name == *skipped) {
                continue;
            }
            if path.is_dir() {
                todo.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let relative = path.strip_prefix(root).unwrap_or(&path);
                found.push((relative.to_string_lossy().into_owned(), text));
            }
        }
    }
    found
}
