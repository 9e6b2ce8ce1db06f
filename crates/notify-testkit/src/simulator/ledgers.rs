//! Where the ledgers of a simulation come from.

use std::fmt;
use std::sync::Arc;

use notify_core::Clock;
use notify_outbox::{MemoryOutbox, Outbox};

/// Opens one more handle of a ledger.
pub type Open = Box<dyn FnMut() -> Arc<dyn Outbox>>;

/// Makes an empty ledger that goes by this clock.
type Make = Arc<dyn Fn(Arc<dyn Clock>) -> Open + Send + Sync>;

/// A kind of ledger to simulate on.
#[derive(Clone)]
pub struct Ledgers {
    name: &'static str,
    make: Make,
}

impl fmt::Debug for Ledgers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Ledgers {
    /// Names a kind of ledger. What is given makes an empty one for each run; each engine of the
    /// run opens a handle of its own.
    ///
    /// The clock can be read on any thread, and stands still during a call.
    pub fn new(
        name: &'static str,
        make: impl Fn(Arc<dyn Clock>) -> Open + Send + Sync + 'static,
    ) -> Self {
        let make = Arc::new(make);
        Self { name, make }
    }

    /// Simulates on ledgers in memory.
    pub fn memory() -> Self {
        Self::new("memory", |clock| {
            let ledger = MemoryOutbox::new(clock);
            Box::new(move || Arc::new(ledger.clone()))
        })
    }

    /// Returns the name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn make(&self, clock: Arc<dyn Clock>) -> Open {
        (self.make)(clock)
    }
}
