//! `notify deliver` while files change.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::bench::{Bench, DEFINITION, signal, text, wait_for};
use crate::emit::event;

/// A `notify deliver` that goes on until it is ended.
struct Deliver<'a> {
    bench: &'a Bench,
    child: Child,
}

impl<'a> Deliver<'a> {
    /// Starts it, and waits until it has read the files: what it knows is delivered.
    fn start(bench: &'a Bench, definitions: &str) -> Self {
        let deliver = Self::start_without_waiting(bench, definitions);
        bench.emit(&event("the-first", "succeeded"));
        deliver.told(&["slack"]);
        deliver
    }

    fn start_without_waiting(bench: &'a Bench, definitions: &str) -> Self {
        let mut command = bench.notify(&["deliver", definitions]);
        let stderr = File::create(bench.path("deliver.log")).unwrap();
        let child = command.stderr(Stdio::from(stderr)).spawn().unwrap();
        Self { bench, child }
    }

    fn stderr(&self) -> String {
        text(&fs::read(self.bench.path("deliver.log")).unwrap())
    }

    fn says(&self, words: &str) {
        wait_for(words, || self.stderr().contains(words).then_some(()));
    }

    fn told(&self, kinds: &[&str]) {
        wait_for(&format!("{kinds:?}"), || {
            (self.bench.told() == kinds).then_some(())
        });
    }

    /// Ends it and gives what it said.
    fn end(mut self) -> String {
        signal(&self.child, Signal::SIGTERM);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.stderr()
    }
}

impl Drop for Deliver<'_> {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Writes a file that is there at once and whole.
fn replace(bench: &Bench, name: &str, content: &str) {
    fs::write(bench.path("new"), content).unwrap();
    fs::rename(bench.path("new"), bench.path(name)).unwrap();
}

fn flows(bench: &Bench) {
    fs::create_dir(bench.path("flows")).unwrap();
    fs::rename(bench.path("etl.yaml"), bench.path("flows/etl.yaml")).unwrap();
}

#[test]
fn a_definition_that_appears_is_in_force_without_a_restart() {
    let bench = Bench::start();
    flows(&bench);
    let deliver = Deliver::start(&bench, "flows/*.yaml");
    let mut unknown = event("run-1", "failed");
    unknown["workflow"] = json!("other");
    bench.emit(&unknown);
    let other = DEFINITION.replace("nightly-etl", "other");
    replace(&bench, "flows/other.yaml", &other);
    deliver.says("notify: reloaded: flows/other.yaml changed\n");
    deliver.told(&["email", "pagerduty", "slack", "slack"]);
}

#[test]
fn a_broken_change_is_told_of_once_and_what_was_in_force_stays() {
    let bench = Bench::start();
    flows(&bench);
    let deliver = Deliver::start(&bench, "flows/*.yaml");
    replace(
        &bench,
        "flows/etl.yaml",
        &DEFINITION.replace("slack:", "slak:"),
    );
    deliver.says("not reloaded: what was in force stays");
    bench.emit(&event("run-2", "succeeded"));
    deliver.told(&["slack", "slack"]);
    let only_email = "workflow: nightly-etl\nnotifications:\n  - phases: succeeded\n    email: [data-oncall@example.com]\n";
    replace(&bench, "flows/etl.yaml", only_email);
    deliver.says("reloaded: flows/etl.yaml changed");
    bench.emit(&event("run-3", "succeeded"));
    deliver.told(&["email", "slack", "slack"]);
    let stderr = deliver.end();
    assert_eq!(stderr.matches("NOTIFY-0013").count(), 1, "{stderr}");
    assert_eq!(stderr.matches("not reloaded").count(), 1, "{stderr}");
}

#[test]
fn a_signal_has_everything_read_anew_secrets_of_commands_too() {
    let bench = Bench::start();
    let token = fs::read_to_string(bench.path("sandbox/slack_token")).unwrap();
    fs::write(bench.path("sandbox/vault"), "xoxb-wrong-wrong").unwrap();
    bench.settings(|settings| {
        let by_command = "token = { command = [\"cat\", \"vault\"] }";
        let line = settings
            .lines()
            .find(|line| line.starts_with("token = "))
            .unwrap();
        settings.replace(line, by_command)
    });
    let deliver = Deliver::start_without_waiting(&bench, "etl.yaml");
    bench.emit(&event("run-1", "succeeded"));
    wait_for("a refusal of the vendor's", || {
        (bench.states() == [("slack.default".to_owned(), "held".to_owned())]).then_some(())
    });
    fs::write(bench.path("sandbox/vault"), token).unwrap();
    signal(&deliver.child, Signal::SIGHUP);
    deliver.says("reloaded: no file has changed, secrets are read anew");
    deliver.told(&["slack"]);
}

#[test]
fn a_mounted_secret_whose_link_is_swapped_is_noticed() {
    let bench = Bench::start();
    let sandbox = |name: &str| bench.path("sandbox").join(name);
    // As Kubernetes mounts it: the file is a link through `..data`, which is swapped as a whole.
    for (folder, token) in [
        ("..one", "xoxb-wrong-wrong".to_owned()),
        ("..two", fs::read_to_string(sandbox("slack_token")).unwrap()),
    ] {
        fs::create_dir_all(sandbox("mount").join(folder)).unwrap();
        fs::write(sandbox("mount").join(folder).join("token"), token).unwrap();
    }
    symlink("..one", sandbox("mount/..data")).unwrap();
    symlink("..data/token", sandbox("mount/token")).unwrap();
    bench.settings(|settings| {
        let line = settings
            .lines()
            .find(|line| line.starts_with("token = "))
            .unwrap();
        settings.replace(line, "token = { file = \"mount/token\" }")
    });
    let deliver = Deliver::start_without_waiting(&bench, "etl.yaml");
    bench.emit(&event("run-1", "succeeded"));
    wait_for("a refusal of the vendor's", || {
        (bench.states() == [("slack.default".to_owned(), "held".to_owned())]).then_some(())
    });
    symlink("..two", sandbox("mount/..new")).unwrap();
    fs::rename(sandbox("mount/..new"), sandbox("mount/..data")).unwrap();
    deliver.says("reloaded: sandbox/mount/token changed");
    deliver.told(&["slack"]);
    let stderr = deliver.end();
    assert!(!stderr.contains("xoxb-"), "{stderr}");
}

#[test]
fn what_only_a_restart_can_change_is_said() {
    let bench = Bench::start();
    let deliver = Deliver::start(&bench, "etl.yaml");
    bench.settings(|settings| {
        format!("[outbox]\nurl = \"sqlite:other.db\"\n\n[engine]\nin_flight = 8\n\n{settings}")
    });
    deliver.says("`[outbox]` is not what it was; it stays as it was until a restart");
    deliver.says("`[engine]` is not what it was");
    // The ledger is the old one still.
    let path = bench.path("sandbox/other.db");
    signal(&deliver.child, Signal::SIGHUP);
    deliver.says("reloaded: no file has changed");
    assert!(!path.exists());
    deliver.end();
}

#[test]
fn until_empty_nothing_is_read_again_and_a_hang_up_is_an_end() {
    let bench = Bench::start();
    bench.fail("slack", 500);
    bench.output(&["--wait", "0s"], "exit 0");
    let mut command = bench.notify(&["deliver", "--until-empty", "--verbose"]);
    let log = bench.path("deliver.log");
    let mut child = command
        .stderr(Stdio::from(File::create(&log).unwrap()))
        .spawn()
        .unwrap();
    wait_for("an attempt", || {
        fs::read_to_string(&log)
            .unwrap()
            .contains("slack")
            .then_some(())
    });
    signal(&child, Signal::SIGHUP);
    child.wait().unwrap();
    let stderr = fs::read_to_string(&log).unwrap();
    assert!(
        stderr.contains("SIGHUP: what is not delivered stays in the outbox"),
        "{stderr}"
    );
}

#[test]
fn a_hang_up_before_the_start_is_over_is_a_reload_after_it() {
    let bench = Bench::start();
    // It ends with its folder too: nobody waits for the one that the last reload may have begun.
    let script = "touch began; until [ -e go ] || [ ! -e began ]; do :; done; cat slack_token";
    bench.settings(|settings| {
        let by_command = format!("token = {{ command = [\"sh\", \"-c\", \"{script}\"] }}");
        let line = settings
            .lines()
            .find(|line| line.starts_with("token = "))
            .unwrap();
        settings.replace(line, &by_command)
    });
    let deliver = Deliver::start_without_waiting(&bench, "etl.yaml");
    let began = bench.path("sandbox/began");
    wait_for("the command", || began.exists().then_some(()));
    signal(&deliver.child, Signal::SIGHUP);
    fs::write(bench.path("sandbox/go"), "").unwrap();
    deliver.says("reloaded: no file has changed");
    deliver.end();
}

#[test]
fn a_warning_is_shown_once_however_often_files_change() {
    use std::os::unix::fs::PermissionsExt;

    let bench = Bench::start();
    let loose = fs::Permissions::from_mode(0o644);
    fs::set_permissions(bench.path("sandbox/slack_token"), loose).unwrap();
    let deliver = Deliver::start(&bench, "etl.yaml");
    replace(&bench, "etl.yaml", &format!("{DEFINITION}# later\n"));
    deliver.says("reloaded: ");
    let stderr = deliver.end();
    assert_eq!(
        stderr.matches("others than its owner can read").count(),
        1,
        "{stderr}"
    );
}

#[test]
fn an_outbox_that_is_gone_is_the_end() {
    let bench = Bench::start();
    let mut deliver = Deliver::start(&bench, "etl.yaml");
    fs::rename(bench.path("sandbox/notify.db"), bench.path("moved.db")).unwrap();
    assert_eq!(deliver.child.wait().unwrap().code(), Some(1));
    let stderr = deliver.stderr();
    assert!(stderr.contains("start the program anew"), "{stderr}");
}
