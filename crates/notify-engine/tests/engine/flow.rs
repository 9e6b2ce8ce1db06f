//! Floods, storms and doubts: limits, summaries, what is done when nobody knows.

use std::num::NonZeroU32;
use std::time::Duration;

use notify_core::outcome::{Cause, Scope};
use notify_core::{
    Condition, IfUnknown, NotificationKind, Outcome, Receipt, Reconciled, TerminalPhase, phases,
};
use notify_outbox::{DeliveryQuery, DeliveryState};

use crate::bench::{Bench, Fake, Script, Topic, drain, ended, only, states, told};

use DeliveryState::{Delivered, Held, Skipped};
use TerminalPhase::{Failed, Succeeded, TimedOut};

#[tokio::test]
async fn a_lane_goes_at_the_vendors_pace_and_the_others_at_theirs() {
    let bench = Bench {
        one_a_second: true,
        ..Bench::new("pace", vec![told(Failed, &["a", "b"])])
    };
    let engine = bench.engine();
    for run in ["1", "2", "3"] {
        engine.workflow_ended(ended(run, Failed, 1)).await.unwrap();
    }
    for gone in [2, 4, 6] {
        let status = drain(&engine).await;
        assert_eq!(bench.seen().len(), gone);
        assert!(
            status
                .next_due
                .is_none_or(|wait| wait == Duration::from_secs(1))
        );
        bench.pass(Duration::from_secs(1));
    }
    assert!(drain(&engine).await.is_idle());
}

#[tokio::test]
async fn a_storm_goes_as_one_summary_that_counts_and_names() {
    let bench = Bench::new("storm", vec![told(phases![Failed, TimedOut], &["a"])]);
    let wait = Some(Duration::from_secs(30));
    bench.script("a", Script::Give(Outcome::throttled("", wait, Scope::Lane)));
    let engine = bench.engine();
    engine.workflow_ended(ended("0", Failed, 1)).await.unwrap();
    drain(&engine).await;
    for run in 1..40 {
        let phase = if run % 4 == 0 { TimedOut } else { Failed };
        engine
            .workflow_ended(ended(&run.to_string(), phase, run))
            .await
            .unwrap();
    }
    drain(&engine).await;
    bench.pass(Duration::from_secs(30));
    // The summary is tried again as it is, when the vendor has trouble with it.
    let trouble = Outcome::not_delivered(Cause::Unavailable, "HTTP 503");
    bench.script("a", Script::Give(trouble));
    drain(&engine).await;
    let first = bench.details();
    bench.pass(Duration::from_mins(1));
    assert!(drain(&engine).await.is_idle());
    assert_eq!(bench.details(), first);
    let seen = bench.seen();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(seen[2].1, "send 40 workflow runs ended");
    let ids = bench.ids();
    assert_ne!(
        ids[0], ids[1],
        "a summary is another message than the one it begins with"
    );
    assert_eq!(ids[1], ids[2]);
    let said = first.join("\n");
    for part in ["31", "timed out", "9", "And 30 more", "etl failed"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let records = engine.deliveries(DeliveryQuery::latest(100)).await.unwrap();
    assert!(records.iter().all(|one| one.state == Delivered) && records.len() == 40);
    let told = |one: &notify_outbox::DeliveryRecord| {
        let reason = one.reason.clone().unwrap_or_default();
        reason.contains("summary of 40")
    };
    assert_eq!(records.iter().filter(|one| told(one)).count(), 39);
}

#[tokio::test]
async fn what_can_be_closed_later_is_never_summed_up() {
    let bench = Bench::closing("incidents", vec![told(Failed, &["svc"])]);
    let wait = Some(Duration::from_secs(30));
    bench.script(
        "svc",
        Script::Give(Outcome::throttled("", wait, Scope::Lane)),
    );
    let engine = bench.engine();
    for run in 0..30 {
        engine
            .workflow_ended(ended(&run.to_string(), Failed, run))
            .await
            .unwrap();
    }
    drain(&engine).await;
    bench.pass(Duration::from_secs(30));
    assert!(drain(&engine).await.is_idle());
    assert_eq!(bench.seen().len(), 31);
}

#[tokio::test]
async fn what_must_not_come_twice_is_held_when_nobody_knows_and_goes_when_it_is_replayed() {
    let spec = Fake::on(Failed).to(Topic("a".to_owned()));
    let bench = Bench::new("hold", vec![spec.if_unknown(IfUnknown::Hold).into()]);
    bench.script("a", Script::Hang);
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    assert_eq!(drain(&engine).await.held, 1);
    let record = only(&engine).await;
    assert_eq!(
        record.reason.as_deref(),
        Some("unknown (timeout): no answer within 200ms")
    );
    engine.shutdown(Duration::ZERO).await.unwrap();

    let engine = bench.engine();
    assert_eq!(
        drain(&engine).await.held,
        1,
        "a new engine does not release it"
    );
    assert_eq!(engine.replay(vec![record.id]).await.unwrap(), [record.id]);
    assert!(drain(&engine).await.is_idle());
    assert_eq!(bench.seen().len(), 2);
}

#[tokio::test]
async fn what_must_not_come_twice_is_held_too_when_the_engine_dies() {
    let spec = Fake::on(Failed).to(Topic("a".to_owned()));
    let bench = Bench::new("hold-lost", vec![spec.if_unknown(IfUnknown::Hold).into()]);
    bench.script("a", Script::Hang);
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    let mut looked = 0;
    while bench.seen().is_empty() {
        looked += 1;
        assert!(looked < 100_000, "the delivery is never sent");
        engine.status().await.unwrap();
    }
    engine.shutdown(Duration::ZERO).await.unwrap();
    bench.pass(Duration::from_secs(6));
    let engine = bench.engine();
    assert_eq!(drain(&engine).await.held, 1);
    let reason = only(&engine).await.reason.unwrap();
    assert!(reason.contains("lost_lease"), "{reason}");
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn a_vendor_that_can_say_what_came_of_an_attempt_is_asked_before_it_is_repeated() {
    for (known, sent, receipt) in [
        (Reconciled::Delivered(Receipt::new("earlier")), 1, "earlier"),
        (Reconciled::NotDelivered, 2, "ok"),
        (Reconciled::Unknown, 2, "ok"),
    ] {
        let account = format!("reconcile-{sent}-{}", matches!(known, Reconciled::Unknown));
        let bench = Bench::new(&account, vec![told(Failed, &["a"])]);
        bench.remembers(known);
        bench.script("a", Script::Hang);
        let engine = bench.engine();
        engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
        drain(&engine).await;
        bench.pass(Duration::from_mins(1));
        assert!(drain(&engine).await.is_idle());
        assert_eq!(bench.seen().len(), sent);
        assert_eq!(only(&engine).await.receipt, Some(Receipt::new(receipt)));
    }
}

#[tokio::test]
async fn streaks_are_right_when_ends_arrive_out_of_order() {
    let spec = Fake::on(Failed)
        .to(Topic("a".to_owned()))
        .when(Condition::Streak(NonZeroU32::new(3).unwrap()));
    let bench = Bench::new("streaks", vec![spec.into()]);
    let engine = bench.engine();
    // In the order of arrival; each is judged by the ends before it that are known then.
    for (run, phase, second) in [
        ("2", Failed, 20),
        ("1", Failed, 10),
        ("4", Failed, 40),
        ("3", Succeeded, 30),
        ("6", Failed, 60),
        ("5", Failed, 50),
    ] {
        engine
            .workflow_ended(ended(run, phase, second))
            .await
            .unwrap();
        drain(&engine).await;
    }
    let now: Vec<DeliveryState> = states(&engine).await.into_iter().map(|one| one.1).collect();
    assert_eq!(now, [Skipped, Skipped, Delivered, Skipped, Skipped]);
    let reasons: Vec<String> = engine
        .deliveries(DeliveryQuery::latest(10))
        .await
        .unwrap()
        .into_iter()
        .filter_map(|one| one.reason)
        .collect();
    let not_three = |streak| format!("streak is {streak}, not 3");
    assert_eq!(reasons, [1, 1, 2, 2].map(not_three));
}

#[tokio::test]
async fn many_events_planned_at_once_are_planned_as_one_after_another() {
    let declared = || {
        let changed = Fake::on(phases![Failed, Succeeded]).to(Topic("c".to_owned()));
        vec![
            changed.when(notify_core::condition::changed()).into(),
            told(Failed, &["svc"]),
        ]
    };
    let events = || {
        (0..60_i64).map(|index| {
            let phase = if index * 7 % 5 < 3 { Failed } else { Succeeded };
            ended(&index.to_string(), phase, (index * 37) % 61)
        })
    };
    let mut listed = Vec::new();
    for (account, at_once) in [("batch", true), ("single", false)] {
        let bench = Bench::closing(account, declared());
        // The first of each conversation stays in it: nobody knows whether it arrived.
        for to in ["svc", "c"] {
            let lost = Outcome::unknown(Cause::Protocol, "cut off");
            bench.script(to, Script::Give(lost));
        }
        let recorder = notify_engine::Recorder::new(bench.outbox());
        let mut engine = None;
        for event in events() {
            recorder.workflow_ended(event).await.unwrap();
            if !at_once {
                let running = match engine.take() {
                    Some(running) => running,
                    None => bench.engine(),
                };
                drain(&running).await;
                engine = Some(running);
            }
        }
        let engine = match engine {
            Some(engine) => engine,
            None => bench.engine(),
        };
        drain(&engine).await;
        let records = engine
            .deliveries(DeliveryQuery::latest(1_000))
            .await
            .unwrap();
        let planned = |one: &notify_outbox::DeliveryRecord| {
            let skipped = one.reason.clone().filter(|why| why.contains("changed"));
            (
                one.recipient.to_string(),
                one.action.name(),
                one.phase,
                skipped,
            )
        };
        listed.push(records.iter().map(planned).collect::<Vec<_>>());
    }
    assert_eq!(listed[0], listed[1]);
    assert!(listed[0].len() > 60);
}

#[tokio::test]
async fn a_clock_set_back_an_hour_makes_nothing_wait_an_hour() {
    let bench = Bench::new("set-back", vec![told(Failed, &["a", "b"])]);
    let later = Outcome::not_delivered(Cause::Unavailable, "HTTP 503");
    bench.script("a", Script::Give(later));
    bench.script("b", Script::Hang);
    let engine = bench.engine();
    engine.workflow_ended(ended("1", Failed, 1)).await.unwrap();
    drain(&engine).await;
    bench.set_back(Duration::from_hours(1));
    let status = drain(&engine).await;
    assert!(
        status.next_due.unwrap() <= Duration::from_secs(2),
        "{status:?}"
    );
    bench.pass(Duration::from_secs(2));
    assert!(drain(&engine).await.is_idle());
    let states = states(&engine).await;
    assert!(states.iter().all(|one| one.1 == Delivered), "{states:?}");
}

#[tokio::test]
async fn an_end_without_a_time_after_the_clock_was_set_back_still_comes_after_the_one_before() {
    let bench = Bench::closing("stamped", vec![told(Failed, &["svc"])]);
    let engine = bench.engine();
    let unstamped = |run, phase| {
        let mut event = ended(run, phase, 0);
        event.ended_at = None;
        event
    };
    engine.workflow_ended(unstamped("1", Failed)).await.unwrap();
    drain(&engine).await;
    bench.pass(Duration::from_mins(1));
    engine
        .workflow_ended(unstamped("2", Succeeded))
        .await
        .unwrap();
    drain(&engine).await;
    bench.set_back(Duration::from_hours(1));
    engine.workflow_ended(unstamped("3", Failed)).await.unwrap();
    drain(&engine).await;
    let bodies: Vec<String> = bench.seen().into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies.last().unwrap(), "open etl failed");
    assert_eq!(bodies.len(), 3, "{bodies:?}");
}

#[tokio::test]
async fn an_end_before_its_start_has_no_duration() {
    let bench = Bench::new("backwards", vec![told(Failed, &["a"])]);
    let engine = bench.engine();
    let event = ended("1", Failed, 100).started_at(crate::bench::at(200));
    engine.workflow_ended(event).await.unwrap();
    drain(&engine).await;
    assert!(
        !bench.details().join("\n").contains("Duration"),
        "{:?}",
        bench.details()
    );
    assert_eq!(only(&engine).await.state, Delivered);
}

#[tokio::test]
async fn a_vendor_that_never_answers_takes_no_place_of_another() {
    let silent: Vec<String> = (0..6).map(|index| format!("silent-{index}")).collect();
    let topics: Vec<&str> = silent.iter().map(String::as_str).collect();
    let bench = Bench::new(
        "silent",
        vec![told(Failed, &topics), told(Succeeded, &["fine"])],
    );
    for topic in &silent {
        for _ in 0..1_000 {
            bench.script(topic, Script::Hang);
        }
    }
    let engine = bench.engine();
    for run in 0..20 {
        engine
            .workflow_ended(ended(&format!("f{run}"), Failed, run))
            .await
            .unwrap();
    }
    // After a few attempts that nobody answered, each lane sends one at a time, with pauses.
    for _ in 0..6 {
        drain(&engine).await;
        bench.pass(Duration::from_secs(2));
    }
    let before = bench.seen().len();
    drain(&engine).await;
    bench.pass(Duration::from_mins(1));
    drain(&engine).await;
    let probes = bench.seen().len() - before;
    assert!(probes <= 2 * silent.len(), "{probes} probes");
    let event = engine
        .workflow_ended(ended("s", Succeeded, 99))
        .await
        .unwrap()
        .event();
    let records = engine.settled(event, Duration::from_secs(5)).await.unwrap();
    assert!(
        records.iter().any(|one| one.state == Delivered),
        "{records:?}"
    );
    assert!(!states(&engine).await.iter().any(|one| one.1 == Held));
}

#[tokio::test]
async fn what_is_closed_later_cannot_be_held() {
    let spec = || {
        let spec = Fake::on(Failed).to(Topic("svc".to_owned()));
        notify_core::Notification::from(spec.if_unknown(IfUnknown::Hold))
    };
    let bench = Bench::closing("closed-later", vec![told(Failed, &["svc"])]);
    let workflow = notify_core::Workflow::new("etl").unwrap().notify(spec());
    let accounts = bench.config().accounts().clone();
    let source = std::sync::Arc::clone(bench.config().secret_source());
    let refused = notify_core::Config::new(vec![workflow], accounts, source).unwrap_err();
    let place: Vec<String> = refused.iter().map(|one| one.path.to_string()).collect();
    assert_eq!(place, ["[0].notifications[0].if_unknown"]);
    // A run's own notification is sent all the same.
    bench.script("svc", Script::Hang);
    let engine = bench.engine();
    let own = ended("1", Failed, 1).notifications(vec![spec()]);
    engine.workflow_ended(own).await.unwrap();
    drain(&engine).await;
    bench.pass(Duration::from_mins(1));
    assert!(drain(&engine).await.is_idle());
    assert_eq!(states(&engine).await, [("svc".to_owned(), Delivered)]);
}
