//! The built binary, end to end: real processes, real signals, a sandbox for the vendors.

#![cfg(test)]

mod bench;
mod check;
mod emit;
mod examples;
mod gone;
mod installation;
mod mistakes;
mod outbox;
mod reference;
mod refusals;
mod reload;
mod schema;
mod test;

use std::fs;
use std::io::{BufRead, Read};
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::bench::{Bench, notify, root, signal, text, wait_for};

fn delivered(kinds: &[&str]) -> Vec<(String, String)> {
    let state = |kind: &&str| (format!("{kind}.default"), "delivered".to_owned());
    kinds.iter().map(state).collect()
}

#[test]
fn the_readmes_first_command_tells_three_people_of_the_failing_job() {
    let output = notify()
        .current_dir(root())
        .args([
            "run",
            "examples/nightly-etl.yaml",
            "--sandbox",
            "--",
            "examples/jobs/etl.sh",
        ])
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(output.stdout.is_empty());
    assert!(
        stderr.contains("row 188: amount \"n/a\" of order 10187 is not a number"),
        "{stderr}"
    );
    for line in [
        "delivered  slack.default      #data-alerts  receipt ",
        "delivered  email.default      data-oncall@example.com  receipt <ntf_",
        "delivered  pagerduty.default  data-platform  receipt default/local/nightly-etl@data-platform",
    ] {
        assert!(stderr.contains(line), "{line:?} is not in {stderr}");
    }
    assert_eq!(stderr.matches("delivered  ").count(), 3, "{stderr}");
}

#[test]
fn of_a_job_that_succeeds_only_those_who_asked_are_told() {
    let output = notify()
        .current_dir(root())
        .args([
            "run",
            "examples/nightly-etl.yaml",
            "--sandbox",
            "--",
            "examples/jobs/etl.sh",
        ])
        .arg("examples/jobs/data/orders-clean.csv")
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(
        text(&output.stdout).contains("emea"),
        "the job's own output passes through"
    );
    assert_eq!(stderr.matches("delivered  ").count(), 1, "{stderr}");
    assert!(stderr.contains("delivered  slack.default"), "{stderr}");
}

#[test]
fn the_commands_output_passes_through_untouched() {
    let bench = Bench::start();
    let script = r"printf 'out\000\377\r\n'; printf 'err\000\377\033[31m\r' >&2";
    for options in [&[][..], &["--no-capture"][..]] {
        let output = bench.output(options, script);
        assert_eq!(output.stdout, b"out\0\xff\r\n");
        assert_eq!(output.stderr, b"err\0\xff\x1b[31m\r");
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn the_exit_status_is_the_commands_own() {
    let bench = Bench::start();
    let table = [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 125", 125),
        ("kill -KILL $$", 128 + 9),
        ("kill -TERM $$", 128 + 15),
    ];
    for (script, expected) in table {
        let output = bench.output(&[], script);
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{script}: {}",
            text(&output.stderr)
        );
    }
    let phases: Vec<String> = bench
        .ledger()
        .iter()
        .filter(|record| record["account"] == "slack.default")
        .map(|record| record["phase"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        phases,
        ["succeeded", "failed", "failed", "failed", "aborted"]
    );
}

#[test]
fn the_last_lines_of_standard_error_are_the_failure_message() {
    let bench = Bench::start();
    bench.output(&[], "seq 1 50000 >&2; echo 'row 4: bad amount' >&2; exit 3");
    for message in bench.messages() {
        let raw = message["raw"].as_str().unwrap();
        assert!(raw.contains("row 4: bad amount"), "{raw}");
        assert!(raw.contains("49999") && !raw.contains("49900"), "{raw}");
        assert!(
            raw.contains("exit status 3") || raw.contains("exit 3"),
            "{raw}"
        );
    }
    assert_eq!(bench.told(), ["email", "pagerduty", "slack"]);
}

#[test]
fn without_capture_the_failure_has_no_message_of_the_commands() {
    let bench = Bench::start();
    bench.output(&["--no-capture"], "echo 'row 4: bad amount' >&2; exit 3");
    assert_eq!(bench.told().len(), 3);
    for message in bench.messages() {
        assert!(!message["raw"].as_str().unwrap().contains("row 4"));
    }
}

#[test]
fn our_own_secrets_are_masked_in_what_people_are_told() {
    let bench = Bench::start();
    let token = fs::read_to_string(bench.path("sandbox/slack_token")).unwrap();
    let output = bench.output(
        &[],
        "cat sandbox/slack_token sandbox/smtp_password >&2; exit 3",
    );
    assert!(
        text(&output.stderr).contains(token.trim()),
        "the command's own output is untouched"
    );
    let password = fs::read_to_string(bench.path("sandbox/smtp_password")).unwrap();
    assert_eq!(bench.told().len(), 3);
    for message in bench.messages() {
        let message = message.to_string();
        assert!(message.contains("[secret]"), "{message}");
        assert!(!message.contains(token.trim()) && !message.contains(password.trim()));
    }
}

#[test]
fn a_command_that_runs_too_long_is_ended_with_all_that_it_started() {
    let bench = Bench::start();
    let script = "sh -c 'echo $$ > inner; exec sleep 1000' & wait";
    let output = bench.output(&["--timeout", "1s"], script);
    assert_eq!(output.status.code(), Some(124), "{}", text(&output.stderr));
    let inner: i32 = fs::read_to_string(bench.path("inner"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    wait_for("the end of what the command started", || {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(inner), None).err()
    });
    assert!(
        bench
            .ledger()
            .iter()
            .all(|record| record["phase"] == "timed_out")
    );
    assert_eq!(bench.told(), ["email", "pagerduty", "slack"]);
}

#[test]
fn a_command_that_ignores_the_end_of_its_time_is_killed() {
    let bench = Bench::start();
    let options = ["--timeout", "300ms", "--kill-after", "300ms"];
    let output = bench.output(&options, "trap '' TERM; while :; do sleep 0.1; done");
    assert_eq!(output.status.code(), Some(124), "{}", text(&output.stderr));
}

#[test]
fn a_signal_to_notify_ends_the_command_as_aborted() {
    let bench = Bench::start();
    for (sent, expected) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let marker = bench.path("begun");
        fs::remove_file(&marker).ok();
        let mut child = bench
            .run(&[], "touch begun; exec sleep 1000")
            .spawn()
            .unwrap();
        wait_for("the command", || marker.exists().then_some(()));
        signal(&child, sent);
        assert_eq!(child.wait().unwrap().code(), Some(expected));
    }
    assert!(
        bench
            .ledger()
            .iter()
            .all(|record| record["phase"] == "aborted")
    );
    assert_eq!(bench.told(), ["email", "email", "slack", "slack"]);
}

#[test]
fn a_second_signal_does_not_keep_the_end_from_being_recorded() {
    let bench = Bench::start();
    let marker = bench.path("begun");
    let script = "trap '' TERM; touch begun; while [ ! -e enough ]; do sleep 0.05; done; exit 3";
    let mut child = bench.run(&[], script).spawn().unwrap();
    wait_for("the command", || marker.exists().then_some(()));
    for _ in 0..3 {
        signal(&child, Signal::SIGTERM);
    }
    fs::write(bench.path("enough"), "").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(
        bench
            .notify(&["deliver", "--until-empty"])
            .status()
            .unwrap()
            .success()
    );
    assert!(
        bench
            .ledger()
            .iter()
            .all(|record| record["phase"] == "aborted")
    );
    assert_eq!(bench.told(), ["email", "slack"]);
}

#[test]
fn a_command_that_is_not_there_or_cannot_be_executed_is_a_failure_that_people_hear_of() {
    let bench = Bench::start();
    fs::write(bench.path("data.txt"), "no program").unwrap();
    for (command, expected) in [("no-such-command", 127), ("./data.txt", 126)] {
        let output = bench
            .notify(&["run", "etl.yaml"])
            .args(["--", command])
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{}",
            text(&output.stderr)
        );
    }
    assert_eq!(
        bench.told(),
        ["email", "email", "pagerduty", "slack", "slack"]
    );
    assert!(
        bench.messages()[0]["raw"]
            .as_str()
            .unwrap()
            .contains("no-such-command")
    );
}

#[test]
fn output_that_is_held_open_by_a_stray_process_delays_nothing() {
    let bench = Bench::start();
    let output = bench.output(&[], "sleep 1000 > /dev/null & echo $! > stray; exit 3");
    assert_eq!(output.status.code(), Some(3));
    // It is still there: nobody waited for it.
    let stray: i32 = fs::read_to_string(bench.path("stray"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(stray), Signal::SIGKILL).unwrap();
}

#[test]
fn a_slow_reader_of_standard_error_loses_nothing() {
    let bench = Bench::start();
    let script = "seq 1 60000 >&2; echo LAST >&2; exit 3";
    let mut child = bench
        .run(&[], script)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    // The command has long ended while nobody reads: the pipe is full.
    let mut first = [0; 1];
    stderr.read_exact(&mut first).unwrap();
    assert!(bench.ledger().is_empty());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(rest.ends_with("\n60000\nLAST\n"), "{}", rest.len());
    for message in bench.messages() {
        assert!(
            message["raw"].as_str().unwrap().contains("LAST"),
            "{message}"
        );
    }
}

#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    let bench = Bench::start();
    let notify = env!("CARGO_BIN_EXE_notify");
    let inner = "touch begun; while [ ! -e enough ]; do sleep 0.05; done; echo survived";
    let run = format!(
        "trap '' HUP; exec {notify} run etl.yaml --config sandbox/notify.toml -- sh -c '{inner}'"
    );
    let mut child = std::process::Command::new("sh")
        .args(["-c", &run])
        .current_dir(bench.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the command", || bench.path("begun").exists().then_some(()));
    signal(&child, Signal::SIGHUP);
    fs::write(bench.path("enough"), "").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_absurd_duration_is_only_long() {
    let bench = Bench::start();
    let forever = "9223372036854775807s";
    let options = [
        "--timeout",
        forever,
        "--kill-after",
        forever,
        "--wait",
        forever,
    ];
    let output = bench.output(&options, "exit 4");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
}

#[test]
fn one_vendors_trouble_leaves_one_delivery_for_later() {
    let bench = Bench::start();
    bench.fail("slack", 500);
    let output = bench.output(&["--wait", "0s"], "exit 3");
    assert_eq!(
        output.status.code(),
        Some(3),
        "a failed notification changes nothing"
    );
    let stderr = text(&output.stderr);
    assert!(stderr.contains("pending    slack.default"), "{stderr}");
    assert!(stderr.contains("next try in"), "{stderr}");
    assert_eq!(bench.told(), ["email", "pagerduty"]);

    bench.fail("slack", 0);
    let output = bench
        .notify(&["deliver", "--until-empty"])
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("delivered  slack.default"), "{stderr}");
    assert_eq!(bench.told(), ["email", "pagerduty", "slack"]);
    assert_eq!(bench.states(), delivered(&["email", "pagerduty", "slack"]));
}

#[test]
fn what_one_run_left_the_next_run_delivers() {
    let bench = Bench::start();
    bench.fail("email", 451);
    bench.output(&["--wait", "0s"], "exit 3");
    assert_eq!(bench.told(), ["pagerduty", "slack"]);
    bench.fail("email", 0);
    bench.output(&["--wait", "20s"], "exit 0");
    assert_eq!(
        bench
            .messages()
            .iter()
            .filter(|message| message["service"] == "email")
            .count(),
        1
    );
}

#[test]
fn killed_with_deliveries_on_the_wire_it_delivers_all_and_shows_each_as_one() {
    let bench = Bench::start();
    bench.freeze_sandbox();
    let mut run = bench
        .run(&[], "exit 3")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("three deliveries on the wire", || {
        let states = bench.states();
        let leased = states.iter().filter(|(_, state)| state == "leased").count();
        (leased == 3).then_some(())
    });
    signal(&run, Signal::SIGKILL);
    run.wait().unwrap();
    bench.thaw_sandbox();

    let output = bench
        .notify(&["deliver", "--until-empty"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(bench.states(), delivered(&["email", "pagerduty", "slack"]));
    // At most what was on the wire came twice, and the sandbox shows it as one.
    assert_eq!(bench.told(), ["email", "pagerduty", "slack"]);
    for message in bench.messages() {
        assert!(message["repeats"].as_u64().unwrap() <= 1, "{message}");
    }
}

#[test]
fn a_missing_secret_holds_what_needs_it_and_nothing_else() {
    let bench = Bench::start();
    let token = bench.path("sandbox/slack_token");
    let away = bench.path("away");
    fs::rename(&token, &away).unwrap();
    let output = bench.output(&[], "touch ran; exit 3");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(bench.path("ran").exists());
    assert!(
        stderr.contains("warning: cannot read the secret in file"),
        "{stderr}"
    );
    assert!(stderr.contains("held       slack.default"), "{stderr}");
    assert_eq!(bench.told(), ["email", "pagerduty"]);

    fs::rename(&away, &token).unwrap();
    let output = bench
        .notify(&["deliver", "--until-empty"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(bench.told(), ["email", "pagerduty", "slack"]);
}

#[test]
fn an_incident_is_closed_by_the_next_success() {
    let bench = Bench::start();
    bench.output(&[], "exit 3");
    bench.output(&[], "exit 0");
    let incident: Vec<_> = bench
        .messages()
        .into_iter()
        .filter(|message| message["service"] == "pagerduty")
        .collect();
    let states: Vec<&str> = incident
        .iter()
        .map(|one| one["state"].as_str().unwrap())
        .collect();
    assert_eq!(states.last(), Some(&"resolved"), "{incident:?}");
}

#[test]
fn the_same_execution_is_told_of_once() {
    let bench = Bench::start();
    bench.output(&["--name", "run-17"], "exit 3");
    let output = bench.output(&["--name", "run-17"], "exit 3");
    assert!(
        text(&output.stderr).contains("recorded already"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(bench.told().len(), 3);
}

#[test]
fn held_the_inbox_page_stays_up_until_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("etl.yaml"), bench::DEFINITION).unwrap();
    let mut run = notify()
        .current_dir(folder.path())
        .args([
            "run",
            "etl.yaml",
            "--sandbox",
            "--hold",
            "--",
            "sh",
            "-c",
            "exit 3",
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(run.stderr.take().unwrap()).lines();
    let line = lines
        .map(Result::unwrap)
        .find(|line| line.contains("inbox: http://"))
        .unwrap();
    let address = line
        .split("http://")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    assert!(bench::http(address, "GET /", "", "").contains("nightly-etl failed"));
    signal(&run, Signal::SIGINT);
    assert_eq!(run.wait().unwrap().code(), Some(3));
}

#[test]
fn success_is_quiet() {
    let bench = Bench::start();
    let output = bench.output(&[], "exit 0");
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("", "")
    );
    assert_eq!(bench.told(), ["slack"]);
}

#[test]
fn an_authors_own_words_are_sent_and_a_repeated_notification_is_warned_of() {
    let bench = Bench::start();
    let definition = "
workflow: nightly-etl
notifications:
  - phases: failed
    slack:
      to: [\"#data-alerts\"]
      template: \"**{{ workflow }}** said `{{ failure.message }}` {{ mention('@here') }}\"
  - phases: failed
    email: [a@example.com]
  - phases: [failed]
    email: a@example.com
";
    fs::write(bench.path("etl.yaml"), definition).unwrap();
    let output = bench.output(&[], "echo '<!channel> *boom*' >&2; exit 3");
    let stderr = text(&output.stderr);
    assert!(stderr.contains("NOTIFY-0021"), "{stderr}");
    assert_eq!(bench.told(), ["email", "slack"]);
    let messages = bench.messages();
    let slack = messages
        .iter()
        .find(|message| message["service"] == "slack")
        .unwrap();
    let payload = slack["payload"].to_string();
    assert!(payload.contains(r#""range":"here""#), "{payload}");
    assert!(payload.contains("<!channel> *boom*"), "{payload}");
    assert!(!payload.contains(r#""range":"channel""#), "{payload}");
}

#[test]
fn hostile_output_of_a_command_is_only_text() {
    let bench = Bench::start();
    let script = r"printf '<!channel> <@U1> *b* &amp;\r\nBcc: x@example.com\r\n\r\n<script>alert(1)</script>\000\033]0;t\007' >&2; exit 3";
    bench.output(&[], script);
    assert_eq!(bench.told(), ["email", "pagerduty", "slack"]);
    for message in bench.messages() {
        let html = message["html"].as_str().unwrap_or_default();
        assert!(!html.contains("<script>alert"), "{html}");
        if message["service"] == "email" {
            let raw = message["raw"].as_str().unwrap();
            let headers = raw.split("\n\n").next().unwrap().replace('\r', "");
            let headers = headers.split("\n\n").next().unwrap();
            assert!(!headers.contains("Bcc"), "{headers}");
        }
    }
}
