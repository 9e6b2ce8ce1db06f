//! The vendors of a simulated world: one kind, whose accounts do what their mood says.

use std::cell::RefCell;
use std::fmt;
use std::future::pending;
use std::panic::resume_unwind;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use notify_core::schema::JsonSchema;
use notify_core::{
    Account, AccountId, Capabilities, Cause, Continuity, Delivery, DeliveryContext, Limits,
    Malformed, Message, Notification, NotificationKind, NotificationOptions, Outcome, Payload,
    Prepared, Problem, Problems, Provider, Reason, Receipt, Recipient, Reconciled, Scope,
    SecretRef, Secrets, Target, Transport,
};
use serde::{Deserialize, Serialize};

use super::rng::Rng;
use super::scene::AccountPlan;
use super::world::{World, pause};

thread_local! {
    /// The world that this thread simulates: accounts are loaded by a function without context.
    static WORLD: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
}

/// Makes a world the one that accounts are loaded into.
pub(crate) fn enter(world: Option<Arc<World>>) {
    WORLD.with(|entered| *entered.borrow_mut() = world);
}

/// The kind, and its provider.
pub(crate) struct Sim;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "notify_core::schemars")]
pub(crate) struct SimOptions {}

impl NotificationOptions for SimOptions {}

#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(crate = "notify_core::schemars")]
pub(crate) struct Name(String);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Ok(Self(text.to_owned()))
    }
}

impl NotificationKind for Sim {
    const KIND: &'static str = "sim";
    type Options = SimOptions;
    type Recipient = Name;
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "notify_core::schemars")]
pub(crate) struct SimConfig {
    index: usize,
    engine: u32,
}

impl Provider for Sim {
    type Kind = Self;
    type Config = SimConfig;
    const SUMMARY: &'static str = "does as its mood says";

    fn account(_: AccountId, config: SimConfig) -> Result<Arc<dyn Account>, Problems> {
        let world = WORLD.with(|entered| entered.borrow().clone());
        let world = world.expect("accounts are loaded while a world runs");
        let plan = world.state().model.accounts[config.index].plan.clone();
        Ok(Arc::new(SimAccount {
            world,
            plan,
            index: config.index,
            engine: config.engine,
        }))
    }
}

/// An account as one engine has it.
#[derive(Clone)]
struct SimAccount {
    world: Arc<World>,
    plan: AccountPlan,
    index: usize,
    engine: u32,
}

impl fmt::Debug for SimAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.plan.id)
    }
}

impl Account for SimAccount {
    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::none();
        if self.plan.closes.is_some() {
            can = can.closes();
        }
        if self.plan.reconciles {
            can = can.reconciles();
        }
        can
    }

    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        let target = Target::lane(if self.plan.one_lane { "" } else { to.as_str() });
        Ok(match self.plan.closes {
            Some("workflow") => target.conversation(Continuity::Workflow),
            Some(_) => target.conversation(Continuity::Execution),
            None => target,
        }
        .success(self.plan.success))
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        let said = (
            delivery.action.name(),
            delivery.conversation,
            delivery.recipient.as_str(),
            &message.headline,
            delivery.at,
        );
        Payload::json(&said)
    }

    fn limits(&self) -> Limits {
        match self.plan.rate {
            Some(rate) => Limits::none().lane(rate),
            None => Limits::none(),
        }
    }

    fn deadline(&self) -> Duration {
        self.plan.deadline
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        Vec::new()
    }

    fn connect(&self, _: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        let mood = self.world.state().mood(self.index, None);
        if mood == Mood::NoWay {
            return Err(Malformed::new("the settings are wrong"));
        }
        Ok(Arc::new(self.clone()))
    }
}

/// What an account, or a lane of it, is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Healthy,
    Slow,
    Flaky,
    Down,
    Silent,
    Storm,
    LosesReplies,
    NoAuth,
    NoWay,
    Picky,
    Panicky,
}

impl Mood {
    /// Every mood that is a trouble.
    pub(crate) const TROUBLE: [Self; 10] = [
        Self::Slow,
        Self::Flaky,
        Self::Down,
        Self::Silent,
        Self::Storm,
        Self::LosesReplies,
        Self::NoAuth,
        Self::NoWay,
        Self::Picky,
        Self::Panicky,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Slow => "slow",
            Self::Flaky => "flaky",
            Self::Down => "down",
            Self::Silent => "silent",
            Self::Storm => "storm",
            Self::LosesReplies => "loses replies",
            Self::NoAuth => "no auth",
            Self::NoWay => "no way to connect",
            Self::Picky => "picky",
            Self::Panicky => "panicky",
        }
    }

    /// Draws what an attempt meets.
    fn meets(self, plan: &AccountPlan, rng: &mut Rng) -> Meets {
        let sure = |takes, reply| Meets {
            before: Duration::ZERO,
            takes,
            after: Duration::ZERO,
            reply,
        };
        let ok = sure(true, Reply::Delivered);
        let deadline = u64::try_from(plan.deadline.as_millis()).expect("short");
        let lane_or_account = |rng: &mut Rng| {
            if rng.chance(70) {
                Scope::Lane
            } else {
                Scope::Account
            }
        };
        let mut met = match self {
            Self::Healthy | Self::NoWay => ok,
            Self::Slow => Meets {
                before: rng.millis(0, deadline * 2 / 3),
                after: rng.millis(0, deadline * 2 / 3),
                ..ok
            },
            Self::Flaky => match rng.between(0, 5) {
                0 => sure(false, Reply::Refused(Cause::Unavailable, None)),
                1 => sure(false, Reply::Refused(Cause::Connect, None)),
                2 => sure(rng.chance(50), Reply::Unknown(Cause::Protocol)),
                3 => sure(rng.chance(50), Reply::Nothing),
                _ => ok,
            },
            Self::Down => match rng.between(0, 3) {
                0 => sure(
                    false,
                    Reply::Refused(Cause::Unavailable, Some(rng.millis(100, 90_000))),
                ),
                1 => sure(false, Reply::Refused(Cause::Unavailable, None)),
                _ => sure(false, Reply::Refused(Cause::Connect, None)),
            },
            Self::Silent => sure(rng.chance(20), Reply::Nothing),
            Self::Storm => {
                let asks = rng.chance(70).then(|| rng.millis(100, 120_000));
                match rng.between(0, 4) {
                    0 => ok,
                    _ => sure(false, Reply::Throttled(asks, lane_or_account(rng))),
                }
            }
            Self::LosesReplies => match rng.between(0, 3) {
                0 => ok,
                1 => sure(true, Reply::Nothing),
                _ => sure(true, Reply::Unknown(Cause::Timeout)),
            },
            Self::NoAuth => sure(false, Reply::Rejected(Reason::Auth, lane_or_account(rng))),
            Self::Picky => match rng.between(0, 3) {
                0 => sure(false, Reply::Rejected(Reason::Payload, Scope::Account)),
                1 => sure(false, Reply::Rejected(Reason::Destination, Scope::Lane)),
                2 => sure(false, Reply::Rejected(Reason::Policy, Scope::Lane)),
                _ => ok,
            },
            Self::Panicky => match rng.between(0, 3) {
                0 => sure(rng.chance(50), Reply::Panic),
                1 => sure(rng.chance(50), Reply::Odd(rng.index(2) * 2)),
                _ => ok,
            },
        };
        if self != Self::Slow && rng.chance(60) {
            met.before = rng.millis(0, deadline.min(60));
            met.after = rng.millis(0, deadline.min(60));
        }
        met
    }
}

/// What one attempt meets.
#[derive(Clone, Copy, Debug)]
struct Meets {
    before: Duration,
    takes: bool,
    after: Duration,
    reply: Reply,
}

#[derive(Clone, Copy, Debug)]
enum Reply {
    Delivered,
    Refused(Cause, Option<Duration>),
    Throttled(Option<Duration>, Scope),
    Unknown(Cause),
    Rejected(Reason, Scope),
    Nothing,
    Panic,
    /// So many outcomes for one delivery.
    Odd(usize),
}

impl Reply {
    const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused(..) => "refused",
            Self::Throttled(..) => "throttled",
            Self::Unknown(_) => "unknown",
            Self::Rejected(..) => "rejected",
            Self::Nothing => "nothing",
            Self::Panic => "panic",
            Self::Odd(_) => "odd",
        }
    }

    /// Returns how long the vendor wants to be left alone.
    const fn asks(self) -> Option<(Duration, Scope)> {
        match self {
            Self::Refused(_, Some(after)) => Some((after, Scope::Lane)),
            Self::Throttled(Some(after), scope) => Some((after, scope)),
            _ => None,
        }
    }

    fn outcomes(self) -> Vec<Outcome> {
        let scoped = |outcome: Outcome, scope| match scope {
            Scope::Lane => outcome.in_lane(),
            Scope::Account => outcome,
        };
        match self {
            Self::Delivered => vec![Outcome::Delivered(Receipt::new("taken"))],
            Self::Refused(cause, after) => {
                let mut outcome = Outcome::not_delivered(cause, "not now");
                if let Outcome::NotDelivered { retry_after, .. } = &mut outcome {
                    *retry_after = after;
                }
                vec![outcome]
            }
            Self::Throttled(after, scope) => vec![Outcome::throttled("slow down", after, scope)],
            Self::Unknown(cause) => vec![Outcome::unknown(cause, "cut off")],
            Self::Rejected(reason, scope) => {
                vec![scoped(Outcome::rejected(reason, "never"), scope)]
            }
            Self::Nothing | Self::Panic => Vec::new(),
            Self::Odd(count) => vec![Outcome::Delivered(Receipt::new("odd")); count],
        }
    }
}

#[async_trait]
impl Transport for SimAccount {
    async fn deliver(&self, _: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        let prepared = &batch[0];
        let draw = |mood: Mood, rng: &mut Rng| {
            let met = mood.meets(&self.plan, rng);
            (met, met.reply.name())
        };
        let begun = self.world.begins(self.engine, self.index, prepared, draw);
        let Some((attempt, met)) = begun else {
            return pending().await;
        };
        pause(met.before).await;
        if met.takes && !attempt.takes() {
            return pending().await;
        }
        pause(met.after).await;
        if let Some((after, scope)) = met.reply.asks() {
            attempt.asks(after, scope);
        }
        match met.reply {
            Reply::Nothing => pending().await,
            // Without the hook, which would print.
            Reply::Panic => resume_unwind(Box::new("the provider is broken")),
            reply => reply.outcomes(),
        }
    }

    async fn reconcile(&self, _: &DeliveryContext<'_>, prepared: &Prepared) -> Reconciled {
        let asked = self.world.reconciles(self.engine, prepared.id);
        let Some((arrived, mood, draw)) = asked else {
            return pending().await;
        };
        match (mood, arrived, draw) {
            (Mood::Silent, ..) => pending().await,
            (_, _, 0..30) => Reconciled::Unknown,
            (Mood::Panicky, _, 30..50) => resume_unwind(Box::new("the provider is broken")),
            (_, true, _) => Reconciled::Delivered(Receipt::new("found")),
            (_, false, _) => Reconciled::NotDelivered,
        }
    }
}
