//! What a durable store still knows after it was closed. Others pass these rules as they are.

use notify_core::Scope;
use notify_outbox::{Accepted, EventState};

use crate::outbox::bench::Bench;
use crate::outbox::make::{
    ONE, TWO, again, claim, delivered, doubtful, refused, rejected, run, secs, to,
};

pub async fn an_accepted_event_survives(mut bench: Bench) {
    let id = bench.accept_new(&run(1)).await;
    bench.restart();
    assert_eq!(bench.accept(&run(1)).await, Accepted::Duplicate(id));
    let other = run(1).succeeded();
    assert_eq!(bench.accept(&other).await, Accepted::Conflict(id));
    let plan = bench.plan(id, &[to("ops")]).await;
    bench.restart();
    bench.record(plan).await;
    bench.restart();
    assert_eq!(bench.attempt(delivered()).await.event.id, id);
}

pub async fn everything_on_record_survives(mut bench: Bench) {
    let told: Vec<_> = (0..8).map(to).collect();
    bench.tell_all(vec![(run(1), told)]).await;
    let leased = bench.claim(claim().room(7)).await;
    let came = [
        delivered(),
        rejected(),
        doubtful(),
        again(secs(60)),
        again(secs(0)).wait(Scope::Lane, secs(90)),
        again(secs(0)).silent(),
    ];
    for (leased, came) in leased.iter().zip(came) {
        bench.settle(leased, came).await;
    }
    bench.tell(run(2), [to("a").through(TWO).opens("key")]).await;
    for leased in bench.claim(claim().of(&[TWO])).await {
        bench.settle(&leased, refused().pause()).await;
    }
    let aside = bench.accept_new(&run(3)).await;
    bench.set_aside(aside, EventState::Unmatched, "why").await;
    bench.accept_new(&run(4)).await;
    bench.accept(&run(4).succeeded()).await;

    let before = everything(&bench).await;
    bench.restart();
    assert_eq!(everything(&bench).await, before);
}

pub async fn a_lease_survives_its_store(mut bench: Bench) {
    bench.tell(run(1), [to("ops")]).await;
    let leased = bench.claim_one(claim()).await;
    bench.restart();
    assert!(bench.claim(claim()).await.is_empty());
    bench.settle(&leased, again(secs(0))).await;
    let lost = bench.claim_one(claim()).await;
    assert!(lost.token > leased.token);
    bench.restart();
    bench.pass(secs(30));
    let good = bench.claim_one(claim()).await;
    assert!(good.token > lost.token);
    assert_eq!((good.attempts, good.tries, good.unsure), (2, 2, true));
}

pub async fn a_pause_survives_and_a_resume_too(mut bench: Bench) {
    bench.tell(run(1), [to("a")]).await;
    bench.attempt(refused().pause()).await;
    bench.restart();
    bench.tell(run(2), [to("b")]).await;
    assert!(bench.claim(claim()).await.is_empty());
    assert_eq!(bench.resume(&[ONE]).await, 2);
    bench.restart();
    assert_eq!(bench.claim(claim()).await.len(), 2);
}

pub async fn a_conversation_survives(mut bench: Bench) {
    bench.tell(run(1), [to("ops").opens("key")]).await;
    bench.restart();
    bench.attempt(delivered()).await;
    bench.restart();
    bench.pass(secs(1));
    let close = to("ops").closes("key");
    let [close] = bench.tell(run(2).succeeded(), [close]).await;
    bench.restart();
    assert_eq!(bench.attempt(delivered()).await.id, close);
}

/// Writes down all that can be seen.
async fn everything(bench: &Bench) -> String {
    let waiting = bench.waiting().await;
    let events = bench.events().await;
    let deliveries = bench.deliveries().await;
    let status = bench.status().await;
    format!("{waiting:#?}\n{events:#?}\n{deliveries:#?}\n{status:#?}")
}
