//! The vendor: a server on a thread of its own that takes every post and remembers it.
//!
//! It knows as little of HTTP as the clients here make it know, so that what is measured is them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Result;
use crate::work::{CLOSED, RUN};

/// Where a body may be posted that is not counted by its number.
const BARE: &[u8] = b"POST /bare";

const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nok";
const LATER: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3000\r\ncontent-length: 0\r\n\r\n";

/// Longer than any round.
const PATIENCE: Duration = Duration::from_mins(10);

/// A running server. It ends with the process.
#[derive(Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    clocks: mpsc::UnboundedSender<oneshot::Sender<Duration>>,
}

#[derive(Debug, Default)]
struct Shared {
    delay: AtomicU64,
    /// Whether posts about the closed lane's workflow are to come later.
    closed: AtomicBool,
    count: AtomicU64,
    target: AtomicU64,
    reached: Notify,
    seen: Mutex<Seen>,
}

/// What arrived, by the number of its event.
#[derive(Debug, Default)]
struct Seen {
    posts: Vec<(u32, Option<Instant>)>,
    sample: Option<Vec<u8>>,
    strangers: u64,
}

impl Sink {
    /// Starts a server.
    pub(crate) async fn start() -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (clocks, asked) = mpsc::unbounded_channel();
        let (started, start) = oneshot::channel();
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || serve(&theirs, asked, started))?;
        let address = start.await??;
        Ok(Self {
            address,
            shared,
            clocks,
        })
    }

    /// Returns the address whose posts are told apart.
    pub(crate) fn webhook(&self) -> String {
        format!("http://{}/services/T0/B0/bench", self.address)
    }

    /// Returns the address whose posts are only counted.
    pub(crate) fn bare(&self) -> String {
        format!("http://{}/bare", self.address)
    }

    /// Answers after a while from now on.
    pub(crate) fn delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.shared.delay.store(micros, Ordering::Relaxed);
    }

    /// Turns the closed lane's posts away from now on.
    pub(crate) fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
    }

    /// Forgets everything, and waits for so many posts from now on.
    pub(crate) fn expect(&self, posts: usize) {
        *self.shared.seen() = Seen::default();
        self.shared.count.store(0, Ordering::SeqCst);
        self.shared.target.store(posts as u64, Ordering::SeqCst);
    }

    /// Waits until that many have arrived.
    pub(crate) async fn reached(&self) -> Result<()> {
        loop {
            let count = self.shared.count.load(Ordering::SeqCst);
            if count >= self.shared.target.load(Ordering::SeqCst) {
                return Ok(());
            }
            // A notice that came meanwhile is kept.
            if timeout(PATIENCE, self.shared.reached.notified())
                .await
                .is_err()
            {
                return Err(format!("only {count} posts arrived").into());
            }
        }
    }

    /// Checks that these events arrived, each once, and nothing else.
    pub(crate) fn verify(&self, events: usize) -> Result<()> {
        let seen = self.shared.seen();
        let times = |index: usize| seen.posts.get(index).map_or(0, |(times, _)| *times);
        let lost = (0..events).filter(|index| times(*index) == 0).count();
        let doubled = (0..seen.posts.len())
            .filter(|index| times(*index) > 1)
            .count();
        let beyond = (events..seen.posts.len())
            .filter(|index| times(*index) > 0)
            .count();
        match (lost, doubled, beyond as u64 + seen.strangers) {
            (0, 0, 0) => Ok(()),
            (lost, doubled, strange) => Err(format!(
                "of {events} events {lost} did not arrive, {doubled} came twice, \
                 and {strange} posts are of none of them"
            )
            .into()),
        }
    }

    /// Returns when each event arrived.
    pub(crate) fn arrivals(&self) -> Vec<Option<Instant>> {
        self.shared.seen().posts.iter().map(|(_, at)| *at).collect()
    }

    /// Returns the first body that came after [`expect`](Self::expect).
    pub(crate) fn sample(&self) -> Option<Vec<u8>> {
        self.shared.seen().sample.clone()
    }

    /// Returns the processor time that the server itself has used.
    pub(crate) async fn processor(&self) -> Result<Duration> {
        let (answer, answered) = oneshot::channel();
        self.clocks.send(answer)?;
        Ok(answered.await?)
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one post and gives the answer.
    fn take(&self, head: &[u8], body: &[u8]) -> &'static [u8] {
        if self.closed.load(Ordering::Relaxed) && contains(body, CLOSED.as_bytes()) {
            return LATER;
        }
        if !head.starts_with(BARE) {
            let mut seen = self.seen();
            if seen.sample.is_none() {
                seen.sample = Some(body.to_owned());
            }
            match number(body) {
                Some(index) => {
                    if seen.posts.len() <= index {
                        seen.posts.resize(index + 1, (0, None));
                    }
                    if let Some((times, at)) = seen.posts.get_mut(index) {
                        *times += 1;
                        at.get_or_insert_with(Instant::now);
                    }
                }
                None => seen.strangers += 1,
            }
        }
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if count >= self.target.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
        TAKEN
    }
}

/// Reads the number of the event that a body is about.
fn number(body: &[u8]) -> Option<usize> {
    let mark = RUN.as_bytes();
    let mut places = body.windows(mark.len() + 8);
    let found = places.find(|part| {
        let digits = part.get(mark.len()..).unwrap_or_default();
        part.starts_with(mark) && digits.iter().all(u8::is_ascii_digit)
    })?;
    std::str::from_utf8(found.get(mark.len()..)?)
        .ok()?
        .parse()
        .ok()
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

fn serve(
    shared: &Arc<Shared>,
    mut asked: mpsc::UnboundedReceiver<oneshot::Sender<Duration>>,
    started: oneshot::Sender<io::Result<SocketAddr>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(err) => return drop(started.send(Err(err))),
    };
    runtime.block_on(async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = match listener.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((address, listener)) => {
                started.send(Ok(address)).ok();
                listener
            }
            Err(err) => return drop(started.send(Err(err))),
        };
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(shared)));
                },
                _ = connections.join_next(), if !connections.is_empty() => {}
                answer = asked.recv() => match answer {
                    Some(answer) => drop(answer.send(thread_time())),
                    None => return,
                },
            }
        }
    });
}

fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map(Duration::from)
        .unwrap_or_default()
}

async fn connection(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let (head, length) = loop {
            if let Some(found) = lengths(&buffer) {
                break found;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        while buffer.len() < head + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let (head_bytes, rest) = buffer.split_at(head);
        let answer = shared.take(head_bytes, rest.get(..length).unwrap_or_default());
        let delay = Duration::from_micros(shared.delay.load(Ordering::Relaxed));
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        stream.write_all(answer).await?;
        buffer.drain(..head + length);
    }
}

/// Returns the lengths of a request's head and body, once the head is there.
fn lengths(buffer: &[u8]) -> Option<(usize, usize)> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(buffer.get(..head)?).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok())?
    });
    Some((head, length.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_when_its_head_is_and_its_body_has_its_length() {
        assert_eq!(lengths(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n"), None);
        let whole = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(lengths(whole), Some((38, 3)));
    }

    #[test]
    fn the_event_is_told_from_its_number_wherever_it_stands() {
        assert_eq!(number(b"a run-x of run-00000017, run-00000018"), Some(17));
        assert_eq!(number(b"run-0000001"), None);
    }
}
