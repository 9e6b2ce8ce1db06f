//! The engine's handle: what an embedder holds.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use notify_core::{Clock, Config, DeliveryId, Problems, Registry, WorkflowEnded};
use notify_outbox::{
    Accepted, DeliveryQuery, DeliveryRecord, DeliveryState, EventId, EventQuery, EventState,
    Outbox, OutboxError, Policy, Status,
};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::accept::Recorder;
use crate::builder::Builder;
use crate::random::Random;
use crate::snapshot::{Known, Places, Snapshot};

/// How the engine works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many deliveries of each account are on the wire at once.
    ///
    /// The places are the account's own: a vendor that hangs takes nobody else's.
    pub in_flight: usize,
    /// How many of them are of one lane, so that a slow lane cannot take all places.
    pub in_flight_per_lane: usize,
    /// More deliveries than this for one recipient that are all due go as one summary; `None`
    /// sends each by itself. What can be closed later is never summed up.
    pub collapse_after: Option<usize>,
    /// How long deliveries are repeated, and how fast.
    pub policy: Policy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            in_flight: 64,
            in_flight_per_lane: 16,
            collapse_after: Some(20),
            policy: Policy::default(),
        }
    }
}

/// Why the engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The builder was not given everything.
    #[error("the engine needs {0}")]
    Missing(&'static str),
    /// A template of a declared notification cannot say what it says.
    #[error("a template is wrong")]
    Template(#[source] Problems),
    /// The event has no wire form.
    #[error("the event cannot be written as JSON")]
    Event(#[source] serde_json::Error),
    /// The engine's own thread cannot be started.
    #[error("the engine's thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// The outbox failed; what was asked did not happen.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The outbox failed again and again; what is recorded stays there.
    #[error("the outbox keeps failing: {0}")]
    OutboxKeepsFailing(String),
    /// The engine was shut down.
    #[error("the engine is shut down")]
    Stopped,
}

/// What a shut down engine leaves in the outbox.
#[derive(Clone, Debug)]
pub struct Left {
    /// How much it is.
    pub status: Status,
    /// The deliveries that are neither settled nor given up, at most [`Self::LISTED`] of them.
    pub deliveries: Vec<DeliveryRecord>,
}

impl Left {
    /// How many deliveries are listed.
    pub const LISTED: usize = 1_000;
}

/// How often in a row the outbox may fail before waiting for it is given up.
pub(crate) const PATIENCE_WITH_OUTBOX: u32 = 3;

/// What the stages share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) snapshot: RwLock<Arc<Snapshot>>,
    pub(crate) known: Known,
    pub(crate) places: Places,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) settings: Settings,
    /// The configuration is new: what waited for one gets another chance.
    pub(crate) fresh: AtomicBool,
    /// There may be something to do.
    pub(crate) wake: Notify,
    /// How far the engine is on its way out.
    pub(crate) phase: watch::Sender<Phase>,
    /// How many attempts are running.
    pub(crate) in_flight: watch::Sender<usize>,
    /// How often the pump has looked for work.
    pub(crate) turns: watch::Sender<u64>,
    /// How many callers want that nothing new is begun for a while.
    pub(crate) held_back: AtomicUsize,
    /// How often in a row the outbox has failed, and why the last time.
    pub(crate) trouble: Mutex<Option<(u32, String)>>,
}

impl Shared {
    /// Gives what is in force now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        // Nothing panics while it is swapped.
        let snapshot = self.snapshot.read();
        Arc::clone(&snapshot.unwrap_or_else(PoisonError::into_inner))
    }
}

/// Keeps new attempts from being begun until it is dropped, also by a caller that loses interest.
struct HeldBack<'a>(&'a AtomicUsize);

impl<'a> HeldBack<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for HeldBack<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How far the engine is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Everything runs.
    Running,
    /// Nothing new is begun.
    Stopping,
    /// What runs is cut off.
    Stopped,
}

/// A running engine. Clones are handles of the same one; it stops with the last of them.
///
/// Every method can be awaited on any executor: the engine keeps to the runtime that it was started
/// on. Those that end in `_blocking` are for threads that may wait, and not for async code.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) recorder: Recorder,
    pub(crate) pump: Arc<Mutex<JoinSet<()>>>,
    pub(crate) runtime: Handle,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("outbox", &self.shared.outbox)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Begins an engine that can deliver what this registry knows.
    pub fn builder(registry: Registry) -> Builder {
        Builder::new(registry)
    }

    /// Tells the engine that a workflow ended. Returns when that is in the outbox; does no network I/O.
    ///
    /// # Errors
    ///
    /// When it is not in the outbox: call again, the same end is never stored twice.
    pub async fn workflow_ended(&self, event: WorkflowEnded) -> Result<Accepted, EngineError> {
        let (accepted, recorded) = self.recorder.record(event).await?;
        if let Accepted::Recorded(id) = accepted {
            self.shared
                .known
                .accepted(&self.shared.registry, id, recorded);
        }
        self.shared.wake.notify_one();
        Ok(accepted)
    }

    /// Tells the engine that a workflow ended, from a thread that may wait.
    ///
    /// # Errors
    ///
    /// As [`workflow_ended`](Self::workflow_ended).
    pub fn workflow_ended_blocking(&self, event: WorkflowEnded) -> Result<Accepted, EngineError> {
        pollster::block_on(self.workflow_ended(event))
    }

    /// Waits until every delivery of an event is settled or held, and gives them as they are then.
    ///
    /// Returns earlier when nothing of it is due within `patience`. When `patience` is over,
    /// nothing more is begun until this call returns, and attempts that have begun are waited for:
    /// each ends by its account's deadline.
    pub async fn settled(
        &self,
        event: EventId,
        patience: Duration,
    ) -> Result<Vec<DeliveryRecord>, EngineError> {
        let shared = Arc::clone(&self.shared);
        self.on_runtime(async move { shared.settled(event, patience).await })
            .await
    }

    /// Waits for the deliveries of an event, from a thread that may wait.
    ///
    /// # Errors
    ///
    /// As [`settled`](Self::settled).
    pub fn settled_blocking(
        &self,
        event: EventId,
        patience: Duration,
    ) -> Result<Vec<DeliveryRecord>, EngineError> {
        pollster::block_on(self.settled(event, patience))
    }

    /// Delivers everything that is due, and what becomes due within `patience`. Gives what is
    /// still to do.
    pub async fn drain(&self, patience: Duration) -> Result<Status, EngineError> {
        let shared = Arc::clone(&self.shared);
        self.on_runtime(async move { shared.drain(patience).await })
            .await
    }

    /// Puts another configuration into force, as a whole. Attempts that have begun end under the
    /// old one; what is recorded keeps the notification that it was recorded with.
    ///
    /// Accounts that were paused get another chance.
    ///
    /// # Errors
    ///
    /// When a template is wrong; the old configuration stays in force.
    pub fn reload(&self, config: Config) -> Result<(), EngineError> {
        let snapshot = Snapshot::new(config).map_err(EngineError::Template)?;
        let mut current = self
            .shared
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(snapshot);
        drop(current);
        self.shared.fresh.store(true, Ordering::Relaxed);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Makes deliveries due now, as if they were new: what is held, rejected, expired or waits.
    /// Gives those that were in one of these states.
    pub async fn replay(
        &self,
        deliveries: Vec<DeliveryId>,
    ) -> Result<Vec<DeliveryId>, EngineError> {
        let replayed = self.shared.outbox.replay(deliveries).await?;
        self.shared.wake.notify_one();
        Ok(replayed)
    }

    /// Counts what there is to do.
    pub async fn status(&self) -> Result<Status, EngineError> {
        self.shared.status().await
    }

    /// Lists deliveries in the order they were recorded.
    pub async fn deliveries(
        &self,
        query: DeliveryQuery,
    ) -> Result<Vec<DeliveryRecord>, EngineError> {
        Ok(self.shared.outbox.deliveries(query).await?)
    }

    /// Stops: nothing new is begun, attempts in flight get `grace` to end. Gives what is left.
    pub async fn shutdown(&self, grace: Duration) -> Result<Left, EngineError> {
        self.shared.phase.send_replace(Phase::Stopping);
        let mut pump =
            std::mem::take(&mut *self.pump.lock().unwrap_or_else(PoisonError::into_inner));
        let shared = Arc::clone(&self.shared);
        self.on_runtime(async move {
            // The pump ends by itself when the last attempt has ended.
            let ended = async { while pump.join_next().await.is_some() {} };
            if timeout_at(after(grace), ended).await.is_err() {
                shared.phase.send_replace(Phase::Stopped);
                while pump.join_next().await.is_some() {}
            }
            let open = [
                DeliveryState::Pending,
                DeliveryState::Leased,
                DeliveryState::Held,
            ];
            let listed = DeliveryQuery::latest(Left::LISTED).states(&open);
            Ok(Left {
                status: shared.status().await?,
                deliveries: shared.outbox.deliveries(listed).await?,
            })
        })
        .await
    }

    /// Stops the engine, from a thread that may wait.
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown).
    pub fn shutdown_blocking(&self, grace: Duration) -> Result<Left, EngineError> {
        pollster::block_on(self.shutdown(grace))
    }

    /// Runs something that needs time on the engine's own runtime, whatever the caller runs on.
    async fn on_runtime<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
    ) -> Result<T, EngineError> {
        // The set aborts the work when the caller loses interest.
        let mut set = JoinSet::new();
        set.spawn_on(work, &self.runtime);
        match set.join_next().await {
            Some(Ok(result)) => result,
            _ => Err(EngineError::Stopped),
        }
    }
}

impl Shared {
    /// Gives the accounts of a new configuration another chance, and so the events that nobody could
    /// plan and that it may know.
    pub(crate) async fn resume(&self, snapshot: &Snapshot) -> Result<(), OutboxError> {
        let resumed = self.outbox.resume(snapshot.connections.ids()).await?;
        if resumed > 0 {
            tracing::info!(deliveries = resumed, "Held deliveries are tried again.");
        }
        self.outbox.revive(snapshot.declared.workflows()).await?;
        Ok(())
    }

    async fn settled(
        &self,
        event: EventId,
        patience: Duration,
    ) -> Result<Vec<DeliveryRecord>, EngineError> {
        let until = after(patience);
        let mut turns = self.next_turn().await?;
        loop {
            let found = self.outbox.events(EventQuery::of(event)).await?;
            let planned = found.iter().all(|one| one.state != EventState::Accepted);
            let records = self.outbox.deliveries(DeliveryQuery::of(event)).await?;
            let horizon = self
                .clock
                .now()
                .after(until.saturating_duration_since(Instant::now()));
            let open = |record: &DeliveryRecord| match record.state {
                DeliveryState::Pending => record.not_before <= horizon,
                state => !state.is_settled() && state != DeliveryState::Held,
            };
            if planned && !records.iter().any(open) {
                return Ok(records);
            }
            if Instant::now() >= until {
                break;
            }
            timeout_at(until, self.turn(&mut turns))
                .await
                .unwrap_or(Ok(()))?;
        }
        let held_back = HeldBack::new(&self.held_back);
        let idle = self.idle().await;
        drop(held_back);
        idle?;
        Ok(self.outbox.deliveries(DeliveryQuery::of(event)).await?)
    }

    async fn drain(&self, patience: Duration) -> Result<Status, EngineError> {
        let until = after(patience);
        let mut turns = self.next_turn().await?;
        loop {
            // Counting a long backlog costs something, and tells nothing while anything moves.
            // What a new configuration sets free is not due before the pump has taken it up.
            if *self.in_flight.borrow() == 0 && !self.fresh.load(Ordering::Relaxed) {
                let status = self.status().await?;
                let left = until.saturating_duration_since(Instant::now());
                let due = status.next_due.is_some_and(|wait| wait <= left);
                let unplanned = status.accepted > 0 && !left.is_zero();
                if !due && !unplanned {
                    return Ok(status);
                }
            }
            self.turn(&mut turns).await?;
        }
    }

    async fn status(&self) -> Result<Status, EngineError> {
        let accounts = self.snapshot().connections.ids();
        Ok(self.outbox.status(accounts).await?)
    }

    /// Waits for a whole turn of the pump. The one that runs now may have begun before this call;
    /// the one after it has not, so what was due at the call is in flight or settled when it ends.
    async fn next_turn(&self) -> Result<watch::Receiver<u64>, EngineError> {
        let mut turns = self.turns.subscribe();
        for _ in 0..2 {
            self.wake.notify_one();
            self.turn(&mut turns).await?;
        }
        Ok(turns)
    }

    /// Waits for the end of a turn, and fails when the outbox keeps failing.
    async fn turn(&self, turns: &mut watch::Receiver<u64>) -> Result<(), EngineError> {
        let mut phase = self.phase.subscribe();
        // CANCEL-SAFE: both only wait for a sign.
        let stopped = tokio::select! {
            biased;
            _ = turns.changed() => false,
            _ = phase.wait_for(|phase| *phase == Phase::Stopped) => true,
        };
        match self
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
        {
            Some((times, why)) if *times >= PATIENCE_WITH_OUTBOX => {
                Err(EngineError::OutboxKeepsFailing(why.clone()))
            }
            _ if stopped => Err(EngineError::Stopped),
            _ => Ok(()),
        }
    }

    async fn idle(&self) -> Result<(), EngineError> {
        let mut turns = self.turns.subscribe();
        while *self.in_flight.borrow() > 0 {
            self.turn(&mut turns).await?;
        }
        Ok(())
    }
}

/// Returns the instant that comes this much later, or one that nobody lives to see.
fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait)
        .unwrap_or_else(|| now + Duration::from_hours(24 * 365))
}
