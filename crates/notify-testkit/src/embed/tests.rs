//! What an embedder sees: that the assertions hold, and what they say when they do not.

use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use notify_core::{
    Accounts, Cause, Config, Execution, Outcome, Receipt, Registry, TerminalPhase, WorkflowEnded,
    WorkflowName, provider_fn,
};
use notify_engine::Engine;
use notify_outbox::DeliveryRecord;
use serde_json::json;

use super::{FakeOutbox, StandIn};
use crate::HandClock;

const PATIENCE: Duration = Duration::from_secs(5);

struct Program {
    vendors: StandIn,
    outbox: FakeOutbox,
    engine: Engine,
}

fn program() -> Program {
    let desk = provider_fn("desk", |_, _| async {
        Outcome::Delivered(Receipt::new("this is never called"))
    });
    let registry = Registry::of([desk]).unwrap();
    let accounts = Accounts::load(&registry, &json!({})).unwrap();
    let workflow = json!({
        "workflow": "etl",
        "notifications": [
            {"phases": "failed", "desk": ["a"]},
            {"phases": "failed", "when": {"streak": 3}, "desk": ["b"]},
        ],
    });
    let workflow = registry.load_workflow(&workflow).unwrap();
    let vendors = StandIn::default();
    let config = Config::new(
        vec![workflow],
        vendors.instead_of(&accounts),
        vendors.secrets(),
    );
    let clock = Arc::new(HandClock::default());
    let outbox = FakeOutbox::new(clock.clone());
    let engine = Engine::builder(registry)
        .config(config.unwrap())
        .outbox(outbox.clone())
        .clock(clock)
        .spawn()
        .unwrap();
    Program {
        vendors,
        outbox,
        engine,
    }
}

impl Program {
    fn told(&self, run: &str) -> Vec<DeliveryRecord> {
        let event = self.engine.workflow_ended_blocking(failed(run)).unwrap();
        self.engine
            .settled_blocking(event.event(), PATIENCE)
            .unwrap()
    }
}

fn failed(run: &str) -> WorkflowEnded {
    let execution = Execution::new("analytics", "production", run).unwrap();
    WorkflowEnded::new(
        WorkflowName::new("etl").unwrap(),
        execution,
        TerminalPhase::Failed,
    )
}

/// The words of an assertion that does not hold.
fn said(assertion: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = catch_unwind(assertion).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn what_is_sent_is_taken_and_leaves_nothing() {
    let program = program();
    let told = program.told("run-1");
    assert_delivered!(told, "desk", "a");
    assert_skipped!(told, "desk", "b");
    let sent = program.vendors.sent_to("desk", "a");
    assert!(sent.len() == 1 && sent[0].contains("etl"), "{sent:?}");
    assert!(program.vendors.sent_to("desk", "b").is_empty());
}

#[test]
fn a_vendor_answers_as_it_is_told() {
    let program = program();
    let busy = Outcome::not_delivered(Cause::Unavailable, "busy");
    program.vendors.answer("desk", "a", busy);
    let told = program.told("run-1");
    assert_pending!(told, "desk", "a");
    let words = said(|| assert_delivered!(told, "desk", "a"));
    let expected =
        "`desk` to `a` is not delivered; on record:\n  desk.default to `a`: pending, 1 tries; ";
    assert!(words.starts_with(expected), "{words}");
    assert!(said(|| assert_nothing_sent!(told)).starts_with("something was sent"));
    let nobody = said(|| assert_delivered!(Vec::new(), "desk", "a"));
    assert_eq!(
        nobody,
        "`desk` to `a` is not delivered; on record:\n  nothing"
    );
}

#[test]
fn a_ledger_fails_until_it_is_mended() {
    let program = program();
    program.outbox.break_down("the disk is full");
    let refused = program.engine.workflow_ended_blocking(failed("run-1"));
    assert!(refused.is_err());
    program.outbox.mend();
    assert_delivered!(program.told("run-1"), "desk", "a");
}
