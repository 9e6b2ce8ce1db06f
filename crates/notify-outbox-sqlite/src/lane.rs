//! Lanes: when each one has something to claim.
//!
//! **Invariant.** `due_at` is the instant from which a claim finds something in the lane, but for
//! leases that fill it, and NULL where nothing would be found; so a claim costs the same however
//! much waits elsewhere.

use std::collections::BTreeSet;

use notify_core::Timestamp;
use notify_outbox::OutboxError;
use rusqlite::named_params;

use crate::ledger::Ledger;

/// Lanes in which something changed.
pub(crate) type Touched = BTreeSet<i64>;

/// A lane's row.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) seq: i64,
    /// Why the lane alone is paused, where it is.
    pub(crate) paused: Option<String>,
}

/// Finds or makes a lane.
pub(crate) fn find(ledger: &Ledger<'_>, account: &str, lane: &str) -> Result<Found, OutboxError> {
    let doing = "find a lane";
    let known = "SELECT seq, paused FROM notify_lane WHERE account = ?1 AND lane = ?2";
    let found = ledger.one(doing, known, [account, lane], |columns| {
        let (seq, paused) = (columns.at(0)?, columns.at(1)?);
        Ok(Found { seq, paused })
    })?;
    if let Some(found) = found {
        return Ok(found);
    }
    let new = "INSERT INTO notify_lane (account, lane, gate_at)
               VALUES (?1, ?2, coalesce((SELECT gate_at FROM notify_gate WHERE account = ?1), 0))";
    ledger.change(doing, new, [account, lane])?;
    Ok(Found {
        seq: ledger.connection.last_insert_rowid(),
        paused: None,
    })
}

/// Works out when lanes are due.
pub(crate) fn refresh(
    ledger: &Ledger<'_>,
    lanes: impl IntoIterator<Item = i64>,
) -> Result<(), OutboxError> {
    for lane in lanes {
        ledger.change(
            "work out when a lane is due",
            "UPDATE notify_lane
             SET due_at = (SELECT max(gate_at, next_at, not_before) FROM notify_delivery
                           WHERE lane = ?1 AND state = 'pending' AND blocked = 0
                           ORDER BY not_before LIMIT 1)
             WHERE seq = ?1",
            [lane],
        )?;
    }
    Ok(())
}

/// Notes what a claim leaves behind: when the rate lets the next one go, and of which claims no more
/// can be served until a lease ends.
pub(crate) fn claimed(
    ledger: &Ledger<'_>,
    lane: i64,
    next_at: Timestamp,
    full: Option<i64>,
) -> Result<(), OutboxError> {
    ledger
        .change(
            "note what was claimed",
            "UPDATE notify_lane
             SET next_at = :next_at, full = :full,
                 due_at = (SELECT max(gate_at, :next_at, not_before) FROM notify_delivery
                           WHERE lane = :lane AND state = 'pending' AND blocked = 0
                           ORDER BY not_before LIMIT 1)
             WHERE seq = :lane",
            named_params! {
                ":lane": lane,
                ":next_at": next_at.as_micros(),
                ":full": full,
            },
        )
        .map(drop)
}

/// Takes note that a lease of the lane ended without an answer that counts for its silence.
pub(crate) fn freed(ledger: &Ledger<'_>, lane: i64) -> Result<(), OutboxError> {
    let sql = "UPDATE notify_lane SET full = NULL WHERE seq = ?1 AND full IS NOT NULL";
    ledger.change("free a lane", sql, [lane]).map(drop)
}

/// Shuts every lane of an account until an instant, those that are new by then too.
pub(crate) fn shut_account(
    ledger: &Ledger<'_>,
    account: &str,
    until: Timestamp,
) -> Result<(), OutboxError> {
    let doing = "shut an account";
    let values = (account, until.as_micros());
    let new_lanes = "INSERT INTO notify_gate (account, gate_at) VALUES (?1, ?2)
                     ON CONFLICT (account) DO UPDATE SET gate_at = max(gate_at, excluded.gate_at)";
    ledger.change(doing, new_lanes, values)?;
    let lanes = "UPDATE notify_lane SET gate_at = max(gate_at, ?2), due_at = max(due_at, ?2)
                 WHERE account = ?1";
    ledger.change(doing, lanes, values).map(drop)
}
