//! Accounts that are paused, and what lets them work again.

use notify_outbox::DeliveryState::{Delivered, Expired, Held, Leased, Pending};
use notify_outbox::EventState;

use crate::outbox::bench::{Bench, ids};
use crate::outbox::make::{
    ONE, TWO, again, claim, delivered, doubtful, refused, run, secs, to,
};

pub async fn a_pause_holds_everything_that_waits_for_the_account(bench: Bench) {
    let told = [to("a"), to("b"), to("b"), to("c").through(TWO)];
    let told = told.into_iter().enumerate();
    let told = told.map(|(lane, told)| told.lane(lane)).collect();
    let told = bench.tell_all(vec![(run(1), told)]).await.remove(0);
    let leased = bench.claim(claim().room(2)).await;
    assert_eq!(ids(&leased), told[..2]);
    bench.settle(&leased[0], refused().pause()).await;
    // What is on the wire stays there; the other account is not concerned.
    let states = bench.states(&told).await;
    assert_eq!(states, [Held, Leased, Held, Pending]);
    assert_eq!(bench.reason(told[2]).await, "auth: invalid_auth");
    assert!(bench.claim(claim()).await.is_empty());
    assert_eq!(bench.claim(claim().of(&[ONE, TWO])).await.len(), 1);
    let status = bench.status().await;
    assert_eq!((status.held, status.pending), (2, 0));
}

pub async fn a_lane_is_paused_by_itself(mut bench: Bench) {
    let told = [to("a"), to("b").lane("a"), to("c")];
    let [first, waits, other] = bench.tell(run(1), told).await;
    let leased = bench.claim(claim().most_per_lane(1)).await;
    assert_eq!(ids(&leased), [first, other]);
    bench.settle(&leased[0], refused().pause_lane()).await;
    assert_eq!(bench.states(&[first, waits, other]).await, [Held, Held, Leased]);
    assert_eq!(bench.reason(waits).await, "auth: invalid_auth");
    bench.settle(&leased[1], again(secs(0))).await;
    bench.restart();
    let [later, elsewhere] = bench.tell(run(2), [to("a"), to("d")]).await;
    assert_eq!(bench.state(later).await, Held);
    assert_eq!(ids(&bench.claim(claim()).await), [other, elsewhere]);
    assert_eq!(bench.resume(&[ONE]).await, 3);
    bench.restart();
    let [new] = bench.tell(run(3), [to("a")]).await;
    assert_eq!(bench.attempt(delivered()).await.id, first);
    assert_eq!(ids(&bench.claim(claim()).await), [waits, later, new]);
}

pub async fn what_was_on_the_wire_when_its_lane_was_paused_is_held_too(bench: Bench) {
    let [first, second] = bench.tell(run(1), [to("a"), to("b").lane("a")]).await;
    let leased = bench.claim(claim()).await;
    assert_eq!(ids(&leased), [first, second]);
    bench.settle(&leased[0], refused().pause_lane()).await;
    bench.settle(&leased[1], again(secs(0))).await;
    assert_eq!(bench.states(&[first, second]).await, [Held, Held]);
    assert_eq!(bench.resume(&[ONE]).await, 2);
}

pub async fn what_is_told_through_a_paused_account_is_held_from_the_start(mut bench: Bench) {
    bench.tell(run(1), [to("a")]).await;
    bench.attempt(refused().pause()).await;
    bench.restart();
    let told = [to("b"), to("c").through(TWO), to("d").skipped("no")];
    let [held, _, skipped] = bench.tell(run(2), told).await;
    assert_eq!(bench.state(held).await, Held);
    assert_eq!(bench.reason(held).await, "auth: invalid_auth");
    assert_eq!(bench.reason(skipped).await, "no");
    assert_eq!(bench.claim(claim().of(&[ONE, TWO])).await.len(), 1);
}

pub async fn who_resumes_an_account_sets_free_what_was_held_for_it(bench: Bench) {
    let [first, waits] = bench.tell(run(1), [to("a"), to("b")]).await;
    for leased in bench.claim(claim()).await {
        let came = if leased.id == first {
            again(secs(0))
        } else {
            again(secs(3_600))
        };
        bench.settle(&leased, came).await;
    }
    bench.attempt(refused().pause()).await;
    let [later] = bench.tell(run(2), [to("c")]).await;
    bench.pass(secs(60));
    assert_eq!(bench.resume(&[TWO]).await, 0);
    assert_eq!(bench.resume(&[ONE]).await, 3);
    assert_eq!(bench.resume(&[ONE]).await, 0);
    for id in [first, waits, later] {
        let record = bench.delivery(id).await;
        assert_eq!((record.state, record.not_before), (Pending, bench.now()));
    }
    let leased = bench.claim(claim()).await;
    assert_eq!(leased.len(), 3);
    for leased in leased {
        let tries = if leased.id == first { 2 } else { u32::from(leased.id == waits) };
        assert_eq!(leased.tries, tries, "what was tried stays on record");
    }
    let [new] = bench.tell(run(3), [to("d")]).await;
    assert_eq!(bench.state(new).await, Pending);
}

pub async fn several_accounts_are_resumed_in_one_call(bench: Bench) {
    bench.tell(run(1), [to("a"), to("b").through(TWO)]).await;
    for leased in bench.claim(claim().of(&[ONE, TWO])).await {
        bench.settle(&leased, refused().pause()).await;
    }
    assert_eq!(bench.resume(&[]).await, 0);
    assert_eq!(bench.status().await.held, 2);
    assert_eq!(bench.resume(&[ONE, TWO]).await, 2);
}

pub async fn what_waits_for_a_replay_is_not_resumed(bench: Bench) {
    let [doubted, refused_one] = bench.tell(run(1), [to("a"), to("b")]).await;
    let leased = bench.claim(claim()).await;
    bench.settle(&leased[0], doubtful()).await;
    bench.settle(&leased[1], refused().pause()).await;
    assert_eq!(bench.resume(&[ONE]).await, 1);
    let states = bench.states(&[doubted, refused_one]).await;
    assert_eq!(states, [Held, Pending]);
    assert_eq!(bench.reason(doubted).await, "unknown (timeout): 30s");
    assert_eq!(ids(&bench.claim(claim()).await), [refused_one]);
}

pub async fn who_resumes_an_account_opens_the_lanes_of_what_was_held(bench: Bench) {
    let told = (0..5).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let leased = bench.claim(claim()).await;
    for leased in &leased[..4] {
        bench.settle(leased, again(secs(0)).silent()).await;
    }
    let came = refused()
        .silent()
        .wait(notify_core::Scope::Lane, secs(3_600))
        .pause();
    bench.settle(&leased[4], came).await;
    assert_eq!(bench.resume(&[ONE]).await, 5);
    assert_eq!(bench.attempt(delivered()).await.tries, 1, "it is not shut");
    assert_eq!(bench.claim(claim()).await.len(), 4);
}

pub async fn what_is_set_free_goes_one_at_a_time_until_one_is_answered(mut bench: Bench) {
    let told = (0..4).map(|number| to(number).lane("lane")).collect();
    let told = bench.tell_all(vec![(run(1), told)]).await.concat();
    let one_refused = async |bench: &Bench| {
        let leased = bench.claim_one(claim()).await;
        assert!(bench.claim(claim()).await.is_empty(), "the others wait for its answer");
        bench.settle(&leased, refused().pause_lane()).await;
        assert_eq!(bench.states(&told).await, [Held; 4]);
        leased.tries
    };
    bench.settle(&bench.claim(claim().most_per_lane(1)).await[0], refused().pause_lane()).await;
    for tries in 1..4 {
        assert_eq!(bench.resume(&[ONE]).await, 4);
        bench.restart();
        assert_eq!(one_refused(&bench).await, tries);
    }
}

pub async fn what_was_on_the_wire_when_its_account_was_paused_is_held_too(bench: Bench) {
    let told = bench.tell(run(1), [to("a"), to("b"), to("c"), to("d")]).await;
    let leased = bench.claim(claim()).await;
    bench.settle(&leased[0], refused().pause()).await;
    bench.settle(&leased[1], again(secs(10))).await;
    bench.settle(&leased[2], delivered()).await;
    assert_eq!(bench.states(&told).await, [Held, Held, Delivered, Leased]);
    assert_eq!(bench.reason(told[1]).await, "auth: invalid_auth");
    bench.pass(secs(3_600));
    assert!(bench.claim(claim()).await.is_empty(), "a lost lease is held as well");
    assert_eq!(bench.state(told[3]).await, Held);
    assert_eq!(bench.resume(&[ONE]).await, 3);
    let again = bench.claim(claim()).await;
    assert_eq!(ids(&again), [told[0], told[1], told[3]]);
    assert!(again[2].unsure);
}

pub async fn events_that_nobody_could_plan_are_looked_at_anew(bench: Bench) {
    let mut accepted = Vec::new();
    let events = [
        (run(1).of("known"), EventState::Unmatched),
        (run(2).of("known"), EventState::Malformed),
        (run(3).of("other"), EventState::Unmatched),
    ];
    for (event, state) in events {
        let id = bench.accept_new(&event).await;
        bench.set_aside(id, state, "why").await;
        accepted.push(id);
    }
    assert_eq!(bench.resume(&[ONE]).await, 0, "they are no deliveries");
    assert!(bench.waiting().await.events.is_empty());
    assert_eq!(bench.revive(Some(&[])).await, 0);
    assert_eq!(bench.revive(Some(&["known", "unheard of"])).await, 1);
    let waiting = bench.waiting().await.events;
    let waiting: Vec<_> = waiting.iter().map(|(event, _)| event.id).collect();
    assert_eq!(waiting, accepted[..1]);
    let unmatched = bench.event(accepted[0]).await;
    assert_eq!(
        (unmatched.state, unmatched.reason),
        (EventState::Accepted, None)
    );
    let malformed = bench.event(accepted[1]).await;
    assert_eq!(malformed.state, EventState::Malformed);
    assert_eq!(bench.revive(None).await, 1);
    assert_eq!(bench.event(accepted[2]).await.state, EventState::Accepted);
    let plan = bench.plan(accepted[0], &[to("ops")]).await;
    bench.record(plan).await;
    bench.attempt(delivered()).await;
}

pub async fn what_no_engine_serves_is_given_up_when_it_is_too_old(bench: Bench) {
    let told = [
        to("ops").through(TWO),
        to("new").through(TWO).opens("key"),
        to("new").through(TWO).closes("key"),
        to("ops"),
    ];
    let [tried, open, close, served] = bench.tell(run(1), told).await;
    let leased = bench.claim(claim().of(&[TWO]).most_per_lane(1)).await;
    let leased = leased.iter().find(|one| one.id == tried).unwrap();
    bench.settle(leased, again(secs(7_200))).await;
    let two_hours = claim().max_age(secs(7_200));
    bench.pass(secs(7_199));
    assert_eq!(ids(&bench.claim(two_hours.clone()).await), [served]);
    assert_eq!(bench.state(tried).await, Pending);
    bench.pass(secs(1));
    assert!(bench.claim(two_hours.clone()).await.len() <= 1);
    let record = bench.delivery(tried).await;
    assert_eq!(record.state, Expired);
    let why = "gave up after 2h; no engine serves the account `fake.two`";
    let reason = record.reason.unwrap();
    assert!(reason.starts_with(&format!("{why}; ")), "{reason}");
    for id in [open, close] {
        let state = bench.state(id).await;
        assert!(state.is_settled(), "{state}");
    }
    let [fresh] = bench.tell(run(2), [to("ops").through(TWO)]).await;
    bench.claim(two_hours.clone()).await;
    assert_eq!(bench.state(fresh).await, Pending);
    bench.pass(secs(7_200));
    bench.claim(two_hours).await;
    assert_eq!(bench.reason(fresh).await, why);
}

pub async fn what_no_engine_serves_is_given_up_bit_by_bit(bench: Bench) {
    let events = (0..150).map(|number| (run(number), vec![to("ops").through(TWO)]));
    bench.tell_all(events.collect()).await;
    bench.pass(secs(60));
    let minute = claim().max_age(secs(60));
    for left in [50, 0] {
        assert!(bench.claim(minute.clone()).await.is_empty());
        assert_eq!(bench.status().await.pending, left);
    }
}
