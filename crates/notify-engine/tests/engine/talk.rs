//! Conversations that go on, recipients who are told at once, lanes that are paused.

use std::time::Duration;

use notify_core::TerminalPhase::{Failed, Succeeded};
use notify_core::{Cause, Outcome, Reason, Receipt, phases};
use notify_outbox::DeliveryQuery;
use notify_outbox::DeliveryState::{Delivered, Held, Pending};

use crate::bench::{Bench, Script, drain, ended, states, templated, told};

/// Tells of runs one after the other; gives what reached the vendor.
async fn told_of(bench: &Bench, runs: &[notify_core::TerminalPhase]) -> Vec<String> {
    let engine = bench.engine();
    for (second, phase) in (1..).zip(runs) {
        let event = ended(&second.to_string(), *phase, second);
        engine.workflow_ended(event).await.unwrap();
        assert!(drain(&engine).await.is_idle());
    }
    bench.seen().into_iter().map(|(_, body)| body).collect()
}

#[tokio::test]
async fn what_went_before_is_handed_to_the_provider_and_a_success_that_stands_alone_goes_alone() {
    let both = told(phases![Failed, Succeeded], &["svc"]);
    let mut bench = Bench::closing("thread", vec![both]);
    bench.success = Some("ends");
    for name in ["first", "second", "third"] {
        let receipt = Receipt::new(name);
        bench.script("svc", Script::Give(Outcome::Delivered(receipt)));
    }
    let seen = told_of(&bench, &[Failed, Failed, Succeeded, Succeeded, Failed]).await;
    let expected = [
        "open etl failed",
        "open etl failed after first",
        "close etl succeeded again after second",
        "send etl succeeded",
        "open etl failed",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn an_unnamed_success_ends_what_is_open_and_says_nothing_else() {
    let mut bench = Bench::closing("unnamed", vec![told(Failed, &["svc"])]);
    bench.success = Some("ends");
    let seen = told_of(&bench, &[Succeeded, Failed, Succeeded, Succeeded]).await;
    let expected = ["open etl failed", "close etl succeeded again after ok"];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn words_of_the_author_are_about_the_phases_that_are_named() {
    let table = [
        ("words", phases![Failed], "Recovered"),
        ("both-words", phases![Failed, Succeeded], "own words"),
    ];
    for (account, phases, expected) in table {
        let bench = Bench::closing(account, vec![templated(phases, "svc", "own words")]);
        told_of(&bench, &[Failed]).await;
        assert!(bench.details().concat().contains("own words"));
        told_of(&bench, &[Failed, Succeeded]).await;
        let last = bench.details().concat();
        assert!(last.contains(expected), "{last}");
    }
}

#[tokio::test]
async fn a_named_success_goes_by_itself_where_what_failed_was_refused() {
    let both = told(phases![Failed, Succeeded], &["svc"]);
    let mut bench = Bench::closing("refused-first", vec![both]);
    bench.success = Some("ends");
    let refused = Outcome::rejected(Reason::Payload, "invalid_blocks");
    bench.script("svc", Script::Give(refused));
    let seen = told_of(&bench, &[Failed, Succeeded]).await;
    assert_eq!(seen, ["open etl failed", "send etl succeeded again"]);
}

#[tokio::test]
async fn a_success_may_go_apart_from_the_close() {
    let both = told(phases![Failed, Succeeded], &["svc"]);
    let mut bench = Bench::closing("apart", vec![both]);
    bench.success = Some("apart");
    let mut seen = told_of(&bench, &[Failed, Succeeded, Succeeded]).await;
    seen.sort();
    let expected = [
        "close etl succeeded again after ok",
        "open etl failed",
        "send etl succeeded",
        "send etl succeeded again",
    ];
    assert_eq!(seen, expected);
    let mut ids = bench.ids();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "each is a delivery of its own");
}

#[tokio::test]
async fn recipients_who_are_told_together_share_an_attempt_and_not_its_outcome() {
    let mut bench = Bench::new("together", vec![told(Failed, &["a", "b", "c"])]);
    bench.together = true;
    let busy = Outcome::not_delivered(Cause::Unavailable, "451");
    bench.script("b", Script::Give(busy));
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    let states_now = states(&engine).await.into_iter().map(|(_, state)| state);
    let states_now: Vec<_> = states_now.collect();
    assert_eq!(states_now, [Delivered, Pending, Delivered]);
    assert_eq!(bench.attempts(), [3]);
    bench.pass(Duration::from_mins(1));
    assert!(drain(&engine).await.is_idle());
    assert_eq!(bench.attempts(), [3, 1]);
    let to: Vec<String> = bench.seen().into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, ["a", "b", "c", "b"]);
}

#[tokio::test]
async fn a_panic_and_a_silence_are_the_outcome_of_all_who_are_told_together() {
    for (name, script) in [("panic", Script::Panic), ("silence", Script::Hang)] {
        let account = format!("together-{name}");
        let mut bench = Bench::new(&account, vec![told(Failed, &["a", "b"])]);
        bench.together = true;
        bench.script("a", script);
        let engine = bench.engine();
        engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
        drain(&engine).await;
        let states_now = states(&engine).await.into_iter().map(|(_, state)| state);
        assert_eq!(states_now.collect::<Vec<_>>(), [Pending, Pending], "{name}");
        bench.pass(Duration::from_mins(1));
        assert!(drain(&engine).await.is_idle());
    }
}

#[tokio::test]
async fn different_events_and_notifications_are_never_told_together() {
    let two = vec![told(Failed, &["a", "b"]), told(Failed, &["c"])];
    let mut bench = Bench::new("apart-batches", two);
    bench.together = true;
    told_of(&bench, &[Failed, Failed]).await;
    let mut attempts = bench.attempts();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 1, 2, 2]);
}

#[tokio::test]
async fn a_lane_whose_settings_are_refused_is_left_alone_until_they_change() {
    let bench = Bench::new("lane", vec![told(Failed, &["bad", "good"])]);
    let gone = Outcome::rejected(Reason::Config, "HTTP 410").in_lane();
    let gone_again = gone.clone();
    bench.script("bad", Script::Give(gone));
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    engine.workflow_ended(ended("2", Failed, 2)).await.unwrap();
    drain(&engine).await;
    let states_now = states(&engine).await.into_iter().map(|(_, state)| state);
    assert_eq!(
        states_now.collect::<Vec<_>>(),
        [Held, Delivered, Held, Delivered]
    );
    assert_eq!(bench.seen().len(), 3);
    let said = "config: HTTP 410; ask for another address";
    let held = DeliveryQuery::latest(9).states(&[Held]);
    for held in engine.deliveries(held).await.unwrap() {
        assert_eq!(
            held.reason.as_deref(),
            Some(said),
            "with what is to be done"
        );
    }
    // A start counts as a change, which one delivery tries out for all of the lane.
    bench.script("bad", Script::Give(gone_again));
    engine.shutdown(Duration::from_secs(5)).await.unwrap();
    let engine = bench.engine();
    drain(&engine).await;
    assert_eq!(bench.seen().len(), 4);
    engine.shutdown(Duration::from_secs(5)).await.unwrap();
    let engine = bench.engine();
    assert!(drain(&engine).await.is_idle());
    assert_eq!(bench.seen().len(), 6);
}
