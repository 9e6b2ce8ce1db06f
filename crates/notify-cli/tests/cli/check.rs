//! `notify check`: for people, for programs, and what is in force.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::bench::{notify, root, text};

const SETTINGS: &str = "\
[outbox]
url = \"sqlite:var/${NAME}.db\"

[engine]
max_age = \"2h\"
collapse_after = 0

[accounts.slack.prod]
token = { file = \"token\" }

[templates]
short = \"{{ workflow }} {{ phase }}\"

[[rules]]
match = { project = \"prod\", workflow = \"billing-*\" }
phases = [\"failed\"]
slack = { to = \"#billing-ops\", template = { use = \"short\" } }
";

const DEFINITION: &str = "\
workflows:
  - workflow: load
    notifications:
      - phases: failed
        slack: [\"#data\"]
  - workflow: report
    notifications:
      - phases: [failed, timed_out]
        when: changed
        slack: {to: [\"#data\"], template: {use: short}}
        if_unknown: hold
";

const SECRET: &str = "xoxb-hunter2-hunter2";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn sound() -> tempfile::TempDir {
    let folder = folder(&[
        ("notify.toml", SETTINGS),
        ("jobs.yaml", DEFINITION),
        ("token", SECRET),
    ]);
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(folder.path().join("token"), owner_only).unwrap();
    folder
}

fn check(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = notify();
    command.current_dir(folder).arg("check").args(arguments);
    command.env("NAME", "notify").output().unwrap()
}

fn document(output: &Output) -> Value {
    assert_eq!(text(&output.stderr), "");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn without_definitions_the_settings_are_checked_alone() {
    let folder = sound();
    let output = check(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout) + &text(&output.stderr), "");
    let wrong = SETTINGS.replace("max_age", "maxage");
    fs::write(folder.path().join("notify.toml"), wrong).unwrap();
    let output = check(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean `max_age`?"));
}

#[test]
fn what_is_sound_is_checked_beside_what_is_broken() {
    let folder = sound();
    fs::write(folder.path().join("broken.yaml"), "workflow: [\n").unwrap();
    let lost = DEFINITION.replace(
        "slack: [\"#data\"]",
        "slack: {to: \"#data\", account: test}",
    );
    fs::write(folder.path().join("jobs.yaml"), lost).unwrap();
    let output = check(folder.path(), &["*.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    for words in ["broken.yaml:", "NOTIFY-0003", "jobs.yaml:5:", "NOTIFY-0015"] {
        assert!(stderr.contains(words), "{words:?} is not in {stderr}");
    }
}

#[test]
fn every_problem_is_told_to_programs_with_its_place() {
    let wrong = "\
workflow: w
notifications:
  - phases: faild
    slack: [\"#dätä\", \"no body\"]
  - phases: failed
    slak: [\"#data\"]
";
    let folder = sound();
    fs::write(folder.path().join("wrong.yaml"), wrong).unwrap();
    let output = check(folder.path(), &["wrong.yaml", "missing.yaml", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!("problems_as_json", text(&output.stdout));
    let document = document(&output);
    assert_eq!(document["counts"]["errors"], 4);
    // Columns are counted in characters.
    assert_eq!(document["diagnostics"][2]["column"], 22);
    let output = check(folder.path(), &["wrong.yaml"]);
    assert!(text(&output.stderr).contains("[wrong.yaml:4:22]"));
}

#[test]
fn warnings_and_missing_secrets_are_told_to_programs_and_refuse_nothing() {
    let folder = sound();
    fs::remove_file(folder.path().join("token")).unwrap();
    let twice = "
workflow: w
notifications:
  - phases: failed
    slack: [\"#data\"]
  - phases: [failed]
    slack: \"#data\"
";
    fs::write(folder.path().join("twice.yaml"), twice).unwrap();
    let output = check(folder.path(), &["twice.yaml", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!("warnings_as_json", text(&output.stdout));
}

#[test]
fn a_secret_of_the_wrong_form_is_warned_about_before_anything_is_sent() {
    let folder = sound();
    fs::write(folder.path().join("token"), "hunter2").unwrap();
    let output = check(folder.path(), &["jobs.yaml"]);
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stderr);
    assert!(said.contains("this is not a Slack token"), "{said}");
    assert!(said.contains("[notify.toml:8:"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let found = document(&check(folder.path(), &["jobs.yaml", "--json"]));
    assert_eq!(found["counts"]["warnings"], 1);
}

#[test]
fn everything_in_force_is_printed_with_where_it_came_from_and_no_secret() {
    let folder = sound();
    let output = check(folder.path(), &["jobs.yaml", "--effective"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    assert!(!stdout.contains("hunter2"), "{stdout}");
    insta::assert_snapshot!("effective", stdout);

    let output = check(folder.path(), &["jobs.yaml", "--effective", "--json"]);
    assert!(!text(&output.stdout).contains("hunter2"));
    let document = document(&output);
    let values = document["effective"].as_array().unwrap();
    assert_eq!(values.len(), stdout.lines().count());
    let value = |key: &str| values.iter().find(|value| value["key"] == key).unwrap();
    insta::assert_snapshot!(
        "effective_as_json",
        serde_json::to_string_pretty(&[
            value("outbox.url"),
            value("engine.max_age"),
            value("engine.in_flight"),
            value("accounts.slack.prod.token"),
            value("accounts.slack.prod.enabled"),
        ])
        .unwrap()
    );
}

#[test]
fn nothing_is_in_force_where_something_is_wrong() {
    let folder = folder(&[("notify.toml", "[engine]\nin_flight = 0\n")]);
    let output = check(folder.path(), &["--effective", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(document(&output)["effective"], Value::Null);
    let output = check(folder.path(), &["--effective"]);
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str()),
        (Some(2), "")
    );
}

/// Collects the keys of a document: `diagnostics[].line`.
pub(crate) fn keys(value: &Value, place: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let place = match place {
                    "" => key.clone(),
                    place => format!("{place}.{key}"),
                };
                found.push(place.clone());
                // What stands there is the installation's own.
                if !["effective[].value", "deliveries[].receipt.facts"].contains(&place.as_str()) {
                    keys(value, &place, found);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                keys(item, &format!("{place}[]"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_reference_explains_every_key_of_the_document() {
    let folder = sound();
    fs::remove_file(folder.path().join("token")).unwrap();
    let mut all = Vec::new();
    for arguments in [
        &["jobs.yaml", "--effective"][..],
        &["missing.yaml"],
        &["notify.toml"],
    ] {
        let output = check(folder.path(), &[arguments, &["--json"]].concat());
        keys(&document(&output), "", &mut all);
    }
    assert_explained("check-json.md", all);
}

/// Asserts that a page of the reference has a row for each of these keys, and for no other.
#[track_caller]
pub(crate) fn assert_explained(page: &str, mut all: Vec<String>) {
    all.sort();
    all.dedup();
    let page = fs::read_to_string(root().join("docs/reference").join(page)).unwrap();
    let row = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned());
    let mut explained: Vec<String> = page.lines().filter_map(row).collect();
    explained.sort();
    assert_eq!(explained, all);
}

#[test]
fn what_accounts_warn_of_is_told_with_its_place_and_refuses_nothing() {
    let settings = "\
[accounts.slack.prod]
default = true
enabled = false
token = { env = \"T\" }

[accounts.slack.dev]
token = { env = \"T\" }

[accounts.slack.dev.tls]
insecure_skip_verify = true
";
    let folder = folder(&[("notify.toml", settings)]);
    let output = check(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(0));
    let stderr = text(&output.stderr);
    for words in [
        "NOTIFY-0028",
        "notify.toml:3:11",
        "NOTIFY-0027",
        "notify.toml:10:1",
    ] {
        assert!(stderr.contains(words), "{words:?} is not in {stderr}");
    }
    let document = document(&check(folder.path(), &["--json"]));
    assert_eq!(document["sound"], true);
    assert_eq!(document["counts"]["warnings"], 2);
    assert_eq!(document["diagnostics"][1]["severity"], "warning");
    let mut deliver = notify();
    deliver.current_dir(folder.path()).env("T", "xoxb-1-a");
    let output = deliver.args(["deliver", "--until-empty"]).output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(stderr.matches("NOTIFY-0027").count(), 1, "{stderr}");
}

#[test]
fn however_much_is_wrong_a_hundred_problems_are_told_in_lines_that_fit() {
    let wrong = "{{ x }}".repeat(9_000);
    let here = format!("[templates]\na = '{wrong}'\nb = '{wrong}'\n");
    let item = "{phases: faild, slack: '#ops'}, ";
    let line = format!(
        "{{workflow: a, notifications: [{}]}}\n",
        item.repeat(15_000)
    );
    let folder = folder(&[
        ("notify.toml", "[templates]\na = { file = \"tpl.md\" }\n"),
        ("tpl.md", &wrong),
        ("here.toml", &here),
        ("line.yaml", &line),
        ("plain.toml", "[engine]\n"),
    ]);
    for (arguments, last) in [
        (&[][..], "`tpl.md` has more problems than these 100"),
        (
            &["--config", "here.toml"][..],
            "`here.toml` has more problems than these 100",
        ),
        (
            &["line.yaml", "--config", "plain.toml"][..],
            "`line.yaml` has more problems than these 100",
        ),
    ] {
        let output = check(folder.path(), arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            stderr.matches("\nNOTIFY-").count() + 1,
            101,
            "{arguments:?}"
        );
        assert!(stderr.contains(last), "{last}");
        let longest = stderr.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(80), "{arguments:?}: {longest:?}");
        let output = check(folder.path(), &[arguments, &["--json"]].concat());
        let document = document(&output);
        assert_eq!(document["counts"]["errors"], 101, "{arguments:?}");
        let found = document["diagnostics"].as_array().unwrap();
        assert_eq!(found.last().unwrap()["message"], last);
    }
}

#[test]
fn the_keys_that_are_missing_are_all_told_with_what_they_are_for() {
    let folder = folder(&[(
        "notify.toml",
        "[accounts.email.e]\n[accounts.pagerduty.p]\n",
    )]);
    let found = document(&check(folder.path(), &["--json"]));
    let found: Vec<_> = found["diagnostics"].as_array().unwrap().iter().collect();
    let told: Vec<_> = found
        .iter()
        .map(|one| one["message"].as_str().unwrap())
        .collect();
    assert_eq!(
        told,
        [
            "`smtp` is missing",
            "`from` is missing",
            "`services` is missing"
        ]
    );
    for one in found {
        let key = one["message"]
            .as_str()
            .unwrap()
            .split_once(" is missing")
            .unwrap()
            .0;
        let help = one["help"].as_str().unwrap();
        assert!(help.starts_with(&format!("{key} is ")), "{help}");
    }
}

#[test]
fn an_output_that_takes_nothing_is_no_success() {
    let folder = sound();
    for arguments in [
        &["check", "--json"][..],
        &["check", "--effective"],
        &["schema"],
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = notify();
        command.current_dir(folder.path()).args(arguments);
        let output = command.env("NAME", "notify").stdout(full).output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains("cannot write to standard output"),
            "{stderr}"
        );
    }
}

#[test]
fn a_definition_in_json_names_its_schema_for_editors() {
    let folder = sound();
    let one = r#"{"$schema": "definitions.schema.json", "workflow": "a", "notifications": []}"#;
    let many = r#"{"$schema": "definitions.schema.json", "workflows": [{"workflow": "b", "notifications": []}]}"#;
    let yaml = "$schema: definitions.schema.json\nworkflow: c\nnotifications: []\n";
    for (name, content) in [("one.json", one), ("many.json", many), ("one.yaml", yaml)] {
        fs::write(folder.path().join(name), content).unwrap();
        let output = check(folder.path(), &[name]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
}
