//! What PagerDuty takes, refuses and shows as one.

use notify_sandbox::{Failure, IncidentState, Service};
use serde_json::{Value, json};

use crate::client::{Running, http};

fn trigger(dedup_key: &str) -> Value {
    json!({
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "payload": {
            "summary": "nightly-etl failed",
            "source": "workflow/nightly-etl",
            "severity": "error",
            "custom_details": {"phase": "failed", "attempt": 2},
        },
    })
}

fn follow_up(action: &str, dedup_key: &str) -> Value {
    json!({"event_action": action, "dedup_key": dedup_key})
}

#[tokio::test]
async fn an_incident_lives_from_trigger_to_resolve() {
    let running = Running::start().await;
    let answer = running.event(trigger("etl")).await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.json(),
        json!({"status": "success", "message": "Event processed", "dedup_key": "etl"})
    );
    running.event(trigger("etl")).await;
    running.event(trigger("etl")).await;
    let [incident] = running.sandbox.messages().try_into().unwrap();
    assert_eq!(
        (incident.repeats, incident.state),
        (2, Some(IncidentState::Triggered))
    );
    assert_eq!(
        (incident.to.as_str(), incident.service),
        ("data-platform", Service::PagerDuty)
    );
    assert_eq!(incident.headline, "nightly-etl failed");
    assert_eq!(incident.text, "attempt: 2\nphase: failed");
    assert!(
        !incident
            .raw
            .contains(&running.secret("pagerduty_data-platform"))
    );

    running.event(follow_up("acknowledge", "etl")).await;
    assert_eq!(
        running.sandbox.messages()[0].state,
        Some(IncidentState::Acknowledged)
    );
    assert_eq!(running.event(follow_up("resolve", "etl")).await.status, 202);
    let [incident] = running.sandbox.messages().try_into().unwrap();
    assert_eq!(incident.state, Some(IncidentState::Resolved));

    running.event(trigger("etl")).await;
    let [_, reopened] = running.sandbox.messages().try_into().unwrap();
    assert_eq!(
        (reopened.repeats, reopened.state),
        (0, Some(IncidentState::Triggered))
    );
}

#[tokio::test]
async fn a_resolve_without_an_incident_is_accepted_and_dropped() {
    let running = Running::start().await;
    assert_eq!(
        running.event(follow_up("resolve", "none")).await.status,
        202
    );
    let [message] = running.sandbox.messages().try_into().unwrap();
    assert_eq!(message.state, Some(IncidentState::Dropped));
    running.event(trigger("none")).await;
    assert_eq!(
        running.sandbox.messages()[1].state,
        Some(IncidentState::Triggered)
    );
}

#[tokio::test]
async fn a_trigger_without_dedup_key_opens_an_incident_each_time() {
    let running = Running::start().await;
    let mut event = trigger("");
    event.as_object_mut().unwrap().remove("dedup_key");
    let first = running.event(event.clone()).await.json();
    let second = running.event(event).await.json();
    assert_ne!(first["dedup_key"], second["dedup_key"]);
    assert_eq!(running.sandbox.messages().len(), 2);
}

#[tokio::test]
async fn what_the_vendor_refuses_is_refused_with_its_words() {
    let running = Running::start().await;
    let severity = "'payload.severity' is invalid (must be one of the following: \
        'critical', 'warning', 'error' or 'info')";
    let set = |pointer: &str, value: Value| {
        let mut event = trigger("etl");
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value;
        event
    };
    for (event, error) in [
        (
            set("/routing_key", json!("short")),
            "Length of 'routing_key' is incorrect (should be 32 characters)",
        ),
        (
            set("/routing_key", json!("")),
            "'routing_key' is missing or blank",
        ),
        (
            set("/routing_key", json!("+".repeat(32))),
            "'routing_key' cannot contain non-alphanumeric characters.",
        ),
        (
            set("/routing_key", json!("0".repeat(32))),
            "Invalid routing key",
        ),
        (
            set("/event_action", json!("")),
            "'event_action' is missing or blank",
        ),
        (set("/payload", json!(7)), "'payload' is missing or blank"),
        (
            set("/payload/summary", json!("")),
            "'payload.summary' is missing or blank",
        ),
        (
            set("/payload/source", Value::Null),
            "'payload.source' is missing or blank",
        ),
        (
            set("/payload/severity", Value::Null),
            "'payload.severity' is missing or blank",
        ),
        (set("/payload/severity", json!("Error")), severity),
        (
            set("/payload/summary", json!("ä".repeat(1_025))),
            "'summary' is too long (maiximum is 1024 characters)",
        ),
        (
            set("/dedup_key", json!("x".repeat(256))),
            "'dedup_key' is too long (maximum is 255 characters)",
        ),
        (follow_up("resolve", ""), "'dedup_key' is missing or blank"),
        (
            json!({"event_action": "acknowledge"}),
            "'dedup_key' is missing or blank",
        ),
        (
            set("/links", json!([{}])),
            "'links[0].href' is missing or blank",
        ),
    ] {
        let answer = running.event(event).await;
        assert_eq!(answer.status, 400, "{error}");
        let expected = json!({
            "status": "invalid event",
            "message": "Event object is invalid",
            "errors": [error],
        });
        assert_eq!(answer.json(), expected);
    }
    assert!(running.sandbox.messages().is_empty());

    let at_the_limit = set("/payload/summary", json!("ä".repeat(1_024)));
    assert_eq!(running.event(at_the_limit).await.status, 202);
}

#[tokio::test]
async fn several_mistakes_are_named_together() {
    let running = Running::start().await;
    let answer = running.event(json!({"routing_key": "x"})).await;
    assert_eq!(
        answer.json()["errors"],
        json!([
            "Length of 'routing_key' is incorrect (should be 32 characters)",
            "'event_action' is missing or blank",
        ])
    );
}

#[tokio::test]
async fn rubbish_is_no_event() {
    let running = Running::start().await;
    for body in ["", "{", "[]", "\u{0}", &"[".repeat(10_000)] {
        for path in ["/v2/enqueue", "/v2/change/enqueue"] {
            let answer = http(&running.pagerduty, "POST", path, &[], body).await;
            assert_eq!(answer.status, 400);
            assert_eq!(answer.json()["status"], "Unrecognized object");
        }
    }
    let large = "x".repeat(600_000);
    assert_eq!(
        http(&running.pagerduty, "POST", "/v2/enqueue", &[], &large)
            .await
            .status,
        413
    );
}

#[tokio::test]
async fn a_change_event_needs_a_summary_only() {
    let running = Running::start().await;
    let key = running.secret("pagerduty_data-platform");
    for (payload, status) in [(json!({"summary": "deployed"}), 202), (json!({}), 400)] {
        let event = json!({"routing_key": key, "payload": payload}).to_string();
        let answer = http(
            &running.pagerduty,
            "POST",
            "/v2/change/enqueue",
            &[],
            &event,
        )
        .await;
        assert_eq!(answer.status, status);
    }
    let [message] = running.sandbox.messages().try_into().unwrap();
    assert_eq!(
        (message.headline.as_str(), message.state),
        ("deployed", None)
    );
}

#[tokio::test]
async fn faults_look_like_pagerdutys() {
    let running = Running::start().await;
    let fail = |status| {
        running.sandbox.fail(
            Service::PagerDuty,
            Some(Failure {
                status,
                times: Some(1),
            }),
        );
    };
    fail(429);
    let answer = running.event(trigger("etl")).await;
    assert_eq!(
        (answer.status, answer.headers.get("retry-after")),
        (429, None)
    );
    assert_eq!(answer.json()["status"], "throttle exceeded");
    fail(500);
    assert_eq!(running.event(trigger("etl")).await.status, 500);
    assert_eq!(running.event(trigger("etl")).await.status, 202);
    assert_eq!(running.sandbox.messages()[0].repeats, 0);
}
