//! Files of older and newer programs, and programs that open one file at once.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use notify_outbox::{DeliveryQuery, DeliveryState, EventState};
use notify_testkit::outbox::{claim, delivered, hold, ids, run, secs, to};
use rusqlite::Connection;

use crate::file::{File, bytes_in, open, refusal};

/// The first schema, and what a program of that time had in it.
const OLD: [&str; 2] = [
    include_str!("../../migrations/0001_ledger.sql"),
    "CREATE TABLE notify_schema (version INTEGER PRIMARY KEY);
     INSERT INTO notify_schema VALUES (1);
     INSERT INTO notify_event (seq, id, version, state, reason, project, domain, name, attempt,
                               workflow, phase, ended_at, accepted_at, body, past)
     VALUES (1, x'00000000000000000000000000000001', 1, 'planned', NULL, 'p', 'd', 'run-1', 1, 'etl', 'failed',
             1000, 2000, '{}', '{\"previous\":\"succeeded\",\"streak\":1,\"since\":null}'),
            (2, x'00000000000000000000000000000002', 1, 'accepted', NULL, 'p', 'd', 'run-2', 1, 'etl', 'failed',
             1000, 2000, '{}', NULL),
            (3, x'00000000000000000000000000000003', 1, 'malformed', 'it does not read', 'p', 'd', 'run-3', 1,
             'etl', 'failed', 1000, 2000, '{}', NULL),
            (4, x'00000000000000000000000000000004', 1, 'conflict', 'it ended before', 'p', 'd', 'run-2', 1, 'etl',
             'aborted', 1000, 2000, '{}', NULL);
     INSERT INTO notify_spec VALUES (zeroblob(32), 1, 1, '{\"fake\":{}}');
     INSERT INTO notify_account VALUES ('fake.two', 3000, 'auth: no');
     INSERT INTO notify_lane (seq, account, lane, due_at)
     VALUES (1, 'fake.one', 'ops', NULL), (2, 'fake.two', 'ops', NULL);
     INSERT INTO notify_delivery (seq, id, version, event, spec, account, lane, recipient, action,
                                  ended_at, event_id, state, reason, attempts, tries, not_before,
                                  lease_token, lease_until, receipt, created_at, settled_at)
     VALUES (1, x'00000000000000000000000000000001', 1, 1, zeroblob(32), 'fake.one', 1, 'a', 'send', 1000,
             x'00000000000000000000000000000001', 'pending', NULL, 0, 0, 2000, 0, NULL, NULL, 2000, NULL),
            (2, x'00000000000000000000000000000002', 1, 1, zeroblob(32), 'fake.one', 1, 'b', 'send', 1000,
             x'00000000000000000000000000000001', 'pending', 'unknown (timeout)', 1, 1, 2000, 1, NULL, NULL, 2000,
             NULL),
            (3, x'00000000000000000000000000000003', 1, 1, zeroblob(32), 'fake.one', 1, 'c', 'send', 1000,
             x'00000000000000000000000000000001', 'leased', NULL, 0, 0, 2000, 7, 9000, NULL, 2000, NULL),
            (4, x'00000000000000000000000000000004', 1, 1, zeroblob(32), 'fake.two', 2, 'd', 'send', 1000,
             x'00000000000000000000000000000001', 'held', 'auth: no', 1, 1, 2000, 1, NULL, NULL, 2000, NULL),
            (5, x'00000000000000000000000000000005', 1, 1, zeroblob(32), 'fake.one', 1, 'e', 'send', 1000,
             x'00000000000000000000000000000001', 'delivered', NULL, 1, 1, 2000, 1, NULL,
             NULL, 2000, 3000);
     INSERT INTO notify_attempt (delivery, number, settled_at, took, outcome, detail)
     VALUES (2, 1, 3000, 5, 'unknown', 'unknown (timeout)'), (5, 1, 3000, 5, 'delivered', 'x');",
];

/// Writes a file as the first program did.
fn write_old(path: &Path) {
    let connection = Connection::open(path).unwrap();
    let wal = "journal_mode";
    connection
        .pragma_update_and_check(None, wal, "WAL", |_| Ok(()))
        .unwrap();
    for sql in OLD {
        connection.execute_batch(sql).unwrap();
    }
}

#[test]
fn a_file_of_the_first_schema_keeps_everything_in_it() {
    let file = File::new();
    write_old(&file.path());
    let path = file.path();
    let rule = async move |bench: notify_testkit::outbox::Bench| {
        use DeliveryState::{Delivered, Held, Leased, Pending};
        use EventState::{Accepted, Conflict, Malformed, Planned};

        let events = bench.events().await;
        let states: Vec<EventState> = events.iter().map(|event| event.state).collect();
        assert_eq!(states, [Planned, Accepted, Malformed, Conflict]);
        let deliveries = bench.deliveries().await;
        let states: Vec<DeliveryState> = deliveries.iter().map(|one| one.state).collect();
        assert_eq!(states, [Pending, Pending, Leased, Held, Delivered]);

        // The lane was full, which was written in another way.
        let leased = bench.claim(claim().max_age(secs(u64::MAX / 4))).await;
        let unsure: Vec<bool> = leased.iter().map(|leased| leased.unsure).collect();
        assert_eq!(unsure, [false, true, true]);
        let tokens: Vec<i64> = leased.iter().map(|leased| leased.token).collect();
        assert_eq!(tokens, [1, 2, 8]);
        assert_eq!(ids(&leased), [0, 1, 2].map(|index| deliveries[index].id));
        for leased in &leased {
            bench.settle(leased, delivered()).await;
        }
        // What was held was held for its account.
        assert_eq!(bench.resume(&["fake.two"]).await, 1);
        assert_eq!(bench.state(deliveries[3].id).await, Pending);
        // A run whose event did not read may be told of again.
        bench.accept_new(&run(3).project("p").domain("d")).await;
        bench.tell(run("new"), [to("ops")]).await;
    };
    hold(
        move |clock| {
            std::sync::Arc::new(notify_outbox_sqlite::SqliteOutbox::open(&path, clock).unwrap())
        },
        rule,
    );
}

#[test]
fn a_file_of_a_newer_program_is_refused_and_left_as_it_is() {
    let file = File::new();
    drop(open(&file.path()).unwrap());
    let newer = file.connect();
    newer
        .execute("INSERT INTO notify_schema VALUES (99)", [])
        .unwrap();
    // As a program leaves it that was killed: the log beside the file is not in the file yet.
    let copy = File::new();
    for (path, bytes) in file.bytes() {
        let name = path.file_name().unwrap();
        if name != "notify.db-shm" {
            fs::write(copy.path().with_file_name(name), bytes).unwrap();
        }
    }
    let before = copy.bytes();
    assert_eq!(before.len(), 2, "the file and its log");
    let said = refusal(&copy.path());
    assert!(
        said.contains("has schema 99, and this program knows up to 3: use the newer program"),
        "{said}"
    );
    let after: Vec<_> = copy
        .bytes()
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|kind| kind != "db-shm"))
        .collect();
    assert!(after == before);
}

#[test]
fn a_file_of_a_newer_program_without_a_log_is_left_without_one() {
    let file = File::new();
    let newer = file.connect();
    newer
        .execute_batch(
            "CREATE TABLE notify_schema (version INTEGER PRIMARY KEY);
             INSERT INTO notify_schema VALUES (99);",
        )
        .unwrap();
    drop(newer);
    let before = file.bytes();
    assert!(refusal(&file.path()).contains("schema 99"));
    assert!(file.bytes() == before);
}

/// Opens one file many times at once.
fn open_at_once(path: &Path) {
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        let opened: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    open(path).map(drop).map_err(|err| format!("{err:?}"))
                })
            })
            .collect();
        for opened in opened {
            assert_eq!(opened.join().unwrap(), Ok(()));
        }
    });
}

#[test]
fn programs_that_open_one_file_at_once_do_not_clash() {
    for _ in 0..10 {
        let file = File::new();
        open_at_once(&file.path());
        let old = File::new();
        write_old(&old.path());
        open_at_once(&old.path());
        let versions = "SELECT count(*) FROM notify_schema";
        let count = |file: &File| -> i64 {
            file.connect()
                .query_row(versions, [], |row| row.get(0))
                .unwrap()
        };
        assert_eq!((count(&file), count(&old)), (3, 3));
        assert!(bytes_in(file.path().parent().unwrap()).len() <= 3);
    }
}

#[tokio::test]
async fn a_ledger_lives_in_an_applications_own_file() {
    let file = File::new();
    let own = file.connect();
    own.execute_batch("CREATE TABLE run (id TEXT PRIMARY KEY); PRAGMA user_version = 7;")
        .unwrap();
    let outbox = open(&file.path()).unwrap();
    let none = outbox.deliveries(DeliveryQuery::latest(10)).await.unwrap();
    assert!(none.is_empty());
    let version: i64 = own
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 7);
}
