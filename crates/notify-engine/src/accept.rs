//! Accept: the event goes into the outbox, in one transaction, and nothing else happens.

use notify_core::WorkflowEnded;
use notify_outbox::{Accepted, EventId, NewEvent};

use crate::engine::{EngineError, Shared};

pub(crate) async fn accept(
    shared: &Shared,
    mut event: WorkflowEnded,
) -> Result<Accepted, EngineError> {
    let now = shared.clock.now();
    // Nothing ends in the future: a caller's clock that runs ahead would make later ends look old.
    let ended_at = event.ended_at.map_or(now, |ended_at| ended_at.min(now));
    event.ended_at = Some(ended_at);
    let mut random = [0; 10];
    shared.random.fill(&mut random);
    let body = serde_json::to_string(&event.to_wire()).map_err(EngineError::Event)?;
    let accepted = shared
        .outbox
        .accept(NewEvent {
            id: EventId::new(now, random),
            execution: event.execution,
            workflow: event.workflow,
            phase: event.phase,
            ended_at,
            body,
        })
        .await?;
    shared.wake.notify_one();
    Ok(accepted)
}
