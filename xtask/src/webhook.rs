//! Webhooks as strangers see them: the official packages for Python verify and read what is sent.

use std::process::Command;

use crate::schema::{room, root, run, target};

/// The packages, of versions that the results are stated for.
const PACKAGES: [&str; 2] = ["standardwebhooks==1.1.0", "cloudevents==2.2.0"];

/// Has a test send requests, and others read them; runs the receiver of the provider's page too.
///
/// Needs `python3`, and its registry the first time.
pub(crate) fn check() -> Result<(), Vec<String>> {
    let test = ["test", "--quiet", "--package", "notify-webhook"];
    let only = ["--test", "webhook", "sdk::"];
    run(Command::new(env!("CARGO")).args(test).args(only))?;
    let room = room("webhook-check")?;
    let python = room.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&room))?;
        let install = ["-m", "pip", "install", "--quiet"];
        run(Command::new(&python).args(install).args(PACKAGES))?;
    }
    let script = root().join("xtask/webhook/check.py");
    let cases = target().join("tmp/webhook-cases.json");
    let page = root().join("docs/providers/webhook.md");
    run(Command::new(&python).arg(script).arg(cases).arg(page))
}
