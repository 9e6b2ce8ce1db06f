//! Runs a command that prints a secret: within a time, within a size, without a shell.

mod attend;
mod said;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use notify_core::secret::SecretCommand;
use notify_core::time::words;

use self::attend::{Attended, attend};

/// How many bytes a secret may have.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// Runs the command in `folder` and gives what it printed.
///
/// What it started and left behind holds nobody up: what is printed when it has ended is the
/// secret.
///
/// # Errors
///
/// Why there is no secret, with no part of one.
pub(crate) fn run(command: &SecretCommand, folder: &Path) -> Result<Vec<u8>, String> {
    let child = spawn(command, folder)?;
    let group = child.id();
    let attended = attend(child, command.timeout);
    // Whatever is left of it holds nobody up, but should not stay either.
    if !attended.ended_well() {
        kill(group);
    }
    result(attended, command)
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

fn result(attended: Attended, command: &SecretCommand) -> Result<Vec<u8>, String> {
    if attended.printed.len() > MAX_BYTES {
        return Err(format!("it printed more than {} KiB", MAX_BYTES / 1024));
    }
    match attended.ended {
        Some(status) if status.success() => Ok(attended.printed),
        Some(status) => {
            let how = format!("it failed with {status}");
            Err(match said::last_line(&attended, &command.arguments) {
                Some(line) => format!("{how}: {line}"),
                None => how,
            })
        }
        // What it was about to print is not known, so nothing that it said can be shown.
        None => Err(format!("it took longer than {}", words(command.timeout))),
    }
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
    use std::thread;
    use std::time::Duration;

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
        let leaky = result("echo hunter2; echo got hunter2 >&2; exit 1").unwrap_err();
        assert_eq!(leaky, "it failed with exit status: 1");
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
    fn one_that_hangs_says_nothing() {
        let script = "echo hunter2; echo got hunter2 >&2; exec 2>&-; exec sleep 3600";
        let command = shell(script).timeout(Duration::from_millis(300));
        let found = run(&command, Path::new("")).unwrap_err();
        assert_eq!(found, "it took longer than 300ms");
    }

    #[test]
    fn one_that_leaves_a_daemon_behind_has_ended_all_the_same() {
        // The daemon holds the pipe open, and is of another group.
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!(
            "setsid sh -c 'echo $$ > {}; exec sleep 3600' & printf hunter2; \
             until test -s {0}; do :; done",
            mark.display()
        );
        let found = result(&script).unwrap();
        let daemon: i32 = std::fs::read_to_string(mark)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(daemon),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
        assert_eq!(found, "hunter2");
    }

    #[test]
    fn a_failure_that_leaves_a_daemon_behind_is_told_too() {
        let script = "sleep 3600 & echo sealed >&2; exit 3";
        assert_eq!(
            result(script).unwrap_err(),
            "it failed with exit status: 3: sealed"
        );
    }

    #[test]
    fn one_that_leaves_something_behind_is_not_waited_for() {
        let found = result("(sleep 3600 >/dev/null) & printf hunter2").unwrap();
        assert_eq!(found, "hunter2");
    }
}
