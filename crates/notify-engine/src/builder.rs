//! From what an embedder has to a running engine.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, RwLock, mpsc};
use std::thread;

use notify_core::{Clock, Config, Registry, SystemClock};
use notify_outbox::Outbox;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::accept::Recorder;
use crate::engine::{Engine, EngineError, Phase, Settings, Shared};
use crate::pump;
use crate::random::{Random, SystemRandom};
use crate::snapshot::{Known, Places, Snapshot};

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
    pub(crate) fn new(registry: Registry) -> Self {
        Self {
            registry,
            config: None,
            outbox: None,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            settings: Settings::default(),
        }
    }

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

    /// Starts the engine on the present tokio runtime; the outbox is first touched in its background.
    ///
    /// Accounts that were paused get another chance: whoever starts an engine has mostly mended
    /// what was wrong.
    ///
    /// # Errors
    ///
    /// When configuration or outbox are missing, or a template is wrong. An outbox that fails is tried
    /// again, and is what [`drain`](Engine::drain) and [`settled`](Engine::settled) tell of.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime; [`spawn`](Self::spawn) needs none.
    pub fn start(self) -> Result<Engine, EngineError> {
        let config = self.config.ok_or(EngineError::Missing("a configuration"))?;
        let outbox = self.outbox.ok_or(EngineError::Missing("an outbox"))?;
        let snapshot = Snapshot::new(config).map_err(EngineError::Template)?;
        let (clock, random) = (Arc::clone(&self.clock), Arc::clone(&self.random));
        let recorder = Recorder::with(Arc::clone(&outbox), clock, random);
        let shared = Arc::new(Shared {
            registry: self.registry,
            snapshot: RwLock::new(Arc::new(snapshot)),
            known: Known::default(),
            places: Places::new(self.settings.in_flight),
            outbox,
            clock: self.clock,
            random: self.random,
            settings: self.settings,
            wake: Notify::new(),
            phase: watch::Sender::new(Phase::Running),
            in_flight: watch::Sender::new(0),
            turns: watch::Sender::new(0),
            fresh: AtomicBool::new(true),
            held_back: AtomicUsize::new(0),
            trouble: Mutex::new(None),
        });
        let mut pump = JoinSet::new();
        pump.spawn(pump::run(Arc::clone(&shared)));
        Ok(Engine {
            shared,
            recorder,
            pump: Arc::new(Mutex::new(pump)),
            runtime: Handle::current(),
        })
    }

    /// Starts the engine on a thread of its own, for programs without a runtime, and waits until
    /// it runs. The thread ends with the engine.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and when there can be no thread.
    pub fn spawn(self) -> Result<Engine, EngineError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(EngineError::Thread)?;
        let (started, start) = mpsc::sync_channel(1);
        let work = move || {
            runtime.block_on(async move {
                let engine = self.start();
                // The phase tells of the end without keeping the engine alive.
                let phase = engine
                    .as_ref()
                    .map(|engine| engine.shared.phase.subscribe());
                let Ok(mut phase) = phase.map_err(drop) else {
                    started.send(engine).ok();
                    return;
                };
                started.send(engine).ok();
                phase.wait_for(|phase| *phase == Phase::Stopped).await.ok();
                // Whoever shut it down still asks what is left.
                phase.wait_for(|_| false).await.ok();
            });
        };
        thread::Builder::new()
            .name("notify-engine".to_owned())
            .spawn(work)
            .map_err(EngineError::Thread)?;
        start.recv().unwrap_or(Err(EngineError::Stopped))
    }
}
