//! Deliveries of accounts that no engine serves any more.

use std::collections::BTreeSet;

use notify_outbox::{Claim, DeliveryState, OutboxError};

use crate::lane::{self, Touched};
use crate::lease::{self, Standing};
use crate::ledger::{Ledger, limit};

/// How many deliveries one claim gives up.
const MOST: usize = 100;

/// Tells whether one has grown too old.
pub(crate) fn is_any(ledger: &Ledger<'_>, claim: &Claim) -> Result<bool, OutboxError> {
    Ok(!too_old(ledger, claim, 1)?.is_empty())
}

/// Gives up some that have grown too old: nobody else will.
pub(crate) fn expire(ledger: &Ledger<'_>, claim: &Claim) -> Result<(), OutboxError> {
    let mut touched = Touched::new();
    for (delivery, why) in too_old(ledger, claim, MOST)? {
        lease::put_aside(ledger, &delivery, DeliveryState::Expired, &why)?;
        touched.insert(delivery.lane);
    }
    lane::refresh(ledger, touched)
}

/// Lists deliveries that are too old and that this claim does not serve, with the reason.
fn too_old(
    ledger: &Ledger<'_>,
    claim: &Claim,
    most: usize,
) -> Result<Vec<(Standing, String)>, OutboxError> {
    let served: BTreeSet<String> = claim
        .serve
        .iter()
        .map(|serve| serve.account.to_string())
        .collect();
    let mut found = Vec::new();
    let mut last = String::new();
    while let Some(account) = next_account(ledger, &last)? {
        if !served.contains(&account) && found.len() < most {
            found.extend(of_account(ledger, claim, &account, most - found.len())?);
        }
        last = account;
    }
    Ok(found)
}

/// Finds the next account by name for which something is not settled.
fn next_account(ledger: &Ledger<'_>, last: &str) -> Result<Option<String>, OutboxError> {
    let account = ledger.one(
        "look for accounts",
        "SELECT account FROM notify_delivery WHERE settled_at IS NULL AND account > ?1
         ORDER BY account LIMIT 1",
        [last],
        // One that is no text comes after all others.
        |columns| Ok(columns.at(0).ok()),
    )?;
    Ok(account.flatten())
}

fn of_account(
    ledger: &Ledger<'_>,
    claim: &Claim,
    account: &str,
    most: usize,
) -> Result<Vec<(Standing, String)>, OutboxError> {
    ledger.list(
        "look for what nobody sends",
        // What a summary on the wire tells of is left to it.
        "SELECT seq, lane, conversation, summary, created_at, reason FROM notify_delivery
         WHERE account = ?1 AND state = 'pending' AND settled_at IS NULL AND created_at <= ?2
           AND (summary IS NULL OR summary = seq)
         ORDER BY created_at LIMIT ?3",
        (
            account,
            ledger.now.before(claim.max_age).as_micros(),
            limit(most),
        ),
        |columns| {
            let age = ledger.now.since(columns.instant("created_at")?);
            let last: Option<String> = columns.get("reason").unwrap_or_default();
            let place = Standing {
                seq: columns.at(0)?,
                lane: columns.get("lane").unwrap_or_default(),
                conversation: columns.get("conversation").unwrap_or_default(),
                summary: columns.get("summary").unwrap_or_default(),
            };
            Ok((place, lease::unserved(age, account, last.as_deref())))
        },
    )
}
