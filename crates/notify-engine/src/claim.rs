//! Claim: leases what is due, never more than can be sent at once.

use std::time::Duration;

use notify_outbox::{Claim, Leased, OutboxError, Serve};

use crate::engine::Shared;

/// How much longer than an attempt a lease lasts: time to settle, and clocks that differ a little.
const MARGIN: Duration = Duration::from_secs(5);

pub(crate) async fn claim(shared: &Shared, free: usize) -> Result<Vec<Leased>, OutboxError> {
    if free == 0 {
        return Ok(Vec::new());
    }
    let serve = shared
        .connections
        .accounts()
        .map(|(account, deadline)| Serve {
            account: account.clone(),
            lease: deadline.saturating_add(MARGIN),
        })
        .collect();
    shared
        .outbox
        .claim(Claim {
            serve,
            most: free,
            most_per_lane: shared.settings.in_flight_per_lane,
            max_age: shared.settings.policy.max_age,
        })
        .await
}
