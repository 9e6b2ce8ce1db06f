//! The pump: the one background task that moves everything from accepted to settled.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use notify_core::problem::chain;
use notify_outbox::{Leased, OutboxError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::engine::{PATIENCE_WITH_OUTBOX, Phase, Shared};
use crate::snapshot::Snapshot;
use crate::{batch, claim, deliver, record, settle};

/// How often the outbox is looked at for what other processes put there.
const POLL: Duration = Duration::from_millis(100);

/// How long the pump waits after the outbox failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Runs until the engine is told to stop.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut attempts: JoinSet<()> = JoinSet::new();
    let mut stop = shared.phase.subscribe();
    let mut left = 0;
    loop {
        while attempts.try_join_next().is_some() {}
        let phase = *stop.borrow_and_update();
        if phase == Phase::Stopped || (phase == Phase::Stopping && attempts.is_empty()) {
            break;
        }
        let held_back = shared.held_back.load(Ordering::Relaxed) > 0;
        let moved = match phase {
            Phase::Running if !held_back => turn(&shared, &mut attempts, &mut left).await,
            _ => Ok(false),
        };
        let wait = note(&shared, &moved);
        if moved.is_err_and(|err| err.is_final()) {
            // Nothing more can come of it; whoever waits is told why.
            shared.phase.send_replace(Phase::Stopped);
            break;
        }
        // In this order: whoever sees the turn sees what it put in flight, and what went wrong.
        shared.in_flight.send_replace(attempts.len());
        shared.turns.send_modify(|turns| *turns += 1);
        let Some(wait) = wait else {
            // What has become possible meanwhile gets its turn, even where one runs after another.
            tokio::task::yield_now().await;
            continue;
        };
        // CANCEL-SAFE: each branch only waits for a sign; what it is about is read again above.
        tokio::select! {
            biased;
            changed = stop.changed() => if changed.is_err() { break },
            () = shared.wake.notified() => {}
            _ = attempts.join_next(), if !attempts.is_empty() => {}
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
            let before = trouble.as_ref().map_or(0, |(times, _)| *times);
            let times = if err.is_final() {
                PATIENCE_WITH_OUTBOX
            } else {
                before + 1
            };
            *trouble = Some((times, why));
            Some(AFTER_FAILURE)
        }
    }
}

/// Plans and starts what can be started; tells whether there was anything.
async fn turn(
    shared: &Arc<Shared>,
    attempts: &mut JoinSet<()>,
    left: &mut usize,
) -> Result<bool, OutboxError> {
    // Before the snapshot is taken: one that comes meanwhile is fresh again.
    let fresh = shared.fresh.swap(false, Ordering::Relaxed);
    let snapshot = shared.snapshot();
    if fresh && let Err(err) = shared.resume(&snapshot).await {
        shared.fresh.store(true, Ordering::Relaxed);
        return Err(err);
    }
    let mut planning = pin!(record::record(shared, &snapshot, *left));
    let mut moved = 0;
    let planned = loop {
        moved += start(shared, &snapshot, attempts).await?;
        // A long queue of events leaves no place on the wire empty meanwhile.
        // CANCEL-SAFE: planning goes on in the next round, and joining only waits for a sign.
        tokio::select! {
            biased;
            planned = &mut planning => break planned?,
            _ = attempts.join_next(), if !attempts.is_empty() => {}
        }
    };
    *left = planned.left;
    Ok(moved + planned.moved > 0)
}

/// Starts an attempt for everything that is due and has a place; gives how many.
async fn start(
    shared: &Arc<Shared>,
    snapshot: &Arc<Snapshot>,
    attempts: &mut JoinSet<()>,
) -> Result<usize, OutboxError> {
    while attempts.try_join_next().is_some() {}
    let leased = claim::claim(shared, snapshot).await?;
    let started = leased.len();
    for batch in batch::batches(shared, snapshot, leased) {
        let places = batch.iter().map(|one| shared.places.take(&one.account));
        let places = places.collect();
        let (shared, snapshot) = (Arc::clone(shared), Arc::clone(snapshot));
        attempts.spawn(attempt(shared, snapshot, batch, places));
    }
    Ok(started)
}

/// Makes one attempt and settles what came of it; its places are free again afterwards.
async fn attempt(
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
    batch: Vec<Leased>,
    _places: Vec<Option<OwnedSemaphorePermit>>,
) {
    let begun = shared.clock.now();
    let attempted = deliver::deliver(&shared, &snapshot, &batch).await;
    let took = shared.clock.now().since(begun);
    for (leased, attempted) in batch.iter().zip(attempted) {
        if let Err(err) = settle::settle(&shared, &snapshot, leased, attempted, took).await {
            // The lease expires, and the delivery is sent again with the vendor's idempotency aid.
            tracing::error!(delivery = %leased.id, error = %chain(&err), "The outcome is not recorded.");
        }
    }
}
