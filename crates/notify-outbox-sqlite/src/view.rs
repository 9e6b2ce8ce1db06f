//! Looking into the ledger.

use notify_core::{AccountId, Timestamp};
use notify_outbox::{DeliveryRecord, EventId, OutboxError, Status};
use rusqlite::{Connection, named_params};

use crate::row::all;
use crate::writer::doing;

pub(crate) fn status(
    connection: &Connection,
    now: Timestamp,
    accounts: &[AccountId],
) -> Result<Status, OutboxError> {
    let count = |sql: &str| -> Result<u64, OutboxError> {
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(0)))
            .map(|count| u64::try_from(count).unwrap_or(0))
            .map_err(doing("count what there is to do"))
    };
    let accounts: Vec<String> = accounts.iter().map(ToString::to_string).collect();
    let next: Option<i64> = connection
        .prepare_cached(
            "SELECT min(at) FROM (
                 SELECT min(due_at) AS at FROM notify_lane
                 WHERE due_at IS NOT NULL AND account IN (SELECT value FROM json_each(?1))
                 UNION ALL
                 SELECT min(lease_until) FROM notify_delivery WHERE state = 'leased')",
        )
        .and_then(|mut statement| {
            statement.query_row([serde_json::json!(accounts).to_string()], |row| row.get(0))
        })
        .map_err(doing("find what is due next"))?;
    Ok(Status {
        accepted: count("SELECT count(*) FROM notify_event WHERE state = 'accepted'")?,
        unplannable: count(
            "SELECT count(*) FROM notify_event WHERE state IN ('unmatched', 'malformed')",
        )?,
        pending: count("SELECT count(*) FROM notify_delivery WHERE state = 'pending'")?,
        leased: count("SELECT count(*) FROM notify_delivery WHERE state = 'leased'")?,
        held: count("SELECT count(*) FROM notify_delivery WHERE state = 'held'")?,
        next_due: next.map(|at| Timestamp::from_micros(at).since(now)),
    })
}

pub(crate) fn deliveries(
    connection: &Connection,
    event: Option<EventId>,
    most: usize,
) -> Result<Vec<DeliveryRecord>, OutboxError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT d.id, e.id AS event, e.workflow, e.phase, d.account, d.recipient, d.action,
                    d.state, d.reason, d.tries, d.not_before, d.receipt
             FROM notify_delivery d JOIN notify_event e ON e.seq = d.event
             WHERE :event IS NULL OR e.id = :event
             ORDER BY d.seq DESC LIMIT :most",
        )
        .map_err(doing("list deliveries"))?;
    let id = event.map(EventId::uuid);
    let rows = statement
        .query(named_params! {
            ":event": id.as_ref().map(uuid::Uuid::as_bytes),
            ":most": i64::try_from(most).unwrap_or(i64::MAX),
        })
        .map_err(doing("list deliveries"))?;
    let mut deliveries = all(rows, |columns| {
        Ok(DeliveryRecord {
            id: columns.delivery_id("id")?,
            event: columns.event_id("event")?,
            workflow: columns.get("workflow")?,
            phase: columns.parse("phase")?,
            account: columns.parse("account")?,
            recipient: notify_core::Recipient::of(&columns.get::<String>("recipient")?),
            action: columns.action("action")?,
            state: columns.parse("state")?,
            reason: columns.get("reason")?,
            tries: columns.get("tries")?,
            not_before: columns.instant("not_before")?,
            receipt: columns.json("receipt")?,
        })
    })?;
    deliveries.reverse();
    Ok(deliveries)
}
