//! Accounts and lanes that are paused and resumed.

use notify_core::AccountId;
use notify_outbox::OutboxError;
use notify_outbox::settle::{Release, SILENT_ATTEMPTS};

use crate::lane;
use crate::ledger::Ledger;
use crate::summary;

/// Tells why an account is paused, where it is.
pub(crate) fn paused(ledger: &Ledger<'_>, account: &str) -> Result<Option<String>, OutboxError> {
    ledger.one(
        "read whether an account is paused",
        "SELECT reason FROM notify_account WHERE account = ?1",
        [account],
        |columns| columns.at(0),
    )
}

/// Pauses an account and holds everything that waits for it.
pub(crate) fn pause(ledger: &Ledger<'_>, account: &str, reason: &str) -> Result<(), OutboxError> {
    let doing = "pause an account";
    ledger.change(
        doing,
        "INSERT INTO notify_account (account, paused_at, reason) VALUES (?1, ?2, ?3)
         ON CONFLICT (account) DO UPDATE SET reason = excluded.reason",
        (account, ledger.now.as_micros(), reason),
    )?;
    ledger.change(
        doing,
        "UPDATE notify_delivery SET state = 'held', release = 'account', reason = ?2
         WHERE account = ?1 AND state = 'pending' AND settled_at IS NULL",
        (account, reason),
    )?;
    let nothing_due = "UPDATE notify_lane SET due_at = NULL WHERE account = ?1";
    ledger.change(doing, nothing_due, [account]).map(drop)
}

/// Pauses one lane and holds everything that waits in it.
pub(crate) fn pause_lane(ledger: &Ledger<'_>, lane: i64, reason: &str) -> Result<(), OutboxError> {
    let doing = "pause a lane";
    let paused = "UPDATE notify_lane SET paused = ?2, due_at = NULL WHERE seq = ?1";
    ledger.change(doing, paused, (lane, reason))?;
    ledger
        .change(
            doing,
            "UPDATE notify_delivery SET state = 'held', release = 'account', reason = ?2
             WHERE lane = ?1 AND state = 'pending' AND settled_at IS NULL",
            (lane, reason),
        )
        .map(drop)
}

/// Holds a delivery that was on the wire while its account or lane was paused, and what it stands
/// for.
pub(crate) fn hold_if_paused(
    ledger: &Ledger<'_>,
    account: &str,
    delivery: i64,
) -> Result<(), OutboxError> {
    let why = ledger.one(
        "read whether a lane is paused",
        "SELECT coalesce((SELECT reason FROM notify_account WHERE account = ?1), paused)
         FROM notify_lane WHERE seq = (SELECT lane FROM notify_delivery WHERE seq = ?2)",
        (account, delivery),
        |columns| columns.at::<Option<String>>(0),
    )?;
    let Some(reason) = why.flatten() else {
        return Ok(());
    };
    ledger.change(
        "hold a delivery",
        "UPDATE notify_delivery SET state = 'held', release = 'account', reason = ?2
         WHERE seq = ?1",
        (delivery, &reason),
    )?;
    summary::hold(ledger, delivery, Some(&reason), Release::Account)
}

/// Lets accounts work again and gives how many deliveries that set free.
pub(crate) fn resume(ledger: &Ledger<'_>, accounts: &[AccountId]) -> Result<u64, OutboxError> {
    let mut freed = 0;
    for account in accounts {
        freed += set_free(ledger, &account.to_string())?;
    }
    Ok(freed)
}

fn set_free(ledger: &Ledger<'_>, account: &str) -> Result<u64, OutboxError> {
    let doing = "resume an account";
    let no_longer_paused = "DELETE FROM notify_account WHERE account = ?1";
    if ledger.change(doing, no_longer_paused, [account])? == 1 {
        // Whoever asked a healthy account to rest is still obeyed.
        let open = "DELETE FROM notify_gate WHERE account = ?1";
        ledger.change(doing, open, [account])?;
    }
    let open = "UPDATE notify_lane SET paused = NULL WHERE account = ?1 AND paused IS NOT NULL";
    ledger.change(doing, open, [account])?;
    let lanes: Vec<i64> = ledger.list(
        doing,
        "SELECT DISTINCT lane FROM notify_delivery
         WHERE account = ?1 AND state = 'held' AND settled_at IS NULL
           AND release IS NOT 'replay'",
        [account],
        |columns| columns.at(0),
    )?;
    let freed = ledger.change(
        doing,
        "UPDATE notify_delivery SET state = 'pending', release = NULL, not_before = ?2
         WHERE account = ?1 AND state = 'held' AND settled_at IS NULL
           AND release IS NOT 'replay'",
        (account, ledger.now.as_micros()),
    )?;
    for lane in &lanes {
        let open = "UPDATE notify_lane SET gate_at = 0, silent = ?2, full = NULL WHERE seq = ?1";
        ledger.change(doing, open, (lane, SILENT_ATTEMPTS))?;
    }
    lane::refresh(ledger, lanes)?;
    Ok(u64::try_from(freed).unwrap_or(u64::MAX))
}
