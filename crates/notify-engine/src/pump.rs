//! The pump: the one background task that moves everything from accepted to settled.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use notify_core::problem::chain;
use notify_outbox::{Leased, OutboxError};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::engine::{Phase, Shared};
use crate::{claim, deliver, record, settle};

/// How often the outbox is looked at for what other processes put there.
const POLL: Duration = Duration::from_millis(100);

/// How long the pump waits after the outbox failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Runs until the engine is told to stop.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut attempts: JoinSet<()> = JoinSet::new();
    let mut stop = shared.phase.subscribe();
    loop {
        while attempts.try_join_next().is_some() {}
        let phase = *stop.borrow_and_update();
        if phase == Phase::Stopped || (phase == Phase::Stopping && attempts.is_empty()) {
            break;
        }
        let held_back = shared.held_back.load(Ordering::Relaxed);
        let moved = match phase {
            Phase::Running if !held_back => turn(&shared, &mut attempts).await,
            _ => Ok(false),
        };
        let wait = note(&shared, &moved);
        // In this order: whoever sees the turn sees what it put in flight, and what went wrong.
        shared.in_flight.send_replace(attempts.len());
        shared.turns.send_modify(|turns| *turns += 1);
        let Some(wait) = wait else {
            continue;
        };
        // CANCEL-SAFE: each branch only waits for a sign; what it is about is read again above.
        tokio::select! {
            () = shared.wake.notified() => {}
            _ = attempts.join_next(), if !attempts.is_empty() => {}
            changed = stop.changed() => if changed.is_err() { break },
            _ = timeout(wait, std::future::pending::<()>()) => {}
        }
    }
    // Leases of attempts that are cut off here expire; the next engine finds out what became of them.
    attempts.shutdown().await;
    shared.in_flight.send_replace(0);
    shared.phase.send_replace(Phase::Stopped);
}

/// Notes how the turn went and gives how long to wait for the next; `None` where there may be more.
fn note(shared: &Shared, moved: &Result<bool, OutboxError>) -> Option<Duration> {
    let mut trouble = shared
        .trouble
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    match moved {
        Ok(moved) => {
            *trouble = None;
            (!moved).then_some(POLL)
        }
        Err(err) => {
            let why = chain(err);
            tracing::error!(error = %why, "The outbox failed.");
            let times = trouble.as_ref().map_or(0, |(times, _)| *times) + 1;
            *trouble = Some((times, why));
            Some(AFTER_FAILURE)
        }
    }
}

/// Plans and starts what can be started; tells whether there was anything.
async fn turn(shared: &Arc<Shared>, attempts: &mut JoinSet<()>) -> Result<bool, OutboxError> {
    let recorded = record::record(shared).await?;
    let free = shared.settings.in_flight.saturating_sub(attempts.len());
    let leased = claim::claim(shared, free).await?;
    let claimed = leased.len();
    for leased in leased {
        attempts.spawn(attempt(Arc::clone(shared), Arc::new(leased)));
    }
    Ok(recorded + claimed > 0)
}

async fn attempt(shared: Arc<Shared>, leased: Arc<Leased>) {
    let begun = shared.clock.now();
    let attempted = deliver::deliver(&shared, &leased).await;
    let took = shared.clock.now().since(begun);
    if let Err(err) = settle::settle(&shared, &leased, attempted, took).await {
        // The lease expires, and the delivery is sent again with the vendor's idempotency aid.
        tracing::error!(delivery = %leased.id, error = %chain(&err), "The outcome is not recorded.");
    }
}
