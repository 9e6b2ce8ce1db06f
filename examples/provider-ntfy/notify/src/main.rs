//! The command `notify` with one provider more.

use std::process::ExitCode;

// Links the provider. Without this line the crate is built, but not part of the program.
use provider_ntfy as _;

fn main() -> ExitCode {
    notify_cli::main()
}
