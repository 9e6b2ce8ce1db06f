//! Looking into the ledger.

use std::collections::BTreeSet;

use notify_core::{AccountId, DeliveryId, Timestamp};

use crate::memory::ledger::{Ledger, count};
use crate::memory::rows::{Delivery, Event, Seq};
use crate::outbox::OutboxError;
use crate::record::{
    DeliveryQuery, DeliveryRecord, DeliveryState, EventId, EventQuery, EventRecord, EventState,
    Status,
};

impl Ledger {
    pub(super) fn status(
        &self,
        now: Timestamp,
        accounts: &[AccountId],
    ) -> Result<Status, OutboxError> {
        let events = |state| {
            let events = self.events_in.get(&state);
            count(events.map_or(0, BTreeSet::len))
        };
        let mut next = self.leases.first().map(|(until, _)| *until);
        for account in accounts {
            if let Some(&account) = self.account_ids.get(account) {
                let due = self.accounts.get(account)?.due.first();
                next = next.into_iter().chain(due.map(|(at, _)| *at)).min();
            }
        }
        Ok(Status {
            accepted: events(EventState::Accepted),
            unplannable: events(EventState::Unmatched) + events(EventState::Malformed),
            conflicts: events(EventState::Conflict),
            pending: count(self.pending),
            leased: count(self.leases.len()),
            held: count(self.held),
            next_due: next.map(|at| at.since(now)),
        })
    }

    pub(super) fn list_deliveries(
        &self,
        query: &DeliveryQuery,
    ) -> Result<Vec<DeliveryRecord>, OutboxError> {
        let asked = |row: &Delivery| query.states.is_empty() || query.states.contains(&row.state);
        let rows: Vec<&Delivery> = match query.event {
            None if !query.ids.is_empty() => {
                let ids: BTreeSet<DeliveryId> = query.ids.iter().copied().collect();
                let known = ids.iter().filter_map(|id| self.delivery_ids.get(id));
                let seqs: BTreeSet<&Seq> = known.collect();
                let latest = seqs.into_iter().rev().map(|seq| self.deliveries.get(*seq));
                let mut latest = latest.collect::<Result<Vec<_>, _>>()?;
                latest.retain(|row| asked(row));
                latest.truncate(query.most);
                latest
            }
            None => {
                let latest = self.deliveries.iter().rev().map(|(_, row)| row);
                latest.filter(|row| asked(row)).take(query.most).collect()
            }
            Some(event) => {
                let mut latest = self.of_event(event)?;
                let named = |row: &Delivery| query.ids.is_empty() || query.ids.contains(&row.id);
                latest.retain(|row| asked(row) && named(row));
                latest.truncate(query.most);
                latest
            }
        };
        let in_order = rows.into_iter().rev();
        in_order.map(|row| self.delivery_record(row)).collect()
    }

    /// Lists the deliveries of one event, the latest first.
    fn of_event(&self, event: EventId) -> Result<Vec<&Delivery>, OutboxError> {
        let Some(&event) = self.event_ids.get(&event) else {
            return Ok(Vec::new());
        };
        let deliveries = &self.events.get(event)?.deliveries;
        let latest = deliveries.iter().rev();
        latest.map(|seq| self.deliveries.get(*seq)).collect()
    }

    fn delivery_record(&self, row: &Delivery) -> Result<DeliveryRecord, OutboxError> {
        let event = self.events.get(row.event)?;
        Ok(DeliveryRecord {
            id: row.id,
            event: event.stored.id,
            workflow: event.stored.workflow.workflow.to_string(),
            phase: event.phase,
            account: self.accounts.get(row.account)?.id.clone(),
            recipient: row.recipient.clone(),
            declared_under: row.spec.declared_under(),
            action: row.action,
            state: row.state,
            reason: row.reason.clone(),
            release: row.release,
            blocked: row.blocked && row.state == DeliveryState::Pending,
            tries: row.tries,
            not_before: row.not_before,
            receipt: row.receipt.clone(),
        })
    }

    pub(super) fn list_events(&self, query: &EventQuery) -> Vec<EventRecord> {
        let asked = |row: &&Event| query.states.is_empty() || query.states.contains(&row.state);
        let mut records: Vec<EventRecord> = match query.event {
            None => {
                let latest = self.events.iter().rev().map(|(_, row)| row);
                latest
                    .filter(asked)
                    .take(query.most)
                    .map(event_record)
                    .collect()
            }
            Some(event) => {
                let seq = self.event_ids.get(&event);
                let found = seq.and_then(|seq| self.events.get(*seq).ok());
                found
                    .filter(asked)
                    .into_iter()
                    .take(query.most)
                    .map(event_record)
                    .collect()
            }
        };
        records.reverse();
        records
    }
}

fn event_record(row: &Event) -> EventRecord {
    EventRecord {
        id: row.stored.id,
        project: row.execution.project().to_owned(),
        domain: row.execution.domain().to_owned(),
        execution: row.execution.name().to_owned(),
        attempt: row.execution.attempt_number(),
        workflow: row.stored.workflow.workflow.to_string(),
        phase: row.phase,
        ended_at: row.stored.ended_at,
        accepted_at: row.stored.accepted_at,
        state: row.state,
        reason: row.reason.clone(),
    }
}
