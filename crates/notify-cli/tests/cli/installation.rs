//! Installations of several files: patterns, several workflows in one, rules, an outbox in memory,
//! the engine's settings.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::bench::{Bench, notify, text, wait_for};
use crate::emit::event;

const SEVERAL: &str = "\
workflows:
  - workflow: load
    notifications:
      - phases: failed
        email: [data-oncall@example.com]
  - workflow: report
    notifications:
      - phases: failed
        slack: [\"#data-alerts\"]
";

fn of(workflow: &str, name: &str, phase: &str) -> Value {
    let mut event = event(name, phase);
    event["workflow"] = json!(workflow);
    event
}

fn deliver(bench: &Bench, definitions: &[&str]) {
    let arguments = [&["deliver", "--until-empty"], definitions].concat();
    let output = bench.notify(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn of_several_workflows_in_a_definition_one_is_chosen() {
    let bench = Bench::start();
    fs::write(bench.path("jobs.yaml"), SEVERAL).unwrap();
    let run = |options: &[&str]| {
        let mut command = bench.notify(&["run", "jobs.yaml"]);
        let command = command.args(options);
        command
            .args(["--", "sh", "-c", "touch ran; exit 3"])
            .output()
            .unwrap()
    };
    for (options, words) in [
        (
            &[][..],
            &[
                "`jobs.yaml` declares 2 workflows",
                "`--workflow NAME`: load, report",
            ],
        ),
        (
            &["--workflow", "reprot"],
            &["declares no workflow `reprot`", "it declares load, report"],
        ),
    ] {
        let output = run(options);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{stderr}");
        for words in words {
            assert!(stderr.contains(words), "{words:?} is not in {stderr}");
        }
    }
    assert!(!bench.path("ran").exists());
    assert_eq!(run(&["--workflow", "report"]).status.code(), Some(3));
    assert_eq!(bench.told(), ["slack"]);
}

#[test]
fn a_pattern_names_all_definitions_that_match() {
    let bench = Bench::start();
    fs::create_dir_all(bench.path("flows/nightly")).unwrap();
    fs::write(bench.path("flows/jobs.yaml"), SEVERAL).unwrap();
    fs::rename(bench.path("etl.yaml"), bench.path("flows/nightly/etl.yaml")).unwrap();
    for workflow in ["load", "report", "nightly-etl"] {
        bench.emit(&of(workflow, workflow, "failed"));
    }
    deliver(&bench, &["flows/**/*.yaml"]);
    assert_eq!(
        bench.told(),
        ["email", "email", "pagerduty", "slack", "slack"]
    );
}

#[test]
fn rules_tell_people_of_workflows_that_nobody_declared() {
    let bench = Bench::start();
    bench.settings(|settings| {
        settings
            + "\n[templates]\nshort = \"{{ workflow }} by rule\"\n\n\
               [[rules]]\nmatch = { project = \"analytics\", workflow = \"billing-*\" }\n\
               phases = [\"failed\"]\n\
               slack = { to = \"#data-alerts\", template = { use = \"short\" } }\n"
    });
    let matching = of("billing-eu", "run-1", "failed");
    let mut elsewhere = of("billing-eu", "run-2", "failed");
    elsewhere["execution"]["project"] = json!("test");
    for event in [
        &matching,
        &elsewhere,
        &of("billing-eu", "run-3", "succeeded"),
    ] {
        fs::write(bench.path("event.json"), event.to_string()).unwrap();
        let output = bench.notify(&["emit", "event.json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    assert_eq!(bench.told(), ["slack"]);
    let message = bench.messages()[0].to_string();
    assert!(message.contains("billing-eu by rule"), "{message}");

    // They hold for what is declared as well, beside its own notifications.
    fs::write(
        bench.path("billing-us.yaml"),
        SEVERAL.replace("report", "billing-us"),
    )
    .unwrap();
    let mut run = bench.notify(&["run", "billing-us.yaml", "--workflow", "billing-us"]);
    let run = run.args(["--project", "analytics", "--", "false"]);
    assert_eq!(run.status().unwrap().code(), Some(1));
    assert_eq!(bench.told().len(), 3);
}

#[test]
fn an_outbox_in_memory_serves_a_run_and_says_what_is_lost_with_it() {
    let bench = Bench::start();
    bench.settings(|settings| format!("[outbox]\nurl = \"memory:\"\n\n{settings}"));
    let output = bench.output(&["--wait", "20s"], "exit 3");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    assert_eq!(bench.told(), ["email", "pagerduty", "slack"]);
    bench.fail("slack", 500);
    let output = bench.output(&["--wait", "0s"], "exit 0");
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("1 pending") && stderr.contains("lost now"),
        "{stderr}"
    );
    assert!(!bench.path("sandbox/notify.db").exists());
}

#[test]
fn commands_that_would_work_on_nothing_refuse_an_outbox_in_memory() {
    let bench = Bench::start();
    bench.settings(|settings| format!("[outbox]\nurl = \"memory:\"\n\n{settings}"));
    fs::write(
        bench.path("event.json"),
        event("run-1", "failed").to_string(),
    )
    .unwrap();
    let id = "ntf_00000000000080008000000000000000";
    for arguments in [
        &["deliver", "etl.yaml"][..],
        &["deliver", "--until-empty"],
        &["emit", "event.json", "--record-only"],
        &["outbox", "init"],
        &["outbox", "list"],
        &["outbox", "replay", id],
        &["outbox", "drop", id],
    ] {
        let output = bench.notify(arguments).output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty());
        for words in ["the outbox is `memory:`", "url = \"sqlite:notify.db\""] {
            assert!(stderr.contains(words), "{words:?} is not in {stderr}");
        }
    }
}

#[test]
fn the_engine_waits_as_long_as_the_settings_say() {
    let bench = Bench::start();
    bench.fail("slack", 500);
    bench.settings(|settings| {
        format!("[engine]\nfirst_wait = \"1h\"\nlongest_wait = \"2h\"\n\n{settings}")
    });
    let output = bench.output(&["--wait", "0s"], "exit 0");
    let stderr = text(&output.stderr);
    let wait = stderr.split("next try in ").nth(1).unwrap().trim();
    assert!(wait.contains('m') && !wait.contains("ms"), "{wait}");
}

#[test]
fn the_engine_gives_up_when_the_settings_say() {
    let bench = Bench::start();
    bench.fail("slack", 500);
    bench.output(&["--wait", "0s"], "exit 0");
    bench.fail("slack", 0);
    let ledger = rusqlite::Connection::open(bench.path("sandbox/notify.db")).unwrap();
    let five_minutes_ago = "UPDATE notify_delivery SET created_at = created_at - 300000000";
    assert_eq!(ledger.execute(five_minutes_ago, []).unwrap(), 1);
    drop(ledger);
    bench.settings(|settings| format!("[engine]\nmax_age = \"1m\"\n\n{settings}"));
    deliver(&bench, &[]);
    let record = &bench.ledger()[0];
    assert_eq!(record["state"], "expired", "{record}");
    let reason = record["reason"].as_str().unwrap();
    assert!(reason.starts_with("gave up after 5m"), "{reason}");
    assert!(bench.told().is_empty());
}

/// A definition that names a template of the `notify.toml` beside it, whose accounts lead elsewhere.
fn with_a_template() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let definition = "workflow: a\nnotifications: [{phases: failed, slack: {to: \"#ops\", template: \
                      {use: short}}}]\n";
    let settings =
        "[accounts.slack.prod]\nnonsense = 1\n[templates]\nshort = { file = \"short.md\" }\n";
    for (name, content) in [
        ("etl.yaml", definition),
        ("notify.toml", settings),
        ("short.md", "{{ workflow }} broke"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

#[test]
fn a_sandbox_has_the_templates_of_the_settings_and_accounts_of_its_own() {
    let folder = with_a_template();
    let run = |arguments: &[&str]| {
        let mut command = notify();
        command.current_dir(folder.path());
        command.args([&["run", "etl.yaml", "--sandbox"], arguments].concat());
        command.args(["--", "false"]);
        command
    };
    let output = run(&[]).output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("delivered  slack.default"), "{stderr}");
    // What is meant for everything else is in nobody's way.
    let output = run(&[])
        .env("NOTIFY_CONFIG", "notify.toml")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let output = run(&["--config", "notify.toml"]).output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(stderr.contains("cannot be used with '--config"), "{stderr}");
}

#[test]
fn what_was_delivered_after_another_look_at_the_secret_is_not_said_to_be_held() {
    let bench = Bench::start();
    let script = "printf x >> n; if [ $(wc -c < n) -lt 3 ]; then echo xoxb-0000-wrong; else \
                  until [ -e go ]; do :; done; cat slack_token; fi";
    bench.settings(|settings| {
        let by_command = format!("token = {{ command = [\"sh\", \"-c\", \"{script}\"] }}");
        let line = settings
            .lines()
            .find(|line| line.starts_with("token = "))
            .unwrap();
        settings.replace(line, &by_command)
    });
    // It is read before the command and when the account connects, and again when it was refused.
    let mut run = bench.run(&["--wait", "30s"], "exit 0");
    let run = run.stderr(Stdio::piped()).spawn().unwrap();
    let held = [("slack.default".to_owned(), "held".to_owned())];
    wait_for("a refusal", || (bench.states() == held).then_some(()));
    fs::write(bench.path("sandbox/go"), "").unwrap();
    let output = run.wait_with_output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(bench.told(), ["slack"], "{stderr}");
    assert!(!stderr.contains("held"), "{stderr}");
}
