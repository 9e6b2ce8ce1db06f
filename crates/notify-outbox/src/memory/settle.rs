//! What came of an attempt.

use notify_core::{Scope, Timestamp};

use crate::memory::ledger::Ledger;
use crate::memory::rows::Seq;
use crate::outbox::OutboxError;
use crate::record::{DeliveryState, Settled};
use crate::settle::{Decision, Next, Pause, Release, Settlement, Wait, quiet};

impl Ledger {
    pub(super) fn settle(
        &mut self,
        now: Timestamp,
        settlement: Settlement,
    ) -> Result<Settled, OutboxError> {
        let Some(&seq) = self.delivery_ids.get(&settlement.delivery) else {
            return Ok(Settled::StaleLease);
        };
        let row = self.deliveries.get(seq)?;
        if row.state != DeliveryState::Leased || row.token != settlement.token {
            return Ok(Settled::StaleLease);
        }
        let (account, lane, conversation) = (row.account, row.lane, row.conversation);
        let (action, order) = (row.action, row.order);
        let decision = settlement.decision;
        self.apply(now, seq, &decision)?;
        if let (Some(conversation), Next::Delivered(receipt)) = (conversation, &decision.next) {
            self.arrived(conversation, action, order, receipt)?;
        } else if decision.unsure {
            self.may_be_open(seq)?;
        }
        self.advance_some(conversation)?;
        self.hear(now, lane, decision.silent)?;
        if let Some(wait) = decision.wait {
            self.wait(now, account, lane, wait)?;
        }
        if let Some(pause) = decision.pause {
            self.pause(account, lane, pause)?;
        }
        Ok(Settled::Done)
    }

    /// Puts a delivery, and what it stands for, where the attempt took it.
    fn apply(&mut self, now: Timestamp, seq: Seq, decision: &Decision) -> Result<(), OutboxError> {
        let (state, not_before, receipt) = match &decision.next {
            Next::Delivered(receipt) => (DeliveryState::Delivered, now, Some(receipt)),
            Next::Pending { after } => (DeliveryState::Pending, now.after(*after), None),
            Next::Rejected => (DeliveryState::Rejected, now, None),
            Next::Expired => (DeliveryState::Expired, now, None),
            Next::Held(_) => (DeliveryState::Held, now, None),
        };
        self.change(seq, |row| {
            row.state = state;
            row.reason.clone_from(&decision.reason);
            row.receipt = receipt.cloned();
            row.not_before = not_before;
            row.attempts = row.attempts.saturating_add(u32::from(decision.counts));
            row.tries = row.tries.saturating_add(1);
            row.unsure |= decision.unsure;
        })?;
        match decision.next {
            Next::Pending { .. } => self.hold_if_paused(seq),
            Next::Held(release) => {
                let reason = decision.reason.as_deref().unwrap_or_default();
                let mut all = self.all_of(seq)?.into_iter();
                all.try_for_each(|one| self.hold(one, release, reason))
            }
            Next::Delivered(_) | Next::Rejected | Next::Expired => self.settle_group(now, seq),
        }
    }

    /// Notes whether a lane's attempt was answered; a lane that stays silent is left alone.
    fn hear(&mut self, now: Timestamp, lane: Seq, silent: bool) -> Result<(), OutboxError> {
        self.change_lane(lane, |lane| {
            lane.silent = if silent {
                lane.silent.saturating_add(1)
            } else {
                0
            };
            if let Some(wait) = quiet(lane.silent) {
                lane.gate_at = lane.gate_at.max(now.after(wait));
            }
        })
    }

    fn wait(
        &mut self,
        now: Timestamp,
        account: Seq,
        lane: Seq,
        wait: Wait,
    ) -> Result<(), OutboxError> {
        let until = now.after(wait.after);
        let lanes = match wait.scope {
            Scope::Lane => vec![lane],
            Scope::Account => {
                let row = self.accounts.get_mut(account)?;
                row.gate_at = row.gate_at.max(until);
                self.lanes_of(account)?
            }
        };
        lanes
            .into_iter()
            .try_for_each(|lane| self.shut(lane, until))
    }

    /// Pauses an account or one of its lanes, and holds everything that waits for it.
    fn pause(&mut self, account: Seq, lane: Seq, pause: Pause) -> Result<(), OutboxError> {
        let Pause { scope, reason } = pause;
        let lanes = match scope {
            Scope::Lane => vec![lane],
            Scope::Account => self.lanes_of(account)?,
        };
        for lane in lanes {
            let lane = self.lanes.get(lane)?;
            let queues = [&lane.single, &lane.fixed, &lane.blocked];
            let pending: Vec<Seq> = queues.into_iter().flatten().map(|(_, seq)| *seq).collect();
            for seq in pending {
                self.hold(seq, Release::Account, &reason)?;
            }
        }
        match scope {
            Scope::Lane => self.lanes.get_mut(lane)?.paused = Some(reason),
            Scope::Account => self.accounts.get_mut(account)?.paused = Some(reason),
        }
        Ok(())
    }

    /// Tells why nothing goes through a lane, where it or its account is paused.
    pub(super) fn paused(&self, account: Seq, lane: Seq) -> Result<Option<String>, OutboxError> {
        let account = self.accounts.get(account)?.paused.as_ref();
        Ok(account.or(self.lanes.get(lane)?.paused.as_ref()).cloned())
    }

    /// Holds a delivery that was on the wire while its account or lane was paused, and what it stands for.
    pub(super) fn hold_if_paused(&mut self, seq: Seq) -> Result<(), OutboxError> {
        let row = self.deliveries.get(seq)?;
        let Some(reason) = self.paused(row.account, row.lane)? else {
            return Ok(());
        };
        let mut all = self.all_of(seq)?.into_iter();
        all.try_for_each(|one| self.hold(one, Release::Account, &reason))
    }

    /// Holds a delivery.
    pub(super) fn hold(
        &mut self,
        seq: Seq,
        release: Release,
        reason: &str,
    ) -> Result<(), OutboxError> {
        self.change(seq, |row| {
            row.state = DeliveryState::Held;
            row.release = Some(release);
            row.reason = Some(reason.to_owned());
        })
    }

    /// Ends a delivery that was not on the wire, with the reason.
    pub(super) fn end(
        &mut self,
        seq: Seq,
        state: DeliveryState,
        reason: &str,
    ) -> Result<(), OutboxError> {
        self.change(seq, |row| {
            row.state = state;
            row.release = None;
            row.reason = Some(reason.to_owned());
        })
    }

    /// Lets the next delivery of a conversation go, where there is one.
    pub(super) fn advance_some(&mut self, conversation: Option<Seq>) -> Result<(), OutboxError> {
        conversation.map_or(Ok(()), |conversation| self.advance(conversation))
    }
}
