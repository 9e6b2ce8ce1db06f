//! The contract that a store keeps.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use notify_core::AccountId;

use crate::record::{
    Accepted, DeliveryRecord, EventId, Leased, NewEvent, Plan, PlanContext, Recorded, Settled,
    Status, StoredEvent, WorkflowKey,
};
use crate::settle::Settlement;

/// A ledger of events and deliveries.
///
/// Every method is one transaction: it happened as a whole when it returns `Ok`, and on a
/// [durable](Self::durable) outbox it survives the end of the process from then on.
#[async_trait]
pub trait Outbox: Debug + Send + Sync {
    /// Tells whether what was accepted survives the end of the process.
    fn durable(&self) -> bool;

    /// Stores an event, unless an end of the same attempt of the execution is stored already.
    async fn accept(&self, event: NewEvent) -> Result<Accepted, OutboxError>;

    /// Lists events that wait to be planned, the earliest first, with how long they have waited.
    async fn accepted(&self, most: usize) -> Result<Vec<(StoredEvent, Duration)>, OutboxError>;

    /// Reads what plan needs to know about a workflow.
    async fn plan_context(&self, workflow: WorkflowKey) -> Result<PlanContext, OutboxError>;

    /// Stores a plan: deliveries in, history compared and set, event planned.
    async fn record(&self, plan: Plan) -> Result<Recorded, OutboxError>;

    /// Takes an event out of planning because no engine knows its workflow.
    async fn unmatched(&self, event: EventId, reason: String) -> Result<(), OutboxError>;

    /// Takes an event out of planning because it cannot be read.
    async fn malformed(&self, event: EventId, reason: String) -> Result<(), OutboxError>;

    /// Leases deliveries that are due, in order within a conversation.
    ///
    /// A lease that expired is taken back first: its delivery is recorded as unknown and due again.
    /// A record that does not read is held with the reason, and stands in nobody's way.
    async fn claim(&self, claim: Claim) -> Result<Vec<Leased>, OutboxError>;

    /// Stores what came of attempts. A stale lease changes nothing.
    async fn settle(&self, settlement: Settlement) -> Result<Settled, OutboxError>;

    /// Lets paused accounts work again: their held deliveries become due, and events that nobody
    /// could plan are looked at anew.
    async fn resume(&self, accounts: Vec<AccountId>) -> Result<u64, OutboxError>;

    /// Counts what there is to do, and how long until something is due for these accounts.
    async fn status(&self, accounts: Vec<AccountId>) -> Result<Status, OutboxError>;

    /// Lists the deliveries of one event, or the latest of all.
    async fn deliveries(
        &self,
        event: Option<EventId>,
        most: usize,
    ) -> Result<Vec<DeliveryRecord>, OutboxError>;
}

/// What an engine can send right now.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The accounts that it serves.
    pub serve: Vec<Serve>,
    /// How many deliveries it can send at once.
    pub most: usize,
    /// How many of them may be of one lane, those already leased included.
    pub most_per_lane: usize,
    /// The age from which a delivery is of no use any more: it expires instead.
    pub max_age: Duration,
}

/// An account that an engine serves.
#[derive(Clone, Debug)]
pub struct Serve {
    /// The account.
    pub account: AccountId,
    /// How long a lease lasts: the transport's deadline and a margin.
    pub lease: Duration,
}

/// Why the ledger could not do what was asked. What was asked did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The store was written by a newer program.
    #[error(
        "the outbox {place} has schema {found}, and this program knows up to {known}: use the newer program"
    )]
    Newer {
        /// Where the store is.
        place: String,
        /// The schema it has.
        found: i64,
        /// The schema this program knows.
        known: i64,
    },
    /// The store cannot be opened.
    #[error("cannot open the outbox {place}")]
    Open {
        /// Where the store is.
        place: String,
        /// What stood in the way.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store failed at its work.
    #[error("the outbox failed to {doing}")]
    Storage {
        /// What it was doing.
        doing: &'static str,
        /// What stood in the way.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A row does not read in this program.
    #[error("a row of the outbox does not read: {0}")]
    Row(String),
    /// The store's own thread has ended.
    #[error("the outbox is closed")]
    Closed,
}
