//! Leases: what of a lane is put on the wire, and for how long.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use notify_core::{Recipient, Timestamp, time};
use notify_outbox::settle::Release;
use notify_outbox::{DeliveryState, Leased, OutboxError, StoredEvent, Summary};
use rusqlite::named_params;

use crate::lane::{self, Touched};
use crate::ledger::{Ledger, limit};
use crate::row::{self, Columns};
use crate::waiting::{readable, stored};
use crate::{conversation, spec, summary};

/// How long a lease lasts, and which deliveries are given none.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) until: Timestamp,
    /// From this age on they are of no use.
    pub(crate) max_age: Duration,
    /// From this instant and row on they are still to be made part of summaries.
    pub(crate) before: Option<(i64, i64)>,
}

/// How much one claim changes beside what it leases, however much there is to do: who waits for the
/// file waits no longer for a storm. The next claim goes on with it.
pub(crate) struct Effort {
    left: usize,
}

impl Effort {
    /// Begins a claim.
    pub(crate) const fn new() -> Self {
        Self {
            left: Summary::MOST,
        }
    }

    /// Takes note of rows that were changed.
    pub(crate) const fn spend(&mut self, rows: usize) {
        self.left = self.left.saturating_sub(rows);
    }

    /// Tells whether the claim has done its part.
    pub(crate) const fn is_over(&self) -> bool {
        self.left == 0
    }
}

/// Events that the deliveries of one claim share.
#[derive(Default)]
pub(crate) struct Bundle {
    events: HashMap<i64, Result<Arc<StoredEvent>, String>>,
}

impl Bundle {
    fn event(&mut self, ledger: &Ledger<'_>, seq: i64) -> Result<Arc<StoredEvent>, OutboxError> {
        let event = match self.events.entry(seq) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(readable(read_event(ledger, seq))?),
        };
        event.clone().map_err(OutboxError::Row)
    }
}

fn read_event(ledger: &Ledger<'_>, seq: i64) -> Result<Arc<StoredEvent>, OutboxError> {
    let event = ledger.one(
        "read an event",
        "SELECT id, project, domain, workflow, accepted_at, ended_at, body, past
         FROM notify_event WHERE seq = ?1",
        [seq],
        stored,
    )?;
    event
        .map(Arc::new)
        .ok_or_else(|| OutboxError::Row(format!("there is no event {seq}")))
}

/// Leases the first deliveries of a lane, and puts aside those that cannot be sent.
pub(crate) fn lease(
    ledger: &Ledger<'_>,
    lane: i64,
    terms: Terms,
    most: usize,
    (bundle, effort): (&mut Bundle, &mut Effort),
    leased: &mut Vec<Leased>,
) -> Result<(), OutboxError> {
    let wanted = leased.len() + most;
    while leased.len() < wanted && !effort.is_over() {
        let rows = due(ledger, lane, terms.before, wanted - leased.len(), bundle)?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            effort.spend(usize::from(
                !matches!(&row.delivery, Ok(one) if one.age < terms.max_age),
            ));
            match row.delivery {
                Ok(delivery) if delivery.age < terms.max_age => {
                    let sql = "UPDATE notify_delivery
                               SET state = 'leased', lease_token = ?2, lease_until = ?3
                               WHERE seq = ?1";
                    let values = (row.place.seq, delivery.token, terms.until.as_micros());
                    ledger.change("lease a delivery", sql, values)?;
                    leased.push(delivery);
                }
                Ok(delivery) => {
                    let why = too_old(delivery.age, row.reason.as_deref());
                    put_aside(ledger, &row.place, DeliveryState::Expired, &why)?;
                }
                Err(why) => put_aside(ledger, &row.place, DeliveryState::Held, &why)?,
            }
        }
    }
    Ok(())
}

/// Says why a delivery is not sent any more.
pub(crate) fn too_old(age: Duration, last: Option<&str>) -> String {
    let age = time::words(age);
    match last {
        Some(last) => format!("gave up after {age}; {last}"),
        None => format!("gave up after {age}"),
    }
}

/// Says why a delivery is not sent that nobody would send.
pub(crate) fn unserved(age: Duration, account: &str, last: Option<&str>) -> String {
    let nobody = format!("no engine serves the account `{account}`");
    match last {
        Some(last) => too_old(age, Some(&format!("{nobody}; {last}"))),
        None => too_old(age, Some(&nobody)),
    }
}

/// Where a delivery stands.
pub(crate) struct Standing {
    pub(crate) seq: i64,
    pub(crate) lane: i64,
    pub(crate) conversation: Option<i64>,
    pub(crate) summary: Option<i64>,
}

/// A delivery that is due, or why it does not read.
struct Due {
    place: Standing,
    reason: Option<String>,
    delivery: Result<Leased, String>,
}

fn due(
    ledger: &Ledger<'_>,
    lane: i64,
    before: Option<(i64, i64)>,
    most: usize,
    bundle: &mut Bundle,
) -> Result<Vec<Due>, OutboxError> {
    let (until, before) = before.unwrap_or((ledger.now.as_micros(), i64::MAX));
    ledger.list(
        "find what is due",
        "SELECT d.seq, d.id, d.lease_token, d.attempts, d.tries, d.created_at, d.if_unknown,
                d.unsure, d.account, d.recipient, d.action, d.conversation, d.reason, d.summary,
                d.event, d.spec, c.key,
                CASE c.state WHEN 'open' THEN c.receipt END AS earlier
         FROM notify_delivery d LEFT JOIN notify_conversation c ON c.seq = d.conversation
         WHERE d.lane = ?1 AND d.state = 'pending' AND d.blocked = 0
           AND (d.not_before, d.seq) < (?2, ?3)
         ORDER BY d.not_before, d.seq LIMIT ?4",
        (lane, until, before, limit(most)),
        |columns| {
            let seq = columns.at(0)?;
            Ok(Due {
                place: Standing {
                    seq,
                    lane,
                    conversation: columns.get("conversation").unwrap_or_default(),
                    summary: columns.get("summary").unwrap_or_default(),
                },
                reason: columns.get("reason").unwrap_or_default(),
                delivery: readable(leased(ledger, columns, bundle))?,
            })
        },
    )
}

fn leased(
    ledger: &Ledger<'_>,
    columns: &Columns<'_>,
    bundle: &mut Bundle,
) -> Result<Leased, OutboxError> {
    let leads: Option<i64> = columns.get("summary")?;
    columns.get::<Option<i64>>("conversation")?;
    columns.get::<Option<String>>("reason")?;
    Ok(Leased {
        id: columns.delivery_id("id")?,
        token: next_token(columns.get("lease_token")?)?,
        attempts: columns.get("attempts")?,
        tries: columns.get("tries")?,
        age: ledger.now.since(columns.instant("created_at")?),
        if_unknown: columns.if_unknown("if_unknown")?,
        unsure: columns.get("unsure")?,
        event: bundle.event(ledger, columns.get("event")?)?,
        spec: spec::read(ledger, columns.digest("spec")?)?,
        account: columns.parse("account")?,
        recipient: Recipient::of(&columns.get::<String>("recipient")?),
        action: columns.action("action")?,
        conversation: columns.get("key")?,
        earlier: columns.json("earlier")?,
        summary: leads
            .map(|group| summary::describe(ledger, group))
            .transpose()?,
    })
}

fn next_token(last: i64) -> Result<i64, OutboxError> {
    let none_left = || OutboxError::Row("column `lease_token`: there is no next one".to_owned());
    last.checked_add(1).ok_or_else(none_left)
}

/// Takes a delivery that cannot be sent out of everybody's way, with the reason.
pub(crate) fn put_aside(
    ledger: &Ledger<'_>,
    delivery: &Standing,
    state: DeliveryState,
    why: &str,
) -> Result<(), OutboxError> {
    let changed = ledger.change(
        "put a delivery aside",
        "UPDATE notify_delivery
         SET state = :state, reason = :why, release = :release, settled_at = :settled_at
         WHERE seq = :seq AND state = 'pending'",
        named_params! {
            ":seq": delivery.seq,
            ":state": state.name(),
            ":why": why,
            ":release": (state == DeliveryState::Held).then(|| row::release(Release::Account)),
            ":settled_at": state.is_settled().then(|| ledger.now.as_micros()),
        },
    )?;
    if changed == 0 {
        return Ok(());
    }
    let mut touched = Touched::new();
    if let Some(group) = delivery.summary {
        summary::dissolve(ledger, group)?;
        touched.insert(delivery.lane);
    }
    if let Some(conversation) = delivery.conversation {
        conversation::advance(ledger, conversation, &mut touched)?;
    }
    lane::refresh(ledger, touched)
}
