//! The contract that a store keeps.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use notify_core::{AccountId, DeliveryId, Rate, WorkflowName};

use crate::record::{
    Accepted, Aside, DeliveryQuery, DeliveryRecord, EventQuery, EventRecord, Leased, NewEvent,
    Recorded, Settled, Status, Waiting, WorkflowPlan,
};
use crate::settle::Settlement;

/// A ledger of events and deliveries.
///
/// Every method is one transaction: it happened as a whole when it returns `Ok`, and on a
/// [durable](Self::durable) outbox it survives the end of the process from then on. All stores keep
/// one suite of tests: `notify_testkit::outbox`.
///
/// **Time.** Callers pass durations, and the store reckons with its own clock. A clock that was set
/// back takes the waits and leases in the store back with it, so that nothing waits for the
/// difference.
#[async_trait]
pub trait Outbox: Debug + Send + Sync {
    /// Tells whether what was accepted survives the end of the process.
    fn durable(&self) -> bool;

    /// Stores an event, unless an end of the same attempt of the execution is stored already.
    ///
    /// An event that does not say when it ended, ended now.
    async fn accept(&self, event: NewEvent) -> Result<Accepted, OutboxError>;

    /// Lists events that wait to be planned, the earliest first, with what plan needs to know of
    /// their workflows.
    async fn waiting(&self, most: usize) -> Result<Waiting, OutboxError>;

    /// Stores what was planned: deliveries in, history compared and set, events planned.
    ///
    /// What was planned for one workflow is stored as a whole or, where another engine was faster,
    /// not at all. Gives one answer for each workflow, in order.
    async fn record(&self, plans: Vec<WorkflowPlan>) -> Result<Vec<Recorded>, OutboxError>;

    /// Takes accepted events out of planning: nobody knows their workflow (`unmatched`), or they do
    /// not read (`malformed`). An event in another state stays as it is.
    async fn set_aside(&self, events: Vec<Aside>) -> Result<(), OutboxError>;

    /// Looks anew at events that nobody could plan: those of these workflows, or all where nothing
    /// is said. Gives how many there were.
    async fn revive(&self, workflows: Option<Vec<WorkflowName>>) -> Result<u64, OutboxError>;

    /// Leases deliveries that are due, in order within a conversation.
    ///
    /// A lease that expired is taken back first: its delivery is recorded as unknown, and due again
    /// or held, as it was declared. A record that does not read is held with the reason, and stands
    /// in nobody's way.
    async fn claim(&self, claim: Claim) -> Result<Vec<Leased>, OutboxError>;

    /// Stores what came of an attempt. A stale lease changes nothing.
    async fn settle(&self, settlement: Settlement) -> Result<Settled, OutboxError>;

    /// Lets paused accounts work again: what was held for them becomes due, though each lane carries
    /// one delivery at a time until one is answered. Gives how many deliveries that set free.
    async fn resume(&self, accounts: Vec<AccountId>) -> Result<u64, OutboxError>;

    /// Makes deliveries due now, as if they were new: what is held, rejected, expired or waits.
    /// Gives those that were in one of these states.
    async fn replay(&self, deliveries: Vec<DeliveryId>) -> Result<Vec<DeliveryId>, OutboxError>;

    /// Gives deliveries up that wait or are held, with the reason. Gives those that did.
    async fn drop(
        &self,
        deliveries: Vec<DeliveryId>,
        reason: String,
    ) -> Result<Vec<DeliveryId>, OutboxError>;

    /// Counts what there is to do, and how long until something is due for these accounts.
    async fn status(&self, accounts: Vec<AccountId>) -> Result<Status, OutboxError>;

    /// Lists deliveries, the latest `most` of those asked for, in the order they were recorded.
    async fn deliveries(&self, query: DeliveryQuery) -> Result<Vec<DeliveryRecord>, OutboxError>;

    /// Lists events, the latest `most` of those asked for, in the order they were accepted.
    async fn events(&self, query: EventQuery) -> Result<Vec<EventRecord>, OutboxError>;
}

/// What an engine can send right now.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The accounts that it serves.
    pub serve: Vec<Serve>,
    /// How many deliveries of one lane may be leased at once, by all engines together.
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
    /// How many deliveries the engine can send now.
    pub room: usize,
    /// How fast each lane may go.
    pub rate: Option<Rate>,
    /// More deliveries than this for one recipient, all due, go as one summary. One stands for no
    /// more than [`Summary::MOST`](crate::Summary::MOST); the rest goes as further ones. `None`
    /// where each is to go by itself.
    pub collapse_after: Option<usize>,
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
    /// The store is not where it was, and what is written to it now would be lost.
    #[error(
        "the outbox {place} was moved, deleted or replaced while it was in use: start the program anew"
    )]
    Gone {
        /// Where the store was.
        place: String,
    },
    /// The store's own thread has ended.
    #[error("the outbox is closed")]
    Closed,
}

impl OutboxError {
    /// Tells whether this store will never work again, whatever is waited for.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Closed)
    }
}
