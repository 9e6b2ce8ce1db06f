//! Events on the wire: our own golden files, newer versions, and parts that are too large.

use std::fs;
use std::path::Path;

use notify_core::event::{MAX_MESSAGE, MAX_OUTPUTS, wire};
use notify_core::{
    Email, Execution, Failure, NotificationKind, TerminalPhase, Timestamp, WorkflowEnded,
    WorkflowName, email, phases,
};
use serde_json::{Value, json};

use crate::providers::registry;

fn golden(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let text = fs::read_to_string(folder.join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn load(value: Value) -> WorkflowEnded {
    let wire = wire::WorkflowEnded::read(value).unwrap();
    wire.load(&registry()).unwrap()
}

fn written(event: &WorkflowEnded) -> Value {
    serde_json::to_value(event.to_wire()).unwrap()
}

fn full() -> WorkflowEnded {
    let execution = Execution::new("analytics", "production", "nightly-2026-11-20").unwrap();
    WorkflowEnded::new(
        WorkflowName::new("nightly-etl").unwrap(),
        execution.attempt(2),
        TerminalPhase::Failed,
    )
    .version("2026-11-01")
    .started_at("2026-11-20T01:00:00Z".parse::<Timestamp>().unwrap())
    .ended_at("2026-11-20T02:05:07.123456Z".parse::<Timestamp>().unwrap())
    .failure(
        Failure::new("row 4: amount is not a number\n<!channel> & \u{1b}[31m")
            .code("exit 1")
            .kind(notify_core::FailureKind::User),
    )
    .principal("scheduler")
    .url("https://flows.example.com/runs/17")
    .label("team", "data")
    .output("rows", 41)
    .output("checks", json!({"passed": [1, 2.5, null, true]}))
    .task("extract", TerminalPhase::Succeeded)
    .task("load", TerminalPhase::TimedOut)
    .notifications(vec![
        Email::on(phases![Failed])
            .to(email!("jane@example.com"))
            .into(),
    ])
}

#[test]
fn a_full_event_of_version_one_is_written_as_it_is_read() {
    let stored = golden("event_v1_full.json");
    assert_eq!(written(&full()), stored);
    let event = load(stored.clone());
    assert_eq!(written(&event), stored);
    assert_eq!(event.notifications, full().notifications);
    assert_eq!(event.failure, full().failure);
    assert_eq!(event.tasks, full().tasks);
}

#[test]
fn a_minimal_event_of_version_one_says_nothing_of_what_is_not_known() {
    let event = load(golden("event_v1_minimal.json"));
    assert_eq!(event.notifications, None);
    assert_eq!(event.execution.attempt_number(), 1);
    let mut expected = golden("event_v1_minimal.json");
    expected["execution"]["attempt"] = json!(1);
    assert_eq!(written(&event), expected);
}

#[test]
fn what_a_newer_version_says_survives_and_so_does_its_number() {
    let stored = golden("event_newer.json");
    let event = load(stored.clone());
    assert_eq!(event.phase, TerminalPhase::Aborted);
    assert_eq!(written(&event), stored);
    // Through text and through a second reading too.
    let text = serde_json::to_string(&event.to_wire()).unwrap();
    let again: wire::WorkflowEnded = serde_json::from_str(&text).unwrap();
    assert_eq!(written(&again.load(&registry()).unwrap()), stored);
}

#[test]
fn numbers_are_read_as_the_very_numbers_that_were_written() {
    // A reader that only comes near gives the neighbour of this one.
    let stored = json!(1.0008e46);
    let event = full().output("number", stored.clone());
    let text = serde_json::to_string(&event.to_wire()).unwrap();
    let again: wire::WorkflowEnded = serde_json::from_str(&text).unwrap();
    let again = again.load(&registry()).unwrap();
    assert_eq!(again.outputs["number"], stored);
}

#[test]
fn an_unknown_key_of_this_version_is_a_mistake() {
    let mut value = golden("event_v1_minimal.json");
    value["urll"] = json!("https://example.com");
    let problems = wire::WorkflowEnded::read(value).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "urll: unknown key `urll` (did you mean `url`?)"
    );
}

#[test]
fn a_notification_of_the_run_is_checked_with_its_place() {
    let mut value = golden("event_v1_minimal.json");
    value["notifications"] = json!([{"phases": "failed", "email": "a@example.com"}, {"phases": "failed", "email": ["b"]}]);
    let wire = wire::WorkflowEnded::read(value).unwrap();
    let problems = wire.load(&registry()).unwrap_err();
    let places: Vec<String> = problems.iter().map(|one| one.path.to_string()).collect();
    assert_eq!(places, ["notifications[1].email.to[0]"]);
}

#[test]
fn a_failure_message_of_fifty_megabytes_is_kept_in_its_last_lines() {
    let huge = "é, the same line again and again\n".repeat(1_600_000);
    assert!(huge.len() > 50_000_000);
    let mut event = full();
    // Past the constructor, which cuts already.
    event.failure = Some(Failure::default());
    event.failure.as_mut().unwrap().message = huge.clone();
    let kept = load(written(&event)).failure.unwrap().message;
    assert!(kept.len() <= MAX_MESSAGE && kept.starts_with("… ") && huge.ends_with("again\n"));
    assert_eq!(Failure::new(huge.clone()).message, kept);

    let mut value = golden("event_v1_full.json");
    value["failure"]["message"] = json!(huge);
    assert_eq!(load(value).failure.unwrap().message, kept);
}

#[test]
fn output_that_is_not_text_is_read_as_text() {
    assert_eq!(
        Failure::from_bytes(b"row 4: \xff\xfe").message,
        "row 4: \u{fffd}\u{fffd}"
    );
    let huge = vec![0xff; 1_000_000];
    let kept = Failure::from_bytes(&huge).message;
    assert!(kept.len() <= MAX_MESSAGE && kept.starts_with("… "));
}

#[test]
fn outputs_beyond_their_bound_are_cut_with_a_mark_and_the_event_is_kept() {
    let deep = (0..100_u32).fold(json!(1), |inner, _| json!({ "in": inner }));
    let event = full()
        .output("blob", "x".repeat(MAX_OUTPUTS))
        .output("deep", deep);
    let stored = written(&event);
    assert!(stored["outputs"].to_string().len() <= MAX_OUTPUTS);
    assert_eq!(stored["outputs"]["rows"], json!(41));
    assert_eq!(stored["outputs"]["blob"], json!("… 65538 bytes left out"));
    assert_eq!(
        stored["outputs"]["deep"],
        json!("… nested deeper than 32 levels")
    );
    assert_eq!(written(&load(stored.clone())), stored);
}

#[test]
fn an_end_before_its_start_took_no_time() {
    let event = full().started_at("2026-11-21T00:00:00Z".parse().unwrap());
    let (start, end) = (event.started_at.unwrap(), event.ended_at.unwrap());
    assert!(end < start && end.since(start).is_zero());
    let again = load(written(&event));
    assert_eq!((again.started_at, again.ended_at), (Some(start), Some(end)));
}

#[test]
fn instants_finer_than_the_ledgers_are_read_as_the_ledgers() {
    let mut value = golden("event_v1_minimal.json");
    value["ended_at"] = json!("2026-11-20T02:05:07.123456789+01:00");
    let ended_at = load(value).ended_at.unwrap();
    assert_eq!(ended_at.to_string(), "2026-11-20T01:05:07.123456Z");
    assert_eq!(Timestamp::from_micros(ended_at.as_micros()), ended_at);
}
