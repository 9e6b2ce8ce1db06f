//! The intake from programs that are not written in Rust.

use std::io::Write;
use std::process::{Command, Stdio};

use notify_outbox_sqlite::INTAKE;

use crate::file::File;

/// What every program puts in.
const EVENT: &str = r#"{"workflow": "etl", "phase": "timed_out",
    "execution": {"project": "p", "domain": "d", "name": "run-1"}}"#;

/// Tells whether a program is there; on a machine that must have it, it is.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the environment says whether a missing program is a failure; a skipped test says so"
)]
fn is_there(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    let required = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(found || !required, "`{program}` is missing");
    if !found {
        eprintln!("skipped: there is no `{program}`");
    }
    found
}

/// Runs a program with a script and gives what it said.
fn run(program: &str, arguments: &[&str], script: &str) -> (bool, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

/// Holds what is on record against what was put in once.
async fn has_one_event(file: &File) {
    let bench = file.bench();
    assert_eq!(bench.waiting().await.events.len(), 1);
    let event = bench.events().await.remove(0);
    assert_eq!(event.execution, "run-1");
    assert_eq!(event.phase, notify_core::TerminalPhase::TimedOut);
}

#[tokio::test]
async fn the_shell_of_sqlite_puts_an_event_in() {
    if !is_there("sqlite3") {
        return;
    }
    let file = File::new();
    drop(file.bench());
    let path = file.path().display().to_string();
    let statement = INTAKE.replace("?1", &format!("'{EVENT}'"));
    let script = format!(
        ".timeout 5000
         CREATE TABLE run (name TEXT);
         BEGIN; INSERT INTO run VALUES ('run-1'); {statement}; COMMIT;
         BEGIN; {statement}; ROLLBACK;"
    );
    let (done, said) = run("sqlite3", &["-bail", &path], &script);
    assert!(done, "{said}");
    has_one_event(&file).await;

    let refused = INTAKE.replace("?1", "'{\"phase\": \"failed\"}'");
    let (done, said) = run(
        "sqlite3",
        &["-bail", &path],
        &format!(".timeout 5000\n{refused};"),
    );
    assert!(!done);
    assert!(said.contains("the event names no execution"), "{said}");
}

#[tokio::test]
async fn a_python_program_puts_an_event_in() {
    if !is_there("python3") {
        return;
    }
    let file = File::new();
    drop(file.bench());
    let script = "
import sqlite3, sys
_, path, statement, event = sys.argv
connection = sqlite3.connect(path)
with connection:
    connection.execute('CREATE TABLE run (name TEXT)')
    connection.execute('INSERT INTO run VALUES (?)', ('run-1',))
    connection.execute(statement, (event,))
try:
    with connection:
        connection.execute(statement, (event,))
        raise KeyError
except KeyError:
    pass
try:
    connection.execute(statement, ('{}',))
except sqlite3.IntegrityError as err:
    assert 'the event names no execution' in str(err), err
else:
    sys.exit('an event without a name was taken')
";
    let path = file.path().display().to_string();
    let (done, said) = run("python3", &["-", &path, INTAKE, EVENT], script);
    assert!(done, "{said}");
    has_one_event(&file).await;
}
