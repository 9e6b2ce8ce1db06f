//! A folder, a sandbox in a process of its own, and the built binary.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The example's three people, one definition for all tests.
pub(crate) const DEFINITION: &str = "
workflow: nightly-etl
notifications:
  - phases: [succeeded, failed, timed_out, aborted]
    slack: [\"#data-alerts\"]
  - phases: [failed, timed_out, aborted]
    email: [data-oncall@example.com]
  - phases: [failed, timed_out]
    pagerduty: data-platform
";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The built binary, with nothing of this process's settings.
pub(crate) fn notify() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_notify"));
    command.env_remove("NOTIFY_CONFIG").stdin(Stdio::null());
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until something is there; the bound is for a test that fails, not for one that passes.
#[expect(
    clippy::disallowed_methods,
    reason = "a bound on real processes is in real time"
)]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{what} never came"
        );
        std::thread::yield_now();
    }
}

pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    sandbox: Child,
    inbox: String,
}

impl Bench {
    /// Starts a sandbox for the definition.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("etl.yaml"), DEFINITION).unwrap();
        let mut sandbox = notify()
            .current_dir(folder.path())
            .args(["sandbox", "etl.yaml", "--dir", "sandbox"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(sandbox.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let inbox = line
            .trim()
            .strip_prefix("inbox   http://")
            .unwrap()
            .trim_end_matches('/');
        Self {
            inbox: inbox.to_owned(),
            sandbox,
            folder,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command on the sandbox's accounts.
    pub(crate) fn notify(&self, arguments: &[&str]) -> Command {
        let mut command = notify();
        command.current_dir(self.folder.path()).args(arguments);
        command.args(["--config", "sandbox/notify.toml"]);
        command
    }

    /// `notify run` of a shell script.
    pub(crate) fn run(&self, options: &[&str], script: &str) -> Command {
        let mut command = self.notify(&["run", "etl.yaml"]);
        command.args(options).args(["--", "sh", "-c", script]);
        command
    }

    pub(crate) fn output(&self, options: &[&str], script: &str) -> Output {
        self.run(options, script).output().unwrap()
    }

    /// Rewrites the settings; whoever reads them sees the old or the new ones, and no part.
    pub(crate) fn settings(&self, edit: impl FnOnce(String) -> String) {
        let path = self.path("sandbox/notify.toml");
        let edited = edit(fs::read_to_string(&path).unwrap());
        fs::write(self.path("sandbox/new.toml"), edited).unwrap();
        fs::rename(self.path("sandbox/new.toml"), path).unwrap();
    }

    /// Records one end for another process to deliver.
    pub(crate) fn emit(&self, event: &Value) {
        fs::write(self.path("event.json"), event.to_string()).unwrap();
        let mut command = self.notify(&["emit", "event.json", "--record-only"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// What arrived, the earliest first.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let answer = http(&self.inbox, "GET /messages.json", "", "");
        let messages: Value = serde_json::from_str(&answer).unwrap();
        messages.as_array().unwrap().clone()
    }

    /// Where it arrived.
    pub(crate) fn told(&self) -> Vec<String> {
        let mut told: Vec<String> = self
            .messages()
            .iter()
            .map(|message| message["service"].as_str().unwrap().to_owned())
            .collect();
        told.sort();
        told
    }

    /// Switches a fault on, or off with status 0.
    pub(crate) fn fail(&self, service: &str, status: u16) {
        let body = match status {
            0 => serde_json::json!({"service": service}),
            status => serde_json::json!({"service": service, "status": status}),
        };
        http(
            &self.inbox,
            "POST /fail",
            "Content-Type: application/json\r\n",
            &body.to_string(),
        );
    }

    /// The ledger, as `notify outbox list --json` shows it.
    pub(crate) fn ledger(&self) -> Vec<Value> {
        self.list(&["--most", "1000"])
    }

    /// Events, as `notify outbox list --events` shows them.
    pub(crate) fn events(&self, options: &[&str]) -> Vec<Value> {
        self.list(&[&["--events"], options].concat())
    }

    fn list(&self, options: &[&str]) -> Vec<Value> {
        let mut command = self.notify(&["outbox", "list", "--json"]);
        let output = command.args(options).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// State by kind.
    pub(crate) fn states(&self) -> Vec<(String, String)> {
        let part = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
        let mut states: Vec<(String, String)> = self
            .ledger()
            .iter()
            .map(|record| (part(record, "account"), part(record, "state")))
            .collect();
        states.sort();
        states
    }

    pub(crate) fn freeze_sandbox(&self) {
        signal(&self.sandbox, Signal::SIGSTOP);
    }

    pub(crate) fn thaw_sandbox(&self) {
        signal(&self.sandbox, Signal::SIGCONT);
    }
}

/// One request, and the body of its answer.
pub(crate) fn http(address: &str, what: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.thaw_sandbox();
        self.sandbox.kill().ok();
        self.sandbox.wait().ok();
    }
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}
