//! Rows that do not read: they stand in nobody's way.

use notify_outbox::DeliveryState::{Held, Leased, Pending};
use notify_testkit::outbox::{Bench, claim, delivered, ids, run, secs, to};

use crate::file::File;

/// Writes what no program of this kind writes.
fn spoil(file: &File, sql: &str) {
    let other = file.connect();
    other
        .execute_batch(&format!("PRAGMA ignore_check_constraints = ON; {sql}"))
        .unwrap();
}

fn begun() -> (File, Bench) {
    let file = File::new();
    let bench = file.bench();
    (file, bench)
}

#[tokio::test]
async fn a_delivery_that_does_not_read_is_held_and_the_others_go() {
    for column in [
        "lease_token = 9223372036854775807",
        "conversation = 'x'",
        "reason = x'ff00'",
        "action = 'shout'",
        "tries = 'many'",
        "attempts = -1",
        "event = 'none'",
    ] {
        let (file, bench) = begun();
        let [bad, other, far] = bench
            .tell(run(1), [to("a"), to("b").lane("a"), to("c")])
            .await;
        spoil(
            &file,
            &format!(
                "PRAGMA foreign_keys = OFF;
                 UPDATE notify_delivery SET {column} WHERE seq = 1;"
            ),
        );
        let leased = bench.claim(claim()).await;
        assert_eq!(ids(&leased), [other, far], "{column}");
        let state: String = file
            .connect()
            .query_row(
                "SELECT state FROM notify_delivery WHERE seq = 1",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(state, "held", "{column}");
        let listed = bench.deliveries().await;
        let others = listed.iter().filter(|one| one.id != bad);
        assert_eq!(
            others.filter(|one| one.state == Leased).count(),
            2,
            "{column}"
        );
    }
}

#[tokio::test]
async fn a_member_that_does_not_read_leaves_its_place_in_the_conversation() {
    let (file, bench) = begun();
    let told = to("ops").opens("key");
    let mut all = Vec::new();
    for number in 0..3 {
        all.extend(bench.tell(run(number), [told.clone()]).await);
    }
    spoil(
        &file,
        "UPDATE notify_delivery SET unsure = 'very' WHERE seq = 2",
    );
    bench.attempt(delivered()).await;
    assert_eq!(ids(&bench.claim(claim()).await), all[2..]);
}

#[tokio::test]
async fn a_lane_that_does_not_read_goes_all_the_same() {
    let (file, bench) = begun();
    bench.tell(run(1), [to("a"), to("b")]).await;
    spoil(
        &file,
        "UPDATE notify_lane SET silent = 'very', next_at = 'soon' WHERE seq = 1",
    );
    let leased = bench.claim(claim()).await;
    assert_eq!(leased.len(), 2);
    for one in leased {
        bench.settle(&one, delivered()).await;
    }
}

#[tokio::test]
async fn what_does_not_read_is_left_out_of_a_list() {
    let (file, bench) = begun();
    let told = bench.tell(run(1), [to("a"), to("b")]).await;
    bench.accept_new(&run(2)).await;
    spoil(
        &file,
        "UPDATE notify_delivery SET state = 'lost' WHERE seq = 1;
         UPDATE notify_event SET phase = 'odd' WHERE seq = 2;",
    );
    let listed = bench.deliveries().await;
    assert_eq!(
        listed.iter().map(|one| one.id).collect::<Vec<_>>(),
        told[1..]
    );
    assert_eq!(bench.events().await.len(), 1);
    assert_eq!(bench.status().await.pending, 1);
}

#[tokio::test]
async fn a_lost_lease_that_does_not_read_keeps_nobody_waiting() {
    let (file, bench) = begun();
    let [bad, other] = bench.tell(run(1), [to("a"), to("b")]).await;
    bench.claim(claim()).await;
    spoil(
        &file,
        "UPDATE notify_delivery SET tries = 9223372036854775807 WHERE seq = 1",
    );
    bench.pass(secs(60));
    assert_eq!(ids(&bench.claim(claim()).await), [other]);
    let states = bench.deliveries().await;
    assert!(states.iter().all(|one| one.id != bad || one.state == Held));
}

#[tokio::test]
async fn a_clock_that_does_not_read_is_written_anew() {
    for row in [
        "UPDATE notify_clock SET seen_at = 'noon'",
        "UPDATE notify_clock SET turns = 'twice'",
        "DELETE FROM notify_clock",
    ] {
        let (file, bench) = begun();
        spoil(&file, row);
        let told = bench.tell(run(1), [to("ops")]).await;
        assert_eq!(bench.states(&told).await, [Pending], "{row}");
        let seen: i64 = file
            .connect()
            .query_row("SELECT seen_at + 0 * turns FROM notify_clock", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(seen, bench.now().as_micros(), "{row}");
    }
}

#[tokio::test]
async fn an_event_that_does_not_read_spoils_no_summary() {
    let (file, bench) = begun();
    for number in 0..5 {
        bench.tell(run(number), [to("ops")]).await;
    }
    spoil(&file, "UPDATE notify_event SET phase = 'odd' WHERE seq = 3");
    let leased = bench.claim_one(claim().collapse_after(3)).await;
    let summary = leased.summary.as_ref().unwrap();
    assert_eq!((summary.deliveries, summary.first.len()), (5, 4));
    bench.settle(&leased, delivered()).await;
    assert_eq!(bench.status().await.pending, 0);
}
