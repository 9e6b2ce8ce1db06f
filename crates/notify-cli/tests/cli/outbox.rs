//! `notify outbox` and what `notify deliver` says of it: looking into the ledger, mending it, and
//! files that are none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::bench::{Bench, signal, text, wait_for};
use crate::emit::{event, lines};

fn outbox(bench: &Bench, arguments: &[&str]) -> Output {
    let arguments = [&["outbox"], arguments].concat();
    bench.notify(&arguments).output().unwrap()
}

fn id(bench: &Bench, account: &str) -> String {
    let ledger = bench.ledger();
    let record = ledger.iter().find(|record| record["account"] == account);
    record.unwrap()["delivery"].as_str().unwrap().to_owned()
}

/// Leaves a rejected delivery behind: the vendor takes nothing for a channel.
fn rejected(bench: &Bench) -> String {
    bench.fail("slack", 400);
    bench.output(&[], "exit 0");
    bench.fail("slack", 0);
    id(bench, "slack.default")
}

#[test]
fn deliveries_and_events_are_listed_by_their_states() {
    let bench = Bench::start();
    rejected(&bench);
    bench.output(&["--name", "run-17", "--attempt", "2"], "exit 3");
    let listed = |arguments: &[&str]| {
        let output = outbox(&bench, &[&["list"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(listed(&[]).lines().count(), 4);
    let rejected = listed(&["--state", "rejected"]);
    assert!(
        rejected.contains("  rejected   slack.default"),
        "{rejected}"
    );
    assert_eq!(rejected.lines().count(), 1);
    let both = listed(&["--state", "rejected", "--state", "delivered", "--most", "3"]);
    assert_eq!(both.lines().count(), 3);
    let events = listed(&["--events", "--state", "planned"]);
    assert!(events.contains("default/local/run-17#2"), "{events}");
    let objects: Vec<Value> = listed(&["--events", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects[1]["attempt"], 2);
    assert_eq!(objects[1]["state"], "planned");
    assert!(listed(&["--events", "--state", "conflict"]).is_empty());

    for (arguments, words) in [
        (
            &["list", "--state", "lost"][..],
            "`lost` is not a state of a delivery",
        ),
        (&["list", "--events", "--state", "held"], "unmatched"),
    ] {
        let output = outbox(&bench, arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            text(&output.stderr).contains(words),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn what_was_rejected_is_replayed_and_delivered() {
    let bench = Bench::start();
    let id = rejected(&bench);
    assert!(bench.told().is_empty());
    let output = outbox(&bench, &["replay", &id, &id]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), format!("replayed {id}\n"));
    let delivered = bench
        .notify(&["deliver", "--until-empty"])
        .output()
        .unwrap();
    assert_eq!(
        delivered.status.code(),
        Some(0),
        "{}",
        text(&delivered.stderr)
    );
    assert_eq!(bench.told(), ["slack"]);

    let unknown = "ntf_00000000000080008000000000000000";
    let output = outbox(&bench, &["replay", &id, unknown]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let stderr = text(&output.stderr);
    for words in [
        format!("error: {id} is delivered: it has arrived"),
        format!("error: {unknown} is not in this outbox"),
        "hint: `notify outbox list`".to_owned(),
    ] {
        assert!(stderr.contains(&words), "{words:?} is not in {stderr}");
    }
    let output = outbox(&bench, &["replay", "17"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("it looks like `ntf_"));
}

#[test]
fn all_of_one_state_are_replayed_together() {
    let bench = Bench::start();
    bench.fail("slack", 400);
    for _ in 0..3 {
        bench.output(&[], "exit 0");
    }
    bench.fail("slack", 0);
    let output = outbox(
        &bench,
        &["replay", "--state", "rejected", "--state", "held"],
    );
    assert_eq!(text(&output.stdout).lines().count(), 3);
    let again = outbox(&bench, &["replay", "--state", "rejected"]);
    assert_eq!(again.status.code(), Some(0));
    assert!(text(&again.stderr).contains("nothing is in this state"));
    assert!(
        bench
            .notify(&["deliver", "--until-empty"])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(bench.told().len(), 3);
    for arguments in [&["--state", "delivered"][..], &[], &["--state", "lost"]] {
        let output = outbox(&bench, &[&["replay"], arguments].concat());
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn what_waits_is_dropped_with_the_reason_and_nobody_is_told() {
    let bench = Bench::start();
    bench.fail("slack", 500);
    bench.output(&["--wait", "0s"], "exit 0");
    bench.fail("slack", 0);
    let id = id(&bench, "slack.default");
    let output = outbox(&bench, &["drop", &id, "--reason", "the channel is gone"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), format!("dropped {id}\n"));
    assert!(
        bench
            .notify(&["deliver", "--until-empty"])
            .status()
            .unwrap()
            .success()
    );
    assert!(bench.told().is_empty());
    assert_eq!(bench.ledger()[0]["reason"], "the channel is gone");
    let output = outbox(&bench, &["drop", &id]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("is skipped (the channel is gone)"),
        "{stderr}"
    );
}

#[test]
fn the_ledger_is_made_where_the_settings_say() {
    let bench = Bench::start();
    for _ in 0..2 {
        let output = outbox(&bench, &["init"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let path = bench.path("sandbox/notify.db").canonicalize().unwrap();
        let told = text(&output.stdout);
        let mut lines = told.lines();
        assert_eq!(
            lines.next(),
            Some(format!("outbox  {}", path.display()).as_str())
        );
        let schema = lines.next().unwrap().strip_prefix("schema  ").unwrap();
        assert!(schema.parse::<u32>().unwrap() >= 2);
    }
}

#[test]
fn asked_to_end_it_lists_what_is_left() {
    let bench = Bench::start();
    bench.fail("slack", 500);
    for _ in 0..22 {
        bench.output(&["--wait", "0s"], "exit 0");
    }
    let deliver = bench
        .notify(&["deliver"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("attempts", || {
        let tries = |record: &Value| record["tries"].as_u64().unwrap();
        bench
            .ledger()
            .iter()
            .any(|record| tries(record) > 1)
            .then_some(())
    });
    signal(&deliver, Signal::SIGTERM);
    let output = deliver.wait_with_output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(stderr.matches("slack.default").count(), 20, "{stderr}");
    assert!(stderr.ends_with("  and 2 more\n"), "{stderr}");
}

#[test]
fn two_processes_on_one_ledger_deliver_each_thing_once() {
    let bench = Bench::start();
    bench.freeze_sandbox();
    // Few enough that none of them goes in a summary.
    let names = (0..18).map(|number| format!("run-{number}"));
    let events: Vec<Value> = names.map(|name| event(&name, "failed")).collect();
    fs::write(bench.path("events"), lines(&events)).unwrap();
    let emitted = bench
        .notify(&["emit", "events", "--record-only"])
        .output()
        .unwrap();
    assert_eq!(emitted.status.code(), Some(0), "{}", text(&emitted.stderr));
    bench.thaw_sandbox();
    let start = || {
        let mut command = bench.notify(&["deliver", "etl.yaml", "--until-empty"]);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both = [start(), start()].map(|child| child.wait_with_output().unwrap());
    for output in &both {
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    let messages = bench.messages();
    // One incident, and a message of each run to the others.
    assert_eq!(messages.len(), 18 + 18 + 1, "{:?}", bench.told());
    for message in messages {
        let expected = if message["service"] == "pagerduty" {
            17
        } else {
            0
        };
        assert_eq!(message["repeats"], expected, "{message}");
    }
}

/// Files that are no outbox of this program, with what must be said of them.
#[test]
fn a_file_that_is_no_outbox_is_refused_and_left_as_it_is() {
    let bench = Bench::start();
    let file = bench.path("sandbox/notify.db");
    bench.output(&[], "exit 3");
    let whole = fs::read(&file).unwrap();
    let newer = {
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection
            .execute_batch("INSERT INTO notify_schema VALUES (999); PRAGMA journal_mode = DELETE;")
            .unwrap();
        drop(connection);
        fs::read(&file).unwrap()
    };
    let mut corrupt = whole.clone();
    corrupt[100..4096].fill(0xff);
    let table: [(&str, Vec<u8>, &str); 4] = [
        (
            "truncated",
            whole[..whole.len() / 2 - 100].to_vec(),
            "cannot open the outbox",
        ),
        ("corrupt", corrupt, "cannot open the outbox"),
        (
            "no database",
            b"no database at all, but a text".repeat(50),
            "cannot open the outbox",
        ),
        ("newer", newer, "schema 999"),
    ];
    for (what, content, words) in table {
        for name in ["notify.db-wal", "notify.db-shm"] {
            fs::remove_file(bench.path("sandbox").join(name)).ok();
        }
        fs::write(&file, &content).unwrap();
        let commands: [&[&str]; 6] = [
            &["deliver", "--until-empty"],
            &["emit", "--record-only"],
            &["outbox", "list"],
            &["outbox", "init"],
            &["outbox", "replay", "--state", "held"],
            &["outbox", "drop", "ntf_00000000000080008000000000000000"],
        ];
        for arguments in commands {
            let output = bench.notify(arguments).output().unwrap();
            let stderr = text(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(2),
                "{what}: {arguments:?}: {stderr}"
            );
            assert!(stderr.contains(words), "{what}: {arguments:?}: {stderr}");
            assert!(
                stderr.contains("notify.db"),
                "{what}: {arguments:?}: {stderr}"
            );
            assert_eq!(stderr.matches("error: ").count(), 1, "{stderr}");
        }
        assert_eq!(
            fs::read(&file).unwrap(),
            content,
            "{what}: the file was changed"
        );
        let output = bench.output(&[], "touch ran");
        assert_eq!(output.status.code(), Some(125), "{what}");
        assert!(!bench.path("ran").exists());
    }
}

#[test]
fn a_place_where_no_outbox_can_be_made_is_named() {
    let bench = Bench::start();
    let settings = fs::read_to_string(bench.path("sandbox/notify.toml")).unwrap();
    let folder = bench.path("sandbox/locked");
    fs::create_dir(&folder).unwrap();
    let refused = |place: &str| {
        let others = settings.lines();
        let others = others.filter(|line| !line.contains("outbox") && !line.contains("sqlite:"));
        let others = others.collect::<Vec<_>>().join("\n");
        let settings = format!("[outbox]\nurl = \"sqlite:{place}\"\n\n{others}");
        fs::write(bench.path("sandbox/notify.toml"), settings).unwrap();
        let output = outbox(&bench, &["init"]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("cannot open the outbox"), "{stderr}");
        assert!(stderr.contains(place), "{stderr}");
    };
    refused("no/such/folder/notify.db");
    refused("locked");
    refused("/proc/notify.db");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(folder.join("probe"), "").is_ok() {
        // Permissions mean nothing to this user; `/proc` has shown it already.
        return;
    }
    refused("locked/notify.db");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_may_have_arrived_and_must_not_come_twice_waits_for_a_person() {
    let bench = Bench::start();
    let definition = "
workflow: nightly-etl
notifications:
  - phases: failed
    slack: [\"#data-alerts\"]
    if_unknown: hold
";
    fs::write(bench.path("etl.yaml"), definition).unwrap();
    bench.freeze_sandbox();
    let mut run = bench
        .run(&[], "exit 3")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("a delivery on the wire", || {
        let states = bench.states();
        states
            .iter()
            .any(|(_, state)| state == "leased")
            .then_some(())
    });
    signal(&run, Signal::SIGKILL);
    run.wait().unwrap();
    bench.thaw_sandbox();
    let id = id(&bench, "slack.default");

    let deliver = || {
        bench
            .notify(&["deliver", "--until-empty"])
            .output()
            .unwrap()
    };
    let output = deliver();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for words in [
        "held       slack.default",
        "unknown (lost_lease)",
        &format!("`notify outbox replay {id}` sends it again"),
    ] {
        assert!(stderr.contains(words), "{words:?} is not in {stderr}");
    }
    let output = outbox(&bench, &["replay", "--state", "held"]);
    assert_eq!(text(&output.stdout), format!("replayed {id}\n"));
    assert_eq!(deliver().status.code(), Some(0));
    assert_eq!(bench.told(), ["slack"]);
}
