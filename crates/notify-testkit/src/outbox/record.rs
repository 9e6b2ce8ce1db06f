//! Plans in: as a whole, once, and on the history that they were made for.

use notify_core::TerminalPhase::{Failed, Succeeded};
use notify_outbox::Recorded::{Done, LostRace};
use notify_outbox::{DeliveryQuery, DeliveryState, EventState};

use crate::outbox::bench::{Bench, ids};
use crate::outbox::make::{claim, delivered, run, secs, to};

pub async fn a_plan_is_stored_as_a_whole(bench: Bench) {
    let id = bench.accept_new(&run(1)).await;
    let plan = bench.plan(id, &[to("a"), to("b")]).await;
    let told: Vec<_> = plan.events[0].deliveries.iter().map(|new| new.id).collect();
    assert_eq!(bench.record(plan).await, Done);
    assert_eq!(bench.event(id).await.state, EventState::Planned);
    assert!(bench.waiting().await.events.is_empty());
    let of_event = bench.outbox().deliveries(DeliveryQuery::of(id)).await;
    let of_event = of_event.unwrap();
    let found: Vec<_> = of_event.iter().map(|record| record.id).collect();
    assert_eq!(found, told);
    for record in of_event {
        assert_eq!((record.event, &*record.workflow), (id, "etl"));
        assert_eq!((record.state, record.reason), (DeliveryState::Pending, None));
        assert_eq!((record.phase, record.tries), (Failed, 0));
        assert_eq!(record.receipt, None);
    }
}

pub async fn what_plan_found_in_the_history_is_frozen_into_the_event(bench: Bench) {
    let at = bench.now();
    let ends = [(1, 30, Failed), (2, 20, Failed), (3, 10, Succeeded)];
    for (number, ago, phase) in ends {
        let event = run(number).phase(phase).at(at.before(secs(ago)));
        bench.tell(event, [to("ops")]).await;
    }
    // An end that arrives late changes nothing about those that are planned.
    let late = run(4).at(at.before(secs(25)));
    bench.tell(late, [to("ops")]).await;
    let leased = bench.claim(claim()).await;
    let pasts: Vec<_> = leased
        .iter()
        .map(|leased| leased.event.past.expect("the past is frozen"))
        .map(|past| (past.previous, past.streak))
        .collect();
    let expected = [(Succeeded, 1), (Failed, 2), (Failed, 0), (Failed, 2)];
    assert_eq!(pasts, expected);
    let since = leased[2].event.past.unwrap().since;
    assert_eq!(since, Some(at.before(secs(30))));
}

pub async fn the_history_is_written_once_for_all_events_of_a_plan(bench: Bench) {
    let events = (1..=3).map(|number| (run(number), vec![to("ops")]));
    bench.tell_all(events.collect()).await;
    bench.accept_new(&run(4)).await;
    let history = bench.waiting().await.contexts[&run(4).key()].history.clone();
    assert_eq!((history.version, history.ends().len()), (1, 3));
    bench.tell(run(5), []).await;
    let history = bench.waiting().await.contexts[&run(4).key()].history.clone();
    assert_eq!((history.version, history.ends().len()), (2, 4));
}

pub async fn who_plans_on_an_old_history_loses_the_race(bench: Bench) {
    let (first, second) = (run(1), run(2));
    let first = bench.accept_new(&first).await;
    let second = bench.accept_new(&second).await;
    let plan = bench.plan(first, &[to("a")]).await;
    let outdated = bench.plan(second, &[to("b")]).await;
    assert_eq!(bench.record(plan).await, Done);
    assert_eq!(bench.record(outdated).await, LostRace);
    assert_eq!(bench.event(second).await.state, EventState::Accepted);
    assert_eq!(bench.deliveries().await.len(), 1);
    let waiting = bench.waiting().await;
    assert_eq!(waiting.events[0].0.past, None);
    let history = &waiting.contexts[&run(1).key()].history;
    assert_eq!((history.version, history.ends().len()), (1, 1));
    // Planned anew it is stored.
    let anew = bench.plan(second, &[to("b")]).await;
    assert_eq!(bench.record(anew).await, Done);
    assert_eq!(bench.deliveries().await.len(), 2);
}

pub async fn a_plan_with_an_event_that_does_not_wait_is_not_stored_at_all(bench: Bench) {
    let planned = bench.accept_new(&run(1)).await;
    let plan = bench.plan(planned, &[to("a")]).await;
    assert_eq!(bench.record(plan.clone()).await, Done);
    let waits = bench.accept_new(&run(2)).await;
    // The waiting event comes first: what was stored for it has to be taken back.
    let mut both = bench.plan(waits, &[to("b").opens("b"), to("c")]).await;
    both.events.extend(plan.events);
    assert_eq!(bench.record(both).await, LostRace);
    assert_eq!(bench.event(waits).await.state, EventState::Accepted);
    assert_eq!(bench.deliveries().await.len(), 1);
    let context = &bench.waiting().await.contexts[&run(2).key()];
    assert_eq!(context.history.version, 1);
    assert!(context.conversations.is_empty());

    let aside = bench.accept_new(&run(3)).await;
    let plan = bench.plan(aside, &[to("c")]).await;
    bench.set_aside(aside, EventState::Unmatched, "gone").await;
    assert_eq!(bench.record(plan).await, LostRace);
    let mut unheard = bench.plan(waits, &[to("d")]).await;
    unheard.events[0].event = bench.next_id();
    assert_eq!(bench.record(unheard).await, LostRace);
    assert_eq!(bench.deliveries().await.len(), 1);
}

pub async fn one_workflow_that_lost_the_race_leaves_the_others_alone(bench: Bench) {
    let names = ["a", "b", "c"];
    let mut plans = Vec::new();
    for name in names {
        let id = bench.accept_new(&run(name).of(name)).await;
        plans.push(bench.plan(id, &[to(name)]).await);
    }
    bench.tell(run("faster").of("b"), []).await;
    let recorded = bench.outbox().record(plans).await.unwrap();
    assert_eq!(recorded, [Done, LostRace, Done]);
    let told = bench.deliveries().await;
    let told: Vec<_> = told.iter().map(|one| one.recipient.as_str()).collect();
    assert_eq!(told, ["a", "c"]);
    assert_eq!(bench.status().await.accepted, 1);
}

pub async fn of_two_plans_of_a_workflow_in_one_call_the_second_loses(bench: Bench) {
    let mut plans = Vec::new();
    for number in [1, 2] {
        let id = bench.accept_new(&run(number)).await;
        plans.push(bench.plan(id, &[to(number)]).await);
    }
    let recorded = bench.outbox().record(plans).await.unwrap();
    assert_eq!(recorded, [Done, LostRace]);
    assert_eq!(bench.deliveries().await.len(), 1);
    assert!(bench.outbox().record(Vec::new()).await.unwrap().is_empty());
}

pub async fn a_delivery_that_is_recorded_already_is_left_alone(bench: Bench) {
    let [told] = bench.tell(run(1), [to("ops")]).await;
    bench.attempt(delivered()).await;
    let second = bench.accept_new(&run(2)).await;
    let mut plan = bench.plan(second, &[to("ops"), to("dev")]).await;
    plan.events[0].deliveries[0].id = told;
    assert_eq!(bench.record(plan).await, Done);
    assert_eq!(bench.deliveries().await.len(), 2);
    assert_eq!(bench.state(told).await, DeliveryState::Delivered);
    let leased = bench.claim_one(claim()).await;
    assert_eq!(leased.recipient.as_str(), "dev");
}

pub async fn a_recipient_that_is_named_twice_is_told_once(bench: Bench) {
    let id = bench.accept_new(&run(1)).await;
    let plan = bench.plan(id, &[to("ops"), to("ops")]).await;
    assert_eq!(bench.record(plan).await, Done);
    assert_eq!(ids(&bench.claim(claim()).await).len(), 1);
    assert_eq!(bench.deliveries().await.len(), 1);
}

pub async fn what_is_not_to_be_sent_is_on_record_with_its_reason(bench: Bench) {
    let told = [to("a").skipped("not changed"), to("b").opens("b").skipped("no")];
    let [skipped, opening] = bench.tell(run(1), told).await;
    assert!(bench.claim(claim()).await.is_empty());
    assert_eq!(bench.state(skipped).await, DeliveryState::Skipped);
    assert_eq!(bench.reason(skipped).await, "not changed");
    assert_eq!(bench.state(opening).await, DeliveryState::Skipped);
    assert!(bench.status().await.is_idle());
    bench.accept_new(&run(2)).await;
    let context = &bench.waiting().await.contexts[&run(2).key()];
    assert!(context.conversations.is_empty(), "what is not sent opens nothing");
}
