//! What the ledger in memory holds: rows, and the tables that they are in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use notify_core::{
    AccountId, Action, DeliveryId, Execution, IfUnknown, Receipt, Recipient, TerminalPhase,
    Timestamp,
};

use crate::history::History;
use crate::outbox::OutboxError;
use crate::record::{
    ConversationState, DeliveryState, EventId, EventState, Spec, StoredEvent, Summary, WorkflowKey,
};
use crate::settle::Release;

/// The number of a row in its table, in the order in which rows were made.
pub(super) type Seq = u64;

/// Deliveries in the order of the instants that they wait for.
pub(super) type Queue = BTreeSet<(Timestamp, Seq)>;

/// Rows of one kind.
pub(super) struct Table<T> {
    /// What a row is called where one is missing.
    name: &'static str,
    last: Seq,
    rows: BTreeMap<Seq, T>,
}

impl<T> Table<T> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            last: 0,
            rows: BTreeMap::new(),
        }
    }

    pub(super) fn insert(&mut self, row: T) -> Seq {
        self.last += 1;
        self.rows.insert(self.last, row);
        self.last
    }

    pub(super) fn get(&self, seq: Seq) -> Result<&T, OutboxError> {
        self.rows.get(&seq).ok_or_else(|| missing(self.name, seq))
    }

    pub(super) fn get_mut(&mut self, seq: Seq) -> Result<&mut T, OutboxError> {
        self.rows
            .get_mut(&seq)
            .ok_or_else(|| missing(self.name, seq))
    }

    pub(super) fn remove(&mut self, seq: Seq) -> Result<T, OutboxError> {
        self.rows
            .remove(&seq)
            .ok_or_else(|| missing(self.name, seq))
    }

    /// Goes through the rows, the first one first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (Seq, &T)> {
        self.rows.iter().map(|(seq, row)| (*seq, row))
    }

    /// Goes through the rows to change them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Seq, &mut T)> {
        self.rows.iter_mut().map(|(seq, row)| (*seq, row))
    }
}

/// Rows name only rows that are there, so this is a bug of the ledger and no state of it.
fn missing(name: &str, seq: Seq) -> OutboxError {
    OutboxError::Row(format!("{name} {seq} is missing"))
}

/// An event.
pub(super) struct Event {
    pub(super) stored: Arc<StoredEvent>,
    pub(super) execution: Execution,
    pub(super) phase: TerminalPhase,
    pub(super) state: EventState,
    pub(super) reason: Option<String>,
    pub(super) deliveries: Vec<Seq>,
    /// How many of them are not settled.
    pub(super) unsettled: usize,
    /// Its place among the settled events, while it is one.
    pub(super) settled: Option<u64>,
}

impl Event {
    /// Tells whether nothing will come of the event any more.
    pub(super) const fn is_settled(&self) -> bool {
        match self.state {
            EventState::Accepted | EventState::Unmatched => false,
            EventState::Planned => self.unsettled == 0,
            EventState::Conflict | EventState::Malformed => true,
        }
    }
}

/// The ends of one attempt of an execution.
#[derive(Default)]
pub(super) struct Ends {
    /// The one that counts.
    pub(super) first: Option<Seq>,
    /// Those that contradict it.
    pub(super) conflicts: Vec<Seq>,
}

/// What is remembered of a workflow.
#[derive(Default)]
pub(super) struct Workflow {
    pub(super) history: History,
    /// Its conversations that are not closed.
    pub(super) conversations: BTreeSet<Seq>,
}

/// An account.
pub(super) struct Account {
    pub(super) id: AccountId,
    /// Why it is paused, while it is.
    pub(super) paused: Option<String>,
    /// Nothing is sent before, in any lane: the vendor's `Retry-After` for the whole account.
    pub(super) gate_at: Timestamp,
    pub(super) lanes: HashMap<String, Seq>,
    pub(super) conversations: HashMap<String, Seq>,
    /// Its lanes in the order in which a claim finds something in them.
    pub(super) due: Queue,
    /// What waits for its time, in the order in which it was promised.
    pub(super) pending: Queue,
}

/// A lane, and the deliveries in it that are not settled.
pub(super) struct Lane {
    pub(super) account: Seq,
    /// Nothing is sent before: the vendor's `Retry-After`, or silence.
    pub(super) gate_at: Timestamp,
    /// Nothing is sent before: the account's rate.
    pub(super) next_at: Timestamp,
    /// Attempts in a row that nobody answered.
    pub(super) silent: u32,
    /// Why the lane alone is paused, while it is.
    pub(super) paused: Option<String>,
    /// How many deliveries are leased.
    pub(super) leased: usize,
    /// What waits for its time and may go into a summary.
    pub(super) single: Queue,
    /// What waits for its time and goes as it is.
    pub(super) fixed: Queue,
    /// What waits for another delivery.
    pub(super) blocked: Queue,
    /// What is held.
    pub(super) held: Queue,
    /// Its place among the account's due lanes.
    pub(super) due_at: Option<Timestamp>,
    /// Whether it is due anew may have changed.
    pub(super) touched: bool,
}

/// A conversation.
pub(super) struct Conversation {
    pub(super) account: Seq,
    pub(super) key: String,
    pub(super) workflow: WorkflowKey,
    pub(super) state: ConversationState,
    pub(super) lane: String,
    pub(super) recipient: Recipient,
    pub(super) spec: Arc<Spec>,
    /// The latest opening that was planned: an older end does not close it.
    pub(super) opened: Order,
    /// The latest close that was planned: an older opening is pointless.
    pub(super) closed: Option<Order>,
    /// What the vendor gave for the last delivery that arrived, while the conversation is open.
    pub(super) receipt: Option<Receipt>,
    /// Its deliveries that are not settled.
    pub(super) members: BTreeSet<(Order, Seq)>,
}

/// The instant before all others, at which nothing is shut.
pub(super) fn open() -> Timestamp {
    Timestamp::from_micros(i64::MIN)
}

/// The place of an end among others: when it was, and which event told of it.
pub(super) type Order = (Timestamp, EventId);

/// A delivery.
pub(super) struct Delivery {
    pub(super) id: DeliveryId,
    pub(super) event: Seq,
    pub(super) spec: Arc<Spec>,
    pub(super) if_unknown: IfUnknown,
    pub(super) account: Seq,
    pub(super) lane: Seq,
    pub(super) recipient: Recipient,
    pub(super) action: Action,
    pub(super) conversation: Option<Seq>,
    /// A close that finds nothing open goes by itself.
    pub(super) alone: bool,
    /// The end that it tells of.
    pub(super) order: Order,
    pub(super) state: DeliveryState,
    pub(super) reason: Option<String>,
    /// What sets it free, while it is held.
    pub(super) release: Option<Release>,
    /// It waits for an earlier one of its conversation, or for the leader of its summary.
    pub(super) blocked: bool,
    /// The delivery that is sent in its place; its own where it leads.
    pub(super) summary: Option<Seq>,
    pub(super) attempts: u32,
    pub(super) tries: u32,
    pub(super) unsure: bool,
    pub(super) not_before: Timestamp,
    pub(super) token: i64,
    /// When the lease ends, while it is leased.
    pub(super) lease_until: Timestamp,
    pub(super) receipt: Option<Receipt>,
    pub(super) created_at: Timestamp,
}

impl Delivery {
    /// Tells whether a storm may make it part of a summary.
    pub(super) fn is_single(&self) -> bool {
        self.action == Action::Send && self.conversation.is_none() && self.summary.is_none()
    }
}

/// Deliveries to one recipient that go as one.
pub(super) struct Group {
    /// All of them, the leader too.
    pub(super) members: Vec<Seq>,
    pub(super) summary: Summary,
}
