//! What plan needs and what plan decided.

use notify_core::Timestamp;
use notify_outbox::{
    DeliveryState, End, History, NewDelivery, NewState, OutboxError, Plan, PlanContext, Recorded,
    Spec, WorkflowKey,
};
use rusqlite::{Connection, OptionalExtension, named_params};

use crate::row::VERSION;
use crate::writer::doing;
use crate::{conversation, lane};

pub(crate) fn context(
    connection: &Connection,
    workflow: &WorkflowKey,
) -> Result<PlanContext, OutboxError> {
    let stored = connection
        .query_row(
            "SELECT version, ends FROM notify_history
             WHERE project = ?1 AND domain = ?2 AND workflow = ?3",
            [
                &workflow.project,
                &workflow.domain,
                workflow.workflow.as_str(),
            ],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
        )
        .optional()
        .map_err(doing("read a history"))?;
    let history = match stored {
        None => History::default(),
        Some((version, ends)) => {
            let ends: Vec<End> = serde_json::from_str(&ends)
                .map_err(|err| OutboxError::Row(format!("column `ends`: {err}")))?;
            History::new(version, ends)
        }
    };
    Ok(PlanContext {
        history,
        conversations: conversation::of_workflow(connection, workflow)?,
    })
}

pub(crate) fn record(
    connection: &Connection,
    now: Timestamp,
    plan: &Plan,
) -> Result<Recorded, OutboxError> {
    let event = connection
        .query_row(
            "UPDATE notify_event SET state = 'planned', past = :past
             WHERE id = :id AND state = 'accepted'
             RETURNING seq, ended_at",
            named_params! {
                ":id": plan.event.uuid().as_bytes(),
                ":past": serde_json::json!(plan.past).to_string(),
            },
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .map_err(doing("mark an event as planned"))?;
    // Another engine planned the event meanwhile: there is nothing left to do.
    let Some((event, ended_at)) = event else {
        return Ok(Recorded::Done);
    };
    if !write_history(connection, plan)? {
        connection
            .execute(
                "UPDATE notify_event SET state = 'accepted', past = NULL WHERE seq = ?1",
                [event],
            )
            .map_err(doing("put an event back"))?;
        return Ok(Recorded::LostRace);
    }
    for delivery in &plan.deliveries {
        insert(
            connection,
            now,
            plan,
            event,
            Timestamp::from_micros(ended_at),
            delivery,
        )?;
    }
    Ok(Recorded::Done)
}

/// Writes the history if nobody wrote it since plan read it; a version of 0 means that there was none.
fn write_history(connection: &Connection, plan: &Plan) -> Result<bool, OutboxError> {
    let written = connection
        .execute(
            "INSERT INTO notify_history (project, domain, workflow, version, ends)
             VALUES (:project, :domain, :workflow, 1, :ends)
             ON CONFLICT (project, domain, workflow)
             DO UPDATE SET version = version + 1, ends = excluded.ends WHERE version = :version",
            named_params! {
                ":project": plan.workflow.project,
                ":domain": plan.workflow.domain,
                ":workflow": plan.workflow.workflow.as_str(),
                ":version": plan.history.version,
                ":ends": serde_json::json!(plan.history.ends()).to_string(),
            },
        )
        .map_err(doing("write a history"))?;
    Ok(written == 1)
}

fn insert(
    connection: &Connection,
    now: Timestamp,
    plan: &Plan,
    event: i64,
    ended_at: Timestamp,
    delivery: &NewDelivery,
) -> Result<(), OutboxError> {
    store_spec(connection, &delivery.spec)?;
    let lane = lane::find(connection, &delivery.account, &delivery.lane)?;
    let event_id = plan.event.uuid();
    let order = (ended_at, event_id.as_bytes());
    let joined = match &delivery.conversation {
        Some(key) if delivery.state == NewState::Pending => Some(conversation::join(
            connection,
            &plan.workflow,
            delivery,
            key,
            order,
        )?),
        _ => None,
    };
    let superseded = joined.as_ref().and_then(|joined| joined.superseded.clone());
    let paused = conversation::paused(connection, &delivery.account)?;
    let (state, reason) = match (&delivery.state, superseded, paused) {
        (NewState::Skipped(reason), ..) => (DeliveryState::Skipped, Some(reason.clone())),
        (NewState::Pending, Some(reason), _) => (DeliveryState::Superseded, Some(reason)),
        (NewState::Pending, None, Some(reason)) => (DeliveryState::Held, Some(reason)),
        (NewState::Pending, None, None) => (DeliveryState::Pending, None),
    };
    connection
        .prepare_cached(
            "INSERT INTO notify_delivery (id, version, event, spec, account, lane, recipient, action,
                                          conversation, ended_at, event_id, state, reason, not_before,
                                          created_at, settled_at)
             VALUES (:id, :version, :event, :spec, :account, :lane, :recipient, :action,
                     :conversation, :ended_at, :event_id, :state, :reason, :now, :now, :settled_at)
             ON CONFLICT (id) DO NOTHING",
        )
        .and_then(|mut statement| {
            statement.execute(named_params! {
                ":id": delivery.id.uuid().as_bytes(),
                ":version": VERSION,
                ":event": event,
                ":spec": delivery.spec.digest.as_bytes(),
                ":account": delivery.account.to_string(),
                ":lane": lane,
                ":recipient": delivery.recipient.as_str(),
                ":action": delivery.action.name(),
                ":conversation": joined.as_ref().map(|joined| joined.seq),
                ":ended_at": ended_at.as_micros(),
                ":event_id": event_id.as_bytes(),
                ":state": state.name(),
                ":reason": reason,
                ":now": now.as_micros(),
                ":settled_at": state.is_settled().then(|| now.as_micros()),
            })
        })
        .map_err(doing("store a delivery"))?;
    if let Some(joined) = joined {
        conversation::advance(connection, now, joined.seq)?;
    }
    lane::refresh(connection, lane)
}

fn store_spec(connection: &Connection, spec: &Spec) -> Result<(), OutboxError> {
    connection
        .prepare_cached(
            "INSERT INTO notify_spec (digest, version, options_version, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (digest) DO NOTHING",
        )
        .and_then(|mut statement| {
            let body = spec.body.to_string();
            statement.execute((spec.digest.as_bytes(), VERSION, spec.options_version, body))
        })
        .map(drop)
        .map_err(doing("store a spec"))
}
