//! `notify run`: a command as one execution of a workflow.

use std::process::ExitCode;
use std::time::Duration;

use workflow_notify::core::{
    Clock, Execution, Failure, Malformed, Secrets, SystemClock, Workflow, WorkflowEnded,
};
use workflow_notify::engine::{Engine, EngineError};
use workflow_notify::outbox::{Accepted, EventId};

use crate::args::RunArgs;
use crate::exit;
use crate::job::{Ended, Job};
use crate::patience;
use crate::report;
use crate::sandbox::{Local, uses_of};
use crate::setup::{self, Fate, Files, Refused, Setup};
use crate::signals::Signals;

/// How long attempts in flight may go on after we were asked to end.
const GRACE: Duration = Duration::from_secs(2);

/// How many workflows are listed to choose from.
const LISTED: usize = 20;

pub(crate) async fn run(args: RunArgs) -> ExitCode {
    let hold = args.hold;
    let begun = match Begun::begin(&args).await {
        Ok(begun) => begun,
        Err(Refused) => return exit::REFUSED.into(),
    };
    let Begun {
        workflow,
        engine,
        secrets,
        execution,
        mut signals,
        sandbox,
        fate,
    } = begun;
    let started_at = SystemClock.now();
    let ended = Job {
        command: args.command,
        timeout: args.timeout,
        kill_after: args.kill_after,
        capture: !args.no_capture,
    }
    .run(&mut signals)
    .await;
    let code = ended.code;
    let mut event = event(&workflow, execution, ended, &secrets);
    event.started_at = Some(started_at);
    event.url = args.url;
    let summary = format!("{} {}", event.workflow, event.phase.words());
    // Before anything else, signals included: once this is in the outbox, nothing can make it
    // forgotten.
    // An outbox that is busy or full gets some time to recover.
    let accepted = patience::persist(args.wait, async || {
        engine.workflow_ended(event.clone()).await
    })
    .await;
    let told = async {
        let event = said(accepted?);
        follow(&engine, event, args.wait, &summary, sandbox.is_some()).await
    };
    tokio::select! {
        told = told => if let Err(err) = told {
            report::error(&format!("{summary}, and not everybody is told: {}", report::chain(&err)));
        },
        signal = signals.next() => {
            report::warning(format!("{signal}: what is not delivered {fate}"));
        }
    }
    match engine.shutdown(GRACE).await {
        // What stays on record was said of each delivery.
        Ok(left) if fate == Fate::Lost => fate.of_rest(&left.status),
        Ok(_) => {}
        Err(err) => report::warning(report::chain(&err)),
    }
    if let Some(sandbox) = sandbox {
        sandbox.finish(hold, &mut signals).await;
    }
    code.into()
}

/// Everything that can be refused before the command is run.
struct Begun {
    workflow: Workflow,
    engine: Engine,
    secrets: Secrets,
    execution: Execution,
    signals: Signals,
    sandbox: Option<Local>,
    fate: Fate,
}

impl Begun {
    async fn begin(args: &RunArgs) -> Result<Self, Refused> {
        let definition = std::slice::from_ref(&args.definition);
        let sandbox = if args.sandbox {
            Some(Local::start_temporary(uses_of(definition)?).await?)
        } else {
            None
        };
        let settings = &args.config.path;
        let setup = match &sandbox {
            Some(local) => {
                let files = Files::new(definition, &local.settings)?.templates_of(settings);
                setup::load_files(files, &local.settings)?
            }
            None => setup::load(definition, settings)?,
        };
        let execution = execution(args).map_err(|err| Refused::because(&err.message))?;
        let workflow = chosen(&setup, args)?;
        let secrets = setup.secrets().await?;
        let engine = setup.engine()?;
        let signals = Signals::listen()
            .map_err(|err| Refused::because(&format!("cannot listen for signals: {err}")))?;
        Ok(Self {
            workflow,
            engine,
            secrets,
            execution,
            signals,
            sandbox,
            fate: Fate::of(&setup),
        })
    }
}

/// Finds the workflow that is meant.
fn chosen(setup: &Setup, args: &RunArgs) -> Result<Workflow, Refused> {
    let all: Vec<&Workflow> = setup.config().workflows().collect();
    let file = args.definition.display();
    let names = || {
        let listed = all.iter().take(LISTED).map(|one| one.name().as_str());
        let listed: Vec<&str> = listed.collect();
        let more = if all.len() > LISTED { ", …" } else { "" };
        format!("{}{more}", listed.join(", "))
    };
    match (&args.workflow, all.as_slice()) {
        (Some(name), all) => {
            let found = all.iter().find(|one| one.name().as_str() == name);
            found.map(|found| (*found).clone()).ok_or_else(|| {
                let refused = Refused::because(&format!("`{file}` declares no workflow `{name}`"));
                report::hint(&format!("it declares {}", names()));
                refused
            })
        }
        (None, [workflow]) => Ok((*workflow).clone()),
        (None, []) => Err(Refused::because("the definition declares no workflow")),
        (None, all) => {
            let many = all.len();
            let refused = Refused::because(&format!("`{file}` declares {many} workflows"));
            report::hint(&format!("choose one with `--workflow NAME`: {}", names()));
            Err(refused)
        }
    }
}

fn execution(args: &RunArgs) -> Result<Execution, Malformed> {
    // The process id keeps runs apart that begin in the same microsecond.
    let by_time = || format!("{}-{}", SystemClock.now(), std::process::id());
    let name = args.name.clone().unwrap_or_else(by_time);
    Ok(Execution::new(args.project.as_str(), args.domain.as_str(), name)?.attempt(args.attempt))
}

/// States how the command ended.
///
/// The event carries the notifications as they are declared now, so that any later
/// `notify deliver` can send them without the definition.
fn event(
    workflow: &Workflow,
    execution: Execution,
    ended: Ended,
    secrets: &Secrets,
) -> WorkflowEnded {
    let event = WorkflowEnded::new(workflow.name().clone(), execution, ended.phase)
        .ended_at(SystemClock.now())
        .notifications(workflow.notifications().to_vec());
    let Some((code, sentence)) = ended.failure else {
        return event;
    };
    let tail = ended.tail.message(secrets);
    let message = if tail.is_empty() { sentence } else { tail };
    event.failure(Failure::new(message).code(code))
}

/// Says so when the end was on record before, and gives the event that tells of it.
fn said(accepted: Accepted) -> EventId {
    if !matches!(accepted, Accepted::Recorded(_)) {
        report::warning(format!(
            "an end of this execution and attempt is recorded already ({}); nobody is told again",
            accepted.event()
        ));
    }
    accepted.event()
}

/// Delivers, and says what became of it.
async fn follow(
    engine: &Engine,
    event: EventId,
    wait: Duration,
    summary: &str,
    everything: bool,
) -> Result<(), EngineError> {
    let begun = SystemClock.now();
    let mut records = engine.settled(event, wait).await?;
    // What earlier runs left gets what is left of the time.
    let left = wait.saturating_sub(SystemClock.now().since(begun));
    if let Ok(drained) = tokio::time::timeout(left, engine.drain(left)).await {
        drained?;
        // What was held may have got on since: an account is connected anew with other secrets.
        records = engine.settled(event, Duration::ZERO).await?;
    }
    if everything {
        let deliveries = match records.len() {
            1 => "1 delivery".to_owned(),
            many => format!("{many} deliveries"),
        };
        report::say(format_args!("{summary}; {deliveries}"));
    }
    report::deliveries(&records, everything);
    Ok(())
}
