//! What people decide: accounts resumed, deliveries replayed and given up.

use std::collections::BTreeSet;

use notify_core::{AccountId, DeliveryId, Timestamp};

use crate::memory::ledger::{Ledger, count};
use crate::memory::rows::{Delivery, Lane, Seq, open};
use crate::outbox::OutboxError;
use crate::record::DeliveryState;
use crate::settle::Release;

impl Ledger {
    /// Lets accounts work again and gives how many deliveries that set free.
    pub(super) fn resume(
        &mut self,
        now: Timestamp,
        accounts: &[AccountId],
    ) -> Result<u64, OutboxError> {
        let held = self.held;
        for account in accounts {
            if let Some(&account) = self.account_ids.get(account) {
                self.resume_account(now, account)?;
            }
        }
        Ok(count(held.saturating_sub(self.held)))
    }

    fn resume_account(&mut self, now: Timestamp, account: Seq) -> Result<(), OutboxError> {
        let row = self.accounts.get_mut(account)?;
        // Whoever asked a healthy account to rest is still obeyed.
        if row.paused.take().is_some() {
            row.gate_at = open();
        }
        for seq in self.lanes_of(account)? {
            self.lanes.get_mut(seq)?.paused = None;
            let held: Vec<Seq> = self
                .lanes
                .get(seq)?
                .held
                .iter()
                .map(|(_, seq)| *seq)
                .collect();
            let mut freed = false;
            for delivery in held {
                if self.deliveries.get(delivery)?.release == Some(Release::Account) {
                    freed = true;
                    self.change(delivery, |row| {
                        row.state = DeliveryState::Pending;
                        row.release = None;
                        row.not_before = now;
                    })?;
                }
            }
            if freed {
                self.change_lane(seq, Lane::reopen)?;
            }
        }
        Ok(())
    }

    /// Makes deliveries due now, as if they were new.
    pub(super) fn replay(
        &mut self,
        now: Timestamp,
        deliveries: Vec<DeliveryId>,
    ) -> Result<Vec<DeliveryId>, OutboxError> {
        let again = |state| {
            matches!(
                state,
                DeliveryState::Pending
                    | DeliveryState::Held
                    | DeliveryState::Rejected
                    | DeliveryState::Expired
            )
        };
        self.amend(deliveries, again, |row| {
            row.state = DeliveryState::Pending;
            row.release = None;
            row.not_before = now;
            row.attempts = 0;
            row.created_at = now;
        })
    }

    /// Gives deliveries up that wait or are held.
    pub(super) fn give_up(
        &mut self,
        deliveries: Vec<DeliveryId>,
        reason: &str,
    ) -> Result<Vec<DeliveryId>, OutboxError> {
        let waits = |state| matches!(state, DeliveryState::Pending | DeliveryState::Held);
        self.amend(deliveries, waits, |row| {
            row.state = DeliveryState::Skipped;
            row.release = None;
            row.reason = Some(reason.to_owned());
        })
    }

    /// Changes each delivery that is in the right state, by itself, and gives those.
    fn amend(
        &mut self,
        deliveries: Vec<DeliveryId>,
        is_right: impl Fn(DeliveryState) -> bool,
        edit: impl Fn(&mut Delivery),
    ) -> Result<Vec<DeliveryId>, OutboxError> {
        let mut amended = Vec::with_capacity(deliveries.len());
        let mut once = BTreeSet::new();
        let mut conversations = BTreeSet::new();
        for id in deliveries {
            let Some(&seq) = self.delivery_ids.get(&id) else {
                continue;
            };
            let row = self.deliveries.get(seq)?;
            // What a summary on the wire may be telling of right now is not told again.
            let on_the_wire = row
                .summary
                .and_then(|leader| self.deliveries.get(leader).ok())
                .is_some_and(|leader| leader.state == DeliveryState::Leased);
            if is_right(row.state) && !on_the_wire && once.insert(seq) {
                conversations.extend(row.conversation);
                self.dissolve(seq)?;
                self.change(seq, &edit)?;
                amended.push(id);
            }
        }
        // Only now: what was asked for together does not end each other on the way.
        for conversation in conversations {
            self.advance(conversation)?;
        }
        Ok(amended)
    }
}
