//! One run: what the scene says, engines that come and go, and time that passes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use notify_core::{AccountId, Clock, Execution, WorkflowEnded, WorkflowName};
use notify_engine::{Engine, EngineError};
use notify_outbox::{EventId, Outbox, Status};
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, timeout};

use super::exam;
use super::ledgers::Open;
use super::rng::Dice;
use super::scene::{Act, ENGINES, Scene, registry};
use super::trace::Step;
use super::vendor::enter;
use super::watched::{Watched, at_once};
use super::world::World;

/// How long the pump of a living engine may stand still.
const STANDSTILL: Duration = Duration::from_secs(5);

/// How long a call may take beyond what it was allowed.
const BEYOND: Duration = Duration::from_mins(1);

/// How long everything may take once the world is mended, beyond the greatest age of a delivery.
const MARGIN: Duration = Duration::from_hours(4);

/// How often the run looks around.
const TICK: Duration = Duration::from_millis(100);

/// An engine that events are told waits this long at most before it is noticed.
const UNMATCHED: Duration = Duration::from_secs(61);

/// A place for an engine.
#[derive(Default)]
struct Slot {
    engine: Option<Engine>,
    life: u32,
    version: usize,
    /// Calls of the engine that run.
    calls: JoinSet<Came>,
    /// Restarts at this moment.
    restart: Option<Instant>,
    /// Somebody shuts it down.
    stopping: bool,
    /// Events that it is being told.
    telling: Vec<usize>,
}

/// What came of a call.
enum Came {
    Accepted(usize, EventId),
    /// The event may not be on record: it is told again.
    Again(usize),
    Stopped,
    Nothing,
}

pub(crate) struct Run {
    pub(crate) scene: Scene,
    pub(crate) world: Arc<World>,
    open: Open,
    /// A handle of its own, as another process has one, for looks that nobody watches.
    pub(crate) ledger: Arc<dyn Outbox>,
    slots: Vec<Slot>,
    lives: u32,
    /// Events that an engine said are on record.
    pub(crate) promised: Vec<EventId>,
    /// Events that have to be told (again), and when.
    again: Vec<(Instant, usize)>,
    stuck_since: Option<Instant>,
}

impl Run {
    pub(crate) fn new(scene: Scene, world: Arc<World>, mut open: Open) -> Self {
        let ledger = open();
        Self {
            scene,
            world,
            open,
            ledger,
            slots: (0..ENGINES).map(|_| Slot::default()).collect(),
            lives: 0,
            promised: Vec::new(),
            again: Vec::new(),
            stuck_since: None,
        }
    }

    /// Runs the scene to its end, mends the world, and waits until everything is settled.
    pub(crate) async fn finish(&mut self) {
        enter(Some(Arc::clone(&self.world)));
        let begun = Instant::now();
        for (at, act) in std::mem::take(&mut self.scene.acts) {
            self.until(begun + at).await;
            self.act(act);
            if self.is_over() {
                return;
            }
        }
        self.settle_down().await;
        if !self.is_over() {
            exam::held_apart(self).await;
        }
        if !self.is_over() {
            exam::pass(self);
        }
        for slot in &mut self.slots {
            slot.calls = JoinSet::new();
            slot.engine = None;
        }
        enter(None);
    }

    pub(crate) fn is_over(&self) -> bool {
        !self.world.state().model.violations.is_empty()
    }

    pub(crate) fn violate(&self, what: impl Into<String>) {
        self.world.state().model.violate(what);
    }

    /// Mends the world and waits until nothing is left to do.
    pub(crate) async fn settle_down(&mut self) {
        self.world.step(Step::Mended);
        self.world.state().mend();
        for life in self.world.state().lives.values_mut() {
            life.idle_turns = 0;
        }
        for slot in 0..ENGINES {
            let last = self.scene.last_version();
            self.slots[slot].version = last;
            if self.slots[slot].engine.is_some() && !self.slots[slot].stopping {
                self.reload(slot, last);
            }
        }
        if self.slots[0].engine.is_none() {
            self.slots[0].restart = Some(Instant::now());
        }
        let bound = Instant::now() + self.scene.settings.policy.max_age + MARGIN;
        loop {
            // Time leaps where nothing happens: not before it is known whether all is over.
            self.look_around();
            let busy = |slot: &Slot| !slot.calls.is_empty() || slot.restart.is_some();
            let running = self.slots.iter().any(busy) || !self.is_idle();
            if !running && self.again.is_empty() && self.is_drained() {
                return;
            }
            if Instant::now() > bound {
                let status = self.status();
                self.violate(format!(
                    "law 1: not everything is settled in time: {status:?}"
                ));
            }
            if self.is_over() {
                return;
            }
            self.tick(bound).await;
        }
    }

    /// Tells whether every engine has looked twice since anything moved.
    fn is_idle(&self) -> bool {
        let state = self.world.state();
        let alive = self.slots.iter().filter(|slot| slot.engine.is_some());
        alive
            .map(|slot| slot.life)
            .all(|life| state.lives[&life].idle_turns >= 2)
    }

    /// Tells whether nothing is left that an engine would do.
    fn is_drained(&self) -> bool {
        let status = self.status();
        let blocked = exam::blocked(self);
        status.accepted == 0 && status.leased == 0 && status.pending == blocked
    }

    /// Asks the ledger itself, about all accounts.
    pub(crate) fn status(&self) -> Status {
        let ids: Vec<AccountId> = self
            .scene
            .accounts
            .iter()
            .map(|plan| plan.id.clone())
            .collect();
        self.status_of(ids)
    }

    fn status_of(&self, accounts: Vec<AccountId>) -> Status {
        let now = self.world.clock.now();
        self.world.store_clock.set(now);
        self.world.state().model.at(now);
        at_once(self.ledger.status(accounts)).unwrap_or_else(|err| {
            self.violate(format!("the ledger does not count: {err:?}"));
            Status::default()
        })
    }

    async fn until(&mut self, at: Instant) {
        while Instant::now() < at && !self.is_over() {
            self.tick(at).await;
        }
    }

    /// Lets some time pass, and does what has become due in it.
    async fn tick(&mut self, until: Instant) {
        self.look_around();
        let mut next = until;
        for at in self.slots.iter().filter_map(|slot| slot.restart) {
            next = next.min(at);
        }
        for (at, _) in &self.again {
            next = next.min(*at);
        }
        let left = next.saturating_duration_since(Instant::now());
        let warp = self.quiet().map(|quiet| quiet.min(left));
        match warp {
            Some(by) if by > 2 * TICK => {
                self.world.step(Step::Warp { by });
                advance(by).await;
                let now = Instant::now();
                for life in self.world.state().lives.values_mut() {
                    life.last_turn = now;
                }
            }
            _ => {
                let bell = self.world.bell.notified();
                timeout(left.clamp(Duration::from_millis(1), TICK), bell)
                    .await
                    .ok();
            }
        }
    }

    /// Tells how long nothing will happen by itself; `None` while something does.
    fn quiet(&mut self) -> Option<Duration> {
        let calling = self.slots.iter().any(|slot| !slot.calls.is_empty());
        let alive: Vec<(u32, usize)> = self
            .slots
            .iter()
            .filter(|slot| slot.engine.is_some())
            .map(|slot| (slot.life, slot.version))
            .collect();
        {
            let state = self.world.state();
            let idle = |(life, _): &(u32, usize)| state.lives[life].idle_turns >= 2;
            if calling || state.busy > 0 || !alive.iter().all(idle) {
                self.stuck_since = None;
                return None;
            }
        }
        if alive.is_empty() {
            return Some(Duration::MAX);
        }
        let mut least = Duration::MAX;
        for (_, version) in alive {
            let enabled = &self.scene.versions[version].enabled;
            let ids = self.scene.accounts.iter().zip(enabled);
            let ids = ids.filter(|(_, enabled)| **enabled);
            let status = self.status_of(ids.map(|(plan, _)| plan.id.clone()).collect());
            least = least.min(status.next_due.unwrap_or(Duration::MAX));
            if status.accepted > 0 {
                least = least.min(UNMATCHED);
            }
        }
        let away = self
            .world
            .state()
            .outage
            .is_some_and(|until| Instant::now() < until);
        if least.is_zero() && !away {
            let since = *self.stuck_since.get_or_insert_with(Instant::now);
            if since.elapsed() > STANDSTILL {
                self.violate(
                    "law 5: the status says that something is due, and nobody is given it",
                );
            }
        } else {
            self.stuck_since = None;
        }
        Some(least)
    }

    /// Buries the dead, brings back whom it is time for, and takes answers.
    fn look_around(&mut self) {
        for slot in 0..ENGINES {
            let dead = self.slots[slot].engine.is_some()
                && self.world.state().is_dead(self.slots[slot].life);
            if dead {
                self.bury(slot);
            }
            while let Some(came) = self.slots[slot].calls.try_join_next() {
                let life = self.slots[slot].life;
                if let Some(life) = self.world.state().lives.get_mut(&life) {
                    // Whoever waited may have kept the pump still until now.
                    life.last_turn = Instant::now();
                }
                match came {
                    Ok(Came::Accepted(index, id)) => {
                        self.slots[slot].telling.retain(|told| *told != index);
                        self.promised.push(id);
                    }
                    Ok(Came::Again(index)) => {
                        self.slots[slot].telling.retain(|told| *told != index);
                        self.tell_again(index);
                    }
                    Ok(Came::Stopped) => {
                        let engine = self.slots[slot].life;
                        self.world.step(Step::Stopped { engine });
                        self.world.dies(engine);
                        self.bury(slot);
                    }
                    Ok(Came::Nothing) => {}
                    Err(err) => self.violate(format!("law 9: a call panicked: {err}")),
                }
            }
            let due = self.slots[slot]
                .restart
                .is_some_and(|at| at <= Instant::now());
            if due {
                self.slots[slot].restart = None;
                self.start(slot);
            }
            self.stands(slot);
        }
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.again)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.again = later;
        let due: Vec<(Instant, usize)> = due;
        for (_, index) in due {
            self.emit(index);
        }
    }

    /// Notices an engine whose pump does nothing any more.
    fn stands(&self, slot: usize) {
        let slot = &self.slots[slot];
        if slot.engine.is_none() || slot.stopping {
            return;
        }
        // Whoever waits for deliveries to settle may keep the pump from beginning anything.
        let waited_for = !slot.calls.is_empty();
        let last = self.world.state().lives[&slot.life].last_turn;
        let bound = if waited_for {
            STANDSTILL + BEYOND
        } else {
            STANDSTILL
        };
        if last.elapsed() > bound {
            self.violate(format!(
                "law 9: the pump of engine {} stands still for {:?}",
                slot.life,
                last.elapsed()
            ));
        }
    }

    fn bury(&mut self, slot: usize) {
        let after = self.world.state().rng.millis(0, 180_000);
        let slot = &mut self.slots[slot];
        slot.engine = None;
        slot.stopping = false;
        slot.restart = Some(Instant::now() + after);
        // Whoever called it never hears of it, and tells of most events again.
        slot.calls = JoinSet::new();
        for index in std::mem::take(&mut slot.telling) {
            if self.world.state().rng.chance(80) {
                self.tell_again(index);
            }
        }
    }

    fn start(&mut self, slot: usize) {
        if self.slots[slot].engine.is_some() {
            return;
        }
        self.lives += 1;
        let (engine, version) = (self.lives, self.slots[slot].version);
        self.world.step(Step::Start { engine, version });
        self.world.born(engine);
        let registry = registry();
        let outbox = Watched {
            world: Arc::clone(&self.world),
            ledger: (self.open)(),
            engine,
        };
        let dice = Dice::new(self.world.state().rng.fork());
        let builder = Engine::builder(registry.clone())
            .config(self.scene.config(version, engine, &registry))
            .outbox(outbox)
            .clock(Arc::clone(&self.world.clock) as Arc<dyn Clock>)
            .random(Arc::new(dice))
            .settings(self.scene.settings);
        match builder.start() {
            Ok(started) => {
                self.slots[slot].engine = Some(started);
                self.slots[slot].life = engine;
            }
            Err(err) => self.violate(format!("an engine does not start: {err}")),
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Emit(index) => self.emit(index),
            Act::Start(slot) => self.start(slot),
            Act::Kill(slot) => {
                if self.slots[slot].engine.is_some() {
                    let engine = self.slots[slot].life;
                    self.world.step(Step::Kill { engine });
                    self.world.dies(engine);
                    self.bury(slot);
                }
            }
            Act::Arm(slot, at, calls) => {
                let engine = self.slots[slot].life;
                let name = at.name();
                self.world.step(Step::Arm {
                    engine,
                    at: name,
                    calls,
                });
                self.world.state().arm(engine, at, calls);
            }
            Act::Shutdown(slot, grace) => self.shutdown(slot, grace),
            Act::Reload(slot, version) => self.reload(slot, version),
            Act::Jump(micros) => {
                let seconds = micros / 1_000_000;
                self.world.step(Step::Jump { seconds });
                self.world.clock.jump(micros);
            }
            Act::Mood(account, lane, mood) => {
                let name = mood.name();
                let step = Step::Mood {
                    account,
                    lane: lane.clone(),
                    mood: name,
                };
                self.world.step(step);
                self.world.state().set_mood(account, lane, mood);
            }
            Act::Outage(length) => {
                self.world.step(Step::Outage { length });
                self.world.state().outage = Some(Instant::now() + length);
            }
            Act::Replay(draw) => self.by_hand(draw, true),
            Act::Drop(draw) => self.by_hand(draw, false),
            // Those who wait for the same sign are woken in an order that no seed decides: one at a time.
            Act::Settled(slot, ..) | Act::Drain(slot, ..) if !self.slots[slot].calls.is_empty() => {
            }
            Act::Settled(slot, draw, patience, given_up) => {
                self.settled(slot, draw, patience, given_up);
            }
            Act::Drain(slot, patience, given_up) => {
                self.call(
                    slot,
                    "drain",
                    patience,
                    Some(given_up),
                    move |engine: Engine| async move {
                        engine.drain(patience).await.map(|_| Came::Nothing)
                    },
                );
            }
        }
    }

    fn emit(&mut self, index: usize) {
        let alive: Vec<usize> = (0..ENGINES)
            .filter(|slot| self.slots[*slot].engine.is_some() && !self.slots[*slot].stopping)
            .collect();
        if alive.is_empty() {
            self.tell_again(index);
            return;
        }
        let slot = self.world.state().rng.pick(&alive);
        let emit = &self.scene.emits[index];
        let now = self.world.clock.now();
        let name = WorkflowName::new(emit.workflow.as_str()).expect("a good name");
        let execution = Execution::new("p", "d", emit.execution.as_str())
            .expect("a good name")
            .attempt(emit.attempt);
        let mut event = WorkflowEnded::new(name, execution, emit.phase);
        if let Some(back) = emit.ended {
            let at = now.as_micros() - back;
            event = event.ended_at(notify_core::Timestamp::from_micros(at));
        }
        if let Some(own) = &emit.own {
            let registry = registry();
            let load = |value| {
                registry
                    .load_notification(value)
                    .expect("it is well formed")
            };
            event = event.notifications(own.iter().map(load).collect());
        }
        let engine = self.slots[slot].life;
        self.world.step(Step::Emit { index, engine });
        let Some(handle) = self.slots[slot].engine.clone() else {
            return;
        };
        self.slots[slot].telling.push(index);
        self.slots[slot].calls.spawn(async move {
            match timeout(BEYOND, handle.workflow_ended(event)).await {
                Ok(Ok(accepted)) => Came::Accepted(index, accepted.event()),
                _ => Came::Again(index),
            }
        });
        // Whoever does not hear of it tells it again, mostly.
        if self.world.state().rng.chance(5) {
            self.tell_again(index);
        }
    }

    fn tell_again(&mut self, index: usize) {
        let after = self.world.state().rng.millis(100, 20_000);
        self.again.push((Instant::now() + after, index));
    }

    /// Calls an engine, which has to answer in time; some callers lose interest before.
    fn call<F>(
        &mut self,
        slot: usize,
        what: &'static str,
        allowed: Duration,
        given_up: Option<Duration>,
        work: F,
    ) where
        F: AsyncCall,
    {
        let Some(handle) = self.slots[slot].engine.clone() else {
            return;
        };
        let engine = self.slots[slot].life;
        self.world.step(Step::Call { engine, what });
        let world = Arc::clone(&self.world);
        let deadlines = self.scene.accounts.iter().map(|plan| plan.deadline);
        let bound = allowed + deadlines.max().unwrap_or_default() + BEYOND;
        self.slots[slot].calls.spawn(async move {
            let limit = given_up.unwrap_or(bound).min(bound);
            let answer = timeout(limit, work.call(handle)).await;
            let Ok(came) = answer else {
                if limit == bound {
                    let what = format!("law 9: `{what}` does not return within {bound:?}");
                    world.state().model.violate(what);
                }
                return Came::Nothing;
            };
            let ok = came.is_ok();
            world.step(Step::Answer { engine, what, ok });
            came.unwrap_or(Came::Nothing)
        });
    }

    fn shutdown(&mut self, slot: usize, grace: Duration) {
        if self.slots[slot].engine.is_none() || self.slots[slot].stopping {
            return;
        }
        let engine = self.slots[slot].life;
        self.world.step(Step::Shutdown { engine, grace });
        self.slots[slot].stopping = true;
        self.call(
            slot,
            "shutdown",
            grace,
            None,
            move |engine: Engine| async move {
                engine.shutdown(grace).await.ok();
                Ok(Came::Stopped)
            },
        );
    }

    fn reload(&mut self, slot: usize, version: usize) {
        if self.slots[slot].engine.is_none() || self.slots[slot].stopping {
            return;
        }
        let engine = self.slots[slot].life;
        self.world.step(Step::Reload { engine, version });
        let config = self.scene.config(version, engine, &registry());
        self.slots[slot].version = version;
        self.call(
            slot,
            "reload",
            Duration::ZERO,
            None,
            move |engine: Engine| async move { engine.reload(config).map(|()| Came::Nothing) },
        );
    }

    fn settled(&mut self, slot: usize, draw: u64, patience: Duration, given_up: Duration) {
        let events: Vec<EventId> = self.world.state().model.events.keys().copied().collect();
        if events.is_empty() {
            return;
        }
        // Ids sort by time: one of the latest.
        let back = usize::try_from(draw).expect("small").min(events.len() - 1);
        let event = events[events.len() - 1 - back];
        self.call(
            slot,
            "settled",
            patience,
            Some(given_up),
            move |engine: Engine| async move {
                engine.settled(event, patience).await.map(|_| Came::Nothing)
            },
        );
    }

    /// Somebody replays or drops a few deliveries.
    fn by_hand(&mut self, draw: u64, replay: bool) {
        let ids = self.world.state().model.ids();
        if ids.is_empty() {
            return;
        }
        let first = usize::try_from(draw).expect("64 bits");
        let chosen = (0..3)
            .map(|more| ids[(first + more * 7) % ids.len()])
            .collect();
        let slot = first % ENGINES;
        let what = if replay { "replay" } else { "drop" };
        let ledger = Watched {
            world: Arc::clone(&self.world),
            ledger: Arc::clone(&self.ledger),
            engine: self.slots[slot].life,
        };
        self.call(
            slot,
            what,
            Duration::ZERO,
            None,
            move |engine: Engine| async move {
                if replay {
                    engine.replay(chosen).await.map(|_| Came::Nothing)
                } else {
                    let dropped = ledger.drop(chosen, "somebody dropped it".to_owned()).await;
                    Ok(dropped.map(|_| Came::Nothing)?)
                }
            },
        );
    }
}

/// A call of an engine.
trait AsyncCall: Send + 'static {
    fn call(self, engine: Engine) -> impl Future<Output = Result<Came, EngineError>> + Send;
}

impl<F, R> AsyncCall for F
where
    F: FnOnce(Engine) -> R + Send + 'static,
    R: Future<Output = Result<Came, EngineError>> + Send,
{
    fn call(self, engine: Engine) -> impl Future<Output = Result<Came, EngineError>> + Send {
        self(engine)
    }
}
