// SPDX-License-Identifier: MIT OR Apache-2.0
//! Man pages and shell completions, made from the definition of the command line so that they cannot disagree with it.
//!
//! `weirgate generate DIR` is for whoever builds a package: it writes `DIR/man/*.1` and `DIR/completions/*`. What may be
//! typed is defined in `weirgate_tui::cli`.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;
use weirgate_tui::cli::Args;

/// Writes everything below `directory`, which is made if there is none.
pub(crate) fn generate(directory: &Path) -> anyhow::Result<()> {
    let (man, completions) = (directory.join("man"), directory.join("completions"));
    for made in [&man, &completions] {
        fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
    }
    clap_mangen::generate_to(Args::command(), &man).with_context(|| format!("cannot write to {}", man.display()))?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Args::command(), "weirgate", &completions)
            .with_context(|| format!("cannot write to {}", completions.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_page_and_completion_is_written() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        super::generate(directory.path()).expect("it can be written");
        let names = ["man/weirgate.1", "man/weirgate-route-set.1", "man/weirgate-run.1", "completions/weirgate.bash"];
        for name in names.into_iter().chain(["completions/_weirgate", "completions/weirgate.fish"]) {
            let text = std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
            assert!(text.contains("weirgate"), "row {name}");
        }
        let hidden = directory.path().join("man/weirgate-generate.1");
        assert!(!hidden.exists(), "a hidden verb has no page");
    }
}
