//! Prints the kinds that this program can deliver, one on each line.

use workflow_notify::core::Registry;

// Links the provider. Without this line the crate is built, but not part of the program.
use quiet_provider as _;

fn main() -> Result<(), workflow_notify::core::RegistryError> {
    for kind in Registry::discover()?.kinds() {
        println!("{kind}");
    }
    Ok(())
}
