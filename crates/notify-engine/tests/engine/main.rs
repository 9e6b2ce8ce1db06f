//! The engine on a real SQLite outbox: what must be true of every event and every delivery.

#![cfg(test)]

mod bench;
mod flow;
mod handle;
mod talk;

use std::time::Duration;

use notify_core::condition::changed;
use notify_core::outcome::{Cause, Reason, Scope};
use notify_core::{
    Execution, NotificationKind, Outcome, Receipt, TerminalPhase, WorkflowEnded, WorkflowName,
    phases,
};
use notify_engine::EngineError;
use notify_outbox::{Accepted, DeliveryQuery, DeliveryState, Outbox};

use crate::bench::{Bench, Fake, Script, Topic, at, drain, ended, only, states, told};

use DeliveryState::{Delivered, Expired, Held, Pending, Rejected, Skipped, Superseded};
use TerminalPhase::{Failed, Succeeded};

#[tokio::test]
async fn every_recipient_of_a_matching_notification_is_told_and_nobody_else() {
    let declared = vec![told(Failed, &["a", "b"]), told(Succeeded, &["c"])];
    let bench = Bench::new("everybody", declared);
    let engine = bench.engine();
    let accepted = engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    assert!(matches!(accepted, Accepted::Recorded(_)));
    assert!(drain(&engine).await.is_idle());
    let mut seen = bench.seen();
    seen.sort();
    let line = "send etl failed".to_owned();
    assert_eq!(
        seen,
        [("a".to_owned(), line.clone()), ("b".to_owned(), line)]
    );
    for record in engine
        .deliveries(DeliveryQuery::of(accepted.event()))
        .await
        .unwrap()
    {
        assert_eq!(
            (record.state, record.receipt),
            (Delivered, Some(Receipt::new("ok")))
        );
    }
}

#[tokio::test]
async fn the_same_end_is_stored_once_and_another_end_of_the_attempt_is_a_conflict() {
    let bench = Bench::new("once", vec![told(phases![Failed, Succeeded], &["a"])]);
    let engine = bench.engine();
    let first = engine
        .workflow_ended(ended("1", Failed, 1))
        .await
        .unwrap()
        .event();
    let again = engine.workflow_ended(ended("1", Failed, 2)).await.unwrap();
    assert_eq!(again, Accepted::Duplicate(first));
    let other = engine
        .workflow_ended(ended("1", Succeeded, 3))
        .await
        .unwrap();
    assert_eq!(other, Accepted::Conflict(first));
    drain(&engine).await;
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn what_was_not_delivered_waits_its_turn_and_survives_a_restart() {
    let bench = Bench::new("restart", vec![told(Failed, &["a", "b"])]);
    let refused = Outcome::not_delivered(Cause::Unavailable, "HTTP 500");
    bench.script("a", Script::Give(refused));
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    let status = drain(&engine).await;
    assert_eq!((status.pending, status.leased), (1, 0));
    assert!(status.next_due.unwrap() <= Duration::from_secs(2));
    let records = engine.deliveries(DeliveryQuery::latest(10)).await.unwrap();
    let waiting = records
        .iter()
        .find(|record| record.state == Pending)
        .unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("unavailable: HTTP 500"));
    engine.shutdown(Duration::from_secs(5)).await.unwrap();

    bench.pass(Duration::from_secs(3));
    let engine = bench.engine();
    assert!(drain(&engine).await.is_idle());
    let to: Vec<String> = bench.seen().into_iter().map(|(to, _)| to).collect();
    assert_eq!(to.iter().filter(|to| *to == "a").count(), 2);
    assert_eq!(to.iter().filter(|to| *to == "b").count(), 1);
    let ids = bench.ids();
    let unique: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(
        unique.len(),
        2,
        "an attempt repeats the delivery's id: {ids:?}"
    );
}

#[tokio::test]
async fn an_accepted_event_is_planned_by_the_next_engine() {
    let bench = Bench::new("accepted", vec![told(Failed, &["a"])]);
    let event = ended("1", Failed, 1);
    let body = serde_json::to_string(&event.to_wire()).unwrap();
    bench
        .outbox()
        .accept(notify_outbox::NewEvent {
            id: notify_outbox::EventId::new(at(1), [7; 10]),
            execution: event.execution,
            workflow: event.workflow,
            phase: event.phase,
            ended_at: Some(at(1)),
            body,
        })
        .await
        .unwrap();
    let engine = bench.engine();
    assert!(drain(&engine).await.is_idle());
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn a_delivery_that_was_on_the_wire_when_the_engine_died_is_sent_again_under_the_same_id() {
    let bench = Bench::new("lost-lease", vec![told(Failed, &["a"])]);
    bench.script("a", Script::Hang);
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    let mut looked = 0;
    while bench.seen().is_empty() {
        looked += 1;
        assert!(looked < 10_000, "the delivery is never sent");
        tokio::task::yield_now().await;
        drop(engine.deliveries(DeliveryQuery::latest(1)).await.unwrap());
    }
    engine.shutdown(Duration::ZERO).await.unwrap();

    let engine = bench.engine();
    assert_eq!(drain(&engine).await.leased, 1, "the lease still holds");
    bench.pass(Duration::from_secs(6));
    assert!(drain(&engine).await.is_idle());
    let ids = bench.ids();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    assert_eq!(only(&engine).await.tries, 2);
}

#[tokio::test]
async fn a_hanging_provider_and_a_panicking_one_end_in_unknown_and_delay_nobody() {
    let bench = Bench::new("unknown", vec![told(Failed, &["hangs", "panics", "works"])]);
    bench.script("hangs", Script::Hang);
    bench.script("panics", Script::Panic);
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    for record in engine.deliveries(DeliveryQuery::latest(10)).await.unwrap() {
        let reason = record.reason.clone().unwrap_or_default();
        match record.recipient.as_str() {
            "works" => assert_eq!(record.state, Delivered),
            "hangs" => assert!(reason.contains("unknown (timeout)"), "{reason}"),
            _ => assert!(reason.contains("the provider panicked"), "{reason}"),
        }
    }
}

#[tokio::test]
async fn refused_credentials_hold_the_account_until_the_next_engine_tries_again() {
    let bench = Bench::new("held", vec![told(Failed, &["a"])]);
    bench.script(
        "a",
        Script::Give(Outcome::rejected(Reason::Auth, "invalid_auth")),
    );
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    assert_eq!(drain(&engine).await.held, 1);
    engine.workflow_ended(ended("2", Failed, 2)).await.unwrap();
    assert_eq!(drain(&engine).await.held, 2);
    assert_eq!(
        bench.seen().len(),
        1,
        "nothing more is sent through a paused account"
    );
    engine.shutdown(Duration::from_secs(5)).await.unwrap();

    let engine = bench.engine();
    assert!(drain(&engine).await.is_idle());
    assert_eq!(
        states(&engine).await,
        [("a".to_owned(), Delivered), ("a".to_owned(), Delivered)]
    );
}

#[tokio::test]
async fn retry_after_shuts_the_lane_and_costs_no_attempt() {
    let bench = Bench::new("throttled", vec![told(Failed, &["a"])]);
    let wait = Duration::from_secs(30);
    bench.script(
        "a",
        Script::Give(Outcome::throttled("slow down", Some(wait), Scope::Lane)),
    );
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    engine.workflow_ended(ended("2", Failed, 2)).await.unwrap();
    let status = drain(&engine).await;
    assert_eq!((status.pending, status.next_due), (2, Some(wait)));
    assert_eq!(bench.seen().len(), 1);
    bench.pass(wait);
    assert!(drain(&engine).await.is_idle());
    assert_eq!(bench.seen().len(), 3);
}

#[tokio::test]
async fn a_delivery_gives_up_when_it_is_too_old() {
    let bench = Bench::new("expired", vec![told(Failed, &["a"])]);
    let refused = Outcome::not_delivered(Cause::Connect, "refused");
    bench.script("a", Script::Give(refused));
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    bench.pass(Duration::from_hours(25));
    drain(&engine).await;
    let record = only(&engine).await;
    assert_eq!(record.state, Expired);
    let reason = record.reason.unwrap();
    assert_eq!(reason, "gave up after 1d 1h; connect: refused");
    assert_eq!(
        bench.seen().len(),
        1,
        "what is too old is not sent any more"
    );
}

#[tokio::test]
async fn a_final_refusal_is_recorded_with_what_the_vendor_said() {
    let bench = Bench::new("rejected", vec![told(Failed, &["a"])]);
    let outcome = Outcome::rejected(Reason::Destination, "channel_not_found");
    bench.script("a", Script::Give(outcome));
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    assert!(drain(&engine).await.is_idle());
    let record = only(&engine).await;
    assert_eq!(record.state, Rejected);
    assert_eq!(
        record.reason.as_deref(),
        Some("destination: channel_not_found")
    );
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_a_skip_with_its_reason() {
    let spec = Fake::on(Failed).to(Topic("a".to_owned())).when(changed());
    let bench = Bench::new("changed", vec![spec.into()]);
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    let second = engine
        .workflow_ended(ended("2", Failed, 2))
        .await
        .unwrap()
        .event();
    drain(&engine).await;
    let skipped = engine
        .deliveries(DeliveryQuery::of(second))
        .await
        .unwrap()
        .remove(0);
    assert_eq!(skipped.state, Skipped);
    assert_eq!(
        skipped.reason.as_deref(),
        Some("not changed: the run before ended `failed` too")
    );
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn what_a_failure_opened_a_success_closes_even_after_a_restart() {
    let bench = Bench::closing("closes", vec![told(Failed, &["svc"])]);
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    engine.shutdown(Duration::from_secs(5)).await.unwrap();
    let engine = bench.engine();
    engine
        .workflow_ended(ended("2", Succeeded, 2))
        .await
        .unwrap();
    drain(&engine).await;
    // Nothing is open any more: a further success has nothing to say.
    engine
        .workflow_ended(ended("3", Succeeded, 3))
        .await
        .unwrap();
    drain(&engine).await;
    let bodies: Vec<String> = bench.seen().into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, ["open etl failed", "close etl succeeded again"]);
    // And a later failure opens anew.
    engine.workflow_ended(ended("4", Failed, 4)).await.unwrap();
    drain(&engine).await;
    assert_eq!(bench.seen().last().unwrap().1, "open etl failed");
}

#[tokio::test]
async fn an_opening_that_did_not_arrive_is_superseded_by_the_success_and_nothing_is_closed() {
    let bench = Bench::closing("superseded", vec![told(Failed, &["svc"])]);
    let wait = Some(Duration::from_mins(1));
    // The lane is shut by an earlier, unrelated refusal, so the opening waits untouched.
    bench.script(
        "svc",
        Script::Give(Outcome::throttled("", wait, Scope::Lane)),
    );
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    engine.workflow_ended(ended("2", Failed, 2)).await.unwrap();
    drain(&engine).await;
    engine
        .workflow_ended(ended("3", Succeeded, 3))
        .await
        .unwrap();
    drain(&engine).await;
    let now: Vec<DeliveryState> = states(&engine)
        .await
        .into_iter()
        .map(|(_, state)| state)
        .collect();
    // The vendor took neither, and a page for what is over would wake somebody for nothing.
    assert_eq!(now, [Superseded, Superseded, Skipped]);
    bench.pass(Duration::from_mins(1));
    drain(&engine).await;
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn a_close_finds_nothing_open_when_the_opening_was_refused() {
    let bench = Bench::closing(
        "refused-open",
        vec![told(phases![Failed, Succeeded], &["svc"])],
    );
    let refused = Outcome::rejected(Reason::Payload, "invalid event");
    bench.script("svc", Script::Give(refused));
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    engine
        .workflow_ended(ended("2", Succeeded, 2))
        .await
        .unwrap();
    assert!(drain(&engine).await.is_idle());
    let records = engine.deliveries(DeliveryQuery::latest(10)).await.unwrap();
    let last = records.last().unwrap();
    assert_eq!(
        (last.state, last.reason.as_deref()),
        (Skipped, Some("nothing open"))
    );
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn a_late_failure_never_reopens_what_a_later_success_closed() {
    let bench = Bench::closing("late", vec![told(Failed, &["svc"])]);
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 10)).await.unwrap();
    drain(&engine).await;
    engine
        .workflow_ended(ended("3", Succeeded, 30))
        .await
        .unwrap();
    drain(&engine).await;
    let late = engine
        .workflow_ended(ended("2", Failed, 20))
        .await
        .unwrap()
        .event();
    assert!(drain(&engine).await.is_idle());
    let record = engine
        .deliveries(DeliveryQuery::of(late))
        .await
        .unwrap()
        .remove(0);
    assert_eq!(record.state, Superseded);
    assert_eq!(bench.seen().len(), 2);
}

#[tokio::test]
async fn a_late_success_does_not_close_what_a_later_failure_opened() {
    let bench = Bench::closing("late-success", vec![told(Failed, &["svc"])]);
    let engine = bench.engine();
    engine.workflow_ended(ended("2", Failed, 20)).await.unwrap();
    drain(&engine).await;
    engine
        .workflow_ended(ended("1", Succeeded, 10))
        .await
        .unwrap();
    assert!(drain(&engine).await.is_idle());
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn what_was_opened_again_behind_a_close_is_closed_by_the_next_success() {
    let bench = Bench::closing("reopened", vec![told(Failed, &["svc"])]);
    let refused = || Outcome::not_delivered(Cause::Unavailable, "HTTP 500");
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 10)).await.unwrap();
    drain(&engine).await;
    bench.script("svc", Script::Give(refused()));
    engine
        .workflow_ended(ended("2", Succeeded, 20))
        .await
        .unwrap();
    drain(&engine).await;
    engine.workflow_ended(ended("3", Failed, 30)).await.unwrap();
    drain(&engine).await;
    // The close arrives now, and so does the opening that waited behind it.
    bench.pass(Duration::from_mins(1));
    drain(&engine).await;
    engine
        .workflow_ended(ended("4", Succeeded, 40))
        .await
        .unwrap();
    drain(&engine).await;
    bench.pass(Duration::from_mins(1));
    assert!(drain(&engine).await.is_idle());
    assert_eq!(bench.seen().last().unwrap().1, "close etl succeeded again");
}

#[tokio::test]
async fn one_bad_key_of_an_account_pauses_its_own_lane_only() {
    let bench = Bench::new("one-key", vec![told(Failed, &["a", "b"])]);
    let refused = || Outcome::rejected(Reason::Auth, "invalid routing key").in_lane();
    bench.script("a", Script::Give(refused()));
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    engine.workflow_ended(ended("2", Failed, 2)).await.unwrap();
    drain(&engine).await;
    let mut now = states(&engine).await;
    now.sort();
    let state = |topic: &str, state| (topic.to_owned(), state);
    let expected = [
        state("a", Held),
        state("a", Held),
        state("b", Delivered),
        state("b", Delivered),
    ];
    assert_eq!(now, expected);
    let to: Vec<String> = bench.seen().into_iter().map(|(to, _)| to).collect();
    assert_eq!(
        to,
        ["a", "b", "b"],
        "a key that is refused is not tried again"
    );
}

#[tokio::test]
async fn an_end_in_the_future_ended_now() {
    let bench = Bench::closing("future", vec![told(Failed, &["svc"])]);
    let engine = bench.engine();
    engine
        .workflow_ended(ended("1", Failed, 900))
        .await
        .unwrap();
    drain(&engine).await;
    engine
        .workflow_ended(ended("2", Succeeded, 99_999))
        .await
        .unwrap();
    drain(&engine).await;
    bench.pass(Duration::from_secs(1));
    engine
        .workflow_ended(ended("3", Failed, 1_001))
        .await
        .unwrap();
    drain(&engine).await;
    let bodies: Vec<String> = bench.seen().into_iter().map(|(_, body)| body).collect();
    assert_eq!(
        bodies,
        [
            "open etl failed",
            "close etl succeeded again",
            "open etl failed"
        ]
    );
}

#[tokio::test]
async fn a_record_that_does_not_read_is_held_and_stands_in_nobodys_way() {
    let bench = Bench::new("unreadable", vec![told(Failed, &["a", "b"])]);
    let wait = Some(Duration::from_secs(30));
    for topic in ["a", "b"] {
        bench.script(
            topic,
            Script::Give(Outcome::throttled("", wait, Scope::Lane)),
        );
    }
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    let ledger = rusqlite::Connection::open(bench.path()).unwrap();
    let broken = ledger.execute(
        "UPDATE notify_delivery SET action = 'send', account = 'rubbish' WHERE recipient = 'a'",
        [],
    );
    assert_eq!(broken.unwrap(), 1);
    bench.pass(Duration::from_secs(31));
    assert_eq!(drain(&engine).await.held, 1);
    assert_eq!(bench.seen().last().unwrap().0, "b");
}

#[tokio::test]
async fn an_engine_that_is_shut_down_says_so_and_still_records() {
    let bench = Bench::new("shut-down", vec![told(Failed, &["a"])]);
    let engine = bench.engine();
    engine.shutdown(Duration::from_secs(5)).await.unwrap();
    assert!(matches!(
        engine.drain(Duration::ZERO).await,
        Err(EngineError::Stopped)
    ));
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    let engine = bench.engine();
    assert!(drain(&engine).await.is_idle());
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn waiting_for_an_event_ends_with_the_patience() {
    let bench = Bench::new("patience", vec![told(Failed, &["a"])]);
    bench.script(
        "a",
        Script::Give(Outcome::not_delivered(Cause::Unavailable, "HTTP 500")),
    );
    let engine = bench.engine();
    let event = engine
        .workflow_ended(ended("1", Failed, 1))
        .await
        .unwrap()
        .event();
    let deliveries = engine.settled(event, Duration::ZERO).await.unwrap();
    assert_eq!((deliveries[0].state, deliveries[0].tries), (Pending, 1));
}

#[tokio::test]
async fn an_events_own_notifications_replace_the_declared_ones() {
    let bench = Bench::new("own", vec![told(Failed, &["declared"])]);
    let engine = bench.engine();
    let own = ended("1", Failed, 1).notifications(vec![told(Failed, &["own"])]);
    engine.workflow_ended(own).await.unwrap();
    let nobody = ended("2", Failed, 2).notifications(Vec::new());
    engine.workflow_ended(nobody).await.unwrap();
    drain(&engine).await;
    let to: Vec<String> = bench.seen().into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, ["own"]);
}

#[tokio::test]
async fn an_event_of_an_unknown_workflow_is_kept_and_becomes_unmatched() {
    let bench = Bench::new("unmatched", vec![told(Failed, &["a"])]);
    let engine = bench.engine();
    let name = WorkflowName::new("unheard-of").unwrap();
    let event = WorkflowEnded::new(name, Execution::new("p", "d", "1").unwrap(), Failed);
    engine.workflow_ended(event).await.unwrap();
    assert_eq!(drain(&engine).await.accepted, 1);
    bench.pass(Duration::from_mins(1));
    let status = drain(&engine).await;
    assert_eq!((status.accepted, status.unplannable), (0, 1));
    assert!(bench.seen().is_empty());
    engine.shutdown(Duration::from_secs(5)).await.unwrap();

    // An engine that knows the workflow looks at it anew.
    let bench = Bench {
        workflow: "unheard-of",
        ..bench
    };
    let engine = bench.engine();
    assert!(drain(&engine).await.is_idle());
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn settled_waits_for_the_deliveries_of_one_event() {
    let bench = Bench::new("settled", vec![told(Failed, &["a", "b"])]);
    let engine = bench.engine();
    let event = engine
        .workflow_ended(ended("1", Failed, 1))
        .await
        .unwrap()
        .event();
    let deliveries = engine
        .settled(event, Duration::from_secs(10))
        .await
        .unwrap();
    assert_eq!(deliveries.len(), 2);
    assert!(
        deliveries
            .iter()
            .all(|delivery| delivery.state == Delivered)
    );
}
