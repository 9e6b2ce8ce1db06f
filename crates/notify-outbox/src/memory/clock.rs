//! A clock that is set back.

use std::sync::Arc;
use std::time::Duration;

use notify_core::Timestamp;

use crate::memory::ledger::Ledger;
use crate::memory::rows::Seq;
use crate::outbox::OutboxError;

/// A clock that is back by no more than this was not set: it jitters.
const JITTER: Duration = Duration::from_secs(1);

impl Ledger {
    /// Takes note of the instant, and takes every wait back with a clock that was set back.
    pub(super) fn see(&mut self, now: Timestamp) -> Result<(), OutboxError> {
        let back = self.seen.since(now);
        if back <= JITTER {
            self.seen = self.seen.max(now);
            return Ok(());
        }
        let moved = |at: Timestamp| if at > now { at.before(back) } else { at };
        let deliveries: Vec<Seq> = self.deliveries.iter().map(|(seq, _)| seq).collect();
        for seq in deliveries {
            self.change(seq, |row| {
                row.not_before = moved(row.not_before);
                row.lease_until = moved(row.lease_until);
                row.created_at = row.created_at.min(now);
            })?;
        }
        let lanes: Vec<Seq> = self.lanes.iter().map(|(seq, _)| seq).collect();
        for seq in lanes {
            self.change_lane(seq, |lane| {
                lane.gate_at = moved(lane.gate_at);
                lane.next_at = moved(lane.next_at);
            })?;
        }
        for (_, account) in self.accounts.iter_mut() {
            account.gate_at = moved(account.gate_at);
        }
        for (_, event) in self.events.iter_mut() {
            if event.stored.accepted_at > now {
                Arc::make_mut(&mut event.stored).accepted_at = now;
            }
        }
        self.seen = now;
        self.refresh_lanes()
    }
}
