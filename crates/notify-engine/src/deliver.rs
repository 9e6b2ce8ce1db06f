//! Deliver: one attempt under its deadline. Whatever happens in a provider, an outcome comes out.

use std::sync::Arc;
use std::time::Duration;

use notify_core::{Cause, Delivery, DeliveryContext, Outcome, Past, Prepared, TerminalPhase};
use notify_outbox::Leased;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::engine::Shared;
use crate::render::message;

/// What an attempt came to.
pub(crate) enum Attempted {
    /// A provider, or the way to it, gave an outcome.
    Outcome(Outcome),
    /// The record does not load in this program: nothing was sent.
    Unreadable(String),
}

/// Makes one attempt.
pub(crate) async fn deliver(shared: &Arc<Shared>, leased: &Arc<Leased>) -> Attempted {
    // A task of its own, so that a panic ends the attempt and not the pump. The set aborts the
    // task when this future is dropped.
    let mut attempt = JoinSet::new();
    let (task_shared, task_leased) = (Arc::clone(shared), Arc::clone(leased));
    attempt.spawn(async move { attempted(&task_shared, &task_leased).await });
    if let Some(Ok(attempted)) = attempt.join_next().await {
        return attempted;
    }
    tracing::error!(delivery = %leased.id, account = %leased.account, "The provider panicked.");
    Attempted::Outcome(Outcome::unknown(Cause::Internal, "the provider panicked"))
}

async fn attempted(shared: &Shared, leased: &Leased) -> Attempted {
    let loaded = leased
        .event
        .load(&shared.registry)
        .and_then(|event| Ok((event, shared.registry.load_notification(&leased.spec.body)?)));
    let loaded = loaded.and_then(|(event, notification)| {
        let template = shared.templates.of(leased.spec.digest, &notification)?;
        Ok((event, notification, template))
    });
    let (event, notification, template) = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => return Attempted::Unreadable(problems.to_string()),
    };
    let source = shared.config.secret_source();
    let (account, transport) = match shared.connections.get(&leased.account, source) {
        Ok(connected) => connected,
        Err(outcome) => return Attempted::Outcome(outcome),
    };
    let past = leased.event.past.unwrap_or(Past {
        previous: TerminalPhase::Succeeded,
        streak: 0,
        since: None,
    });
    let ended_at = leased.event.ended_at;
    let mut delivery = Delivery::new(
        leased.id,
        &event,
        &notification,
        &leased.recipient,
        ended_at,
    );
    if let Some(key) = &leased.conversation {
        delivery = delivery.in_conversation(key, leased.action);
    }
    let prepared = Prepared {
        id: leased.id,
        recipient: leased.recipient.clone(),
        payload: account.payload(&delivery, &message(&event, &past, template.as_ref())),
    };
    let cx = DeliveryContext::new(leased.tries + 1, &*shared.clock);
    let batch = [prepared];
    let outcomes = timeout(account.deadline(), transport.deliver(&cx, &batch)).await;
    Attempted::Outcome(only(outcomes.ok(), account.deadline()))
}

/// Takes the one outcome of a batch of one.
fn only(outcomes: Option<Vec<Outcome>>, deadline: Duration) -> Outcome {
    let late = || format!("no answer within {}", notify_core::time::words(deadline));
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
