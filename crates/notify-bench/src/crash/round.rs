//! One round: events in, processes killed, everything delivered in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::Result;
use crate::args::Way;
use crate::crash::feeder::{Feeder, Word};
use crate::crash::ledger;
use crate::crash::process::Process;
use crate::crash::world::{World, recipient};
use crate::random::Seeded;

/// How long a round may feed, and how long it may recover.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long a kill that is to interrupt something waits for it.
const AIM: Duration = Duration::from_millis(500);

/// What to do, and with what seed.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) seed: u64,
    pub(crate) way: Way,
    pub(crate) events: usize,
    pub(crate) binary: PathBuf,
    pub(crate) keep: Option<PathBuf>,
}

/// What a round came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Came {
    round: u64,
    seed: u64,
    way: &'static str,
    acknowledged: usize,
    kills: u64,
    lost: usize,
    doubled: u64,
    unexplained: u64,
    in_flight: usize,
    recovery: Duration,
    odd: Vec<String>,
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "round {} seed {} {:<5}  acknowledged {} kills {} lost {} doubled {} in flight {} recovery {:.1} s",
            self.round,
            self.seed,
            self.way,
            self.acknowledged,
            self.kills,
            self.lost,
            self.doubled,
            self.in_flight,
            self.recovery.as_secs_f64(),
        )?;
        if self.unexplained > 0 {
            write!(
                f,
                "\n  {} copies that no interrupted attempt explains",
                self.unexplained
            )?;
        }
        self.odd.iter().try_for_each(|odd| write!(f, "\n  {odd}"))
    }
}

/// What all rounds came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) lost: usize,
    pub(crate) doubled: u64,
    pub(crate) unexplained: u64,
    pub(crate) in_flight: usize,
    pub(crate) broken: usize,
}

impl Told {
    pub(crate) fn add(&mut self, came: &Came) {
        self.merge(&Self {
            lost: came.lost,
            doubled: came.doubled,
            unexplained: came.unexplained,
            in_flight: came.in_flight,
            broken: usize::from(!came.odd.is_empty()),
        });
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.unexplained += other.unexplained;
        self.in_flight += other.in_flight;
        self.broken += other.broken;
    }
}

/// Whom a kill hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Feeder,
    Deliverer,
    Both,
}

/// What is under way.
struct Run<'a> {
    round: &'a Round,
    world: &'a World,
    random: Seeded,
    acknowledged: BTreeSet<usize>,
    /// The recipients of what was in flight at a kill.
    in_flight: BTreeSet<String>,
    kills: u64,
    planned: u64,
    odd: Vec<String>,
}

impl Round {
    pub(crate) fn run(&self, runtime: &Handle) -> Result<Came> {
        let world = World::new(&self.binary, self.keep.as_deref(), runtime)?;
        let mut random = Seeded::new(self.seed);
        let mut run = Run {
            round: self,
            world: &world,
            planned: random.between(5, 9),
            random,
            acknowledged: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            kills: 0,
            odd: Vec::new(),
        };
        let recovery = run.feed().and_then(|()| run.recover());
        let came = match recovery {
            Ok(recovery) => Ok(run.came(recovery)?),
            Err(err) => Err(format!("{err}\n{}", world.said()).into()),
        };
        world.end(runtime);
        came
    }
}

impl Run<'_> {
    /// Feeds until everything is acknowledged, and kills meanwhile.
    fn feed(&mut self) -> Result<()> {
        let begun = Instant::now();
        let mut deliverer = self.deliverer()?;
        let mut feeder = self.feeder()?;
        // The first one often soon: while the ledger is made, or at the very first accepts.
        let first = self.soon(200);
        let mut next = Instant::now()
            + if self.random.percent(60) {
                first
            } else {
                self.pause()
            };
        while self.acknowledged.len() < self.round.events {
            if begun.elapsed() > PATIENCE {
                let left = self.round.events - self.acknowledged.len();
                return Err(format!("{left} events are still not acknowledged").into());
            }
            let mut wait = Duration::from_millis(20);
            if self.kills_left() > 0 {
                wait = wait.min(next.saturating_duration_since(Instant::now()));
                if wait.is_zero() {
                    self.kill(&mut deliverer, &mut feeder)?;
                    next = Instant::now() + self.pause();
                    continue;
                }
            }
            if let Some(word) = feeder.word(wait) {
                self.hear(word);
                continue;
            }
            if let Some(status) = feeder.process.ended()? {
                if !status.success() {
                    return Err(format!("the feeder ended by itself: {status}").into());
                }
                self.hear_all(&feeder);
                feeder = self.feeder()?;
            }
            if let Some(status) = deliverer.ended()? {
                return Err(format!("`notify deliver` ended by itself: {status}").into());
            }
        }
        // Both are in the middle of delivering.
        std::thread::sleep(self.soon(100));
        feeder.process.kill()?;
        deliverer.kill()?;
        self.hear_all(&feeder);
        self.kills += 1;
        self.note()
    }

    /// Kills somebody and starts him again; half of the time when something is in flight.
    fn kill(&mut self, deliverer: &mut Process, feeder: &mut Feeder) -> Result<()> {
        if self.random.percent(50) {
            self.aim()?;
        }
        let victim = match (self.random.between(0, 5), self.round.way) {
            (0, _) | (1, Way::Emit) => Victim::Feeder,
            (1..=3, _) => Victim::Deliverer,
            _ => Victim::Both,
        };
        if victim != Victim::Deliverer {
            feeder.process.kill()?;
        }
        if victim != Victim::Feeder {
            deliverer.kill()?;
        }
        self.kills += 1;
        // Who feeds through the inbox delivers nothing.
        if victim != Victim::Feeder || self.round.way == Way::Emit {
            self.note()?;
        }
        std::thread::sleep(self.soon(50));
        if victim != Victim::Feeder {
            *deliverer = self.deliverer()?;
        }
        if victim != Victim::Deliverer {
            self.hear_all(feeder);
            *feeder = self.feeder()?;
        }
        Ok(())
    }

    /// Waits for something in flight that was not at the last kill, and a moment more.
    fn aim(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < AIM {
            let leased = ledger::leased(&self.world.ledger())?;
            if !leased.is_subset(&self.in_flight) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(self.soon(30));
        Ok(())
    }

    /// Delivers what is left, with a kill or two in between; gives how long the last start took.
    fn recover(&mut self) -> Result<Duration> {
        let more = self.kills_left().max(self.random.between(0, 2));
        for _ in 0..more {
            let mut deliverer = self.until_empty()?;
            if deliverer.wait(self.soon(400))?.is_none() {
                deliverer.kill()?;
                self.kills += 1;
                self.note()?;
            }
        }
        let begun = Instant::now();
        match self.until_empty()?.wait(PATIENCE)? {
            Some(status) if status.success() => Ok(begun.elapsed()),
            Some(status) => Err(format!("`notify deliver --until-empty` ended: {status}").into()),
            None => Err("`notify deliver --until-empty` does not come to an end".into()),
        }
    }

    /// Compares what arrived with what was acknowledged.
    fn came(mut self, recovery: Duration) -> Result<Came> {
        let mut arrived: BTreeMap<String, u64> = BTreeMap::new();
        let messages = self.world.messages();
        for message in &messages {
            *arrived.entry(message.to.clone()).or_default() += 1 + u64::from(message.repeats);
        }
        let all = self.world.arrived();
        if all > messages.len() as u64 {
            self.odd
                .push(format!("{all} messages arrived, not counting copies"));
        }
        let times = |number: &usize| arrived.get(&recipient(*number)).copied().unwrap_or(0);
        let lost = self
            .acknowledged
            .iter()
            .filter(|number| times(number) == 0)
            .count();
        let interrupted = ledger::lost_leases(&self.world.ledger())?;
        let (mut doubled, mut unexplained) = (0, 0);
        for (to, times) in arrived.iter().filter(|(_, times)| **times > 1) {
            // Each copy repeats an attempt that a kill interrupted.
            let allowed = interrupted.get(to).filter(|_| self.in_flight.contains(to));
            let copies = times - 1;
            doubled += copies;
            unexplained += copies.saturating_sub(allowed.copied().unwrap_or(0).into());
        }
        self.odd
            .extend(ledger::wrong(&self.world.ledger(), self.round.events)?);
        Ok(Came {
            round: self.round.number,
            seed: self.round.seed,
            way: match self.round.way {
                Way::Emit => "emit",
                Way::Inbox => "inbox",
            },
            acknowledged: self.acknowledged.len(),
            kills: self.kills,
            lost,
            doubled,
            unexplained,
            in_flight: self.in_flight.len(),
            recovery,
            odd: self.odd,
        })
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Acknowledged(number) => drop(self.acknowledged.insert(number)),
            Word::Odd(line) => self.odd.push(format!("the feeder said `{line}`")),
        }
    }

    fn hear_all(&mut self, feeder: &Feeder) {
        feeder.last_words().for_each(|word| self.hear(word));
    }

    /// Notes what a kill interrupted.
    fn note(&mut self) -> Result<()> {
        self.in_flight.extend(ledger::leased(&self.world.ledger())?);
        Ok(())
    }

    fn deliverer(&self) -> Result<Process> {
        Process::start(&mut self.world.notify(&["deliver", "--config", "notify.toml"])?)
    }

    fn until_empty(&self) -> Result<Process> {
        let arguments = ["deliver", "--until-empty", "--config", "notify.toml"];
        Process::start(&mut self.world.notify(&arguments)?)
    }

    /// Feeds what is not acknowledged, from the first.
    fn feeder(&mut self) -> Result<Feeder> {
        let open = (0..self.round.events).filter(|number| !self.acknowledged.contains(number));
        let seed = self.random.between(0, u64::MAX - 1);
        let (way, open) = (self.round.way, open.collect());
        Feeder::start(self.world, way, self.round.seed, open, Seeded::new(seed))
    }

    /// Sometimes hardly waits at all, so that the next kill hits recovery itself, and sometimes until
    /// the leases have expired and the lanes flow again.
    fn pause(&mut self) -> Duration {
        let millis = match self.random.between(1, 10) {
            1..=3 => self.random.between(0, 80),
            4..=7 => self.random.between(80, 800),
            _ => self.random.between(800, 4_000),
        };
        Duration::from_millis(millis)
    }

    fn kills_left(&self) -> u64 {
        self.planned.saturating_sub(self.kills)
    }

    fn soon(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.random.between(0, most))
    }
}
