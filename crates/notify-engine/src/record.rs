//! Record: accepted events become planned ones, with all their deliveries, many in one transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use notify_outbox::{
    Aside, End, EventState, OutboxError, Plan, Recorded, WorkflowKey, WorkflowPlan,
};

use crate::engine::Shared;
use crate::plan::plan;
use crate::snapshot::Snapshot;

/// How many events are planned at once: enough to share a commit, few enough that what waits for
/// the ledger behind them does not wait long.
const MOST: usize = 128;

/// How long an event waits for an engine that knows its workflow.
const UNMATCHED_AFTER: Duration = Duration::from_mins(1);

/// What one turn of planning came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Planned {
    /// How many events left the queue.
    pub(crate) moved: usize,
    /// How many stay, because this engine does not know their workflow.
    pub(crate) left: usize,
}

/// Plans what waits, beyond the events that were left before.
pub(crate) async fn record(
    shared: &Shared,
    snapshot: &Snapshot,
    left_before: usize,
) -> Result<Planned, OutboxError> {
    let waiting = shared.outbox.waiting(left_before + MOST).await?;
    let mut planned = Planned::default();
    let mut aside = Vec::new();
    let mut contexts = waiting.contexts;
    let mut plans: BTreeMap<WorkflowKey, Vec<Plan>> = BTreeMap::new();
    for (stored, waited) in waiting.events {
        let event = match shared.known.event(&shared.registry, &stored) {
            Ok(event) => event,
            Err(problems) => {
                tracing::error!(event = %stored.id, %problems, "The event cannot be read.");
                aside.push(Aside {
                    event: stored.id,
                    state: EventState::Malformed,
                    reason: problems.to_string(),
                });
                continue;
            }
        };
        let end = End::new(stored.ended_at, stored.id, event.phase);
        let context = contexts.entry(stored.workflow.clone()).or_default();
        match plan(&end, &event, &snapshot.declared, context) {
            Ok(plan) => {
                context.follow(end, &plan);
                plans.entry(stored.workflow).or_default().push(plan);
            }
            Err(why) if waited >= UNMATCHED_AFTER => {
                tracing::debug!(event = %stored.id, %why, "Nobody knows what to do with the event.");
                aside.push(Aside {
                    event: stored.id,
                    state: EventState::Unmatched,
                    reason: why.to_string(),
                });
            }
            Err(_) => planned.left += 1,
        }
    }
    if let Some(first) = aside.first() {
        let (events, why) = (aside.len(), &first.reason);
        tracing::warn!(events, %why, "Nobody knows what to do with some events.");
        planned.moved += aside.len();
        shared.outbox.set_aside(aside).await?;
    }
    if plans.is_empty() {
        return Ok(planned);
    }
    // What lost the race is read again in the next turn.
    planned.moved += plans.values().map(Vec::len).sum::<usize>();
    let whole = |(workflow, events)| {
        let history = contexts.remove(&workflow).unwrap_or_default().history;
        WorkflowPlan {
            workflow,
            history,
            events,
        }
    };
    let plans = plans.into_iter().map(whole).collect();
    let recorded = shared.outbox.record(plans).await?;
    let lost = recorded
        .iter()
        .filter(|recorded| **recorded == Recorded::LostRace)
        .count();
    if lost > 0 {
        tracing::debug!(
            workflows = lost,
            "Another engine was faster; planning again."
        );
    }
    Ok(planned)
}
