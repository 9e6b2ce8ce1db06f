//! P12: what the process weighs, each time in a process of its own.

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::args::{MemoryArgs, MemoryOfArgs};
use crate::sink::Sink;
use crate::work::{self, Ledger, Setup};
use crate::{Result, cost, say, speed, table};

/// How long a process may take.
const PATIENCE: Duration = Duration::from_mins(10);

#[expect(clippy::cast_precision_loss, reason = "megabytes are small numbers")]
pub(crate) async fn run(args: MemoryArgs) -> Result<bool> {
    let folder = speed::folder(args.dir.as_deref())?;
    let sink = Sink::start().await?;
    let nobody = gone()?;
    let cases = [
        ("idle", 0, sink.webhook(), true, 18.0),
        ("after the burst", args.events, sink.webhook(), true, 48.0),
        ("pending", args.pending, nobody, false, 48.0),
    ];
    let mut rows = Vec::new();
    for (name, events, url, delivered, goal) in cases {
        sink.expect(events);
        let file = folder.path().join(format!("{name}.db"));
        let bytes = weigh(&file, &url, events, delivered)?;
        if delivered {
            sink.verify(events)?;
        }
        let megabytes = bytes as f64 / 1e6;
        let missed = if megabytes > goal { "  missed" } else { "" };
        say(format_args!(
            "P12 {name:<16} {events:>7} events  {megabytes:>6.1} MB  goal {goal:.0} at most{missed}"
        ));
        rows.push(json!({"goal": "P12", "at": name, "events": events, "bytes": bytes}));
    }
    table::write_json(args.json.as_deref(), &json!(rows))?;
    Ok(true)
}

/// Gives an address that nobody listens on.
fn gone() -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(format!(
        "http://{}/services/T0/B0/gone",
        listener.local_addr()?
    ))
}

fn weigh(file: &Path, url: &str, events: usize, delivered: bool) -> Result<u64> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command
        .arg("memory-of")
        .arg(file)
        .arg(url)
        .arg(events.to_string());
    if delivered {
        command.arg("--delivered");
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the process that is weighed ended with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// The process that is weighed.
pub(crate) async fn child(args: MemoryOfArgs) -> Result<bool> {
    let setup = Setup {
        ledger: Ledger::Sqlite(args.file),
        webhook: args.url,
        in_flight: 64,
        templated: false,
        workflows: 16,
    };
    let engine = setup.engine()?;
    // In pieces, so that the events that are still to be handed in weigh nothing.
    let piece = 1_000;
    for from in (0..args.events).step_by(piece) {
        let events = work::events(from..args.events.min(from + piece), setup.workflows)?;
        work::accept(&engine, events, 256).await?;
    }
    let settled = async {
        loop {
            let status = engine.drain(Duration::ZERO).await?;
            let pending =
                status.accepted == 0 && status.pending + status.leased == args.events as u64;
            if status.is_idle() || (!args.delivered && pending) {
                return Ok::<(), Box<dyn Error + Send + Sync>>(());
            }
        }
    };
    timeout(PATIENCE, settled).await??;
    // A moment of rest, as a process has that is looked at.
    tokio::time::sleep(Duration::from_millis(500)).await;
    say(cost::resident()?);
    Ok(true)
}
