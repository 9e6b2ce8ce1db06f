//! Lanes: when each one has something to claim.
//!
//! **Invariant.** Between calls, an account's `due` holds the instant from which a claim finds
//! something in a lane, and nothing for a lane in which it would find nothing; so a claim costs the
//! same however much waits elsewhere.

use std::collections::BTreeSet;

use notify_core::Timestamp;

use crate::memory::ledger::Ledger;
use crate::memory::rows::{Lane, Seq, open};
use crate::outbox::OutboxError;
use crate::settle;

impl Lane {
    fn new(account: Seq, gate_at: Timestamp) -> Self {
        Self {
            account,
            gate_at,
            next_at: open(),
            silent: 0,
            paused: None,
            leased: 0,
            single: BTreeSet::new(),
            fixed: BTreeSet::new(),
            blocked: BTreeSet::new(),
            held: BTreeSet::new(),
            due_at: None,
            touched: false,
        }
    }

    /// Returns what goes first, and from when.
    pub(super) fn head(&self) -> Option<(Timestamp, Seq)> {
        match (self.single.first(), self.fixed.first()) {
            (Some(single), Some(fixed)) => Some(*single.min(fixed)),
            (single, fixed) => single.or(fixed).copied(),
        }
    }

    /// Returns how many more deliveries may be leased, where a lane may have this many.
    pub(super) fn free(&self, most_per_lane: usize) -> usize {
        let quiet = self.silent >= settle::SILENT_ATTEMPTS;
        let most = if quiet {
            most_per_lane.min(1)
        } else {
            most_per_lane
        };
        most.saturating_sub(self.leased)
    }

    /// Works out from when a claim finds something.
    fn due(&self, most_per_lane: usize) -> Option<Timestamp> {
        let (not_before, _) = self.head().filter(|_| self.free(most_per_lane) > 0)?;
        Some(not_before.max(self.gate_at).max(self.next_at))
    }

    /// Lets the lane work again at once, with one delivery until that is answered.
    pub(super) fn reopen(&mut self) {
        self.gate_at = open();
        self.silent = settle::SILENT_ATTEMPTS;
    }
}

impl Ledger {
    /// Finds or makes a lane.
    pub(super) fn lane(&mut self, account: Seq, name: &str) -> Result<Seq, OutboxError> {
        let row = self.accounts.get_mut(account)?;
        if let Some(known) = row.lanes.get(name) {
            return Ok(*known);
        }
        let seq = self.lanes.insert(Lane::new(account, row.gate_at));
        row.lanes.insert(name.to_owned(), seq);
        Ok(seq)
    }

    /// Lists the lanes of an account.
    pub(super) fn lanes_of(&self, account: Seq) -> Result<Vec<Seq>, OutboxError> {
        Ok(self
            .accounts
            .get(account)?
            .lanes
            .values()
            .copied()
            .collect())
    }

    /// Changes what a lane's deliveries wait for.
    pub(super) fn change_lane(
        &mut self,
        seq: Seq,
        edit: impl FnOnce(&mut Lane),
    ) -> Result<(), OutboxError> {
        let lane = self.lanes.get_mut(seq)?;
        edit(lane);
        if !lane.touched {
            lane.touched = true;
            self.touched.push(seq);
        }
        Ok(())
    }

    /// Shuts a lane until an instant.
    pub(super) fn shut(&mut self, lane: Seq, until: Timestamp) -> Result<(), OutboxError> {
        self.change_lane(lane, |lane| lane.gate_at = lane.gate_at.max(until))
    }

    /// Takes note of how many deliveries of a lane may be leased at once.
    pub(super) fn limit_lanes(&mut self, most_per_lane: usize) {
        if self.most_per_lane == most_per_lane {
            return;
        }
        self.most_per_lane = most_per_lane;
        self.touched.clear();
        for (seq, lane) in self.lanes.iter_mut() {
            lane.touched = true;
            self.touched.push(seq);
        }
    }

    /// Works out anew when the lanes are due that changed.
    pub(super) fn refresh_lanes(&mut self) -> Result<(), OutboxError> {
        for seq in self.touched.drain(..) {
            let lane = self.lanes.get_mut(seq)?;
            lane.touched = false;
            let due = lane.due(self.most_per_lane);
            if due == lane.due_at {
                continue;
            }
            let account = self.accounts.get_mut(lane.account)?;
            if let Some(before) = lane.due_at {
                account.due.remove(&(before, seq));
            }
            if let Some(due) = due {
                account.due.insert((due, seq));
            }
            lane.due_at = due;
        }
        Ok(())
    }
}
