//! The command that is run: its output, its signals, its time limit and how it ended.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use workflow_notify::core::TerminalPhase;
use workflow_notify::core::time::words;

use crate::exit;
use crate::signals::Signals;
use crate::tail::Tail;

/// How long standard error is read on after the command has ended, when something that it left
/// behind still holds it open.
const STRAY_OUTPUT: Duration = Duration::from_millis(500);

/// How long a reader of our own standard error may take over one piece, after the command has
/// ended, before telling people is more important.
const STUCK_READER: Duration = Duration::from_secs(30);

/// What to run, and how.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) command: Vec<OsString>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) kill_after: Duration,
    pub(crate) capture: bool,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) phase: TerminalPhase,
    /// Our own exit code for it.
    pub(crate) code: u8,
    /// A short code and a sentence, where it did not succeed.
    pub(crate) failure: Option<(String, String)>,
    /// The last words of its standard error.
    pub(crate) tail: Tail,
}

impl Job {
    /// Runs the command to its end, whatever that is.
    pub(crate) async fn run(self, signals: &mut Signals) -> Ended {
        let mut child = match self.spawn() {
            Ok(child) => child,
            Err(err) => return self.not_run(&err),
        };
        let captured = child.stderr.take().map(Captured::start);
        let target = Target::of(&child);
        let mut stopped = None;
        let mut timed_out = false;
        let mut deadline = self.timeout.map(|limit| Instant::now() + limit);
        let status = loop {
            let far = Instant::now() + Duration::from_hours(24);
            // CANCEL-SAFE: `wait` and `next` lose nothing, the deadline is an instant.
            tokio::select! {
                // Whoever was asked to end before the command did was stopped, however close it was.
                biased;
                signal = signals.next() => {
                    stopped.get_or_insert(signal);
                    target.pass_on(signal);
                }
                status = child.wait() => break status,
                _ = timeout_at(deadline.unwrap_or(far), std::future::pending::<()>()) => {
                    if deadline.is_some() {
                        target.send(if timed_out { Signal::SIGKILL } else { Signal::SIGTERM });
                        timed_out = true;
                        deadline = Some(Instant::now() + self.kill_after);
                    }
                }
            }
        };
        let tail = match captured {
            Some(captured) => captured.finish().await,
            None => Tail::default(),
        };
        match status {
            Ok(status) => self.ended(status, timed_out, stopped, tail),
            Err(err) => Ended {
                phase: TerminalPhase::Failed,
                code: exit::REFUSED,
                failure: Some(("lost".to_owned(), format!("the command was lost: {err}"))),
                tail,
            },
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let (program, arguments) = self.command.split_first().ok_or(ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        command.args(arguments);
        if self.capture {
            command.stderr(Stdio::piped());
        }
        // At a terminal the command stays in our process group: it may read the keyboard, and
        // Ctrl-C and Ctrl-Z reach it as they would without us. Elsewhere it gets a group of its
        // own, so that whatever it starts can be ended with it.
        if !at_a_terminal() {
            command.process_group(0);
        }
        command.spawn()
    }

    fn not_run(&self, err: &io::Error) -> Ended {
        let name = self
            .command
            .first()
            .map_or_else(Default::default, |name| name.to_string_lossy());
        let (code, what) = match err.kind() {
            ErrorKind::NotFound => (exit::NOT_FOUND, "command not found".to_owned()),
            _ => (exit::NOT_EXECUTABLE, format!("cannot be executed: {err}")),
        };
        Ended {
            phase: TerminalPhase::Failed,
            code,
            failure: Some((format!("exit {code}"), format!("{name}: {what}"))),
            tail: Tail::default(),
        }
    }

    fn ended(
        &self,
        status: ExitStatus,
        timed_out: bool,
        stopped: Option<Signal>,
        tail: Tail,
    ) -> Ended {
        let killed_by = status.signal();
        let asked = |signal: Signal| killed_by == Some(signal as i32);
        let own = match (status.code(), killed_by) {
            (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
            (None, signal) => exit::SIGNAL + u8::try_from(signal.unwrap_or(0)).unwrap_or(0),
        };
        let short = match killed_by {
            Some(number) => Signal::try_from(number)
                .map_or("signal", Signal::as_str)
                .to_owned(),
            None => format!("exit {own}"),
        };
        if timed_out {
            let limit = words(self.timeout.unwrap_or_default());
            let failure = (
                format!("timeout {limit}"),
                format!("ran longer than {limit}"),
            );
            return Ended {
                phase: TerminalPhase::TimedOut,
                code: exit::TIMED_OUT,
                failure: Some(failure),
                tail,
            };
        }
        let (phase, code, sentence) = if let Some(signal) = stopped {
            (TerminalPhase::Aborted, own, format!("stopped by {signal}"))
        } else if [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
            .into_iter()
            .any(asked)
        {
            (TerminalPhase::Aborted, own, format!("stopped by {short}"))
        } else if status.success() {
            return Ended {
                phase: TerminalPhase::Succeeded,
                code: 0,
                failure: None,
                tail,
            };
        } else {
            let sentence = match killed_by {
                Some(_) => format!("killed by {short}"),
                None => format!("ended with exit status {own}"),
            };
            (TerminalPhase::Failed, own, sentence)
        };
        Ended {
            phase,
            code,
            failure: Some((short, sentence)),
            tail,
        }
    }
}

/// Tells whether we are what the user of a terminal is looking at, wherever our input comes from.
fn at_a_terminal() -> bool {
    let terminal = std::fs::File::open("/dev/tty");
    terminal.is_ok_and(|terminal| tcgetpgrp(terminal) == Ok(getpgrp()))
}

/// Whom a signal is for: the command alone, or its whole process group.
#[derive(Clone, Copy, Debug)]
struct Target {
    pid: Option<Pid>,
    group: bool,
}

impl Target {
    fn of(child: &Child) -> Self {
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw);
        let group = !at_a_terminal();
        Self { pid, group }
    }

    /// Passes on a signal that we got. A terminal has sent its Ctrl-C to the command already.
    fn pass_on(self, signal: Signal) {
        if self.group || signal != Signal::SIGINT {
            self.send(signal);
        }
    }

    fn send(self, signal: Signal) {
        // An error means that nobody is left to hear it.
        match self.pid {
            Some(pid) if self.group => killpg(pid, signal).ok(),
            Some(pid) => kill(pid, signal).ok(),
            None => None,
        };
    }
}

/// Standard error on its way through: out unchanged, and the last of it remembered.
struct Captured {
    seen: Arc<Seen>,
    end: oneshot::Receiver<()>,
}

/// How far the way through has come.
#[derive(Default)]
struct Seen {
    tail: Mutex<Tail>,
    /// How many pieces have come through.
    pieces: AtomicU64,
    /// Whether one of them waits for the reader of our own standard error.
    writing: AtomicBool,
}

impl Captured {
    fn start(stream: ChildStderr) -> Self {
        let seen = Arc::new(Seen::default());
        let (done, end) = oneshot::channel();
        let kept = Arc::clone(&seen);
        // A thread, not a task: our own standard error may block.
        std::thread::spawn(move || {
            if let Ok(stream) = stream.into_owned_fd() {
                copy(&mut std::fs::File::from(stream), &kept);
            }
            done.send(()).ok();
        });
        Self { seen, end }
    }

    /// Waits for the end of the stream: not for something that the command left behind and that
    /// holds it open in silence, but for as long as anybody reads what comes through.
    async fn finish(mut self) -> Tail {
        let mut silence = Duration::ZERO;
        let mut pieces = None;
        while timeout(STRAY_OUTPUT, &mut self.end).await.is_err() {
            let now = Some(self.seen.pieces.load(Ordering::Acquire));
            let writing = self.seen.writing.load(Ordering::Acquire);
            silence = if now == pieces {
                silence + STRAY_OUTPUT
            } else {
                Duration::ZERO
            };
            pieces = now;
            let bound = if writing { STUCK_READER } else { STRAY_OUTPUT };
            if silence >= bound {
                break;
            }
        }
        let mut tail = self
            .seen
            .tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *tail)
    }
}

fn copy(from: &mut impl Read, seen: &Seen) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => buffer.get(..read).unwrap_or_default(),
            Err(err) if err.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let tail = &seen.tail;
        tail.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(read);
        seen.writing.store(true, Ordering::Release);
        // When nobody reads our standard error any more, the command still may write to its own.
        io::stderr().write_all(read).ok();
        seen.writing.store(false, Ordering::Release);
        seen.pieces.fetch_add(1, Ordering::Release);
    }
}
