// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules themselves: each takes one file and returns its breaches. The maps they read are in `tidy.rs`.
//!
//! A rule that looks at code skips lines that are tests where a test may do what the daemon may not (imports, clocks,
//! tasks); sizes, headers and leftovers hold everywhere.

use crate::source::{Source, block_end, line_of, lines_with, positions};
use crate::{
    BANNED_ENDINGS, BANNED_TYPES, Breach, DRAWERS, FILE_LINES_MAX, FILE_LINES_WARN, FUNCTION_LINES_MAX,
    HEADER_CHARACTERS_MIN, IMPURE_WORDS, MAY_SPAWN, MAY_USE_ENGINE, MAY_USE_TERMINAL, PROXY_READS, PURE, may_use,
};

type Found = Vec<(usize, String)>;

pub(crate) fn rust_file(source: &Source) -> Vec<Breach> {
    let rules: [fn(&Source) -> Found; 11] =
        [header, sizes, functions, imports, crates, purity, clocks, tasks, type_names, leftovers, metric_names];
    let breach = |(line, message)| Breach { path: source.path.clone(), line, message };
    rules.iter().flat_map(|rule| rule(source)).map(breach).collect()
}

/// Rules for every text file: nothing names the place it was written in, and dependencies come from crates.io.
pub(crate) fn any_file(path: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut add = |line: usize, message: &str| {
        breaches.push(Breach { path: path.to_owned(), line, message: message.to_owned() });
    };
    for (line, content) in (1..).zip(text.lines()) {
        let place = ["/root/", "/Users/"].iter().any(|p| content.contains(p));
        if (place || names_a_home(content)) && !path.starts_with("tests/tidy") {
            add(line, "a path of somebody's machine — use a path in the repository or a temporary directory");
        }
        let private = [".internal/", ".corp/", ".lan/", ".intra/"].iter().any(|host| content.contains(host));
        if private && !path.starts_with("tests/tidy") {
            add(line, "a host of a private network — use example.com or 127.0.0.1");
        }
        let ours = ["source = \"registry+https://github.com/rust-lang/crates.io-index\""];
        if path.ends_with("Cargo.lock") && content.starts_with("source = ") && !ours.contains(&content) {
            add(line, "a dependency from elsewhere than crates.io — use a released crate");
        }
    }
    let drawer = path.split('/').any(|part| DRAWERS.contains(&part.trim_end_matches(".rs")));
    if drawer && path.contains(".rs") {
        add(1, "a drawer for leftovers — name the file after the noun it owns");
    }
    breaches
}

/// `/home/somebody/…`; a home directory alone, as in a line of a password file, is nobody's path.
fn names_a_home(content: &str) -> bool {
    let homes = content.split("/home/").skip(1);
    homes.into_iter().any(|rest| rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '-').starts_with('/'))
}

fn header(source: &Source) -> Found {
    let mut found = Found::new();
    if source.raw.lines().next() != Some("// SPDX-License-Identifier: MIT OR Apache-2.0") {
        found.push((1, "no licence line — start with `// SPDX-License-Identifier: MIT OR Apache-2.0`".to_owned()));
    }
    let included = source.raw.contains("#![doc = include_str!(");
    let header = source.raw.lines().filter_map(|line| line.strip_prefix("//!"));
    if !included && header.map(|line| line.trim().len()).sum::<usize>() < HEADER_CHARACTERS_MIN {
        let message = "no `//!` header — say what the file owns, what it refuses to own, what must stay true";
        found.push((1, message.to_owned()));
    }
    found
}

fn sizes(source: &Source) -> Found {
    let lines = source.raw.lines().count();
    if lines > FILE_LINES_MAX {
        return vec![(lines, format!("{lines} lines, at most {FILE_LINES_MAX} — split the file by noun"))];
    }
    if lines > FILE_LINES_WARN {
        eprintln!("{}: {lines} lines: look again, split by {FILE_LINES_MAX}", source.path);
    }
    Found::new()
}

fn functions(source: &Source) -> Found {
    let mut found = Found::new();
    for at in positions(&source.code, "fn ") {
        let Some(end) = block_end(&source.code, at) else { continue };
        let (first, last) = (line_of(&source.code, at), line_of(&source.code, end));
        let length = last - first + 1;
        if length > FUNCTION_LINES_MAX {
            let message = format!("a function of {length} lines, at most {FUNCTION_LINES_MAX} — split it by step");
            found.push((first, message));
        }
    }
    found
}

fn imports(source: &Source) -> Found {
    let Some((module, allowed)) = source.module().and_then(|m| may_use(m).map(|allowed| (m, allowed))) else {
        return Found::new();
    };
    let mut found = Found::new();
    for (line, used, rest) in used_modules(source) {
        if source.is_test_line(line) || used == module {
            continue;
        }
        if !allowed.contains(&used.as_str()) {
            let list = allowed.join(", ");
            found.push((
                line,
                format!("`{module}` may not use `{used}` — it may use {list}; move the code, or pass it in"),
            ));
        } else if module == "proxy" && used == "config" && !PROXY_READS.iter().any(|part| rest.starts_with(part)) {
            let list = PROXY_READS.join(", config::");
            found.push((line, format!("`proxy` may use only config::{list} — read what `compile` put there")));
        }
    }
    found
}

/// (line, module, what follows `module::`) for every path from the crate root, also through `super` and in braces.
fn used_modules(source: &Source) -> Vec<(usize, String, String)> {
    let up = "super::".repeat(source.depth());
    let mut used = Vec::new();
    for root in ["crate::", up.as_str()].into_iter().filter(|root| !root.is_empty()) {
        for at in positions(&source.code, root) {
            let further = source.code.get(..at).is_some_and(|before| before.ends_with("super::"));
            let rest = source.code.get(at + root.len()..).unwrap_or_default();
            let line = line_of(&source.code, at);
            if !further {
                used.extend(first_names(rest).into_iter().map(|(module, rest)| (line, module, rest)));
            }
        }
    }
    used
}

/// `a::b` → a; `{a::b, c::{d, e}}` → a, c.
fn first_names(path: &str) -> Vec<(String, String)> {
    let Some(group) = path.strip_prefix('{') else {
        return one_name(path).into_iter().collect();
    };
    let mut names = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.extend(group.get(start..at).and_then(|item| one_name(item.trim())));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

fn one_name(item: &str) -> Option<(String, String)> {
    let end = item.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(item.len());
    let (name, rest) = item.split_at_checked(end)?;
    // A type or macro of the crate root is not a module.
    let is_module = name.starts_with(|c: char| c.is_ascii_lowercase());
    is_module.then(|| (name.to_owned(), rest.trim_start_matches("::").to_owned()))
}

/// Which crates may be named where: sled only in the engine, the engine and the terminal only where parts are tied.
fn crates(source: &Source) -> Found {
    let mut found = Found::new();
    let module = source.module().unwrap_or_default();
    let mut check = |word: &str, allowed: bool, message: &str| {
        if !allowed {
            let lines = lines_with(&source.code, word).filter(|line| !source.is_test_line(*line));
            found.extend(lines.map(|line| (line, message.to_owned())));
        }
    };
    let rooted = source.path.starts_with("src/");
    let in_engine = source.path.starts_with("store/src/engine");
    check("sled::", in_engine, "sled outside the engine — add what you need to the engine's interface");
    let engine = "the engine outside control and runtime — ask control, or use `weirgate_store::model`";
    check("weirgate_store::engine", !rooted || MAY_USE_ENGINE.contains(&module), engine);
    let terminal = "the terminal crate inside the daemon — the console speaks to control through the socket";
    check("weirgate_tui::", !rooted || MAY_USE_TERMINAL.contains(&module), terminal);
    found
}

fn purity(source: &Source) -> Found {
    let Some(module) = source.module().filter(|module| PURE.contains(module)) else { return Found::new() };
    let breach = |line, word: &str| (line, format!("`{word}` in `{module}`, which is pure — do it in the caller"));
    let words = IMPURE_WORDS.iter();
    let lines = words.flat_map(|word| lines_with(&source.code, word).map(|line| (line, *word)));
    lines.filter(|(line, _)| !source.is_test_line(*line)).map(|(line, word)| breach(line, word)).collect()
}

fn clocks(source: &Source) -> Found {
    if source.path.starts_with("tests/") || source.path.ends_with("/clock.rs") {
        return Found::new();
    }
    let words = ["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now", ".elapsed()"];
    let lines = words.iter().flat_map(|word| lines_with(&source.code, word).map(move |line| (line, word)));
    let outside = lines.filter(|(line, _)| !source.is_test_line(*line));
    outside.map(|(line, word)| (line, format!("`{word}` outside clock.rs — take the time as an argument"))).collect()
}

fn tasks(source: &Source) -> Found {
    let allowed = match source.module() {
        Some(module) => MAY_SPAWN.contains(&module),
        None => !source.path.starts_with("store/src/") || source.path.starts_with("store/src/engine"),
    };
    if allowed {
        return Found::new();
    }
    let message = "a task or thread started here — return the future; listener, upstream, control or runtime starts it";
    let words = ["spawn(", "spawn_local(", "spawn_blocking(", "spawn_scoped("];
    let calls = words.iter().flat_map(|word| positions(&source.code, word));
    let started = calls.filter(|at| !source.code.get(..*at).is_some_and(|before| before.ends_with("fn ")));
    let lines = started.map(|at| line_of(&source.code, at)).filter(|line| !source.is_test_line(*line));
    lines.map(|line| (line, message.to_owned())).collect()
}

fn type_names(source: &Source) -> Found {
    let mut found = Found::new();
    for keyword in ["struct ", "enum ", "trait ", "type ", "union "] {
        for at in positions(&source.code, keyword) {
            let rest = source.code.get(at + keyword.len()..).unwrap_or_default();
            let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let line = line_of(&source.code, at);
            if let Some((_, ours)) = BANNED_TYPES.iter().find(|(banned, _)| *banned == name) {
                found.push((line, format!("a type named `{name}` — our noun is {ours}")));
            } else if BANNED_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
                found.push((line, format!("a type named `{name}` — name what it owns, not that it helps")));
            }
        }
    }
    found
}

fn leftovers(source: &Source) -> Found {
    let in_code = [
        ("todo!", "finish it, or return a Fault or a Problem that says \"not supported yet\""),
        ("unimplemented!", "finish it, or return a Fault or a Problem that says \"not supported yet\""),
        ("dbg!", "remove it"),
        ("#[ignore", "make the test run everywhere, or delete it"),
    ];
    let in_comments =
        [("FIXME", "mend it, or write an issue and say why it can stay"), ("XXX", "say it in a sentence")];
    let mut found = Found::new();
    for (text, words) in [(&source.code, &in_code[..]), (&source.comments, &in_comments[..])] {
        for (word, remedy) in words {
            let lines = lines_with(text, word);
            found.extend(lines.map(|line| (line, format!("`{word}` left behind — {remedy}"))));
        }
    }
    found
}

fn metric_names(source: &Source) -> Found {
    if source.module().is_none() || source.path == "src/observe/names.rs" {
        return Found::new();
    }
    let crates = ["weirgate_store", "weirgate_tui"];
    let names = source.strings.match_indices("weirgate_").filter(|(at, _)| {
        let rest = source.strings.get(*at..).unwrap_or_default();
        !crates.iter().any(|name| rest.starts_with(name))
    });
    let lines = names.map(|(at, _)| line_of(&source.strings, at)).filter(|line| !source.is_test_line(*line));
    lines.map(|line| (line, "a metric name outside observe/names.rs — add a constant there".to_owned())).collect()
}
