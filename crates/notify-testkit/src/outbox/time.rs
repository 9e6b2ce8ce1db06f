//! A clock that was set back: nothing waits for the difference.
//!
//! A store that was opened anew may know the latest instant to a second only.

use std::time::Duration;

use notify_core::{Rate, Scope};

use crate::outbox::bench::Bench;
use crate::outbox::make::{again, claim, delivered, run, secs, to};

const HOUR: Duration = Duration::from_hours(1);

pub async fn what_was_due_in_ten_seconds_stays_so(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    bench.attempt(again(secs(10))).await;
    bench.set_back(HOUR);
    assert_eq!(bench.status().await.next_due, Some(secs(10)));
    bench.pass(secs(9));
    assert!(bench.claim(claim()).await.is_empty());
    bench.pass(secs(1));
    assert_eq!(bench.claim(claim()).await.len(), 1);
}

pub async fn what_was_due_is_still_due(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    bench.pass(secs(60));
    bench.tell(run(2), [to("ops")]).await;
    bench.set_back(HOUR);
    assert_eq!(bench.claim(claim()).await.len(), 2);
}

pub async fn every_call_notices_that_the_clock_was_set_back(bench: Bench) {
    for round in 0..5 {
        let [told] = bench.tell(run(round), [to(round)]).await;
        bench.attempt(again(secs(10))).await;
        bench.set_back(HOUR);
        match round {
            0 => drop(bench.claim(claim()).await),
            1 => drop(bench.accept(&run("new")).await),
            2 => drop(bench.waiting().await),
            3 => drop(bench.resume(&[]).await),
            _ => {
                bench.status().await;
            }
        }
        bench.pass(secs(10));
        assert_eq!(bench.attempt(delivered()).await.id, told, "round {round}");
    }
}

pub async fn a_shut_lane_opens_when_it_would_have(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    let came = again(secs(0)).wait(Scope::Lane, secs(30));
    bench.attempt(came).await;
    bench.set_back(HOUR);
    assert!(bench.claim(claim()).await.is_empty());
    bench.pass(secs(29));
    assert!(bench.claim(claim()).await.is_empty());
    bench.pass(secs(1));
    assert_eq!(bench.claim(claim()).await.len(), 1);
}

pub async fn a_rate_goes_on_as_it_would_have(bench: Bench) {
    let told = (0..9).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let limited = claim().rate(Rate::new(secs(10), 2));
    assert_eq!(bench.claim(limited.clone()).await.len(), 2);
    bench.set_back(HOUR);
    assert!(bench.claim(limited.clone()).await.is_empty());
    bench.pass(secs(9));
    assert!(bench.claim(limited.clone()).await.is_empty());
    bench.pass(secs(1));
    assert_eq!(bench.claim(limited).await.len(), 1);
}

pub async fn a_lease_ends_when_it_would_have(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    let lost = bench.claim_one(claim()).await;
    bench.set_back(HOUR);
    assert_eq!(bench.status().await.next_due, Some(secs(30)));
    bench.pass(secs(29));
    assert!(bench.claim(claim()).await.is_empty());
    bench.pass(secs(1));
    assert_eq!(bench.claim_one(claim()).await.id, lost.id);
}

pub async fn a_lease_holds_although_the_clock_was_set_back(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    let leased = bench.claim_one(claim()).await;
    bench.set_back(HOUR);
    bench.settle(&leased, delivered()).await;
    assert!(bench.status().await.is_idle());
}

pub async fn nothing_was_accepted_or_promised_in_the_future(bench: Bench) {
    let waits = bench.accept_new(&run(1)).await;
    bench.tell(run(2).of("other"), [to("ops")]).await;
    bench.set_back(HOUR);
    let waiting = bench.waiting().await;
    assert_eq!(waiting.events[0].1, secs(0));
    assert_eq!(bench.event(waits).await.accepted_at, bench.now());
    bench.pass(secs(10));
    let leased = bench.claim_one(claim()).await;
    assert_eq!(leased.age, secs(10), "it ages from then on");
    assert_eq!(bench.waiting().await.events[0].1, secs(10));
}

pub async fn a_clock_may_be_set_back_again_and_again(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    bench.attempt(again(secs(10))).await;
    for _ in 0..5 {
        bench.set_back(HOUR);
        bench.pass(secs(1));
        // An hour less a second, which is how far the clock is behind what was seen.
        assert_eq!(bench.status().await.next_due, Some(secs(10)));
    }
    bench.pass(secs(10));
    assert_eq!(bench.claim(claim()).await.len(), 1);
}

pub async fn a_clock_that_trembles_moves_nothing(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    bench.attempt(again(secs(10))).await;
    bench.set_back(secs(1));
    assert_eq!(bench.status().await.next_due, Some(secs(11)));
    bench.pass(secs(10));
    assert!(bench.claim(claim()).await.is_empty());
    bench.pass(secs(1));
    assert_eq!(bench.claim(claim()).await.len(), 1);
}

pub async fn a_clock_set_back_while_the_store_was_closed_delays_nothing(mut bench: Bench) {
    let told = [to("a"), to("b"), to("c")];
    bench.tell(run(1), told).await;
    let leased = bench.claim(claim()).await;
    bench.settle(&leased[0], again(secs(10))).await;
    let came = again(secs(0)).wait(Scope::Lane, secs(10));
    bench.settle(&leased[1], came).await;
    bench.set_back(HOUR);
    bench.restart();
    assert!(bench.claim(claim()).await.is_empty());
    bench.pass(secs(11));
    assert_eq!(bench.claim(claim()).await.len(), 2);
    bench.pass(secs(31));
    assert_eq!(bench.claim(claim()).await.len(), 3, "leases too");
}

pub async fn ends_that_are_stamped_here_stay_in_their_order(mut bench: Bench) {
    let first = bench.accept_new(&run(1)).await;
    bench.set_back(HOUR);
    let second = bench.accept_new(&run(2)).await;
    bench.restart();
    let third = bench.accept_new(&run(3)).await;
    let told = bench.accept_new(&run(4).at(bench.now())).await;
    let ends = [first, second, third, told].map(async |id| bench.event(id).await.ended_at);
    let [first, second, third, told] = ends;
    let (first, second, third) = (first.await, second.await, third.await);
    assert!(first < second && second < third, "{first} {second} {third}");
    assert_eq!(told.await, bench.now(), "who says when is believed");
    // A clock that was wrong by days is not followed for days.
    bench.set_back(Duration::from_hours(100));
    let id = bench.accept_new(&run(5)).await;
    assert_eq!(bench.event(id).await.ended_at, bench.now());
}
