//! Settle: what came of the attempt goes into the outbox, in one transaction.

use std::time::Duration;

use notify_core::{Outcome, Reason};
use notify_outbox::settle::{Tried, decide, hold};
use notify_outbox::{Leased, Next, OutboxError, Release, Settled, Settlement};

use crate::connect::Seal;
use crate::deliver::Attempted;
use crate::engine::Shared;
use crate::random::fraction;
use crate::snapshot::Snapshot;

pub(crate) async fn settle(
    shared: &Shared,
    snapshot: &Snapshot,
    leased: &Leased,
    attempted: Attempted,
    took: Duration,
) -> Result<(), OutboxError> {
    let random = fraction(&*shared.random);
    let tried = Tried {
        attempts: leased.attempts,
        tries: leased.tries,
        age: leased.age.saturating_add(took),
        if_unknown: leased.if_unknown,
    };
    let (outcome, decision, used) = match attempted {
        Attempted::Outcome { outcome, seal } => {
            let decision = decide(&outcome, tried, &shared.settings.policy, random);
            (outcome, decision, Some(seal))
        }
        Attempted::Unreadable(why) => {
            let decision = hold(format!("the record does not load: {why}"));
            (Outcome::rejected(Reason::Config, why), decision, None)
        }
    };
    tracing::debug!(
        delivery = %leased.id, account = %leased.account, outcome = outcome.name(),
        reason = decision.reason.as_deref(), "An attempt is over."
    );
    let refused = matches!(decision.next, Next::Held(Release::Account));
    let settled = shared
        .outbox
        .settle(Settlement {
            delivery: leased.id,
            token: leased.token,
            account: leased.account.clone(),
            outcome,
            decision,
            took,
        })
        .await?;
    if settled == Settled::StaleLease {
        tracing::warn!(delivery = %leased.id, "The lease was lost; the outcome is not recorded.");
    }
    match used {
        Some(used) if refused => retry_with_new_secrets(shared, snapshot, leased, used).await,
        _ => Ok(()),
    }
}

/// Reads the secrets again, and gives new ones their chance: what the old ones were refused for
/// says nothing about them.
async fn retry_with_new_secrets(
    shared: &Shared,
    snapshot: &Snapshot,
    leased: &Leased,
    used: Option<Seal>,
) -> Result<(), OutboxError> {
    let source = snapshot.declared.config().secret_source();
    let account = &leased.account;
    if snapshot.connections.renew(account, source, used).await {
        tracing::info!(%account, "The secrets have changed since and were read again.");
        shared.outbox.resume(vec![account.clone()]).await?;
        shared.wake.notify_one();
    }
    Ok(())
}
