//! Two programs with one file.

use std::collections::BTreeMap;
use std::sync::Arc;

use notify_core::DeliveryId;
use notify_outbox::{
    End, EventId, Outbox, Plan, Recorded, Settled, Settlement, Waiting, WorkflowPlan,
};
use notify_testkit::outbox::{claim, delivered, run, to};

use crate::file::{File, open};

/// How many events each of them accepts.
const EVENTS: u32 = 150;

/// Plans what waits: one delivery for each event.
fn plan(waiting: &Waiting) -> Vec<WorkflowPlan> {
    let mut plans = BTreeMap::new();
    for (event, _) in &waiting.events {
        let plan = plans
            .entry(event.workflow.clone())
            .or_insert_with(|| WorkflowPlan {
                workflow: event.workflow.clone(),
                history: waiting.contexts[&event.workflow].history.clone(),
                events: Vec::new(),
            });
        let end = End::new(event.ended_at, event.id, notify_core::TerminalPhase::Failed);
        let past = plan.history.past(&end);
        plan.history = std::mem::take(&mut plan.history).with(end);
        plan.events.push(Plan {
            event: event.id,
            past,
            deliveries: vec![to(event.id.uuid().as_u128() % 7).new_delivery(event.id)],
        });
    }
    plans.into_values().collect()
}

/// Does all that an engine does until nothing is left; gives what it leased.
async fn engine(outbox: Arc<dyn Outbox>, number: u32) -> Vec<DeliveryId> {
    for index in 0..EVENTS {
        let mut random = [0; 10];
        random[..4].copy_from_slice(&number.to_be_bytes());
        random[4..8].copy_from_slice(&index.to_be_bytes());
        let id = EventId::new(notify_core::Timestamp::from_micros(0), random);
        let event = run(format!("{number}-{index}")).of(index % 5).new_event(id);
        outbox.accept(event).await.unwrap();
    }
    let mut leased = Vec::new();
    loop {
        let waiting = outbox.waiting(20).await.unwrap();
        let recorded = outbox.record(plan(&waiting)).await.unwrap();
        let claimed = outbox
            .claim(claim().room(10).most_per_lane(3).claim())
            .await
            .unwrap();
        for delivery in &claimed {
            let came = delivered();
            let settlement = Settlement {
                delivery: delivery.id,
                token: delivery.token,
                account: delivery.account.clone(),
                outcome: came.outcome,
                decision: came.decision,
                took: std::time::Duration::ZERO,
            };
            assert_eq!(outbox.settle(settlement).await.unwrap(), Settled::Done);
            leased.push(delivery.id);
        }
        let lost = recorded.contains(&Recorded::LostRace);
        if !lost && claimed.is_empty() && outbox.status(Vec::new()).await.unwrap().is_idle() {
            return leased;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_share_the_work_and_never_a_delivery() {
    let file = File::new();
    let engines = [1, 2].map(|number| {
        let outbox = open(&file.path()).unwrap();
        tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(engine(outbox, number))
        })
    });
    let mut leased = Vec::new();
    for engine in engines {
        leased.extend(engine.await.unwrap());
    }
    let all = leased.len();
    leased.sort();
    leased.dedup();
    assert_eq!(leased.len(), all, "a delivery was leased twice");
    assert_eq!(all, 2 * EVENTS as usize);
}
