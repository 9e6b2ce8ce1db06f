//! A file that is moved, deleted or replaced while it is open.
#![cfg(unix)]

use std::fs;
use std::sync::Arc;

use notify_outbox::{Outbox, OutboxError};
use notify_outbox_sqlite::SqliteOutbox;
use notify_testkit::HandClock;
use notify_testkit::outbox::{Bench, claim, run, to};

use crate::file::File;

/// Everything fails from now on, and says why.
async fn is_gone(file: &File, bench: &Bench) {
    let said = format!(
        "the outbox `{}` was moved, deleted or replaced while it was in use: start the program anew",
        file.path().display()
    );
    let outbox = bench.outbox();
    let accepted = outbox.accept(run("lost").new_event(bench.next_id())).await;
    let failed = [
        accepted.unwrap_err(),
        outbox.waiting(10).await.unwrap_err(),
        outbox.claim(claim().claim()).await.unwrap_err(),
        outbox.status(Vec::new()).await.unwrap_err(),
    ];
    for err in failed {
        assert!(matches!(err, OutboxError::Gone { .. }), "{err:?}");
        assert_eq!(err.to_string(), said);
    }
}

async fn begun() -> (File, Bench) {
    let file = File::new();
    let bench = file.bench();
    bench.tell(run(1), [to("ops")]).await;
    (file, bench)
}

#[tokio::test]
async fn a_file_that_was_deleted_takes_nothing_any_more() {
    let (file, bench) = begun().await;
    fs::remove_file(file.path()).unwrap();
    is_gone(&file, &bench).await;
    assert!(!file.path().exists());
}

#[tokio::test]
async fn a_file_that_was_moved_is_not_trusted_when_it_is_back() {
    let (file, bench) = begun().await;
    let away = file.path().with_extension("away");
    fs::rename(file.path(), &away).unwrap();
    is_gone(&file, &bench).await;
    fs::rename(&away, file.path()).unwrap();
    is_gone(&file, &bench).await;
    drop(bench);
    assert_eq!(file.bench().events().await.len(), 1);
}

#[tokio::test]
async fn a_file_that_takes_the_place_of_another_keeps_its_log() {
    let file = File::new();
    let clock = Arc::new(HandClock::default());
    let outbox = SqliteOutbox::open(&file.path(), clock.clone()).unwrap();
    let other = File::new();
    let there = other.bench();
    outbox
        .accept(run(1).new_event(there.next_id()))
        .await
        .unwrap();
    there.accept_new(&run(2)).await;
    for end in ["db", "db-wal"] {
        let from = other.path().with_extension(end);
        fs::rename(from, file.path().with_extension(end)).unwrap();
    }
    let log = || fs::read(file.path().with_extension("db-wal")).unwrap();
    let before = log();
    drop(outbox);
    // The thread that owns the connection keeps the clock until it is closed.
    while Arc::strong_count(&clock) > 1 {
        std::thread::yield_now();
    }
    assert!(!before.is_empty() && log() == before);
}
