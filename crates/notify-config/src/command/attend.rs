//! Reads what a command prints and says until it has ended or its time is over.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use super::MAX_BYTES;

/// How much of what a command says on its standard error is kept: its end.
const KEPT: usize = 4 * 1024;

/// What is known of a command when it has ended or its time is over.
#[derive(Debug, Default)]
pub(super) struct Attended {
    /// What it printed, and one byte more than a secret has where it is too much.
    pub(super) printed: Vec<u8>,
    /// The end of what it said on its standard error.
    pub(super) said: Vec<u8>,
    /// How it ended; `None` where its time was over first.
    pub(super) ended: Option<ExitStatus>,
}

impl Attended {
    pub(super) fn ended_well(&self) -> bool {
        self.ended.is_some_and(|status| status.success()) && self.printed.len() <= MAX_BYTES
    }

    fn print(&mut self, bytes: &[u8]) {
        let room = (MAX_BYTES + 1).saturating_sub(self.printed.len());
        self.printed
            .extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    fn say(&mut self, bytes: &[u8]) {
        self.said.extend_from_slice(bytes);
        self.said.drain(..self.said.len().saturating_sub(KEPT));
    }
}

/// Waits for a command, at most as long as this.
///
/// What is in its pipes when it has ended is all of it: others can hold the pipes open for ever.
#[cfg(unix)]
#[expect(
    clippy::disallowed_methods,
    reason = "a command of the machine is measured by the machine's own time"
)]
pub(super) fn attend(mut child: Child, timeout: Duration) -> Attended {
    use std::io::Read;

    let begun = Instant::now();
    let mut attended = Attended::default();
    let (mut output, mut errors) = (child.stdout.take(), child.stderr.take());
    let mut buffer = [0; KEPT];
    loop {
        // Asked before its pipes are read, so that nothing comes after the last reading.
        attended.ended = child.try_wait().unwrap_or_default();
        let left = timeout.saturating_sub(begun.elapsed());
        let is_over = attended.ended.is_some();
        let wait = if is_over {
            Duration::ZERO
        } else {
            left.min(LOOK_AGAIN)
        };
        let ready = ready(output.as_ref(), errors.as_ref(), wait);
        if ready.output {
            match output.as_mut().map(|pipe| pipe.read(&mut buffer)) {
                Some(Ok(read @ 1..)) => attended.print(buffer.get(..read).unwrap_or_default()),
                _ => output = None,
            }
        }
        if ready.errors {
            match errors.as_mut().map(|pipe| pipe.read(&mut buffer)) {
                Some(Ok(read @ 1..)) => attended.say(buffer.get(..read).unwrap_or_default()),
                _ => errors = None,
            }
        }
        let is_read = is_over && !ready.output && !ready.errors;
        if is_read || attended.printed.len() > MAX_BYTES {
            break;
        }
        if begun.elapsed() >= timeout {
            break;
        }
    }
    if attended.ended.is_none() {
        // Whoever ends it buries it too, however long that takes.
        std::thread::spawn(move || child.wait());
    }
    attended
}

/// How long at most until it is looked again whether a command has ended.
#[cfg(unix)]
const LOOK_AGAIN: Duration = Duration::from_millis(10);

#[cfg(unix)]
struct Ready {
    output: bool,
    errors: bool,
}

/// Waits until one of the pipes can be read, or is closed, or the time is over.
#[cfg(unix)]
fn ready(
    output: Option<&std::process::ChildStdout>,
    errors: Option<&std::process::ChildStderr>,
    wait: Duration,
) -> Ready {
    use std::os::fd::AsFd;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    let output = output.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
    let errors = errors.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
    let has_output = output.is_some();
    let mut pipes: Vec<PollFd<'_>> = output.into_iter().chain(errors).collect();
    let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
    // Where a signal comes between, nothing is ready, and it is asked again.
    poll(&mut pipes, wait).ok();
    let mut ready = pipes.iter().map(|pipe| pipe.any().unwrap_or(false));
    let output = has_output && ready.next().unwrap_or(false);
    Ready {
        output,
        errors: ready.next().unwrap_or(false),
    }
}

/// What the threads report that attend to the command.
#[cfg(not(unix))]
enum Report {
    Printed(Vec<u8>),
    Said(Vec<u8>),
    Ended(ExitStatus),
}

/// Waits for a command and for the ends of its pipes, at most as long as this.
#[cfg(not(unix))]
#[expect(
    clippy::disallowed_methods,
    reason = "a command of the machine is measured by the machine's own time"
)]
pub(super) fn attend(mut child: Child, timeout: Duration) -> Attended {
    use std::io::Read;
    use std::sync::mpsc::channel;
    use std::thread;

    let begun = Instant::now();
    let (sender, reports) = channel();
    let limit = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
    if let Some(output) = child.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            output.take(limit).read_to_end(&mut bytes).ok();
            sender.send(Report::Printed(bytes))
        });
    }
    if let Some(errors) = child.stderr.take() {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            errors.take(limit).read_to_end(&mut bytes).ok();
            sender.send(Report::Said(bytes))
        });
    }
    thread::spawn(move || {
        child
            .wait()
            .map(|status| sender.send(Report::Ended(status)))
    });
    let mut attended = Attended::default();
    // They report once each.
    for _ in 0..3 {
        let left = timeout.saturating_sub(begun.elapsed());
        match reports.recv_timeout(left) {
            Ok(Report::Printed(bytes)) => attended.print(&bytes),
            Ok(Report::Said(bytes)) => attended.say(&bytes),
            Ok(Report::Ended(status)) => attended.ended = Some(status),
            Err(_) => {
                attended.ended = None;
                break;
            }
        }
    }
    attended
}
