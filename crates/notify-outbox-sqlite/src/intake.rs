//! Events in, one for each attempt of an execution.

use notify_core::Timestamp;
use notify_outbox::{Accepted, EventId, EventState, NewEvent, OutboxError, StoredEvent};
use rusqlite::{Connection, OptionalExtension, named_params};
use std::time::Duration;

use crate::row::{Columns, VERSION, all};
use crate::writer::doing;

pub(crate) fn accept(
    connection: &Connection,
    now: Timestamp,
    event: &NewEvent,
) -> Result<Accepted, OutboxError> {
    let first = known(connection, event, "state <> 'conflict'")?;
    let Some((first, phase)) = first else {
        insert(connection, now, event, EventState::Accepted, None)?;
        return Ok(Accepted::Recorded(event.id));
    };
    if phase == event.phase.name() {
        return Ok(Accepted::Duplicate(first));
    }
    // The same conflict told again is not a second one.
    let told = format!("state = 'conflict' AND phase = '{}'", event.phase.name());
    if known(connection, event, &told)?.is_none() {
        let reason = format!("the attempt ended `{phase}` before ({first})");
        insert(connection, now, event, EventState::Conflict, Some(&reason))?;
    }
    Ok(Accepted::Conflict(first))
}

/// Finds the stored end of the same attempt.
fn known(
    connection: &Connection,
    event: &NewEvent,
    which: &str,
) -> Result<Option<(EventId, String)>, OutboxError> {
    let sql = format!(
        "SELECT id, phase FROM notify_event
         WHERE project = :project AND domain = :domain AND name = :name AND attempt = :attempt
           AND {which}"
    );
    let mut statement = connection
        .prepare_cached(&sql)
        .map_err(doing("look an event up"))?;
    statement
        .query_row(
            named_params! {
                ":project": event.execution.project(),
                ":domain": event.execution.domain(),
                ":name": event.execution.name(),
                ":attempt": event.execution.attempt_number(),
            },
            |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, String>(1)?)),
        )
        .optional()
        .map(|found| {
            found.map(|(id, phase)| (EventId::from_uuid(uuid::Uuid::from_bytes(id)), phase))
        })
        .map_err(doing("look an event up"))
}

fn insert(
    connection: &Connection,
    now: Timestamp,
    event: &NewEvent,
    state: EventState,
    reason: Option<&str>,
) -> Result<(), OutboxError> {
    connection
        .prepare_cached(
            "INSERT INTO notify_event (id, version, state, reason, project, domain, name, attempt,
                                       workflow, phase, ended_at, accepted_at, body)
             VALUES (:id, :version, :state, :reason, :project, :domain, :name, :attempt,
                     :workflow, :phase, :ended_at, :now, :body)",
        )
        .and_then(|mut statement| {
            statement.execute(named_params! {
                ":id": event.id.uuid().as_bytes(),
                ":version": VERSION,
                ":state": state.name(),
                ":reason": reason,
                ":project": event.execution.project(),
                ":domain": event.execution.domain(),
                ":name": event.execution.name(),
                ":attempt": event.execution.attempt_number(),
                ":workflow": event.workflow.as_str(),
                ":phase": event.phase.name(),
                ":ended_at": event.ended_at.as_micros(),
                ":now": now.as_micros(),
                ":body": event.body,
            })
        })
        .map(drop)
        .map_err(doing("store an event"))
}

pub(crate) fn accepted(
    connection: &Connection,
    now: Timestamp,
    most: usize,
) -> Result<Vec<(StoredEvent, Duration)>, OutboxError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT id, accepted_at, ended_at, body, past FROM notify_event
             WHERE state = 'accepted' ORDER BY seq LIMIT ?1",
        )
        .map_err(doing("list accepted events"))?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement
        .query([most])
        .map_err(doing("list accepted events"))?;
    all(rows, |columns| {
        let event = stored(&columns)?;
        let waited = now.since(event.accepted_at);
        Ok((event, waited))
    })
}

/// Reads an event from a row that has its columns.
pub(crate) fn stored(columns: &Columns<'_>) -> Result<StoredEvent, OutboxError> {
    Ok(StoredEvent {
        id: columns.event_id("id")?,
        accepted_at: columns.instant("accepted_at")?,
        ended_at: columns.instant("ended_at")?,
        body: columns.get("body")?,
        past: columns.json("past")?,
    })
}

/// Takes an event out of planning, unless it left by itself.
pub(crate) fn put_aside(
    connection: &Connection,
    event: EventId,
    state: EventState,
    reason: &str,
) -> Result<(), OutboxError> {
    connection
        .execute(
            "UPDATE notify_event SET state = :state, reason = :reason
             WHERE id = :id AND state = 'accepted'",
            named_params! {
                ":state": state.name(),
                ":reason": reason,
                ":id": event.uuid().as_bytes(),
            },
        )
        .map(drop)
        .map_err(doing("put an event aside"))
}
