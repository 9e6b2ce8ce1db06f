//! `notify test`: a real message through one account, to see that it arrives.

mod shown;

use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use notify_sandbox::Use;
use serde_json::{Map, Value, json};
use workflow_notify::SqliteOutbox;
use workflow_notify::core::content::{Block, Severity};
use workflow_notify::core::{
    Account, AccountId, AccountName, Cause, Clock, Code, Delivery, DeliveryContext, DeliveryId,
    Execution, Kind, Malformed, Message, Notification, Outcome, Path, Prepared, Problem, Problems,
    Reason, Recipient, Secrets, Stage, SystemClock, TerminalPhase, Transport, WorkflowEnded,
    WorkflowName,
};
use workflow_notify::engine::{Random, SystemRandom};
use workflow_notify::files::{Diagnostic, Outbox as OutboxUrl};
use workflow_notify::outbox::record::delivery_id;
use workflow_notify::outbox::{EventId, Outbox, Spec};

use self::shown::{Sent, Shown, Tested};
use crate::args::TestArgs;
use crate::draw::draw;
use crate::exit;
use crate::report;
use crate::sandbox::Local;
use crate::setup::{self, Refused, Setup};

/// Whose run the message tells of.
const WORKFLOW: &str = "notify-test";

/// An account by kind and name, or the default one of a kind.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    kind: Kind,
    name: Option<AccountName>,
}

impl FromStr for Named {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text.contains('.') {
            let AccountId { kind, name } = text.parse()?;
            return Ok(Self {
                kind,
                name: Some(name),
            });
        }
        let kind = Kind::new(text)?;
        Ok(Self { kind, name: None })
    }
}

pub(crate) async fn test(args: TestArgs) -> ExitCode {
    let prepared = async {
        let sandbox = if args.sandbox {
            Some(Local::start_temporary(in_sandbox(&args)).await?)
        } else {
            None
        };
        let settings = sandbox
            .as_ref()
            .map_or(&args.config.path, |it| &it.settings);
        let setup = setup::load(&[], settings)?;
        let test = Test::prepare(&setup, &args)?;
        Ok::<_, Refused>((sandbox, setup, test))
    };
    let Ok((sandbox, setup, test)) = prepared.await else {
        return exit::WRONG_INPUT.into();
    };
    let mut tested = test.run(&setup).await;
    if tested.has_arrived() {
        tested.released = release(&setup, &test.id).await;
    }
    let is_written = tested.tell(args.json);
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    if tested.has_arrived() && is_written {
        ExitCode::SUCCESS
    } else {
        exit::LEFT.into()
    }
}

/// Says what the test needs of a sandbox: each recipient, or an account that names one.
fn in_sandbox(args: &TestArgs) -> Vec<Use> {
    let name = args.account.name.as_ref();
    let account = name.map_or("default".to_owned(), ToString::to_string);
    let of = |recipient: &str| Use {
        kind: args.account.kind.to_string(),
        account: account.clone(),
        recipient: recipient.to_owned(),
    };
    if args.to.is_empty() {
        return vec![of("")];
    }
    args.to.iter().map(|recipient| of(recipient)).collect()
}

/// Everything that a test needs.
struct Test {
    id: AccountId,
    account: Arc<dyn Account>,
    notification: Notification,
}

impl Test {
    /// Finds the account and those who are told; what is wrong is said as of a file.
    fn prepare(setup: &Setup, args: &TestArgs) -> Result<Self, Refused> {
        let (id, account) = account(setup, &args.account)?;
        let notification = notification(setup, &id, &*account, args)?;
        let mut problems = Problems::none();
        for recipient in notification.recipients() {
            if let Err(problem) = account.target(&notification, recipient) {
                problems.push(problem);
            }
        }
        if !problems.is_empty() {
            return Err(refuse(&problems));
        }
        Ok(Self {
            id,
            account,
            notification,
        })
    }

    /// Connects, tries the way to the vendor and sends; ends with the first thing that fails.
    async fn run(&self, setup: &Setup) -> Tested {
        let secrets = self.secrets(setup).await;
        let mut tested = Tested::new(self.id.clone());
        let transport = match self.connect(&secrets) {
            Ok(transport) => transport,
            Err(outcome) => {
                tested.add(self.shown(Stage::failed("secrets", outcome), &secrets));
                return tested;
            }
        };
        for stage in self.check(&*transport).await {
            tested.add(self.shown(stage, &secrets));
        }
        if tested.is_passed() {
            for recipient in self.notification.recipients() {
                let (id, outcome) = self.send(&*transport, recipient).await;
                let fix = self.account.explain(&outcome);
                let sent = Sent::new(id, recipient, &outcome, fix);
                tested.deliveries.push(sent.masked(&secrets));
            }
        }
        tested
    }

    /// Reads the account's secrets, on a thread that may wait.
    async fn secrets(&self, setup: &Setup) -> Secrets {
        let source = Arc::clone(setup.config().secret_source());
        let references: Vec<_> = self.account.secrets().into_iter().cloned().collect();
        let read = move || Secrets::resolve(&references, &*source);
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }

    fn connect(&self, secrets: &Secrets) -> Result<Arc<dyn Transport>, Outcome> {
        self.account.connect(secrets).map_err(|why| {
            let help = why.help.map(|help| format!("; {help}"));
            let said = format!("{}{}", why.message, help.unwrap_or_default());
            Outcome::rejected(Reason::Config, said)
        })
    }

    async fn check(&self, transport: &dyn Transport) -> Vec<Stage> {
        let cx = DeliveryContext::new(1, &SystemClock);
        let to = self.notification.recipients();
        let within = self.account.deadline();
        match tokio::time::timeout(within, transport.check(&cx, to)).await {
            Ok(stages) => stages,
            Err(_) => vec![Stage::failed("check", late(within))],
        }
    }

    /// Makes one attempt.
    async fn send(&self, transport: &dyn Transport, to: &Recipient) -> (DeliveryId, Outcome) {
        let at = SystemClock.now();
        let event = match event(at) {
            Ok(event) => event,
            Err(why) => return (DeliveryId::from_uuid(event_id().uuid()), unsent(&why)),
        };
        let spec = Spec::freeze(&self.notification);
        let id = delivery_id(event_id(), &spec.digest, to);
        let delivery = Delivery::new(id, &event, &self.notification, to, at);
        let payload = self.account.payload(&delivery, &message(&self.id, to));
        let batch = [Prepared {
            id,
            recipient: to.clone(),
            payload,
        }];
        let cx = DeliveryContext::new(1, &SystemClock);
        let within = self.account.deadline();
        let outcome = match tokio::time::timeout(within, transport.deliver(&cx, &batch)).await {
            Ok(outcomes) => outcomes.into_iter().next(),
            Err(_) => Some(late(within)),
        };
        let none = || Outcome::unknown(Cause::Internal, "the provider gave no outcome");
        (id, outcome.unwrap_or_else(none))
    }

    fn shown(&self, stage: Stage, secrets: &Secrets) -> Shown {
        let fix = stage.outcome.as_ref();
        let fix = fix.and_then(|outcome| self.account.explain(outcome));
        Shown::new(stage, fix).masked(secrets)
    }
}

fn late(within: std::time::Duration) -> Outcome {
    let within = workflow_notify::core::time::words(within);
    Outcome::unknown(Cause::Timeout, format!("no answer within {within}"))
}

fn unsent(why: &Malformed) -> Outcome {
    Outcome::not_delivered(Cause::Internal, &why.message)
}

/// Finds the account that is meant; it is known, and switched on.
fn account(setup: &Setup, named: &Named) -> Result<(AccountId, Arc<dyn Account>), Refused> {
    let kind = named.kind.as_str();
    let registry = &setup.files.registry;
    if registry.get(kind).is_none() {
        let problem = registry.unknown_kind(Path::root(), kind);
        return Err(refuse(&problem.into()));
    }
    let accounts = setup.config().accounts();
    let id = accounts
        .resolve(&named.kind, named.name.as_ref())
        .map_err(|problem| refuse(&problem.into()))?;
    if let Some(account) = accounts.get(&id) {
        return Ok((id, Arc::clone(account)));
    }
    let refused = Refused::because(&format!("the account `{id}` is switched off"));
    report::hint("remove `enabled = false` from its section");
    Err(refused)
}

/// Makes the notification of those who are told: those named, or else those whom the account names.
fn notification(
    setup: &Setup,
    id: &AccountId,
    account: &dyn Account,
    args: &TestArgs,
) -> Result<Notification, Refused> {
    let mut to = args.to.clone();
    if to.is_empty() {
        let defaults = account.default_recipients();
        to.extend(defaults.iter().map(ToString::to_string));
    }
    if to.is_empty() {
        let problem = Problem::new(
            Code::NO_RECIPIENT,
            Path::root(),
            format!("the account `{id}` names nobody to tell where nothing is said"),
        );
        return Err(refuse(&problem.help("say who is told with `--to`").into()));
    }
    let body = json!({"to": to, "account": id.name});
    let mut declared = Map::new();
    declared.insert("phases".to_owned(), json!(TerminalPhase::Succeeded));
    declared.insert(id.kind.to_string(), body);
    let registry = &setup.files.registry;
    registry
        .load_notification(&Value::Object(declared))
        .map_err(|problems| refuse(&problems))
}

/// Says what is wrong with the arguments, in the words that a file gets.
fn refuse(problems: &Problems) -> Refused {
    let problems: Vec<_> = problems.iter().map(Diagnostic::of_argument).collect();
    draw(&problems);
    Refused
}

/// States an end that nothing depends on.
fn event(at: workflow_notify::core::Timestamp) -> Result<WorkflowEnded, Malformed> {
    let workflow = WorkflowName::new(WORKFLOW)?;
    let execution = Execution::new("notify", "test", at.to_string())?;
    let event = WorkflowEnded::new(workflow, execution, TerminalPhase::Succeeded);
    Ok(event.started_at(at).ended_at(at).label("test", "true"))
}

fn event_id() -> EventId {
    let mut random = [0; 10];
    SystemRandom.fill(&mut random);
    EventId::new(SystemClock.now(), random)
}

/// Says that this is a test, so that nobody takes it for an alarm.
fn message(id: &AccountId, to: &Recipient) -> Message {
    let headline = "Test message of notify: nothing has failed";
    let text = format!(
        "Somebody ran `notify test {id}` to see whether messages for {to} arrive. This one did. \
         No workflow ran, and there is nothing to do."
    );
    Message::new(headline, Severity::Info)
        .block(Block::text(text))
        .footer("test")
}

/// Lets what was held for the account go, where there is an outbox; gives how many deliveries.
async fn release(setup: &Setup, id: &AccountId) -> Option<u64> {
    let OutboxUrl::Sqlite(path) = setup.loaded.settings.outbox() else {
        return None;
    };
    if !path.exists() {
        return None;
    }
    let released = async {
        let outbox = SqliteOutbox::open(&path, Arc::new(SystemClock))?;
        outbox.resume(vec![id.clone()]).await
    };
    match released.await {
        Ok(released) => Some(released),
        Err(err) => {
            let why = report::chain(&err);
            report::warning(format!("what was held for `{id}` stays so: {why}"));
            None
        }
    }
}
