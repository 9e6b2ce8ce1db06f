//! Settle: what came of the attempt goes into the outbox, in one transaction.

use std::time::Duration;

use notify_core::{Outcome, Reason};
use notify_outbox::settle::{Tried, decide, hold};
use notify_outbox::{Leased, Next, OutboxError, Settled, Settlement};

use crate::deliver::Attempted;
use crate::engine::Shared;
use crate::random::fraction;

pub(crate) async fn settle(
    shared: &Shared,
    leased: &Leased,
    attempted: Attempted,
    took: Duration,
) -> Result<(), OutboxError> {
    let random = fraction(&*shared.random);
    let tried = Tried {
        attempts: leased.attempts,
        tries: leased.tries,
        age: leased.age.saturating_add(took),
    };
    let (outcome, decision) = match attempted {
        Attempted::Outcome(outcome) => {
            let decision = decide(&outcome, tried, &shared.settings.policy, random);
            (outcome, decision)
        }
        Attempted::Unreadable(why) => {
            let decision = hold(format!("the record does not load: {why}"));
            (Outcome::rejected(Reason::Config, why), decision)
        }
    };
    if decision.next == Next::Held {
        shared.connections.forget(&leased.account);
    }
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
