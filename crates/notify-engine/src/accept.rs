//! Accept: the event goes into the outbox, in one transaction, and nothing else happens.

use std::sync::Arc;

use notify_core::event::wire;
use notify_core::{Clock, SystemClock, WorkflowEnded};
use notify_outbox::{Accepted, EventId, NewEvent, Outbox};

use crate::engine::EngineError;
use crate::random::{Random, SystemRandom};

/// Writes events into an outbox and does no more: for a process that leaves delivery to another.
///
/// It needs no runtime, no configuration and no provider.
///
/// ```
/// # use std::sync::Arc;
/// # use notify_core::{Execution, Registry, SystemClock, TerminalPhase, WorkflowEnded, WorkflowName};
/// # use notify_outbox::MemoryOutbox;
/// use notify_engine::Recorder;
///
/// # let outbox = MemoryOutbox::new(Arc::new(SystemClock));
/// let recorder = Recorder::new(outbox);
/// let run = Execution::new("analytics", "production", "run-17")?;
/// let event = WorkflowEnded::new(WorkflowName::new("nightly-etl")?, run, TerminalPhase::Failed);
/// recorder.workflow_ended_blocking(event)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// An event as it was recorded.
pub(crate) struct Recorded {
    pub(crate) wire: wire::WorkflowEnded,
    /// The size of its text.
    pub(crate) bytes: usize,
}

impl Recorder {
    /// Records into this outbox.
    pub fn new(outbox: impl Outbox + 'static) -> Self {
        Self::with(
            Arc::new(outbox),
            Arc::new(SystemClock),
            Arc::new(SystemRandom),
        )
    }

    pub(crate) fn with(
        outbox: Arc<dyn Outbox>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            outbox,
            clock,
            random,
        }
    }

    /// Records that a workflow ended. Returns when that is in the outbox; runs on any executor.
    ///
    /// # Errors
    ///
    /// When it is not in the outbox: call again, the same end is never stored twice.
    pub async fn workflow_ended(&self, event: WorkflowEnded) -> Result<Accepted, EngineError> {
        self.record(event).await.map(|(accepted, _)| accepted)
    }

    /// Records that a workflow ended, and gives the event as it was recorded.
    pub(crate) async fn record(
        &self,
        mut event: WorkflowEnded,
    ) -> Result<(Accepted, Recorded), EngineError> {
        let now = self.clock.now();
        // Nothing ends in the future: a caller's clock that runs ahead would make later ends look old.
        event.ended_at = event.ended_at.map(|ended_at| ended_at.min(now));
        let mut random = [0; 10];
        self.random.fill(&mut random);
        let wire = event.to_wire();
        let body = serde_json::to_string(&wire).map_err(EngineError::Event)?;
        let bytes = body.len();
        let accepted = self
            .outbox
            .accept(NewEvent {
                id: EventId::new(now, random),
                execution: event.execution,
                workflow: event.workflow,
                phase: event.phase,
                ended_at: event.ended_at,
                body,
            })
            .await?;
        Ok((accepted, Recorded { wire, bytes }))
    }

    /// Records that a workflow ended, from a thread that may wait.
    ///
    /// # Errors
    ///
    /// As [`workflow_ended`](Self::workflow_ended).
    pub fn workflow_ended_blocking(&self, event: WorkflowEnded) -> Result<Accepted, EngineError> {
        pollster::block_on(self.workflow_ended(event))
    }
}
