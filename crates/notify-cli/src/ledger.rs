//! `notify outbox`: looking into the ledger.

use std::io::Write;
use std::process::ExitCode;
use std::str::FromStr;

use serde_json::json;
use workflow_notify::SqliteOutbox;
use workflow_notify::core::Malformed;
use workflow_notify::outbox::{
    DeliveryQuery, DeliveryRecord, DeliveryState, EventQuery, EventRecord, EventState, Outbox,
    OutboxError,
};

use crate::args::{ConfigArg, ListArgs, OutboxArgs, OutboxCommand};
use crate::exit;
use crate::mend;
use crate::report;
use crate::setup::{self, Refused};
use crate::show;

pub(crate) async fn outbox(args: OutboxArgs) -> ExitCode {
    let is_written = match args.command {
        OutboxCommand::List(args) => list(args).await,
        OutboxCommand::Show(args) => show::show(args).await,
        OutboxCommand::Replay(args) => mend::replay(args).await,
        OutboxCommand::Drop(args) => mend::drop(args).await,
        OutboxCommand::Init { config } => init(&config),
    };
    match is_written {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => exit::LEFT.into(),
        Err(Refused) => exit::WRONG_INPUT.into(),
    }
}

pub(crate) fn open(config: &ConfigArg) -> Result<SqliteOutbox, Refused> {
    setup::load(&[], &config.path)?.ledger()
}

pub(crate) fn failed(err: &OutboxError) -> Refused {
    Refused::because(&report::chain(err))
}

/// Writes lines to standard output, until its reader has seen enough.
///
/// It tells whether all of it was taken. Who has closed it wants no more, and that is no failure.
pub(crate) fn write(lines: impl IntoIterator<Item = String>) -> bool {
    let mut out = std::io::stdout().lock();
    let written = lines
        .into_iter()
        .try_for_each(|line| writeln!(out, "{line}"))
        .and_then(|()| out.flush());
    match written {
        Err(err) if err.kind() != std::io::ErrorKind::BrokenPipe => {
            report::error(&format!("cannot write to standard output: {err}"));
            false
        }
        _ => true,
    }
}

fn init(config: &ConfigArg) -> Result<bool, Refused> {
    let setup = setup::load(&[], &config.path)?;
    setup.ledger()?;
    let path = setup.loaded.settings.outbox_path();
    let path = path.canonicalize().unwrap_or(path);
    Ok(write([
        format!("outbox  {}", path.display()),
        format!("schema  {}", SqliteOutbox::SCHEMA),
    ]))
}

async fn list(args: ListArgs) -> Result<bool, Refused> {
    let is_written = if args.events {
        let states = states("an event", &args.states, EventState::ALL)?;
        let query = EventQuery::latest(args.most).states(&states);
        let events = open(&args.config)?.events(query).await;
        let line = if args.json {
            event_as_json
        } else {
            event_as_text
        };
        write(events.map_err(|err| failed(&err))?.iter().map(line))
    } else {
        let states = states("a delivery", &args.states, DeliveryState::ALL)?;
        let query = DeliveryQuery::latest(args.most).states(&states);
        let records = open(&args.config)?.deliveries(query).await;
        let line = if args.json { as_json } else { as_text };
        write(records.map_err(|err| failed(&err))?.iter().map(line))
    };
    Ok(is_written)
}

/// Reads the names of states.
fn states<S>(of: &str, names: &[String], all: &[S]) -> Result<Vec<S>, Refused>
where
    S: FromStr<Err = Malformed> + ToString,
{
    let read = |name: &String| {
        name.parse().map_err(|err: Malformed| {
            let known: Vec<String> = all.iter().map(S::to_string).collect();
            let refused = Refused::because(&format!("{err} of {of}"));
            report::hint(&format!("its states are {}", known.join(", ")));
            refused
        })
    };
    names.iter().map(read).collect()
}

fn as_text(record: &DeliveryRecord) -> String {
    let account = record.account.to_string();
    let outcome = match (&record.receipt, &record.reason) {
        (Some(receipt), _) => format!("receipt {receipt}"),
        (None, Some(reason)) => reason.clone(),
        (None, None) => String::new(),
    };
    let line = format!(
        "{}  {:<10} {account:<18} {}  {} {}  {outcome}",
        record.id,
        record.state,
        report::recipient(record),
        record.workflow,
        record.phase,
    );
    line.trim_end().to_owned()
}

pub(crate) fn as_json(record: &DeliveryRecord) -> String {
    json!({
        "delivery": record.id.to_string(),
        "event": record.event.to_string(),
        "workflow": record.workflow,
        "phase": record.phase,
        "account": record.account.to_string(),
        "recipient": record.recipient.as_str(),
        "declared_under": record.declared_under,
        "action": record.action.name(),
        "state": record.state.name(),
        "reason": record.reason,
        "tries": record.tries,
        "not_before": record.not_before,
        "receipt": record.receipt,
    })
    .to_string()
}

fn event_as_text(event: &EventRecord) -> String {
    let EventRecord {
        project,
        domain,
        execution,
        attempt,
        workflow,
        ..
    } = event;
    let attempt = match attempt {
        1 => String::new(),
        attempt => format!("#{attempt}"),
    };
    let reason = event.reason.as_deref().unwrap_or_default();
    let line = format!(
        "{}  {:<10} {}  {workflow} {}  {project}/{domain}/{execution}{attempt}  {reason}",
        event.id, event.state, event.ended_at, event.phase,
    );
    // Of what is malformed, anything may be in the names.
    line.trim_end().replace(char::is_control, "\u{fffd}")
}

fn event_as_json(event: &EventRecord) -> String {
    json!({
        "event": event.id.to_string(),
        "project": event.project,
        "domain": event.domain,
        "name": event.execution,
        "attempt": event.attempt,
        "workflow": event.workflow,
        "phase": event.phase,
        "ended_at": event.ended_at,
        "accepted_at": event.accepted_at,
        "state": event.state.name(),
        "reason": event.reason,
    })
    .to_string()
}
