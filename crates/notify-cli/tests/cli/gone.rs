//! An endpoint that wants no more, and keys that are nobody else's business.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify_testkit::fake::{HttpFake, Reply, Request};
use serde_json::{Value, json};

use crate::bench::{notify, text};

/// A folder with settings, beside a vendor in this process.
struct Folder {
    folder: tempfile::TempDir,
    vendor: HttpFake,
}

impl Folder {
    /// Writes the settings, in which `VENDOR` is the vendor's address.
    fn new(vendor: HttpFake, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings.replace("VENDOR", &vendor.url(""));
        fs::write(folder.path().join("notify.toml"), settings).unwrap();
        Self { folder, vendor }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn notify(&self, arguments: &[&str]) -> Output {
        let mut command = notify();
        command.current_dir(self.path()).args(arguments);
        command.output().unwrap()
    }

    /// Records that a run failed, and delivers what is due; a process of its own each time.
    fn failed(&self, run: &str) {
        let event = json!({
            "version": 1,
            "workflow": "etl",
            "execution": {"project": "p", "domain": "d", "name": run},
            "phase": "failed",
        });
        fs::write(self.path().join("event.json"), event.to_string()).unwrap();
        let definitions = ["emit", "event.json", "--definitions", "etl.yaml"];
        let output = self.notify(&definitions);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// Id and state of each delivery to a recipient.
    fn states(&self, recipient: &str) -> Vec<(String, String)> {
        let output = self.notify(&["outbox", "list", "--json"]);
        let stdout = text(&output.stdout);
        let records = stdout.lines().map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            record
        });
        let of = |record: &Value, key: &str| record[key].as_str().unwrap().to_owned();
        records
            .filter(|record| record["recipient"] == recipient)
            .map(|record| (of(&record, "delivery"), of(&record, "state")))
            .collect()
    }

    /// How many requests there were for a path.
    fn requests(&self, path: &str) -> usize {
        let requests = self.vendor.requests();
        requests.iter().filter(|one| one.path() == path).count()
    }
}

#[test]
fn an_endpoint_that_is_gone_pauses_until_somebody_lets_it_go_on() {
    let back = Arc::new(AtomicBool::new(false));
    let is_back = Arc::clone(&back);
    let vendor = HttpFake::answering(move |request, _| {
        let gone = request.path() == "/gone" && !is_back.load(Ordering::Relaxed);
        Reply::new(if gone { 410 } else { 204 }).into()
    });
    let folder = Folder::new(
        vendor,
        "[accounts.webhook.default.endpoints]\n\
         gone = { url = 'VENDOR/gone' }\n\
         good = { url = 'VENDOR/good' }\n",
    );
    let definition = "workflow: etl\nnotifications:\n  - {phases: failed, webhook: [gone, good]}\n";
    fs::write(folder.path().join("etl.yaml"), definition).unwrap();

    folder.failed("run-1");
    assert_eq!((folder.requests("/gone"), folder.requests("/good")), (1, 1));
    // A start counts as a change, which one delivery tries out for all that are held.
    for (run, requests) in [("run-2", 2), ("run-3", 3), ("run-4", 4)] {
        folder.failed(run);
        assert_eq!(folder.requests("/gone"), requests, "{run}");
    }
    assert_eq!(folder.requests("/good"), 4);
    let states = folder.states("gone");
    assert!(
        states.iter().all(|(_, state)| state == "held"),
        "{states:?}"
    );
    let shown = text(&folder.notify(&["outbox", "show", &states[3].0]).stdout);
    assert!(
        shown.contains("config: HTTP 410 (the receiver wants no more)"),
        "{shown}"
    );

    back.store(true, Ordering::Relaxed);
    let test = folder.notify(&["test", "webhook", "--to", "gone"]);
    assert!(test.status.success(), "{}", text(&test.stderr));
    assert!(
        text(&test.stdout).contains("4 deliveries"),
        "{}",
        text(&test.stdout)
    );
    let states = folder.states("gone");
    assert!(
        states.iter().all(|(_, state)| state == "pending"),
        "{states:?}"
    );
    let output = folder.notify(&["deliver", "--until-empty"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let states = folder.states("gone");
    assert!(
        states.iter().all(|(_, state)| state == "delivered"),
        "{states:?}"
    );
}

/// Answers as PagerDuty does, to which one key is unknown.
fn pagerduty(unknown: &'static str) -> HttpFake {
    HttpFake::answering(move |request: &Request, _| {
        let known = request.json()["routing_key"] != unknown;
        let status = if known { 202 } else { 400 };
        let errors = json!({"status": "invalid event", "errors": ["Invalid routing key"]});
        let taken = json!({"status": "success", "dedup_key": "k"});
        Reply::json(status, if known { &taken } else { &errors }).into()
    })
}

#[test]
fn a_test_of_one_recipient_asks_for_nothing_of_another() {
    const UNKNOWN: &str = "00000000000000000000000000000000";
    let folder = Folder::new(
        pagerduty(UNKNOWN),
        "[accounts.pagerduty.default]\n\
         base_url = 'VENDOR'\n\
         [accounts.pagerduty.default.services]\n\
         a-missing = { file = 'missing' }\n\
         a-unknown = { file = 'unknown' }\n\
         good = { file = 'good' }\n\
         [accounts.webhook.default.endpoints]\n\
         missing = { url = { file = 'missing' } }\n\
         good = { url = 'VENDOR/good' }\n",
    );
    fs::write(folder.path().join("unknown"), UNKNOWN).unwrap();
    fs::write(
        folder.path().join("good"),
        "0123456789abcdef0123456789abcdef",
    )
    .unwrap();
    for (account, to, said) in [
        ("pagerduty", "good", Ok("delivered  good  receipt k")),
        ("pagerduty", "a-unknown", Err("Invalid routing key")),
        ("pagerduty", "a-missing", Err("cannot read the secret")),
        ("webhook", "good", Ok("delivered  good  receipt ntf_")),
        ("webhook", "missing", Err("cannot read the secret")),
    ] {
        let output = folder.notify(&["test", account, "--to", to]);
        let told = text(&output.stdout);
        assert_eq!(
            output.status.success(),
            said.is_ok(),
            "{account} {to}: {told}"
        );
        let words = said.unwrap_or_else(|words| words);
        assert!(told.contains(words), "{account} {to}: {told}");
    }
}
