//! What nobody needs any more.

use crate::memory::ledger::Ledger;
use crate::memory::rows::Seq;
use crate::outbox::OutboxError;

/// How many settled events are kept to be looked at.
const KEPT: usize = 10_000;

impl Ledger {
    /// Forgets the events that were settled first, with their deliveries.
    pub(super) fn forget_surplus(&mut self) -> Result<(), OutboxError> {
        while self.settled.len() > KEPT {
            let Some((_, seq)) = self.settled.pop_first() else {
                break;
            };
            self.forget(seq)?;
        }
        Ok(())
    }

    fn forget(&mut self, seq: Seq) -> Result<(), OutboxError> {
        let event = self.events.remove(seq)?;
        self.event_ids.remove(&event.stored.id);
        if let Some(others) = self.events_in.get_mut(&event.state) {
            others.remove(&seq);
        }
        if let Some(ends) = self.ends.get_mut(&event.execution) {
            ends.first = ends.first.filter(|first| *first != seq);
            ends.conflicts.retain(|conflict| *conflict != seq);
            if ends.first.is_none() && ends.conflicts.is_empty() {
                self.ends.remove(&event.execution);
            }
        }
        for delivery in event.deliveries {
            let delivery = self.deliveries.remove(delivery)?;
            self.delivery_ids.remove(&delivery.id);
        }
        Ok(())
    }
}
