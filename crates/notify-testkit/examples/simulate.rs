//! Simulates many seeds on ledgers in memory and in SQLite files.

#![expect(
    clippy::expect_used,
    reason = "without a file there is nothing to simulate on"
)]

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use notify_outbox_sqlite::SqliteOutbox;
use notify_testkit::simulator::{Asked, Ledgers, command};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            writeln!(io::stderr(), "error: {why}").ok();
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<u64, String> {
    let (asked, outbox) = Asked::read(arguments)?;
    let kinds = match outbox.as_str() {
        "memory" => vec![Ledgers::memory()],
        "sqlite" => vec![sqlite()],
        "both" => vec![Ledgers::memory(), sqlite()],
        _ => return Err(Asked::USAGE.to_owned()),
    };
    let mut out = io::stdout().lock();
    kinds.iter().try_fold(0, |broken, ledgers| {
        let more = command(asked, ledgers, &mut out);
        more.map(|more| broken + more)
            .map_err(|err| err.to_string())
    })
}

/// Each engine opens the file by itself, as processes of their own would.
fn sqlite() -> Ledgers {
    Ledgers::new("sqlite", |clock| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        Box::new(move || {
            let path = folder.path().join("notify.db");
            let outbox = SqliteOutbox::open(&path, Arc::clone(&clock));
            Arc::new(outbox.expect("the file can be opened"))
        })
    })
}
