//! `notify emit`: ends that other programs tell of.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path as FilePath;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use workflow_notify::core::{Problem, Problems, Registry, WorkflowEnded};
use workflow_notify::engine::{Engine, EngineError, Recorder};
use workflow_notify::outbox::Accepted;

use crate::args::EmitArgs;
use crate::events::{self, Found};
use crate::exit;
use crate::patience;
use crate::report;
use crate::setup::{self, Fate, Refused};
use crate::signals::Signals;

/// How many events are on their way into the ledger at once: they share commits.
const IN_FLIGHT: usize = 256;

/// How many problems of one event are told.
const TOLD: usize = 50;

/// How long attempts in flight may go on after we were asked to end.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) async fn emit(args: EmitArgs) -> ExitCode {
    let begin = async {
        let setup = setup::load(&args.definitions, &args.config.path)?;
        let input = open(&args.file)?;
        let signals = Signals::listen()
            .map_err(|err| Refused::because(&format!("cannot listen for signals: {err}")))?;
        let ledger = if args.record_only {
            Ledger::Recorder(Recorder::new(setup.ledger()?))
        } else {
            setup.secrets().await?;
            Ledger::Engine(setup.engine()?)
        };
        let fate = Fate::of(&setup);
        let found = read(input, setup.files.registry)?;
        Ok::<_, Refused>((found, signals, ledger, fate))
    };
    let Ok((found, mut signals, ledger, fate)) = begin.await else {
        return exit::WRONG_INPUT.into();
    };
    let mut emitting = Emitting {
        ledger: &ledger,
        json: args.json,
        wait: args.wait,
        counts: BTreeMap::new(),
        reading: true,
        trouble: false,
        stopped: None,
    };
    emitting.run(found, &mut signals).await;
    emitting.say_so();
    let code = emitting.code();
    let stopped = emitting.stopped.is_some();
    if let Ledger::Engine(engine) = &ledger {
        deliver(engine, args.wait, stopped, fate, &mut signals).await;
    }
    code
}

fn open(file: &FilePath) -> Result<Box<dyn Read + Send>, Refused> {
    if file == FilePath::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    let cannot = |why: &str| Refused::because(&format!("cannot read `{}`: {why}", file.display()));
    let opened = File::open(file).map_err(|err| cannot(&err.to_string()))?;
    match opened.metadata() {
        Ok(what) if what.is_dir() => Err(cannot("it is a folder")),
        _ => Ok(Box::new(opened)),
    }
}

/// Reads on a thread of its own: an input may let us wait for as long as it likes.
fn read(
    input: Box<dyn Read + Send>,
    registry: Registry,
) -> Result<mpsc::Receiver<io::Result<Found>>, Refused> {
    let (sender, found) = mpsc::channel(1);
    let work = move || {
        let input = BufReader::with_capacity(64 * 1024, input);
        let take = |found| sender.blocking_send(Ok(found)).is_ok();
        if let Err(err) = events::read(input, &registry, take) {
            sender.blocking_send(Err(err)).ok();
        }
    };
    std::thread::Builder::new()
        .name("events".to_owned())
        .spawn(work)
        .map_err(|err| Refused::because(&format!("cannot start: {err}")))?;
    Ok(found)
}

/// Where ends are recorded.
#[derive(Debug)]
enum Ledger {
    Engine(Engine),
    Recorder(Recorder),
}

impl Ledger {
    async fn workflow_ended(&self, event: WorkflowEnded) -> Result<Accepted, EngineError> {
        match self {
            Self::Engine(engine) => engine.workflow_ended(event).await,
            Self::Recorder(recorder) => recorder.workflow_ended(event).await,
        }
    }

    /// Records what was found. An outbox that is busy or full gets some time to recover.
    async fn take(&self, found: Found, wait: Duration) -> Answer {
        let Found { line, bytes, event } = found;
        let became = match event {
            Err(problems) => Became::Refused(problems),
            Ok(event) => {
                let accept = async || self.workflow_ended(event.clone()).await;
                match patience::persist(wait, accept).await {
                    Ok(accepted) => Became::Accepted(accepted),
                    Err(err) => Became::Failed(report::chain(&err)),
                }
            }
        };
        Answer {
            line,
            bytes,
            became,
        }
    }
}

/// What is going on.
struct Emitting<'a> {
    ledger: &'a Ledger,
    json: bool,
    wait: Duration,
    /// How often each answer was given.
    counts: BTreeMap<&'static str, u64>,
    /// Whether more is wanted.
    reading: bool,
    /// Whether input, output or outbox failed.
    trouble: bool,
    stopped: Option<Signal>,
}

impl Emitting<'_> {
    /// Records what is found and answers in its order, until the input ends or something ends it.
    async fn run(&mut self, mut input: mpsc::Receiver<io::Result<Found>>, signals: &mut Signals) {
        let (ledger, wait) = (self.ledger, self.wait);
        let mut answers = FuturesOrdered::new();
        let mut bytes = 0;
        while self.reading || !answers.is_empty() {
            let room = answers.len() < IN_FLIGHT && bytes < events::MOST;
            // CANCEL-SAFE: a signal, an answer or an event that nobody received is kept for the
            // next time.
            tokio::select! {
                biased;
                signal = signals.next() => {
                    self.reading = false;
                    if self.stopped.replace(signal).is_some() {
                        break;
                    }
                }
                Some(answer) = answers.next() => {
                    let answer: Answer = answer;
                    bytes -= answer.bytes;
                    self.answer(&answer);
                }
                found = input.recv(), if self.reading && room => match found {
                    Some(Ok(found)) => {
                        bytes += found.bytes;
                        answers.push_back(ledger.take(found, wait));
                    }
                    Some(Err(err)) => {
                        report::error(&format!("the input cannot be read: {err}"));
                        self.trouble = true;
                        self.reading = false;
                    }
                    None => self.reading = false,
                }
            }
        }
    }

    fn answer(&mut self, answer: &Answer) {
        *self.counts.entry(answer.became.name()).or_default() += 1;
        answer.explain();
        if matches!(answer.became, Became::Failed(_)) {
            // What comes after would fail as well, or be out of order.
            self.trouble = true;
            self.reading = false;
        }
        let line = if self.json {
            answer.as_json().to_string()
        } else {
            answer.to_string()
        };
        let mut out = io::stdout().lock();
        let told = writeln!(out, "{line}").and_then(|()| out.flush());
        if told.is_err() && !self.trouble {
            report::error("nobody reads the answers any more; the rest of the input was not read");
            self.trouble = true;
            self.reading = false;
        }
    }

    fn count(&self, names: &[&str]) -> u64 {
        let of = |name: &&str| self.counts.get(*name).copied().unwrap_or(0);
        names.iter().map(of).sum()
    }

    fn say_so(&self) {
        if let Some(signal) = self.stopped {
            let known = self.count(&["recorded", "duplicate", "conflict"]);
            report::say(format_args!(
                "{signal}: {known} acknowledged events are on record, the rest of the input was not read"
            ));
        } else if self.counts.is_empty() && !self.trouble {
            report::say("the input holds no event");
        }
    }

    fn code(&self) -> ExitCode {
        let wrong = self.count(&["refused", "conflict"]) > 0;
        let signal = self
            .stopped
            .and_then(|signal| u8::try_from(signal as i32).ok());
        match signal {
            Some(signal) => (exit::SIGNAL + signal).into(),
            None if self.trouble => exit::LEFT.into(),
            None if wrong => exit::WRONG_INPUT.into(),
            None => ExitCode::SUCCESS,
        }
    }
}

/// What came of one event of the input.
#[derive(Debug)]
struct Answer {
    line: u64,
    bytes: usize,
    became: Became,
}

#[derive(Debug)]
enum Became {
    Accepted(Accepted),
    Refused(Problems),
    /// It is not on record, and not through a fault of its own.
    Failed(String),
}

impl Became {
    const fn name(&self) -> &'static str {
        match self {
            Self::Accepted(Accepted::Recorded(_)) => "recorded",
            Self::Accepted(Accepted::Duplicate(_)) => "duplicate",
            Self::Accepted(Accepted::Conflict(_)) => "conflict",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }
}

impl Answer {
    /// Says on standard error what is wrong, all of it.
    fn explain(&self) {
        let line = self.line;
        match &self.became {
            Became::Accepted(Accepted::Conflict(first)) => report::warning(format_args!(
                "line {line}: another end of this attempt is on record ({first}); nobody is told of this one"
            )),
            Became::Accepted(_) => {}
            Became::Refused(problems) => {
                for problem in problems.iter().take(TOLD) {
                    report::error(&format!(
                        "line {line}: {} [{}]",
                        Short(problem),
                        problem.code
                    ));
                    if let Some(help) = &problem.help {
                        report::hint(help);
                    }
                }
                let more = problems.iter().count().saturating_sub(TOLD);
                if more > 0 {
                    report::error(&format!("line {line}: and {more} more problems"));
                }
            }
            Became::Failed(why) => {
                report::error(&format!("line {line}: this is not on record: {why}"));
            }
        }
    }

    fn as_json(&self) -> Value {
        let mut value = json!({"line": self.line, "result": self.became.name()});
        let (key, what) = match &self.became {
            Became::Accepted(accepted) => ("event", json!(accepted.event().to_string())),
            Became::Refused(problems) => {
                let problem = |problem: &Problem| {
                    json!({
                        "code": problem.code.to_string(),
                        "path": problem.path.to_string(),
                        "message": problem.message,
                        "help": problem.help,
                    })
                };
                let told: Vec<Value> = problems.iter().take(TOLD).map(problem).collect();
                ("problems", json!(told))
            }
            Became::Failed(why) => ("reason", json!(why)),
        };
        if let Value::Object(map) = &mut value {
            map.insert(key.to_owned(), what);
        }
        value
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.became.name();
        match &self.became {
            Became::Accepted(accepted) => write!(f, "{name} {}", accepted.event()),
            Became::Refused(problems) => {
                write!(f, "{name} {}", self.line)?;
                let mut all = problems.iter();
                if let Some(first) = all.next() {
                    write!(f, " {}", Short(first))?;
                }
                match all.count() {
                    0 => Ok(()),
                    more => write!(f, " (and {more} more)"),
                }
            }
            Became::Failed(why) => write!(f, "{name} {} {why}", self.line),
        }
    }
}

/// A problem with its place, without its help.
struct Short<'a>(&'a Problem);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(problem) = self;
        if !problem.path.segments().is_empty() {
            write!(f, "{}: ", problem.path)?;
        }
        f.write_str(&problem.message)
    }
}

/// Goes on delivering for a while, and says so when something is left.
async fn deliver(
    engine: &Engine,
    wait: Duration,
    stopped: bool,
    fate: Fate,
    signals: &mut Signals,
) {
    if !stopped {
        // CANCEL-SAFE: draining only waits for what the engine does anyway.
        tokio::select! {
            drained = tokio::time::timeout(wait, engine.drain(wait)) => {
                if let Ok(Err(err)) = drained {
                    report::warning(report::chain(&err));
                }
            }
            signal = signals.next() => {
                report::warning(format!("{signal}: what is not delivered {fate}"));
            }
        }
    }
    match engine.shutdown(GRACE).await {
        Ok(left) => fate.of_rest(&left.status),
        Err(err) => report::warning(report::chain(&err)),
    }
}
