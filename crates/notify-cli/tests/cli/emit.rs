//! `notify emit`: events as JSON, from files and pipes.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Output, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::bench::{Bench, signal, text, wait_for};

pub(crate) fn event(name: &str, phase: &str) -> Value {
    json!({
        "version": 1,
        "workflow": "nightly-etl",
        "execution": {"project": "analytics", "domain": "production", "name": name},
        "phase": phase,
    })
}

pub(crate) fn lines(events: &[Value]) -> String {
    let lines: Vec<String> = events.iter().map(ToString::to_string).collect();
    lines.join("\n") + "\n"
}

/// Emits an input as it comes from a pipe.
fn emit(bench: &Bench, options: &[&str], input: &[u8]) -> Output {
    let mut command = bench.notify(&["emit"]);
    let mut child = command
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // What is refused at once need not be read.
        stdin.write_all(&input).ok();
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

const DEFINED: [&str; 2] = ["--definitions", "etl.yaml"];
const RECORD: [&str; 1] = ["--record-only"];

/// The first words of the answers.
fn answers(output: &Output) -> Vec<String> {
    let first = |line: &str| line.split(' ').next().unwrap().to_owned();
    text(&output.stdout).lines().map(first).collect()
}

#[test]
fn events_from_a_pipe_are_recorded_answered_in_order_and_delivered() {
    let bench = Bench::start();
    let input = lines(&[
        event("run-1", "failed"),
        event("run-2", "succeeded"),
        event("run-1", "failed"),
    ]);
    let output = emit(&bench, &DEFINED, input.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let stdout = text(&output.stdout);
    let answers: Vec<&str> = stdout.lines().collect();
    let [first, second, again] = answers.as_slice() else {
        panic!("{stdout}");
    };
    let id = first.strip_prefix("recorded evt_").unwrap();
    assert!(second.starts_with("recorded evt_"), "{stdout}");
    assert_eq!(*again, format!("duplicate evt_{id}"));
    // The incident of the first may be over before anybody is paged.
    let told = bench.told();
    assert!(told.starts_with(&["email".to_owned()]), "{told:?}");
    assert!(
        told.ends_with(&["slack".to_owned(), "slack".to_owned()]),
        "{told:?}"
    );
}

#[test]
fn an_answer_comes_as_soon_as_it_is_durable_and_not_at_the_end_of_the_input() {
    let bench = Bench::start();
    let (mut child, mut stdin, mut answers) = open(&bench, &DEFINED);
    for name in ["run-1", "run-2"] {
        writeln!(stdin, "{}", event(name, "failed")).unwrap();
        assert!(
            answers
                .next()
                .unwrap()
                .unwrap()
                .starts_with("recorded evt_")
        );
        // Another process sees it, and delivery does not wait for the end either.
        let told = || (bench.messages().len() >= 3).then_some(());
        wait_for("the messages of an event", told);
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// An `emit` that waits for more.
fn open(bench: &Bench, options: &[&str]) -> (Child, ChildStdin, Lines<BufReader<ChildStdout>>) {
    let mut child = bench
        .notify(&["emit"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    let answers = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, stdin, answers)
}

#[test]
fn what_does_not_read_is_refused_with_every_place_and_the_rest_is_recorded() {
    let bench = Bench::start();
    let mut wrong = event("run-2", "running");
    wrong["urll"] = json!("https://example.com");
    wrong["execution"]["domain"] = json!("");
    let mut own = event("run-3", "failed");
    own["notifications"] = json!([{"phases": ["failed"], "slak": ["#data"]}]);
    let input = format!(
        "{}\n{wrong}\nnot JSON\n\n{own}\n[1, 2]\n{}\n",
        event("run-1", "failed"),
        event("run-1", "succeeded"),
    );
    let output = emit(&bench, &RECORD, input.as_bytes());
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let stdout = text(&output.stdout);
    let begins: Vec<&str> = stdout
        .lines()
        .map(|line| &line[..9.min(line.len())])
        .collect();
    assert_eq!(
        begins,
        [
            "recorded ",
            "refused 2",
            "refused 3",
            "refused 5",
            "refused 6",
            "refused 6",
            "conflict ",
        ],
        "{stdout}"
    );
    for words in [
        "error: line 2: execution.domain: ",
        "error: line 2: phase: `running` is not an end",
        "error: line 2: urll: ",
        "did you mean `url`?",
        "error: line 3: this does not read as JSON",
        "error: line 5: notifications[0].slak: ",
        "did you mean `slack`?",
        "error: line 6: [1]: an event is a map",
        "warning: line 7: another end of this attempt is on record (evt_",
        "NOTIFY-0013",
    ] {
        assert!(stderr.contains(words), "{words:?} is not in {stderr}");
    }
}

#[test]
fn with_json_each_answer_is_an_object() {
    let bench = Bench::start();
    let mut wrong = event("run-2", "running");
    wrong["urll"] = json!("https://example.com");
    let input = format!("{}\n{wrong}\n", event("run-1", "failed"));
    let output = emit(&bench, &["--record-only", "--json"], input.as_bytes());
    let answers: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers[0]["line"], 1);
    assert_eq!(answers[0]["result"], "recorded");
    assert!(answers[0]["event"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(answers[1]["result"], "refused");
    let problems = answers[1]["problems"].as_array().unwrap();
    let paths: Vec<&str> = problems
        .iter()
        .map(|one| one["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["phase", "urll"], "{problems:?}");
    assert_eq!(problems[1]["code"], "NOTIFY-0005");
    assert_eq!(problems[1]["help"], "did you mean `url`?");
}

#[test]
fn a_file_may_hold_one_document_over_many_lines() {
    let bench = Bench::start();
    let pretty = serde_json::to_string_pretty(&event("run-1", "failed")).unwrap();
    let list = json!([event("run-1", "failed"), event("run-2", "failed")]);
    let list = serde_json::to_string_pretty(&list).unwrap();
    for (document, expected) in [
        (pretty, &["recorded"][..]),
        (list, &["duplicate", "recorded"][..]),
    ] {
        fs::write(bench.path("events.json"), document).unwrap();
        let output = emit(&bench, &["events.json", "--record-only"], b"");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(answers(&output), expected);
    }
}

#[test]
fn an_input_that_holds_nothing_or_no_text_is_told_of() {
    let bench = Bench::start();
    let empty = emit(&bench, &RECORD, b"");
    assert_eq!(empty.status.code(), Some(0));
    assert!(text(&empty.stderr).contains("holds no event"));
    let mut binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    binary.extend(format!("\n{}\n", event("run-1", "failed")).bytes());
    let output = emit(&bench, &RECORD, &binary);
    assert_eq!(output.status.code(), Some(2));
    let answers = answers(&output);
    assert_eq!(answers.last().map(String::as_str), Some("recorded"));
    assert!(
        answers[..answers.len() - 1]
            .iter()
            .all(|word| word == "refused")
    );
    for file in ["missing.json", "."] {
        let output = emit(&bench, &[file], b"");
        assert_eq!(output.status.code(), Some(2));
        let stderr = text(&output.stderr);
        assert!(
            stderr.contains(&format!("cannot read `{file}`")),
            "{stderr}"
        );
    }
}

#[test]
fn an_event_without_an_execution_or_with_odd_times_is_told_of_as_it_is() {
    let bench = Bench::start();
    let mut nameless = event("run-1", "failed");
    nameless.as_object_mut().unwrap().remove("execution");
    let mut backwards = event("run-2", "failed");
    backwards["started_at"] = json!("2026-01-02T00:00:00Z");
    backwards["ended_at"] = json!("2026-01-01T00:00:00Z");
    let mut ahead = event("run-3", "failed");
    ahead["ended_at"] = json!("2999-01-01T00:00:00Z");
    let output = emit(
        &bench,
        &DEFINED,
        lines(&[nameless, backwards, ahead]).as_bytes(),
    );
    assert_eq!(answers(&output), ["refused", "recorded", "recorded"]);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("`execution`"), "{stderr}");
    assert_eq!(bench.told().len(), 5, "{:?}", bench.told());
    for event in bench.events(&[]) {
        assert!(event["ended_at"].as_str().unwrap() < "2999", "{event}");
    }
}

#[test]
fn a_huge_event_is_cut_and_delivered_and_a_longer_one_is_refused() {
    let bench = Bench::start();
    let mut huge = event("run-1", "failed");
    let noise = "row 4: bad amount\n".repeat(600_000);
    huge["failure"] = json!({"message": format!("{noise}the last words")});
    huge["outputs"] = json!({"log": noise});
    let huge = huge.to_string();
    assert!(huge.len() > 20_000_000);
    let longer = format!("{{\"workflow\": \"{}\"}}", "x".repeat(33 << 20));
    let input = format!("{longer}\n{huge}\n{}\n", event("run-2", "failed"));
    let output = emit(&bench, &DEFINED, input.as_bytes());
    let stderr = text(&output.stderr);
    assert_eq!(
        answers(&output),
        ["refused", "recorded", "recorded"],
        "{stderr}"
    );
    assert!(
        stderr.contains("line 1: this is longer than 32 MiB"),
        "{stderr}"
    );
    assert_eq!(bench.told().len(), 5, "{:?}", bench.told());
    let raw: Vec<String> = bench.messages().iter().map(ToString::to_string).collect();
    assert!(raw.iter().any(|raw| raw.contains("the last words")));
    let ledger = fs::metadata(bench.path("sandbox/notify.db")).unwrap().len();
    assert!(ledger < 2_000_000, "{ledger}");
}

#[test]
fn many_events_share_commits_and_are_answered_in_their_order() {
    let bench = Bench::start();
    let names: Vec<String> = (0..5_000).map(|number| format!("run-{number}")).collect();
    let events: Vec<Value> = names.iter().map(|name| event(name, "succeeded")).collect();
    let output = emit(&bench, &RECORD, lines(&events).as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let answered = text(&output.stdout);
    let answered: Vec<&str> = answered
        .lines()
        .map(|line| line.strip_prefix("recorded ").unwrap())
        .collect();
    let recorded = bench.events(&["--most", "10000"]);
    assert_eq!(recorded.len(), names.len());
    for ((name, id), record) in names.iter().zip(answered).zip(recorded) {
        assert_eq!(record["name"], name.as_str());
        assert_eq!(record["event"], id);
    }
}

#[test]
fn events_of_workflows_that_nobody_knows_wait_for_another_engine() {
    let bench = Bench::start();
    let input = lines(&[event("run-1", "failed")]);
    let output = emit(&bench, &["--wait", "0s"], input.as_bytes());
    assert_eq!(output.status.code(), Some(0));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("1 events not planned"), "{stderr}");
    assert_eq!(bench.events(&["--state", "accepted"]).len(), 1);
    let delivered = bench
        .notify(&["deliver", "etl.yaml", "--until-empty"])
        .output();
    assert!(delivered.unwrap().status.success());
    assert_eq!(bench.told(), ["email", "pagerduty", "slack"]);
}

#[test]
fn a_signal_ends_the_reading_and_what_was_acknowledged_is_on_record() {
    let bench = Bench::start();
    for (name, sent, expected) in [("a", Signal::SIGTERM, 143), ("b", Signal::SIGINT, 130)] {
        let (mut child, mut stdin, mut answers) = open(&bench, &RECORD);
        writeln!(stdin, "{}", event(name, "failed")).unwrap();
        answers.next().unwrap().unwrap();
        // Half an event, that never ends.
        write!(stdin, "{{\"workflow\": ").unwrap();
        signal(&child, sent);
        assert_eq!(child.wait().unwrap().code(), Some(expected));
    }
    assert_eq!(bench.events(&["--state", "accepted"]).len(), 2);
}

#[test]
fn a_reader_that_has_seen_enough_ends_it() {
    let bench = Bench::start();
    let (mut child, mut stdin, mut answers) = open(&bench, &RECORD);
    writeln!(stdin, "{}", event("run-1", "failed")).unwrap();
    answers.next().unwrap().unwrap();
    drop(answers);
    writeln!(stdin, "{}", event("run-2", "failed")).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(bench.events(&[]).len(), 2);
}

#[test]
fn one_process_delivers_while_others_emit() {
    let bench = Bench::start();
    let mut deliver = bench
        .notify(&["deliver", "etl.yaml"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let inputs = ["a", "b"].map(|who| {
        // Few enough that none of them goes in a summary.
        let names = (0..9).map(|number| format!("{who}-{number}"));
        let events: Vec<Value> = names.map(|name| event(&name, "succeeded")).collect();
        lines(&events)
    });
    std::thread::scope(|scope| {
        let emits = inputs.each_ref().map(|input| {
            let bench = &bench;
            scope.spawn(move || emit(bench, &RECORD, input.as_bytes()))
        });
        for emit in emits {
            let output = emit.join().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
            assert_eq!(answers(&output).len(), 9);
        }
    });
    wait_for("the end of all deliveries", || {
        let states = bench.states();
        let done = states
            .iter()
            .filter(|(_, state)| state == "delivered")
            .count();
        (done == 18).then_some(())
    });
    signal(&deliver, Signal::SIGTERM);
    assert_eq!(deliver.wait().unwrap().code(), Some(0));
    assert_eq!(bench.messages().len(), 18);
}

#[test]
fn an_outbox_that_stays_busy_ends_it_and_a_second_try_records_what_was_left() {
    let bench = Bench::start();
    assert!(
        bench
            .notify(&["outbox", "init"])
            .status()
            .unwrap()
            .success()
    );
    let connection = rusqlite::Connection::open(bench.path("sandbox/notify.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let input = lines(&[event("run-1", "failed")]);
    let options = ["--record-only", "--wait", "0s"];
    let output = emit(&bench, &options, input.as_bytes());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).starts_with("failed 1 "),
        "{}",
        text(&output.stdout)
    );
    assert!(text(&output.stderr).contains("line 1: this is not on record"));
    connection.execute_batch("ROLLBACK").unwrap();
    let output = emit(&bench, &options, input.as_bytes());
    assert_eq!(answers(&output), ["recorded"]);
}
