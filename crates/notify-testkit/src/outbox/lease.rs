//! Fencing, and what becomes of leases that nobody settles.

use notify_outbox::{DeliveryState, Settled};

use crate::outbox::bench::{Bench, ids};
use crate::outbox::make::{
    ONE, TWO, again, claim, delivered, rejected, run, secs, to,
};

/// What is said of a delivery whose engine is gone.
const LOST: &str = "unknown (lost_lease): the engine that sent it is gone";

pub async fn a_lease_is_settled_once(bench: Bench) {
    let [told] = bench.tell(run(1), [to("ops")]).await;
    let leased = bench.attempt(delivered()).await;
    for came in [delivered(), rejected(), again(secs(0))] {
        let settled = bench.try_settle(&leased, came).await;
        assert_eq!(settled, Settled::StaleLease);
    }
    let record = bench.delivery(told).await;
    assert_eq!((record.state, record.tries), (DeliveryState::Delivered, 1));
}

pub async fn a_stale_lease_changes_nothing(bench: Bench) {
    let [told] = bench.tell(run(1), [to("ops")]).await;
    let stale = bench.claim_one(claim()).await;
    bench.pass(secs(30));
    let good = bench.claim_one(claim()).await;
    assert!(good.token > stale.token, "every lease has a greater token");
    let wait = notify_core::Scope::Account;
    let came = rejected().wait(wait, secs(60)).pause().silent();
    let settled = bench.try_settle(&stale, came).await;
    assert_eq!(settled, Settled::StaleLease);
    let record = bench.delivery(told).await;
    assert_eq!((record.state, record.tries), (DeliveryState::Leased, 1));
    assert_eq!(record.reason.as_deref(), Some(LOST));
    // Neither the account nor the lane heard of it.
    let [next] = bench.tell(run(2), [to("ops")]).await;
    assert_eq!(ids(&bench.claim(claim()).await), [next]);
    bench.settle(&good, delivered()).await;
    assert_eq!(bench.state(told).await, DeliveryState::Delivered);
}

pub async fn nobody_settles_what_is_not_leased(bench: Bench) {
    let [told, _] = bench.tell(run(1), [to("a"), to("b")]).await;
    let mut leased = bench.claim(claim().room(1)).await.remove(0);
    assert_eq!(leased.id, told);
    leased.token += 1;
    let settled = bench.try_settle(&leased, delivered()).await;
    assert_eq!(settled, Settled::StaleLease, "a token of no lease");
    let waits = bench.deliveries().await.remove(1).id;
    for token in 0..3 {
        leased.token = token;
        leased.id = waits;
        let settled = bench.try_settle(&leased, delivered()).await;
        assert_eq!(settled, Settled::StaleLease, "it waits");
        leased.id = notify_core::DeliveryId::from_uuid(bench.next_id().uuid());
        let settled = bench.try_settle(&leased, delivered()).await;
        assert_eq!(settled, Settled::StaleLease, "nobody knows it");
    }
    assert_eq!(bench.state(waits).await, DeliveryState::Pending);
}

pub async fn a_lease_lasts_as_long_as_its_account_wants(bench: Bench) {
    let told = [to("a"), to("b").through(TWO)];
    bench.tell(run(1), told).await;
    bench.claim_one(claim().lease(secs(10))).await;
    bench.claim_one(claim().of(&[TWO]).lease(secs(20))).await;
    // Nine seconds, ten, nineteen, twenty.
    for (more, due) in [(9, 0), (1, 1), (9, 0), (1, 1)] {
        bench.pass(secs(more));
        let both = claim().of(&[ONE, TWO]).lease(secs(3_600));
        assert_eq!(bench.claim(both).await.len(), due);
    }
}

pub async fn a_late_answer_counts_until_the_lease_is_taken_back(bench: Bench) {
    let [told] = bench.tell(run(1), [to("ops")]).await;
    let leased = bench.claim_one(claim()).await;
    bench.pass(secs(3_600));
    bench.settle(&leased, delivered()).await;
    let record = bench.delivery(told).await;
    assert_eq!((record.state, record.tries), (DeliveryState::Delivered, 1));
}

pub async fn a_lost_lease_is_an_unknown_attempt_and_due_again_at_once(bench: Bench) {
    let [told] = bench.tell(run(1), [to("ops")]).await;
    bench.claim_one(claim()).await;
    bench.pass(secs(29));
    assert!(bench.claim(claim()).await.is_empty());
    bench.pass(secs(1));
    // Whoever claims takes it back, for whatever account.
    assert!(bench.claim(claim().of(&[TWO])).await.is_empty());
    let record = bench.delivery(told).await;
    assert_eq!((record.state, record.tries), (DeliveryState::Pending, 1));
    assert_eq!(record.reason.as_deref(), Some(LOST));
    assert_eq!(record.not_before, bench.now());
    let leased = bench.claim_one(claim()).await;
    assert_eq!((leased.id, leased.attempts, leased.tries), (told, 1, 1));
    assert!(leased.unsure, "it may have arrived");
}

pub async fn who_can_send_nothing_takes_lost_leases_back_all_the_same(bench: Bench) {
    for wanted in [claim().of(&[]), claim().room(0), claim().most_per_lane(0)] {
        let [told] = bench.tell(run(bench.next_id()), [to("ops")]).await;
        bench.claim_one(claim()).await;
        bench.pass(secs(30));
        assert!(bench.claim(wanted).await.is_empty());
        assert_eq!(bench.state(told).await, DeliveryState::Pending);
        bench.attempt(delivered()).await;
    }
}

pub async fn a_lost_lease_is_taken_back_and_given_out_in_one_claim(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    let first = bench.claim_one(claim()).await;
    bench.pass(secs(31));
    let again = bench.claim_one(claim()).await;
    assert_eq!((again.id, again.tries), (first.id, 1));
}

pub async fn what_must_not_arrive_twice_is_held_when_its_lease_is_lost(bench: Bench) {
    let told = to("ops").hold_if_unknown();
    let [told] = bench.tell(run(1), [told]).await;
    bench.claim_one(claim()).await;
    bench.pass(secs(30));
    assert!(bench.claim(claim()).await.is_empty());
    let record = bench.delivery(told).await;
    assert_eq!((record.state, record.tries), (DeliveryState::Held, 1));
    assert_eq!(record.reason.as_deref(), Some(LOST));
    assert_eq!(bench.resume(&[ONE]).await, 0, "nobody knows more than before");
    assert_eq!(bench.replay(&[told]).await, [told]);
    let leased = bench.claim_one(claim()).await;
    assert_eq!((leased.id, leased.unsure), (told, true));
}

pub async fn a_lost_lease_says_nothing_about_the_vendor(bench: Bench) {
    let told = (0..5).map(|number| to(number).lane("lane")).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    for _ in 0..4 {
        assert_eq!(bench.claim(claim()).await.len(), 5);
        bench.pass(secs(30));
    }
    // Nor does it make up for silence: two silent attempts and a third after it are three.
    let leased = bench.claim(claim()).await;
    for leased in &leased[..2] {
        bench.settle(leased, again(secs(0)).silent()).await;
    }
    bench.pass(secs(30));
    let leased = bench.claim(claim()).await;
    assert_eq!(leased.len(), 5);
    bench.settle(&leased[0], again(secs(0)).silent()).await;
    assert!(bench.claim(claim()).await.is_empty(), "the lane is quiet");
}
