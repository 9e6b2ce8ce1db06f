//! What happened, in order: hashed as a whole, remembered at its end.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use notify_core::TerminalPhase;

/// One thing that happened. Deliveries and events have numbers, in the order they became known.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Step {
    Start {
        engine: u32,
        version: usize,
    },
    Kill {
        engine: u32,
    },
    Crash {
        engine: u32,
        at: &'static str,
    },
    Shutdown {
        engine: u32,
        grace: Duration,
    },
    Stopped {
        engine: u32,
    },
    Reload {
        engine: u32,
        version: usize,
    },
    Arm {
        engine: u32,
        at: &'static str,
        calls: u32,
    },
    Jump {
        seconds: i64,
    },
    Warp {
        by: Duration,
    },
    Mood {
        account: usize,
        lane: Option<String>,
        mood: &'static str,
    },
    Outage {
        length: Duration,
    },
    Refused {
        engine: u32,
        call: &'static str,
    },
    Mended,
    Emit {
        index: usize,
        engine: u32,
    },
    Accepted {
        event: u32,
        phase: TerminalPhase,
        what: &'static str,
        back: Duration,
    },
    Aside {
        event: u32,
        state: &'static str,
    },
    Planned {
        event: u32,
        deliveries: usize,
        streak: u32,
    },
    LostRace {
        engine: u32,
    },
    New {
        delivery: u32,
        event: u32,
        lane: String,
        action: &'static str,
        skipped: Option<String>,
    },
    Leased {
        delivery: u32,
        token: i64,
        engine: u32,
        summary: Option<u64>,
    },
    Lost {
        delivery: u32,
    },
    Wire {
        delivery: u32,
        engine: u32,
        act: &'static str,
    },
    Reconcile {
        delivery: u32,
        engine: u32,
    },
    Took {
        delivery: u32,
    },
    Settled {
        delivery: u32,
        token: i64,
        outcome: &'static str,
        next: &'static str,
        after: Duration,
    },
    Stale {
        delivery: u32,
        token: i64,
    },
    Resumed {
        freed: u64,
    },
    Replayed {
        delivery: u32,
    },
    Dropped {
        delivery: u32,
    },
    Call {
        engine: u32,
        what: &'static str,
    },
    Answer {
        engine: u32,
        what: &'static str,
        ok: bool,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: DefaultHasher,
    steps: Vec<(Duration, Step)>,
}

impl Trace {
    pub(crate) fn add(&mut self, at: Duration, step: Step) {
        // Tokio wakes several who wait for one sign in an order of its own.
        if !matches!(step, Step::Answer { .. }) {
            at.hash(&mut self.hash);
            step.hash(&mut self.hash);
        }
        self.steps.push((at, step));
    }

    /// Gives one number for everything that happened.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    pub(crate) fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Shows the last steps.
    pub(crate) fn shown(&self, most: usize) -> String {
        let first = self.steps.len().saturating_sub(most);
        self.steps[first..]
            .iter()
            .fold(String::new(), |mut text, (at, step)| {
                writeln!(text, "  {:>12.3}s  {step:?}", at.as_secs_f64()).expect("a text grows");
                text
            })
    }
}
