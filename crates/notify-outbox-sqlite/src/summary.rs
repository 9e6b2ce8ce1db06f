//! Summaries: many deliveries to one recipient, sent as one.
//!
//! **Invariant.** A group is fixed when it is formed. Its leader is sent for all of it, and its
//! members are blocked until the leader is settled or the group dissolved.

use std::collections::BTreeMap;
use std::time::Duration;

use notify_core::{DeliveryId, Receipt, TerminalPhase, Timestamp};
use notify_outbox::settle::Release;
use notify_outbox::{DeliveryState, OutboxError, Summary};
use rusqlite::named_params;

use crate::lease::{self, Standing};
use crate::ledger::{Ledger, limit};
use crate::row;

/// How many due rows are looked through for those that can be part of a summary.
const LOOKED_THROUGH: usize = 1_000;

/// Forms groups of what is due in a lane where one recipient would get more than `most` deliveries.
pub(crate) fn form(
    ledger: &Ledger<'_>,
    lane: i64,
    most: usize,
    max_age: Duration,
) -> Result<(), OutboxError> {
    let looked_at = most.saturating_mul(5);
    let flooded: Vec<String> = ledger.list(
        "look for a storm",
        "SELECT recipient FROM (
             SELECT recipient FROM (
                 SELECT recipient, action, conversation, summary FROM notify_delivery
                 WHERE lane = :lane AND state = 'pending' AND blocked = 0 AND not_before <= :now
                 ORDER BY not_before, seq LIMIT :looked_through)
             WHERE action = 'send' AND conversation IS NULL AND summary IS NULL
             LIMIT :looked_at)
         GROUP BY recipient HAVING count(*) > :most",
        named_params! {
            ":lane": lane,
            ":now": ledger.now.as_micros(),
            ":looked_through": limit(looked_at.saturating_add(LOOKED_THROUGH)),
            ":looked_at": limit(looked_at),
            ":most": limit(most),
        },
        |columns| columns.at(0),
    )?;
    for recipient in flooded {
        expire(ledger, lane, &recipient, max_age)?;
        group(ledger, lane, &recipient, most)?;
    }
    Ok(())
}

/// Gives up what is too old for a summary too.
fn expire(
    ledger: &Ledger<'_>,
    lane: i64,
    recipient: &str,
    max_age: Duration,
) -> Result<(), OutboxError> {
    let old = ledger.list(
        "look for what is too old",
        "SELECT seq, created_at, reason FROM notify_delivery
         WHERE lane = ?1 AND state = 'pending' AND blocked = 0 AND not_before <= ?2
           AND action = 'send' AND conversation IS NULL AND summary IS NULL
           AND recipient = ?3 AND created_at <= ?4",
        (
            lane,
            ledger.now.as_micros(),
            recipient,
            ledger.now.before(max_age).as_micros(),
        ),
        |columns| {
            let age = ledger.now.since(columns.instant("created_at")?);
            let last: Option<String> = columns.get("reason")?;
            Ok((columns.at(0)?, lease::too_old(age, last.as_deref())))
        },
    )?;
    for (seq, why) in old {
        let alone = Standing {
            seq,
            lane,
            conversation: None,
            summary: None,
        };
        lease::put_aside(ledger, &alone, DeliveryState::Expired, &why)?;
    }
    Ok(())
}

/// Makes one group of everything due for a recipient, if it is still more than `most`.
fn group(ledger: &Ledger<'_>, lane: i64, recipient: &str, most: usize) -> Result<(), OutboxError> {
    let due = ledger.list(
        "form a summary",
        "SELECT seq FROM notify_delivery
         WHERE lane = ?1 AND state = 'pending' AND blocked = 0 AND not_before <= ?2
           AND action = 'send' AND conversation IS NULL AND summary IS NULL AND recipient = ?3
         ORDER BY not_before, seq",
        (lane, ledger.now.as_micros(), recipient),
        |columns| columns.at::<i64>(0),
    )?;
    let Some(leader) = due.first().filter(|_| due.len() > most) else {
        return Ok(());
    };
    for seq in &due {
        ledger.change(
            "form a summary",
            "UPDATE notify_delivery SET summary = ?2, blocked = (seq <> ?2) WHERE seq = ?1",
            [seq, leader],
        )?;
    }
    Ok(())
}

/// Says what a group has in it.
pub(crate) fn describe(ledger: &Ledger<'_>, leader: i64) -> Result<Summary, OutboxError> {
    let mut summary = Summary {
        deliveries: 0,
        phases: BTreeMap::new(),
        first: Vec::new(),
        between: (
            Timestamp::from_micros(i64::MAX),
            Timestamp::from_micros(i64::MIN),
        ),
    };
    let by_phase = ledger.list(
        "sum up",
        "SELECT e.phase AS phase, count(*), min(d.ended_at), max(d.ended_at)
         FROM notify_delivery d JOIN notify_event e ON e.seq = d.event
         WHERE d.summary = ?1 GROUP BY e.phase",
        [leader],
        |columns| {
            let phase: TerminalPhase = columns.parse("phase")?;
            let count = u64::try_from(columns.at::<i64>(1)?).unwrap_or(0);
            let between = (columns.at(2)?, columns.at(3)?);
            Ok((phase, count, between))
        },
    )?;
    for (phase, count, (earliest, latest)) in by_phase {
        summary.deliveries += count;
        summary.phases.insert(phase, count);
        let (from, to) = &mut summary.between;
        *from = (*from).min(Timestamp::from_micros(earliest));
        *to = (*to).max(Timestamp::from_micros(latest));
    }
    summary.first = ledger.list(
        "sum up",
        "SELECT e.workflow AS workflow, e.phase AS phase
         FROM notify_delivery d JOIN notify_event e ON e.seq = d.event
         WHERE d.summary = ?1 ORDER BY d.ended_at, d.event_id, d.seq LIMIT ?2",
        (leader, limit(Summary::NAMED)),
        |columns| Ok((columns.parse("workflow")?, columns.parse("phase")?)),
    )?;
    Ok(summary)
}

/// Settles the members of a group whose leader was delivered.
pub(crate) fn told(
    ledger: &Ledger<'_>,
    leader: i64,
    id: DeliveryId,
    receipt: &Receipt,
) -> Result<(), OutboxError> {
    let all = "SELECT count(*) FROM notify_delivery WHERE summary = ?1";
    let all = ledger.number("settle a summary", all, [leader])?;
    let reason = format!("told in a summary of {all} ({id})");
    let receipt = serde_json::json!(receipt).to_string();
    finish(
        ledger,
        leader,
        DeliveryState::Delivered,
        Some(&reason),
        Some(&receipt),
    )
}

/// Settles the members of a group as their leader was: rejected or expired.
pub(crate) fn finish(
    ledger: &Ledger<'_>,
    leader: i64,
    state: DeliveryState,
    reason: Option<&str>,
    receipt: Option<&str>,
) -> Result<(), OutboxError> {
    ledger
        .change(
            "settle a summary",
            "UPDATE notify_delivery
             SET state = ?2, reason = ?3, receipt = ?4, release = NULL, settled_at = ?5
             WHERE summary = ?1 AND seq <> ?1 AND state IN ('pending', 'held')",
            (
                leader,
                state.name(),
                reason,
                receipt,
                ledger.now.as_micros(),
            ),
        )
        .map(drop)
}

/// Holds the members of a group with their leader.
pub(crate) fn hold(
    ledger: &Ledger<'_>,
    leader: i64,
    reason: Option<&str>,
    release: Release,
) -> Result<(), OutboxError> {
    ledger
        .change(
            "hold a summary",
            "UPDATE notify_delivery SET state = 'held', reason = ?2, release = ?3
             WHERE summary = ?1 AND seq <> ?1 AND state IN ('pending', 'held')",
            (leader, reason, row::release(release)),
        )
        .map(drop)
}

/// Makes the deliveries of a group single ones again. Their lane is to be refreshed.
pub(crate) fn dissolve(ledger: &Ledger<'_>, leader: i64) -> Result<(), OutboxError> {
    let sql = "UPDATE notify_delivery SET summary = NULL, blocked = 0 WHERE summary = ?1";
    ledger.change("dissolve a summary", sql, [leader]).map(drop)
}
