//! Feeders: processes that take events on standard input and say which are durable.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::Result;
use crate::args::{FeedArgs, Way};
use crate::crash::process::Process;
use crate::crash::world::{self, World};
use crate::random::Seeded;

/// What a feeder said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The event is durable.
    Acknowledged(usize),
    /// Something that is not expected.
    Odd(String),
}

/// A process that is fed with events, in bursts, and its words.
pub(crate) struct Feeder {
    pub(crate) process: Process,
    words: Receiver<Word>,
}

impl Feeder {
    /// Starts one for these events.
    pub(crate) fn start(
        world: &World,
        way: Way,
        seed: u64,
        events: Vec<usize>,
        mut random: Seeded,
    ) -> Result<Self> {
        let mut command = match way {
            Way::Emit => world.notify(&["emit", "-", "--config", "notify.toml", "--wait", "0s"])?,
            Way::Inbox => {
                let mut command = Command::new(std::env::current_exe()?);
                command.current_dir(world.folder()).stderr(world.log()?);
                command.arg("feed").arg(world.ledger());
                command
            }
        };
        let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let mut input = process.child().stdin.take().ok_or("no standard input")?;
        let output = process.child().stdout.take().ok_or("no standard output")?;
        let lines: Vec<String> = events
            .iter()
            .map(|number| world::event(seed, *number))
            .collect();
        thread::spawn(move || {
            let mut lines = lines.into_iter().peekable();
            while lines.peek().is_some() {
                let burst = usize::try_from(random.between(1, 40)).unwrap_or(1);
                for line in lines.by_ref().take(burst) {
                    if writeln!(input, "{line}").is_err() {
                        // It was killed.
                        return;
                    }
                }
                input.flush().ok();
                thread::sleep(Duration::from_millis(random.between(0, 300)));
            }
        });
        let (said, words) = channel();
        thread::spawn(move || listen(BufReader::new(output), &events, &said));
        Ok(Self { process, words })
    }

    /// Gives the next word, if one comes in time; `None` also when there will be no more.
    pub(crate) fn word(&self, wait: Duration) -> Option<Word> {
        self.words.recv_timeout(wait).ok()
    }

    /// Gives all words of a process that has ended.
    pub(crate) fn last_words(&self) -> impl Iterator<Item = Word> {
        self.words.iter()
    }
}

/// Reads the answers, which come in the order of the events.
fn listen(mut output: impl BufRead, events: &[usize], said: &Sender<Word>) {
    let mut answered = events.iter();
    let mut line = String::new();
    loop {
        line.clear();
        // What a kill cut off is no acknowledgement.
        if output.read_line(&mut line).is_err() || !line.ends_with('\n') {
            return;
        }
        let word = match (line.split_whitespace().next(), answered.next()) {
            (Some("recorded" | "duplicate"), Some(number)) => Word::Acknowledged(*number),
            _ => Word::Odd(line.trim().to_owned()),
        };
        if said.send(word).is_err() {
            return;
        }
    }
}

/// The statement that is published for a caller's own transactions.
const INTAKE: &str = "INSERT INTO notify_inbox (event) VALUES (?1)";

/// How long the ledger may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);

/// The feeder through the inbox: inserts the events of standard input, some in each transaction,
/// and says `recorded` when they are committed.
pub(crate) fn feed(args: &FeedArgs) -> Result<()> {
    let mut connection = connect(args)?;
    let mut random = Seeded::new(std::process::id().into());
    let mut lines = std::io::stdin().lock().lines();
    loop {
        let together = usize::try_from(random.between(1, 20)).unwrap_or(1);
        let mut events = Vec::new();
        for line in lines.by_ref().take(together) {
            events.push(line?);
        }
        if events.is_empty() {
            return Ok(());
        }
        let transaction = connection.transaction()?;
        for event in &events {
            transaction.prepare_cached(INTAKE)?.execute([event])?;
        }
        transaction.commit()?;
        let mut out = std::io::stdout().lock();
        for _ in &events {
            writeln!(out, "recorded")?;
        }
        out.flush()?;
    }
}

/// Waits for the ledger, which another process makes.
fn connect(args: &FeedArgs) -> Result<Connection> {
    let begun = Instant::now();
    loop {
        if args.file.exists() {
            let connection = Connection::open(&args.file)?;
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.execute_batch("PRAGMA synchronous = FULL")?;
            match connection.prepare(INTAKE).map(drop) {
                Ok(()) => return Ok(connection),
                Err(err) if begun.elapsed() > PATIENCE => return Err(err.into()),
                Err(_) => {}
            }
        } else if begun.elapsed() > PATIENCE {
            return Err(format!("there is no `{}`", args.file.display()).into());
        }
        thread::sleep(Duration::from_millis(5));
    }
}
