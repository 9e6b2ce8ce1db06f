//! The simulator: real engines in a world that a seed decides.
//!
//! One run is a function of its seed: workflows, accounts, vendors with their moods, crashes at any
//! call of the outbox or of a vendor, two engines on one ledger, clocks that jump, reloads, outages.
//! Virtual time passes only where nothing is left to do. Every call is watched, and held against
//! these laws:
//!
//! 1. What was accepted is on record, and everything planned of it is settled in the end.
//! 2. A vendor gets a delivery again only after an attempt that nobody knows the outcome of; one that
//!    is to be held then, never.
//! 3. What is delivered or rejected is never sent again, unless somebody replays it.
//! 4. In a conversation, nothing opens after the close of a later end, and nothing closes that was
//!    not opened.
//! 5. What could go goes at the first claim that has room for its account, whatever other lanes do;
//!    a living engine claims at least every five seconds.
//! 6. No wait that a vendor asked for is cut short, no rate is exceeded, and a throttled attempt does
//!    not count.
//! 7. No more is in flight than was set, and no delivery twice at once.
//! 8. Whatever is not delivered has a reason; counts are the lists' counts; each event is planned once,
//!    from the past as it was.
//! 9. No engine panics, no pump stands still, and every call returns.

mod clock;
mod command;
mod exam;
mod ledgers;
mod model;
mod rng;
mod run;
mod scene;
#[cfg(test)]
mod tests;
mod trace;
mod vendor;
mod watched;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use notify_core::Clock;

pub use self::command::{Asked, command};
pub use self::ledgers::{Ledgers, Open};
use self::run::Run;
use self::scene::Scene;
use self::vendor::enter;
use self::world::World;

/// How many steps are shown of a run that broke a law.
const SHOWN: usize = 60;

/// What came of one run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What was broken; empty where nothing was.
    pub violations: Vec<String>,
    /// What happened last, one line for each step.
    pub last: String,
    /// One number for everything that happened: the same in each run of the seed.
    pub hash: u64,
    /// How many things happened.
    pub steps: usize,
    /// How many deliveries the vendors took.
    pub taken: u64,
}

/// Runs one seed to its end, on this thread.
pub fn simulate(seed: u64, ledgers: &Ledgers) -> Report {
    simulate_shown(seed, ledgers, SHOWN)
}

fn simulate_shown(seed: u64, ledgers: &Ledgers, shown: usize) -> Report {
    let panics = command::watch_panics();
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O can be built");
        runtime.block_on(run(seed, ledgers, shown))
    };
    let ran = catch_unwind(AssertUnwindSafe(work));
    let mut report = ran.unwrap_or_else(|_| Report {
        seed,
        violations: vec!["the simulator itself panicked".to_owned()],
        ..Report::default()
    });
    report.violations.extend(panics.into_found());
    report
}

async fn run(seed: u64, ledgers: &Ledgers, shown: usize) -> Report {
    let scene = Scene::of(seed);
    let world = Arc::new(World::new(&scene));
    let open = ledgers.make(Arc::clone(&world.store_clock) as Arc<dyn Clock>);
    let mut run = Run::new(scene, Arc::clone(&world), open);
    run.finish().await;
    enter(None);
    let state = world.state();
    Report {
        seed,
        violations: state.model.violations.clone(),
        last: if state.model.violations.is_empty() && shown == SHOWN {
            String::new()
        } else {
            state.trace.shown(shown)
        },
        hash: state.trace.hash(),
        steps: state.trace.steps(),
        taken: state.takes,
    }
}
