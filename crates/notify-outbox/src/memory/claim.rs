//! Leases: who may put what on the wire, and for how long.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use notify_core::{Cause, IfUnknown, Timestamp, time};

use crate::memory::ledger::Ledger;
use crate::memory::rows::Seq;
use crate::outbox::{Claim, OutboxError, Serve};
use crate::record::{DeliveryState, Leased};
use crate::settle::Release;

/// How many deliveries that no engine serves one claim gives up.
const MOST_UNSERVED: usize = 100;

impl Ledger {
    pub(super) fn claim(
        &mut self,
        now: Timestamp,
        claim: &Claim,
    ) -> Result<Vec<Leased>, OutboxError> {
        self.take_back(now)?;
        self.expire_unserved(now, claim)?;
        self.limit_lanes(claim.most_per_lane);
        self.refresh_lanes()?;
        let mut leased = Vec::new();
        for serve in &claim.serve {
            self.claim_account(now, claim.max_age, serve, &mut leased)?;
        }
        Ok(leased)
    }

    /// Leases what is due for one account, the lane first that has been due for longest.
    fn claim_account(
        &mut self,
        now: Timestamp,
        max_age: Duration,
        serve: &Serve,
        leased: &mut Vec<Leased>,
    ) -> Result<(), OutboxError> {
        let Some(&account) = self.account_ids.get(&serve.account) else {
            return Ok(());
        };
        let until = leased.len().saturating_add(serve.room);
        let mut last = Bound::Unbounded;
        while leased.len() < until {
            let mut due = self
                .accounts
                .get(account)?
                .due
                .range((last, Bound::Unbounded));
            let Some(&(due_at, lane)) = due.next().filter(|(due_at, _)| *due_at <= now) else {
                break;
            };
            last = Bound::Excluded((due_at, lane));
            let room = until - leased.len();
            self.claim_lane(now, max_age, serve, (lane, room), leased)?;
        }
        Ok(())
    }

    /// Leases what is due in one lane, and no more than there is room for.
    fn claim_lane(
        &mut self,
        now: Timestamp,
        max_age: Duration,
        serve: &Serve,
        (lane, room): (Seq, usize),
        leased: &mut Vec<Leased>,
    ) -> Result<(), OutboxError> {
        let row = self.lanes.get(lane)?;
        let allowed = serve.rate.map_or(usize::MAX, |rate| {
            usize::try_from(rate.allowed(row.next_at, now)).unwrap_or(usize::MAX)
        });
        let most = room.min(row.free(self.most_per_lane)).min(allowed);
        let (mut sent, mut collapsed) = (0, false);
        while sent < most {
            if let (Some(above), false) = (serve.collapse_after, collapsed) {
                self.collapse(now, max_age, lane, above)?;
            }
            let head = self.lanes.get(lane)?.head();
            let Some((_, delivery)) = head.filter(|(not_before, _)| *not_before <= now) else {
                break;
            };
            // A summary that is dissolved may make room for another one.
            collapsed = !self.groups.contains_key(&delivery);
            if let Some(one) = self.lease(now, max_age, delivery, now.after(serve.lease))? {
                collapsed = true;
                leased.push(one);
                sent += 1;
            }
        }
        if let Some(rate) = serve.rate.filter(|_| sent > 0) {
            let sent = u32::try_from(sent).unwrap_or(u32::MAX);
            self.change_lane(lane, |lane| {
                lane.next_at = rate.next(lane.next_at, now, sent);
            })?;
        }
        Ok(())
    }

    /// Leases a delivery that is due, unless it has grown too old.
    fn lease(
        &mut self,
        now: Timestamp,
        max_age: Duration,
        seq: Seq,
        until: Timestamp,
    ) -> Result<Option<Leased>, OutboxError> {
        let row = self.deliveries.get(seq)?;
        let age = now.since(row.created_at);
        if age >= max_age {
            self.expire(age, seq, "")?;
            return Ok(None);
        }
        self.change(seq, |row| {
            row.state = DeliveryState::Leased;
            row.token += 1;
            row.lease_until = until;
        })?;
        self.leased(seq, age).map(Some)
    }

    fn leased(&self, seq: Seq, age: Duration) -> Result<Leased, OutboxError> {
        let row = self.deliveries.get(seq)?;
        let conversation = row.conversation.map(|one| self.conversations.get(one));
        let conversation = conversation.transpose()?;
        let group = row.summary.and_then(|leader| self.groups.get(&leader));
        Ok(Leased {
            id: row.id,
            token: row.token,
            attempts: row.attempts,
            tries: row.tries,
            age,
            if_unknown: row.if_unknown,
            unsure: row.unsure,
            event: Arc::clone(&self.events.get(row.event)?.stored),
            spec: Arc::clone(&row.spec),
            account: self.accounts.get(row.account)?.id.clone(),
            recipient: row.recipient.clone(),
            action: row.action,
            conversation: conversation.map(|one| one.key.clone()),
            earlier: conversation.and_then(|one| one.receipt.clone()),
            summary: group.map(|group| group.summary.clone()),
        })
    }

    /// Gives up what has grown too old and belongs to accounts that the claim does not serve:
    /// nobody else will.
    fn expire_unserved(&mut self, now: Timestamp, claim: &Claim) -> Result<(), OutboxError> {
        let served: BTreeSet<Seq> = claim
            .serve
            .iter()
            .filter_map(|serve| self.account_ids.get(&serve.account).copied())
            .collect();
        let mut old = Vec::new();
        for (_, account) in self
            .accounts
            .iter()
            .filter(|(seq, _)| !served.contains(seq))
        {
            let by_age = account.pending.iter();
            let too_old = by_age.take_while(|(at, _)| now.since(*at) >= claim.max_age);
            let why = format!("; no engine serves the account `{}`", account.id);
            let too_old = too_old.map(|(at, seq)| (*seq, now.since(*at), why.clone()));
            // What a summary on the wire tells of is left to it.
            let by_itself = too_old.filter(|(seq, ..)| {
                let row = self.deliveries.get(*seq);
                row.is_ok_and(|row| row.summary.is_none_or(|leader| leader == *seq))
            });
            old.extend(by_itself.take(MOST_UNSERVED - old.len()));
        }
        for (seq, age, why) in old {
            if self.deliveries.get(seq)?.state == DeliveryState::Pending {
                self.expire(age, seq, &why)?;
            }
        }
        Ok(())
    }

    fn expire(&mut self, age: Duration, seq: Seq, because: &str) -> Result<(), OutboxError> {
        self.dissolve(seq)?;
        let row = self.deliveries.get(seq)?;
        let last = row.reason.as_ref().map(|last| format!("; {last}"));
        let why = format!(
            "gave up after {}{because}{}",
            time::words(age),
            last.unwrap_or_default()
        );
        let conversation = row.conversation;
        self.end(seq, DeliveryState::Expired, &why)?;
        self.advance_some(conversation)
    }

    /// Takes back the leases of engines that are gone. What they held may have been delivered.
    fn take_back(&mut self, now: Timestamp) -> Result<(), OutboxError> {
        let over = |&&(until, _): &&(Timestamp, Seq)| until <= now;
        while let Some(&(_, seq)) = self.leases.first().filter(over) {
            self.take_one_back(now, seq)?;
        }
        Ok(())
    }

    fn take_one_back(&mut self, now: Timestamp, seq: Seq) -> Result<(), OutboxError> {
        let lost = Cause::LostLease.name();
        let reason = format!("unknown ({lost}): the engine that sent it is gone");
        let row = self.deliveries.get(seq)?;
        let (hold, conversation) = (row.if_unknown == IfUnknown::Hold, row.conversation);
        self.change(seq, |row| {
            row.state = DeliveryState::Pending;
            row.reason = Some(reason.clone());
            row.attempts = row.attempts.saturating_add(1);
            row.tries = row.tries.saturating_add(1);
            row.unsure = true;
            row.not_before = now;
        })?;
        self.may_be_open(seq)?;
        if hold {
            for one in self.all_of(seq)? {
                self.hold(one, Release::Replay, &reason)?;
            }
        } else {
            self.hold_if_paused(seq)?;
        }
        self.advance_some(conversation)
    }
}
