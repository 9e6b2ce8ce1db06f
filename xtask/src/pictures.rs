//! Pictures for the documentation: what people see of Slack messages and mails.
//!
//! The messages go through the real providers into a sandbox, and Chromium shoots its inbox.

use std::fs;
use std::process::Command;

use crate::sandbox::Sandbox;
use crate::schema::{room, root, run};

/// The ends of workflows, in the order that they are told of.
const ENDS: [&str; 3] = ["first.jsonl", "second.jsonl", "third.jsonl"];

/// Sends every form of a message and shoots it; text without contrast and mails that are too wide
/// for their screen are problems.
///
/// Needs `node` and Chromium.
pub(crate) fn make() -> Result<(), Vec<String>> {
    let room = room("pictures")?;
    // The ledger of another run would know these ends.
    fs::remove_dir_all(&room).map_err(|err| vec![err.to_string()])?;
    let sandbox = Sandbox::start(&room)?;
    let from = root().join("xtask/pictures");
    for ends in ENDS {
        let program = ["run", "--quiet", "--package", "notify-cli", "--", "emit"];
        let mut emit = Command::new(env!("CARGO"));
        emit.args(program)
            .arg("--config")
            .arg(room.join("notify.toml"));
        emit.arg("--definitions")
            .arg(root().join("examples/slack.yaml"));
        emit.arg(from.join("mails.yaml"));
        run(emit.arg("--").arg(from.join(ends)))?;
    }
    let into = root().join("docs/providers");
    let mut shoot = Command::new("node");
    shoot.arg(from.join("shoot.mjs")).arg(&sandbox.place);
    run(shoot.arg(into.join("slack")).arg(into.join("email")))
}
