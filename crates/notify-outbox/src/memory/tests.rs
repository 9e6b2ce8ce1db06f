//! What is particular to the outbox in memory.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use notify_core::{
    AccountId, Action, Clock, DeliveryId, Execution, IfUnknown, Outcome, Receipt, Recipient,
    TerminalPhase, Timestamp, WorkflowName,
};
use serde_json::json;

use super::MemoryOutbox;
use crate::history::End;
use crate::outbox::{Claim, Outbox, Serve};
use crate::record::{
    Accepted, Aside, DeliveryQuery, EventId, EventQuery, EventState, Leased, NewDelivery, NewEvent,
    NewState, Plan, Recorded, Settled, Spec, SpecDigest, WorkflowPlan, delivery_id,
};
use crate::settle::{Policy, Settlement, Tried, decide};

/// Nothing in memory is waited for.
fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the outbox in memory waited"),
    }
}

#[derive(Debug, Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

fn outbox() -> MemoryOutbox {
    MemoryOutbox::new(Arc::new(Hand::default()))
}

fn account() -> AccountId {
    "slack.prod".parse().unwrap()
}

fn event(number: u32) -> NewEvent {
    let mut random = [0; 10];
    random[6..].copy_from_slice(&number.to_be_bytes());
    NewEvent {
        id: EventId::new(Timestamp::from_micros(0), random),
        execution: Execution::new("p", "d", format!("run-{number}")).unwrap(),
        workflow: WorkflowName::new("nightly").unwrap(),
        phase: TerminalPhase::Failed,
        ended_at: None,
        body: "{}".to_owned(),
    }
}

/// Plans everything that waits: one delivery for each event.
fn plan(outbox: &MemoryOutbox) -> Vec<DeliveryId> {
    let waiting = done(outbox.waiting(usize::MAX)).unwrap();
    let spec = Arc::new(Spec {
        digest: SpecDigest::from_bytes([1; 32]),
        body: json!({}),
        options_version: 1,
    });
    let mut ids = Vec::new();
    for (workflow, context) in waiting.contexts {
        let mut history = context.history;
        let mut events = Vec::new();
        for (stored, _) in waiting
            .events
            .iter()
            .filter(|(stored, _)| stored.workflow == workflow)
        {
            let end = End::new(stored.ended_at, stored.id, TerminalPhase::Failed);
            let past = history.past(&end);
            history = history.with(end);
            let recipient = Recipient::of(&"#ops");
            let delivery = NewDelivery {
                id: delivery_id(stored.id, &spec.digest, &recipient),
                spec: Arc::clone(&spec),
                if_unknown: IfUnknown::Resend,
                account: account(),
                lane: "ops".to_owned(),
                recipient,
                action: Action::Send,
                alone: false,
                conversation: None,
                state: NewState::Pending,
            };
            ids.push(delivery.id);
            events.push(Plan {
                event: stored.id,
                past,
                deliveries: vec![delivery],
            });
        }
        let plan = WorkflowPlan {
            workflow,
            history,
            events,
        };
        assert_eq!(done(outbox.record(vec![plan])).unwrap(), [Recorded::Done]);
    }
    ids
}

fn claim(outbox: &MemoryOutbox, room: usize) -> Vec<Leased> {
    let serve = Serve {
        account: account(),
        lease: Duration::from_mins(1),
        room,
        rate: None,
        collapse_after: None,
    };
    let claim = Claim {
        serve: vec![serve],
        most_per_lane: usize::MAX,
        max_age: Duration::from_hours(24),
    };
    done(outbox.claim(claim)).unwrap()
}

fn deliver(outbox: &MemoryOutbox, leased: &Leased) -> Settled {
    let outcome = Outcome::Delivered(Receipt::new("ts"));
    let settlement = Settlement {
        delivery: leased.id,
        token: leased.token,
        account: account(),
        decision: decide(&outcome, Tried::default(), &Policy::default(), 1.0),
        outcome,
        took: Duration::ZERO,
    };
    done(outbox.settle(settlement)).unwrap()
}

#[test]
fn clones_share_one_ledger() {
    let (one, two) = {
        let outbox = outbox();
        (outbox.clone(), outbox)
    };
    let id = event(1).id;
    assert_eq!(done(one.accept(event(1))).unwrap(), Accepted::Recorded(id));
    assert_eq!(done(two.accept(event(1))).unwrap(), Accepted::Duplicate(id));
    plan(&two);
    let leased = claim(&one, 8);
    assert!(claim(&two, 8).is_empty());
    assert_eq!(deliver(&two, &leased[0]), Settled::Done);
    assert_eq!(deliver(&one, &leased[0]), Settled::StaleLease);
    assert!(!one.durable());
}

#[test]
fn what_is_settled_is_forgotten_in_the_order_in_which_it_was() {
    let outbox = outbox();
    for number in 0..10_003 {
        done(outbox.accept(event(number))).unwrap();
    }
    plan(&outbox);
    // The first one stays leased and is no less there than the others.
    let leased = claim(&outbox, usize::MAX);
    for leased in leased.iter().skip(1) {
        deliver(&outbox, leased);
    }
    let known = |number: u32| {
        !done(outbox.events(EventQuery::of(event(number).id)))
            .unwrap()
            .is_empty()
    };
    assert_eq!([0, 1, 2, 3].map(known), [true, false, false, true]);
    deliver(&outbox, &leased[0]);
    assert_eq!([0, 3, 4].map(known), [true, false, true]);

    let events = done(outbox.events(EventQuery::latest(usize::MAX))).unwrap();
    let deliveries = done(outbox.deliveries(DeliveryQuery::latest(usize::MAX))).unwrap();
    assert_eq!((events.len(), deliveries.len()), (10_000, 10_000));

    let again = event(1).id;
    let accepted = done(outbox.accept(event(1))).unwrap();
    assert_eq!(accepted, Accepted::Recorded(again));
}

#[test]
fn what_can_still_be_sent_is_never_forgotten() {
    let outbox = outbox();
    for number in 0..12_000 {
        done(outbox.accept(event(number))).unwrap();
    }
    let ids = plan(&outbox);
    let status = done(outbox.status(vec![account()])).unwrap();
    assert_eq!((status.accepted, status.pending), (0, 12_000));
    done(outbox.drop(ids, "not wanted".to_owned())).unwrap();
    let status = done(outbox.status(vec![account()])).unwrap();
    assert_eq!((status.pending, status.next_due), (0, None));
    let events = done(outbox.events(EventQuery::latest(usize::MAX))).unwrap();
    assert_eq!(events.len(), 10_000);
}

#[test]
fn what_nobody_will_plan_is_forgotten_too() {
    let outbox = outbox();
    for number in 0..10_001 {
        let event = event(number);
        let aside = Aside {
            event: event.id,
            state: EventState::Malformed,
            reason: "does not read".to_owned(),
        };
        done(outbox.accept(event)).unwrap();
        done(outbox.set_aside(vec![aside])).unwrap();
    }
    let status = done(outbox.status(Vec::new())).unwrap();
    assert_eq!(status.unplannable, 10_000);
}
