//! P16: what a delivery costs while others are pending in a lane that the vendor has closed.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::GrowthArgs;
use crate::sink::Sink;
use crate::work::{self, Ledger, Setup};
use crate::{Result, cost, say, speed, table};

/// How long filling the ledger may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// The goal: so many times the cost with the fewest pending.
const GOAL: f64 = 1.5;

pub(crate) async fn run(args: GrowthArgs) -> Result<bool> {
    let folder = speed::folder(args.dir.as_deref())?;
    say(format_args!(
        "SQLite in {}: {}",
        folder.path().display(),
        cost::filesystem(folder.path())?
    ));
    let sink = Sink::start().await?;
    sink.close();
    let mut rounds = vec![Vec::new(); args.pending.len()];
    for round in 0..args.rounds.max(1) {
        for (pending, took) in args.pending.iter().zip(&mut rounds) {
            let file = folder.path().join(format!("{pending}-{round}.db"));
            took.push(each(&sink, Ledger::Sqlite(file), *pending, args.events).await?);
        }
    }
    let (mut least, mut rows) = (None, Vec::new());
    for (pending, took) in args.pending.iter().zip(&rounds) {
        let cost = cost::median(took);
        let ratio = cost / *least.get_or_insert(cost);
        let missed = if ratio > GOAL { "  missed" } else { "" };
        say(format_args!(
            "P16 {pending:>7} pending  {cost:>6.1} µs each  ratio {ratio:.2}  goal {GOAL:.2} at most{missed}"
        ));
        rows.push(json!({
            "goal": "P16", "pending": pending, "micros": cost, "ratio": ratio, "rounds": took,
        }));
    }
    table::write_json(args.json.as_deref(), &json!(rows))?;
    Ok(true)
}

/// Gives the microseconds of each delivery.
async fn each(sink: &Sink, ledger: Ledger, pending: usize, events: usize) -> Result<f64> {
    let setup = Setup {
        ledger,
        webhook: sink.webhook(),
        in_flight: 64,
        templated: false,
        workflows: 16,
    };
    let engine = setup.engine()?;
    work::accept(&engine, work::closed_events(pending)?, 256).await?;
    let begun = Instant::now();
    loop {
        let status = engine.drain(Duration::ZERO).await?;
        if status.accepted == 0 && status.pending == pending as u64 {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("the ledger does not fill: {status:?}").into());
        }
    }
    sink.expect(events);
    let begun = Instant::now();
    work::accept(&engine, work::events(0..events, setup.workflows)?, 256).await?;
    sink.reached().await?;
    let took = begun.elapsed();
    sink.verify(events)?;
    engine.shutdown(PATIENCE).await?;
    #[expect(clippy::cast_precision_loss, reason = "counts of events are small")]
    Ok(took.as_secs_f64() * 1e6 / events as f64)
}
