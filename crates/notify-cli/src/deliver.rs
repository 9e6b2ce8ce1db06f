//! `notify deliver`: what is recorded and not yet delivered.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use workflow_notify::core::DeliveryId;
use workflow_notify::engine::{Engine, EngineError};
use workflow_notify::outbox::{DeliveryQuery, Status};

use crate::args::DeliverArgs;
use crate::exit;
use crate::report;
use crate::setup::{self, Refused};
use crate::signals::Signals;

/// How long attempts in flight may go on after we were asked to end.
const GRACE: Duration = Duration::from_secs(10);

/// Longer than any delivery lives.
const UNTIL_EMPTY: Duration = Duration::from_hours(48);

/// How many deliveries are reported at most.
const REPORTED: usize = 10_000;

pub(crate) async fn deliver(args: DeliverArgs) -> ExitCode {
    let begin = async {
        let setup = setup::load(&args.definitions, &args.config.path)?;
        setup.secrets();
        let signals = Signals::listen()
            .map_err(|err| Refused::because(&format!("cannot listen for signals: {err}")))?;
        Ok::<_, Refused>((setup.engine().await?, signals))
    };
    let Ok((engine, mut signals)) = begin.await else {
        return exit::WRONG_INPUT.into();
    };
    let mut stopped = false;
    let delivered = tokio::select! {
        delivered = pump(&engine, args.until_empty) => delivered,
        signal = signals.next() => {
            report::say(format_args!("{signal}: what is not delivered stays in the outbox"));
            stopped = true;
            Ok(())
        }
    };
    let left = match delivered {
        Ok(()) => engine.shutdown(GRACE).await,
        Err(err) => Err(err),
    };
    if let (Ok(left), true) = (&left, stopped) {
        report::left(left);
    }
    match left {
        Ok(left) if !args.until_empty || nothing_left(&left.status) => ExitCode::SUCCESS,
        Ok(left) => {
            report::say(report::left_over(&left.status));
            exit::LEFT.into()
        }
        Err(err) => {
            report::error(&report::chain(&err));
            exit::LEFT.into()
        }
    }
}

async fn pump(engine: &Engine, until_empty: bool) -> Result<(), EngineError> {
    if !until_empty {
        return std::future::pending().await;
    }
    let before = engine.deliveries(DeliveryQuery::latest(REPORTED)).await?;
    let settled: BTreeSet<DeliveryId> = before
        .into_iter()
        .filter(|record| record.state.is_settled())
        .map(|record| record.id)
        .collect();
    engine.drain(UNTIL_EMPTY).await?;
    let mut records = engine.deliveries(DeliveryQuery::latest(REPORTED)).await?;
    records.retain(|record| !settled.contains(&record.id));
    report::deliveries(&records, true);
    if records.is_empty() {
        report::say("nothing was pending");
    }
    Ok(())
}

fn nothing_left(left: &Status) -> bool {
    left.is_idle() && left.held == 0 && left.unplannable == 0
}
