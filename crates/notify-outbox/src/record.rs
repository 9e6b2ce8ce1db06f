//! What the ledger holds, as values.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use notify_core::{
    AccountId, Action, DeliveryId, Execution, IfUnknown, Kind, Malformed, Notification, Past,
    Problems, Receipt, Recipient, Registry, TerminalPhase, Timestamp, WorkflowEnded, WorkflowName,
    event::wire, notification::DECLARED_UNDER,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::history::{End, History};
use crate::settle::Release;

/// Declares a closed set of states with their names in the ledger.
macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$state_doc:meta])* $state:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$state_doc])* $state,)+
        }

        impl $name {
            /// Every state.
            pub const ALL: &[Self] = &[$(Self::$state),+];

            /// Returns the state's name in the ledger, in output and in metrics.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$state => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|state| state.name() == text)
                    .ok_or_else(|| Malformed::new(format!("`{text}` is not a state")))
            }
        }
    };
}

states! {
    /// Where an event is.
    EventState {
        /// Stored, not planned yet.
        Accepted = "accepted",
        /// Its deliveries are recorded.
        Planned = "planned",
        /// No engine knows its workflow.
        Unmatched = "unmatched",
        /// The same attempt of the execution ended in another phase before.
        Conflict = "conflict",
        /// It cannot be read.
        Malformed = "malformed",
    }
}

states! {
    /// Where a delivery is.
    DeliveryState {
        /// Waits for its time.
        Pending = "pending",
        /// May be on the wire.
        Leased = "leased",
        /// The vendor took it.
        Delivered = "delivered",
        /// The vendor will never take it.
        Rejected = "rejected",
        /// It grew too old to be of use.
        Expired = "expired",
        /// It waits for its account to work again, or for somebody to replay it.
        Held = "held",
        /// A later delivery of the conversation made it pointless.
        Superseded = "superseded",
        /// It was never to be sent.
        Skipped = "skipped",
    }
}

impl DeliveryState {
    /// Tells whether nothing will change the state by itself any more.
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Pending | Self::Leased | Self::Held)
    }
}

states! {
    /// Where a conversation is.
    ConversationState {
        /// A first delivery is planned, and none has arrived.
        Planned = "planned",
        /// The vendor holds something that can be closed.
        Open = "open",
        /// It was closed.
        Closed = "closed",
    }
}

/// The identity of an event, in text `evt_` and 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Uuid);

impl EventId {
    /// Makes an id from the instant of acceptance and 74 random bits: a UUID of version 7, so that
    /// ids sort by time.
    pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_micros() / 1_000).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Takes a UUID.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Returns the UUID.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}", self.0.simple())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A workflow within its project and domain: what a history belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkflowKey {
    /// The project.
    pub project: String,
    /// The domain.
    pub domain: String,
    /// The workflow.
    pub workflow: WorkflowName,
}

impl WorkflowKey {
    /// Names the workflow whose run this was.
    pub fn of(event: &WorkflowEnded) -> Self {
        Self {
            project: event.execution.project().to_owned(),
            domain: event.execution.domain().to_owned(),
            workflow: event.workflow.clone(),
        }
    }
}

/// An event on its way into the ledger.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its identity, should it be new.
    pub id: EventId,
    /// The key: one end for each attempt of an execution.
    pub execution: Execution,
    /// The workflow.
    pub workflow: WorkflowName,
    /// How it ended.
    pub phase: TerminalPhase,
    /// When it ended; `None` is the instant of acceptance.
    pub ended_at: Option<Timestamp>,
    /// The event's wire form, as JSON text.
    pub body: String,
}

/// What came of accepting an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is stored.
    Recorded(EventId),
    /// The same end was stored before.
    Duplicate(EventId),
    /// Another end of the same attempt was stored before; this one is on record and not planned.
    Conflict(EventId),
}

impl Accepted {
    /// Returns the event whose deliveries tell of this end.
    pub const fn event(self) -> EventId {
        match self {
            Self::Recorded(id) | Self::Duplicate(id) | Self::Conflict(id) => id,
        }
    }
}

/// An event as it is stored.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its identity.
    pub id: EventId,
    /// The workflow whose run it was.
    pub workflow: WorkflowKey,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The event's wire form, as JSON text.
    pub body: String,
    /// What plan found in the history, frozen.
    pub past: Option<Past>,
}

impl StoredEvent {
    /// Gives the domain value, with the end time that was recorded.
    ///
    /// # Errors
    ///
    /// When the stored text does not load in this program.
    pub fn load(&self, registry: &Registry) -> Result<WorkflowEnded, Problems> {
        let unreadable = |err: serde_json::Error| {
            notify_core::Problem::new(
                notify_core::Code::WRONG_VALUE,
                notify_core::Path::root(),
                format!("the stored event does not load: {err}"),
            )
        };
        let wire: wire::WorkflowEnded = serde_json::from_str(&self.body).map_err(unreadable)?;
        let mut event = wire.load(registry)?;
        event.ended_at = Some(self.ended_at);
        Ok(event)
    }
}

/// The name of a frozen spec: the SHA-256 of its content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecDigest([u8; 32]);

impl SpecDigest {
    /// Takes the 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SpecDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(6)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A notification as it was when the event was planned: a reload cannot change what is recorded.
///
/// The recipients are part of it; the recipient of one delivery is part of the delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The name.
    pub digest: SpecDigest,
    /// The notification's long form.
    pub body: Value,
    /// The version of its options' form.
    pub options_version: u32,
}

impl Spec {
    /// Freezes a notification.
    pub fn freeze(notification: &Notification) -> Self {
        // `serde_json` keeps the keys of a map sorted, so equal notifications give equal text.
        let body = notification.to_value();
        let options_version = notification.options_version();
        let mut hash = Sha256::new();
        hash.update(options_version.to_be_bytes());
        hash.update(body.to_string());
        Self {
            digest: SpecDigest(hash.finalize().into()),
            body,
            options_version,
        }
    }

    /// Returns the kind that it was declared under, where that one
    /// [gave its recipients](notify_core::ProviderDescriptor::redirects) to another.
    pub fn declared_under(&self) -> Option<Kind> {
        let kind = self.body.get(DECLARED_UNDER)?.as_str()?;
        Kind::new(kind).ok()
    }
}

/// Derives a delivery's identity from its key, so that recording it again makes no second one.
pub fn delivery_id(event: EventId, spec: &SpecDigest, recipient: &Recipient) -> DeliveryId {
    let mut hash = Sha256::new();
    hash.update(event.uuid().as_bytes());
    hash.update(spec.as_bytes());
    hash.update(recipient.as_str());
    DeliveryId::from_uuid(digest_to_uuid(&hash.finalize().into()))
}

/// Derives the identity of what a success says by itself, beside the close that has the identity of
/// the key.
pub fn apart(id: DeliveryId) -> DeliveryId {
    let mut hash = Sha256::new();
    hash.update(b"apart");
    hash.update(id.uuid().as_bytes());
    DeliveryId::from_uuid(digest_to_uuid(&hash.finalize().into()))
}

fn digest_to_uuid(digest: &[u8; 32]) -> Uuid {
    let mut bytes = [0; 16];
    bytes
        .iter_mut()
        .zip(digest)
        .for_each(|(to, from)| *to = *from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// An event on its way out of planning.
#[derive(Clone, Debug)]
pub struct Aside {
    /// The event.
    pub event: EventId,
    /// [`EventState::Unmatched`] or [`EventState::Malformed`].
    pub state: EventState,
    /// Why.
    pub reason: String,
}

/// Events that wait to be planned.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// The events, the earliest first, and how long each has waited.
    pub events: Vec<(StoredEvent, Duration)>,
    /// What plan needs to know of each workflow among them.
    pub contexts: BTreeMap<WorkflowKey, PlanContext>,
}

/// What plan needs to know beside the event and the definitions.
#[derive(Clone, Debug, Default)]
pub struct PlanContext {
    /// The ends of the workflow so far.
    pub history: History,
    /// Conversations of the workflow that are planned or open.
    pub conversations: Vec<Conversation>,
}

impl PlanContext {
    /// Takes in what was planned for an end, for the planning of the workflow's next one.
    pub fn follow(&mut self, end: End, plan: &Plan) {
        let history = std::mem::take(&mut self.history);
        self.history = history.with(end);
        let order = (end.at, plan.event);
        for delivery in &plan.deliveries {
            let Some(key) = &delivery.conversation else {
                continue;
            };
            if delivery.action != Action::Open || delivery.state != NewState::Pending {
                continue;
            }
            let known = self
                .conversations
                .iter_mut()
                .find(|known| known.account == delivery.account && known.key == *key);
            match known {
                Some(known) => known.opened = known.opened.max(order),
                None => self.conversations.push(Conversation {
                    account: delivery.account.clone(),
                    key: key.clone(),
                    lane: delivery.lane.clone(),
                    recipient: delivery.recipient.clone(),
                    opened: order,
                    spec: Arc::clone(&delivery.spec),
                }),
            }
        }
    }
}

/// Something that one delivery opened and a later one may close.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The account that holds it.
    pub account: AccountId,
    /// Its key within the account.
    pub key: String,
    /// The lane of its deliveries.
    pub lane: String,
    /// To whom it belongs.
    pub recipient: Recipient,
    /// End time and event of the latest opening: an end before that does not close it.
    pub opened: (Timestamp, EventId),
    /// The spec of the delivery that opened it.
    pub spec: Arc<Spec>,
}

/// Everything that plan decided about waiting events of one workflow, to be stored together.
#[derive(Clone, Debug)]
pub struct WorkflowPlan {
    /// The workflow.
    pub workflow: WorkflowKey,
    /// The history with the ends of these events in it, on top of the version that plan saw.
    pub history: History,
    /// What was decided about each event, in the order in which it was.
    pub events: Vec<Plan>,
}

/// Everything that plan decided about one event.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The event.
    pub event: EventId,
    /// What was found in the history, to be frozen into the event.
    pub past: Past,
    /// The deliveries, those that are skipped among them.
    pub deliveries: Vec<NewDelivery>,
}

/// A delivery on its way into the ledger.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Its identity.
    pub id: DeliveryId,
    /// The frozen notification.
    pub spec: Arc<Spec>,
    /// What is done when nobody knows whether it arrived.
    pub if_unknown: IfUnknown,
    /// The account.
    pub account: AccountId,
    /// The lane within the account.
    pub lane: String,
    /// The recipient.
    pub recipient: Recipient,
    /// What it does to its conversation.
    pub action: Action,
    /// The conversation's key within the account.
    pub conversation: Option<String>,
    /// Whether a close that finds nothing open goes by itself, outside of the conversation.
    pub alone: bool,
    /// Whether it is to be sent.
    pub state: NewState,
}

/// Whether a new delivery is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewState {
    /// It is.
    Pending,
    /// It is not, for this reason.
    Skipped(String),
    /// A later end made it pointless, for this reason.
    Superseded(String),
}

/// What came of recording a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is stored.
    Done,
    /// Another engine planned for the workflow in between, and nothing was stored: plan again.
    LostRace,
}

/// A delivery that this engine may put on the wire until its lease ends.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The delivery.
    pub id: DeliveryId,
    /// The fencing token of the lease.
    pub token: i64,
    /// Attempts that counted so far.
    pub attempts: u32,
    /// Attempts of any kind so far.
    pub tries: u32,
    /// Since when the delivery is promised, as the store's clock sees it.
    pub age: Duration,
    /// What is done when nobody knows whether it arrived.
    pub if_unknown: IfUnknown,
    /// Whether an earlier attempt may have arrived.
    pub unsure: bool,
    /// The event.
    pub event: Arc<StoredEvent>,
    /// The frozen notification.
    pub spec: Arc<Spec>,
    /// The account.
    pub account: AccountId,
    /// The recipient.
    pub recipient: Recipient,
    /// What it does to its conversation.
    pub action: Action,
    /// The conversation's key.
    pub conversation: Option<String>,
    /// The receipt of the conversation's last delivery that arrived; `None` while it is not open.
    pub earlier: Option<Receipt>,
    /// What else this delivery stands for, where there was a storm.
    pub summary: Option<Summary>,
}

impl Leased {
    /// Returns the identity that goes on the wire.
    ///
    /// A summary has one of its own: it says more than the delivery that it is sent in place of,
    /// and that one may have been sent before.
    pub fn wire_id(&self) -> DeliveryId {
        let Some(summary) = &self.summary else {
            return self.id;
        };
        let mut hash = Sha256::new();
        hash.update(b"summary");
        hash.update(self.id.uuid().as_bytes());
        hash.update(summary.deliveries.to_be_bytes());
        DeliveryId::from_uuid(digest_to_uuid(&hash.finalize().into()))
    }
}

/// What a summary says in place of many deliveries to one recipient.
///
/// It is fixed when the summary is first leased, and the same on every attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many deliveries it stands for.
    pub deliveries: u64,
    /// How many of them tell of each phase.
    pub phases: BTreeMap<TerminalPhase, u64>,
    /// The workflows and phases of the first [`Self::NAMED`] of them.
    pub first: Vec<(WorkflowName, TerminalPhase)>,
    /// The earliest and the latest end among them.
    pub between: (Timestamp, Timestamp),
}

impl Summary {
    /// How many of its deliveries a summary names.
    pub const NAMED: usize = 10;

    /// How many deliveries one summary stands for at most; in a larger storm the rest goes as
    /// further ones.
    pub const MOST: usize = 5_000;
}

/// What came of settling a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is stored.
    Done,
    /// The lease was lost in between; nothing was changed.
    StaleLease,
}

/// Which deliveries are asked for.
#[derive(Clone, Debug)]
pub struct DeliveryQuery {
    /// Those of one event; `None` for all.
    pub event: Option<EventId>,
    /// These ones; empty for all.
    pub ids: Vec<DeliveryId>,
    /// Those in one of these states; empty for all.
    pub states: Vec<DeliveryState>,
    /// How many at most.
    pub most: usize,
}

impl DeliveryQuery {
    /// Asks for the latest deliveries.
    pub const fn latest(most: usize) -> Self {
        Self {
            event: None,
            ids: Vec::new(),
            states: Vec::new(),
            most,
        }
    }

    /// Asks for these deliveries.
    pub const fn these(ids: Vec<DeliveryId>) -> Self {
        Self {
            event: None,
            ids,
            states: Vec::new(),
            most: usize::MAX,
        }
    }

    /// Asks for all deliveries of one event.
    pub const fn of(event: EventId) -> Self {
        Self {
            event: Some(event),
            ids: Vec::new(),
            states: Vec::new(),
            most: usize::MAX,
        }
    }

    /// Asks only for what is in one of these states.
    #[must_use]
    pub fn states(mut self, states: &[DeliveryState]) -> Self {
        self.states = states.to_vec();
        self
    }
}

/// Which events are asked for.
#[derive(Clone, Debug)]
pub struct EventQuery {
    /// This one; `None` for all.
    pub event: Option<EventId>,
    /// Those in one of these states; empty for all.
    pub states: Vec<EventState>,
    /// How many at most.
    pub most: usize,
}

impl EventQuery {
    /// Asks for the latest events.
    pub const fn latest(most: usize) -> Self {
        Self {
            event: None,
            states: Vec::new(),
            most,
        }
    }

    /// Asks for one event.
    pub const fn of(event: EventId) -> Self {
        Self {
            event: Some(event),
            states: Vec::new(),
            most: 1,
        }
    }

    /// Asks only for what is in one of these states.
    #[must_use]
    pub fn states(mut self, states: &[EventState]) -> Self {
        self.states = states.to_vec();
        self
    }
}

/// One event, for people and programs that look into the ledger.
///
/// Names are plain texts: a malformed event is shown with what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The event.
    pub id: EventId,
    /// The project.
    pub project: String,
    /// The domain.
    pub domain: String,
    /// The execution's own name.
    pub execution: String,
    /// Its attempt.
    pub attempt: u32,
    /// The workflow.
    pub workflow: String,
    /// How it ended.
    pub phase: TerminalPhase,
    /// When it ended.
    pub ended_at: Timestamp,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Where it is.
    pub state: EventState,
    /// Why it is not planned, where it is not.
    pub reason: Option<String>,
}

/// One delivery, for people and programs that look into the ledger.
#[derive(Clone, Debug)]
pub struct DeliveryRecord {
    /// The delivery.
    pub id: DeliveryId,
    /// The event.
    pub event: EventId,
    /// The workflow.
    pub workflow: String,
    /// How it ended.
    pub phase: TerminalPhase,
    /// The account.
    pub account: AccountId,
    /// The recipient.
    pub recipient: Recipient,
    /// The kind that the recipient was declared under, where that one gave it to another.
    pub declared_under: Option<Kind>,
    /// What it does to its conversation.
    pub action: Action,
    /// Where it is.
    pub state: DeliveryState,
    /// Why it is there, where it is not delivered.
    pub reason: Option<String>,
    /// What sets it free, where it is held.
    pub release: Option<Release>,
    /// It waits for another delivery: an earlier one of its conversation, or the summary that tells
    /// of it.
    pub blocked: bool,
    /// Attempts of any kind.
    pub tries: u32,
    /// When it is tried next.
    pub not_before: Timestamp,
    /// What the vendor gave for it.
    pub receipt: Option<Receipt>,
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Events that wait to be planned.
    pub accepted: u64,
    /// Events that nobody could plan: unknown workflows and accounts, and what does not read.
    pub unplannable: u64,
    /// Events that told of another end of an attempt that had ended before.
    pub conflicts: u64,
    /// Deliveries that wait for their time.
    pub pending: u64,
    /// Deliveries that may be on the wire.
    pub leased: u64,
    /// Deliveries that wait for an account to work again, or for somebody to replay them.
    pub held: u64,
    /// How long until a lane or a lease is due; `None` where nothing waits.
    pub next_due: Option<Duration>,
}

impl Status {
    /// Tells whether nothing is left that delivers itself.
    pub const fn is_idle(&self) -> bool {
        self.accepted == 0 && self.pending == 0 && self.leased == 0
    }
}
