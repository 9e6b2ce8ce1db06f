//! The engine's handle: what an embedder holds.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify_core::{Clock, Config, Registry, SystemClock, WorkflowEnded};
use notify_outbox::{Accepted, DeliveryRecord, EventId, Outbox, OutboxError, Policy, Status};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::connect::Connections;
use crate::random::{Random, SystemRandom};
use crate::{accept, pump};

/// How the engine works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many deliveries are on the wire at once.
    pub in_flight: usize,
    /// How many of them are of one lane, so that a slow lane cannot take all places.
    pub in_flight_per_lane: usize,
    /// How long deliveries are repeated, and how fast.
    pub policy: Policy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            in_flight: 64,
            in_flight_per_lane: 16,
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
    /// The event has no wire form.
    #[error("the event cannot be written as JSON")]
    Event(#[source] serde_json::Error),
    /// The outbox failed; what was asked did not happen.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// What the stages share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) config: Config,
    pub(crate) connections: Connections,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) settings: Settings,
    /// There may be something to do.
    pub(crate) wake: Notify,
    /// How far the engine is on its way out.
    pub(crate) phase: watch::Sender<Phase>,
    /// How many attempts are running.
    pub(crate) in_flight: watch::Sender<usize>,
    /// How often the pump has looked for work.
    pub(crate) turns: watch::Sender<u64>,
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

/// Makes an [`Engine`].
#[derive(Debug)]
pub struct Builder {
    registry: Registry,
    config: Option<Config>,
    outbox: Option<Arc<dyn Outbox>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    settings: Settings,
}

impl Builder {
    /// Sets what is declared and configured.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Sets the ledger.
    #[must_use]
    pub fn outbox(mut self, outbox: impl Outbox + 'static) -> Self {
        self.outbox = Some(Arc::new(outbox));
        self
    }

    /// Sets the clock; the machine's own where nothing is said.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the source of random numbers; the machine's own where nothing is said.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// Sets how the engine works.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Starts the engine on the present tokio runtime.
    ///
    /// Accounts that were paused get another chance: whoever starts an engine has mostly mended
    /// what was wrong.
    ///
    /// # Errors
    ///
    /// When configuration or outbox are missing, or the outbox fails.
    pub async fn start(self) -> Result<Engine, EngineError> {
        let config = self.config.ok_or(EngineError::Missing("a configuration"))?;
        let outbox = self.outbox.ok_or(EngineError::Missing("an outbox"))?;
        let connections = Connections::new(&config);
        let resumed = outbox.resume(connections.ids()).await?;
        if resumed > 0 {
            tracing::info!(deliveries = resumed, "Held deliveries are tried again.");
        }
        let shared = Arc::new(Shared {
            registry: self.registry,
            config,
            connections,
            outbox,
            clock: self.clock,
            random: self.random,
            settings: self.settings,
            wake: Notify::new(),
            phase: watch::Sender::new(Phase::Running),
            in_flight: watch::Sender::new(0),
            turns: watch::Sender::new(0),
        });
        let mut pump = JoinSet::new();
        pump.spawn(pump::run(Arc::clone(&shared)));
        let pump = Arc::new(Mutex::new(pump));
        Ok(Engine { shared, pump })
    }
}

/// A running engine. Clones are handles of the same one; it stops with the last of them.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    pump: Arc<Mutex<JoinSet<()>>>,
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
        Builder {
            registry,
            config: None,
            outbox: None,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            settings: Settings::default(),
        }
    }

    /// Tells the engine that a workflow ended. Returns when that is in the outbox; does no network I/O.
    ///
    /// # Errors
    ///
    /// When it is not in the outbox: call again, the same end is never stored twice.
    pub async fn workflow_ended(&self, event: WorkflowEnded) -> Result<Accepted, EngineError> {
        accept::accept(&self.shared, event).await
    }

    /// Waits until every delivery of an event is settled, or until `limit` has passed, and gives
    /// them as they are then.
    pub async fn settled(
        &self,
        event: EventId,
        limit: Duration,
    ) -> Result<Vec<DeliveryRecord>, EngineError> {
        let until = Instant::now() + limit;
        let mut turns = self.shared.turns.subscribe();
        let mut in_flight = self.shared.in_flight.subscribe();
        loop {
            let waiting = self.shared.outbox.accepted(usize::MAX).await?;
            let planned = waiting.iter().all(|(stored, _)| stored.id != event);
            let deliveries = self
                .shared
                .outbox
                .deliveries(Some(event), usize::MAX)
                .await?;
            let settled = planned
                && deliveries
                    .iter()
                    .all(|delivery| delivery.state.is_settled());
            if settled || Instant::now() >= until {
                return Ok(deliveries);
            }
            // CANCEL-SAFE: both only wait for a sign, and the outbox is read again.
            let sign = async {
                tokio::select! {
                    _ = turns.changed() => {}
                    _ = in_flight.changed() => {}
                }
            };
            timeout_at(until, sign).await.ok();
        }
    }

    /// Delivers what is due until nothing is left, or nothing more is due within `patience`.
    ///
    /// An attempt that has begun is always waited for. Gives what there is still to do.
    pub async fn drain(&self, patience: Duration) -> Result<Status, EngineError> {
        let until = Instant::now() + patience;
        let mut turns = self.shared.turns.subscribe();
        // The turn that runs now may have begun before this call; the one after it has not, so
        // what was due at the call is in flight or settled when it ends.
        for _ in 0..2 {
            self.shared.wake.notify_one();
            turns.changed().await.ok();
        }
        loop {
            let busy = *self.shared.in_flight.borrow() > 0;
            let status = self
                .shared
                .outbox
                .status(self.shared.connections.ids())
                .await?;
            let left = until.saturating_duration_since(Instant::now());
            let due = status.next_due.is_some_and(|wait| wait <= left);
            let unplanned = status.accepted > 0 && !left.is_zero();
            if !busy && !due && !unplanned {
                return Ok(status);
            }
            turns.changed().await.ok();
        }
    }

    /// Gives the deliveries of one event, or the latest of all.
    pub async fn deliveries(
        &self,
        event: Option<EventId>,
        most: usize,
    ) -> Result<Vec<DeliveryRecord>, EngineError> {
        Ok(self.shared.outbox.deliveries(event, most).await?)
    }

    /// Stops: nothing new is begun, attempts in flight get `grace` to end. Gives what is left.
    pub async fn shutdown(&self, grace: Duration) -> Result<Status, EngineError> {
        self.shared.phase.send_replace(Phase::Stopping);
        let mut in_flight = self.shared.in_flight.subscribe();
        let idle = in_flight.wait_for(|running| *running == 0);
        timeout_at(Instant::now() + grace, idle).await.ok();
        self.shared.phase.send_replace(Phase::Stopped);
        let mut pump =
            std::mem::take(&mut *self.pump.lock().unwrap_or_else(PoisonError::into_inner));
        while pump.join_next().await.is_some() {}
        Ok(self
            .shared
            .outbox
            .status(self.shared.connections.ids())
            .await?)
    }
}
