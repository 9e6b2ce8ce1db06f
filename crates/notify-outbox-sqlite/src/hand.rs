//! Deliveries that somebody replays or drops by hand.

use std::collections::BTreeSet;

use notify_core::DeliveryId;
use notify_outbox::{DeliveryState, OutboxError};

use crate::lane::{self, Touched};
use crate::lease::Standing;
use crate::ledger::Ledger;
use crate::{conversation, summary};

/// Makes deliveries due now, as if they were new, and gives those that were in a state for it.
pub(crate) fn replay(
    ledger: &Ledger<'_>,
    deliveries: &[DeliveryId],
) -> Result<Vec<DeliveryId>, OutboxError> {
    use DeliveryState::{Expired, Held, Pending, Rejected};
    by_hand(
        ledger,
        deliveries,
        &[Pending, Held, Rejected, Expired],
        |seq| {
            ledger.change(
                "replay a delivery",
                "UPDATE notify_delivery
             SET state = 'pending', release = NULL, attempts = 0, not_before = ?2, created_at = ?2,
                 settled_at = NULL
             WHERE seq = ?1",
                (seq, ledger.now.as_micros()),
            )
        },
    )
}

/// Gives deliveries up that wait or are held, and gives those that did.
pub(crate) fn drop(
    ledger: &Ledger<'_>,
    deliveries: &[DeliveryId],
    reason: &str,
) -> Result<Vec<DeliveryId>, OutboxError> {
    use DeliveryState::{Held, Pending};
    by_hand(ledger, deliveries, &[Pending, Held], |seq| {
        ledger.change(
            "drop a delivery",
            "UPDATE notify_delivery
             SET state = 'skipped', release = NULL, reason = ?2, settled_at = ?3
             WHERE seq = ?1",
            (seq, reason, ledger.now.as_micros()),
        )
    })
}

/// Changes each delivery that is in one of these states, and what hangs on it.
fn by_hand(
    ledger: &Ledger<'_>,
    deliveries: &[DeliveryId],
    states: &[DeliveryState],
    change: impl Fn(i64) -> Result<usize, OutboxError>,
) -> Result<Vec<DeliveryId>, OutboxError> {
    let mut changed = Vec::new();
    let (mut seen, mut conversations) = (BTreeSet::new(), BTreeSet::new());
    let mut touched = Touched::new();
    for id in deliveries {
        let Some(found) = find(ledger, *id)? else {
            continue;
        };
        // What a summary on the wire may be telling of right now is not told again.
        if !states.contains(&found.state) || found.on_the_wire || !seen.insert(*id) {
            continue;
        }
        let standing = found.standing;
        change(standing.seq)?;
        if let Some(group) = standing.summary {
            summary::dissolve(ledger, group)?;
        }
        conversations.extend(standing.conversation);
        touched.insert(standing.lane);
        changed.push(*id);
    }
    // Only now: what was asked for together does not end each other on the way.
    for conversation in conversations {
        conversation::advance(ledger, conversation, &mut touched)?;
    }
    lane::refresh(ledger, touched)?;
    Ok(changed)
}

/// A delivery that somebody names.
struct Found {
    standing: Standing,
    state: DeliveryState,
    on_the_wire: bool,
}

fn find(ledger: &Ledger<'_>, id: DeliveryId) -> Result<Option<Found>, OutboxError> {
    ledger.one(
        "find a delivery",
        "SELECT seq, lane, conversation, summary, state,
                EXISTS (SELECT 1 FROM notify_delivery AS leader
                        WHERE leader.seq = notify_delivery.summary AND leader.state = 'leased')
                    AS on_the_wire
         FROM notify_delivery WHERE id = ?1",
        [id.uuid().as_bytes()],
        |columns| {
            Ok(Found {
                standing: Standing {
                    seq: columns.get("seq")?,
                    lane: columns.get("lane")?,
                    conversation: columns.get("conversation")?,
                    summary: columns.get("summary")?,
                },
                state: columns.parse("state")?,
                on_the_wire: columns.get("on_the_wire")?,
            })
        },
    )
}
