//! Deliver: one attempt under its deadline. Whatever happens in a provider, an outcome comes out.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use notify_core::outcome::clean;
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

/// Makes one attempt for a batch and gives what it came to for each. A panic in a provider ends the
/// attempt and nothing else.
pub(crate) async fn deliver(
    shared: &Shared,
    snapshot: &Snapshot,
    batch: &[Leased],
) -> Vec<Attempted> {
    // What a panic leaves behind is not looked at again: every attempt is prepared anew.
    let attempt = AssertUnwindSafe(attempted(shared, snapshot, batch)).catch_unwind();
    attempt.await.unwrap_or_else(|_| {
        let first = batch.first();
        tracing::error!(
            delivery = first.map(|one| tracing::field::display(one.id)),
            account = first.map(|one| tracing::field::display(&one.account)),
            "The provider panicked."
        );
        let outcome = Outcome::unknown(Cause::Internal, "the provider panicked");
        same_for_all(batch, &outcome, None)
    })
}

/// Gives every delivery of a batch the same outcome.
fn same_for_all(batch: &[Leased], outcome: &Outcome, seal: Option<Seal>) -> Vec<Attempted> {
    let same = |_: &Leased| Attempted::Outcome {
        outcome: outcome.clone(),
        seal,
    };
    batch.iter().map(same).collect()
}

async fn attempted(shared: &Shared, snapshot: &Snapshot, batch: &[Leased]) -> Vec<Attempted> {
    // All of a batch are of one event, one notification and one account.
    let Some(leased) = batch.first() else {
        return Vec::new();
    };
    let (event, ready) = match shared.known.of(&shared.registry, leased) {
        Ok(known) => known,
        Err(problems) => {
            let unreadable = |_: &Leased| Attempted::Unreadable(problems.to_string());
            return batch.iter().map(unreadable).collect();
        }
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
        Err(outcome) => return same_for_all(batch, &outcome, None),
    };
    let prepare = |leased: &Leased| prepare(account, leased, &event, &ready);
    let prepared: Vec<Prepared> = batch.iter().map(prepare).collect();
    let cx = DeliveryContext::new(leased.tries + 1, &*shared.clock);
    let reconciles = leased.unsure && account.capabilities().reconciles;
    // One deadline for everything: the lease does not last longer.
    let attempt = async {
        if reconciles
            && let [prepared] = &*prepared
            && let Reconciled::Delivered(receipt) = transport.reconcile(&cx, prepared).await
        {
            return vec![Outcome::Delivered(receipt)];
        }
        transport.deliver(&cx, &prepared).await
    };
    let left = deadline.saturating_sub(begun.elapsed());
    let outcomes = timeout(left, attempt).await;
    let seal = Some(seal);
    one_for_each(outcomes.ok(), batch.len(), deadline)
        .into_iter()
        .map(|outcome| explained(account, outcome))
        .map(|outcome| Attempted::Outcome { outcome, seal })
        .collect()
}

/// Adds to a refusal what is to be done about it, where the account knows: it stands on record with
/// the vendor's words.
fn explained(account: &dyn Account, mut outcome: Outcome) -> Outcome {
    let fix = account.explain(&outcome);
    if let (Outcome::Rejected { detail, .. }, Some(fix)) = (&mut outcome, fix) {
        *detail = clean(&format!("{detail}; {fix}"));
    }
    outcome
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
    if let Some(earlier) = &leased.earlier {
        delivery = delivery.after(earlier);
    }
    let past = leased.event.past.unwrap_or(Past {
        previous: TerminalPhase::Succeeded,
        streak: 0,
        since: None,
    });
    let summary = leased.summary.as_ref().map(summary_message);
    // A success that the notification does not name ends what is open: the author's words are about
    // something else.
    let is_named = ready.notification.phases().contains(event.phase);
    let template = ready.template.as_ref().filter(|_| is_named);
    let message = summary.unwrap_or_else(|| message(event, &past, template));
    Prepared {
        id,
        recipient: recipient.clone(),
        payload: account.payload(&delivery, &message),
    }
}

/// Takes one outcome for each delivery of a batch.
fn one_for_each(
    outcomes: Option<Vec<Outcome>>,
    deliveries: usize,
    deadline: Duration,
) -> Vec<Outcome> {
    let Some(outcomes) = outcomes else {
        let late = format!("no answer within {}", time::words(deadline));
        return vec![Outcome::unknown(Cause::Timeout, late); deliveries];
    };
    let given = outcomes.len();
    if given == deliveries {
        return outcomes;
    }
    let plural = if deliveries == 1 { "y" } else { "ies" };
    let why = format!("the provider gave {given} outcomes for {deliveries} deliver{plural}");
    vec![Outcome::unknown(Cause::Internal, why); deliveries]
}
