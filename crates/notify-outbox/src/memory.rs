//! The outbox in memory.

mod amend;
mod claim;
mod clock;
mod conversation;
mod forget;
mod intake;
mod lane;
mod ledger;
mod plan;
mod rows;
mod settle;
mod summary;
mod view;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use notify_core::{AccountId, Clock, DeliveryId, Timestamp, WorkflowName};

use crate::memory::ledger::Ledger;
use crate::outbox::{Claim, Outbox, OutboxError};
use crate::record::{
    Accepted, Aside, DeliveryQuery, DeliveryRecord, EventQuery, EventRecord, Leased, NewEvent,
    Recorded, Settled, Status, Waiting, WorkflowPlan,
};
use crate::settle::Settlement;

/// A ledger that ends with the process.
///
/// It keeps the rules of every outbox, but for the durable ones: for tests, for programs that may
/// lose what they have not sent, and to see how fast the rest is. Clones share one ledger.
///
/// **Memory.** What is not settled is kept. Of the events that are settled with all their
/// deliveries, and of those that will never be planned, the 10,000 that were settled last stay to
/// be looked at; the others are forgotten with their deliveries, and the same end told again
/// after that is new. Histories, lanes and conversations are kept.
#[derive(Clone)]
pub struct MemoryOutbox {
    ledger: Arc<Mutex<Ledger>>,
    clock: Arc<dyn Clock>,
}

impl MemoryOutbox {
    /// Makes an empty ledger that reckons with this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let ledger = Arc::new(Mutex::new(Ledger::new(clock.now())));
        Self { ledger, clock }
    }

    /// Does one thing while nobody else does any.
    fn run<T>(
        &self,
        job: impl FnOnce(&mut Ledger, Timestamp) -> Result<T, OutboxError>,
    ) -> Result<T, OutboxError> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        ledger.see(now)?;
        let done = job(&mut ledger, now)?;
        ledger.refresh_lanes()?;
        ledger.forget_surplus()?;
        Ok(done)
    }
}

impl fmt::Debug for MemoryOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryOutbox").finish_non_exhaustive()
    }
}

#[async_trait]
impl Outbox for MemoryOutbox {
    fn durable(&self) -> bool {
        false
    }

    async fn accept(&self, event: NewEvent) -> Result<Accepted, OutboxError> {
        self.run(|ledger, now| ledger.accept(now, event))
    }

    async fn waiting(&self, most: usize) -> Result<Waiting, OutboxError> {
        self.run(|ledger, now| ledger.waiting(now, most))
    }

    async fn record(&self, plans: Vec<WorkflowPlan>) -> Result<Vec<Recorded>, OutboxError> {
        self.run(|ledger, now| {
            let record = |plan| ledger.record(now, plan);
            plans.into_iter().map(record).collect()
        })
    }

    async fn set_aside(&self, events: Vec<Aside>) -> Result<(), OutboxError> {
        self.run(|ledger, _| {
            let mut events = events.into_iter();
            events.try_for_each(|aside| ledger.set_aside(aside))
        })
    }

    async fn revive(&self, workflows: Option<Vec<WorkflowName>>) -> Result<u64, OutboxError> {
        self.run(|ledger, _| ledger.revive(workflows.as_deref()))
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Leased>, OutboxError> {
        self.run(|ledger, now| ledger.claim(now, &claim))
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, OutboxError> {
        self.run(|ledger, now| ledger.settle(now, settlement))
    }

    async fn resume(&self, accounts: Vec<AccountId>) -> Result<u64, OutboxError> {
        self.run(|ledger, now| ledger.resume(now, &accounts))
    }

    async fn replay(&self, deliveries: Vec<DeliveryId>) -> Result<Vec<DeliveryId>, OutboxError> {
        self.run(|ledger, now| ledger.replay(now, deliveries))
    }

    async fn drop(
        &self,
        deliveries: Vec<DeliveryId>,
        reason: String,
    ) -> Result<Vec<DeliveryId>, OutboxError> {
        self.run(|ledger, _| ledger.give_up(deliveries, &reason))
    }

    async fn status(&self, accounts: Vec<AccountId>) -> Result<Status, OutboxError> {
        self.run(|ledger, now| ledger.status(now, &accounts))
    }

    async fn deliveries(&self, query: DeliveryQuery) -> Result<Vec<DeliveryRecord>, OutboxError> {
        self.run(|ledger, _| ledger.list_deliveries(&query))
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<EventRecord>, OutboxError> {
        self.run(|ledger, _| Ok(ledger.list_events(&query)))
    }
}

#[cfg(test)]
mod tests;
