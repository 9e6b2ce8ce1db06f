//! Measures the engine against bare loops in the same process, and kills the built binary.
//!
//! `cargo xtask bench`, `cargo xtask memory`, `cargo xtask growth` and `cargo xtask crash` come here.

#![expect(
    clippy::disallowed_methods,
    reason = "what is measured here is the machine's own time, and waits between kills are real"
)]

mod args;
mod bare;
mod cost;
mod crash;
mod growth;
mod mail;
mod memory;
mod random;
mod reference;
mod sink;
mod speed;
mod table;
mod work;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

/// What everything here comes to: whoever runs it reads the words.
pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Bench(args) => blocking(speed::run(args)),
        Command::Growth(args) => blocking(growth::run(args)),
        Command::Memory(args) => blocking(memory::run(args)),
        Command::MemoryOf(args) => blocking(memory::child(args)),
        Command::Crash(args) => blocking(crash::run(args)),
        Command::Feed(args) => crash::feed(&args).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            writeln!(std::io::stderr(), "error: {}", chain(&*err)).ok();
            ExitCode::FAILURE
        }
    }
}

fn blocking<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Prints a line; a reader who has seen enough is no error.
pub(crate) fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").ok();
    out.flush().ok();
}

fn chain(err: &(dyn Error + 'static)) -> String {
    notify_core::problem::chain(err)
}
