//! A ledger in memory that fails when it is told to.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use notify_core::{AccountId, Clock, DeliveryId, WorkflowName};
use notify_outbox::{
    Accepted, Aside, Claim, DeliveryQuery, DeliveryRecord, EventQuery, EventRecord, Leased,
    MemoryOutbox, NewEvent, Outbox, OutboxError, Recorded, Settled, Settlement, Status, Waiting,
    WorkflowPlan,
};

/// A ledger in memory, for what a program does when its ledger fails. Clones share one ledger.
///
/// ```
/// use std::sync::Arc;
///
/// use notify_outbox::{EventQuery, Outbox};
/// use notify_testkit::HandClock;
/// use notify_testkit::embed::FakeOutbox;
///
/// let outbox = FakeOutbox::new(Arc::new(HandClock::default()));
/// outbox.break_down("the disk is full");
/// let asked = pollster::block_on(outbox.events(EventQuery::latest(1)));
/// assert!(asked.is_err());
/// outbox.mend();
/// let asked = pollster::block_on(outbox.events(EventQuery::latest(1)));
/// assert!(asked.is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct FakeOutbox {
    ledger: MemoryOutbox,
    trouble: Arc<Mutex<Option<String>>>,
}

impl FakeOutbox {
    /// Makes an empty ledger that reckons with this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            ledger: MemoryOutbox::new(clock),
            trouble: Arc::default(),
        }
    }

    /// Makes every call fail, for this reason.
    pub fn break_down(&self, why: &str) {
        *self.trouble.lock().unwrap() = Some(why.to_owned());
    }

    /// Ends the trouble.
    pub fn mend(&self) {
        *self.trouble.lock().unwrap() = None;
    }

    fn sound(&self, doing: &'static str) -> Result<&MemoryOutbox, OutboxError> {
        match &*self.trouble.lock().unwrap() {
            None => Ok(&self.ledger),
            Some(why) => Err(OutboxError::Storage {
                doing,
                source: why.clone().into(),
            }),
        }
    }
}

#[async_trait]
impl Outbox for FakeOutbox {
    fn durable(&self) -> bool {
        false
    }

    async fn accept(&self, event: NewEvent) -> Result<Accepted, OutboxError> {
        self.sound("store an event")?.accept(event).await
    }

    async fn waiting(&self, most: usize) -> Result<Waiting, OutboxError> {
        self.sound("list events")?.waiting(most).await
    }

    async fn record(&self, plans: Vec<WorkflowPlan>) -> Result<Vec<Recorded>, OutboxError> {
        self.sound("store a plan")?.record(plans).await
    }

    async fn set_aside(&self, events: Vec<Aside>) -> Result<(), OutboxError> {
        self.sound("set events aside")?.set_aside(events).await
    }

    async fn revive(&self, workflows: Option<Vec<WorkflowName>>) -> Result<u64, OutboxError> {
        self.sound("revive events")?.revive(workflows).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Leased>, OutboxError> {
        self.sound("lease deliveries")?.claim(claim).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, OutboxError> {
        self.sound("settle a delivery")?.settle(settlement).await
    }

    async fn resume(&self, accounts: Vec<AccountId>) -> Result<u64, OutboxError> {
        self.sound("resume accounts")?.resume(accounts).await
    }

    async fn replay(&self, deliveries: Vec<DeliveryId>) -> Result<Vec<DeliveryId>, OutboxError> {
        self.sound("replay deliveries")?.replay(deliveries).await
    }

    async fn drop(
        &self,
        deliveries: Vec<DeliveryId>,
        reason: String,
    ) -> Result<Vec<DeliveryId>, OutboxError> {
        let ledger = self.sound("give deliveries up")?;
        Outbox::drop(ledger, deliveries, reason).await
    }

    async fn status(&self, accounts: Vec<AccountId>) -> Result<Status, OutboxError> {
        self.sound("count what there is to do")?
            .status(accounts)
            .await
    }

    async fn deliveries(&self, query: DeliveryQuery) -> Result<Vec<DeliveryRecord>, OutboxError> {
        self.sound("list deliveries")?.deliveries(query).await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<EventRecord>, OutboxError> {
        self.sound("list events")?.events(query).await
    }
}
