// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program: reads the command line and hands over. Everything it can do is in the library and in `weirgate_tui`.

mod cli;

use std::process::ExitCode;

use weirgate_tui::cli::{Args, Command, Shared, Verb};

/// glibc keeps what many short connections free; jemalloc gives it back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let args = Args::read();
    let outcome = match args.command {
        Command::Run(options) => weirgate::runtime::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Demo(options) => weirgate::demo::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Console(options) => weirgate_tui::console(options).map(|()| ExitCode::SUCCESS),
        Command::Client(verb) => ask(&args.shared, &verb),
        Command::Generate { directory } => cli::generate(&directory).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// One thread is enough for one question.
fn ask(shared: &Shared, verb: &Verb) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(weirgate_tui::cli::client(shared, verb)))
}
