//! The example scheduler, whose transaction tells of an end.

#![cfg(test)]

use rusqlite::Connection;
use workflow_notify::outbox::EventQuery;
use workflow_notify::prelude::*;

#[path = "../../../examples/own-transaction/scheduler.rs"]
#[expect(dead_code, reason = "a program's `main` is not called")]
mod scheduler;

#[tokio::test]
async fn what_the_example_commits_is_told_of_and_what_it_rolls_back_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scheduler.db");
    let outbox = SqliteOutbox::open(&file, Arc::new(SystemClock)).unwrap();
    let mut connection = Connection::open(&file).unwrap();

    scheduler::start(&connection, "run-17").unwrap();
    scheduler::end(&mut connection, "run-17", Some("row 4".to_owned())).unwrap();
    assert!(scheduler::end(&mut connection, "no such run", None).is_err());
    // An empty name is refused, and with it the run's new state.
    scheduler::start(&connection, "").unwrap();
    assert!(scheduler::end(&mut connection, "", None).is_err());

    let waiting = outbox.waiting(10).await.unwrap();
    assert_eq!(waiting.events.len(), 1);
    let events = outbox.events(EventQuery::latest(10)).await.unwrap();
    let [event] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!((event.execution.as_str(), event.phase), ("run-17", Failed));
    let states: Vec<String> = connection
        .prepare("SELECT state FROM run ORDER BY name DESC")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(states, ["failed", "running"]);
}
