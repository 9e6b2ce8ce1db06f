//! Record: accepted events become planned ones, with all their deliveries, in one transaction each.

use std::time::Duration;

use notify_outbox::{OutboxError, Recorded, StoredEvent, WorkflowKey};

use crate::engine::Shared;
use crate::plan::{Unplannable, plan};

/// How many events are planned before deliveries get their turn.
const MOST: usize = 64;

/// How long an event waits for an engine that knows its workflow.
const UNMATCHED_AFTER: Duration = Duration::from_mins(1);

/// Plans what waits and tells how many events left the queue.
pub(crate) async fn record(shared: &Shared) -> Result<usize, OutboxError> {
    let mut done = 0;
    for (event, waited) in shared.outbox.accepted(MOST).await? {
        done += usize::from(one(shared, &event, waited).await?);
    }
    Ok(done)
}

async fn one(shared: &Shared, stored: &StoredEvent, waited: Duration) -> Result<bool, OutboxError> {
    let event = match stored.load(&shared.registry) {
        Ok(event) => event,
        Err(problems) => {
            tracing::error!(event = %stored.id, %problems, "The event cannot be read.");
            shared
                .outbox
                .malformed(stored.id, problems.to_string())
                .await?;
            return Ok(true);
        }
    };
    loop {
        let context = shared.outbox.plan_context(WorkflowKey::of(&event)).await?;
        let planned = match plan(stored.id, &event, &shared.config, context) {
            Ok(planned) => planned,
            Err(unplannable) => return put_aside(shared, stored, waited, &unplannable).await,
        };
        match shared.outbox.record(planned).await? {
            Recorded::Done => return Ok(true),
            Recorded::LostRace => tracing::debug!(event = %stored.id, "Planning again."),
        }
    }
}

async fn put_aside(
    shared: &Shared,
    stored: &StoredEvent,
    waited: Duration,
    why: &Unplannable,
) -> Result<bool, OutboxError> {
    let late = waited >= UNMATCHED_AFTER;
    if late {
        tracing::warn!(event = %stored.id, %why, "Nobody knows what to do with the event.");
        shared.outbox.unmatched(stored.id, why.to_string()).await?;
    }
    Ok(late)
}
