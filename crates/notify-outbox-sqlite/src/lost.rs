//! Leases of engines that are gone. What they held may have been delivered.

use notify_core::Cause;
use notify_outbox::OutboxError;
use notify_outbox::settle::Release;

use crate::lane::{self, Touched};
use crate::ledger::Ledger;
use crate::{account, conversation, summary};

/// Why such a delivery is not delivered.
const REASON: &str = "unknown (lost_lease): the engine that sent it is gone";

/// Tells whether a lease ended by itself.
pub(crate) fn is_any(ledger: &Ledger<'_>) -> Result<bool, OutboxError> {
    let sql = "SELECT 1 FROM notify_delivery WHERE state = 'leased' AND lease_until <= ?1 LIMIT 1";
    let any = ledger.number("look for lost leases", sql, [ledger.now.as_micros()])?;
    Ok(any == 1)
}

/// A delivery whose lease ended by itself.
struct Lost {
    seq: i64,
    account: String,
    lane: i64,
    tries: i64,
    conversation: Option<i64>,
    opens: bool,
    leads: bool,
    held: bool,
}

/// Takes lost leases back: an attempt of unknown outcome, which is repeated or held.
pub(crate) fn take_back(ledger: &Ledger<'_>) -> Result<(), OutboxError> {
    let lost = ledger.list(
        "take lost leases back",
        "UPDATE notify_delivery
         SET state = iif(if_unknown = 'hold', 'held', 'pending'),
             release = iif(if_unknown = 'hold', 'replay', NULL),
             reason = ?2, attempts = attempts + 1, tries = tries + 1, unsure = 1,
             lease_until = NULL, not_before = ?1
         WHERE state = 'leased' AND lease_until <= ?1
         RETURNING seq, account, lane, tries, conversation, action = 'open' AS opens,
                   summary IS seq AS leads, state = 'held' AS held",
        (ledger.now.as_micros(), REASON),
        |columns| {
            Ok(Lost {
                seq: columns.get("seq")?,
                // What does not read is found out when it is leased again.
                account: columns.get("account").unwrap_or_default(),
                lane: columns.get("lane").unwrap_or_default(),
                tries: columns.get("tries").unwrap_or_default(),
                conversation: columns.get("conversation").unwrap_or_default(),
                opens: columns.get("opens")?,
                leads: columns.get("leads")?,
                held: columns.get("held")?,
            })
        },
    )?;
    let mut touched = Touched::new();
    for delivery in lost {
        ledger.change(
            "note a lost lease",
            "INSERT INTO notify_attempt (delivery, number, settled_at, took, outcome, detail)
             VALUES (?1, ?2, ?3, 0, 'unknown', ?4)",
            (
                delivery.seq,
                delivery.tries,
                ledger.now.as_micros(),
                Cause::LostLease.name(),
            ),
        )?;
        match (delivery.held, delivery.leads) {
            (true, true) => summary::hold(ledger, delivery.seq, Some(REASON), Release::Replay)?,
            (true, false) => {}
            (false, _) => account::hold_if_paused(ledger, &delivery.account, delivery.seq)?,
        }
        if let Some(conversation) = delivery.conversation {
            if delivery.opens {
                conversation::may_be_open(ledger, conversation)?;
            }
            conversation::advance(ledger, conversation, &mut touched)?;
        }
        lane::freed(ledger, delivery.lane)?;
        touched.insert(delivery.lane);
    }
    lane::refresh(ledger, touched)
}
