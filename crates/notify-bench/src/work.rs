//! The work: one event becomes one post to a Slack webhook.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify_core::secret::{SecretError, SecretRef, SecretSource, SecretString};
use notify_core::{
    Account, AccountId, Accounts, Capabilities, Config, Delivery, Execution, Limits, Malformed,
    Message, Notification, NotificationKind, Outcome, Payload, Problem, Recipient, Registry,
    Secrets, Slack, SystemClock, Target, TerminalPhase, Transport, Workflow, WorkflowEnded,
    WorkflowName, channel, phases,
};
use notify_engine::{Engine, Settings};
use notify_outbox::MemoryOutbox;
use notify_outbox_sqlite::SqliteOutbox;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Result;

/// What precedes the number in an execution's name.
pub(crate) const RUN: &str = "run-";

/// The workflow whose posts the sink turns away while it is closed.
pub(crate) const CLOSED: &str = "closed-etl";

/// A template as people write them.
pub(crate) const TEMPLATE: &str = "\
**{{ workflow }}** {{ phase_words }} in run `{{ execution.name }}` of {{ execution.project }}/{{ execution.domain }}.

{% if failure %}
> {{ failure.message }}
{% else %}
The scheduler gives no reason.
{% endif %}
";

/// Where the ledger is.
#[derive(Clone, Debug)]
pub(crate) enum Ledger {
    Memory,
    Sqlite(PathBuf),
}

/// How the engine is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) ledger: Ledger,
    pub(crate) webhook: String,
    pub(crate) in_flight: usize,
    pub(crate) templated: bool,
    pub(crate) workflows: usize,
}

impl Setup {
    /// Starts an engine with an account that no vendor's rate holds back.
    pub(crate) fn engine(&self) -> Result<Engine> {
        let registry = Registry::of([notify_slack::DESCRIPTOR])?;
        let id: AccountId = "slack.bench".parse()?;
        let section = json!({"webhook_url": {"env": "WEBHOOK"}});
        let account = notify_slack::DESCRIPTOR.load_account(id.clone(), &section)?;
        let accounts = Accounts::default().with(id, Arc::new(Unlimited(account)));
        let mut workflows = Vec::new();
        for index in 0..self.workflows {
            let told = Slack::on(phases![Failed]).to(channel!("#data-alerts"));
            let told = if self.templated {
                told.template(TEMPLATE)
            } else {
                told
            };
            workflows.push(Workflow::new(workflow(index))?.notify(told));
        }
        let closed = Slack::on(phases![Failed]).to(channel!("#closed"));
        workflows.push(Workflow::new(CLOSED)?.notify(closed));
        let config = Config::new(workflows, accounts, Arc::new(Hook(self.webhook.clone())))?;
        let settings = Settings {
            in_flight: self.in_flight,
            in_flight_per_lane: self.in_flight,
            collapse_after: None,
            ..Settings::default()
        };
        let builder = Engine::builder(registry).config(config).settings(settings);
        let builder = match &self.ledger {
            Ledger::Memory => builder.outbox(MemoryOutbox::new(Arc::new(SystemClock))),
            Ledger::Sqlite(path) => {
                builder.outbox(SqliteOutbox::open(path, Arc::new(SystemClock))?)
            }
        };
        Ok(builder.start()?)
    }
}

fn workflow(index: usize) -> String {
    format!("etl-{index:03}")
}

/// Makes events whose posts have about 800 bytes.
pub(crate) fn events(numbers: Range<usize>, workflows: usize) -> Result<Vec<WorkflowEnded>> {
    numbers
        .map(|index| event(&workflow(index % workflows.max(1)), index))
        .collect()
}

/// Makes events for the lane that can be closed.
pub(crate) fn closed_events(count: usize) -> Result<Vec<WorkflowEnded>> {
    // Beyond all others, so that no execution ends twice.
    let numbers = (0..count).map(|index| 90_000_000 - index);
    numbers.map(|number| event(CLOSED, number)).collect()
}

fn event(workflow: &str, number: usize) -> Result<WorkflowEnded> {
    let run = Execution::new("analytics", "production", format!("{RUN}{number:08}"))?;
    Ok(WorkflowEnded::new(
        WorkflowName::new(workflow)?,
        run,
        TerminalPhase::Failed,
    ))
}

/// Tells an engine of events, by so many callers at once.
pub(crate) async fn accept(
    engine: &Engine,
    events: Vec<WorkflowEnded>,
    callers: usize,
) -> Result<()> {
    let events = Arc::new(Mutex::new(events.into_iter()));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (engine, events) = (engine.clone(), Arc::clone(&events));
        tasks.spawn(async move {
            loop {
                let next = events.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(event) = next else {
                    return Ok::<(), notify_engine::EngineError>(());
                };
                engine.workflow_ended(event).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// An account without the vendor's rate, whose lanes are its recipients.
#[derive(Debug)]
struct Unlimited(Arc<dyn Account>);

#[deny(clippy::missing_trait_methods)]
impl Account for Unlimited {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn target(&self, notification: &Notification, to: &Recipient) -> Result<Target, Problem> {
        self.0.target(notification, to)?;
        Ok(Target::lane(to.as_str()))
    }

    fn payload(&self, delivery: &Delivery<'_>, message: &Message) -> Payload {
        self.0.payload(delivery, message)
    }

    fn limits(&self) -> Limits {
        Limits::none()
    }

    fn warnings(&self) -> Vec<Problem> {
        self.0.warnings()
    }

    fn default_recipients(&self) -> Vec<Recipient> {
        self.0.default_recipients()
    }

    fn together(&self, notification: &Notification) -> bool {
        self.0.together(notification)
    }

    fn explain(&self, outcome: &Outcome) -> Option<String> {
        self.0.explain(outcome)
    }

    fn deadline(&self) -> Duration {
        self.0.deadline()
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        self.0.secrets()
    }

    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Malformed> {
        self.0.connect(secrets)
    }
}

/// The one secret there is.
#[derive(Debug)]
struct Hook(String);

impl SecretSource for Hook {
    fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
        Ok(self.0.clone().into())
    }
}
