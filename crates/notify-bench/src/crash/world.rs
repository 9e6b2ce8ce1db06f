//! What a round is made of: a folder, a mail server that survives every kill, events.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use notify_sandbox::{Received, Sandbox, Use};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::Result;

/// The wire form of one event with a recipient of its own, so that no two are summed up.
pub(crate) fn event(seed: u64, number: usize) -> String {
    json!({
        "version": 1,
        "workflow": format!("etl-{:02}", number % 7),
        "execution": {
            "project": "crash",
            "domain": format!("seed-{seed}"),
            "name": format!("run-{number}"),
        },
        "phase": "failed",
        "failure": {"message": format!("run {number} failed")},
        "notifications": [{
            "phases": ["failed"],
            "email": {"account": account(number), "to": [recipient(number)]},
        }],
    })
    .to_string()
}

/// Names the one who is told of an event.
pub(crate) fn recipient(number: usize) -> String {
    format!("run-{number}@example.com")
}

/// How many mail servers there are, and accounts on each of them.
///
/// What a killed process had in flight takes the places of its lane until the leases expire; with
/// several lanes the next kill finds something in flight again. Two accounts of two processes fill
/// the sessions that a server has: one more would be turned away, and wait for a minute.
const SERVERS: usize = 3;
const ACCOUNTS: usize = 2;

fn account(number: usize) -> String {
    format!("mail-{}", number % (SERVERS * ACCOUNTS))
}

/// A folder with its mail servers.
pub(crate) struct World {
    folder: TempDir,
    servers: Vec<Sandbox>,
    binary: PathBuf,
}

impl World {
    pub(crate) fn new(binary: &Path, keep: Option<&Path>, runtime: &Handle) -> Result<Self> {
        let mut folder = tempfile::Builder::new();
        folder.prefix("notify-crash-");
        let folder = match keep {
            Some(parent) => folder.disable_cleanup(true).tempdir_in(parent)?,
            None => folder.tempdir()?,
        };
        let (mut servers, mut accounts) = (Vec::new(), String::new());
        for server in 0..SERVERS {
            let secrets = folder.path().join(format!("secrets-{server}"));
            let sandbox = runtime.block_on(Sandbox::start(&secrets))?;
            let uses = (server * ACCOUNTS..(server + 1) * ACCOUNTS).map(|number| Use {
                kind: "email".to_owned(),
                account: account(number),
                recipient: recipient(number),
            });
            accounts += &sandbox.accounts_toml(&uses.collect::<Vec<_>>())?;
            servers.push(sandbox);
        }
        // Leases outlast the timeout by a few seconds, and every kill waits for them.
        let accounts = accounts
            .replace("timeout = \"5s\"", "timeout = \"2s\"")
            .replace("default = true\n", "");
        fs::write(folder.path().join("notify.toml"), accounts)?;
        Ok(Self {
            folder,
            servers,
            binary: binary.to_owned(),
        })
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder.path().join("notify.db")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command on this folder. What it says goes into a file beside.
    pub(crate) fn notify(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(self.folder.path())
            .env_remove("NOTIFY_CONFIG")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(self.log()?)
            .stderr(self.log()?);
        Ok(command)
    }

    pub(crate) fn log(&self) -> Result<fs::File> {
        let path = self.folder.path().join("said.log");
        Ok(fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?)
    }

    /// Gives the last of what was said.
    pub(crate) fn said(&self) -> String {
        let said = fs::read_to_string(self.folder.path().join("said.log")).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let tail = lines
            .get(lines.len().saturating_sub(12)..)
            .unwrap_or_default();
        tail.join("\n")
    }

    /// Gives what arrived, but for what a server has forgotten because there was too much.
    pub(crate) fn messages(&self) -> Vec<Received> {
        self.servers.iter().flat_map(Sandbox::messages).collect()
    }

    /// Counts what arrived, forgotten messages included, and copies of one message not.
    pub(crate) fn arrived(&self) -> u64 {
        let last = |server: &Sandbox| server.messages().last().map_or(0, |message| message.id);
        self.servers.iter().map(last).sum()
    }

    /// Ends the mail servers.
    pub(crate) fn end(self, runtime: &Handle) {
        for server in self.servers {
            runtime.block_on(server.shutdown());
        }
    }
}
