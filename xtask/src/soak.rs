//! `cargo xtask soak`: the laws, with ten times the cases of the ordinary test run.

use std::process::Command;

/// The crates that have laws under property test.
const CRATES: [&str; 5] = [
    "notify-core",
    "notify-template",
    "notify-slack",
    "notify-email",
    "notify-pagerduty",
];

/// How many cases each law is tried on.
const CASES: &str = "10000";

pub(crate) fn run() -> Result<(), Vec<String>> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["test", "--release"])
        .env("PROPTEST_CASES", CASES)
        // Linking a dozen test binaries with it takes longer than the laws.
        .env("CARGO_PROFILE_RELEASE_LTO", "off");
    for name in CRATES {
        command.args(["--package", name]);
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(vec![format!("the laws do not hold: {status}")]),
        Err(err) => Err(vec![format!("cargo: {err}")]),
    }
}
