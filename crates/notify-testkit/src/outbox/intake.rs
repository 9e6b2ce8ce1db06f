//! Events in: one end for each attempt, and how they wait to be planned.

use notify_core::TerminalPhase::{Aborted, Failed, Succeeded, TimedOut};
use notify_outbox::{Accepted, EventId, EventState, End, Waiting};

use crate::outbox::bench::Bench;
use crate::outbox::make::{claim, delivered, run, secs, to};

pub async fn an_event_is_stored_as_it_is_told(bench: Bench) {
    let ended_at = bench.now().before(secs(90));
    let event = run(7).of("nightly").attempt(3).phase(TimedOut).at(ended_at);
    let id = bench.accept_new(&event).await;
    bench.pass(secs(5));
    let stored = bench.event(id).await;
    let names = (&*stored.project, &*stored.domain, &*stored.execution);
    assert_eq!(names, ("project", "domain", "run-7"));
    assert_eq!((&*stored.workflow, stored.attempt), ("nightly", 3));
    assert_eq!((stored.phase, stored.ended_at), (TimedOut, ended_at));
    assert_eq!(stored.accepted_at, bench.now().before(secs(5)));
    assert_eq!((stored.state, stored.reason), (EventState::Accepted, None));

    let waiting = bench.waiting().await;
    let (waits, _) = &waiting.events[0];
    assert_eq!((waits.id, &waits.workflow), (id, &event.key()));
    assert_eq!(waits.ended_at, stored.ended_at);
    assert_eq!(waits.accepted_at, stored.accepted_at);
    assert_eq!(waits.body, event.new_event(id).body);
    assert_eq!(waits.past, None);
}

pub async fn an_event_that_does_not_say_when_it_ended_ended_now(bench: Bench) {
    let id = bench.accept_new(&run(1)).await;
    assert_eq!(bench.event(id).await.ended_at, bench.now());
}

pub async fn the_same_end_told_again_is_a_duplicate_of_the_first(bench: Bench) {
    let first = bench.accept_new(&run(1)).await;
    let later = run(1).at(bench.now().after(secs(60)));
    assert_eq!(bench.accept(&later).await, Accepted::Duplicate(first));
    // Whoever tells it of another workflow tells of the same attempt all the same.
    let other = run(1).of("other");
    assert_eq!(bench.accept(&other).await, Accepted::Duplicate(first));
    let plan = bench.plan(first, &[to("ops")]).await;
    bench.record(plan).await;
    bench.attempt(delivered()).await;
    assert_eq!(bench.accept(&run(1)).await, Accepted::Duplicate(first));
    assert_eq!(bench.events().await.len(), 1);
}

pub async fn an_end_of_an_unmatched_event_told_again_is_a_duplicate(bench: Bench) {
    let first = bench.accept_new(&run(1)).await;
    bench
        .set_aside(first, EventState::Unmatched, "no such workflow")
        .await;
    assert_eq!(bench.accept(&run(1)).await, Accepted::Duplicate(first));
    let other = run(1).succeeded();
    assert_eq!(bench.accept(&other).await, Accepted::Conflict(first));
}

pub async fn another_end_of_the_attempt_is_on_record_once_for_each_phase(bench: Bench) {
    let first = bench.accept_new(&run(1).phase(Failed)).await;
    for phase in [Succeeded, Aborted, Succeeded, Aborted, Succeeded] {
        let answer = bench.accept(&run(1).phase(phase)).await;
        assert_eq!(answer, Accepted::Conflict(first));
    }
    // The first end is still the one that counts.
    let again = bench.accept(&run(1).phase(Failed)).await;
    assert_eq!(again, Accepted::Duplicate(first));
    let events = bench.events().await;
    let phases: Vec<_> = events.iter().map(|event| event.phase).collect();
    assert_eq!(phases, [Failed, Succeeded, Aborted]);
    let why = format!("the attempt ended `failed` before ({first})");
    for conflict in &events[1..] {
        assert_eq!(conflict.state, EventState::Conflict);
        assert_eq!(conflict.reason.as_ref(), Some(&why));
    }
    assert_eq!(waiting_ids(&bench.waiting().await), [first]);
    assert_eq!(bench.status().await.conflicts, 2);
}

pub async fn every_attempt_of_every_execution_is_an_event_of_its_own(bench: Bench) {
    let others = [
        run(1),
        run(2),
        run(1).attempt(2),
        run(1).project("other"),
        run(1).domain("other"),
    ];
    for event in &others {
        bench.accept_new(event).await;
    }
    assert_eq!(bench.waiting().await.events.len(), others.len());
}

pub async fn a_malformed_event_leaves_its_place_to_one_that_reads(bench: Bench) {
    let malformed = bench.accept_new(&run(1)).await;
    bench
        .set_aside(malformed, EventState::Malformed, "no such kind")
        .await;
    let id = bench.accept_new(&run(1).succeeded()).await;
    assert_eq!(bench.accept(&run(1)).await, Accepted::Conflict(id));
}

pub async fn events_wait_in_the_order_they_were_accepted(bench: Bench) {
    let now = bench.now();
    let mut accepted = Vec::new();
    for (number, ago) in [(1, 10), (2, 30), (3, 20)] {
        let event = run(number).at(now.before(secs(ago)));
        accepted.push(bench.accept_new(&event).await);
        bench.pass(secs(1));
    }
    let waiting = bench.waiting().await;
    assert_eq!(waiting_ids(&waiting), accepted);
    let waited: Vec<_> = waiting.events.iter().map(|(_, waited)| *waited).collect();
    assert_eq!(waited, [secs(3), secs(2), secs(1)]);
}

pub async fn no_more_events_are_listed_than_asked_for(bench: Bench) {
    let mut accepted = Vec::new();
    for number in 0..5 {
        let event = run(number).of(number);
        accepted.push(bench.accept_new(&event).await);
    }
    for most in [0, 1, 3, 5, 6] {
        let waiting = bench.outbox().waiting(most).await.unwrap();
        let expected = &accepted[..most.min(5)];
        assert_eq!(waiting_ids(&waiting), expected);
        assert_eq!(waiting.contexts.len(), expected.len());
    }
}

pub async fn waiting_gives_the_history_of_each_workflow(bench: Bench) {
    let ended_at = bench.now().before(secs(60));
    bench.tell(run(1).at(ended_at), []).await;
    bench.tell(run(2).of("other").succeeded(), []).await;
    bench.tell(run(3).project("other"), []).await;
    bench.accept_new(&run(4)).await;
    bench.accept_new(&run(5)).await;
    bench.accept_new(&run(6).of("new")).await;
    let contexts = bench.waiting().await.contexts;
    let keys: Vec<_> = contexts.keys().cloned().collect();
    assert_eq!(keys, [run(4).key(), run(6).of("new").key()]);
    let of_etl = &contexts[&run(4).key()].history;
    let ends: Vec<_> = of_etl.ends().iter().map(|end| (end.at, end.phase)).collect();
    assert_eq!((of_etl.version, ends), (1, vec![(ended_at, Failed)]));
    let of_new = &contexts[&run(6).of("new").key()].history;
    assert_eq!((of_new.version, of_new.ends()), (0, &[][..] as &[End]));
}

pub async fn waiting_gives_what_a_workflow_has_open(bench: Bench) {
    bench.tell(run(0).of("other"), [to("ops").opens("other")]).await;
    let ended_at = bench.now().before(secs(60));
    let told = [to("ops").lane("calls").opens("a"), to("ops").opens("b")];
    let opening = run(1).at(ended_at);
    bench.tell(opening, told).await;
    let first = waiting_for(&bench, 2).await;
    assert_eq!(keys(&first), ["a", "b"], "what is planned counts");
    let a = &first.contexts[&run(2).key()].conversations[0];
    assert_eq!((&*a.lane, a.recipient.as_str()), ("calls", "ops"));
    let opened = first.contexts[&run(2).key()].history.ends()[0].event;
    assert_eq!((a.opened.0, a.opened.1.uuid()), (ended_at, opened));
    assert_eq!(a.spec.options_version, 1);

    for leased in bench.claim(claim()).await {
        bench.settle(&leased, delivered()).await;
    }
    let open = waiting_for(&bench, 3).await;
    assert_eq!(keys(&open), ["a", "b"]);
    let told = [to("ops").lane("calls").closes("a")];
    bench.tell(run(4).succeeded(), told).await;
    bench.attempt(delivered()).await;
    let closed = waiting_for(&bench, 5).await;
    assert_eq!(keys(&closed), ["b"], "what is closed does not");
}

pub async fn an_event_that_is_set_aside_does_not_wait_and_says_why(bench: Bench) {
    let unmatched = bench.accept_new(&run(1)).await;
    let malformed = bench.accept_new(&run(2)).await;
    bench
        .set_aside(unmatched, EventState::Unmatched, "no such workflow")
        .await;
    bench
        .set_aside(malformed, EventState::Malformed, "no such kind")
        .await;
    assert!(bench.waiting().await.events.is_empty());
    let events = bench.events().await;
    assert_eq!(events[0].state, EventState::Unmatched);
    assert_eq!(events[0].reason.as_deref(), Some("no such workflow"));
    assert_eq!(events[1].state, EventState::Malformed);
    assert_eq!(events[1].reason.as_deref(), Some("no such kind"));
    let status = bench.status().await;
    assert_eq!((status.accepted, status.unplannable), (0, 2));
}

pub async fn only_an_event_that_waits_can_be_set_aside(bench: Bench) {
    let planned = bench.accept_new(&run(1)).await;
    let plan = bench.plan(planned, &[]).await;
    bench.record(plan).await;
    bench
        .set_aside(planned, EventState::Unmatched, "too late")
        .await;
    let event = bench.event(planned).await;
    assert_eq!((event.state, event.reason), (EventState::Planned, None));

    let aside = bench.accept_new(&run(2)).await;
    bench.set_aside(aside, EventState::Malformed, "first").await;
    bench.set_aside(aside, EventState::Unmatched, "second").await;
    let event = bench.event(aside).await;
    assert_eq!(event.state, EventState::Malformed);
    assert_eq!(event.reason.as_deref(), Some("first"));
}

fn waiting_ids(waiting: &Waiting) -> Vec<EventId> {
    waiting.events.iter().map(|(event, _)| event.id).collect()
}

/// Accepts one more run of the workflow and lists what waits.
async fn waiting_for(bench: &Bench, number: u32) -> Waiting {
    let id = bench.accept_new(&run(number)).await;
    let waiting = bench.waiting().await;
    bench.set_aside(id, EventState::Malformed, "looked at").await;
    waiting
}

fn keys(waiting: &Waiting) -> Vec<&str> {
    let context = &waiting.contexts[&run(0).key()];
    let mut keys: Vec<&str> = context
        .conversations
        .iter()
        .map(|conversation| conversation.key.as_str())
        .collect();
    keys.sort_unstable();
    keys
}
