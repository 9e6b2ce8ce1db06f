//! Looking into the ledger.

use notify_core::{AccountId, DeliveryId, Kind, Recipient, Timestamp};
use notify_outbox::{
    DeliveryQuery, DeliveryRecord, DeliveryState, EventQuery, EventRecord, OutboxError, Status,
};
use rusqlite::named_params;

use crate::ledger::{Ledger, limit};
use crate::row::Columns;
use crate::waiting::readable;

/// Counts what there is to do.
pub(crate) fn status(ledger: &Ledger<'_>, accounts: &[AccountId]) -> Result<Status, OutboxError> {
    let doing = "count what there is to do";
    let count = |sql: &str| {
        let count = ledger.number(doing, sql, [])?;
        Ok::<_, OutboxError>(u64::try_from(count).unwrap_or(0))
    };
    let accepted = count("SELECT count(*) FROM notify_event WHERE state = 'accepted'")?;
    let in_the_inbox = count("SELECT count(*) FROM notify_inbox")?;
    let mut status = Status {
        accepted: accepted + in_the_inbox,
        unplannable: count(
            "SELECT count(*) FROM notify_event WHERE state IN ('unmatched', 'malformed')",
        )?,
        conflicts: count("SELECT count(*) FROM notify_event WHERE state = 'conflict'")?,
        next_due: next_due(ledger, accounts)?.map(|at| at.since(ledger.now)),
        ..Status::default()
    };
    let open: Vec<(Option<DeliveryState>, i64)> = ledger.list(
        doing,
        "SELECT state, count(*) FROM notify_delivery
         WHERE settled_at IS NULL GROUP BY state",
        [],
        |columns| Ok((columns.parse("state").ok(), columns.at(1)?)),
    )?;
    for (state, count) in open {
        let count = u64::try_from(count).unwrap_or(0);
        match state {
            Some(DeliveryState::Pending) => status.pending = count,
            Some(DeliveryState::Leased) => status.leased = count,
            Some(DeliveryState::Held) => status.held = count,
            _ => {}
        }
    }
    Ok(status)
}

/// Finds the earliest instant at which a lane of these accounts or any lease is due.
fn next_due(ledger: &Ledger<'_>, accounts: &[AccountId]) -> Result<Option<Timestamp>, OutboxError> {
    let doing = "find what is due next";
    let lease = "SELECT min(lease_until) FROM notify_delivery WHERE state = 'leased'";
    let mut next = ledger
        .one(doing, lease, [], |columns| {
            Ok(columns.at::<Option<i64>>(0).unwrap_or_default())
        })?
        .flatten();
    for account in accounts {
        let lane = "SELECT due_at FROM notify_lane
                    WHERE account = ?1 AND due_at IS NOT NULL AND full IS NULL
                    ORDER BY due_at LIMIT 1";
        let due = ledger.one(doing, lane, [account.to_string()], |columns| {
            Ok(columns.at::<i64>(0).ok())
        })?;
        let due = due.flatten();
        next = match (next, due) {
            (Some(next), Some(due)) => Some(next.min(due)),
            (next, due) => next.or(due),
        };
    }
    Ok(next.map(Timestamp::from_micros))
}

/// Writes which states are asked for. Where an index has all rows in these states its own condition
/// is added, by which SQLite finds it: it stays small, however much is settled.
fn in_states(names: &[&str], indexed: &[&str], condition: &str) -> String {
    if names.is_empty() {
        return String::new();
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let mut sql = format!(" AND state IN ({})", quoted.join(", "));
    if names.iter().all(|name| indexed.contains(name)) {
        sql.push_str(" AND ");
        sql.push_str(condition);
    }
    sql
}

/// Lists deliveries, but for those that do not read.
pub(crate) fn deliveries(
    ledger: &Ledger<'_>,
    query: &DeliveryQuery,
) -> Result<Vec<DeliveryRecord>, OutboxError> {
    let states: Vec<&str> = query.states.iter().map(|state| state.name()).collect();
    let states = in_states(
        &states,
        &["pending", "leased", "held"],
        "settled_at IS NULL",
    );
    let event = match query.event {
        Some(_) => "event = (SELECT seq FROM notify_event WHERE id = :event)",
        None => ":event IS NULL",
    };
    let ids = if query.ids.is_empty() {
        " AND :ids IS NULL"
    } else {
        " AND id IN (SELECT unhex(value) FROM json_each(:ids))"
    };
    let sql = format!(
        "SELECT d.id, e.id AS event, e.workflow, e.phase, d.account, d.recipient, d.action,
                d.state, d.reason, d.release, d.blocked, d.tries, d.not_before, d.receipt,
                (SELECT body ->> 'declared_under' FROM notify_spec
                 WHERE digest = d.spec AND json_valid(body)) AS declared_under
         FROM (SELECT * FROM notify_delivery WHERE {event}{ids}{states}
               ORDER BY seq DESC LIMIT :most) d
         JOIN notify_event e ON e.seq = d.event
         ORDER BY d.seq"
    );
    let rows = ledger.list(
        "list deliveries",
        &sql,
        named_params! {
            ":event": query.event.map(|id| id.uuid().into_bytes()),
            ":ids": (!query.ids.is_empty()).then(|| hex(&query.ids)),
            ":most": limit(query.most),
        },
        |columns| readable(delivery_record(columns)),
    )?;
    Ok(rows.into_iter().flatten().collect())
}

fn delivery_record(columns: &Columns<'_>) -> Result<DeliveryRecord, OutboxError> {
    let state = columns.parse("state")?;
    let declared_under: Option<String> = columns.get("declared_under")?;
    Ok(DeliveryRecord {
        id: columns.delivery_id("id")?,
        event: columns.event_id("event")?,
        workflow: columns.get("workflow")?,
        phase: columns.parse("phase")?,
        account: columns.parse("account")?,
        recipient: Recipient::of(&columns.get::<String>("recipient")?),
        declared_under: declared_under.and_then(|kind| Kind::new(kind).ok()),
        action: columns.action("action")?,
        state,
        reason: columns.get("reason")?,
        release: columns.release("release")?,
        blocked: state == DeliveryState::Pending && columns.get("blocked")?,
        tries: columns.get("tries")?,
        not_before: columns.instant("not_before")?,
        receipt: columns.json("receipt")?,
    })
}

/// Writes ids as SQLite reads a list of them.
fn hex(ids: &[DeliveryId]) -> String {
    let ids: Vec<String> = ids
        .iter()
        .map(|id| id.uuid().simple().to_string())
        .collect();
    serde_json::json!(ids).to_string()
}

/// Lists events, but for those that do not read.
pub(crate) fn events(
    ledger: &Ledger<'_>,
    query: &EventQuery,
) -> Result<Vec<EventRecord>, OutboxError> {
    let states: Vec<&str> = query.states.iter().map(|state| state.name()).collect();
    let states = in_states(
        &states,
        &["unmatched", "malformed"],
        "state IN ('unmatched', 'malformed')",
    );
    let event = match query.event {
        Some(_) => "id = :event",
        None => ":event IS NULL",
    };
    let sql = format!(
        "SELECT id, project, domain, name, attempt, workflow, phase, ended_at, accepted_at,
                state, reason
         FROM (SELECT * FROM notify_event WHERE {event}{states} ORDER BY seq DESC LIMIT :most)
         ORDER BY seq"
    );
    let rows = ledger.list(
        "list events",
        &sql,
        named_params! {
            ":event": query.event.map(|id| id.uuid().into_bytes()),
            ":most": limit(query.most),
        },
        |columns| readable(event_record(columns)),
    )?;
    Ok(rows.into_iter().flatten().collect())
}

fn event_record(columns: &Columns<'_>) -> Result<EventRecord, OutboxError> {
    Ok(EventRecord {
        id: columns.event_id("id")?,
        project: columns.get("project")?,
        domain: columns.get("domain")?,
        execution: columns.get("name")?,
        attempt: columns.get("attempt")?,
        workflow: columns.get("workflow")?,
        phase: columns.parse("phase")?,
        ended_at: columns.instant("ended_at")?,
        accepted_at: columns.instant("accepted_at")?,
        state: columns.parse("state")?,
        reason: columns.get("reason")?,
    })
}
