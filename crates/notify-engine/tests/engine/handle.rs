//! What an embedder holds: own thread, blocking calls, recorder, reload, shutdown.

use std::time::Duration;

use notify_core::outcome::{Cause, Reason};
use notify_core::rule::{Match, Pattern, Rule};
use notify_core::{Outcome, TerminalPhase, WorkflowName};
use notify_engine::{EngineError, Recorder};
use notify_outbox::{Accepted, DeliveryQuery, DeliveryState};

use crate::bench::{Bench, Script, drain, ended, states, told};

use DeliveryState::{Delivered, Held, Pending};
use TerminalPhase::Failed;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_program_without_a_runtime_has_an_engine_on_a_thread_of_its_own() {
    let bench = Bench::new("own-thread", vec![told(Failed, &["a", "b"])]);
    let engine = bench.builder().spawn().unwrap();
    let accepted = engine
        .workflow_ended_blocking(ended("1", Failed, 1))
        .unwrap();
    let again = engine
        .clone()
        .workflow_ended_blocking(ended("1", Failed, 1))
        .unwrap();
    assert_eq!(again, Accepted::Duplicate(accepted.event()));
    let deliveries = engine.settled_blocking(accepted.event(), PATIENCE).unwrap();
    assert!(deliveries.iter().all(|one| one.state == Delivered) && deliveries.len() == 2);
    let left = engine.shutdown_blocking(PATIENCE).unwrap();
    assert!(left.status.is_idle() && left.deliveries.is_empty());
}

#[test]
fn what_keeps_an_engine_from_starting_is_told_by_spawn_too() {
    let bench = Bench::new("no-start", Vec::new());
    let builder = notify_engine::Engine::builder(crate::bench::registry()).config(bench.config());
    assert!(matches!(
        builder.spawn(),
        Err(EngineError::Missing("an outbox"))
    ));
}

#[tokio::test]
async fn a_recorder_leaves_delivery_to_another_process() {
    let bench = Bench::new("recorder", vec![told(Failed, &["a"])]);
    let recorder = Recorder::new(bench.outbox());
    let blocking = recorder.clone();
    std::thread::spawn(move || {
        blocking
            .workflow_ended_blocking(ended("1", Failed, 1))
            .unwrap()
    })
    .join()
    .unwrap();
    recorder
        .workflow_ended(ended("2", Failed, 2))
        .await
        .unwrap();
    assert!(bench.seen().is_empty());
    let engine = bench.engine();
    assert!(drain(&engine).await.is_idle());
    assert_eq!(bench.seen().len(), 2);
}

#[tokio::test]
async fn a_shut_down_engine_lists_what_it_leaves() {
    let bench = Bench::new(
        "leaves",
        vec![told(Failed, &["waits", "held", "hangs", "fine"])],
    );
    let later = Outcome::not_delivered(Cause::Unavailable, "HTTP 503");
    bench.script("waits", Script::Give(later));
    let refused = Outcome::rejected(Reason::Auth, "bad key").in_lane();
    bench.script("held", Script::Give(refused));
    bench.script("hangs", Script::Hang);
    let engine = bench.engine();
    let event = engine
        .workflow_ended(ended("1", Failed, 1))
        .await
        .unwrap()
        .event();
    let mut looked = 0;
    while bench.seen().len() < 4 {
        looked += 1;
        assert!(looked < 100_000, "not everything is sent");
        drop(engine.deliveries(DeliveryQuery::of(event)).await.unwrap());
    }
    let left = engine.shutdown(Duration::ZERO).await.unwrap();
    let mut listed: Vec<(String, DeliveryState)> = left
        .deliveries
        .iter()
        .map(|one| (one.recipient.to_string(), one.state))
        .collect();
    listed.sort();
    // What a provider that hangs was given may be on the wire, so its lease is kept.
    let state = |to: &str, state| (to.to_owned(), state);
    let expected = [
        state("hangs", DeliveryState::Leased),
        state("held", Held),
        state("waits", Pending),
    ];
    assert_eq!(listed, expected);
    assert_eq!(
        (left.status.leased, left.status.held, left.status.pending),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn a_reload_changes_what_is_planned_next_and_nothing_that_is_recorded() {
    let bench = Bench::new("reload", vec![told(Failed, &["old"])]);
    let later = Outcome::not_delivered(Cause::Unavailable, "HTTP 503");
    bench.script("old", Script::Give(later));
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    let bench = Bench {
        notifications: vec![told(Failed, &["new"])],
        ..bench
    };
    engine.reload(bench.config()).unwrap();
    engine.workflow_ended(ended("2", Failed, 2)).await.unwrap();
    bench.pass(Duration::from_mins(1));
    drain(&engine).await;
    let expected = [("old".to_owned(), Delivered), ("new".to_owned(), Delivered)];
    assert_eq!(states(&engine).await, expected);
}

#[tokio::test]
async fn a_reload_with_a_broken_template_leaves_the_old_configuration_in_force() {
    let bench = Bench::new("broken-reload", vec![told(Failed, &["a"])]);
    let engine = bench.engine();
    let broken = crate::bench::templated(Failed, "a", "{{ no_such_field }}");
    let broken = Bench {
        notifications: vec![broken],
        ..Bench::new("broken-reload", Vec::new())
    };
    let refused = engine.reload(broken.config());
    assert!(matches!(refused, Err(EngineError::Template(_))));
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn a_reload_gives_paused_accounts_another_chance() {
    let bench = Bench::new("mended", vec![told(Failed, &["a"])]);
    let refused = Outcome::rejected(Reason::Auth, "invalid_auth");
    bench.script("a", Script::Give(refused));
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    assert_eq!(drain(&engine).await.held, 1);
    engine.reload(bench.config()).unwrap();
    drain(&engine).await;
    assert_eq!(states(&engine).await, [("a".to_owned(), Delivered)]);
}

#[tokio::test]
async fn a_rule_tells_of_every_workflow_that_it_matches_declared_or_not() {
    let bench = Bench::new("rules", vec![told(Failed, &["declared"])]);
    let matches = Match::every().project(Pattern::new("p*").unwrap());
    let rules = vec![Rule::new(matches, told(Failed, &["installation"]))];
    let config = bench.config().with_rules(rules).unwrap();
    let engine = bench.builder().config(config).start().unwrap();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    let own = ended("2", Failed, 2).notifications(vec![told(Failed, &["own"])]);
    engine.workflow_ended(own).await.unwrap();
    let mut unheard_of = ended("3", Failed, 3);
    unheard_of.workflow = WorkflowName::new("unheard-of").unwrap();
    engine.workflow_ended(unheard_of).await.unwrap();
    assert!(drain(&engine).await.is_idle());
    let mut to: Vec<String> = bench.seen().into_iter().map(|(to, _)| to).collect();
    to.sort();
    let expected = [
        "declared",
        "installation",
        "installation",
        "installation",
        "own",
    ];
    assert_eq!(to, expected);
}

#[tokio::test]
async fn a_secret_that_was_changed_is_read_again_when_the_old_one_is_refused() {
    let bench = Bench::new("rotated", vec![told(Failed, &["a", "b"])]);
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    bench.rotate("new");
    engine.workflow_ended(ended("2", Failed, 2)).await.unwrap();
    assert!(drain(&engine).await.is_idle());
    assert!(states(&engine).await.iter().all(|one| one.1 == Delivered));
    // The same secret is not tried again and again.
    let before = bench.seen().len();
    bench.rotate("newer");
    bench.rotate("new");
    engine.workflow_ended(ended("3", Failed, 3)).await.unwrap();
    assert_eq!(drain(&engine).await.held, 2);
    assert!(bench.seen().len() <= before + 4, "{:?}", bench.seen());
}
