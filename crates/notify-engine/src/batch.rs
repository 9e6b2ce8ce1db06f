//! Batches: what goes in one attempt.

use notify_outbox::Leased;

use crate::engine::Shared;
use crate::snapshot::Snapshot;

/// Puts together what one event gives the recipients of one notification, where the account wants
/// that; everything else goes by itself.
pub(crate) fn batches(
    shared: &Shared,
    snapshot: &Snapshot,
    leased: Vec<Leased>,
) -> Vec<Vec<Leased>> {
    let mut batches: Vec<Vec<Leased>> = Vec::with_capacity(leased.len());
    for leased in leased {
        let fellows = goes_together(shared, snapshot, &leased)
            .then(|| batches.iter_mut().find(|batch| are_fellows(batch, &leased)));
        match fellows.flatten() {
            Some(batch) => batch.push(leased),
            None => batches.push(vec![leased]),
        }
    }
    batches
}

/// Tells whether a delivery may go with others in one attempt.
fn goes_together(shared: &Shared, snapshot: &Snapshot, leased: &Leased) -> bool {
    let Some(account) = snapshot.connections.account(&leased.account) else {
        return false;
    };
    // A record that does not load is told of by its own attempt.
    account.capabilities().batches
        && leased.summary.is_none()
        && (shared.known.of(&shared.registry, leased))
            .is_ok_and(|(_, ready)| account.together(&ready.notification))
}

/// Tells whether a delivery is of the same event and notification as those of a batch, all of which
/// go together.
fn are_fellows(batch: &[Leased], leased: &Leased) -> bool {
    batch.first().is_some_and(|first| {
        first.summary.is_none()
            && first.event.id == leased.event.id
            && first.spec.digest == leased.spec.digest
            && first.account == leased.account
    })
}
