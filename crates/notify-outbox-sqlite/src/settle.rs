//! What came of an attempt, and accounts that are paused and resumed.

use notify_core::{AccountId, Outcome, Scope, Timestamp};
use notify_outbox::{DeliveryState, Next, OutboxError, Settled, Settlement};
use rusqlite::{Connection, OptionalExtension, named_params};

use crate::row::Columns;
use crate::writer::doing;
use crate::{conversation, lane};

pub(crate) fn settle(
    connection: &Connection,
    now: Timestamp,
    settlement: &Settlement,
) -> Result<Settled, OutboxError> {
    let decision = &settlement.decision;
    let (state, not_before, receipt) = match &decision.next {
        Next::Delivered(receipt) => (DeliveryState::Delivered, now, Some(receipt)),
        Next::Pending { after } => (DeliveryState::Pending, now.after(*after), None),
        Next::Rejected => (DeliveryState::Rejected, now, None),
        Next::Expired => (DeliveryState::Expired, now, None),
        Next::Held => (DeliveryState::Held, now, None),
    };
    let row = connection
        .prepare_cached(
            "UPDATE notify_delivery
             SET state = :state, reason = :reason, receipt = :receipt, not_before = :not_before,
                 attempts = attempts + :counts, tries = tries + 1, lease_until = NULL,
                 settled_at = :settled_at
             WHERE id = :id AND state = 'leased' AND lease_token = :token
             RETURNING seq, lane, conversation, action, tries, ended_at, event_id",
        )
        .map_err(doing("settle a delivery"))?
        .query_row(
            named_params! {
                ":id": settlement.delivery.uuid().as_bytes(),
                ":token": settlement.token,
                ":state": state.name(),
                ":reason": decision.reason,
                ":receipt": receipt.map(|receipt| serde_json::json!(receipt).to_string()),
                ":not_before": not_before.as_micros(),
                ":counts": decision.counts,
                ":settled_at": state.is_settled().then(|| now.as_micros()),
            },
            |row| Ok(Row::read(&Columns(row))),
        )
        .optional()
        .map_err(doing("settle a delivery"))?;
    let Some(row) = row.transpose()? else {
        return Ok(Settled::StaleLease);
    };
    note_attempt(connection, now, settlement, &row)?;
    if let Some(seq) = row.conversation {
        if let Next::Delivered(receipt) = &decision.next {
            let order = (row.ended_at, &row.event_id);
            conversation::arrived(connection, seq, row.action, order, receipt)?;
        }
        conversation::advance(connection, now, seq)?;
    }
    lane::refresh(connection, row.lane)?;
    match decision.wait {
        Some(wait) if wait.scope == Scope::Lane => {
            lane::shut(connection, row.lane, now.after(wait.after))?;
        }
        Some(wait) => {
            for lane in lane::of_account(connection, &settlement.account)? {
                lane::shut(connection, lane, now.after(wait.after))?;
            }
        }
        None => {}
    }
    if let Some(reason) = &decision.pause {
        pause(connection, now, &settlement.account, reason)?;
    }
    Ok(Settled::Done)
}

/// What the settled row says of itself.
struct Row {
    seq: i64,
    lane: i64,
    conversation: Option<i64>,
    action: notify_core::Action,
    tries: i64,
    ended_at: Timestamp,
    event_id: [u8; 16],
}

impl Row {
    fn read(columns: &Columns<'_>) -> Result<Self, OutboxError> {
        Ok(Self {
            seq: columns.get("seq")?,
            lane: columns.get("lane")?,
            conversation: columns.get("conversation")?,
            action: columns.action("action")?,
            tries: columns.get("tries")?,
            ended_at: columns.instant("ended_at")?,
            event_id: columns.get("event_id")?,
        })
    }
}

fn note_attempt(
    connection: &Connection,
    now: Timestamp,
    settlement: &Settlement,
    row: &Row,
) -> Result<(), OutboxError> {
    let detail = match &settlement.outcome {
        Outcome::Delivered(receipt) => Some(receipt.to_string()),
        _ => settlement.decision.reason.clone(),
    };
    connection
        .prepare_cached(
            "INSERT INTO notify_attempt (delivery, number, settled_at, took, outcome, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut statement| {
            let took = i64::try_from(settlement.took.as_micros()).unwrap_or(i64::MAX);
            let outcome = settlement.outcome.name();
            statement.execute((row.seq, row.tries, now.as_micros(), took, outcome, detail))
        })
        .map(drop)
        .map_err(doing("note an attempt"))
}

/// Pauses an account and holds everything that waits for it.
fn pause(
    connection: &Connection,
    now: Timestamp,
    account: &AccountId,
    reason: &str,
) -> Result<(), OutboxError> {
    let account_text = account.to_string();
    connection
        .execute(
            "INSERT INTO notify_account (account, paused_at, reason) VALUES (?1, ?2, ?3)
             ON CONFLICT (account) DO UPDATE SET reason = excluded.reason",
            (&account_text, now.as_micros(), reason),
        )
        .and_then(|_| {
            connection.execute(
                "UPDATE notify_delivery SET state = 'held', reason = ?2
                 WHERE account = ?1 AND state = 'pending'",
                (&account_text, reason),
            )
        })
        .map_err(doing("pause an account"))?;
    lane::of_account(connection, account)?
        .into_iter()
        .try_for_each(|lane| lane::refresh(connection, lane))
}

/// Lets accounts work again and gives how many deliveries that set free.
pub(crate) fn resume(
    connection: &Connection,
    now: Timestamp,
    accounts: &[AccountId],
) -> Result<u64, OutboxError> {
    connection
        .execute(
            "UPDATE notify_event SET state = 'accepted', reason = NULL WHERE state = 'unmatched'",
            [],
        )
        .map_err(doing("look at unmatched events anew"))?;
    let mut freed = 0;
    for account in accounts {
        let text = account.to_string();
        let set_free = connection
            .execute("DELETE FROM notify_account WHERE account = ?1", [&text])
            .and_then(|_| {
                connection.execute(
                    "UPDATE notify_delivery SET state = 'pending', not_before = ?2
                     WHERE account = ?1 AND state = 'held'",
                    (&text, now.as_micros()),
                )
            })
            .map_err(doing("resume an account"))?;
        freed += u64::try_from(set_free).unwrap_or(0);
        for lane in lane::of_account(connection, account)? {
            lane::refresh(connection, lane)?;
        }
    }
    Ok(freed)
}
