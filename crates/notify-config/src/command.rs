//! Runs a command that prints a secret: within a time, within a size, without a shell.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use notify_core::secret::{SecretCommand, looks_secret};
use notify_core::time::words;

/// How many bytes a secret may have.
pub(crate) const MAX_BYTES: u64 = 64 * 1024;

/// How much of what a command says on its standard error is kept: its end.
const KEPT: usize = 4 * 1024;

/// How many characters of its last line are shown.
const SHOWN: usize = 200;

/// What the threads report that attend to the command.
enum Report {
    Printed(Vec<u8>),
    PrintedTooMuch,
    Said(Vec<u8>),
    Ended(ExitStatus),
}

/// Runs the command in `folder` and gives what it printed.
///
/// # Errors
///
/// Why there is no secret, with no part of one.
pub(crate) fn run(command: &SecretCommand, folder: &Path) -> Result<Vec<u8>, String> {
    let mut child = spawn(command, folder)?;
    let group = child.id();
    let (sender, reports) = channel();
    attend(&mut child, &sender);
    thread::spawn(move || {
        child
            .wait()
            .map(|status| sender.send(Report::Ended(status)))
    });
    let attended = Attended::until(&reports, command.timeout);
    // Whatever is left of it holds nobody up, but should not stay either.
    if !attended.ended_well() {
        kill(group);
    }
    attended.result(command.timeout)
}

fn spawn(command: &SecretCommand, folder: &Path) -> Result<Child, String> {
    // A bare name is looked up in `PATH`; anything else is a path, which begins at the folder.
    let mut program = Path::new(&command.program).to_owned();
    if program.components().count() > 1 {
        program = folder.join(program);
    }
    let mut prepared = Command::new(program);
    prepared
        .args(&command.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if !folder.as_os_str().is_empty() {
        prepared.current_dir(folder);
    }
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut prepared, 0);
    prepared
        .spawn()
        .map_err(|err| format!("it cannot be run: {err}"))
}

/// Starts to read what the command prints and says. The threads end with its pipes.
fn attend(child: &mut Child, sender: &Sender<Report>) {
    if let Some(output) = child.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = output.take(MAX_BYTES + 1).read_to_end(&mut bytes);
            let within = u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_BYTES);
            sender.send(match read {
                Ok(_) if !within => Report::PrintedTooMuch,
                _ => Report::Printed(bytes),
            })
        });
    }
    if let Some(mut output) = child.stderr.take() {
        let sender = sender.clone();
        thread::spawn(move || {
            let (mut kept, mut buffer) = (Vec::new(), [0; KEPT]);
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
                kept.drain(..kept.len().saturating_sub(KEPT));
            }
            sender.send(Report::Said(kept))
        });
    }
}

/// What is known of a command when it has ended or its time is over.
#[derive(Default)]
struct Attended {
    printed: Option<Vec<u8>>,
    too_much: bool,
    said: Option<Vec<u8>>,
    ended: Option<ExitStatus>,
}

impl Attended {
    #[expect(
        clippy::disallowed_methods,
        reason = "a command of the machine is measured by the machine's own time"
    )]
    fn until(reports: &Receiver<Report>, timeout: Duration) -> Self {
        let begun = Instant::now();
        let mut attended = Self::default();
        while !attended.is_over() {
            let left = timeout.saturating_sub(begun.elapsed());
            match reports.recv_timeout(left) {
                Ok(Report::Printed(bytes)) => attended.printed = Some(bytes),
                Ok(Report::PrintedTooMuch) => attended.too_much = true,
                Ok(Report::Said(bytes)) => attended.said = Some(bytes),
                Ok(Report::Ended(status)) => attended.ended = Some(status),
                Err(_) => break,
            }
        }
        attended
    }

    fn ended_well(&self) -> bool {
        self.ended.is_some_and(|status| status.success()) && self.printed.is_some()
    }

    fn is_over(&self) -> bool {
        // What it says matters only where it failed.
        let failed = self.ended.is_some() && self.said.is_some() && self.printed.is_some();
        self.too_much || self.ended_well() || failed
    }

    fn result(self, timeout: Duration) -> Result<Vec<u8>, String> {
        if self.too_much {
            return Err(format!("it printed more than {} KiB", MAX_BYTES / 1024));
        }
        if self.ended_well() {
            return Ok(self.printed.unwrap_or_default());
        }
        let last = last_line(
            &self.said.unwrap_or_default(),
            &self.printed.unwrap_or_default(),
        );
        let how = match self.ended {
            Some(status) if !status.success() => format!("it failed with {status}"),
            _ => format!("it took longer than {}", words(timeout)),
        };
        Err(match last {
            Some(line) => format!("{how}: {line}"),
            None => how,
        })
    }
}

/// Gives the last line of what a command said, without what may be the secret.
fn last_line(said: &[u8], printed: &[u8]) -> Option<String> {
    let said = String::from_utf8_lossy(said);
    let printed = String::from_utf8_lossy(printed);
    let line = said.lines().rev().find(|line| !line.trim().is_empty())?;
    let mut line = line.to_owned();
    for part in printed
        .lines()
        .map(str::trim)
        .filter(|part| part.len() >= 4)
    {
        line = line.replace(part, "[secret]");
    }
    let words = line
        .split_whitespace()
        .map(|word| if looks_secret(word) { "[secret]" } else { word });
    let line = words.collect::<Vec<_>>().join(" ");
    Some(
        line.chars()
            .filter(|letter| !letter.is_control())
            .take(SHOWN)
            .collect(),
    )
}

/// Ends the command and what it started.
#[cfg(unix)]
fn kill(group: u32) {
    use nix::sys::signal::{Signal, killpg};
    use nix::unistd::Pid;

    if let Ok(group) = i32::try_from(group) {
        // One that is gone already is what is wanted.
        killpg(Pid::from_raw(group), Signal::SIGKILL).ok();
    }
}

/// The command is left to end by itself: nothing reads it any more.
#[cfg(not(unix))]
fn kill(_group: u32) {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> SecretCommand {
        SecretCommand::new("/bin/sh", ["-c", script]).timeout(Duration::from_secs(20))
    }

    fn result(script: &str) -> Result<String, String> {
        let printed = run(&shell(script), Path::new(""))?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    #[test]
    fn what_is_printed_is_the_secret() {
        assert_eq!(result("printf hunter2").as_deref(), Ok("hunter2"));
        assert_eq!(result("echo ignored >&2; echo a").as_deref(), Ok("a\n"));
    }

    #[test]
    fn a_failure_is_told_with_its_last_line_and_no_secret() {
        let failed = result("echo first >&2; echo 'vault is sealed' >&2; exit 3").unwrap_err();
        assert_eq!(failed, "it failed with exit status: 3: vault is sealed");
        let leaky = result("echo hunter2; echo got hunter2 and xoxb-1-2 >&2; exit 1").unwrap_err();
        assert_eq!(
            leaky,
            "it failed with exit status: 1: got [secret] and [secret]"
        );
        let quiet = result("exit 1").unwrap_err();
        assert_eq!(quiet, "it failed with exit status: 1");
    }

    #[test]
    fn a_program_that_is_not_there_is_said() {
        let missing = SecretCommand::new("no-such-program-here", [""; 0]);
        let found = run(&missing, Path::new("")).unwrap_err();
        assert!(
            found.starts_with("it cannot be run: No such file"),
            "{found}"
        );
    }

    #[test]
    fn a_path_begins_at_the_folder_and_so_does_the_command() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "s3cret").unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        std::os::unix::fs::symlink("/bin/cat", folder.path().join("bin/get")).unwrap();
        let command = SecretCommand::new("bin/get", ["token"]);
        let printed = run(&command, folder.path()).unwrap();
        assert_eq!(printed, b"s3cret");
    }

    #[test]
    fn no_shell_reads_the_arguments() {
        let command = SecretCommand::new("printf", ["%s", "$HOME; `id`"]);
        assert_eq!(run(&command, Path::new("")).unwrap(), b"$HOME; `id`");
    }

    #[test]
    fn more_than_a_secret_can_have_is_not_read() {
        let found = result("while :; do echo hunter2hunter2hunter2; done").unwrap_err();
        assert_eq!(found, "it printed more than 64 KiB");
    }

    #[test]
    fn one_that_hangs_is_ended_with_all_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        // Both would hold the pipes open for an hour.
        let script = format!("sleep 3600 & echo $! > {}; exec sleep 3600", mark.display());
        let command = shell(&script).timeout(Duration::from_millis(300));
        let found = run(&command, Path::new("")).unwrap_err();
        assert_eq!(found, "it took longer than 300ms");
        let started: i32 = std::fs::read_to_string(mark)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{started}/stat"));
            stat.is_ok_and(|stat| !stat.contains(") Z"))
        };
        // Killed, and sooner or later buried by whoever inherits it.
        for _ in 0..100_000 {
            if !gone() {
                return;
            }
            thread::yield_now();
        }
        panic!("{started} is still there");
    }

    #[test]
    fn one_that_leaves_something_behind_is_not_waited_for() {
        let found = result("(sleep 3600 >/dev/null) & printf hunter2").unwrap();
        assert_eq!(found, "hunter2");
    }
}
