//! What plan decided.

use std::collections::BTreeSet;
use std::sync::Arc;

use notify_core::Timestamp;

use crate::memory::ledger::Ledger;
use crate::memory::rows::{Delivery, Order, Seq};
use crate::outbox::OutboxError;
use crate::record::{
    DeliveryState, EventState, NewDelivery, NewState, Plan, Recorded, WorkflowKey, WorkflowPlan,
};
use crate::settle::Release;

impl Ledger {
    /// Stores what was planned for one workflow, unless another engine was faster.
    pub(super) fn record(
        &mut self,
        now: Timestamp,
        plan: WorkflowPlan,
    ) -> Result<Recorded, OutboxError> {
        let known = self.workflows.get(&plan.workflow);
        let version = known.map_or(0, |known| known.history.version);
        let Some(events) = self.still_accepted(&plan.events)? else {
            return Ok(Recorded::LostRace);
        };
        if version != plan.history.version {
            return Ok(Recorded::LostRace);
        }
        let WorkflowPlan {
            workflow,
            mut history,
            events: plans,
        } = plan;
        history.version += 1;
        let known = self.workflows.entry(workflow.clone()).or_default();
        known.history = history;
        for (event, plan) in events.into_iter().zip(plans) {
            self.record_event(now, &workflow, event, plan)?;
        }
        Ok(Recorded::Done)
    }

    /// Finds the events that were planned; `None` where one of them waits no more.
    fn still_accepted(&self, plans: &[Plan]) -> Result<Option<Vec<Seq>>, OutboxError> {
        let mut seqs = Vec::with_capacity(plans.len());
        let mut once = BTreeSet::new();
        for plan in plans {
            let Some(&seq) = self.event_ids.get(&plan.event) else {
                return Ok(None);
            };
            let waits = self.events.get(seq)?.state == EventState::Accepted;
            if !waits || !once.insert(seq) {
                return Ok(None);
            }
            seqs.push(seq);
        }
        Ok(Some(seqs))
    }

    fn record_event(
        &mut self,
        now: Timestamp,
        workflow: &WorkflowKey,
        seq: Seq,
        plan: Plan,
    ) -> Result<(), OutboxError> {
        let stored = &mut self.events.get_mut(seq)?.stored;
        Arc::make_mut(stored).past = Some(plan.past);
        let order = (stored.ended_at, plan.event);
        for delivery in plan.deliveries {
            if !self.delivery_ids.contains_key(&delivery.id) {
                self.record_delivery(now, workflow, seq, order, delivery)?;
            }
        }
        self.move_event(seq, EventState::Planned, None)
    }

    fn record_delivery(
        &mut self,
        now: Timestamp,
        workflow: &WorkflowKey,
        event: Seq,
        order: Order,
        delivery: NewDelivery,
    ) -> Result<(), OutboxError> {
        let account = self.account(&delivery.account);
        let lane = self.lane(account, &delivery.lane)?;
        let joined = match &delivery.conversation {
            Some(key) if delivery.state == NewState::Pending => {
                Some(self.join(workflow, account, &delivery, key, order)?)
            }
            _ => None,
        };
        let late = joined.as_ref().is_some_and(|joined| joined.late);
        let conversation = joined.map(|joined| joined.seq);
        let paused = self.paused(account, lane)?;
        let (state, reason) = begins(delivery.state, late, paused);
        self.insert(Delivery {
            id: delivery.id,
            event,
            spec: delivery.spec,
            if_unknown: delivery.if_unknown,
            account,
            lane,
            recipient: delivery.recipient,
            action: delivery.action,
            conversation,
            alone: delivery.alone,
            order,
            state,
            reason,
            release: (state == DeliveryState::Held).then_some(Release::Account),
            blocked: false,
            summary: None,
            attempts: 0,
            tries: 0,
            unsure: false,
            not_before: now,
            token: 0,
            lease_until: now,
            receipt: None,
            created_at: now,
        })?;
        match conversation {
            Some(conversation) => self.advance(conversation),
            None => Ok(()),
        }
    }
}

/// Says where a new delivery begins, and why there.
fn begins(asked: NewState, late: bool, paused: Option<String>) -> (DeliveryState, Option<String>) {
    match (asked, paused) {
        (NewState::Skipped(reason), _) => (DeliveryState::Skipped, Some(reason)),
        (NewState::Superseded(reason), _) => (DeliveryState::Superseded, Some(reason)),
        (NewState::Pending, _) if late => {
            let reason = "a later end closed the conversation already";
            (DeliveryState::Superseded, Some(reason.to_owned()))
        }
        (NewState::Pending, Some(reason)) => (DeliveryState::Held, Some(reason)),
        (NewState::Pending, None) => (DeliveryState::Pending, None),
    }
}
