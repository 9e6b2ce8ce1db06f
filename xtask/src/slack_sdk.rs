//! The sandbox's Slack as strangers see it: the official packages for Python and Node call it.

use std::io::Write;
use std::process::Command;

use crate::sandbox::Sandbox;
use crate::schema::{output, room, root, run};

/// The packages, of versions that the results are stated for.
const PYTHON: &str = "slack_sdk==3.47.0";
const NODE: [&str; 2] = ["@slack/web-api@8.2.0", "@slack/webhook@8.0.2"];

/// Calls every method of the sandbox with both, and expects their own errors for its refusals.
///
/// Needs `python3`, `node` and `npm`, and their registries the first time.
pub(crate) fn check() -> Result<(), Vec<String>> {
    let room = room("slack-sdk-check")?;
    let python = room.join("venv/bin/python");
    if !python.exists() {
        let venv = room.join("venv");
        run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
        let install = ["-m", "pip", "install", "--quiet", PYTHON];
        run(Command::new(&python).args(install))?;
    }
    if !room.join("node_modules").exists() {
        let install = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
        run(Command::new("npm").args(install).arg(&room).args(NODE))?;
    }
    let sandbox = Sandbox::start(&room.join("sandbox"))?;
    let scripts = root().join("xtask/slack");
    let mut counts = [0, 0];
    let mut by_python = Command::new(&python);
    by_python.arg(scripts.join("check.py"));
    let mut by_node = Command::new("node");
    by_node.arg(scripts.join("check.mjs")).arg(&room);
    for command in [&mut by_python, &mut by_node] {
        let said = output(command.arg(&sandbox.place))?;
        let said = String::from_utf8_lossy(&said);
        say(&said);
        for (total, count) in counts.iter_mut().zip(counted(&said)) {
            *total += count;
        }
    }
    let [calls, errors] = counts;
    say(&format!(
        "both packages: {calls} calls answered, {errors} refusals raised as their own errors\n"
    ));
    if calls > 0 && errors > 0 {
        Ok(())
    } else {
        Err(vec!["nothing was called".to_owned()])
    }
}

/// The numbers in the last line of a script.
fn counted(said: &str) -> impl Iterator<Item = u32> {
    let last = said.trim_end().lines().last().unwrap_or_default();
    last.split(' ').filter_map(|word| word.parse().ok())
}

fn say(text: &str) {
    // Whoever closed the output does not want it.
    std::io::stdout().write_all(text.as_bytes()).ok();
}
