//! A sandbox of its own for a task that shows it to programs of others.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running sandbox; it ends with this value.
#[derive(Debug)]
pub(crate) struct Sandbox {
    child: Child,
    /// Where it is: one object of JSON with `inbox`, `slack` and `dir`.
    pub(crate) place: String,
}

impl Sandbox {
    /// Starts one whose secrets and settings are in a folder.
    pub(crate) fn start(dir: &Path) -> Result<Self, Vec<String>> {
        let program = ["run", "--quiet", "--package", "notify-sandbox"];
        let example = ["--example", "sandbox", "--"];
        let mut command = Command::new(env!("CARGO"));
        command.args(program).args(example).arg(dir);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|err| vec![err.to_string()])?;
        let mut place = String::new();
        if let Some(out) = child.stdout.take() {
            let read = BufReader::new(out).read_line(&mut place);
            read.map_err(|err| vec![err.to_string()])?;
        }
        let mut sandbox = Self { child, place };
        if sandbox.place.is_empty() {
            sandbox.end();
            return Err(vec!["the sandbox did not start".to_owned()]);
        }
        Ok(sandbox)
    }

    fn end(&mut self) {
        // It ends with its standard input.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end();
    }
}
