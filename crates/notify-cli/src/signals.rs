//! The signals that ask a program to end.

use nix::sys::signal::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// Listens for SIGINT, SIGTERM and SIGHUP from the moment it is made.
///
/// A signal that was ignored when the program began (`nohup`, a shell's `&`) stays ignored, here
/// and in the command that is run.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Option<Stream>,
    terminate: Option<Stream>,
    hang_up: Option<Stream>,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        let ignored = ignored();
        let listen = |of: Signal, kind: SignalKind| {
            let bit = 1_u64 << (of as i32 - 1);
            (ignored & bit == 0).then(|| signal(kind)).transpose()
        };
        Ok(Self {
            interrupt: listen(Signal::SIGINT, SignalKind::interrupt())?,
            terminate: listen(Signal::SIGTERM, SignalKind::terminate())?,
            hang_up: listen(Signal::SIGHUP, SignalKind::hangup())?,
        })
    }

    /// Waits for the next one. CANCEL-SAFE: a signal that arrived is kept until it is received.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            () = received(&mut self.interrupt) => Signal::SIGINT,
            () = received(&mut self.terminate) => Signal::SIGTERM,
            () = received(&mut self.hang_up) => Signal::SIGHUP,
        }
    }
}

async fn received(stream: &mut Option<Stream>) {
    match stream {
        Some(stream) => {
            stream.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Reads which signals this process was born to ignore, as a mask.
///
/// Asking the kernel for a handler is not possible in safe Rust; where there is no `/proc`, no
/// signal counts as ignored.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
