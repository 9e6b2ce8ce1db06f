//! The contract between providers and the engine.
//!
//! A provider passes four stages, and each may do only what is listed:
//!
//! | stage | may | must not |
//! |---|---|---|
//! | load | fail with a place | look at the environment |
//! | validate | report *all* problems, give an [`Account`] | I/O, secrets, await, spawn |
//! | connect | take resolved secrets, make clients, give a [`Transport`] | spawn tasks, send |
//! | deliver | one attempt | retry, sleep, log secrets |

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::account::AccountId;
use crate::content::Message;
use crate::event::WorkflowEnded;
use crate::notification::{Notification, NotificationKind, Recipient};
use crate::outcome::{Outcome, Receipt, clean};
use crate::problem::{Malformed, Problem, Problems};
use crate::secret::{SecretRef, Secrets};
use crate::time::{Clock, Timestamp};

/// What a provider crate implements, on a unit type, to be described and registered.
pub trait Provider: 'static {
    /// The kind of notification that it delivers.
    type Kind: NotificationKind;
    /// The section `[accounts.KIND.NAME]`; it refuses unknown keys. Its schema tells
    /// editors of its keys; it is that of a struct.
    type Config: DeserializeOwned + JsonSchema;
    /// One line on what it does.
    const SUMMARY: &'static str;

    /// Validates a loaded section and gives the account.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the section, with paths from the section's root.
    fn account(id: AccountId, config: Self::Config) -> Result<Arc<dyn Account>, Problems>;
}

/// One configured instance of a provider: pure, without secrets, without waiting.
///
/// It answers every question that load, plan and preview ask.
pub trait Account: fmt::Debug + Send + Sync {
    /// Says what the account can do beside sending.
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    /// Finds out where a recipient's deliveries queue, and whether they form a conversation.
    ///
    /// # Errors
    ///
    /// When the account cannot reach the recipient; called at load for every declared one. A problem
    /// of an option has its path, from what stands under the kind; any other is the recipient's.
    fn target(&self, notification: &Notification, to: &Recipient) -> Result<Target, Problem>;

    /// Lowers a message to the vendor's form, within the vendor's limits, without secrets.
    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload;

    /// Says how fast the vendor takes deliveries, as data; nobody waits in here.
    fn limits(&self) -> Limits {
        Limits::none()
    }

    /// Lists what is allowed in the section and unwise, with paths from its root.
    fn warnings(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Lists who is told where a notification names nobody.
    fn default_recipients(&self) -> Vec<Recipient> {
        Vec::new()
    }

    /// Tells whether what one event gives the notification's recipients goes in one attempt: one
    /// mail to all of them. What is due at another time goes in another attempt. Asked where the
    /// account [`batches`](Capabilities::batches).
    fn together(&self, _notification: &Notification) -> bool {
        false
    }

    /// Says in words what to do about an outcome that this vendor is known for: which scope is
    /// missing, who has to be invited. What is said of a refusal stands on record with it.
    fn explain(&self, _outcome: &Outcome) -> Option<String> {
        None
    }

    /// Returns how long one attempt may take; after that its outcome is unknown.
    fn deadline(&self) -> Duration;

    /// Lists the secrets that [`connect`](Self::connect) needs.
    fn secrets(&self) -> Vec<&SecretRef>;

    /// Makes the transport. Opens no connection yet.
    ///
    /// # Errors
    ///
    /// When a client cannot be made of what was resolved: a malformed token, an unreadable CA file.
    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Malformed>;
}

/// A connected account: the only thing that does I/O.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Makes one attempt and gives one outcome for each delivery, in order. No retry, no sleep.
    ///
    /// The future may be dropped at any point; nothing may run on after that.
    async fn deliver(&self, cx: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome>;

    /// Asks the vendor what came of an earlier attempt whose outcome is unknown.
    ///
    /// Called before such a delivery is sent again, where the account
    /// [`reconciles`](Capabilities::reconciles); under the same rules as [`deliver`](Self::deliver).
    async fn reconcile(&self, _cx: &DeliveryContext<'_>, _delivery: &Prepared) -> Reconciled {
        Reconciled::Unknown
    }

    /// Tries the way to the vendor and sends nothing: connection, credentials, what they allow.
    /// Ends with the first stage that fails; under the same rules as [`deliver`](Self::deliver).
    ///
    /// `to` are those who are to be reached: what is of others, as a key for each, is not tried.
    async fn check(&self, _cx: &DeliveryContext<'_>, _to: &[Recipient]) -> Vec<Stage> {
        Vec::new()
    }
}

/// One stage of the way to a vendor, tried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stage {
    /// What was tried: `connect`, `auth.test`.
    pub name: String,
    /// What the vendor said, or what was found; cleaned and bounded.
    pub said: String,
    /// What a delivery would come to here; `None` where the stage was passed.
    pub outcome: Option<Outcome>,
}

impl Stage {
    /// States that a stage was passed.
    pub fn passed(name: impl Into<String>, said: impl AsRef<str>) -> Self {
        Self {
            name: name.into(),
            said: clean(said.as_ref()),
            outcome: None,
        }
    }

    /// States that nothing goes beyond a stage.
    pub fn failed(name: impl Into<String>, outcome: Outcome) -> Self {
        let said = match &outcome {
            Outcome::Delivered(_) => String::new(),
            Outcome::NotDelivered { detail, .. }
            | Outcome::Rejected { detail, .. }
            | Outcome::Unknown { detail, .. } => detail.clone(),
        };
        Self {
            name: name.into(),
            said,
            outcome: Some(outcome),
        }
    }
}

/// What the vendor knows of a delivery whose outcome was unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// It arrived.
    Delivered(Receipt),
    /// It did not arrive.
    NotDelivered,
    /// The vendor cannot say.
    Unknown,
}

/// What an account can do, as data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// A success ends what was opened: an incident is closed, a thread gets its last message.
    pub closes: bool,
    /// The vendor can say whether an earlier attempt arrived.
    pub reconciles: bool,
    /// Several deliveries of one event may go in one attempt; see [`Account::together`].
    pub batches: bool,
}

impl Capabilities {
    /// Returns the capabilities of an account that sends and does no more.
    pub const fn none() -> Self {
        Self {
            closes: false,
            reconciles: false,
            batches: false,
        }
    }

    /// Adds that a success ends what was opened.
    #[must_use]
    pub const fn closes(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Adds that several deliveries of one event may go in one attempt.
    #[must_use]
    pub const fn batches(mut self) -> Self {
        self.batches = true;
        self
    }

    /// Adds that the vendor can say whether an earlier attempt arrived.
    #[must_use]
    pub const fn reconciles(mut self) -> Self {
        self.reconciles = true;
        self
    }
}

/// How fast a vendor takes deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// For each lane; `None` where the vendor names no limit.
    pub lane: Option<Rate>,
}

impl Limits {
    /// Returns the limits of a vendor that names none.
    pub const fn none() -> Self {
        Self { lane: None }
    }

    /// Limits each lane.
    #[must_use]
    pub const fn lane(mut self, rate: Rate) -> Self {
        self.lane = Some(rate);
        self
    }
}

/// A steady rate with room for a burst: the generic cell rate algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time between two deliveries when they come steadily.
    pub every: Duration,
    /// How many may go at once after a rest; at least one.
    pub burst: NonZeroU32,
}

impl Rate {
    /// States a rate; a burst of zero counts as one.
    pub const fn new(every: Duration, burst: u32) -> Self {
        let burst = match NonZeroU32::new(burst) {
            Some(burst) => burst,
            None => NonZeroU32::MIN,
        };
        Self { every, burst }
    }

    /// Returns how far ahead of the steady rate a burst may run.
    fn tolerance(self) -> Duration {
        self.every.saturating_mul(self.burst.get() - 1)
    }

    /// Returns how many deliveries may go now, if the next one may go at `next`.
    pub fn allowed(self, next: Timestamp, now: Timestamp) -> u32 {
        if now < next {
            return 0;
        }
        let every = self.every.as_micros().max(1);
        let more = now.since(next).min(self.tolerance()).as_micros() / every;
        u32::try_from(more).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Returns when the next delivery may go, after `sent` of them went now.
    pub fn next(self, next: Timestamp, now: Timestamp, sent: u32) -> Timestamp {
        // A rest earns the burst and no more.
        let rested = now.before(self.tolerance());
        next.max(rested).after(self.every.saturating_mul(sent))
    }
}

/// Where a recipient's deliveries queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// What a wait applies to, within the account: a channel, a routing key, nothing.
    pub lane: String,
    /// Which ends belong together, where the account holds conversations.
    pub conversation: Option<Continuity>,
    /// What becomes of a success that the notification names, in a conversation.
    pub success: Success,
}

impl Target {
    /// Names a lane without conversations.
    pub fn lane(lane: impl Into<String>) -> Self {
        Self {
            lane: lane.into(),
            conversation: None,
            success: Success::Closes,
        }
    }

    /// Adds which ends belong together.
    #[must_use]
    pub fn conversation(mut self, continuity: Continuity) -> Self {
        self.conversation = Some(continuity);
        self
    }

    /// Says what becomes of a success that the notification names.
    #[must_use]
    pub fn success(mut self, success: Success) -> Self {
        self.success = success;
        self
    }
}

/// What becomes of a success that a notification names, where ends form a conversation.
///
/// A success ends what is open, named or not; this is about what else it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Success {
    /// Nothing: where nothing is open, there is nothing to say. An incident.
    #[default]
    Closes,
    /// Where nothing is open, it goes by itself, outside of any conversation. A thread.
    Ends,
    /// It goes by itself in any case. An incident and a change event.
    Apart,
}

/// Which ends belong to one conversation with a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// All ends of the workflow.
    Workflow,
    /// All ends of the execution.
    Execution,
}

/// What a delivery does to its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// There is no conversation.
    Send,
    /// Opens one, or adds to the open one.
    Open,
    /// Ends the open one: the last delivery to it.
    Close,
}

impl Action {
    /// Returns the action's name in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Open => "open",
            Self::Close => "close",
        }
    }
}

/// The identity of a delivery: the same on every attempt, different from every other's.
///
/// In text `ntf_` and 32 hexadecimal digits; vendors that want a UUID get [`DeliveryId::uuid`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeliveryId(Uuid);

impl DeliveryId {
    /// Takes a UUID.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Returns the UUID.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ntf_{}", self.0.simple())
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<DeliveryId> for String {
    fn from(id: DeliveryId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for DeliveryId {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl FromStr for DeliveryId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        text.strip_prefix("ntf_")
            .and_then(|digits| Uuid::try_parse(digits).ok())
            .map(Self)
            .ok_or_else(|| Malformed::new("not a delivery id").help("it looks like `ntf_0192…`"))
    }
}

/// One notification for one recipient of one event: what a payload is made for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Delivery<'a> {
    /// The delivery's identity.
    pub id: DeliveryId,
    /// What it does to its conversation.
    pub action: Action,
    /// The conversation's key: at most 255 ASCII characters, the same for all its deliveries.
    pub conversation: Option<&'a str>,
    /// The receipt of the conversation's last delivery that arrived; `None` while it is not open.
    pub earlier: Option<&'a Receipt>,
    /// The event.
    pub event: &'a WorkflowEnded,
    /// The declared notification.
    pub notification: &'a Notification,
    /// The recipient.
    pub recipient: &'a Recipient,
    /// When the workflow ended: the same on every attempt, so that a payload is too.
    pub at: Timestamp,
}

impl<'a> Delivery<'a> {
    /// Describes a delivery outside a conversation.
    pub fn new(
        id: DeliveryId,
        event: &'a WorkflowEnded,
        notification: &'a Notification,
        recipient: &'a Recipient,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            action: Action::Send,
            conversation: None,
            earlier: None,
            event,
            notification,
            recipient,
            at,
        }
    }

    /// Puts the delivery into a conversation.
    #[must_use]
    pub fn in_conversation(mut self, key: &'a str, action: Action) -> Self {
        self.conversation = Some(key);
        self.action = action;
        self
    }

    /// Adds the receipt of what went before it in the conversation.
    #[must_use]
    pub fn after(mut self, earlier: &'a Receipt) -> Self {
        self.earlier = Some(earlier);
        self
    }
}

/// A message in the vendor's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body, without any secret.
    pub body: Bytes,
}

impl Payload {
    /// Takes a JSON body.
    pub fn json(body: &impl Serialize) -> Self {
        Self {
            content_type: "application/json",
            body: serde_json::to_vec(body).unwrap_or_default().into(),
        }
    }
}

/// A delivery that is ready to be sent.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The delivery's identity, for the vendor's idempotency aid.
    pub id: DeliveryId,
    /// The recipient.
    pub recipient: Recipient,
    /// The message.
    pub payload: Payload,
}

/// What surrounds an attempt.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DeliveryContext<'a> {
    /// Which attempt it is, counted from one.
    pub attempt: u32,
    /// The time.
    pub clock: &'a dyn Clock,
}

impl<'a> DeliveryContext<'a> {
    /// Describes an attempt.
    pub fn new(attempt: u32, clock: &'a dyn Clock) -> Self {
        Self { attempt, clock }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lets_a_burst_through_and_then_one_at_a_time() {
        let second = Duration::from_secs(1);
        let rate = Rate::new(second, 3);
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let (mut next, mut gone) = (at(0), Vec::new());
        for second in [100, 100, 101, 102, 105, 200] {
            let allowed = rate.allowed(next, at(second));
            next = rate.next(next, at(second), allowed);
            gone.push(allowed);
        }
        assert_eq!(gone, [3, 0, 1, 1, 3, 3]);
        assert_eq!(rate.allowed(next, at(200)), 0);
        assert_eq!(next, at(201));
    }

    #[test]
    fn whatever_is_asked_a_rate_is_kept() {
        let rate = Rate::new(Duration::from_millis(500), 4);
        let (mut next, mut gone) = (Timestamp::from_micros(0), 0);
        for tenth in 0..600 {
            let now = Timestamp::from_micros(1_000_000_000 + tenth * 100_000);
            let sent = rate
                .allowed(next, now)
                .min(1 + u32::try_from(tenth % 3).unwrap());
            if sent > 0 {
                next = rate.next(next, now, sent);
            }
            gone += sent;
        }
        // Two each second for a minute, and the burst.
        assert!((120..=124).contains(&gone), "{gone}");
    }
}
