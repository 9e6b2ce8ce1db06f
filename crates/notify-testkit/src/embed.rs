//! For the tests of a program that embeds the engine: vendors that take everything, a ledger that
//! fails when it is told to, and assertions on what became of a workflow's end.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use notify_core::{
//!     Accounts, Config, Execution, Outcome, Receipt, Registry, TerminalPhase, WorkflowEnded,
//!     WorkflowName, provider_fn,
//! };
//! use notify_engine::Engine;
//! use notify_testkit::embed::{FakeOutbox, StandIn};
//! use notify_testkit::{HandClock, assert_delivered, assert_nothing_sent, assert_skipped};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What the program declares, in its files or in code.
//! # let desk = provider_fn("desk", |message, _| async move {
//! #     Outcome::Delivered(Receipt::new(message.id.to_string()))
//! # });
//! let registry = Registry::of([desk])?;
//! let accounts = Accounts::load(&registry, &json!({}))?;
//! let workflow = registry.load_workflow(&json!({
//!     "workflow": "nightly-etl",
//!     "notifications": [
//!         {"phases": "failed", "desk": ["night shift"]},
//!         {"phases": "failed", "when": {"streak": 3}, "desk": ["boss"]},
//!     ],
//! }))?;
//!
//! // The same accounts, and nothing that they send leaves the test.
//! let vendors = StandIn::default();
//! let config = Config::new(vec![workflow], vendors.instead_of(&accounts), vendors.secrets())?;
//! let engine = Engine::builder(registry)
//!     .config(config)
//!     .outbox(FakeOutbox::new(Arc::new(HandClock::default())))
//!     .clock(Arc::new(HandClock::default()))
//!     .spawn()?;
//!
//! let end = |run: &str, phase| -> Result<_, Box<dyn std::error::Error>> {
//!     let execution = Execution::new("analytics", "production", run)?;
//!     Ok(WorkflowEnded::new(WorkflowName::new("nightly-etl")?, execution, phase))
//! };
//! let patience = Duration::from_secs(5);
//! let event = engine.workflow_ended_blocking(end("run-1", TerminalPhase::Failed)?)?.event();
//! let told = engine.settled_blocking(event, patience)?;
//! assert_delivered!(told, "desk", "night shift");
//! assert_skipped!(told, "desk", "boss");
//! assert!(vendors.sent_to("desk", "night shift")[0].contains("nightly-etl"));
//!
//! let event = engine.workflow_ended_blocking(end("run-2", TerminalPhase::Succeeded)?)?.event();
//! assert_nothing_sent!(engine.settled_blocking(event, patience)?);
//! # Ok(())
//! # }
//! ```

mod ledger;
mod stand_in;

use notify_outbox::DeliveryRecord;
#[doc(hidden)]
pub use notify_outbox::DeliveryState;

pub use crate::embed::ledger::FakeOutbox;
pub use crate::embed::stand_in::StandIn;

/// Sees that a recipient was told: `assert_delivered!(told, "slack", "#data-alerts")`.
///
/// What was told is a list of [`DeliveryRecord`]s, as `Engine::settled` and `Engine::deliveries`
/// give it. The module [`embed`](crate::embed) has an example.
#[macro_export]
macro_rules! assert_delivered {
    ($told:expr, $kind:expr, $recipient:expr $(,)?) => {
        $crate::embed::assert_state(
            &$told,
            $kind,
            $recipient,
            $crate::embed::DeliveryState::Delivered,
        )
    };
}

/// Sees that a recipient was not to be told: `assert_skipped!(told, "slack", "#data-alerts")`.
///
/// What was told is a list of [`DeliveryRecord`]s. The module [`embed`](crate::embed) has an example.
///
/// [`DeliveryRecord`]: notify_outbox::DeliveryRecord
#[macro_export]
macro_rules! assert_skipped {
    ($told:expr, $kind:expr, $recipient:expr $(,)?) => {
        $crate::embed::assert_state(
            &$told,
            $kind,
            $recipient,
            $crate::embed::DeliveryState::Skipped,
        )
    };
}

/// Sees that a recipient waits to be told, or to be told again: what is to be tried later.
///
/// ```
/// # let told: Vec<notify_outbox::DeliveryRecord> = Vec::new();
/// # if !told.is_empty() {
/// notify_testkit::assert_pending!(told, "slack", "#data-alerts");
/// # }
/// ```
#[macro_export]
macro_rules! assert_pending {
    ($told:expr, $kind:expr, $recipient:expr $(,)?) => {
        $crate::embed::assert_state(
            &$told,
            $kind,
            $recipient,
            $crate::embed::DeliveryState::Pending,
        )
    };
}

/// Sees that nobody was told, and that nothing was tried.
///
/// ```
/// let told: Vec<notify_outbox::DeliveryRecord> = Vec::new();
/// notify_testkit::assert_nothing_sent!(told);
/// ```
#[macro_export]
macro_rules! assert_nothing_sent {
    ($told:expr $(,)?) => {
        $crate::embed::assert_untried(&$told)
    };
}

/// Sees that exactly the deliveries to a recipient are in a state, and that there is one.
///
/// # Panics
///
/// When there is none, or when one is elsewhere.
#[track_caller]
pub fn assert_state(told: &[DeliveryRecord], kind: &str, recipient: &str, state: DeliveryState) {
    let to_him = |record: &&DeliveryRecord| {
        record.account.kind.as_str() == kind && record.recipient.as_str() == recipient
    };
    let mut found = told.iter().filter(to_him).peekable();
    let right = found.peek().is_some() && found.all(|record| record.state == state);
    let name = state.name();
    assert!(
        right,
        "`{kind}` to `{recipient}` is not {name}; on record:\n{}",
        listed(told)
    );
}

/// Sees that nothing was delivered and nothing tried.
///
/// # Panics
///
/// When something was.
#[track_caller]
pub fn assert_untried(told: &[DeliveryRecord]) {
    let untried = |record: &DeliveryRecord| {
        record.tries == 0
            && !matches!(
                record.state,
                DeliveryState::Delivered | DeliveryState::Leased
            )
    };
    assert!(
        told.iter().all(untried),
        "something was sent; on record:\n{}",
        listed(told)
    );
}

fn listed(told: &[DeliveryRecord]) -> String {
    let line = |record: &DeliveryRecord| {
        let why = record.reason.as_deref().unwrap_or_default();
        format!(
            "  {} to `{}`: {}, {} tries; {why}",
            record.account,
            record.recipient,
            record.state.name(),
            record.tries
        )
    };
    match told {
        [] => "  nothing".to_owned(),
        told => told.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}

#[cfg(test)]
mod tests;
