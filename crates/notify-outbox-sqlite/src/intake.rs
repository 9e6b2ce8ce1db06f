//! Events in, one for each attempt of an execution.

use notify_core::{Execution, TerminalPhase, Timestamp, WorkflowName};
use notify_outbox::{Accepted, Aside, EventId, EventState, NewEvent, OutboxError, settle};
use rusqlite::named_params;

use crate::ledger::Ledger;
use crate::row::VERSION;

/// Stores an event, unless an end of the same attempt is stored already.
pub(crate) fn accept(ledger: &Ledger<'_>, event: &NewEvent) -> Result<Accepted, OutboxError> {
    if store(ledger, event, EventState::Accepted, None)? {
        return Ok(Accepted::Recorded(event.id));
    }
    let first = first(ledger, &event.execution)?;
    let Some((first, phase)) = first else {
        return Err(OutboxError::Storage {
            doing: "store an event",
            source: format!("there is another event {}", event.id).into(),
        });
    };
    if phase == event.phase.name() {
        return Ok(Accepted::Duplicate(first));
    }
    // The same conflict told again is not a second one.
    if !is_known_conflict(ledger, &event.execution, event.phase)? {
        let reason = format!("the attempt ended `{phase}` before ({first})");
        store(ledger, event, EventState::Conflict, Some(&reason))?;
    }
    Ok(Accepted::Conflict(first))
}

/// Finds the end of an attempt that was stored first.
fn first(
    ledger: &Ledger<'_>,
    execution: &Execution,
) -> Result<Option<(EventId, String)>, OutboxError> {
    ledger.one(
        "look an event up",
        "SELECT id, phase FROM notify_event
         WHERE project = ?1 AND domain = ?2 AND name = ?3 AND attempt = ?4
           AND state <> 'conflict' AND state <> 'malformed'",
        (
            execution.project(),
            execution.domain(),
            execution.name(),
            execution.attempt_number(),
        ),
        |columns| Ok((columns.event_id("id")?, columns.get("phase")?)),
    )
}

fn is_known_conflict(
    ledger: &Ledger<'_>,
    execution: &Execution,
    phase: TerminalPhase,
) -> Result<bool, OutboxError> {
    let known = ledger.number(
        "look an event up",
        "SELECT 1 FROM notify_event
         WHERE project = ?1 AND domain = ?2 AND name = ?3 AND attempt = ?4 AND phase = ?5
           AND state = 'conflict'",
        (
            execution.project(),
            execution.domain(),
            execution.name(),
            execution.attempt_number(),
            phase.name(),
        ),
    )?;
    Ok(known == 1)
}

/// One row of events.
pub(crate) struct Entry<'a> {
    pub(crate) id: EventId,
    pub(crate) state: EventState,
    pub(crate) reason: Option<&'a str>,
    pub(crate) project: &'a str,
    pub(crate) domain: &'a str,
    pub(crate) name: &'a str,
    pub(crate) attempt: u32,
    pub(crate) workflow: &'a str,
    pub(crate) phase: TerminalPhase,
    pub(crate) ended_at: Timestamp,
    pub(crate) body: &'a str,
}

/// Stores an event, unless its key or its id is taken; tells whether it did.
fn store(
    ledger: &Ledger<'_>,
    event: &NewEvent,
    state: EventState,
    reason: Option<&str>,
) -> Result<bool, OutboxError> {
    let stamp = settle::stamp(ledger.stamped.get(), ledger.now);
    let stored = insert(
        ledger,
        &Entry {
            id: event.id,
            state,
            reason,
            project: event.execution.project(),
            domain: event.execution.domain(),
            name: event.execution.name(),
            attempt: event.execution.attempt_number(),
            workflow: event.workflow.as_str(),
            phase: event.phase,
            ended_at: event.ended_at.unwrap_or(stamp),
            body: &event.body,
        },
    )?;
    if stored && event.ended_at.is_none() {
        ledger.stamped.set(stamp);
    }
    Ok(stored)
}

/// Stores a row, unless its key or its id is taken; tells whether it did.
pub(crate) fn insert(ledger: &Ledger<'_>, entry: &Entry<'_>) -> Result<bool, OutboxError> {
    let stored = ledger.change(
        "store an event",
        "INSERT INTO notify_event (id, version, state, reason, project, domain, name, attempt,
                                   workflow, phase, ended_at, accepted_at, body)
         VALUES (:id, :version, :state, :reason, :project, :domain, :name, :attempt,
                 :workflow, :phase, :ended_at, :now, :body)
         ON CONFLICT DO NOTHING",
        named_params! {
            ":id": entry.id.uuid().as_bytes(),
            ":version": VERSION,
            ":state": entry.state.name(),
            ":reason": entry.reason,
            ":project": entry.project,
            ":domain": entry.domain,
            ":name": entry.name,
            ":attempt": entry.attempt,
            ":workflow": entry.workflow,
            ":phase": entry.phase.name(),
            ":ended_at": entry.ended_at.as_micros(),
            ":now": ledger.now.as_micros(),
            ":body": entry.body,
        },
    )?;
    Ok(stored == 1)
}

/// Takes events out of planning, but for those that left by themselves.
pub(crate) fn set_aside(ledger: &Ledger<'_>, events: &[Aside]) -> Result<(), OutboxError> {
    events.iter().try_for_each(|aside| {
        let id = aside.event.uuid();
        ledger
            .change(
                "set an event aside",
                "UPDATE notify_event SET state = ?2, reason = ?3
                 WHERE id = ?1 AND state = 'accepted'",
                (id.as_bytes(), aside.state.name(), &aside.reason),
            )
            .map(drop)
    })
}

/// Looks at events anew that nobody could plan, and gives how many.
pub(crate) fn revive(
    ledger: &Ledger<'_>,
    workflows: Option<&[WorkflowName]>,
) -> Result<u64, OutboxError> {
    let names = workflows.map(|names| serde_json::json!(names).to_string());
    let revived = ledger.change(
        "look at unmatched events anew",
        "UPDATE notify_event SET state = 'accepted', reason = NULL
         WHERE state = 'unmatched' AND state IN ('unmatched', 'malformed')
           AND (?1 IS NULL OR workflow IN (SELECT value FROM json_each(?1)))",
        [names],
    )?;
    Ok(u64::try_from(revived).unwrap_or(u64::MAX))
}
