//! A clock that stands still until somebody moves it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use notify_core::{Clock, Timestamp};

/// A clock moved by hand, forwards and backwards.
///
/// ```
/// use std::time::Duration;
///
/// use notify_core::Clock;
/// use notify_testkit::HandClock;
///
/// let clock = HandClock::default();
/// let noon = clock.now();
/// clock.forward(Duration::from_mins(2));
/// clock.back(Duration::from_mins(1));
/// assert_eq!(clock.now(), noon.after(Duration::from_mins(1)));
/// ```
#[derive(Debug)]
pub struct HandClock(AtomicI64);

impl HandClock {
    /// Stops the clock at an instant.
    pub fn at(instant: Timestamp) -> Self {
        Self(AtomicI64::new(instant.as_micros()))
    }

    /// Moves the clock forwards.
    pub fn forward(&self, by: Duration) {
        self.set(self.now().after(by));
    }

    /// Sets the clock back.
    pub fn back(&self, by: Duration) {
        self.set(self.now().before(by));
    }

    /// Sets the clock.
    pub fn set(&self, instant: Timestamp) {
        self.0.store(instant.as_micros(), Ordering::SeqCst);
    }
}

/// Noon of a day in November 2026.
impl Default for HandClock {
    fn default() -> Self {
        Self::at(Timestamp::from_micros(1_795_176_000_000_000))
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}
