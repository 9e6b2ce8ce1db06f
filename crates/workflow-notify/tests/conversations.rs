//! Conversations on the wire: what a failure opened and a success ends, one after the other, on a
//! real ledger and across restarts. The vendors are scripted.

#![cfg(test)]

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use notify_testkit::fake::{HttpFake, Reply, Request, Step};
use serde_json::{Value, json};
use workflow_notify::core::{Clock, Timestamp};
use workflow_notify::outbox::DeliveryState::{Delivered, Leased, Pending, Rejected, Skipped};
use workflow_notify::outbox::{DeliveryQuery, DeliveryRecord, DeliveryState};
use workflow_notify::prelude::*;

/// A vendor, and a scheduler's files beside it.
struct Stage {
    folder: tempfile::TempDir,
    vendor: HttpFake,
    clock: Arc<HandClock>,
    /// The account's settings, but for its secret.
    account: String,
    /// What is declared.
    notification: Value,
}

/// A clock that is moved by hand, so that no rate has to be waited for.
#[derive(Debug)]
struct HandClock(Mutex<Timestamp>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl Stage {
    fn new(vendor: HttpFake, account: &str, notification: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("slack"), "xoxb-1-a").unwrap();
        std::fs::write(
            folder.path().join("pagerduty"),
            "0123456789abcdef0123456789abcdef",
        )
        .unwrap();
        let clock = Arc::new(HandClock(Mutex::new(
            "2026-11-20T23:57:46Z".parse().unwrap(),
        )));
        Self {
            account: account.replace("VENDOR", &vendor.url("")),
            folder,
            vendor,
            clock,
            notification,
        }
    }

    /// Starts an engine on the ledger.
    fn engine(&self) -> Engine {
        let folder = self.folder.path();
        let registry = Registry::discover().unwrap();
        let text = self
            .account
            .replace("FOLDER", &folder.display().to_string());
        let settings = Settings::parse(&registry, "notify.toml", &text).unwrap();
        let definition = json!({"workflow": "etl", "notifications": [self.notification]});
        let workflows = vec![registry.load_workflow(&definition).unwrap()];
        let config = Config::new(workflows, settings.accounts().clone(), settings.secrets());
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let outbox = SqliteOutbox::open(&ledger(folder), Arc::clone(&clock)).unwrap();
        let engine = Engine::builder(registry)
            .config(config.unwrap())
            .outbox(outbox);
        engine.clock(clock).start().unwrap()
    }

    /// Records that a run ended, this many minutes after the first one.
    async fn ended(&self, engine: &Engine, minute: i64, phase: TerminalPhase) {
        let execution = Execution::new("p", "d", format!("run-{minute}")).unwrap();
        let noon: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let at = Timestamp::from_micros(noon.as_micros() + minute * 60_000_000);
        let event = WorkflowEnded::new(WorkflowName::new("etl").unwrap(), execution, phase)
            .failure(Failure::new("row 4 has no price"))
            .ended_at(at);
        engine.workflow_ended(event).await.unwrap();
    }

    /// Delivers what is due, which is all there is.
    async fn deliver(&self, engine: &Engine) {
        let left = engine.drain(Duration::from_secs(10)).await.unwrap();
        assert!(left.is_idle(), "{left:?}");
    }

    /// Tells of runs, each by an engine of its own, as if the scheduler had been started anew.
    async fn runs(&self, phases: &[TerminalPhase]) {
        for (minute, phase) in (1..).zip(phases) {
            let engine = self.engine();
            self.ended(&engine, minute, *phase).await;
            self.deliver(&engine).await;
            engine.shutdown(Duration::from_secs(5)).await.unwrap();
            // Only while nothing is on the wire: a lease would end.
            let now = self.clock.now();
            *self.clock.0.lock().unwrap() = now.after(Duration::from_hours(1));
        }
    }

    /// Lists the calls of one method, as what they asked for.
    fn calls(&self, path: &str) -> Vec<Value> {
        let requests = self.vendor.requests();
        let wanted = requests.iter().filter(|one| one.path().ends_with(path));
        wanted.map(Request::json).collect()
    }
}

fn ledger(folder: &Path) -> std::path::PathBuf {
    folder.join("notify.db")
}

async fn records(engine: &Engine) -> Vec<DeliveryRecord> {
    engine.deliveries(DeliveryQuery::latest(100)).await.unwrap()
}

async fn states(engine: &Engine) -> Vec<DeliveryState> {
    records(engine).await.iter().map(|one| one.state).collect()
}

/// Waits until the ledger knows so many deliveries.
async fn recorded(engine: &Engine, count: usize) {
    while records(engine).await.len() < count {
        tokio::task::yield_now().await;
    }
}

/// Waits until nothing is on the wire.
async fn answered(engine: &Engine) {
    while states(engine).await.contains(&Leased) {
        tokio::task::yield_now().await;
    }
}

const PAGERDUTY: &str = "[accounts.pagerduty.default]
base_url = \"VENDOR\"
[accounts.pagerduty.default.services]
svc = { file = \"FOLDER/pagerduty\" }
";

fn page() -> Value {
    json!({"phases": ["failed"], "pagerduty": ["svc"]})
}

fn queued() -> Reply {
    Reply::json(
        202,
        &json!({"status": "success", "message": "Event processed", "dedup_key": "k"}),
    )
}

fn actions(stage: &Stage) -> Vec<String> {
    let events = stage.calls("/enqueue");
    let action = |event: &Value| event["event_action"].as_str().unwrap().to_owned();
    events.iter().map(action).collect()
}

#[tokio::test]
async fn a_close_waits_for_a_trigger_whose_answer_is_late() {
    let vendor = HttpFake::answering(|_, before| match before {
        0 => Step::Drip(queued()),
        _ => Step::Reply(queued()),
    });
    let stage = Stage::new(vendor, PAGERDUTY, page());
    let engine = stage.engine();
    stage.ended(&engine, 1, Failed).await;
    stage.vendor.until(|seen| seen.requests == 1).await;
    stage.ended(&engine, 2, Succeeded).await;
    recorded(&engine, 2).await;
    assert_eq!(states(&engine).await, [Leased, Pending]);
    assert_eq!(actions(&stage), ["trigger"]);
    stage.vendor.let_out(queued().to_bytes().len());
    answered(&engine).await;
    stage.deliver(&engine).await;
    assert_eq!(states(&engine).await, [Delivered, Delivered]);
    assert_eq!(actions(&stage), ["trigger", "resolve"]);
    let keys: Vec<Value> = stage
        .calls("/enqueue")
        .iter()
        .map(|one| one["dedup_key"].clone())
        .collect();
    assert!(keys[0].is_string() && keys[0] == keys[1], "{keys:?}");
}

#[tokio::test]
async fn a_trigger_that_is_still_tried_is_superseded_by_the_close() {
    let vendor = HttpFake::answering(|_, _| Step::Reply(Reply::new(429)));
    let stage = Stage::new(vendor, PAGERDUTY, page());
    let engine = stage.engine();
    stage.ended(&engine, 1, Failed).await;
    engine.drain(Duration::from_secs(10)).await.unwrap();
    assert_eq!(states(&engine).await, [Pending]);
    stage.ended(&engine, 2, Succeeded).await;
    recorded(&engine, 2).await;
    stage.deliver(&engine).await;
    let records = records(&engine).await;
    let why = |one: &DeliveryRecord| one.reason.clone().unwrap();
    assert_eq!(
        why(&records[0]),
        "the workflow succeeded before it was sent"
    );
    assert_eq!(
        (records[1].state, why(&records[1])),
        (Skipped, "nothing open".to_owned())
    );
    assert_eq!(actions(&stage), ["trigger"]);
}

#[tokio::test]
async fn only_what_was_opened_is_closed_and_a_restart_forgets_nothing() {
    let vendor = HttpFake::answering(|_, _| Step::Reply(queued()));
    let stage = Stage::new(vendor, PAGERDUTY, page());
    stage
        .runs(&[Succeeded, Failed, Failed, Succeeded, Succeeded, Failed])
        .await;
    assert_eq!(
        actions(&stage),
        ["trigger", "trigger", "resolve", "trigger"]
    );
}

const SLACK: &str = "[accounts.slack.default]
base_url = \"VENDOR/api/\"
token = { file = \"FOLDER/slack\" }
";

/// Answers as Slack does; each message gets the next name.
fn slack() -> HttpFake {
    HttpFake::answering(|request, _| Step::Reply(answer(request)))
}

fn answer(request: &Request) -> Reply {
    static MESSAGES: Mutex<u32> = Mutex::new(0);
    let body = match request.path() {
        "/api/chat.postMessage" => {
            let mut messages = MESSAGES.lock().unwrap();
            *messages += 1;
            json!({"ok": true, "channel": "C024BE91L", "ts": format!("1700000000.{:06}", *messages)})
        }
        "/api/chat.update" => {
            let asked = request.json();
            json!({"ok": true, "channel": asked["channel"], "ts": asked["ts"]})
        }
        "/api/auth.test" => json!({
            "ok": true, "url": "https://acme.slack.com/", "team": "acme", "user": "notify",
            "team_id": "T012AB3CD", "user_id": "U012AB3CD", "bot_id": "B012AB3CD",
        }),
        _ => json!({"ok": false, "error": "unknown_method"}),
    };
    Reply::json(200, &body)
}

fn threaded() -> Value {
    json!({"phases": ["failed"], "slack": {"to": ["#data-alerts"], "thread": "workflow"}})
}

/// Says where each message went: `top`, or the thread.
fn threads(stage: &Stage) -> Vec<String> {
    let posts = stage.calls("chat.postMessage");
    let place = |post: &Value| post["thread_ts"].as_str().unwrap_or("top").to_owned();
    posts.iter().map(place).collect()
}

#[tokio::test]
async fn repeats_go_into_the_first_messages_thread_and_a_new_failure_begins_another() {
    let stage = Stage::new(slack(), SLACK, threaded());
    stage
        .runs(&[Failed, Failed, Succeeded, Failed, Failed])
        .await;
    let engine = stage.engine();
    let receipts: Vec<String> = records(&engine)
        .await
        .into_iter()
        .map(|one| one.receipt.unwrap().id)
        .collect();
    let expected = ["top", &receipts[0], &receipts[0], "top", &receipts[3]];
    assert_eq!(threads(&stage), expected);
    assert!(stage.calls("chat.update").is_empty());
}

#[tokio::test]
async fn a_recovery_edits_the_message_of_the_failure() {
    let declared = json!({
        "phases": ["failed"],
        "slack": {"to": ["#data-alerts"], "thread": "workflow", "update": true},
    });
    let stage = Stage::new(slack(), SLACK, declared);
    stage.runs(&[Failed, Failed, Succeeded]).await;
    let engine = stage.engine();
    let first = records(&engine).await[0].receipt.clone().unwrap().id;
    assert_eq!(threads(&stage), ["top", &first]);
    let updates = stage.calls("chat.update");
    assert_eq!(updates.len(), 1);
    assert_eq!(
        (&updates[0]["ts"], &updates[0]["channel"]),
        (&json!(first), &json!("C024BE91L"))
    );
    assert!(
        updates[0].to_string().contains("Recovered after 2m"),
        "{}",
        updates[0]
    );
}

#[tokio::test]
async fn a_named_success_without_a_failure_before_it_is_a_message_of_its_own() {
    let declared = json!({
        "phases": ["failed", "succeeded"],
        "slack": {"to": ["#data-alerts"], "thread": "workflow"},
    });
    let stage = Stage::new(slack(), SLACK, declared);
    stage.runs(&[Succeeded, Failed, Succeeded, Succeeded]).await;
    let engine = stage.engine();
    let failure = records(&engine).await[1].receipt.clone().unwrap().id;
    assert_eq!(threads(&stage), ["top", "top", &failure, "top"]);
}

#[tokio::test]
async fn a_first_message_that_failed_opens_no_thread() {
    let vendor = HttpFake::answering(|request, before| {
        let refused = json!({"ok": false, "error": "not_in_channel"});
        Step::Reply(match request.path() {
            "/api/chat.postMessage" if before < 2 => Reply::json(200, &refused),
            _ => answer(request),
        })
    });
    let stage = Stage::new(vendor, SLACK, threaded());
    stage.runs(&[Failed, Failed, Failed]).await;
    let engine = stage.engine();
    let listed = records(&engine).await;
    let states: Vec<_> = listed.iter().map(|one| one.state).collect();
    let rejected = states.iter().filter(|state| **state == Rejected).count();
    assert!(rejected > 0, "{states:?}");
    let first = listed[rejected].receipt.clone().unwrap().id;
    let mut expected = vec!["top".to_owned(); rejected + 1];
    expected.resize(3, first);
    assert_eq!(threads(&stage), expected);
}

#[tokio::test]
async fn two_firsts_at_once_make_one_thread() {
    let vendor = HttpFake::answering(|request, before| match before {
        0 => Step::Drip(answer(request)),
        _ => Step::Reply(answer(request)),
    });
    let stage = Stage::new(vendor, SLACK, threaded());
    let engine = stage.engine();
    stage.ended(&engine, 1, Failed).await;
    stage.ended(&engine, 2, Failed).await;
    stage.vendor.until(|seen| seen.requests >= 1).await;
    recorded(&engine, 2).await;
    assert_eq!(states(&engine).await, [Leased, Pending]);
    stage.vendor.let_out(100_000);
    answered(&engine).await;
    stage.deliver(&engine).await;
    let first = records(&engine).await[0].receipt.clone().unwrap().id;
    assert_eq!(threads(&stage), ["top", &first]);
}
