//! What engines, vendors and the ledger of one run share: all of it a function of the seed.

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify_core::{Clock, DeliveryId, Prepared, Scope};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::clock::{SimClock, StoreClock};
use super::model::Model;
use super::rng::Rng;
use super::scene::{CrashAt, Scene};
use super::trace::{Step, Trace};
use super::vendor::Mood;

/// Lets virtual time pass.
pub(crate) async fn pause(length: Duration) {
    if !length.is_zero() {
        timeout(length, pending::<()>()).await.ok();
    }
}

/// One run's world.
pub(crate) struct World {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) store_clock: Arc<StoreClock>,
    /// Rung when an engine dies.
    pub(crate) bell: Notify,
    state: Mutex<WorldState>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

/// What changes in it.
pub(crate) struct WorldState {
    pub(crate) model: Model,
    pub(crate) trace: Trace,
    pub(crate) rng: Rng,
    pub(crate) lives: BTreeMap<u32, Life>,
    moods: BTreeMap<(usize, Option<String>), Mood>,
    /// Until when calls of the outbox may fail.
    pub(crate) outage: Option<Instant>,
    pub(crate) latency: u64,
    /// Calls and attempts that take time just now.
    pub(crate) busy: usize,
    /// Counts what changes anything.
    pub(crate) moves: u64,
    pub(crate) takes: u64,
}

/// One engine from its start to its end.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) dead: bool,
    crash: Option<(CrashAt, u32)>,
    /// When its pump last looked for work.
    pub(crate) last_turn: Instant,
    /// How many of its turns found nothing since anything changed.
    pub(crate) idle_turns: u32,
    seen_moves: u64,
}

impl WorldState {
    /// Tells what a lane is like; `None` is the account as a whole.
    pub(crate) fn mood(&self, account: usize, lane: Option<&str>) -> Mood {
        let whole = self.moods.get(&(account, None)).copied();
        let lane = lane.and_then(|lane| self.moods.get(&(account, Some(lane.to_owned()))).copied());
        match (whole, lane) {
            (Some(whole), _) if whole != Mood::Healthy => whole,
            (_, Some(lane)) => lane,
            (whole, None) => whole.unwrap_or(Mood::Healthy),
        }
    }

    pub(crate) fn set_mood(&mut self, account: usize, lane: Option<String>, mood: Mood) {
        self.moods.insert((account, lane), mood);
    }

    /// Ends all trouble.
    pub(crate) fn mend(&mut self) {
        self.moods.clear();
        self.outage = None;
        self.latency = 0;
        for life in self.lives.values_mut() {
            life.crash = None;
        }
    }

    pub(crate) fn arm(&mut self, engine: u32, at: CrashAt, calls: u32) {
        if let Some(life) = self.lives.get_mut(&engine) {
            life.crash = Some((at, calls));
        }
    }

    pub(crate) fn is_dead(&self, engine: u32) -> bool {
        self.lives.get(&engine).is_none_or(|life| life.dead)
    }

    /// Notes that an engine's pump does something.
    pub(crate) fn stirred(&mut self, engine: u32) {
        if let Some(life) = self.lives.get_mut(&engine) {
            life.last_turn = Instant::now();
        }
    }

    /// Notes a turn of an engine's pump.
    pub(crate) fn turned(&mut self, engine: u32) {
        self.stirred(engine);
        let moves = self.moves;
        if let Some(life) = self.lives.get_mut(&engine) {
            let still = life.seen_moves == moves;
            life.idle_turns = if still { life.idle_turns + 1 } else { 0 };
            life.seen_moves = moves;
        }
    }
}

impl World {
    pub(crate) fn new(scene: &Scene) -> Self {
        let clock = Arc::new(SimClock::new());
        let state = WorldState {
            model: Model::new(scene, clock.now()),
            trace: Trace::default(),
            rng: scene.rng.clone(),
            lives: BTreeMap::new(),
            moods: BTreeMap::new(),
            outage: None,
            latency: scene.latency,
            busy: 0,
            moves: 0,
            takes: 0,
        };
        Self {
            clock,
            store_clock: Arc::new(StoreClock::default()),
            bell: Notify::new(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, WorldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn step(&self, step: Step) {
        self.steps([step]);
    }

    pub(crate) fn steps(&self, steps: impl IntoIterator<Item = Step>) {
        let at = self.clock.elapsed();
        let mut state = self.state();
        for step in steps {
            state.moves += 1;
            state.trace.add(at, step);
        }
    }

    /// Brings an engine to life.
    pub(crate) fn born(&self, engine: u32) {
        let life = Life {
            dead: false,
            crash: None,
            last_turn: Instant::now(),
            idle_turns: 0,
            seen_moves: 0,
        };
        self.state().lives.insert(engine, life);
    }

    /// Ends an engine: nothing that it does from now on reaches anybody.
    pub(crate) fn dies(&self, engine: u32) {
        if let Some(life) = self.state().lives.get_mut(&engine) {
            life.dead = true;
        }
        self.bell.notify_one();
    }

    /// Passes a point at which an engine may die; tells whether it lives on.
    pub(crate) fn survives(&self, engine: u32, point: CrashAt) -> bool {
        let crashes = {
            let mut state = self.state();
            if state.is_dead(engine) {
                return false;
            }
            let life = state.lives.get_mut(&engine).expect("it lives");
            match &mut life.crash {
                Some((at, 0)) if *at == point => true,
                Some((at, calls)) if *at == point => {
                    *calls -= 1;
                    false
                }
                _ => false,
            }
        };
        if crashes {
            let at = point.name();
            self.step(Step::Crash { engine, at });
            self.dies(engine);
        }
        !crashes
    }

    /// Notes that something takes time until what is given is dropped.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.state().busy += 1;
        Busy(Arc::clone(self))
    }

    /// An attempt reaches the vendor, which decides what it meets; `None` where its engine died.
    pub(crate) fn begins<T>(
        self: &Arc<Self>,
        engine: u32,
        account: usize,
        prepared: &Prepared,
        draw: impl FnOnce(Mood, &mut Rng) -> (T, &'static str),
    ) -> Option<(Attempt, T)> {
        if !self.survives(engine, CrashAt::BeforeTaking) {
            return None;
        }
        let now = self.clock.now();
        let (number, token, met, act) = {
            let mut state = self.state();
            let (id, number, token) = state.model.begins(engine, account, prepared, now)?;
            let lane = state.model.lanes[state.model.deliveries[&id].lane]
                .name
                .clone();
            let mood = state.mood(account, Some(&lane));
            let (met, act) = draw(mood, &mut state.rng);
            (number, token, met, act)
        };
        self.step(Step::Wire {
            delivery: number,
            engine,
            act,
        });
        let attempt = Attempt {
            world: Arc::clone(self),
            engine,
            account,
            wire: prepared.id,
            token,
            _busy: self.busy(),
        };
        Some((attempt, met))
    }

    /// An engine asks what became of an earlier attempt: whether it arrived, and a draw from a
    /// hundred.
    pub(crate) fn reconciles(&self, engine: u32, wire: DeliveryId) -> Option<(bool, Mood, u64)> {
        let (delivery, arrived, mood, draw) = {
            let mut state = self.state();
            if state.is_dead(engine) {
                return None;
            }
            let (number, arrived) = state.model.reconciles(wire)?;
            let delivery = state.model.wires[&wire].delivery;
            let lane = state.model.deliveries[&delivery].lane;
            let account = state.model.account_of_lane(lane);
            let name = state.model.lanes[lane].name.clone();
            let draw = state.rng.between(0, 99);
            (number, arrived, state.mood(account, Some(&name)), draw)
        };
        self.step(Step::Reconcile { delivery, engine });
        Some((arrived, mood, draw))
    }
}

/// Something takes time.
pub(crate) struct Busy(Arc<World>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.state().busy -= 1;
    }
}

/// An attempt that reached the vendor, until it ends in whatever way.
pub(crate) struct Attempt {
    world: Arc<World>,
    engine: u32,
    account: usize,
    wire: DeliveryId,
    token: i64,
    _busy: Busy,
}

impl Attempt {
    /// The vendor takes it; tells whether the engine lives to hear of it.
    pub(crate) fn takes(&self) -> bool {
        if self.world.state().is_dead(self.engine) {
            return false;
        }
        let now = self.world.clock.now();
        let delivery = {
            let mut state = self.world.state();
            state.takes += 1;
            state.model.takes(self.wire, self.token, now)
        };
        self.world.step(Step::Took { delivery });
        self.world.survives(self.engine, CrashAt::AfterTaking)
    }

    /// The vendor asks to be left alone for a while.
    pub(crate) fn asks(&self, after: Duration, scope: Scope) {
        let mut state = self.world.state();
        let delivery = state.model.wires[&self.wire].delivery;
        state.model.asks(delivery, self.token, after, scope);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.world
            .state()
            .model
            .ends(self.engine, self.account, self.wire, self.token);
    }
}
