//! What people do by hand: replay deliveries, and give them up.

use notify_core::{DeliveryId, Scope};
use notify_outbox::DeliveryState::{
    self, Delivered, Expired, Held, Leased, Pending, Rejected, Skipped, Superseded,
};

use crate::outbox::bench::{Bench, ids};
use crate::outbox::make::{
    ONE, again, claim, delivered, doubtful, expired, refused, rejected, run, secs, to,
};

pub async fn what_did_not_arrive_is_replayed_and_nothing_else(bench: Bench) {
    let told = one_in_each_state(&bench).await;
    let all: Vec<_> = told.iter().map(|(id, _)| *id).collect();
    let again: Vec<_> = told
        .iter()
        .filter(|(_, state)| matches!(state, Pending | Held | Rejected | Expired))
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(again.len(), 5);
    let before = bench.deliveries().await;
    let unheard = DeliveryId::from_uuid(bench.next_id().uuid());
    let asked: Vec<_> = all.iter().copied().chain([unheard]).collect();
    bench.pass(secs(1));
    assert_eq!(bench.replay(&asked).await, sorted(&again));
    for (before, after) in before.iter().zip(bench.deliveries().await) {
        assert_eq!(after.reason, before.reason, "the reason is kept");
        assert_eq!(after.tries, before.tries, "what was tried stays on record");
        if again.contains(&after.id) {
            assert_eq!((after.state, after.not_before), (Pending, bench.now()));
        } else {
            assert_eq!(after.state, before.state);
        }
    }
    let leased = bench.claim(claim()).await;
    assert_eq!(sorted(&ids(&leased)), sorted(&again));
    for leased in leased {
        assert_eq!((leased.attempts, leased.age), (0, secs(0)), "it is a new promise");
        assert_eq!(leased.tries, 1);
    }
}

pub async fn what_is_replayed_may_still_have_arrived_before(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    let leased = bench.attempt(doubtful()).await;
    bench.replay(&[leased.id]).await;
    let leased = bench.claim_one(claim()).await;
    assert!(leased.unsure);
}

pub async fn what_expired_has_its_whole_time_again(bench: Bench) {
    let [told] = bench.tell(run(1), [to("ops")]).await;
    bench.pass(secs(90_000));
    assert!(bench.claim(claim()).await.is_empty());
    bench.replay(&[told]).await;
    bench.pass(secs(80_000));
    assert_eq!(bench.claim_one(claim()).await.age, secs(80_000));
}

pub async fn a_replay_does_not_open_a_shut_lane(bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    let shut = again(secs(3_600)).wait(Scope::Lane, secs(60));
    let told = bench.attempt(shut).await.id;
    assert_eq!(bench.replay(&[told]).await, [told]);
    assert!(bench.claim(claim()).await.is_empty());
    assert_eq!(bench.status().await.next_due, Some(secs(60)));
    bench.pass(secs(60));
    assert_eq!(bench.claim_one(claim()).await.id, told);
}

pub async fn a_replayed_member_of_a_conversation_takes_its_place_again(bench: Bench) {
    let opening = to("ops").opens("key");
    let [first] = bench.tell(run(1), [opening.clone()]).await;
    bench.attempt(rejected()).await;
    bench.pass(secs(1));
    let [second] = bench.tell(run(2), [opening]).await;
    assert_eq!(bench.replay(&[first]).await, [first]);
    assert_eq!(bench.attempt(delivered()).await.id, first);
    assert_eq!(bench.attempt(delivered()).await.id, second);
}

pub async fn what_waits_is_given_up_with_the_reason_and_nothing_else(bench: Bench) {
    let told = one_in_each_state(&bench).await;
    let all: Vec<_> = told.iter().map(|(id, _)| *id).collect();
    let waits: Vec<_> = told
        .iter()
        .filter(|(_, state)| matches!(state, Pending | Held))
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(waits.len(), 3);
    let before = bench.deliveries().await;
    let unheard = DeliveryId::from_uuid(bench.next_id().uuid());
    let asked: Vec<_> = all.iter().copied().chain([unheard]).collect();
    assert_eq!(bench.give_up(&asked, "not worth it").await, sorted(&waits));
    for (before, after) in before.iter().zip(bench.deliveries().await) {
        if waits.contains(&after.id) {
            let reason = after.reason.as_deref();
            assert_eq!((after.state, reason), (Skipped, Some("not worth it")));
        } else {
            assert_eq!((after.state, after.reason), (before.state, before.reason.clone()));
        }
    }
    assert_eq!(bench.resume(&[ONE]).await, 0);
    assert!(bench.replay(&waits).await.is_empty(), "it is over");
    bench.pass(secs(7_200));
    let leased = bench.claim(claim()).await;
    assert!(leased.iter().all(|one| !waits.contains(&one.id)));
}

pub async fn a_member_that_is_given_up_makes_way_for_the_next(bench: Bench) {
    let opening = to("ops").opens("key");
    let [first] = bench.tell(run(1), [opening.clone()]).await;
    bench.attempt(doubtful()).await;
    bench.pass(secs(1));
    let [second] = bench.tell(run(2), [opening]).await;
    assert!(bench.claim(claim()).await.is_empty(), "the first comes first");
    assert_eq!(bench.give_up(&[first], "seen").await, [first]);
    assert_eq!(bench.claim_one(claim()).await.id, second);
}

/// Makes deliveries in every state, each in a lane of its own; those that were tried, once.
async fn one_in_each_state(bench: &Bench) -> Vec<(DeliveryId, DeliveryState)> {
    let mut told = Vec::new();
    let tried = [
        (delivered(), Delivered),
        (rejected(), Rejected),
        (expired(), Expired),
        (doubtful(), Held),
        (refused(), Held),
        (again(secs(3_600)), Pending),
    ];
    for (number, (came, state)) in tried.into_iter().enumerate() {
        let [id] = bench.tell(run(number), [to(number)]).await;
        bench.attempt(came).await;
        told.push((id, state));
    }
    let [skipped] = bench.tell(run("a"), [to("a").skipped("no")]).await;
    told.push((skipped, Skipped));
    let talk = to("b");
    let [superseded] = bench.tell(run("b"), [talk.clone().opens("b")]).await;
    bench.pass(secs(1));
    let [closed] = bench.tell(run("c").succeeded(), [talk.closes("b")]).await;
    told.extend([(superseded, Superseded), (closed, Skipped)]);
    let [leased] = bench.tell(run("d"), [to("d")]).await;
    bench.claim_one(claim().lease(secs(86_400))).await;
    told.push((leased, Leased));
    for (id, state) in &told {
        assert_eq!(bench.state(*id).await, *state);
    }
    told
}

fn sorted(ids: &[DeliveryId]) -> Vec<DeliveryId> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}
