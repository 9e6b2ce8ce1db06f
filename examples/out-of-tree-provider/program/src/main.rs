//! Prints the kinds that this program can deliver, one on each line.

use std::process::ExitCode;

use workflow_notify::core::Registry;

// Links the provider. Without this line the crate is built, but not part of the program.
use ntfy_provider as _;

fn main() -> ExitCode {
    match Registry::discover() {
        Ok(registry) => {
            for kind in registry.kinds() {
                println!("{kind}");
            }
            ExitCode::SUCCESS
        }
        Err(err) => {
            eprintln!("error: {err}");
            ExitCode::FAILURE
        }
    }
}
