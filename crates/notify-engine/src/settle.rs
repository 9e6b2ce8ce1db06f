//! Settle: what came of the attempt goes into the outbox, in one transaction.

use std::time::Duration;

use notify_core::{Outcome, Reason};
use notify_outbox::settle::{Tried, decide, hold};
use notify_outbox::{Decision, Leased, Next, OutboxError, Release, Settled, Settlement};

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
    let (outcome, decision) = match attempted {
        Attempted::Outcome { outcome, seal } => {
            let mut decision = decide(&outcome, tried, &shared.settings.policy, random);
            if matches!(decision.next, Next::Held(Release::Account)) {
                let source = snapshot.declared.config().secret_source();
                if snapshot.connections.renew(&leased.account, source, seal) {
                    decision = again_at_once(decision);
                }
            }
            (outcome, decision)
        }
        Attempted::Unreadable(why) => {
            let decision = hold(format!("the record does not load: {why}"));
            (Outcome::rejected(Reason::Config, why), decision)
        }
    };
    tracing::debug!(
        delivery = %leased.id, account = %leased.account, outcome = outcome.name(),
        reason = decision.reason.as_deref(), "An attempt is over."
    );
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
    Ok(())
}

/// Gives new secrets their chance: what the old ones were refused for says nothing about them.
fn again_at_once(refused: Decision) -> Decision {
    let why = refused.reason.unwrap_or_default();
    Decision {
        next: Next::Pending {
            after: Duration::ZERO,
        },
        counts: false,
        pause: None,
        reason: Some(format!(
            "{why}; the secret has changed since and was read again"
        )),
        ..refused
    }
}
