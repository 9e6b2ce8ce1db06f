//! The guide's examples and the README's, run as they stand there.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::bench::{Bench, notify, root, text};

/// Tells whether a program is there. Where everything must be tested, it has to be.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the environment says whether a missing program is a failure; a skipped test says so"
)]
fn is_there(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!must, "`{program}` is missing");
        eprintln!("skipped: there is no `{program}`");
    }
    found
}

fn example(name: &str) -> String {
    let path = root().join("examples/own-transaction").join(name);
    path.to_str().unwrap().to_owned()
}

/// Makes a ledger, has a scheduler write to it, delivers, and expects who is told.
#[track_caller]
fn is_told_of(told: &[&str], schedule: impl Fn(&Path)) {
    let bench = Bench::start();
    let made = bench.notify(&["outbox", "init"]).output().unwrap();
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    schedule(&bench.path("sandbox/notify.db"));
    let mut deliver = bench.notify(&["deliver", "etl.yaml", "--until-empty"]);
    let delivered = deliver.output().unwrap();
    assert_eq!(
        delivered.status.code(),
        Some(0),
        "{}",
        text(&delivered.stderr)
    );
    assert_eq!(bench.told(), told);
    for message in bench.messages() {
        assert!(
            message.to_string().contains("row 4: bad amount"),
            "{message}"
        );
    }
}

#[test]
fn a_scheduler_in_python_tells_people_in_its_own_transaction() {
    if !is_there("python3") {
        return;
    }
    is_told_of(&["email", "pagerduty", "slack"], |ledger| {
        let script = example("scheduler.py");
        let run = |arguments: &[&str]| {
            let mut command = Command::new("python3");
            command.arg(&script).arg(ledger).args(arguments);
            command.output().unwrap()
        };
        let output = run(&["run-17", "row 4: bad amount"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        // What is refused takes the run's new state back with it.
        let refused = run(&["", "row 4: bad amount"]);
        assert!(!refused.status.success());
        let stderr = text(&refused.stderr);
        assert!(stderr.contains("CHECK constraint failed: "), "{stderr}");
        let connection = rusqlite::Connection::open(ledger).unwrap();
        let state: String = connection
            .query_row("SELECT state FROM run WHERE name = ''", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(state, "running");
    });
}

#[test]
fn a_scheduler_in_the_sqlite_shell_tells_people_in_its_own_transaction() {
    if !is_there("sqlite3") {
        return;
    }
    is_told_of(&["email", "pagerduty", "slack"], |ledger| {
        for script in ["schema.sql", "scheduler.sql"] {
            let output = Command::new("sqlite3")
                .arg(ledger)
                .stdin(fs::File::open(example(script)).unwrap())
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert_eq!(text(&output.stderr), "");
        }
    });
}

/// The blocks of a page that are of one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let page = fs::read_to_string(root().join(page)).unwrap();
    page.split(&format!("```{language}\n"))
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_guide_shows_what_the_examples_do() {
    let guide = "docs/guides/own-transaction.md";
    let sources =
        ["scheduler.py", "scheduler.rs"].map(|name| fs::read_to_string(example(name)).unwrap());
    for (language, source) in ["python", "rust"].iter().zip(&sources) {
        for block in blocks(guide, language) {
            assert!(source.contains(&block), "{block}");
        }
    }
    for block in blocks(guide, "sql") {
        assert_eq!(block.trim(), workflow_notify::INTAKE);
        assert!(
            sources[0].contains(&format!("\"{}\"", block.trim())),
            "{block}"
        );
    }
}

#[test]
fn the_guides_event_is_recorded_and_every_key_of_it_is_explained() {
    let bench = Bench::start();
    let [event] = blocks("docs/guides/own-transaction.md", "json")
        .try_into()
        .unwrap();
    fs::write(bench.path("event.json"), &event).unwrap();
    let output = bench
        .notify(&["emit", "event.json", "--record-only"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));

    let page = fs::read_to_string(root().join("docs/guides/own-transaction.md")).unwrap();
    let event: Value = serde_json::from_str(&event).unwrap();
    let mut keys = Vec::new();
    for (key, value) in event.as_object().unwrap() {
        match (key.as_str(), value) {
            ("execution" | "failure", Value::Object(map)) => {
                keys.extend(map.keys().map(|inner| format!("{key}.{inner}")));
            }
            ("tasks", Value::Array(tasks)) => {
                let task = tasks[0].as_object().unwrap();
                keys.extend(task.keys().map(|inner| format!("{key}[].{inner}")));
            }
            _ => keys.push(key.clone()),
        }
    }
    assert_eq!(keys.len(), 20, "{keys:?}");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    for key in keys {
        assert!(
            rows.iter().any(|row| row.contains(&format!("`{key}`"))),
            "`{key}` is not explained"
        );
    }
}

#[test]
fn the_readmes_event_is_recorded_and_delivered() {
    let bench = Bench::start();
    fs::copy(bench.path("etl.yaml"), bench.path("nightly-etl.yaml")).unwrap();
    let blocks = blocks("README.md", "sh");
    let emit = blocks
        .iter()
        .find(|block| block.contains("notify emit"))
        .unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_notify")).parent().unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("PATH={}:$PATH\n{emit}", programs.display())])
        .current_dir(bench.folder.path())
        .env("NOTIFY_CONFIG", "sandbox/notify.toml")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("recorded evt_"));
    assert_eq!(bench.told(), ["email", "pagerduty", "slack"]);
}

#[test]
fn the_commands_exit_statuses_are_in_their_help() {
    for command in [
        &["run"][..],
        &["emit"],
        &["deliver"],
        &["check"],
        &["outbox", "replay"],
        &["outbox", "drop"],
    ] {
        let output = notify().args(command).arg("--help").output().unwrap();
        assert!(
            text(&output.stdout).contains("Exit status: "),
            "{command:?}"
        );
    }
}
