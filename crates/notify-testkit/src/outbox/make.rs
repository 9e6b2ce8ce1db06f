//! Events, deliveries, claims and outcomes in a few words.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use notify_core::notification::DECLARED_UNDER;
use notify_core::{
    AccountId, Action, Cause, Execution, IfUnknown, Outcome, Rate, Reason, Receipt, Recipient,
    Scope, TerminalPhase, Timestamp, WorkflowEnded, WorkflowName,
};
use notify_outbox::record::delivery_id;
use notify_outbox::{
    Claim, Decision, EventId, NewDelivery, NewEvent, NewState, Next, Pause, Release, Serve, Spec,
    SpecDigest, Wait, WorkflowKey,
};
use serde_json::json;

/// The account of deliveries that name none.
pub const ONE: &str = "fake.one";

/// Another account.
pub const TWO: &str = "fake.two";

/// Reads an account's name.
pub fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

/// Gives so many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Begins an event: a run of `etl` failed, and ended when it is accepted.
pub fn run(name: impl Display) -> Ended {
    Ended {
        project: "project".to_owned(),
        domain: "domain".to_owned(),
        workflow: "etl".to_owned(),
        run: format!("run-{name}"),
        attempt: 1,
        phase: TerminalPhase::Failed,
        at: None,
    }
}

/// An event on its way into the ledger.
#[derive(Clone, Debug)]
pub struct Ended {
    project: String,
    domain: String,
    workflow: String,
    run: String,
    attempt: u32,
    phase: TerminalPhase,
    at: Option<Timestamp>,
}

impl Ended {
    /// Names the project.
    #[must_use]
    pub fn project(mut self, project: &str) -> Self {
        project.clone_into(&mut self.project);
        self
    }

    /// Names the domain.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        domain.clone_into(&mut self.domain);
        self
    }

    /// Names the workflow.
    #[must_use]
    pub fn of(mut self, workflow: impl Display) -> Self {
        self.workflow = workflow.to_string();
        self
    }

    /// Sets which attempt ended.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets how it ended.
    #[must_use]
    pub fn phase(mut self, phase: TerminalPhase) -> Self {
        self.phase = phase;
        self
    }

    /// Says that it succeeded.
    #[must_use]
    pub fn succeeded(self) -> Self {
        self.phase(TerminalPhase::Succeeded)
    }

    /// Sets when it ended.
    #[must_use]
    pub fn at(mut self, instant: Timestamp) -> Self {
        self.at = Some(instant);
        self
    }

    /// Returns how it ended.
    pub const fn how(&self) -> TerminalPhase {
        self.phase
    }

    /// Names the workflow whose run it was.
    pub fn key(&self) -> WorkflowKey {
        WorkflowKey {
            project: self.project.clone(),
            domain: self.domain.clone(),
            workflow: WorkflowName::new(self.workflow.as_str()).unwrap(),
        }
    }

    /// Gives what the outbox accepts.
    pub fn new_event(&self, id: EventId) -> NewEvent {
        let workflow = self.key().workflow;
        let execution = Execution::new(&self.project, &self.domain, &self.run)
            .unwrap()
            .attempt(self.attempt);
        let event = WorkflowEnded::new(workflow.clone(), execution.clone(), self.phase);
        NewEvent {
            id,
            execution,
            workflow,
            phase: self.phase,
            ended_at: self.at,
            body: serde_json::to_string(&event.to_wire()).unwrap(),
        }
    }
}

/// Begins a delivery: a message through [`ONE`], in a lane of the recipient's name.
pub fn to(recipient: impl Display) -> Told {
    let recipient = recipient.to_string();
    Told {
        account: account(ONE),
        lane: recipient.clone(),
        recipient,
        action: Action::Send,
        conversation: None,
        alone: false,
        declared_under: None,
        if_unknown: IfUnknown::Resend,
        state: NewState::Pending,
    }
}

/// A delivery on its way into the ledger.
#[derive(Clone, Debug)]
pub struct Told {
    account: AccountId,
    lane: String,
    recipient: String,
    action: Action,
    conversation: Option<String>,
    alone: bool,
    declared_under: Option<String>,
    if_unknown: IfUnknown,
    state: NewState,
}

impl Told {
    /// Sends through another account.
    #[must_use]
    pub fn through(mut self, name: &str) -> Self {
        self.account = account(name);
        self
    }

    /// Puts it into another lane.
    #[must_use]
    pub fn lane(mut self, lane: impl Display) -> Self {
        self.lane = lane.to_string();
        self
    }

    /// Lets it open a conversation.
    #[must_use]
    pub fn opens(mut self, key: impl Display) -> Self {
        self.action = Action::Open;
        self.conversation = Some(key.to_string());
        self
    }

    /// Lets it close a conversation.
    #[must_use]
    pub fn closes(mut self, key: impl Display) -> Self {
        self.action = Action::Close;
        self.conversation = Some(key.to_string());
        self
    }

    /// Lets a close go by itself where nothing is open.
    #[must_use]
    pub fn or_alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Says that it was declared under another kind.
    #[must_use]
    pub fn declared_under(mut self, kind: &str) -> Self {
        self.declared_under = Some(kind.to_owned());
        self
    }

    /// Holds it when nobody knows whether it arrived.
    #[must_use]
    pub fn hold_if_unknown(mut self) -> Self {
        self.if_unknown = IfUnknown::Hold;
        self
    }

    /// Says that it is not to be sent.
    #[must_use]
    pub fn skipped(mut self, reason: &str) -> Self {
        self.state = NewState::Skipped(reason.to_owned());
        self
    }

    /// Tells whether another one is the same delivery, where both are of one event.
    pub fn is_like(&self, other: &Self) -> bool {
        self.recipient == other.recipient && self.spec() == other.spec()
    }

    /// Gives what is recorded for an event.
    pub fn new_delivery(&self, event: EventId) -> NewDelivery {
        let spec = Arc::new(self.spec());
        let recipient = Recipient::of(&self.recipient);
        NewDelivery {
            id: delivery_id(event, &spec.digest, &recipient),
            spec,
            if_unknown: self.if_unknown,
            account: self.account.clone(),
            lane: self.lane.clone(),
            recipient,
            action: self.action,
            conversation: self.conversation.clone(),
            alone: self.alone,
            state: self.state.clone(),
        }
    }

    /// Makes the frozen notification: one for each lane, action and conversation.
    fn spec(&self) -> Spec {
        let mut body = json!({
            "phases": TerminalPhase::ALL.map(TerminalPhase::name),
            "fake": {
                "to": ["everybody"],
                "account": self.account.name,
                "lane": self.lane,
                "action": self.action,
                "conversation": self.conversation,
            },
        });
        if let Some(kind) = &self.declared_under {
            body[DECLARED_UNDER] = json!(kind);
        }
        Spec {
            digest: digest(&body.to_string()),
            body,
            options_version: 1,
        }
    }
}

/// Tells texts apart, which is all that the suite wants of a digest.
fn digest(text: &str) -> SpecDigest {
    let mut bytes = [0; 32];
    for (salt, part) in (0_u64..).zip(bytes.chunks_mut(8)) {
        let basis = 0xcbf2_9ce4_8422_2325 ^ salt;
        let hash = text.bytes().fold(basis, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        part.copy_from_slice(&hash.to_be_bytes());
    }
    SpecDigest::from_bytes(bytes)
}

/// Begins a claim: for [`ONE`], with more room than any rule needs.
pub fn claim() -> Claiming {
    Claiming {
        accounts: vec![account(ONE)],
        room: 100,
        rate: None,
        collapse_after: None,
        lease: secs(30),
        most_per_lane: 100,
        max_age: Duration::from_hours(24),
    }
}

/// What an engine asks for.
#[derive(Clone, Debug)]
pub struct Claiming {
    accounts: Vec<AccountId>,
    room: usize,
    rate: Option<Rate>,
    collapse_after: Option<usize>,
    lease: Duration,
    most_per_lane: usize,
    max_age: Duration,
}

impl Claiming {
    /// Serves these accounts.
    #[must_use]
    pub fn of(mut self, accounts: &[&str]) -> Self {
        self.accounts = accounts.iter().copied().map(account).collect();
        self
    }

    /// Has so much room for each account.
    #[must_use]
    pub fn room(mut self, room: usize) -> Self {
        self.room = room;
        self
    }

    /// Goes so fast in each lane.
    #[must_use]
    pub fn rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Sends more than so many for one recipient as a summary.
    #[must_use]
    pub fn collapse_after(mut self, most: usize) -> Self {
        self.collapse_after = Some(most);
        self
    }

    /// Holds leases for so long.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sends so many of a lane at once.
    #[must_use]
    pub fn most_per_lane(mut self, most: usize) -> Self {
        self.most_per_lane = most;
        self
    }

    /// Gives up what is this old.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Gives what the outbox takes.
    pub fn claim(&self) -> Claim {
        let serve = |account: &AccountId| Serve {
            account: account.clone(),
            lease: self.lease,
            room: self.room,
            rate: self.rate,
            collapse_after: self.collapse_after,
        };
        Claim {
            serve: self.accounts.iter().map(serve).collect(),
            most_per_lane: self.most_per_lane,
            max_age: self.max_age,
        }
    }
}

/// What an attempt came to, and what that means.
#[derive(Clone, Debug)]
pub struct Came {
    /// What it came to.
    pub outcome: Outcome,
    /// What that means.
    pub decision: Decision,
}

impl Came {
    fn to(outcome: Outcome, next: Next, reason: Option<&str>) -> Self {
        let unsure = matches!(outcome, Outcome::Unknown { .. });
        Self {
            outcome,
            decision: Decision {
                next,
                counts: true,
                unsure,
                silent: false,
                wait: None,
                pause: None,
                reason: reason.map(str::to_owned),
            },
        }
    }

    /// Says that nobody answered.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.decision.silent = true;
        self
    }

    /// Says that the attempt does not count against the delivery.
    #[must_use]
    pub fn uncounted(mut self) -> Self {
        self.decision.counts = false;
        self
    }

    /// Lets others wait too.
    #[must_use]
    pub fn wait(mut self, scope: Scope, after: Duration) -> Self {
        self.decision.wait = Some(Wait { scope, after });
        self
    }

    /// Pauses the account.
    #[must_use]
    pub fn pause(self) -> Self {
        self.pauses(Scope::Account)
    }

    /// Pauses the lane alone.
    #[must_use]
    pub fn pause_lane(self) -> Self {
        self.pauses(Scope::Lane)
    }

    fn pauses(mut self, scope: Scope) -> Self {
        let reason = self.decision.reason.clone();
        self.decision.pause = reason.map(|reason| Pause { scope, reason });
        self
    }
}

/// The vendor took it and calls it `receipt-1`.
pub fn delivered() -> Came {
    delivered_as("receipt-1")
}

/// The vendor took it and calls it so.
pub(crate) fn delivered_as(receipt: &str) -> Came {
    let receipt = Receipt::new(receipt).fact("channel", "ops");
    let next = Next::Delivered(receipt.clone());
    Came::to(Outcome::Delivered(receipt), next, None)
}

/// The vendor has trouble; it is tried again after a while.
pub fn again(after: Duration) -> Came {
    let outcome = Outcome::not_delivered(Cause::Unavailable, "HTTP 500");
    let next = Next::Pending { after };
    Came::to(outcome, next, Some("unavailable: HTTP 500"))
}

/// Nobody knows whether it arrived; it is tried again after a while.
pub fn unknown(after: Duration) -> Came {
    let outcome = Outcome::unknown(Cause::Protocol, "cut off");
    let next = Next::Pending { after };
    Came::to(outcome, next, Some("unknown (protocol): cut off"))
}

/// The vendor will never take it.
pub fn rejected() -> Came {
    let outcome = Outcome::rejected(Reason::Destination, "no such channel");
    Came::to(
        outcome,
        Next::Rejected,
        Some("destination: no such channel"),
    )
}

/// The vendor had trouble for too long.
pub fn expired() -> Came {
    let outcome = Outcome::not_delivered(Cause::Unavailable, "HTTP 500");
    Came::to(outcome, Next::Expired, Some("gave up after 1d"))
}

/// The account's credentials are refused.
pub fn refused() -> Came {
    let outcome = Outcome::rejected(Reason::Auth, "invalid_auth");
    let next = Next::Held(Release::Account);
    Came::to(outcome, next, Some("auth: invalid_auth"))
}

/// Nobody knows whether it arrived, and it must not arrive twice.
pub fn doubtful() -> Came {
    let outcome = Outcome::unknown(Cause::Timeout, "30s");
    let next = Next::Held(Release::Replay);
    Came::to(outcome, next, Some("unknown (timeout): 30s"))
}
