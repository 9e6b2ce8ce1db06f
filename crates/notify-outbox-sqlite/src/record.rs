//! What plan decided, stored workflow by workflow.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use notify_core::{AccountId, Timestamp};
use notify_outbox::settle::Release;
use notify_outbox::{
    DeliveryState, EventState, NewDelivery, NewState, OutboxError, Plan, Recorded, SpecDigest,
    WorkflowPlan,
};
use rusqlite::named_params;

use crate::lane::Touched;
use crate::ledger::Ledger;
use crate::row::{self, VERSION};
use crate::{account, conversation, history, lane, spec};

/// Stores what was planned, each workflow as a whole or not at all.
pub(crate) fn record(
    ledger: &Ledger<'_>,
    plans: &[WorkflowPlan],
) -> Result<Vec<Recorded>, OutboxError> {
    let mut desk = Desk::default();
    let answers = plans
        .iter()
        .map(|plan| workflow(ledger, &mut desk, plan))
        .collect::<Result<_, _>>()?;
    lane::refresh(ledger, desk.touched)?;
    Ok(answers)
}

/// What is looked up once for all plans of a call.
#[derive(Default)]
struct Desk {
    accounts: HashMap<AccountId, Notes>,
    specs: HashSet<SpecDigest>,
    touched: Touched,
}

/// What is known of an account.
struct Notes {
    text: String,
    paused: Option<String>,
    lanes: HashMap<String, lane::Found>,
}

impl Desk {
    /// Finds an account's text, its lane's row, and why one of them is paused, where it is.
    fn look_up(
        &mut self,
        ledger: &Ledger<'_>,
        delivery: &NewDelivery,
    ) -> Result<(&str, i64, Option<&str>), OutboxError> {
        if !self.accounts.contains_key(&delivery.account) {
            let text = delivery.account.to_string();
            let notes = Notes {
                paused: account::paused(ledger, &text)?,
                text,
                lanes: HashMap::new(),
            };
            self.accounts.insert(delivery.account.clone(), notes);
        }
        let missing = || OutboxError::Row("an account went missing".to_owned());
        let notes = self
            .accounts
            .get_mut(&delivery.account)
            .ok_or_else(missing)?;
        let lane = match notes.lanes.entry(delivery.lane.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(lane::find(ledger, &notes.text, &delivery.lane)?),
        };
        let paused = notes.paused.as_ref().or(lane.paused.as_ref());
        Ok((&notes.text, lane.seq, paused.map(String::as_str)))
    }
}

/// An accepted event whose plan is stored.
struct Accepted<'a> {
    seq: i64,
    ended_at: Timestamp,
    plan: &'a Plan,
}

fn workflow(
    ledger: &Ledger<'_>,
    desk: &mut Desk,
    workflow: &WorkflowPlan,
) -> Result<Recorded, OutboxError> {
    let mut events = Vec::with_capacity(workflow.events.len());
    for plan in &workflow.events {
        match accepted(ledger, plan)? {
            Some(event) => events.push(event),
            None => return Ok(Recorded::LostRace),
        }
    }
    if !history::write(ledger, &workflow.workflow, &workflow.history)? {
        return Ok(Recorded::LostRace);
    }
    for event in &events {
        ledger.change(
            "mark an event as planned",
            "UPDATE notify_event SET state = ?2, past = ?3 WHERE seq = ?1",
            (
                event.seq,
                EventState::Planned.name(),
                serde_json::json!(event.plan.past).to_string(),
            ),
        )?;
        for delivery in &event.plan.deliveries {
            insert(ledger, desk, workflow, event, delivery)?;
        }
    }
    Ok(Recorded::Done)
}

/// Finds an event that still waits for its plan.
fn accepted<'a>(ledger: &Ledger<'_>, plan: &'a Plan) -> Result<Option<Accepted<'a>>, OutboxError> {
    ledger.one(
        "find an event",
        "SELECT seq, ended_at FROM notify_event WHERE id = ?1 AND state = 'accepted'",
        [plan.event.uuid().as_bytes()],
        |columns| {
            Ok(Accepted {
                seq: columns.at(0)?,
                ended_at: columns.instant("ended_at")?,
                plan,
            })
        },
    )
}

fn insert(
    ledger: &Ledger<'_>,
    desk: &mut Desk,
    workflow: &WorkflowPlan,
    event: &Accepted<'_>,
    delivery: &NewDelivery,
) -> Result<(), OutboxError> {
    if !desk.specs.contains(&delivery.spec.digest) {
        spec::store(ledger, &delivery.spec)?;
        desk.specs.insert(delivery.spec.digest);
    }
    let event_id = event.plan.event.uuid();
    let order = (event.ended_at, event_id.as_bytes());
    let (account, lane, paused) = desk.look_up(ledger, delivery)?;
    let joined = match &delivery.conversation {
        Some(_) if is_known(ledger, delivery)? => return Ok(()),
        Some(key) if delivery.state == NewState::Pending => Some(conversation::join(
            ledger,
            &workflow.workflow,
            delivery,
            (account, key),
            order,
        )?),
        _ => None,
    };
    let superseded = joined.as_ref().and_then(|joined| joined.superseded);
    let (state, reason) = match (&delivery.state, superseded, paused) {
        (NewState::Skipped(reason), ..) => (DeliveryState::Skipped, Some(reason.as_str())),
        (NewState::Superseded(reason), ..) => (DeliveryState::Superseded, Some(reason.as_str())),
        (NewState::Pending, Some(reason), _) => (DeliveryState::Superseded, Some(reason)),
        (NewState::Pending, None, Some(reason)) => (DeliveryState::Held, Some(reason)),
        (NewState::Pending, None, None) => (DeliveryState::Pending, None),
    };
    let release = (state == DeliveryState::Held).then(|| row::release(Release::Account));
    ledger.change(
        "store a delivery",
        "INSERT INTO notify_delivery (id, version, event, spec, account, lane, recipient, action,
                                      conversation, ended_at, event_id, state, reason, release,
                                      if_unknown, alone, not_before, created_at, settled_at)
         VALUES (:id, :version, :event, :spec, :account, :lane, :recipient, :action,
                 :conversation, :ended_at, :event_id, :state, :reason, :release,
                 :if_unknown, :alone, :now, :now, :settled_at)
         ON CONFLICT (id) DO NOTHING",
        named_params! {
            ":id": delivery.id.uuid().as_bytes(),
            ":version": VERSION,
            ":event": event.seq,
            ":spec": delivery.spec.digest.as_bytes(),
            ":account": account,
            ":lane": lane,
            ":recipient": delivery.recipient.as_str(),
            ":action": delivery.action.name(),
            ":conversation": joined.as_ref().map(|joined| joined.seq),
            ":ended_at": event.ended_at.as_micros(),
            ":event_id": event_id.as_bytes(),
            ":state": state.name(),
            ":reason": reason,
            ":release": release,
            ":if_unknown": row::if_unknown(delivery.if_unknown),
            ":alone": delivery.alone,
            ":now": ledger.now.as_micros(),
            ":settled_at": state.is_settled().then(|| ledger.now.as_micros()),
        },
    )?;
    if state == DeliveryState::Pending {
        desk.touched.insert(lane);
    }
    match joined {
        Some(joined) => conversation::advance(ledger, joined.seq, &mut desk.touched),
        None => Ok(()),
    }
}

/// Tells whether a delivery is recorded already, and must not join its conversation again.
fn is_known(ledger: &Ledger<'_>, delivery: &NewDelivery) -> Result<bool, OutboxError> {
    let sql = "SELECT 1 FROM notify_delivery WHERE id = ?1";
    let known = ledger.number("look a delivery up", sql, [delivery.id.uuid().as_bytes()])?;
    Ok(known == 1)
}
