//! Leases: who may put what on the wire, and for how long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use notify_core::{Cause, Timestamp, time};
use notify_outbox::{Claim, DeliveryState, Leased, OutboxError, Spec};
use rusqlite::{Connection, named_params};

use crate::row::{Columns, all};
use crate::writer::doing;
use crate::{conversation, intake, lane};

pub(crate) fn claim(
    connection: &Connection,
    now: Timestamp,
    claim: &Claim,
) -> Result<Vec<Leased>, OutboxError> {
    take_back(connection, now)?;
    let leases: BTreeMap<String, Timestamp> = claim
        .serve
        .iter()
        .map(|serve| (serve.account.to_string(), now.after(serve.lease)))
        .collect();
    let mut leased = Vec::new();
    for due in due_lanes(connection, now, &leases, claim.most)? {
        let room = claim.most.saturating_sub(leased.len());
        if room == 0 {
            break;
        }
        let free = claim
            .most_per_lane
            .saturating_sub(in_flight(connection, due.seq)?);
        if free == 0 {
            lane::rest(connection, due.seq)?;
            continue;
        }
        let until = leases.get(&due.account).copied().unwrap_or(now);
        let term = Term {
            until,
            max_age: claim.max_age,
        };
        leased.extend(lease(connection, now, due.seq, term, free.min(room))?);
        lane::refresh(connection, due.seq)?;
    }
    Ok(leased)
}

struct DueLane {
    seq: i64,
    account: String,
}

fn due_lanes(
    connection: &Connection,
    now: Timestamp,
    leases: &BTreeMap<String, Timestamp>,
    most: usize,
) -> Result<Vec<DueLane>, OutboxError> {
    let accounts: Vec<&String> = leases.keys().collect();
    let mut statement = connection
        .prepare_cached(
            "SELECT seq, account FROM notify_lane
             WHERE due_at <= :now AND account IN (SELECT value FROM json_each(:accounts))
             ORDER BY due_at LIMIT :most",
        )
        .map_err(doing("find due lanes"))?;
    let rows = statement
        .query(named_params! {
            ":now": now.as_micros(),
            ":accounts": serde_json::json!(accounts).to_string(),
            ":most": i64::try_from(most).unwrap_or(i64::MAX),
        })
        .map_err(doing("find due lanes"))?;
    all(rows, |columns| {
        Ok(DueLane {
            seq: columns.get("seq")?,
            account: columns.get("account")?,
        })
    })
}

fn in_flight(connection: &Connection, lane: i64) -> Result<usize, OutboxError> {
    connection
        .prepare_cached("SELECT count(*) FROM notify_delivery WHERE lane = ?1 AND state = 'leased'")
        .and_then(|mut statement| statement.query_row([lane], |row| row.get::<_, i64>(0)))
        .map(|count| usize::try_from(count).unwrap_or(0))
        .map_err(doing("count leases"))
}

fn lease(
    connection: &Connection,
    now: Timestamp,
    lane: i64,
    term: Term,
    most: usize,
) -> Result<Vec<Leased>, OutboxError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT d.seq, d.id AS delivery, d.lease_token, d.attempts, d.tries, d.created_at,
                    d.account, d.recipient, d.action, d.conversation, d.reason, c.key,
                    e.id, e.accepted_at, e.ended_at, e.body, e.past,
                    s.digest, s.body AS spec, s.options_version
             FROM notify_delivery d
             JOIN notify_event e ON e.seq = d.event
             JOIN notify_spec s ON s.digest = d.spec
             LEFT JOIN notify_conversation c ON c.seq = d.conversation
             WHERE d.lane = :lane AND d.state = 'pending' AND d.blocked = 0 AND d.not_before <= :now
             ORDER BY d.not_before, d.seq LIMIT :most",
        )
        .map_err(doing("lease deliveries"))?;
    let rows = statement
        .query(named_params! {
            ":lane": lane,
            ":now": now.as_micros(),
            ":most": i64::try_from(most).unwrap_or(i64::MAX),
        })
        .map_err(doing("lease deliveries"))?;
    let found = all(rows, |columns| {
        let (seq, conversation) = (columns.get("seq")?, columns.get("conversation")?);
        let delivery = match leased(&columns, now) {
            Ok(leased) if leased.age < term.max_age => Ok(leased),
            Ok(leased) => {
                let last: Option<String> = columns.get("reason")?;
                let last = last.map(|last| format!("; {last}")).unwrap_or_default();
                let why = format!("gave up after {}{last}", time::words(leased.age));
                Err((DeliveryState::Expired, why))
            }
            Err(OutboxError::Row(why)) => Err((DeliveryState::Held, why)),
            Err(err) => return Err(err),
        };
        Ok((seq, conversation, delivery))
    })?;
    let mut all_leased = Vec::new();
    for (seq, conversation, delivery) in found {
        match delivery {
            Ok(leased) => {
                connection
                    .prepare_cached(
                        "UPDATE notify_delivery SET state = 'leased', lease_token = ?2, lease_until = ?3
                         WHERE seq = ?1",
                    )
                    .and_then(|mut statement| {
                        statement.execute((seq, leased.token, term.until.as_micros()))
                    })
                    .map_err(doing("lease deliveries"))?;
                all_leased.push(leased);
            }
            Err((state, why)) => {
                put_aside(connection, now, seq, state, &why)?;
                if let Some(conversation) = conversation {
                    conversation::advance(connection, now, conversation)?;
                }
            }
        }
    }
    Ok(all_leased)
}

/// How long a lease lasts, and which deliveries are too old for one.
#[derive(Clone, Copy)]
struct Term {
    until: Timestamp,
    max_age: Duration,
}

/// Takes a delivery that cannot be sent out of everybody's way, with the reason.
fn put_aside(
    connection: &Connection,
    now: Timestamp,
    seq: i64,
    state: DeliveryState,
    why: &str,
) -> Result<(), OutboxError> {
    let settled_at = state.is_settled().then(|| now.as_micros());
    connection
        .execute(
            "UPDATE notify_delivery SET state = ?2, reason = ?3, settled_at = ?4 WHERE seq = ?1",
            (seq, state.name(), why, settled_at),
        )
        .map(drop)
        .map_err(doing("put a delivery aside"))
}

fn leased(columns: &Columns<'_>, now: Timestamp) -> Result<Leased, OutboxError> {
    Ok(Leased {
        id: columns.delivery_id("delivery")?,
        token: columns.get::<i64>("lease_token")? + 1,
        attempts: columns.get("attempts")?,
        tries: columns.get("tries")?,
        age: now.since(columns.instant("created_at")?),
        event: Arc::new(intake::stored(columns)?),
        spec: Arc::new(Spec {
            digest: columns.digest("digest")?,
            body: columns.parse("spec")?,
            options_version: columns.get("options_version")?,
        }),
        account: columns.parse("account")?,
        recipient: notify_core::Recipient::of(&columns.get::<String>("recipient")?),
        action: columns.action("action")?,
        conversation: columns.get("key")?,
    })
}

/// Takes back the leases of engines that are gone. What they held may have been delivered.
fn take_back(connection: &Connection, now: Timestamp) -> Result<(), OutboxError> {
    let mut statement = connection
        .prepare_cached(
            "UPDATE notify_delivery
             SET state = 'pending', reason = 'unknown (lost_lease): the engine that sent it is gone',
                 attempts = attempts + 1, tries = tries + 1, lease_until = NULL, not_before = :now
             WHERE state = 'leased' AND lease_until <= :now
             RETURNING seq, lane, tries, conversation",
        )
        .map_err(doing("take lost leases back"))?;
    let rows = statement
        .query(named_params! { ":now": now.as_micros() })
        .map_err(doing("take lost leases back"))?;
    let lost = all(rows, |columns| {
        let (seq, lane): (i64, i64) = (columns.get("seq")?, columns.get("lane")?);
        let (tries, conversation): (i64, Option<i64>) =
            (columns.get("tries")?, columns.get("conversation")?);
        Ok((seq, lane, tries, conversation))
    })?;
    for (seq, lane, tries, conversation) in lost {
        connection
            .execute(
                "INSERT INTO notify_attempt (delivery, number, settled_at, took, outcome, detail)
                 VALUES (?1, ?2, ?3, 0, 'unknown', ?4)",
                (seq, tries, now.as_micros(), Cause::LostLease.name()),
            )
            .map_err(doing("note a lost lease"))?;
        if let Some(conversation) = conversation {
            conversation::advance(connection, now, conversation)?;
        }
        lane::refresh(connection, lane)?;
    }
    Ok(())
}
