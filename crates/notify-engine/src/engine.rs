//! The engine's handle: what an embedder holds.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify_core::{Clock, Config, Problems, Registry, SystemClock, WorkflowEnded};
use notify_outbox::{
    Accepted, DeliveryRecord, DeliveryState, EventId, Outbox, OutboxError, Policy, Status,
};
use notify_template::check_workflow;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::connect::Connections;
use crate::random::{Random, SystemRandom};
use crate::render::Templates;
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
    /// A template of a declared notification cannot say what it says.
    #[error("a template is wrong")]
    Template(#[source] Problems),
    /// The event has no wire form.
    #[error("the event cannot be written as JSON")]
    Event(#[source] serde_json::Error),
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

/// How often in a row the outbox may fail before waiting for it is given up.
const PATIENCE_WITH_OUTBOX: u32 = 3;

/// What the stages share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) config: Config,
    pub(crate) connections: Connections,
    pub(crate) templates: Templates,
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
    /// Nothing new is begun for a while.
    pub(crate) held_back: AtomicBool,
    /// How often in a row the outbox has failed, and why the last time.
    pub(crate) trouble: Mutex<Option<(u32, String)>>,
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
    /// When configuration or outbox are missing, a template is wrong, or the outbox fails.
    pub async fn start(self) -> Result<Engine, EngineError> {
        let config = self.config.ok_or(EngineError::Missing("a configuration"))?;
        let outbox = self.outbox.ok_or(EngineError::Missing("an outbox"))?;
        for workflow in config.workflows() {
            check_workflow(workflow).map_err(EngineError::Template)?;
        }
        let connections = Connections::new(&config);
        let resumed = outbox.resume(connections.ids()).await?;
        if resumed > 0 {
            tracing::info!(deliveries = resumed, "Held deliveries are tried again.");
        }
        let shared = Arc::new(Shared {
            registry: self.registry,
            config,
            connections,
            templates: Templates::default(),
            outbox,
            clock: self.clock,
            random: self.random,
            settings: self.settings,
            wake: Notify::new(),
            phase: watch::Sender::new(Phase::Running),
            in_flight: watch::Sender::new(0),
            turns: watch::Sender::new(0),
            held_back: AtomicBool::new(false),
            trouble: Mutex::new(None),
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
        let until = after(patience);
        let mut turns = self.next_turn().await?;
        loop {
            let waiting = self.shared.outbox.accepted(usize::MAX).await?;
            let planned = waiting.iter().all(|(stored, _)| stored.id != event);
            let records = self.deliveries(Some(event), usize::MAX).await?;
            let horizon = self
                .shared
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
        self.shared.held_back.store(true, Ordering::Relaxed);
        let idle = self.idle().await;
        self.shared.held_back.store(false, Ordering::Relaxed);
        idle?;
        self.deliveries(Some(event), usize::MAX).await
    }

    /// Delivers everything that is due, and what becomes due within `patience`. Gives what is
    /// still to do.
    pub async fn drain(&self, patience: Duration) -> Result<Status, EngineError> {
        let until = after(patience);
        let mut turns = self.next_turn().await?;
        loop {
            let busy = *self.shared.in_flight.borrow() > 0;
            let status = self.status().await?;
            let left = until.saturating_duration_since(Instant::now());
            let due = status.next_due.is_some_and(|wait| wait <= left);
            let unplanned = status.accepted > 0 && !left.is_zero();
            if !busy && !due && !unplanned {
                return Ok(status);
            }
            self.turn(&mut turns).await?;
        }
    }

    /// Waits for a whole turn of the pump. The one that runs now may have begun before this call;
    /// the one after it has not, so what was due at the call is in flight or settled when it ends.
    async fn next_turn(&self) -> Result<watch::Receiver<u64>, EngineError> {
        let mut turns = self.shared.turns.subscribe();
        for _ in 0..2 {
            self.shared.wake.notify_one();
            self.turn(&mut turns).await?;
        }
        Ok(turns)
    }

    /// Waits for the end of a turn, and fails when the outbox keeps failing.
    async fn turn(&self, turns: &mut watch::Receiver<u64>) -> Result<(), EngineError> {
        let mut phase = self.shared.phase.subscribe();
        // CANCEL-SAFE: both only wait for a sign.
        tokio::select! {
            _ = turns.changed() => {}
            _ = phase.wait_for(|phase| *phase == Phase::Stopped) => return Err(EngineError::Stopped),
        }
        match self
            .shared
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
        {
            Some((times, why)) if *times >= PATIENCE_WITH_OUTBOX => {
                Err(EngineError::OutboxKeepsFailing(why.clone()))
            }
            _ => Ok(()),
        }
    }

    async fn idle(&self) -> Result<(), EngineError> {
        let mut turns = self.shared.turns.subscribe();
        while *self.shared.in_flight.borrow() > 0 {
            self.turn(&mut turns).await?;
        }
        Ok(())
    }

    /// Counts what there is to do.
    pub async fn status(&self) -> Result<Status, EngineError> {
        let accounts = self.shared.connections.ids();
        Ok(self.shared.outbox.status(accounts).await?)
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
        let mut pump =
            std::mem::take(&mut *self.pump.lock().unwrap_or_else(PoisonError::into_inner));
        // The pump ends by itself when the last attempt has ended.
        let ended = async { while pump.join_next().await.is_some() {} };
        if timeout_at(after(grace), ended).await.is_err() {
            self.shared.phase.send_replace(Phase::Stopped);
            while pump.join_next().await.is_some() {}
        }
        self.status().await
    }
}

/// Returns the instant that comes this much later, or one that nobody lives to see.
fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait)
        .unwrap_or_else(|| now + Duration::from_hours(24 * 365))
}
