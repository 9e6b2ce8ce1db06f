//! A handle of the ledger that watches every call, and fails or ends its engine around any of them.

use std::fmt;
use std::future::{Future, pending};
use std::sync::Arc;

use async_trait::async_trait;
use notify_core::{AccountId, Clock, DeliveryId, Timestamp, WorkflowName};
use notify_outbox::{
    Accepted, Aside, Claim, DeliveryQuery, DeliveryRecord, EventQuery, EventRecord, Leased,
    NewEvent, Outbox, OutboxError, Recorded, Settled, Settlement, Status, Waiting, WorkflowPlan,
};
use tokio::time::Instant;

use super::scene::CrashAt;
use super::trace::Step;
use super::world::{World, pause};

/// Runs a call of a store to its end, on this thread: virtual time stands still meanwhile.
pub(crate) fn at_once<T>(call: impl Future<Output = T>) -> T {
    // Without tokio's budget: a call that has used it up would wait for the task to yield.
    pollster::block_on(tokio::task::unconstrained(call))
}

/// The ledger as one engine has it.
pub(crate) struct Watched {
    pub(crate) world: Arc<World>,
    pub(crate) ledger: Arc<dyn Outbox>,
    pub(crate) engine: u32,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ledger of engine {}", self.engine)
    }
}

impl Watched {
    /// Makes one call: what may happen before it, the call itself, what may happen after it.
    async fn call<T>(
        &self,
        name: &'static str,
        work: impl AsyncFnOnce(&dyn Outbox) -> Result<T, OutboxError>,
        note: impl FnOnce(&mut super::world::WorldState, &T, Timestamp) -> Vec<Step>,
    ) -> Result<T, OutboxError> {
        if !self.world.survives(self.engine, CrashAt::BeforeCall) {
            return pending().await;
        }
        self.wait().await;
        if self.world.state().is_dead(self.engine) {
            return pending().await;
        }
        if self.fails() {
            let engine = self.engine;
            self.world.step(Step::Refused { engine, call: name });
            return Err(OutboxError::Storage {
                doing: name,
                source: "the disk is away".into(),
            });
        }
        let now = self.world.clock.now();
        self.world.store_clock.set(now);
        let done = at_once(work(&*self.ledger));
        let steps = {
            let mut state = self.world.state();
            state.model.at(now);
            match &done {
                Ok(value) => note(&mut state, value, now),
                Err(err) => {
                    state
                        .model
                        .violate(format!("the outbox failed to {name}: {err:?}"));
                    Vec::new()
                }
            }
        };
        self.world.steps(steps);
        if !self.world.survives(self.engine, CrashAt::AfterCall) {
            return pending().await;
        }
        self.wait().await;
        if self.world.state().is_dead(self.engine) {
            return pending().await;
        }
        done
    }

    async fn wait(&self) {
        let length = {
            let mut state = self.world.state();
            let most = state.latency;
            if most == 0 || !state.rng.chance(20) {
                return;
            }
            state.rng.millis(0, most)
        };
        let _busy = self.world.busy();
        pause(length).await;
    }

    fn fails(&self) -> bool {
        let mut state = self.world.state();
        let out = state.outage.is_some_and(|until| Instant::now() < until);
        out && state.rng.chance(70)
    }
}

#[async_trait]
impl Outbox for Watched {
    fn durable(&self) -> bool {
        self.ledger.durable()
    }

    async fn accept(&self, event: NewEvent) -> Result<Accepted, OutboxError> {
        let given = event.clone();
        self.call(
            "accept an event",
            async |ledger| ledger.accept(event).await,
            |state, accepted, now| vec![state.model.accepted(&given, *accepted, now)],
        )
        .await
    }

    async fn waiting(&self, most: usize) -> Result<Waiting, OutboxError> {
        self.world.state().turned(self.engine);
        self.call(
            "list what waits",
            async |ledger| ledger.waiting(most).await,
            |_, _, _| Vec::new(),
        )
        .await
    }

    async fn record(&self, plans: Vec<WorkflowPlan>) -> Result<Vec<Recorded>, OutboxError> {
        let given = plans.clone();
        let engine = self.engine;
        self.call(
            "record a plan",
            async |ledger| ledger.record(plans).await,
            |state, recorded, now| {
                let mut steps = state.model.recorded(&given, recorded, now);
                if recorded.contains(&Recorded::LostRace) {
                    steps.push(Step::LostRace { engine });
                }
                steps
            },
        )
        .await
    }

    async fn set_aside(&self, events: Vec<Aside>) -> Result<(), OutboxError> {
        let given = events.clone();
        self.call(
            "put events aside",
            async |ledger| ledger.set_aside(events).await,
            |state, (), _| {
                let aside = |one: &Aside| state.model.aside(one.event, one.state);
                given.iter().map(aside).collect()
            },
        )
        .await
    }

    async fn revive(&self, workflows: Option<Vec<WorkflowName>>) -> Result<u64, OutboxError> {
        let given = workflows.clone();
        self.call(
            "look at events anew",
            async |ledger| ledger.revive(workflows).await,
            |state, revived, _| {
                state.model.revived(given.as_deref(), *revived);
                Vec::new()
            },
        )
        .await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Leased>, OutboxError> {
        let given = claim.clone();
        let engine = self.engine;
        self.world.state().stirred(engine);
        self.call(
            "claim deliveries",
            async |ledger| ledger.claim(claim).await,
            |state, leased, now| state.model.claimed(engine, &given, leased, now),
        )
        .await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, OutboxError> {
        let given = settlement.clone();
        self.call(
            "settle a delivery",
            async |ledger| ledger.settle(settlement).await,
            |state, settled, now| vec![state.model.settled(&given, *settled, now)],
        )
        .await
    }

    async fn resume(&self, accounts: Vec<AccountId>) -> Result<u64, OutboxError> {
        let given = accounts.clone();
        self.world.state().stirred(self.engine);
        self.call(
            "resume accounts",
            async |ledger| ledger.resume(accounts).await,
            |state, freed, now| {
                state.model.resumed(&given, now);
                vec![Step::Resumed { freed: *freed }]
            },
        )
        .await
    }

    async fn replay(&self, deliveries: Vec<DeliveryId>) -> Result<Vec<DeliveryId>, OutboxError> {
        self.call(
            "replay deliveries",
            async |ledger| ledger.replay(deliveries).await,
            |state, replayed, now| {
                state.model.replayed(replayed, now);
                let number = |id| state.model.number(id);
                replayed
                    .iter()
                    .map(|id| Step::Replayed {
                        delivery: number(*id),
                    })
                    .collect()
            },
        )
        .await
    }

    async fn drop(
        &self,
        deliveries: Vec<DeliveryId>,
        reason: String,
    ) -> Result<Vec<DeliveryId>, OutboxError> {
        self.call(
            "drop deliveries",
            async |ledger| ledger.drop(deliveries, reason).await,
            |state, dropped, now| {
                state.model.dropped(dropped, now);
                let number = |id| state.model.number(id);
                dropped
                    .iter()
                    .map(|id| Step::Dropped {
                        delivery: number(*id),
                    })
                    .collect()
            },
        )
        .await
    }

    async fn status(&self, accounts: Vec<AccountId>) -> Result<Status, OutboxError> {
        self.call(
            "count what there is to do",
            async |ledger| ledger.status(accounts).await,
            |_, _, _| Vec::new(),
        )
        .await
    }

    async fn deliveries(&self, query: DeliveryQuery) -> Result<Vec<DeliveryRecord>, OutboxError> {
        self.call(
            "list deliveries",
            async |ledger| ledger.deliveries(query).await,
            |_, _, _| Vec::new(),
        )
        .await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<EventRecord>, OutboxError> {
        self.call(
            "list events",
            async |ledger| ledger.events(query).await,
            |_, _, _| Vec::new(),
        )
        .await
    }
}
