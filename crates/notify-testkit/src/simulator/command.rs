//! Many seeds, on all processors, with a report that says how to repeat what went wrong.

use std::cell::RefCell;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{self, LocalKey};

use super::{Ledgers, Report, SHOWN, simulate_shown};

/// Which seeds are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The first.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// How many steps are shown of a run that breaks a law.
    pub steps: usize,
}

impl Asked {
    /// How a program that takes this is called.
    pub const USAGE: &str = "usage: simulate [--seeds N] [--first SEED] [--seed SEED] [--steps N] [--outbox memory|sqlite|both]";

    /// Reads arguments; gives the seeds and the name of the outbox.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn read(arguments: &[String]) -> Result<(Self, String), String> {
        let mut asked = Self {
            first: 1,
            seeds: 200,
            steps: SHOWN,
        };
        let mut outbox = "memory".to_owned();
        for pair in arguments.chunks(2) {
            let [name, value] = pair else {
                return Err(Self::USAGE.to_owned());
            };
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|_| format!("`{value}` is no number"))
            };
            match name.as_str() {
                "--seeds" => asked.seeds = number()?,
                "--first" => asked.first = number()?,
                "--seed" => {
                    asked.first = number()?;
                    asked.seeds = 1;
                }
                "--steps" => asked.steps = usize::try_from(number()?).unwrap_or(usize::MAX),
                "--outbox" => outbox.clone_from(value),
                _ => return Err(Self::USAGE.to_owned()),
            }
        }
        Ok((asked, outbox))
    }
}

/// How many seeds are run twice, to see that they do the same: one of so many.
const TWICE: u64 = 16;

/// Runs seeds on all processors and writes what is broken; gives how many runs broke something.
///
/// # Errors
///
/// When nothing can be written.
pub fn command(asked: Asked, ledgers: &Ledgers, out: &mut impl Write) -> io::Result<u64> {
    let next = AtomicU64::new(0);
    let broken = Mutex::new(Vec::new());
    let taken = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= asked.seeds {
                break;
            }
            let report = checked(asked.first.wrapping_add(index), ledgers, asked.steps);
            taken.fetch_add(report.taken, Ordering::Relaxed);
            if !report.violations.is_empty() {
                let mut broken = broken.lock().unwrap_or_else(PoisonError::into_inner);
                broken.push(report);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    broken.sort_by_key(|report| report.seed);
    for report in &broken {
        write_report(report, ledgers.name(), out)?;
    }
    let (name, taken) = (ledgers.name(), taken.into_inner());
    writeln!(out, "outbox {name}: the vendors took {taken} deliveries")?;
    writeln!(out, "seeds {} violations {}", asked.seeds, broken.len())?;
    Ok(u64::try_from(broken.len()).unwrap_or(u64::MAX))
}

/// Runs a seed, and now and then once more.
fn checked(seed: u64, ledgers: &Ledgers, shown: usize) -> Report {
    let mut report = simulate_shown(seed, ledgers, shown);
    if seed.is_multiple_of(TWICE) && report.violations.is_empty() {
        let again = simulate_shown(seed, ledgers, shown);
        if again.hash != report.hash {
            let what = format!("{} steps, then {} others", report.steps, again.steps);
            report
                .violations
                .push(format!("it does not repeat: {what}"));
        }
    }
    report
}

fn write_report(report: &Report, outbox: &str, out: &mut impl Write) -> io::Result<()> {
    let seed = report.seed;
    for violation in &report.violations {
        writeln!(out, "seed {seed} violation: {violation}")?;
    }
    write!(out, "{}", report.last)?;
    writeln!(
        out,
        "  again: cargo xtask simulate --seed {seed} --outbox {outbox}\n"
    )
}

thread_local! {
    /// What panicked on this thread while it simulates; `None` while it does not.
    static PANICS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Notices panics of this thread.
pub(crate) struct Panics(&'static LocalKey<RefCell<Option<Vec<String>>>>);

/// Begins to notice panics. A provider's own are raised without the hook, and are none.
pub(crate) fn watch_panics() -> Panics {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = PANICS.with(|panics| {
                let mut panics = panics.borrow_mut();
                panics
                    .as_mut()
                    .map(|panics| panics.push(format!("law 9: {info}")))
            });
            if ours.is_none() {
                others(info);
            }
        }));
    });
    PANICS.with(|panics| *panics.borrow_mut() = Some(Vec::new()));
    Panics(&PANICS)
}

impl Panics {
    /// Stops, and gives what panicked.
    pub(crate) fn into_found(self) -> Vec<String> {
        self.0
            .with(|panics| panics.borrow_mut().take())
            .unwrap_or_default()
    }
}
