//! Events in other programs' transactions.

use notify_core::{
    Execution, Failure, TerminalPhase, Timestamp, WorkflowEnded, WorkflowName, event::MAX_MESSAGE,
};
use notify_outbox::{EventRecord, EventState};
use notify_outbox_sqlite::INTAKE;
use notify_testkit::outbox::{Bench, delivered, run, secs, to};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::file::File;

/// A whole event.
fn ended(run: &str) -> Value {
    json!({
        "version": 1,
        "workflow": "etl",
        "execution": {"project": "project", "domain": "domain", "name": run},
        "phase": "failed",
    })
}

/// An event with other words in it; `null` leaves a key out.
fn with(changes: &Value) -> String {
    let mut event = ended("run-1");
    for (key, value) in changes.as_object().unwrap() {
        let map = event.as_object_mut().unwrap();
        if value.is_null() {
            map.remove(key);
        } else {
            map.insert(key.clone(), value.clone());
        }
    }
    event.to_string()
}

/// Puts one event in and gives what became of it.
async fn put(file: &File, bench: &Bench, text: &str) -> EventRecord {
    file.connect().execute(INTAKE, [text]).unwrap();
    assert_eq!(
        bench.status().await.accepted,
        1,
        "what is in the inbox counts"
    );
    bench.waiting().await;
    bench.events().await.pop().unwrap()
}

#[tokio::test]
async fn the_schedulers_own_row_and_the_event_are_one_transaction() {
    let file = File::new();
    let bench = file.bench();
    let mut scheduler = file.connect();
    scheduler
        .execute("CREATE TABLE run (name TEXT PRIMARY KEY, state TEXT)", [])
        .unwrap();
    let end = |scheduler: &mut Connection, name: &str, commit: bool| {
        let transaction = scheduler.transaction().unwrap();
        let state = "INSERT INTO run VALUES (?1, 'failed')";
        transaction.execute(state, [name]).unwrap();
        let event = ended(name).to_string();
        transaction.execute(INTAKE, [event]).unwrap();
        if commit {
            transaction.commit().unwrap();
        }
    };
    end(&mut scheduler, "run-1", false);
    assert_eq!(bench.status().await.accepted, 0);
    assert!(bench.waiting().await.events.is_empty());

    end(&mut scheduler, "run-2", true);
    let waiting = bench.waiting().await;
    let names: Vec<String> = bench
        .events()
        .await
        .into_iter()
        .map(|event| event.execution)
        .collect();
    assert_eq!((waiting.events.len(), names), (1, vec!["run-2".to_owned()]));
    assert!(waiting.contexts.contains_key(&run(2).key()));
    let runs: i64 = scheduler
        .query_row("SELECT count(*) FROM run", [], |row| row.get(0))
        .unwrap();
    assert_eq!(runs, 1);

    let event = waiting.events[0].0.id;
    let plan = bench.plan(event, &[to("ops")]).await;
    bench.record(plan).await;
    bench.attempt(delivered()).await;
    assert!(bench.status().await.is_idle());
}

#[tokio::test]
async fn what_could_never_be_told_of_fails_the_statement_and_says_why() {
    let file = File::new();
    let _bench = file.bench();
    let other = file.connect();
    let execution = "the event names no execution: `execution.name` is a text that is not empty";
    let phase =
        "the event has no terminal phase: `phase` is one of succeeded, failed, aborted, timed_out";
    let cases = [
        ("not JSON".to_owned(), "the event is not JSON text"),
        ("{'phase': 1}".to_owned(), "the event is not JSON text"),
        (String::new(), "the event is not JSON text"),
        ("[]".to_owned(), execution),
        ("null".to_owned(), execution),
        (with(&json!({"execution": null})), execution),
        (with(&json!({"execution": {"name": ""}})), execution),
        (with(&json!({"execution": {"name": 7}})), execution),
        (with(&json!({"phase": null})), phase),
        (with(&json!({"phase": "running"})), phase),
        (with(&json!({"phase": ["failed"]})), phase),
    ];
    for (text, wanted) in cases {
        let refused = other.execute(INTAKE, [&text]).unwrap_err().to_string();
        assert_eq!(
            refused,
            format!("CHECK constraint failed: {wanted}"),
            "{text}"
        );
    }
    for value in [
        rusqlite::types::Value::Null,
        rusqlite::types::Value::Blob(ended("run-1").to_string().into_bytes()),
    ] {
        assert!(other.execute(INTAKE, [value]).is_err());
    }
}

#[tokio::test]
async fn what_does_not_read_is_on_record_as_malformed_with_all_reasons() {
    let execution = |changes: Value| {
        let mut execution = json!({"project": "project", "domain": "domain", "name": "run-1"});
        for (key, value) in changes.as_object().unwrap() {
            execution[key] = value.clone();
        }
        json!({"execution": execution})
    };
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let cases = [
        (with(&json!({"workflow": null})), "workflow"),
        (with(&json!({"workflow": " etl"})), "workflow: "),
        (with(&json!({"urll": "x", "url": 7})), "urll"),
        (with(&json!({"urll": "x", "url": 7})), "; "),
        (with(&json!({"version": 0})), "begin with 1"),
        (with(&json!({"ended_at": "yesterday"})), "ended_at: "),
        (
            with(&execution(json!({"project": ""}))),
            "execution.project",
        ),
        (with(&execution(json!({"attempt": 0}))), "execution.attempt"),
        (
            ended("run-1")
                .to_string()
                .replace("1,", &format!("{deep},")),
            "recursion limit",
        ),
    ];
    for (text, wanted) in cases {
        let file = File::new();
        let bench = file.bench();
        let event = put(&file, &bench, &text).await;
        assert_eq!(event.state, EventState::Malformed, "{text}");
        let reason = event.reason.unwrap();
        assert!(reason.contains(wanted), "{reason}");
        assert_eq!(bench.status().await.unplannable, 1);
        // It takes nobody's place.
        let good = put(&file, &bench, &ended("run-1").to_string()).await;
        assert_eq!(good.state, EventState::Accepted);
    }
}

#[tokio::test]
async fn a_malformed_event_shows_the_names_that_can_be_read() {
    let file = File::new();
    let bench = file.bench();
    let text = json!({
        "execution": {"project": "p", "name": "run-1", "attempt": 3},
        "phase": "timed_out",
        "ended_at": "2026-11-19T10:00:00Z",
    });
    let event = put(&file, &bench, &text.to_string()).await;
    assert_eq!((event.project.as_str(), event.domain.as_str()), ("p", ""));
    assert_eq!((event.execution.as_str(), event.attempt), ("run-1", 3));
    assert_eq!(
        (event.workflow.as_str(), event.phase),
        ("", TerminalPhase::TimedOut)
    );
    assert_eq!(event.ended_at.to_string(), "2026-11-19T10:00:00Z");
}

#[tokio::test]
async fn an_end_is_told_of_once_however_it_came_in() {
    let file = File::new();
    let bench = file.bench();
    bench.accept_new(&run(1)).await;
    let other = file.connect();
    for phase in ["failed", "failed", "aborted", "aborted"] {
        let text = with(&json!({ "phase": phase }));
        other.execute(INTAKE, [text]).unwrap();
    }
    other.execute(INTAKE, [ended("run-2").to_string()]).unwrap();
    bench.waiting().await;
    let events = bench.events().await;
    let states: Vec<EventState> = events.iter().map(|event| event.state).collect();
    let expected = [
        EventState::Accepted,
        EventState::Conflict,
        EventState::Accepted,
    ];
    assert_eq!(states, expected);
    let before = format!("the attempt ended `failed` before ({})", events[0].id);
    assert_eq!(events[1].reason.as_ref(), Some(&before));
}

#[tokio::test]
async fn an_event_that_does_not_say_when_it_ended_ended_when_it_was_put_in() {
    let file = File::new();
    let bench = file.bench();
    let put_at = |instant: Timestamp, text: String| {
        file.connect()
            .execute(
                "INSERT INTO notify_inbox (event, inserted_at) VALUES (?1, ?2)",
                (text, instant.as_micros()),
            )
            .unwrap();
    };
    let now = bench.now();
    let named = |name: &str, ended_at: Option<Timestamp>| {
        let mut event = ended(name);
        if let Some(ended_at) = ended_at {
            event["ended_at"] = json!(ended_at);
        }
        event.to_string()
    };
    put_at(now.before(secs(60)), named("silent", None));
    put_at(
        now.before(secs(60)),
        named("earlier", Some(now.before(secs(90)))),
    );
    put_at(
        now.before(secs(60)),
        named("later", Some(now.after(secs(90)))),
    );
    put_at(now.after(secs(60)), named("ahead", None));
    let waiting = bench.waiting().await;
    let ends: Vec<Timestamp> = waiting
        .events
        .iter()
        .map(|(event, _)| event.ended_at)
        .collect();
    assert_eq!(ends, [now.before(secs(60)), now.before(secs(90)), now, now]);
    assert!(
        waiting
            .events
            .iter()
            .all(|(event, _)| event.accepted_at == now)
    );
}

#[tokio::test]
async fn the_instant_is_sqlites_own() {
    let file = File::new();
    let bench = file.bench();
    let other = file.connect();
    other.execute(INTAKE, [ended("run-1").to_string()]).unwrap();
    let off: i64 = other
        .query_row(
            "SELECT abs(inserted_at - unixepoch() * 1000000) FROM notify_inbox",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(off < 60_000_000, "{off}");
    drop(bench);
}

#[tokio::test]
async fn what_is_stored_is_within_its_bounds_and_has_a_version() {
    let file = File::new();
    let bench = file.bench();
    let long = "x".repeat(1024 * 1024);
    let text = with(&json!({"version": null, "failure": {"message": long}}));
    file.connect().execute(INTAKE, [text]).unwrap();
    let waiting = bench.waiting().await;
    let body: Value = serde_json::from_str(&waiting.events[0].0.body).unwrap();
    assert_eq!(body["version"], 1);
    let message = body["failure"]["message"].as_str().unwrap();
    assert!(message.len() <= MAX_MESSAGE, "{}", message.len());
}

#[tokio::test]
async fn the_typed_event_is_what_the_statement_takes() {
    let file = File::new();
    let bench = file.bench();
    let event = WorkflowEnded::new(
        WorkflowName::new("etl").unwrap(),
        Execution::new("project", "domain", "run-1").unwrap(),
        TerminalPhase::Failed,
    )
    .failure(Failure::new("row 4"))
    .ended_at(bench.now().before(secs(5)));
    let text = serde_json::to_string(&event.to_wire()).unwrap();
    file.connect().execute(INTAKE, [&text]).unwrap();
    let waiting = bench.waiting().await;
    assert_eq!(waiting.events[0].0.body, text);
    assert_eq!(waiting.events[0].0.ended_at, bench.now().before(secs(5)));
}

#[tokio::test]
async fn a_full_inbox_is_moved_a_piece_at_a_time_and_none_is_forgotten() {
    let file = File::new();
    let bench = file.bench();
    let mut other = file.connect();
    let transaction = other.transaction().unwrap();
    for index in 0..600 {
        let text = ended(&format!("run-{index}")).to_string();
        transaction.execute(INTAKE, [text]).unwrap();
    }
    transaction.commit().unwrap();
    let mut counts = Vec::new();
    for _ in 0..4 {
        counts.push(bench.waiting().await.events.len());
        assert_eq!(bench.status().await.accepted, 600);
    }
    assert_eq!(counts, [256, 512, 600, 600]);
    let names: Vec<String> = bench
        .events()
        .await
        .into_iter()
        .map(|event| event.execution)
        .collect();
    let expected: Vec<String> = (0..600).map(|index| format!("run-{index}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_monstrous_text_is_on_record_without_being_read() {
    let file = File::new();
    let bench = file.bench();
    let text = with(&json!({"url": "é".repeat(17 * 1024 * 1024)}));
    let event = put(&file, &bench, &text).await;
    assert_eq!(event.state, EventState::Malformed);
    assert_eq!(
        event.reason.as_deref(),
        Some("the event has 35 MiB; at most 32 are read")
    );
    let known = ended("run-1");
    let name = |place| {
        known
            .pointer(place)
            .and_then(Value::as_str)
            .unwrap()
            .to_owned()
    };
    assert_eq!(event.execution, name("/execution/name"));
    assert_eq!(event.project, name("/execution/project"));
    assert_eq!(event.workflow, name("/workflow"));
    assert_eq!(event.phase.name(), name("/phase"));
    let kept: i64 = file
        .connect()
        .query_row("SELECT octet_length(body) FROM notify_event", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(kept <= 64 * 1024, "{kept}");
}

#[tokio::test]
async fn rows_that_got_past_the_checks_stand_in_nobodys_way() {
    let file = File::new();
    let bench = file.bench();
    let other = file.connect();
    other
        .execute_batch(
            "PRAGMA ignore_check_constraints = ON;
             INSERT INTO notify_inbox (event) VALUES ('no JSON'), (x'ff00'), (7);
             INSERT INTO notify_inbox (event, inserted_at) VALUES ('{}', 'now');",
        )
        .unwrap();
    other.execute(INTAKE, [ended("run-1").to_string()]).unwrap();
    assert_eq!(bench.waiting().await.events.len(), 1);
    let status = bench.status().await;
    assert_eq!((status.accepted, status.unplannable), (1, 4));
}
