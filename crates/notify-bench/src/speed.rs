//! The goals of speed: the engine and a bare loop in alternating rounds.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use notify_core::WorkflowEnded;
use tempfile::TempDir;
use tokio::time::sleep_until;

use crate::args::{BenchArgs, Goal};
use crate::bare::{self, Body};
use crate::cost;
use crate::mail;
use crate::reference::{self, Pipeline};
use crate::sink::Sink;
use crate::table::{self, Bound, Row, Unit};
use crate::work::{self, Ledger, Setup};
use crate::{Result, say};

/// How many callers accept at once when the ledger is durable: they share its commits.
const CALLERS: usize = 256;

/// How long settling the last deliveries may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many events are committed one by one.
const ONE_BY_ONE: usize = 2_000;

/// The time between two single events.
const PACE: Duration = Duration::from_millis(20);

/// How many single events there are.
const SINGLES: usize = 250;

/// What one round took.
#[derive(Clone, Copy, Debug)]
struct Took {
    wall: Duration,
    /// Processor time of everything in the process but the sink.
    processor: Duration,
    events: usize,
}

impl Took {
    #[expect(clippy::cast_precision_loss, reason = "counts of events are small")]
    fn rate(&self) -> f64 {
        self.events as f64 / self.wall.as_secs_f64()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of events are small")]
    fn micros_each(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.events as f64
    }
}

/// Measures what was asked for. The result is always good: a goal that is missed is no error.
pub(crate) async fn run(args: BenchArgs) -> Result<bool> {
    let bench = Bench::new(&args).await?;
    let mut rows = Vec::new();
    for goal in &args.only {
        match goal {
            Goal::Templated => bench.memory(true, &mut rows).await?,
            Goal::Ready => bench.memory(false, &mut rows).await?,
            Goal::Slow => bench.slow(&mut rows).await?,
            Goal::Durable => bench.durable(&mut rows).await?,
            Goal::Single => bench.single(&mut rows).await?,
            Goal::Mail => print(mail::compare(bench.rounds, bench.events).await?, &mut rows),
        }
    }
    table::write(args.json.as_deref(), &rows)?;
    Ok(true)
}

struct Bench {
    sink: Sink,
    folder: TempDir,
    rounds: usize,
    events: usize,
    workflows: usize,
}

/// Makes a folder for ledgers.
pub(crate) fn folder(parent: Option<&Path>) -> Result<TempDir> {
    let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
    Ok(tempfile::Builder::new()
        .prefix("notify-bench-")
        .tempdir_in(parent)?)
}

impl Bench {
    async fn new(args: &BenchArgs) -> Result<Self> {
        let folder = folder(args.dir.as_deref())?;
        if args
            .only
            .iter()
            .any(|goal| matches!(goal, Goal::Durable | Goal::Single))
        {
            say(format_args!(
                "SQLite in {}: {}",
                folder.path().display(),
                cost::filesystem(folder.path())?
            ));
        }
        Ok(Self {
            sink: Sink::start().await?,
            folder,
            rounds: args.rounds.max(1),
            events: args.events.max(1),
            workflows: args.workflows.max(1),
        })
    }

    fn setup(&self, ledger: Ledger, in_flight: usize, templated: bool) -> Setup {
        Setup {
            ledger,
            webhook: self.sink.webhook(),
            in_flight,
            templated,
            workflows: self.workflows,
        }
    }

    fn file(&self, name: &str, round: usize) -> PathBuf {
        self.folder.path().join(format!("{name}-{round}.db"))
    }

    /// P1, P2 and P3.
    async fn memory(&self, templated: bool, rows: &mut Vec<Row>) -> Result<()> {
        let (goal, speed, dear) = if templated {
            ("P1", 0.60, 2.0)
        } else {
            ("P2", 0.85, 1.25)
        };
        for in_flight in [16, 64] {
            let at = format!("at {in_flight}");
            let setup = self.setup(Ledger::Memory, in_flight, templated);
            let (mut ours, mut bare, mut rendered) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..self.rounds {
                ours.push(self.ours(&setup, self.events, in_flight).await?);
                let body = self.sample()?;
                if round == 0 {
                    say(format_args!("{goal} {at}: posts of {} bytes", body.len()));
                }
                bare.push(
                    self.bare(&Body::Ready(body), self.events, in_flight)
                        .await?,
                );
                if templated {
                    let body = Body::templated()?;
                    rendered.push(self.bare(&body, self.events, in_flight).await?);
                }
            }
            let mut found = compared(goal, &at, "bare", &ours, &bare, Bound::AtLeast(speed));
            let bound = Bound::AtMost(dear);
            found.push(processor("P3", &at, "bare", &ours, &bare, bound));
            if templated {
                let other = "bare + minijinja";
                found.extend(compared(goal, &at, other, &ours, &rendered, Bound::None));
                found.push(processor("P3", &at, other, &ours, &rendered, Bound::None));
            }
            print(found, rows);
        }
        Ok(())
    }

    /// P4.
    async fn slow(&self, rows: &mut Vec<Row>) -> Result<()> {
        for (in_flight, bound) in [(16, 0.97), (64, 0.97), (256, 0.93)] {
            let setup = self.setup(Ledger::Memory, in_flight, false);
            let events = in_flight * 40;
            self.sink.delay(Duration::from_millis(50));
            let (mut ours, mut bare) = (Vec::new(), Vec::new());
            for _ in 0..self.rounds {
                ours.push(self.ours(&setup, events, in_flight).await?);
                let body = Body::Ready(self.sample()?);
                bare.push(self.bare(&body, events, in_flight).await?);
            }
            self.sink.delay(Duration::ZERO);
            let at = format!("at {in_flight}");
            print(
                compared("P4", &at, "bare", &ours, &bare, Bound::AtLeast(bound)),
                rows,
            );
        }
        Ok(())
    }

    /// P5 and P6.
    async fn durable(&self, rows: &mut Vec<Row>) -> Result<()> {
        const IN_FLIGHT: usize = 64;
        let (mut ours, mut theirs, mut single) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..self.rounds {
            let file = self.file("ours", round);
            let setup = self.setup(Ledger::Sqlite(file.clone()), IN_FLIGHT, false);
            ours.push(self.ours(&setup, self.events, CALLERS).await?);
            remove(&file)?;
            theirs.push(self.reference(round, IN_FLIGHT).await?);
            single.push(self.one_by_one(round)?);
        }
        let (at, other) = ("at 64", "reference");
        let mut found = compared("P5", at, other, &ours, &theirs, Bound::AtLeast(0.6));
        let each = "one commit each";
        found.extend(compared(
            "P5",
            at,
            each,
            &ours,
            &single,
            Bound::AtLeast(5.0),
        ));
        let bound = Bound::AtMost(2.0);
        found.push(processor("P6", at, other, &ours, &theirs, bound));
        print(found, rows);
        Ok(())
    }

    /// P7.
    async fn single(&self, rows: &mut Vec<Row>) -> Result<()> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            ours.push(self.ours_singly(round).await?);
            theirs.push(self.reference_singly(round).await?);
        }
        let mut found = Vec::new();
        for (at, part, bound) in [("p50", 0.5, 1.3), ("p99", 0.99, 1.8)] {
            let of = |rounds: &[Vec<f64>]| {
                let part = |waits: &Vec<f64>| cost::quantile(waits, part);
                rounds.iter().map(part).collect()
            };
            found.push(Row {
                goal: "P7",
                at: at.to_owned(),
                unit: Unit::Millis,
                ours: of(&ours),
                other: "reference",
                theirs: of(&theirs),
                bound: Bound::AtMost(bound),
            });
        }
        print(found, rows);
        Ok(())
    }

    /// Hands events to an engine by some callers, until all of them are delivered and settled.
    async fn ours(&self, setup: &Setup, count: usize, callers: usize) -> Result<Took> {
        let mut events = work::events(0..count + 2 * setup.in_flight, setup.workflows)?;
        let warm_up = events.split_off(count);
        let engine = setup.engine()?;
        self.sink.expect(warm_up.len());
        work::accept(&engine, warm_up, callers).await?;
        self.sink.reached().await?;
        engine.drain(PATIENCE).await?;

        self.sink.expect(count);
        let watch = Watch::start(&self.sink).await?;
        work::accept(&engine, events, callers).await?;
        self.sink.reached().await?;
        let status = engine.drain(PATIENCE).await?;
        let took = watch.stop(count).await?;
        if !status.is_idle() || status.held + status.unplannable + status.conflicts > 0 {
            return Err(format!("not everything is settled: {status:?}").into());
        }
        self.sink.verify(count)?;
        engine.shutdown(PATIENCE).await?;
        Ok(took)
    }

    async fn bare(&self, body: &Body, count: usize, in_flight: usize) -> Result<Took> {
        let (client, url) = (bare::client()?, self.sink.bare());
        bare::posts(&client, &url, body, 2 * in_flight, in_flight).await?;
        self.sink.expect(count);
        let watch = Watch::start(&self.sink).await?;
        bare::posts(&client, &url, body, count, in_flight).await?;
        self.sink.reached().await?;
        watch.stop(count).await
    }

    async fn reference(&self, round: usize, in_flight: usize) -> Result<Took> {
        let file = self.file("reference", round);
        let (client, url) = (bare::client()?, self.sink.bare());
        let body = self.sample()?;
        let warm_up = Body::Ready(body.clone());
        bare::posts(&client, &url, &warm_up, 2 * in_flight, in_flight).await?;
        let texts = texts(self.events, self.workflows)?;
        let pipeline = Pipeline::start(&file, &client, &url, in_flight)?;
        self.sink.expect(self.events);
        let watch = Watch::start(&self.sink).await?;
        pipeline.burst(texts, &body, CALLERS).await?;
        pipeline.finish().await?;
        let took = watch.stop(self.events).await?;
        self.sink.reached().await?;
        remove(&file)?;
        Ok(took)
    }

    fn one_by_one(&self, round: usize) -> Result<Took> {
        let file = self.file("single", round);
        let events = ONE_BY_ONE.min(self.events);
        let texts = texts(events, self.workflows)?;
        let wall = reference::one_commit_each(&file, &texts)?;
        remove(&file)?;
        Ok(Took {
            wall,
            processor: Duration::ZERO,
            events,
        })
    }

    /// Gives the milliseconds from each event's acceptance by the program to its arrival.
    async fn ours_singly(&self, round: usize) -> Result<Vec<f64>> {
        let file = self.file("singly", round);
        let setup = self.setup(Ledger::Sqlite(file.clone()), 64, false);
        let engine = setup.engine()?;
        self.sink.expect(SINGLES);
        let mut begun = Vec::new();
        for (event, at) in work::events(0..SINGLES, self.workflows)?
            .into_iter()
            .zip(paced())
        {
            sleep_until(at.into()).await;
            begun.push(Instant::now());
            engine.workflow_ended(event).await?;
        }
        self.sink.reached().await?;
        self.sink.verify(SINGLES)?;
        engine.shutdown(PATIENCE).await?;
        remove(&file)?;
        Ok(self.waits(&begun))
    }

    async fn reference_singly(&self, round: usize) -> Result<Vec<f64>> {
        let file = self.file("reference-singly", round);
        let sample = String::from_utf8(self.sample()?.into())?;
        let number = |index: usize| format!("{}{index:08}", work::RUN);
        let known = (0..SINGLES).map(number).find(|name| sample.contains(name));
        let known = known.ok_or("the sample is of no event")?;
        let (client, url) = (bare::client()?, self.sink.webhook());
        let pipeline = Pipeline::start(&file, &client, &url, 64)?;
        self.sink.expect(SINGLES);
        let mut begun = Vec::new();
        let events = texts(SINGLES, self.workflows)?.into_iter().enumerate();
        for ((index, text), at) in events.zip(paced()) {
            let body = sample.replace(&known, &number(index));
            sleep_until(at.into()).await;
            begun.push(Instant::now());
            pipeline.accept(index, text, body.into()).await?;
        }
        pipeline.finish().await?;
        self.sink.verify(SINGLES)?;
        remove(&file)?;
        Ok(self.waits(&begun))
    }

    fn waits(&self, begun: &[Instant]) -> Vec<f64> {
        let arrivals = self.sink.arrivals();
        let waited = |(begun, arrived): (&Instant, Option<Instant>)| {
            Some((arrived? - *begun).as_secs_f64() * 1e3)
        };
        begun.iter().zip(arrivals).filter_map(waited).collect()
    }

    fn sample(&self) -> Result<Bytes> {
        let sample = self.sink.sample();
        Ok(sample.ok_or("no post of ours has arrived")?.into())
    }
}

/// A stopwatch for time and processor time.
struct Watch<'a> {
    sink: &'a Sink,
    begun: Instant,
    processor: Duration,
    sink_processor: Duration,
}

impl<'a> Watch<'a> {
    async fn start(sink: &'a Sink) -> Result<Self> {
        Ok(Self {
            sink,
            sink_processor: sink.processor().await?,
            processor: cost::processor()?,
            begun: Instant::now(),
        })
    }

    async fn stop(self, events: usize) -> Result<Took> {
        let wall = self.begun.elapsed();
        let processor = cost::processor()?.saturating_sub(self.processor);
        let sink = self
            .sink
            .processor()
            .await?
            .saturating_sub(self.sink_processor);
        Ok(Took {
            wall,
            processor: processor.saturating_sub(sink),
            events,
        })
    }
}

/// Gives the instants of the single events.
fn paced() -> impl Iterator<Item = Instant> {
    let begun = Instant::now();
    (1..).map(move |index| begun + PACE * index)
}

/// Gives the events' wire forms.
fn texts(count: usize, workflows: usize) -> Result<Vec<String>> {
    let text = |event: &WorkflowEnded| serde_json::to_string(&event.to_wire());
    let events = work::events(0..count, workflows)?;
    Ok(events.iter().map(text).collect::<Result<_, _>>()?)
}

/// Removes a ledger with its log.
fn remove(file: &Path) -> Result<()> {
    for ending in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        match std::fs::remove_file(&name) {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(err.into()),
            _ => {}
        }
    }
    Ok(())
}

fn compared(
    goal: &'static str,
    at: &str,
    other: &'static str,
    ours: &[Took],
    theirs: &[Took],
    bound: Bound,
) -> Vec<Row> {
    vec![Row {
        goal,
        at: at.to_owned(),
        unit: Unit::PerSecond,
        ours: ours.iter().map(Took::rate).collect(),
        other,
        theirs: theirs.iter().map(Took::rate).collect(),
        bound,
    }]
}

fn processor(
    goal: &'static str,
    at: &str,
    other: &'static str,
    ours: &[Took],
    theirs: &[Took],
    bound: Bound,
) -> Row {
    Row {
        goal,
        at: at.to_owned(),
        unit: Unit::Micros,
        ours: ours.iter().map(Took::micros_each).collect(),
        other,
        theirs: theirs.iter().map(Took::micros_each).collect(),
        bound,
    }
}

fn print(found: Vec<Row>, rows: &mut Vec<Row>) {
    for row in &found {
        row.print();
    }
    rows.extend(found);
}
