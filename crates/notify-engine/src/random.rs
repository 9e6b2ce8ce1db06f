//! Random numbers, injected like the clock, so that a run can be repeated.

use std::fmt::Debug;

/// Gives random bytes.
pub trait Random: Debug + Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// The machine's own source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buffer: &mut [u8]) {
        // Only identity and jitter come from here. Without a source, zeros still give ids that
        // differ by time and waits that are merely not spread.
        getrandom::fill(buffer).ok();
    }
}

/// Gives a number between 0 and 1.
pub(crate) fn fraction(random: &dyn Random) -> f64 {
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}
