//! What is refused before anything is run or sent.

use std::fs;

use crate::bench::{Bench, notify, root, text};

/// Each wrong definition with what its message must name: the code, the place, the words.
const WRONG: &[(&str, &str, &[&str])] = &[
    (
        "a phase that is no end",
        "workflow: w\nnotifications:\n  - phases: running\n    email: a@example.com\n",
        &[
            "NOTIFY-0009",
            ":3:",
            "`running` is not an end",
            "`timed_out`",
        ],
    ),
    (
        "an empty list of phases",
        "workflow: w\nnotifications:\n  - phases: []\n    email: a@example.com\n",
        &["NOTIFY-0008", ":3:", "no phase is named"],
    ),
    (
        "no recipients",
        "workflow: w\nnotifications:\n  - phases: failed\n    email: []\n",
        &["NOTIFY-0011", ":4:", "names no recipient"],
    ),
    (
        "a malformed recipient",
        "workflow: w\nnotifications:\n  - phases: failed\n    email: [a@example.com, nobody]\n",
        &["NOTIFY-0012", ":4:", "`nobody`"],
    ),
    (
        "a channel for e-mail",
        "workflow: w\nnotifications:\n  - phases: failed\n    email: [\"#data\"]\n",
        &["NOTIFY-0012", ":4:", "a channel belongs under `slack`"],
    ),
    (
        "an unknown kind",
        "workflow: w\nnotifications:\n  - phases: failed\n    slak: [\"#data\"]\n",
        &["NOTIFY-0013", ":4:", "did you mean `slack`?"],
    ),
    (
        "an unknown key",
        "workflow: w\nnotifications:\n  - phases: failed\n    wen: changed\n    email: a@example.com\n",
        &["NOTIFY-0005", ":4:", "did you mean `when`?"],
    ),
    (
        "a key twice",
        "workflow: w\nnotifications:\n  - phases: failed\n    email: a@example.com\n    email: b@example.com\n",
        &["NOTIFY-0004", ":5:"],
    ),
    (
        "`on` for `phases`",
        "workflow: w\nnotifications:\n  - on: failed\n    email: a@example.com\n",
        &["NOTIFY-0005", ":3:", "write `phases:`"],
    ),
    (
        "a field that no template has, beside another mistake",
        "workflow: w\nnotifications:\n  - phases: faild\n    slack:\n      to: [\"#data\"]\n      template: \"took {{ durration }}\"\n",
        &[
            "NOTIFY-0022",
            ":6:",
            "did you mean `duration`?",
            "NOTIFY-0010",
            "did you mean `failed`?",
        ],
    ),
    (
        "no YAML",
        "workflow: w\nnotifications: [\n",
        &["NOTIFY-0003"],
    ),
    (
        "an empty file",
        "",
        &["NOTIFY-0019", "workflow: nightly-etl"],
    ),
    (
        "a service that is not configured",
        "workflow: w\nnotifications:\n  - phases: failed\n    pagerduty: data-platfrom\n",
        &["NOTIFY-0017", ":4:", "data-platform"],
    ),
];

/// Takes the frame and the wrapping off a message, so that words can be looked for.
pub(crate) fn flat(stderr: &str) -> String {
    let frame = |letter: char| "│╭╰─┬×·├▶▲".contains(letter);
    stderr
        .replace(frame, " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_wrong_definition_is_refused_with_place_and_fix_and_nothing_is_run_or_sent() {
    let bench = Bench::start();
    for (what, definition, expected) in WRONG {
        fs::write(bench.path("wrong.yaml"), definition).unwrap();
        let commands: [(&[&str], i32); 3] = [
            (&["run", "wrong.yaml", "--", "touch", "ran"], 125),
            (&["check", "wrong.yaml"], 2),
            (&["deliver", "wrong.yaml", "--until-empty"], 2),
        ];
        for (arguments, code) in commands {
            let mut command = notify();
            command.current_dir(bench.folder.path()).args(arguments);
            command.env("NOTIFY_CONFIG", "sandbox/notify.toml");
            let output = command.output().unwrap();
            let stderr = flat(&text(&output.stderr));
            assert_eq!(output.status.code(), Some(code), "{what}: {stderr}");
            for words in *expected {
                assert!(
                    stderr.contains(words),
                    "{what}: {words:?} is not in {stderr}"
                );
            }
            assert!(output.stdout.is_empty());
        }
        assert!(!bench.path("ran").exists(), "{what}: the command was run");
    }
    assert!(bench.messages().is_empty());
}

#[test]
fn what_is_no_file_to_read_is_refused_at_once() {
    let bench = Bench::start();
    fs::create_dir(bench.path("folder.yaml")).unwrap();
    // Sparse: four gigabytes that take no time to make and would take long to read.
    fs::File::create(bench.path("huge.yaml"))
        .unwrap()
        .set_len(4 << 30)
        .unwrap();
    fs::write(bench.path("binary.yaml"), [0_u8, 159, 146, 150]).unwrap();
    let table = [
        ("folder.yaml", "NOTIFY-0001"),
        ("missing.yaml", "NOTIFY-0001"),
        ("huge.yaml", "NOTIFY-0002"),
        ("binary.yaml", "NOTIFY-0003"),
    ];
    for (file, code) in table {
        let output = bench
            .notify(&["run", file])
            .args(["--", "touch", "ran"])
            .output()
            .unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{file}: {stderr}");
        assert!(stderr.contains(code), "{file}: {stderr}");
    }
    assert!(!bench.path("ran").exists());
}

#[test]
fn all_problems_of_definition_and_configuration_are_told_in_one_run_and_no_secret_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let definition = "workflow: w\nnotifications:\n  - phases: running\n    email: nobody\n";
    fs::write(folder.path().join("w.yaml"), definition).unwrap();
    let settings = "[accounts.slack.default]\ntoken = \"xoxb-hunter2-hunter2\"\ncolour = \"red\"\n";
    fs::write(folder.path().join("notify.toml"), settings).unwrap();
    let output = notify()
        .current_dir(folder.path())
        .args(["check", "w.yaml"])
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    for code in ["NOTIFY-0009", "NOTIFY-0012", "NOTIFY-0018", "NOTIFY-0005"] {
        assert!(stderr.contains(code), "{code} is not in {stderr}");
    }
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn a_secret_that_was_pasted_into_a_definition_is_not_shown() {
    let bench = Bench::start();
    let secrets = [
        "https://hooks.slack.com/services/T01HUNTER/B01HUNTER/hunterhunter",
        "xoxb-hunter-hunter",
        "hunter0123456789abcdef0123456789",
    ];
    for secret in secrets {
        let forms = [
            format!("slack: {secret}"),
            format!("slack: [\"#data\", {secret}]"),
            format!("slack: {{to: [\"#data\"], token: {secret}}}"),
            format!("email: [{secret}]"),
            format!("pagerduty: {secret}"),
        ];
        for form in forms {
            let definition =
                format!("workflow: w\nnotifications:\n  - phases: failed\n    {form}\n");
            fs::write(bench.path("wrong.yaml"), definition).unwrap();
            let output = bench.notify(&["check", "wrong.yaml"]).output().unwrap();
            let stderr = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{form}: {stderr}");
            assert!(
                !stderr.to_lowercase().contains("hunter"),
                "{form}: {stderr}"
            );
        }
    }
}

#[test]
fn without_a_configuration_the_way_on_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let definition = "workflow: w\nnotifications:\n  - phases: failed\n    email: a@example.com\n";
    fs::write(folder.path().join("w.yaml"), definition).unwrap();
    let mut command = notify();
    command
        .current_dir(folder.path())
        .args(["run", "w.yaml", "--", "touch", "ran"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(
        text(&output.stderr).contains("--sandbox"),
        "{}",
        text(&output.stderr)
    );
    assert!(!folder.path().join("ran").exists());
}

#[test]
fn what_the_readme_declares_is_accepted() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks: Vec<&str> = readme
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let [whole, parts @ ..] = blocks.as_slice() else {
        panic!("the README has no definition");
    };
    let of_part =
        |part: &&str| format!("workflow: nightly-etl\nnotifications:\n  - phases: failed\n{part}");
    let bench = Bench::start();
    for definition in parts.iter().map(of_part).chain([(*whole).to_owned()]) {
        fs::write(bench.path("readme.yaml"), definition).unwrap();
        let output = bench.notify(&["check", "readme.yaml"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
}

#[test]
fn the_settings_that_the_readme_shows_are_accepted() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let block = readme.split("```toml\n").nth(1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = block.split("```").next().unwrap();
    fs::write(folder.path().join("notify.toml"), settings).unwrap();
    let mut command = notify();
    command.current_dir(folder.path()).arg("check");
    let output = command.env("SITE", "berlin").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn an_address_with_a_login_is_mended_by_what_the_help_says() {
    let bench = Bench::start();
    let told = |section: &str| {
        fs::write(bench.path("login.toml"), section).unwrap();
        let mut command = notify();
        command.current_dir(bench.path("."));
        let output = command
            .args(["check", "--config", "login.toml"])
            .output()
            .unwrap();
        let stderr = text(&output.stderr);
        assert!(!stderr.contains("hunter2"), "{stderr}");
        // As one line, wherever the terminal's width breaks it.
        stderr.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mail = "[accounts.email.a]\nfrom = \"a@example.com\"\nsmtp = \"smtps://u:hunter2@h\"\n";
    let told_of_mail = told(mail);
    assert!(told_of_mail.contains("password = { file"), "{told_of_mail}");
    assert!(!told_of_mail.contains("smtp = {"), "{told_of_mail}");
    let slack = "[accounts.slack.a]\ntoken = { env = \"T\" }\nbase_url = \"https://u:hunter2@h\"\n";
    let told_of_slack = told(slack);
    assert!(!told_of_slack.contains("base_url = {"), "{told_of_slack}");
}

#[test]
fn a_key_that_needs_quotes_has_them_in_the_help() {
    let bench = Bench::start();
    let text_of = "[accounts.pagerduty.a]\nservices = { \"my svc\" = \"hunter2\" }\n";
    fs::write(bench.path("svc.toml"), text_of).unwrap();
    let mut command = notify();
    command.current_dir(bench.path("."));
    let output = command
        .args(["check", "--config", "svc.toml"])
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert!(stderr.contains("\"my svc\" = { env ="), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn wrong_arguments_have_the_refusals_exit_codes() {
    let table: [(&[&str], i32); 5] = [
        (&["run", "x.yaml"], 125),
        (&["run", "x.yaml", "--timeout", "soon", "--", "true"], 125),
        (&["deliver", "--no-such-option"], 2),
        (&["frobnicate"], 2),
        (&["--help"], 0),
    ];
    for (arguments, expected) in table {
        let output = notify().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}");
    }
}
