//! The wall clock of a simulated world: tokio's paused time, and jumps.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use notify_core::{Clock, Timestamp};
use tokio::time::Instant;

/// Noon of a day in November 2026.
const NOON: i64 = 1_795_176_000_000_000;

/// The clock that engines read. Belongs to the thread that simulates.
#[derive(Debug)]
pub(crate) struct SimClock {
    begun: Instant,
    offset: AtomicI64,
}

impl SimClock {
    /// Begins at noon; called within the runtime whose time is paused.
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            offset: AtomicI64::new(NOON),
        }
    }

    /// Returns how much time has passed, whatever the wall clock says.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Sets the wall clock forwards or back.
    pub(crate) fn jump(&self, micros: i64) {
        self.offset.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.elapsed().as_micros()).expect("a run is short");
        Timestamp::from_micros(self.offset.load(Ordering::SeqCst) + passed)
    }
}

/// The clock that stores read, on whatever thread they work: it is set before each call.
#[derive(Debug)]
pub(crate) struct StoreClock(AtomicI64);

impl Default for StoreClock {
    fn default() -> Self {
        Self(AtomicI64::new(NOON))
    }
}

impl StoreClock {
    pub(crate) fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for StoreClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}
