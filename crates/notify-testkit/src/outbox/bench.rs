//! One ledger under test, with its clock.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use notify_core::{Clock, DeliveryId, Timestamp, WorkflowName};
use notify_outbox::{
    Accepted, Aside, DeliveryQuery, DeliveryRecord, DeliveryState, End, EventId, EventQuery,
    EventRecord, EventState, History, Leased, Outbox, Plan, PlanContext, Recorded, Settled,
    Settlement, Status, Waiting, WorkflowPlan,
};

use crate::clock::HandClock;
use crate::outbox::make::{Came, Claiming, Ended, ONE, TWO, Told, account};

type Open = dyn Fn(Arc<dyn Clock>) -> Arc<dyn Outbox> + Send + Sync;

/// A ledger that begins empty, and what rules do with it.
///
/// Every method panics where the outbox fails.
pub struct Bench {
    open: Box<Open>,
    clock: Arc<HandClock>,
    /// Always there, but while it is opened anew.
    outbox: Option<Arc<dyn Outbox>>,
    events: AtomicU32,
}

impl Bench {
    /// Opens a ledger.
    pub fn new(open: impl Fn(Arc<dyn Clock>) -> Arc<dyn Outbox> + Send + Sync + 'static) -> Self {
        let clock = Arc::new(HandClock::default());
        let outbox = Some(open(clock.clone()));
        Self {
            open: Box::new(open),
            clock,
            outbox,
            events: AtomicU32::new(0),
        }
    }

    /// Returns the ledger.
    pub fn outbox(&self) -> &dyn Outbox {
        &**self.ledger()
    }

    fn ledger(&self) -> &Arc<dyn Outbox> {
        self.outbox.as_ref().unwrap()
    }

    /// Gives the ledger as another engine has it.
    pub fn another(&self) -> Arc<dyn Outbox> {
        if self.outbox().durable() {
            (self.open)(self.clock.clone())
        } else {
            Arc::clone(self.ledger())
        }
    }

    /// Closes the ledger and opens it again, where it is durable; another one lives on.
    pub fn restart(&mut self) {
        if self.outbox().durable() {
            drop(self.outbox.take());
            self.outbox = Some((self.open)(self.clock.clone()));
        }
    }

    /// Returns the present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.clock.forward(time);
    }

    /// Sets the clock back.
    pub fn set_back(&self, by: Duration) {
        self.clock.back(by);
    }

    /// Makes an event's id, greater than those before.
    pub fn next_id(&self) -> EventId {
        let count = self.events.fetch_add(1, Ordering::SeqCst);
        let mut random = [0; 10];
        random[6..].copy_from_slice(&count.to_be_bytes());
        EventId::new(Timestamp::from_micros(0), random)
    }

    /// Accepts an event under an id of its own.
    pub async fn accept(&self, event: &Ended) -> Accepted {
        let event = event.new_event(self.next_id());
        self.outbox().accept(event).await.unwrap()
    }

    /// Accepts an event that is new.
    pub async fn accept_new(&self, event: &Ended) -> EventId {
        match self.accept(event).await {
            Accepted::Recorded(id) => id,
            other => panic!("the event is not new: {other:?}"),
        }
    }

    /// Lists all events that wait to be planned.
    pub async fn waiting(&self) -> Waiting {
        self.outbox().waiting(100_000).await.unwrap()
    }

    /// Plans one event that waits, on the history that is stored.
    pub async fn plan(&self, event: EventId, deliveries: &[Told]) -> WorkflowPlan {
        let waiting = self.waiting().await;
        let found = waiting.events.iter().find(|(stored, _)| stored.id == event);
        let (stored, _) = found.expect("the event does not wait");
        let context = &waiting.contexts[&stored.workflow];
        let (history, plan) = plan(
            context.history.clone(),
            event,
            stored.ended_at,
            self.event(event).await.phase,
            deliveries,
        );
        WorkflowPlan {
            workflow: stored.workflow.clone(),
            history,
            events: vec![plan],
        }
    }

    /// Stores one plan.
    pub async fn record(&self, plan: WorkflowPlan) -> Recorded {
        self.outbox().record(vec![plan]).await.unwrap()[0]
    }

    /// Accepts an event and records who is told of it; gives the deliveries.
    pub async fn tell<const N: usize>(&self, event: Ended, told: [Told; N]) -> [DeliveryId; N] {
        let ids = self.tell_all(vec![(event, told.to_vec())]).await;
        ids[0].as_slice().try_into().unwrap()
    }

    /// Accepts events and records who is told of each, in one call; gives the deliveries of each.
    pub async fn tell_all(&self, told: Vec<(Ended, Vec<Told>)>) -> Vec<Vec<DeliveryId>> {
        let mut ids = Vec::new();
        for (event, _) in &told {
            ids.push(self.accept_new(event).await);
        }
        let waiting = self.waiting().await;
        let ended: BTreeMap<EventId, Timestamp> = waiting
            .events
            .iter()
            .map(|(stored, _)| (stored.id, stored.ended_at))
            .collect();
        let mut plans = BTreeMap::new();
        let mut deliveries = Vec::new();
        for (id, (event, told)) in ids.into_iter().zip(&told) {
            let (history, events) = plans.entry(event.key()).or_insert_with(|| {
                let context: PlanContext = waiting.contexts[&event.key()].clone();
                (context.history, Vec::new())
            });
            let before = std::mem::take(history);
            let (after, plan) = plan(before, id, ended[&id], event.how(), told);
            *history = after;
            deliveries.push(plan.deliveries.iter().map(|new| new.id).collect());
            events.push(plan);
        }
        let plans: Vec<WorkflowPlan> = plans
            .into_iter()
            .map(|(workflow, (history, events))| WorkflowPlan {
                workflow,
                history,
                events,
            })
            .collect();
        let recorded = self.outbox().record(plans).await.unwrap();
        assert!(recorded.iter().all(|one| *one == Recorded::Done));
        deliveries
    }

    /// Claims.
    pub async fn claim(&self, claim: Claiming) -> Vec<Leased> {
        self.outbox().claim(claim.claim()).await.unwrap()
    }

    /// Claims and gives the one delivery that is leased.
    pub async fn claim_one(&self, claim: Claiming) -> Leased {
        let mut leased = self.claim(claim).await;
        assert_eq!(leased.len(), 1, "one delivery is leased: {leased:#?}");
        leased.remove(0)
    }

    /// Stores what came of an attempt.
    pub async fn try_settle(&self, leased: &Leased, came: Came) -> Settled {
        let settlement = Settlement {
            delivery: leased.id,
            token: leased.token,
            account: leased.account.clone(),
            outcome: came.outcome,
            decision: came.decision,
            took: Duration::from_millis(120),
        };
        self.outbox().settle(settlement).await.unwrap()
    }

    /// Stores what came of an attempt whose lease is good.
    pub async fn settle(&self, leased: &Leased, came: Came) {
        assert_eq!(self.try_settle(leased, came).await, Settled::Done);
    }

    /// Makes one attempt at the one delivery that is due.
    pub async fn attempt(&self, came: Came) -> Leased {
        let leased = self.claim_one(claim_both()).await;
        self.settle(&leased, came).await;
        leased
    }

    /// Lets accounts work again.
    pub async fn resume(&self, accounts: &[&str]) -> u64 {
        let accounts = accounts.iter().copied().map(account).collect();
        self.outbox().resume(accounts).await.unwrap()
    }

    /// Replays deliveries and gives those that changed, sorted.
    pub async fn replay(&self, ids: &[DeliveryId]) -> Vec<DeliveryId> {
        let mut changed = self.outbox().replay(ids.to_vec()).await.unwrap();
        changed.sort();
        changed
    }

    /// Gives deliveries up and gives those that changed, sorted.
    pub async fn give_up(&self, ids: &[DeliveryId], reason: &str) -> Vec<DeliveryId> {
        let dropped = self.outbox().drop(ids.to_vec(), reason.to_owned());
        let mut changed = dropped.await.unwrap();
        changed.sort();
        changed
    }

    /// Counts what there is to do for both accounts.
    pub async fn status(&self) -> Status {
        let accounts = [ONE, TWO].map(account).to_vec();
        self.outbox().status(accounts).await.unwrap()
    }

    /// Lists all deliveries.
    pub async fn deliveries(&self) -> Vec<DeliveryRecord> {
        let all = DeliveryQuery::latest(100_000);
        self.outbox().deliveries(all).await.unwrap()
    }

    /// Shows one delivery.
    pub async fn delivery(&self, id: DeliveryId) -> DeliveryRecord {
        let all = self.deliveries().await;
        let found = all.into_iter().find(|record| record.id == id);
        found.expect("the delivery is not on record")
    }

    /// Returns where a delivery is.
    pub async fn state(&self, id: DeliveryId) -> DeliveryState {
        self.delivery(id).await.state
    }

    /// Returns where deliveries are.
    pub async fn states(&self, ids: &[DeliveryId]) -> Vec<DeliveryState> {
        let all = self.deliveries().await;
        let of = |id: &DeliveryId| all.iter().find(|record| record.id == *id);
        ids.iter().map(|id| of(id).unwrap().state).collect()
    }

    /// Returns why a delivery is where it is; empty where nothing is said.
    pub async fn reason(&self, id: DeliveryId) -> String {
        self.delivery(id).await.reason.unwrap_or_default()
    }

    /// Lists all events.
    pub async fn events(&self) -> Vec<EventRecord> {
        let all = EventQuery::latest(100_000);
        self.outbox().events(all).await.unwrap()
    }

    /// Shows one event.
    pub async fn event(&self, id: EventId) -> EventRecord {
        let mut found = self.outbox().events(EventQuery::of(id)).await.unwrap();
        assert_eq!(found.len(), 1, "{id} is on record once");
        found.remove(0)
    }

    /// Takes an event out of planning.
    pub async fn set_aside(&self, event: EventId, state: EventState, reason: &str) {
        let reason = reason.to_owned();
        let aside = Aside {
            event,
            state,
            reason,
        };
        self.outbox().set_aside(vec![aside]).await.unwrap();
    }

    /// Looks anew at events that nobody could plan; gives how many there were.
    pub async fn revive(&self, workflows: Option<&[&str]>) -> u64 {
        let names = |names: &[&str]| {
            let name = |name: &&str| WorkflowName::new(*name).unwrap();
            names.iter().map(name).collect()
        };
        self.outbox().revive(workflows.map(names)).await.unwrap()
    }
}

/// Claims for both accounts.
fn claim_both() -> Claiming {
    crate::outbox::make::claim().of(&[ONE, TWO])
}

fn plan(
    history: History,
    event: EventId,
    ended_at: Timestamp,
    phase: notify_core::TerminalPhase,
    told: &[Told],
) -> (History, Plan) {
    let end = End::new(ended_at, event, phase);
    let plan = Plan {
        event,
        past: history.past(&end),
        deliveries: told.iter().map(|told| told.new_delivery(event)).collect(),
    };
    (history.with(end), plan)
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Lists the ids of leases.
pub fn ids(leased: &[Leased]) -> Vec<DeliveryId> {
    leased.iter().map(|leased| leased.id).collect()
}
