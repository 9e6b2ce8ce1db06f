//! Summaries: many deliveries to one recipient, sent as one.
//!
//! **Invariant.** A group is fixed when it is formed. Its leader is sent for all of it, and its
//! members are blocked until the leader is settled or the group dissolved.

use std::collections::BTreeMap;
use std::time::Duration;

use notify_core::{DeliveryId, Receipt, TerminalPhase, Timestamp, WorkflowName};
use notify_outbox::settle::Release;
use notify_outbox::{DeliveryState, OutboxError, Summary};
use rusqlite::named_params;

use crate::ledger::{Ledger, limit};
use crate::row::{self, Columns};
use crate::waiting::readable;

/// How many due rows are looked through for those that can be part of a summary.
const LOOKED_THROUGH: usize = 1_000;

/// What was made of a storm.
pub(crate) struct Formed {
    /// How many deliveries are in groups now that were in none.
    pub(crate) grouped: usize,
    /// Where the storm goes on, for which groups are still to be formed: the instant and the row of
    /// the first delivery that is in none.
    pub(crate) goes_on: Option<(i64, i64)>,
}

/// Forms a group of what is due in a lane for each recipient who would get more than `most`
/// deliveries.
pub(crate) fn form(
    ledger: &Ledger<'_>,
    lane: i64,
    most: usize,
    max_age: Duration,
) -> Result<Formed, OutboxError> {
    let mut formed = Formed {
        grouped: 0,
        goes_on: None,
    };
    let old = ledger.now.before(max_age).as_micros();
    for recipient in flooded(ledger, lane, most, old)? {
        let (grouped, goes_on) = if formed.grouped < Summary::MOST {
            group(ledger, lane, &recipient, old)?
        } else {
            (0, single(ledger, lane, &recipient, old, 0)?)
        };
        formed.grouped += grouped;
        formed.goes_on = match (formed.goes_on, goes_on) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    Ok(formed)
}

/// Lists the recipients for whom there is a storm among the first that are due.
fn flooded(
    ledger: &Ledger<'_>,
    lane: i64,
    most: usize,
    old: i64,
) -> Result<Vec<String>, OutboxError> {
    let looked_at = most.saturating_mul(5);
    let recipients = ledger.list(
        "look for a storm",
        "SELECT recipient FROM (
             SELECT seq, not_before, recipient FROM (
                 SELECT seq, not_before, recipient, action, conversation, summary, created_at
                 FROM notify_delivery
                 WHERE lane = :lane AND state = 'pending' AND blocked = 0 AND not_before <= :now
                 ORDER BY not_before, seq LIMIT :looked_through)
             WHERE action = 'send' AND conversation IS NULL AND summary IS NULL
               AND created_at > :old
             LIMIT :looked_at)
         GROUP BY recipient HAVING count(*) > :most
         ORDER BY min(not_before), min(seq)",
        named_params! {
            ":lane": lane,
            ":now": ledger.now.as_micros(),
            ":old": old,
            ":looked_through": limit(looked_at.saturating_add(LOOKED_THROUGH)),
            ":looked_at": limit(looked_at),
            ":most": limit(most),
        },
        // A recipient that is no text is found out when its delivery is leased.
        |columns| Ok(columns.at(0).ok()),
    )?;
    Ok(recipients.into_iter().flatten().collect())
}

/// Finds the delivery at a place among those that are due for a recipient and in no group: its
/// instant and its row.
fn single(
    ledger: &Ledger<'_>,
    lane: i64,
    recipient: &str,
    old: i64,
    place: usize,
) -> Result<Option<(i64, i64)>, OutboxError> {
    ledger.one(
        "form a summary",
        "SELECT not_before, seq FROM notify_delivery
         WHERE lane = :lane AND state = 'pending' AND blocked = 0 AND not_before <= :now
           AND action = 'send' AND conversation IS NULL AND summary IS NULL
           AND recipient = :recipient AND created_at > :old
         ORDER BY not_before, seq LIMIT 1 OFFSET :place",
        named_params! {
            ":lane": lane,
            ":now": ledger.now.as_micros(),
            ":recipient": recipient,
            ":old": old,
            ":place": limit(place),
        },
        |columns| Ok((columns.at(0)?, columns.at(1)?)),
    )
}

/// Makes one group of the first that are due for a recipient, and gives how many there are, and
/// where those begin that are too many for it.
fn group(
    ledger: &Ledger<'_>,
    lane: i64,
    recipient: &str,
    old: i64,
) -> Result<(usize, Option<(i64, i64)>), OutboxError> {
    let Some((_, leader)) = single(ledger, lane, recipient, old, 0)? else {
        return Ok((0, None));
    };
    let goes_on = single(ledger, lane, recipient, old, Summary::MOST)?;
    let (until, before) = goes_on.unwrap_or((ledger.now.as_micros(), i64::MAX));
    // One statement: SQLite keeps what it would need to undo each.
    let grouped = ledger.change(
        "form a summary",
        "UPDATE notify_delivery SET summary = :leader, blocked = (seq <> :leader)
         WHERE lane = :lane AND state = 'pending' AND blocked = 0
           AND (not_before, seq) < (:until, :before)
           AND action = 'send' AND conversation IS NULL AND summary IS NULL
           AND recipient = :recipient AND created_at > :old",
        named_params! {
            ":lane": lane,
            ":recipient": recipient,
            ":old": old,
            ":leader": leader,
            ":until": until,
            ":before": before,
        },
    )?;
    Ok((grouped, goes_on))
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
            let phase: Option<TerminalPhase> = columns.parse("phase").ok();
            let count = u64::try_from(columns.at::<i64>(1)?).unwrap_or(0);
            let between = (columns.at(2)?, columns.at(3)?);
            Ok((phase, count, between))
        },
    )?;
    for (phase, count, (earliest, latest)) in by_phase {
        summary.deliveries += count;
        // An event that does not read is still one of them.
        if let Some(phase) = phase {
            summary.phases.insert(phase, count);
        }
        let (from, to) = &mut summary.between;
        *from = (*from).min(Timestamp::from_micros(earliest));
        *to = (*to).max(Timestamp::from_micros(latest));
    }
    let first = ledger.list(
        "sum up",
        "SELECT e.workflow AS workflow, e.phase AS phase
         FROM notify_delivery d JOIN notify_event e ON e.seq = d.event
         WHERE d.summary = ?1 ORDER BY d.ended_at, d.event_id, d.seq LIMIT ?2",
        (leader, limit(Summary::NAMED)),
        |columns| readable(named(columns)),
    )?;
    summary.first = first.into_iter().flatten().collect();
    Ok(summary)
}

fn named(columns: &Columns<'_>) -> Result<(WorkflowName, TerminalPhase), OutboxError> {
    Ok((columns.parse("workflow")?, columns.parse("phase")?))
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
