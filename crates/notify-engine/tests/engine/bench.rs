//! One outbox file, a clock that is moved by hand, and a provider that does as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use notify_core::outcome::Reason;
use notify_core::schema::JsonSchema;
use notify_core::secret::{ExposeSecret, SecretString};
use notify_core::{
    Account, AccountId, Accounts, Capabilities, Clock, Config, Continuity, Delivery,
    DeliveryContext, Execution, Failure, Limits, Malformed, Message, Notification,
    NotificationKind, NotificationOptions, Outcome, Payload, Phases, Prepared, Problem, Problems,
    Provider, ProviderDescriptor, Rate, Receipt, Recipient, Reconciled, Registry, SecretError,
    SecretRef, SecretSource, Secrets, Success, Target, TerminalPhase, Timestamp, Transport,
    Workflow, WorkflowEnded, WorkflowName,
};
use notify_engine::{Builder, Engine, Settings};
use notify_outbox::{DeliveryQuery, DeliveryRecord, DeliveryState, Status};
use notify_outbox_sqlite::SqliteOutbox;
use serde::{Deserialize, Serialize};

/// What the next attempts to one recipient do.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    Give(Outcome),
    Panic,
    Hang,
}

/// Everything that reached the vendor: recipient, delivery, what it was about.
#[derive(Debug, Default)]
pub(crate) struct Vendor {
    pub(crate) scripts: BTreeMap<String, VecDeque<Script>>,
    pub(crate) seen: Vec<(String, String, String)>,
    /// Tokens that it takes no more.
    pub(crate) revoked: Vec<String>,
    /// The token that is in the secret store.
    pub(crate) token: String,
    /// What each of them said beside the headline.
    pub(crate) details: Vec<Vec<String>>,
    /// How many deliveries each attempt was for.
    pub(crate) attempts: Vec<usize>,
    /// What it says of attempts that nobody knows the outcome of.
    pub(crate) remembers: Option<Reconciled>,
}

/// Tests run side by side in one process, so each has a vendor of its own, found by account name.
pub(crate) fn vendors() -> &'static Mutex<BTreeMap<String, Arc<Mutex<Vendor>>>> {
    static VENDORS: OnceLock<Mutex<BTreeMap<String, Arc<Mutex<Vendor>>>>> = OnceLock::new();
    VENDORS.get_or_init(Mutex::default)
}

pub(crate) fn vendor(account: &str) -> Arc<Mutex<Vendor>> {
    let mut vendors = vendors().lock().unwrap();
    Arc::clone(vendors.entry(account.to_owned()).or_default())
}

pub(crate) struct Fake;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "notify_core::schemars")]
pub(crate) struct FakeOptions {}

impl NotificationOptions for FakeOptions {}

#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(crate = "notify_core::schemars")]
pub(crate) struct Topic(pub(crate) String);

impl std::fmt::Display for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Topic {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<&str> for Topic {
    type Error = Malformed;

    fn try_from(text: &str) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl NotificationKind for Fake {
    const KIND: &'static str = "fake";
    type Options = FakeOptions;
    type Recipient = Topic;
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "notify_core::schemars")]
pub(crate) struct FakeConfig {
    #[serde(default)]
    closes: bool,
    #[serde(default)]
    one_a_second: bool,
    /// What a named success does: `ends` or `apart`.
    success: Option<String>,
    /// Whether all recipients of a notification are told at once.
    #[serde(default)]
    together: bool,
    token: SecretRef,
}

#[derive(Debug)]
pub(crate) struct FakeAccount {
    id: AccountId,
    config: FakeConfig,
}

#[derive(Debug)]
pub(crate) struct FakeTransport(Arc<Mutex<Vendor>>, String);

impl Provider for Fake {
    type Kind = Self;
    type Config = FakeConfig;
    const SUMMARY: &'static str = "does as it is told";

    fn account(id: AccountId, config: FakeConfig) -> Result<Arc<dyn Account>, Problems> {
        Ok(Arc::new(FakeAccount { id, config }))
    }
}

impl Account for FakeAccount {
    fn capabilities(&self) -> Capabilities {
        let vendor = vendor(self.id.name.as_str());
        let reconciles = vendor.lock().unwrap().remembers.is_some();
        let can = match (self.config.closes, reconciles) {
            (true, _) => Capabilities::none().closes(),
            (false, true) => Capabilities::none().reconciles(),
            (false, false) => Capabilities::none(),
        };
        if self.config.together {
            can.batches()
        } else {
            can
        }
    }

    fn together(&self, _: &Notification) -> bool {
        self.config.together
    }

    fn limits(&self) -> Limits {
        if self.config.one_a_second {
            Limits::none().lane(Rate::new(Duration::from_secs(1), 1))
        } else {
            Limits::none()
        }
    }

    fn target(&self, _: &Notification, to: &Recipient) -> Result<Target, Problem> {
        let target = Target::lane(to.as_str());
        Ok(if self.config.closes {
            target.conversation(Continuity::Workflow).success(
                match self.config.success.as_deref() {
                    Some("ends") => Success::Ends,
                    Some("apart") => Success::Apart,
                    _ => Success::Closes,
                },
            )
        } else {
            target
        })
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        let lines: Vec<String> = message
            .blocks
            .iter()
            .map(|one| format!("{one:?}"))
            .collect();
        let (action, headline) = (delivery.action.name(), &message.headline);
        let earlier = delivery.earlier.filter(|_| self.config.success.is_some());
        let earlier = earlier.map(|receipt| format!(" after {receipt}"));
        let earlier = earlier.unwrap_or_default();
        Payload::json(&(format!("{action} {headline}{earlier}"), lines))
    }

    fn explain(&self, outcome: &Outcome) -> Option<String> {
        matches!(outcome, Outcome::Rejected { detail, .. } if detail == "HTTP 410")
            .then(|| "ask for another address".to_owned())
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        vec![&self.config.token]
    }

    fn deadline(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        let token = secrets.get(&self.config.token)?.expose_secret().to_owned();
        Ok(Arc::new(FakeTransport(
            vendor(self.id.name.as_str()),
            token,
        )))
    }
}

#[async_trait]
impl Transport for FakeTransport {
    async fn deliver(&self, _: &DeliveryContext<'_>, batch: &[Prepared]) -> Vec<Outcome> {
        self.0.lock().unwrap().attempts.push(batch.len());
        let mut outcomes = Vec::new();
        for prepared in batch {
            outcomes.push(self.one(prepared).await);
        }
        outcomes
    }

    async fn reconcile(&self, _: &DeliveryContext<'_>, _: &Prepared) -> Reconciled {
        let remembers = self.0.lock().unwrap().remembers.clone();
        remembers.unwrap_or(Reconciled::Unknown)
    }
}

impl FakeTransport {
    async fn one(&self, prepared: &Prepared) -> Outcome {
        let script = {
            let mut vendor = self.0.lock().unwrap();
            let to = prepared.recipient.to_string();
            let body: (String, Vec<String>) =
                serde_json::from_slice(&prepared.payload.body).unwrap();
            vendor
                .seen
                .push((to.clone(), prepared.id.to_string(), body.0));
            vendor.details.push(body.1);
            if vendor.revoked.contains(&self.1) {
                return Outcome::rejected(Reason::Auth, "token_revoked");
            }
            vendor.scripts.get_mut(&to).and_then(VecDeque::pop_front)
        };
        match script {
            None => Outcome::Delivered(Receipt::new("ok")),
            Some(Script::Give(outcome)) => outcome,
            Some(Script::Panic) => panic!("the provider is broken"),
            Some(Script::Hang) => std::future::pending().await,
        }
    }
}

/// The secret store of one vendor's account.
#[derive(Debug)]
pub(crate) struct Store(String);

impl SecretSource for Store {
    fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
        Ok(vendor(&self.0).lock().unwrap().token.clone().into())
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct HandClock(Mutex<Timestamp>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// One outbox file and one vendor; engines come and go.
pub(crate) struct Bench {
    pub(crate) account: String,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) workflow: &'static str,
    pub(crate) closes: bool,
    pub(crate) one_a_second: bool,
    pub(crate) success: Option<&'static str>,
    pub(crate) together: bool,
    pub(crate) notifications: Vec<Notification>,
}

pub(crate) fn registry() -> Registry {
    Registry::of([ProviderDescriptor::of::<Fake>("fake-provider")]).unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(1_000_000_000_000_000 + second * 1_000_000)
}

pub(crate) fn told(phases: impl Into<Phases>, topics: &[&str]) -> Notification {
    let (first, more) = topics.split_first().unwrap();
    let spec = Fake::on(phases).to(Topic((*first).to_owned()));
    more.iter()
        .fold(spec, |spec, topic| spec.and(*topic).unwrap())
        .into()
}

pub(crate) fn templated(phases: impl Into<Phases>, topic: &str, source: &str) -> Notification {
    Fake::on(phases)
        .to(Topic(topic.to_owned()))
        .template(source)
        .into()
}

impl Bench {
    pub(crate) fn new(account: &str, notifications: Vec<Notification>) -> Self {
        Self {
            account: account.to_owned(),
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(HandClock(Mutex::new(at(1000)))),
            workflow: "etl",
            closes: false,
            one_a_second: false,
            success: None,
            together: false,
            notifications,
        }
    }

    pub(crate) fn closing(account: &str, notifications: Vec<Notification>) -> Self {
        Self {
            closes: true,
            ..Self::new(account, notifications)
        }
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("notify.db")
    }

    pub(crate) fn outbox(&self) -> SqliteOutbox {
        SqliteOutbox::open(&self.path(), Arc::clone(&self.clock) as Arc<dyn Clock>).unwrap()
    }

    pub(crate) fn config(&self) -> Config {
        let section = serde_json::json!({"fake": {&self.account: {
            "closes": self.closes,
            "success": self.success,
            "together": self.together,
            "one_a_second": self.one_a_second,
            "token": {"env": "TOKEN"},
        }}});
        let accounts = Accounts::load(&registry(), &section).unwrap();
        let workflow = self.notifications.iter().fold(
            Workflow::new(self.workflow).unwrap(),
            |workflow, notification| workflow.notify(notification.clone()),
        );
        Config::new(
            vec![workflow],
            accounts,
            Arc::new(Store(self.account.clone())),
        )
        .unwrap()
    }

    pub(crate) fn builder(&self) -> Builder {
        Engine::builder(registry())
            .config(self.config())
            .outbox(self.outbox())
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .settings(Settings::default())
    }

    pub(crate) fn engine(&self) -> Engine {
        self.builder().start().unwrap()
    }

    pub(crate) fn script(&self, topic: &str, script: Script) {
        let vendor = vendor(&self.account);
        let mut vendor = vendor.lock().unwrap();
        vendor
            .scripts
            .entry(topic.to_owned())
            .or_default()
            .push_back(script);
    }

    /// What reached the vendor, without the ids.
    pub(crate) fn seen(&self) -> Vec<(String, String)> {
        let vendor = vendor(&self.account);
        let seen = &vendor.lock().unwrap().seen;
        seen.iter()
            .map(|(to, _, body)| (to.clone(), body.clone()))
            .collect()
    }

    /// How many deliveries each attempt was for.
    pub(crate) fn attempts(&self) -> Vec<usize> {
        vendor(&self.account).lock().unwrap().attempts.clone()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        let vendor = vendor(&self.account);
        let seen = &vendor.lock().unwrap().seen;
        seen.iter().map(|(_, id, _)| id.clone()).collect()
    }

    /// Changes the token in the secret store; the vendor takes the old one no more.
    pub(crate) fn rotate(&self, new: &str) {
        let vendor = vendor(&self.account);
        let mut vendor = vendor.lock().unwrap();
        let old = std::mem::replace(&mut vendor.token, new.to_owned());
        vendor.revoked.push(old);
    }

    pub(crate) fn remembers(&self, what: Reconciled) {
        vendor(&self.account).lock().unwrap().remembers = Some(what);
    }

    /// What the latest message said beside its headline.
    pub(crate) fn details(&self) -> Vec<String> {
        let vendor = vendor(&self.account);
        let details = &vendor.lock().unwrap().details;
        details.last().cloned().unwrap()
    }

    pub(crate) fn set_back(&self, time: Duration) {
        let mut now = self.clock.0.lock().unwrap();
        *now = now.before(time);
    }

    pub(crate) fn pass(&self, time: Duration) {
        let mut now = self.clock.0.lock().unwrap();
        *now = now.after(time);
    }
}

pub(crate) fn ended(run: &str, phase: TerminalPhase, second: i64) -> WorkflowEnded {
    let execution = Execution::new("p", "d", run).unwrap();
    WorkflowEnded::new(WorkflowName::new("etl").unwrap(), execution, phase)
        .ended_at(at(second))
        .failure(Failure::new("it broke"))
}

pub(crate) async fn drain(engine: &Engine) -> Status {
    engine.drain(Duration::ZERO).await.unwrap()
}

pub(crate) async fn states(engine: &Engine) -> Vec<(String, DeliveryState)> {
    let records = engine
        .deliveries(DeliveryQuery::latest(1000))
        .await
        .unwrap();
    records
        .iter()
        .map(|record| (record.recipient.to_string(), record.state))
        .collect()
}

pub(crate) async fn only(engine: &Engine) -> DeliveryRecord {
    let mut records = engine.deliveries(DeliveryQuery::latest(2)).await.unwrap();
    assert_eq!(records.len(), 1, "{records:?}");
    records.remove(0)
}
