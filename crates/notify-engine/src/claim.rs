//! Claim: leases what is due, never more than can be sent at once.

use std::time::Duration;

use notify_outbox::{Claim, Leased, OutboxError, Serve};

use crate::engine::Shared;
use crate::snapshot::Snapshot;

/// How much longer than an attempt a lease lasts: time to settle, and clocks that differ a little.
const MARGIN: Duration = Duration::from_secs(5);

pub(crate) async fn claim(
    shared: &Shared,
    snapshot: &Snapshot,
) -> Result<Vec<Leased>, OutboxError> {
    let settings = &shared.settings;
    let serve = |(id, connection): (_, &crate::connect::Connection)| {
        let account = connection.account();
        Serve {
            account: Clone::clone(id),
            lease: account.deadline().saturating_add(MARGIN),
            room: shared.places.free(id),
            rate: account.limits().lane,
            collapse_after: settings.collapse_after,
        }
    };
    let serve: Vec<Serve> = snapshot.connections.iter().map(serve).collect();
    // An engine without accounts still takes back what the dead have left.
    if !serve.is_empty() && serve.iter().all(|serve| serve.room == 0) {
        return Ok(Vec::new());
    }
    shared
        .outbox
        .claim(Claim {
            serve,
            most_per_lane: settings.in_flight_per_lane,
            max_age: settings.policy.max_age,
        })
        .await
}
