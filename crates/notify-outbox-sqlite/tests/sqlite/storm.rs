//! A storm in one lane, and the others that use the file meanwhile.

use std::time::Duration;

use notify_core::{Clock, SystemClock, Timestamp};
use notify_outbox::Summary;
use notify_testkit::outbox::{Bench, ONE, claim, delivered, refused, run, secs, to};

use crate::file::File;

/// How many deliveries for one recipient are due.
const STORM: usize = 50_000;

/// How long the file may be locked for one thing that is done.
const MOMENT: Duration = Duration::from_secs(3);

/// Makes many deliveries of one.
async fn storm(file: &File, bench: &Bench) {
    bench.tell(run(1), [to("ops")]).await;
    file.connect()
        .execute(
            "WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
             INSERT INTO notify_delivery (id, version, event, spec, account, lane, recipient, action,
                                          ended_at, event_id, state, not_before, created_at)
             SELECT randomblob(16), version, event, spec, account, lane, recipient, action,
                    ended_at, event_id, state, not_before, created_at
             FROM n, notify_delivery WHERE notify_delivery.seq = 1",
            [i64::try_from(STORM).unwrap()],
        )
        .unwrap();
}

#[track_caller]
fn is_quick(what: &str, begun: Timestamp) {
    let took = SystemClock.now().since(begun);
    assert!(took < MOMENT, "{what} took {took:?}");
}

#[tokio::test]
async fn a_storm_is_summed_up_a_piece_at_a_time() {
    let file = File::new();
    let bench = file.bench();
    storm(&file, &bench).await;
    let mut told = 0;
    for _ in 0..STORM / Summary::MOST {
        let begun = SystemClock.now();
        let leased = bench.claim_one(claim().collapse_after(5)).await;
        is_quick("a claim", begun);
        told += leased.summary.as_ref().unwrap().deliveries;
        bench.settle(&leased, delivered()).await;
        is_quick("a claim and its answer", begun);
    }
    assert_eq!(told, u64::try_from(STORM).unwrap());
    assert!(bench.status().await.is_idle());
}

#[tokio::test]
async fn a_storm_is_paused_and_resumed_at_once() {
    let file = File::new();
    let bench = file.bench();
    storm(&file, &bench).await;
    let leased = bench.claim_one(claim().room(1)).await;
    let begun = SystemClock.now();
    bench.settle(&leased, refused().pause()).await;
    is_quick("a pause", begun);
    let begun = SystemClock.now();
    bench.resume(&[ONE]).await;
    is_quick("a resumption", begun);
}

#[tokio::test]
async fn a_storm_that_is_too_old_is_given_up_a_piece_at_a_time() {
    let file = File::new();
    let bench = file.bench();
    storm(&file, &bench).await;
    bench.pass(secs(60));
    let begun = SystemClock.now();
    assert!(
        bench
            .claim(claim().collapse_after(5).max_age(secs(60)))
            .await
            .is_empty()
    );
    is_quick("a claim", begun);
    let left = usize::try_from(bench.status().await.pending).unwrap();
    assert_eq!(STORM - left, Summary::MOST);
}
