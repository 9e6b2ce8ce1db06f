//! Where a case meets a provider: samples, vendors, attempts, and a clock that waits for the wire.
//!
//! Timers of the provider run on tokio's paused clock, so that no case waits for time. While an
//! answer may be under way, a blocking task keeps the clock from running on by itself; once the
//! vendor has fallen silent, the clock leaps from timer to timer.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use notify_core::content::{Block, Field, Inline, Severity};
use notify_core::{
    Account, AccountId, Action, Clock, Delivery, DeliveryContext, DeliveryId, Execution, Failure,
    Message, Notification, Outcome, Payload, Prepared, ProviderDescriptor, Receipt, Recipient,
    Registry, Secrets, Target, TerminalPhase, Timestamp, Transport, WorkflowEnded, WorkflowName,
};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking, yield_now};
use tokio::time::{Instant, advance, timeout};
use uuid::Uuid;

use crate::HandClock;
use crate::fake::{Progress, Refusing, Unopened};
use crate::provider::case::{Held, miss, skip};
use crate::provider::fixture::{At, Fixture, Limit, Live, Vault};
use crate::provider::log::Log;
use crate::provider::wire::{Documented, Scene, Vendor, Wire};

/// How long a case waits, in real time, for what loopback and a sound provider do at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a provider may take beyond its deadline before the suite cuts it off, in its own time.
const GRACE: Duration = Duration::from_millis(500);

/// The word that every sample's headline holds.
pub(crate) const MARK: &str = "conformance";

/// One case's view of the fixture.
#[derive(Debug)]
pub(crate) struct Bench {
    fixture: Arc<Fixture>,
    pub(crate) log: Log,
    pub(crate) clock: HandClock,
    nobody: Refusing,
}

impl Bench {
    pub(crate) fn new(fixture: Arc<Fixture>, log: Log) -> Self {
        let clock = HandClock::at("2026-11-20T23:57:46Z".parse().unwrap());
        Self {
            fixture,
            log,
            clock,
            nobody: Refusing::start(),
        }
    }

    pub(crate) fn fixture(&self) -> &Fixture {
        &self.fixture
    }

    /// An address where nobody is, for cases that need none.
    pub(crate) fn nowhere(&self) -> At {
        At(self.nobody.address())
    }

    /// What every other case builds on is missed by its own case alone.
    pub(crate) fn registry(&self) -> Held<&Registry> {
        let why = "no registry takes the descriptor: see `kind_is_a_name_that_files_hold` and \
                   `option_keys_are_free`";
        self.fixture.registry.as_ref().map_err(|_| skip(why))
    }

    pub(crate) fn descriptor(&self) -> Held<&ProviderDescriptor> {
        let kind = self.fixture.kind.as_str();
        self.registry()?
            .get(kind)
            .ok_or_else(|| miss("looked up the kind", format!("`{kind}`"), "nothing"))
    }

    pub(crate) fn account_id(&self) -> Held<AccountId> {
        let text = format!("{}.conformance", self.fixture.kind);
        text.parse()
            .map_err(|why| miss("named an account of the kind", &text, format!("{why}")))
    }

    pub(crate) fn account(&self, at: At) -> Held<Arc<dyn Account>> {
        let section = self.fixture.section(at);
        let loaded = self
            .descriptor()?
            .load_account(self.account_id()?, &section);
        loaded.map_err(|_| skip("the fixture's section does not load: see `section_loads`"))
    }

    pub(crate) fn notification(&self) -> Held<Notification> {
        let why = "the fixture's notification does not load: see `notification_loads`";
        self.notification_of(self.fixture.body())
            .map_err(|_| skip(why))
    }

    pub(crate) fn notification_of(&self, body: &Value) -> Held<Notification> {
        let declared = self.fixture.declared(body);
        let loaded = self.registry()?.load_notification(&declared);
        loaded.map_err(|problems| {
            miss(
                format!("loaded the notification {declared}"),
                "a notification",
                problems.to_string(),
            )
        })
    }

    pub(crate) fn recipient(&self) -> Held<Recipient> {
        Ok(self.notification()?.recipients()[0].clone())
    }

    pub(crate) fn target(&self, account: &dyn Account) -> Held<Target> {
        self.target_of(&self.recipient()?, account)
    }

    fn target_of(&self, to: &Recipient, account: &dyn Account) -> Held<Target> {
        let notification = self.notification()?;
        let why = "the account does not reach the recipient: see `recipient_is_reached`";
        account.target(&notification, to).map_err(|_| skip(why))
    }

    pub(crate) fn payload(
        &self,
        account: &dyn Account,
        sample: &Sample,
        message: &Message,
    ) -> Held<Payload> {
        self.payload_to(&self.recipient()?, account, sample, message)
    }

    pub(crate) fn payload_to(
        &self,
        to: &Recipient,
        account: &dyn Account,
        sample: &Sample,
        message: &Message,
    ) -> Held<Payload> {
        let notification = self.notification()?;
        let target = self.target_of(to, account)?;
        let delivery = Delivery::new(sample.id, &sample.event, &notification, to, sample.at);
        let delivery = match &target.conversation {
            Some(_) => delivery.in_conversation(&sample.conversation, sample.action),
            None => delivery,
        };
        let delivery = match &sample.earlier {
            Some(earlier) => delivery.after(earlier),
            None => delivery,
        };
        Ok(account.payload(&delivery, message))
    }

    pub(crate) fn vault(&self, at: At) -> Held<Vault> {
        let vault = self.fixture.secrets(at);
        if vault.0.is_empty() {
            return Err(skip("the fixture has no secret"));
        }
        Ok(vault)
    }

    pub(crate) fn resolved(&self, account: &dyn Account, at: At) -> Secrets {
        Secrets::resolve(account.secrets(), &self.fixture.secrets(at))
    }

    pub(crate) fn wire(&self) -> Held<&dyn Wire> {
        let wire = self.fixture.wire.as_deref();
        wire.ok_or_else(|| skip("the fixture has no wire"))
    }

    pub(crate) fn documented(&self) -> Held<Vec<Documented>> {
        let documented = self.wire()?.documented();
        if documented.is_empty() {
            return Err(skip("the fixture's wire documents no answer"));
        }
        Ok(documented)
    }

    /// Finds the number of a documented answer that refuses one delivery for good.
    pub(crate) fn a_rejection(&self) -> Held<usize> {
        self.documented()?
            .iter()
            .position(|answer| answer.expected.is_rejection())
            .ok_or_else(|| skip("the fixture's wire documents no answer that is `rejected`"))
    }

    pub(crate) fn limits(&self) -> Held<&[Limit]> {
        let limits = self.fixture.limits.as_slice();
        if limits.is_empty() {
            return Err(skip("the fixture states no limit of the vendor's"));
        }
        Ok(limits)
    }

    pub(crate) fn live(&self) -> Held<&[Live]> {
        let live = self.fixture.live.as_slice();
        if live.is_empty() {
            return Err(skip("the fixture names no text that the vendor acts on"));
        }
        Ok(live)
    }

    /// Connects the account to a vendor that plays a scene.
    pub(crate) fn stage(&self, scene: &Scene) -> Held<Stage<'_>> {
        let vendor = self.wire()?.play(scene);
        let vendor = vendor.ok_or_else(|| skip(format!("the wire knows no scene {scene:?}")))?;
        self.connected(At(vendor.address()), Backdrop::Vendor(vendor))
    }

    /// Connects the account to where nobody listens.
    pub(crate) fn refused(&self) -> Held<Stage<'_>> {
        self.wire()?;
        self.connected(self.nowhere(), Backdrop::Nobody)
    }

    /// Connects the account to where connections are neither taken nor refused.
    pub(crate) fn unopened(&self) -> Held<Stage<'_>> {
        self.wire()?;
        let unopened = Unopened::start();
        self.connected(At(unopened.address()), Backdrop::Unopened(unopened))
    }

    /// Connects the account of a provider that has no wire, or that needs none here.
    pub(crate) fn offstage(&self) -> Held<Stage<'_>> {
        self.connected(self.nowhere(), Backdrop::Nobody)
    }

    fn connected(&self, at: At, backdrop: Backdrop) -> Held<Stage<'_>> {
        let account = self.account(at)?;
        let secrets = self.resolved(&*account, at);
        let why = "the account does not connect: see `good_secrets_connect`";
        let transport = account.connect(&secrets).map_err(|_| skip(why))?;
        Ok(Stage {
            bench: self,
            at,
            account,
            transport,
            backdrop,
        })
    }

    /// Waits in real time; `None` when it took too long.
    pub(crate) async fn patiently<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        let mut stopped = Stopped::clock();
        match select(pin!(what), pin!(stopped.tired())).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }
}

/// What is at the address that the account sends to.
enum Backdrop {
    Vendor(Box<dyn Vendor>),
    Nobody,
    /// Held as long as the stage is.
    Unopened(#[expect(dead_code, reason = "only to be held")] Unopened),
}

/// A connected account and a vendor.
pub(crate) struct Stage<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) at: At,
    pub(crate) account: Arc<dyn Account>,
    pub(crate) transport: Arc<dyn Transport>,
    backdrop: Backdrop,
}

/// What came of one call of `deliver`.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) outcomes: Vec<Outcome>,
    /// Whether it ended within the account's deadline, and not by the suite's hand.
    pub(crate) in_time: bool,
}

impl Attempt {
    /// Takes the one outcome of a batch of one.
    pub(crate) fn only(mut self) -> Held<Outcome> {
        match self.outcomes.pop() {
            Some(outcome) if self.outcomes.is_empty() => Ok(outcome),
            last => Err(miss(
                "delivered a batch of one",
                "one outcome",
                format!("{:?} and {last:?}", self.outcomes),
            )),
        }
    }
}

impl Stage<'_> {
    pub(crate) fn vendor(&self) -> Held<&dyn Vendor> {
        match &self.backdrop {
            Backdrop::Vendor(vendor) => Ok(&**vendor),
            _ => Err(skip("there is no vendor in this case")),
        }
    }

    /// Prepares a delivery of the sample of this number.
    pub(crate) fn prepared(&self, number: u128, message: &Message) -> Held<Prepared> {
        self.prepared_to(&self.bench.recipient()?, number, message)
    }

    /// Prepares a delivery of the sample of this number to one of the recipients.
    pub(crate) fn prepared_to(
        &self,
        to: &Recipient,
        number: u128,
        message: &Message,
    ) -> Held<Prepared> {
        let sample = Sample::numbered(number);
        let account = &*self.account;
        Ok(Prepared {
            id: sample.id,
            recipient: to.clone(),
            payload: self.bench.payload_to(to, account, &sample, message)?,
        })
    }

    /// Delivers the first sample, as a first attempt.
    pub(crate) async fn deliver(&self) -> Held<Outcome> {
        let attempt = self.attempt(&[self.prepared(1, &message(MARK))?]).await?;
        attempt.only()
    }

    pub(crate) async fn attempt(&self, batch: &[Prepared]) -> Held<Attempt> {
        self.attempt_with(batch, 1, &self.bench.clock).await
    }

    /// Makes one attempt as the engine does: under the account's deadline, panics caught.
    pub(crate) async fn attempt_with(
        &self,
        batch: &[Prepared],
        number: u32,
        clock: &dyn Clock,
    ) -> Held<Attempt> {
        let came = self.attempt_raw(batch, number, clock).await;
        came.map_err(|panic| {
            miss(
                format!("delivered a batch of {}", batch.len()),
                "outcomes",
                format!("a panic: {}", words_of(&*panic)),
            )
        })
    }

    /// The same, with a panic as the inner error.
    pub(crate) async fn attempt_raw(
        &self,
        batch: &[Prepared],
        number: u32,
        clock: &dyn Clock,
    ) -> Result<Attempt, Box<dyn Any + Send>> {
        let deadline = self.account.deadline();
        let cx = DeliveryContext::new(number, clock);
        let begun = Instant::now();
        let work = AssertUnwindSafe(self.transport.deliver(&cx, batch)).catch_unwind();
        let work = pin!(timeout(deadline + GRACE, work));
        let nurse = pin!(self.nurse(deadline));
        let came = match select(work, nurse).await {
            Either::Left((came, _)) => came,
            Either::Right((never, _)) => match never {},
        };
        match came {
            Ok(Ok(outcomes)) => Ok(Attempt {
                outcomes,
                in_time: begun.elapsed() <= deadline,
            }),
            Ok(Err(panic)) => Err(panic),
            Err(_) => Ok(Attempt {
                outcomes: vec![Outcome::unknown(
                    notify_core::Cause::Timeout,
                    "cut off by the suite",
                )],
                in_time: false,
            }),
        }
    }

    /// Keeps the clock where it is while the vendor is busy, and lets it run once it is not.
    async fn nurse(&self, deadline: Duration) -> std::convert::Infallible {
        let stopped = Stopped::clock();
        let before = self.vendor().map_or(0, |vendor| vendor.progress().silent);
        match &self.backdrop {
            Backdrop::Vendor(vendor) => loop {
                let wanted = |seen: &Progress| seen.silent > before || seen.thirsty;
                if vendor.until(&wanted).await.silent > before {
                    break;
                }
                // A byte now and then: each comes in time, and the last one never.
                vendor.let_out(1);
                vendor.until(&|seen| seen.thirsty).await;
                for _ in 0..16 {
                    yield_now().await;
                }
                advance(deadline / 16).await;
            },
            Backdrop::Unopened(_) => {}
            Backdrop::Nobody => {
                std::future::pending::<()>().await;
            }
        }
        drop(stopped);
        std::future::pending().await
    }

    /// Begins an attempt, waits until the vendor has heard of it, and drops it there.
    ///
    /// Gives `false` where the attempt was over before.
    pub(crate) async fn cancelled(&self, batch: &[Prepared]) -> Held<bool> {
        let cx = DeliveryContext::new(1, &self.bench.clock);
        let vendor = self.vendor()?;
        let heard = vendor.until(&|seen| seen.silent > 0);
        let work = AssertUnwindSafe(self.transport.deliver(&cx, batch)).catch_unwind();
        let (work, heard) = (pin!(work), pin!(heard));
        match self.bench.patiently(select(work, heard)).await {
            Some(Either::Right(_)) => Ok(true),
            Some(Either::Left(_)) => Ok(false),
            None => Err(miss(
                "delivered to a vendor that hears the request and answers nothing",
                "a request",
                "none",
            )),
        }
    }
}

/// Returns how many tasks the runtime has; those that have ended by themselves are gone.
pub(crate) async fn tasks(most: usize) -> usize {
    for _ in 0..500 {
        if Handle::current().metrics().num_alive_tasks() <= most {
            break;
        }
        yield_now().await;
    }
    Handle::current().metrics().num_alive_tasks()
}

/// The words of a panic.
pub(crate) fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without words").to_owned()
}

/// Keeps tokio's paused clock from running on by itself, for a while of real time.
struct Stopped {
    go: Option<mpsc::Sender<()>>,
    waiting: JoinHandle<()>,
}

impl Stopped {
    /// Stops the clock: the runtime does not leap to its next timer while a blocking task runs.
    fn clock() -> Self {
        let (go, gone) = mpsc::channel();
        let waiting = spawn_blocking(move || {
            gone.recv_timeout(PATIENCE).ok();
        });
        Self {
            go: Some(go),
            waiting,
        }
    }

    /// Waits until it has been stopped for too long.
    async fn tired(&mut self) {
        (&mut self.waiting).await.ok();
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.go.take();
    }
}

/// One delivery's event and identity.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) id: DeliveryId,
    pub(crate) event: WorkflowEnded,
    pub(crate) conversation: String,
    pub(crate) action: Action,
    pub(crate) earlier: Option<Receipt>,
    pub(crate) at: Timestamp,
}

impl Sample {
    /// Makes the sample of this number: another delivery of another execution.
    pub(crate) fn numbered(number: u128) -> Self {
        Self::saying(number, "row 4 has no price")
    }

    /// Makes a sample whose execution failed with these words.
    pub(crate) fn saying(number: u128, words: &str) -> Self {
        let workflow = WorkflowName::new("nightly-etl").unwrap();
        let run = format!("run-{number}");
        let execution = Execution::new("analytics", "production", run).unwrap();
        let event = WorkflowEnded::new(workflow, execution, TerminalPhase::Failed);
        Self {
            id: DeliveryId::from_uuid(Uuid::from_u128(0x0192_c0de_0000_7000_8000 << 48 | number)),
            event: event.failure(Failure::new(words)),
            conversation: format!("conversation{number}"),
            action: Action::Open,
            earlier: None,
            at: "2026-11-20T23:57:46Z".parse().unwrap(),
        }
    }

    /// Lets a delivery of this receipt go before it in the conversation.
    pub(crate) fn after(mut self, earlier: Receipt) -> Self {
        self.earlier = Some(earlier);
        self
    }

    pub(crate) fn closing(mut self) -> Self {
        self.action = Action::Close;
        self
    }
}

/// A message with a part of every sort; `mark` is in its headline.
pub(crate) fn message(mark: &str) -> Message {
    with_words(mark, "It took 2h 5m.")
}

/// The same message with these words in every other place.
pub(crate) fn with_words(mark: &str, words: &str) -> Message {
    let item = |text: &str| vec![Inline::plain(text)];
    Message::new(format!("nightly-etl failed {mark}"), Severity::Error)
        .block(Block::text(words))
        .block(Block::Heading(item(words)))
        .block(Block::Items {
            ordered: false,
            items: vec![item(words), item("clean")],
        })
        .block(Block::Fields(vec![Field {
            label: "Attempt".to_owned(),
            value: words.to_owned(),
        }]))
        .block(Block::Code(words.to_owned()))
        .action("Open run", "https://example.com/run/17")
        .footer(words)
}
