//! What came of an attempt.

use notify_core::{Action, Outcome, Scope, Timestamp};
use notify_outbox::settle::{self, Next, Settlement};
use notify_outbox::{DeliveryState, OutboxError, Settled};
use rusqlite::named_params;

use crate::lane::{self, Touched};
use crate::ledger::Ledger;
use crate::{account, conversation, row, summary};

/// Stores what came of an attempt. A stale lease changes nothing.
pub(crate) fn settle(ledger: &Ledger<'_>, settlement: &Settlement) -> Result<Settled, OutboxError> {
    let Some(settled) = find(ledger, settlement)? else {
        return Ok(Settled::StaleLease);
    };
    update(ledger, settlement, settled.seq)?;
    note_attempt(ledger, settlement, &settled)?;
    let decision = &settlement.decision;
    if settled.leads {
        settle_members(ledger, settlement, settled.seq)?;
    }
    let mut touched = Touched::new();
    if let Some(seq) = settled.conversation {
        if let Next::Delivered(receipt) = &decision.next {
            let order = (settled.ended_at, &settled.event_id);
            conversation::arrived(ledger, seq, settled.action, order, receipt)?;
        } else if decision.unsure && settled.action == Action::Open {
            conversation::may_be_open(ledger, seq)?;
        }
        conversation::advance(ledger, seq, &mut touched)?;
    }
    if matches!(decision.next, Next::Pending { .. }) {
        account::hold_if_paused(ledger, &settlement.account.to_string(), settled.seq)?;
        touched.insert(settled.lane);
    }
    mind_lane(ledger, settlement, settled.lane, &mut touched)?;
    lane::refresh(ledger, touched)?;
    match decision.wait {
        Some(wait) if wait.scope == Scope::Account => {
            let account = settlement.account.to_string();
            lane::shut_account(ledger, &account, ledger.now.after(wait.after))?;
        }
        _ => {}
    }
    match &decision.pause {
        Some(pause) if pause.scope == Scope::Lane => {
            account::pause_lane(ledger, settled.lane, &pause.reason)?;
        }
        Some(pause) => account::pause(ledger, &settlement.account.to_string(), &pause.reason)?,
        None => {}
    }
    Ok(Settled::Done)
}

/// What the settled row says of itself.
struct Row {
    seq: i64,
    lane: i64,
    conversation: Option<i64>,
    leads: bool,
    action: Action,
    tries: i64,
    ended_at: Timestamp,
    event_id: [u8; 16],
}

/// Finds the delivery, if it is still under this lease.
fn find(ledger: &Ledger<'_>, settlement: &Settlement) -> Result<Option<Row>, OutboxError> {
    ledger.one(
        "find a delivery",
        "SELECT seq, lane, conversation, summary IS seq AS leads, action, tries, ended_at, event_id
         FROM notify_delivery WHERE id = ?1 AND state = 'leased' AND lease_token = ?2",
        (settlement.delivery.uuid().as_bytes(), settlement.token),
        |columns| {
            Ok(Row {
                seq: columns.get("seq")?,
                lane: columns.get("lane")?,
                conversation: columns.get("conversation")?,
                leads: columns.get("leads")?,
                action: columns.action("action")?,
                // Whatever does not read here, what came of the attempt is stored.
                tries: columns.get("tries").unwrap_or_default(),
                ended_at: Timestamp::from_micros(columns.get("ended_at").unwrap_or_default()),
                event_id: columns.get("event_id").unwrap_or_default(),
            })
        },
    )
}

/// Moves the delivery where it was decided.
fn update(ledger: &Ledger<'_>, settlement: &Settlement, seq: i64) -> Result<(), OutboxError> {
    let decision = &settlement.decision;
    let now = ledger.now;
    let (state, not_before) = match &decision.next {
        Next::Delivered(_) => (DeliveryState::Delivered, now),
        Next::Pending { after } => (DeliveryState::Pending, now.after(*after)),
        Next::Rejected => (DeliveryState::Rejected, now),
        Next::Expired => (DeliveryState::Expired, now),
        Next::Held(_) => (DeliveryState::Held, now),
    };
    let receipt = match &decision.next {
        Next::Delivered(receipt) => Some(serde_json::json!(receipt).to_string()),
        _ => None,
    };
    let release = match decision.next {
        Next::Held(release) => Some(row::release(release)),
        _ => None,
    };
    ledger
        .change(
            "settle a delivery",
            "UPDATE notify_delivery
             SET state = :state, reason = :reason, receipt = :receipt, not_before = :not_before,
                 release = :release, attempts = attempts + :counts, tries = tries + 1,
                 unsure = unsure OR :unsure, lease_until = NULL, settled_at = :settled_at
             WHERE seq = :seq",
            named_params! {
                ":seq": seq,
                ":state": state.name(),
                ":reason": decision.reason,
                ":receipt": receipt,
                ":not_before": not_before.as_micros(),
                ":release": release,
                ":counts": decision.counts,
                ":unsure": decision.unsure,
                ":settled_at": state.is_settled().then(|| now.as_micros()),
            },
        )
        .map(drop)
}

fn note_attempt(
    ledger: &Ledger<'_>,
    settlement: &Settlement,
    settled: &Row,
) -> Result<(), OutboxError> {
    let detail = match &settlement.outcome {
        Outcome::Delivered(receipt) => Some(receipt.to_string()),
        _ => settlement.decision.reason.clone(),
    };
    let took = i64::try_from(settlement.took.as_micros()).unwrap_or(i64::MAX);
    ledger
        .change(
            "note an attempt",
            "INSERT INTO notify_attempt (delivery, number, settled_at, took, outcome, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                settled.seq,
                settled.tries + 1,
                ledger.now.as_micros(),
                took,
                settlement.outcome.name(),
                detail,
            ),
        )
        .map(drop)
}

/// Lets the members of a summary share what came of it.
fn settle_members(
    ledger: &Ledger<'_>,
    settlement: &Settlement,
    leader: i64,
) -> Result<(), OutboxError> {
    let reason = settlement.decision.reason.as_deref();
    let state = match &settlement.decision.next {
        Next::Delivered(receipt) => {
            return summary::told(ledger, leader, settlement.delivery, receipt);
        }
        Next::Held(release) => return summary::hold(ledger, leader, reason, *release),
        Next::Pending { .. } => return Ok(()),
        Next::Rejected => DeliveryState::Rejected,
        Next::Expired => DeliveryState::Expired,
    };
    summary::finish(ledger, leader, state, reason, None)
}

/// Keeps the lane's silence and gate, and gives back the place that the lease took.
fn mind_lane(
    ledger: &Ledger<'_>,
    settlement: &Settlement,
    lane: i64,
    touched: &mut Touched,
) -> Result<(), OutboxError> {
    let decision = &settlement.decision;
    let doing = "keep a lane's state";
    let sql = "SELECT silent, full IS NOT NULL FROM notify_lane WHERE seq = ?1";
    let found = ledger.one(doing, sql, [lane], |columns| {
        Ok((
            columns.at::<u32>(0).unwrap_or_default(),
            columns.at::<bool>(1)?,
        ))
    })?;
    let (before, full) = found.unwrap_or_default();
    let silent = if decision.silent {
        before.saturating_add(1)
    } else {
        0
    };
    let quiet = if decision.silent {
        settle::quiet(silent)
    } else {
        None
    };
    let wait = decision
        .wait
        .filter(|wait| wait.scope == Scope::Lane)
        .map(|wait| wait.after);
    let shut = quiet.max(wait).map(|after| ledger.now.after(after));
    if silent == before && !full && shut.is_none() {
        return Ok(());
    }
    if shut.is_some() {
        touched.insert(lane);
    }
    ledger
        .change(
            doing,
            "UPDATE notify_lane SET silent = ?2, full = NULL, gate_at = max(gate_at, ?3)
             WHERE seq = ?1",
            (lane, silent, shut.map_or(0, Timestamp::as_micros)),
        )
        .map(drop)
}
