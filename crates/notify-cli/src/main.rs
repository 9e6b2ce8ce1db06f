//! The command `notify`: tells people that a workflow ended.

use std::process::ExitCode;

fn main() -> ExitCode {
    notify_cli::main()
}
