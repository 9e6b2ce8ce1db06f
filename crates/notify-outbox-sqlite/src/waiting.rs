//! Events that wait to be planned, with what plan needs to know.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use notify_outbox::{EventState, OutboxError, PlanContext, StoredEvent, Waiting, WorkflowKey};

use crate::ledger::{Ledger, limit};
use crate::row::Columns;
use crate::{history, inbox};

/// Lists what waits where nothing has to be written for it.
pub(crate) fn look(ledger: &Ledger<'_>, most: usize) -> Result<Option<Waiting>, OutboxError> {
    if !inbox::is_empty(ledger)? {
        return Ok(None);
    }
    let found = read(ledger, most)?;
    Ok(found.unreadable.is_empty().then_some(found.waiting))
}

/// Moves in what is in the inbox and lists what waits. What does not read is set aside.
pub(crate) fn list(ledger: &Ledger<'_>, most: usize) -> Result<Waiting, OutboxError> {
    inbox::move_in(ledger)?;
    loop {
        let found = read(ledger, most)?;
        if found.unreadable.is_empty() {
            return Ok(found.waiting);
        }
        for (seq, reason) in found.unreadable {
            ledger.change(
                "set an event aside",
                "UPDATE notify_event SET state = ?2, reason = ?3 WHERE seq = ?1",
                (seq, EventState::Malformed.name(), reason),
            )?;
        }
    }
}

/// What a look at the accepted events gives.
#[derive(Default)]
struct Found {
    waiting: Waiting,
    unreadable: Vec<(i64, String)>,
}

fn read(ledger: &Ledger<'_>, most: usize) -> Result<Found, OutboxError> {
    let rows = ledger.list(
        "list accepted events",
        "SELECT seq, id, project, domain, workflow, accepted_at, ended_at, body, past
         FROM notify_event WHERE state = 'accepted' ORDER BY seq LIMIT ?1",
        [limit(most)],
        |columns| Ok((columns.at(0)?, readable(stored(columns))?)),
    )?;
    let mut found = Found::default();
    let mut contexts: BTreeMap<WorkflowKey, Result<PlanContext, String>> = BTreeMap::new();
    for (seq, event) in rows {
        let event = match event {
            Ok(event) => event,
            Err(reason) => {
                found.unreadable.push((seq, reason));
                continue;
            }
        };
        let context = match contexts.entry(event.workflow.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                vacant.insert(readable(history::context(ledger, &event.workflow))?)
            }
        };
        match context {
            Ok(_) => {
                let waited = ledger.now.since(event.accepted_at);
                found.waiting.events.push((event, waited));
            }
            Err(reason) => found.unreadable.push((seq, reason.clone())),
        }
    }
    found.waiting.contexts = contexts
        .into_iter()
        .filter_map(|(workflow, context)| Some((workflow, context.ok()?)))
        .collect();
    Ok(found)
}

/// Tells a row that does not read from a store that does not work.
pub(crate) fn readable<T>(
    result: Result<T, OutboxError>,
) -> Result<Result<T, String>, OutboxError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(OutboxError::Row(why)) => Ok(Err(why)),
        Err(err) => Err(err),
    }
}

/// Reads an event from a row that has its columns.
pub(crate) fn stored(columns: &Columns<'_>) -> Result<StoredEvent, OutboxError> {
    Ok(StoredEvent {
        id: columns.event_id("id")?,
        workflow: WorkflowKey {
            project: columns.get("project")?,
            domain: columns.get("domain")?,
            workflow: columns.parse("workflow")?,
        },
        accepted_at: columns.instant("accepted_at")?,
        ended_at: columns.instant("ended_at")?,
        body: columns.get("body")?,
        past: columns.json("past")?,
    })
}
