//! Deliver: one attempt under its deadline. Whatever happens in a provider, an outcome comes out.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use notify_core::{
    Account, Cause, Delivery, DeliveryContext, Outcome, Past, Prepared, Reconciled, TerminalPhase,
    WorkflowEnded, time,
};
use notify_outbox::Leased;
use tokio::time::{Instant, timeout};

use crate::connect::{Connected, Seal};
use crate::engine::Shared;
use crate::render::{message, summary_message};
use crate::snapshot::{Ready, Snapshot};

/// What an attempt came to.
pub(crate) enum Attempted {
    /// A provider, or the way to it, gave an outcome.
    Outcome {
        outcome: Outcome,
        /// The secrets with which it was made; `None` where there was no way to connect.
        seal: Option<Seal>,
    },
    /// The record does not load in this program: nothing was sent.
    Unreadable(String),
}

/// Makes one attempt. A panic in a provider ends the attempt and nothing else.
pub(crate) async fn deliver(shared: &Shared, snapshot: &Snapshot, leased: &Leased) -> Attempted {
    // What a panic leaves behind is not looked at again: every attempt is prepared anew.
    let attempt = AssertUnwindSafe(attempted(shared, snapshot, leased)).catch_unwind();
    attempt.await.unwrap_or_else(|_| {
        tracing::error!(delivery = %leased.id, account = %leased.account, "The provider panicked.");
        Attempted::Outcome {
            outcome: Outcome::unknown(Cause::Internal, "the provider panicked"),
            seal: None,
        }
    })
}

async fn attempted(shared: &Shared, snapshot: &Snapshot, leased: &Leased) -> Attempted {
    let (event, ready) = match shared.known.of(&shared.registry, leased) {
        Ok(known) => known,
        Err(problems) => return Attempted::Unreadable(problems.to_string()),
    };
    let deadline = snapshot.connections.account(&leased.account);
    let deadline = deadline.map_or(Duration::ZERO, Account::deadline);
    let source = snapshot.declared.config().secret_source();
    let begun = Instant::now();
    // Nothing is sent before there is a connection, and the lease does not wait for one.
    let connected = timeout(deadline, snapshot.connections.get(&leased.account, source)).await;
    let slow = || {
        let why = format!("no connection within {}", time::words(deadline));
        Outcome::not_delivered(Cause::Internal, why)
    };
    let connected = connected.map_err(|_| slow()).flatten();
    let Connected {
        account,
        transport,
        seal,
    } = match connected {
        Ok(connected) => connected,
        Err(outcome) => {
            let seal = None;
            return Attempted::Outcome { outcome, seal };
        }
    };
    let prepared = prepare(account, leased, &event, &ready);
    let cx = DeliveryContext::new(leased.tries + 1, &*shared.clock);
    let reconciles = leased.unsure && account.capabilities().reconciles;
    // One deadline for everything: the lease does not last longer.
    let attempt = async {
        if reconciles
            && let Reconciled::Delivered(receipt) = transport.reconcile(&cx, &prepared).await
        {
            return vec![Outcome::Delivered(receipt)];
        }
        transport
            .deliver(&cx, std::slice::from_ref(&prepared))
            .await
    };
    let left = deadline.saturating_sub(begun.elapsed());
    let outcomes = timeout(left, attempt).await;
    Attempted::Outcome {
        outcome: only(outcomes.ok(), deadline),
        seal: Some(seal),
    }
}

/// Makes the vendor's form of a delivery.
fn prepare(
    account: &dyn Account,
    leased: &Leased,
    event: &WorkflowEnded,
    ready: &Ready,
) -> Prepared {
    let (id, recipient) = (leased.wire_id(), &leased.recipient);
    let ended_at = leased.event.ended_at;
    let mut delivery = Delivery::new(id, event, &ready.notification, recipient, ended_at);
    if let Some(key) = &leased.conversation {
        delivery = delivery.in_conversation(key, leased.action);
    }
    let past = leased.event.past.unwrap_or(Past {
        previous: TerminalPhase::Succeeded,
        streak: 0,
        since: None,
    });
    let summary = leased.summary.as_ref().map(summary_message);
    let message = summary.unwrap_or_else(|| message(event, &past, ready.template.as_ref()));
    Prepared {
        id,
        recipient: recipient.clone(),
        payload: account.payload(&delivery, &message),
    }
}

/// Takes the one outcome of a batch of one.
fn only(outcomes: Option<Vec<Outcome>>, deadline: Duration) -> Outcome {
    let late = || format!("no answer within {}", time::words(deadline));
    let Some(outcomes) = outcomes else {
        return Outcome::unknown(Cause::Timeout, late());
    };
    let given = outcomes.len();
    match outcomes.into_iter().next() {
        Some(outcome) if given == 1 => outcome,
        _ => Outcome::unknown(
            Cause::Internal,
            format!("the provider gave {given} outcomes for 1 delivery"),
        ),
    }
}
