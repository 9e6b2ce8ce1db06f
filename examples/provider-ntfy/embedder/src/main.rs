//! Prints the kinds that this program can deliver, one on each line; with `schema` the JSON Schema of
//! the definitions that name them.

use std::process::ExitCode;

use workflow_notify::core::Registry;
use workflow_notify::files::schema;

// Links the provider. Without this line the crate is built, but not part of the program.
use provider_ntfy as _;

fn main() -> ExitCode {
    match Registry::discover() {
        Ok(registry) if std::env::args().nth(1).as_deref() == Some("schema") => {
            println!("{:#}", schema::definitions(&registry));
            ExitCode::SUCCESS
        }
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
