//! What a fake has seen and done so far, to be looked at from any thread and awaited on any runtime.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use tokio::sync::watch;

/// Counts of what a fake has seen and done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Connections that were opened.
    pub connections: usize,
    /// Those of them that are open.
    pub open: usize,
    /// Requests that were read to their end; with SMTP, commands.
    pub requests: usize,
    /// Bytes that were written.
    pub written: usize,
    /// How often the fake has fallen silent: whoever waits then waits for his own clock.
    pub silent: usize,
    /// Whether the fake waits for [`let_out`](crate::fake::HttpFake::let_out).
    pub thirsty: bool,
    /// Whether a connection is to be reset instead of closed.
    pub(crate) reset: bool,
}

/// What the threads of one fake share.
#[derive(Debug)]
pub(crate) struct Shared {
    progress: watch::Sender<Progress>,
    over: AtomicBool,
    /// How many bytes may be dripped.
    allowed: Mutex<usize>,
    more: Condvar,
}

impl Shared {
    pub(crate) fn now(&self) -> Progress {
        *self.progress.borrow()
    }

    pub(crate) fn note(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    /// Waits until the progress is as wanted.
    pub(crate) async fn until(&self, wanted: impl FnMut(&Progress) -> bool) -> Progress {
        let mut receiver = self.progress.subscribe();
        let seen = receiver.wait_for(wanted).await;
        *seen.expect("the sender is here")
    }

    /// Allows so many more bytes to be dripped.
    pub(crate) fn let_out(&self, bytes: usize) {
        *self.allowed.lock().unwrap() += bytes;
        self.note(|progress| progress.thirsty = false);
        self.more.notify_all();
    }

    /// Waits until one byte may be dripped; tells whether one may.
    pub(crate) fn one_more(&self) -> bool {
        let mut allowed = self.allowed.lock().unwrap();
        if *allowed == 0 {
            self.note(|progress| progress.thirsty = true);
        }
        while *allowed == 0 && !self.over.load(Ordering::SeqCst) {
            allowed = self.more.wait(allowed).unwrap();
        }
        *allowed = allowed.saturating_sub(1);
        !self.over.load(Ordering::SeqCst)
    }
}

/// A listener with a thread for each connection; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) shared: Arc<Shared>,
    pub(crate) address: SocketAddr,
}

impl Listening {
    pub(crate) fn start(
        serve: impl Fn(TcpStream, &Shared) + Clone + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            progress: watch::Sender::new(Progress::default()),
            over: AtomicBool::new(false),
            allowed: Mutex::new(0),
            more: Condvar::new(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if of_thread.over.load(Ordering::SeqCst) {
                    return;
                }
                of_thread.note(|progress| {
                    progress.connections += 1;
                    progress.open += 1;
                });
                let (serve, shared) = (serve.clone(), Arc::clone(&of_thread));
                thread::spawn(move || {
                    // A client that hangs up early is nothing to panic about.
                    stream.set_nodelay(true).ok();
                    serve(stream, &shared);
                    shared.note(|progress| progress.open -= 1);
                });
            }
        });
        Self { shared, address }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.more.notify_all();
        // Wakes the listener.
        TcpStream::connect(self.address).ok();
    }
}
