//! What a poll costs that finds nothing.

use notify_testkit::outbox::{claim, delivered, run, to};

use crate::file::File;

#[tokio::test]
async fn a_poll_that_finds_nothing_writes_nothing() {
    let file = File::new();
    let bench = file.bench();
    bench.tell(run(1), [to("ops")]).await;
    bench.attempt(delivered()).await;
    let before = file.bytes();
    let other = file.connect();
    let version = || -> i64 {
        other
            .query_row("PRAGMA data_version", [], |row| row.get(0))
            .unwrap()
    };
    let seen = version();
    for _ in 0..100 {
        bench.pass(std::time::Duration::from_millis(100));
        assert!(bench.waiting().await.events.is_empty());
        assert!(bench.claim(claim()).await.is_empty());
        assert_eq!(bench.status().await.next_due, None);
    }
    assert_eq!(version(), seen);
    // The index of the log is shared memory, in which readers leave marks.
    let lasting = |files: Vec<(std::path::PathBuf, Vec<u8>)>| -> Vec<_> {
        files
            .into_iter()
            .filter(|(path, _)| path.extension().is_some_and(|kind| kind != "db-shm"))
            .collect()
    };
    assert!(lasting(file.bytes()) == lasting(before));
}

#[tokio::test]
async fn who_only_looks_waits_for_nobody() {
    let file = File::new();
    let bench = file.bench();
    let mut other = file.connect();
    let writing = other
        .transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)
        .unwrap();
    assert!(bench.waiting().await.events.is_empty());
    assert!(bench.claim(claim()).await.is_empty());
    assert!(bench.status().await.is_idle());
    assert!(bench.deliveries().await.is_empty());
    writing.commit().unwrap();
    bench.accept_new(&run(1)).await;
}
