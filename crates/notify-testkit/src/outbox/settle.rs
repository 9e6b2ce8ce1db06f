//! What came of an attempt, and where the delivery goes.

use notify_core::Receipt;
use notify_outbox::{DeliveryState, Release};

use crate::outbox::bench::Bench;
use crate::outbox::make::{
    Came, again, claim, delivered, doubtful, expired, refused, rejected, run, secs, to,
};

pub async fn an_attempt_moves_the_delivery_where_it_was_decided(bench: Bench) {
    let table: [(Came, DeliveryState, Option<&str>); 6] = [
        (delivered(), DeliveryState::Delivered, None),
        (rejected(), DeliveryState::Rejected, Some("destination: no such channel")),
        (expired(), DeliveryState::Expired, Some("gave up after 1d")),
        (refused(), DeliveryState::Held, Some("auth: invalid_auth")),
        (doubtful(), DeliveryState::Held, Some("unknown (timeout): 30s")),
        (again(secs(9)), DeliveryState::Pending, Some("unavailable: HTTP 500")),
    ];
    for (number, (came, state, reason)) in table.into_iter().enumerate() {
        let [told] = bench.tell(run(number), [to(number)]).await;
        bench.attempt(came).await;
        let record = bench.delivery(told).await;
        assert_eq!((record.state, record.reason.as_deref()), (state, reason));
        assert_eq!(record.tries, 1);
    }
    assert!(bench.claim(claim()).await.is_empty(), "nothing is due");
    let status = bench.status().await;
    let counts = (status.pending, status.leased, status.held);
    assert_eq!(counts, (1, 0, 2));
}

pub async fn what_the_vendor_gave_is_kept(bench: Bench) {
    let [told] = bench.tell(run(1), [to("ops")]).await;
    bench.attempt(again(secs(0))).await;
    assert_eq!(bench.delivery(told).await.receipt, None);
    bench.attempt(delivered()).await;
    let record = bench.delivery(told).await;
    let receipt = Receipt::new("receipt-1").fact("channel", "ops");
    assert_eq!((record.receipt, record.reason), (Some(receipt), None));
}

pub async fn what_is_tried_again_waits_for_its_time(bench: Bench) {
    let [told] = bench.tell(run(1), [to("ops")]).await;
    bench.attempt(again(secs(10))).await;
    let due = bench.now().after(secs(10));
    assert_eq!(bench.delivery(told).await.not_before, due);
    bench.pass(secs(9));
    assert!(bench.claim(claim()).await.is_empty());
    bench.pass(secs(1));
    assert_eq!(bench.claim_one(claim()).await.id, told);
}

pub async fn what_waits_stands_in_nobodys_way(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    bench.attempt(again(secs(3_600))).await;
    let [next] = bench.tell(run(2), [to("ops")]).await;
    assert_eq!(bench.claim_one(claim()).await.id, next);
}

pub async fn a_delivery_may_be_held_by_itself(bench: Bench) {
    let [told] = bench.tell(run(1), [to("ops")]).await;
    let leased = bench.claim_one(claim()).await;
    let mut came = refused();
    came.decision = notify_outbox::settle::hold("it does not read".to_owned());
    bench.settle(&leased, came).await;
    assert_eq!(bench.state(told).await, DeliveryState::Held);
    assert_eq!(bench.reason(told).await, "it does not read");
    // The account is not paused by that.
    let [next] = bench.tell(run(2), [to("ops")]).await;
    assert_eq!(bench.attempt(delivered()).await.id, next);
    assert_eq!(bench.resume(&[crate::outbox::make::ONE]).await, 1);
    let leased = bench.claim_one(claim()).await;
    assert_eq!((leased.id, leased.attempts, leased.tries), (told, 0, 1));
}

pub async fn each_attempt_is_decided_anew(bench: Bench) {
    let [told] = bench.tell(run(1), [to("ops")]).await;
    bench.attempt(again(secs(0))).await;
    let mut came = doubtful();
    came.decision.next = notify_outbox::Next::Held(Release::Account);
    bench.attempt(came).await;
    bench.resume(&[crate::outbox::make::ONE]).await;
    bench.attempt(rejected()).await;
    let record = bench.delivery(told).await;
    assert_eq!((record.state, record.tries), (DeliveryState::Rejected, 3));
    assert_eq!(record.reason.as_deref(), Some("destination: no such channel"));
}
