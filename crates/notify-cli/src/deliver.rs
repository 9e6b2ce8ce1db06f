//! `notify deliver`: what is recorded and not yet delivered.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::Notify;
use workflow_notify::core::DeliveryId;
use workflow_notify::engine::{Engine, EngineError};
use workflow_notify::outbox::{DeliveryQuery, Status};

use crate::args::DeliverArgs;
use crate::exit;
use crate::reload::Reload;
use crate::report;
use crate::setup::{self, Refused};
use crate::signals::Signals;

/// How long attempts in flight may go on after we were asked to end.
const GRACE: Duration = Duration::from_secs(10);

/// Longer than any delivery lives: `max_age` is 30 days at most, and more may be recorded meanwhile.
const UNTIL_EMPTY: Duration = Duration::from_hours(24 * 366);

/// How many deliveries are reported at most.
const REPORTED: usize = 10_000;

pub(crate) async fn deliver(args: DeliverArgs) -> ExitCode {
    // From the first moment on: secrets can take their time.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(err) => {
            report::error(&format!("cannot listen for signals: {err}"));
            return exit::WRONG_INPUT.into();
        }
    };
    let asked = Notify::new();
    let asked = (!args.until_empty).then_some(&asked);
    let begin = async {
        let setup = setup::load(&args.definitions, &args.config.path)?;
        // In memory nothing is there to be delivered.
        drop(setup.ledger()?);
        setup.secrets().await?;
        let engine = setup.engine()?;
        Ok::<_, Refused>((engine, Reload::new(setup)))
    };
    let begun = tokio::select! {
        begun = begin => begun,
        signal = end(&mut signals, asked) => {
            report::say(format_args!("{signal}: nothing was begun"));
            return ExitCode::SUCCESS;
        }
    };
    let Ok((engine, reload)) = begun else {
        return exit::WRONG_INPUT.into();
    };
    let mut stopped = false;
    let work = async {
        match asked {
            None => empty(&engine).await,
            Some(asked) => Err(reload.run(&engine, asked).await),
        }
    };
    let delivered = tokio::select! {
        delivered = work => delivered,
        signal = end(&mut signals, asked) => {
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

/// Waits until somebody wants an end; a SIGHUP asks for a reload where there is one.
async fn end(signals: &mut Signals, reload: Option<&Notify>) -> Signal {
    loop {
        match (signals.next().await, reload) {
            (Signal::SIGHUP, Some(reload)) => reload.notify_one(),
            (signal, _) => return signal,
        }
    }
}

async fn empty(engine: &Engine) -> Result<(), EngineError> {
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
