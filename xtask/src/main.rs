//! Repository tasks.
//!
//! `cargo xtask tidy` checks the rules that no compiler and no linter knows, `soak` tries the laws
//! on many cases, `fuzz` feeds the parsers, `new-provider` writes a crate to begin with, `schema`
//! writes the reference's schemas, `schema-check` and `schema-completion` ask tools of others
//! about the schemas, `webhook-check` what they make of webhooks, `slack-sdk-check` what Slack's
//! packages make of the sandbox; `pictures` makes those of the documentation. `bench`, `growth`,
//! `memory`, `crash` and `simulate` are programs of other packages, so that this one is quick to
//! build.

mod forward;
mod fuzz;
mod new_provider;
mod pictures;
mod sandbox;
mod schema;
mod slack_sdk;
mod soak;
mod tidy;
mod webhook;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = std::io::stderr();
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let result = match asked.as_slice() {
        ["tidy"] => tidy::run(),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["soak"] => soak::run(),
        ["new-provider", rest @ ..] => new_provider::run(rest),
        ["schema"] => schema::write(),
        ["schema-check"] => schema::check(),
        ["schema-completion"] => schema::completion(),
        ["webhook-check"] => webhook::check(),
        ["slack-sdk-check"] => slack_sdk::check(),
        ["pictures"] => pictures::make(),
        [
            task @ ("bench" | "growth" | "memory" | "crash" | "simulate"),
            rest @ ..,
        ] => forward::run(task, rest),
        _ => Err(vec![
            "usage: cargo xtask tidy | soak | schema | schema-check | schema-completion | webhook-check | \
             slack-sdk-check | pictures | \
             fuzz [TARGET] [--seconds N] | new-provider NAME [--into FOLDER] | \
             bench | growth | memory | crash | simulate [ARGUMENT…]"
                .to_owned(),
        ]),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            for problem in problems {
                writeln!(out, "error: {problem}").ok();
            }
            ExitCode::FAILURE
        }
    }
}
