//! `notify test`: a marked message through one account, and what is said where it does not arrive.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::bench::{Bench, notify, text};
use crate::check::{assert_explained, keys};
use crate::refusals::flat;

fn test(bench: &Bench, arguments: &[&str]) -> Output {
    let mut command = bench.notify(&["test"]);
    command.args(arguments).output().unwrap()
}

/// A folder with a `notify.toml`, in which a test is run.
fn in_folder(settings: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notify.toml"), settings).unwrap();
    let mut command = notify();
    command.current_dir(folder.path()).arg("test");
    command.args(arguments).output().unwrap()
}

#[test]
fn a_marked_message_arrives_and_its_receipt_is_shown() {
    let bench = Bench::start();
    for (account, to) in [
        ("slack.default", "#data-alerts"),
        ("email", "data-oncall@example.com"),
        ("pagerduty.default", "data-platform"),
    ] {
        let output = test(&bench, &[account, "--to", to]);
        let stdout = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let last = stdout.lines().last().unwrap();
        assert!(last.starts_with("message "), "{stdout}");
        assert!(
            last.contains(&format!("delivered  {to}  receipt ")),
            "{stdout}"
        );
        assert_eq!(text(&output.stderr), "");
    }
    let messages = bench.messages();
    for service in ["slack", "email", "pagerduty"] {
        // A look at the way to the vendor can be a message too; it comes before.
        let mut of_service = messages.iter().filter(|one| one["service"] == service);
        let last = of_service.next_back().unwrap().to_string();
        assert!(last.contains("Test message of notify"), "{last}");
    }
    assert!(bench.ledger().is_empty(), "a test is no end of a workflow");
}

#[test]
fn a_sandbox_needs_no_account_and_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["slack.default", "--to", "#x"][..],
        &["slack.prod", "--to", "#x", "--to", "#y", "--to", "a@b.co"],
        &["slack"],
        &["email"],
        &["pagerduty"],
    ] {
        let mut command = notify();
        command
            .current_dir(folder.path())
            .args(["test", "--sandbox"]);
        let output = command.args(arguments).output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        let stdout = text(&output.stdout);
        let named = arguments.iter().filter(|one| **one == "--to").count();
        let told = named.max(1);
        assert_eq!(stdout.matches("  receipt ").count(), told, "{stdout}");
    }
    let mut command = notify();
    command.current_dir(folder.path());
    command.args(["test", "slack", "--sandbox", "--config", "notify.toml"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot be used with"));
}

#[test]
fn the_vendors_words_and_the_way_to_mend_it_are_told_and_no_secret() {
    let bench = Bench::start();
    fs::write(bench.path("sandbox/slack_token"), "xoxb-wrong-hunter2").unwrap();
    let output = test(&bench, &["slack.default", "--to", "#data-alerts"]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    assert!(stderr.contains("invalid_auth"), "{stderr}");
    assert!(
        stderr.contains("error: `slack.default` failed at "),
        "{stderr}"
    );
    assert!(stderr.contains("hint: "), "{stderr}");
    assert!(!stdout.contains("hunter2") && !stderr.contains("hunter2"));
    assert!(bench.told().is_empty());

    let output = test(&bench, &["slack.default", "--to", "#data-alerts", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["delivered"], false);
    let stages = document["stages"].as_array().unwrap();
    assert_eq!(stages.last().unwrap()["passed"], false);
    assert!(document["deliveries"].as_array().unwrap().is_empty());

    fs::remove_file(bench.path("sandbox/slack_token")).unwrap();
    let output = test(&bench, &["slack.default", "--to", "#data-alerts"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("failed at secrets: cannot read the secret in file"),
        "{stderr}"
    );
}

#[test]
fn a_message_that_is_refused_is_an_error_with_the_vendors_answer() {
    let bench = Bench::start();
    bench.fail("email", 550);
    let output = test(
        &bench,
        &["email.default", "--to", "data-oncall@example.com"],
    );
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("550"), "{stderr}");
    assert!(bench.told().is_empty());
}

#[test]
fn what_was_held_for_the_account_is_released_where_the_test_succeeds() {
    let bench = Bench::start();
    let token = fs::read_to_string(bench.path("sandbox/slack_token")).unwrap();
    fs::write(bench.path("sandbox/slack_token"), "xoxb-wrong-wrong").unwrap();
    bench.output(&[], "exit 0");
    let state = |bench: &Bench| bench.states()[0].1.clone();
    assert_eq!(state(&bench), "held");
    let arguments = ["slack.default", "--to", "#data-alerts"];
    assert_eq!(test(&bench, &arguments).status.code(), Some(1));
    assert_eq!(state(&bench), "held");

    fs::write(bench.path("sandbox/slack_token"), token).unwrap();
    let output = test(&bench, &arguments);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let last = stdout.lines().last().unwrap();
    assert!(
        last.starts_with("outbox ") && last.contains("1 delivery"),
        "{stdout}"
    );
    assert_eq!(state(&bench), "pending");
    let output = test(&bench, &[&arguments[..], &["--json"]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["released"], 0);
    assert_eq!(document["deliveries"][0]["outcome"], "delivered");
}

#[test]
fn mistakes_are_told_as_those_in_files_and_nothing_is_sent() {
    let bench = Bench::start();
    bench.settings(|settings| {
        format!("{settings}\n[accounts.slack.off]\nenabled = false\ntoken = {{ env = \"T\" }}\n")
    });
    for (arguments, words) in [
        (
            &["slack.default", "--to", "#Data"][..],
            &["NOTIFY-0012", "no capitals", "write `#data`"][..],
        ),
        (
            &["pagerduty.default", "--to", "data-platfrom"],
            &["NOTIFY-0017", "data-platform"],
        ),
        (
            &["pagerduty.default", "--to", "ops@example.com"],
            &["NOTIFY-0012", "belongs under `email`"],
        ),
        (
            &["slack.defualt"],
            &["NOTIFY-0015", "did you mean `default`?"],
        ),
        (&["slack.zebra"], &["NOTIFY-0015", "`default`, `off`"]),
        (&["slak.default"], &["NOTIFY-0013", "did you mean `slack`?"]),
        (&["webhook"], &["NOTIFY-0015", "[accounts.webhook.default]"]),
        (&["slack.off"], &["switched off", "enabled = false"]),
        (&["slack.default"], &["NOTIFY-0011", "`--to`"]),
        (
            &["slack.default.x", "--to", "#x"],
            &["`default.x` is not an account name"],
        ),
        (&["#x"], &["<ACCOUNT>"]),
    ] {
        let output = test(&bench, arguments);
        let stderr = flat(&text(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        for word in words {
            assert!(
                stderr.contains(word),
                "{arguments:?}: {word:?} is not in {stderr}"
            );
        }
    }
    assert!(bench.told().is_empty());

    let output = in_folder("[accounts.slack.prod]\ntokn = 3\n", &["slack"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("NOTIFY-0005"));
    let output = in_folder("[outbox]\nurl = \"memory:\"\n", &["slack"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn those_whom_the_account_names_are_told_where_nobody_is() {
    let bench = Bench::start();
    bench.settings(|settings| {
        let section = "[accounts.slack.default]\n";
        settings.replace(section, &format!("{section}channel = \"#data-alerts\"\n"))
    });
    let output = test(&bench, &["slack"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("delivered  #data-alerts  receipt "));

    let definition = "workflow: nightly-etl\nnotifications:\n  - {phases: failed, slack: {}}\n  - {phases: failed, pagerduty: [data-platform, data-oncall@example.com]}\n";
    fs::write(bench.path("etl.yaml"), definition).unwrap();
    let output = bench.output(&[], "exit 3");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let mut listed = bench.notify(&["outbox", "list"]);
    let listed = text(&listed.output().unwrap().stdout);
    for line in [
        "slack.default      #data-alerts  nightly-etl failed",
        "pagerduty.default  data-platform  nightly-etl failed",
        "email.default      data-oncall@example.com (declared under pagerduty)  nightly-etl failed",
    ] {
        assert!(listed.contains(line), "{line:?} is not in {listed}");
    }
    assert_eq!(listed.matches("  delivered  ").count(), 3, "{listed}");
    let ledger = bench.ledger();
    let mail = ledger
        .iter()
        .find(|record| record["account"] == "email.default");
    let mail = mail.unwrap();
    assert_eq!(mail["declared_under"], "pagerduty");
    let id = mail["delivery"].as_str().unwrap();
    let shown = bench.notify(&["outbox", "show", id]).output().unwrap();
    let shown = text(&shown.stdout);
    assert!(
        shown.contains("declared under  pagerduty, which gives this recipient to email"),
        "{shown}"
    );
}

#[test]
fn an_output_that_takes_nothing_is_no_success() {
    let bench = Bench::start();
    bench.output(&[], "exit 0");
    let id = bench.ledger()[0]["delivery"].as_str().unwrap().to_owned();
    for arguments in [
        &["test", "slack.default", "--to", "#data-alerts"][..],
        &["outbox", "list"],
        &["outbox", "list", "--events", "--json"],
        &["outbox", "show", &id],
        &["outbox", "init"],
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = bench.notify(arguments).stdout(full).output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains("cannot write to standard output"),
            "{stderr}"
        );
    }
}

#[test]
fn in_the_sandbox_every_account_names_somebody() {
    let folder = tempfile::tempdir().unwrap();
    let definition = "workflow: w
notifications:
  - {phases: failed, slack: {}}
  - {phases: failed, email: {}}
  - {phases: failed, pagerduty: {}}
  - {phases: failed, pagerduty: [ops@example.com]}
";
    fs::write(folder.path().join("w.yaml"), definition).unwrap();
    let mut command = notify();
    command.current_dir(folder.path());
    let output = command.args(["run", "w.yaml", "--sandbox", "--", "false"]);
    let stderr = text(&output.output().unwrap().stderr);
    assert_eq!(stderr.matches("  delivered  ").count(), 4, "{stderr}");
}

#[test]
fn the_reference_explains_every_key_of_the_document() {
    let bench = Bench::start();
    let arguments = ["slack.default", "--to", "#data-alerts", "--json"];
    let output = test(&bench, &arguments);
    let mut all = Vec::new();
    keys(
        &serde_json::from_slice(&output.stdout).unwrap(),
        "",
        &mut all,
    );
    assert_explained("test-json.md", all);
}
