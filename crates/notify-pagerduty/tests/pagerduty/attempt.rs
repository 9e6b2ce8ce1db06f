//! One attempt: what goes out, what comes of the answers, and what is tried without an attempt.

use std::time::Duration;

use notify_core::{
    Account, Action, Cause, Code, Continuity, DeliveryContext, Outcome, Payload, Prepared, Reason,
    Recipient, Scope, Secrets, Stage, Success, TerminalPhase,
};
use notify_testkit::fake::{HttpFake, Refusing, Reply, Request, Step};
use serde_json::{Value, json};

use crate::{
    Fixed, KEY, OF_RULES, One, account, account_with, class, event, id, message, notification,
    notification_with, payload, service, success,
};

const TAKEN: &str = r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#;

/// Makes one attempt and gives its outcome; no part of the key may be in it.
async fn deliver(account: &dyn Account) -> Outcome {
    deliver_with(account, &Secrets::resolve(account.secrets(), &One(KEY))).await
}

async fn deliver_with(account: &dyn Account, secrets: &Secrets) -> Outcome {
    let event = event(TerminalPhase::Failed);
    let notification = notification("data-platform");
    let payload = payload(account, &notification, &event, Action::Open, &message());
    send(account, secrets, "data-platform", payload).await
}

async fn send(account: &dyn Account, secrets: &Secrets, to: &str, payload: Payload) -> Outcome {
    let transport = account.connect(secrets).unwrap();
    assert!(!format!("{account:?} {transport:?}").contains("hunter2"));
    let prepared = Prepared {
        id: id(),
        recipient: Recipient::of(&service(to)),
        payload,
    };
    assert!(!String::from_utf8_lossy(&prepared.payload.body).contains("hunter2"));
    let cx = DeliveryContext::new(1, &Fixed);
    let mut outcomes = transport.deliver(&cx, &[prepared]).await;
    assert_eq!(outcomes.len(), 1);
    let outcome = outcomes.remove(0);
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
    outcome
}

async fn against(step: impl Into<Step>) -> (Outcome, Vec<Request>) {
    let server = HttpFake::start([step]);
    let outcome = deliver(&*account(&server.url(""))).await;
    (outcome, server.requests())
}

#[tokio::test]
async fn an_event_carries_the_services_key_and_its_receipt_the_dedup_key() {
    let (outcome, requests) = against(Reply::new(202).body(TAKEN)).await;
    let Outcome::Delivered(receipt) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(receipt.to_string(), "k");
    assert_eq!(requests[0].line(), "POST /v2/enqueue HTTP/1.1");
    let body = requests[0].json();
    assert_eq!(body["routing_key"], KEY);
    assert_eq!(
        body["dedup_key"],
        "analytics/production/nightly-etl@data-platform"
    );
    assert_eq!(body["event_action"], "trigger");
}

#[tokio::test]
async fn a_refusal_is_classed_by_what_it_names_and_repeats_no_key() {
    let body = json!({"status": "invalid event", "errors": [format!("Invalid routing key {KEY}")]});
    let (outcome, _) = against(Reply::json(400, &body)).await;
    let expected = Outcome::rejected(
        Reason::Auth,
        "HTTP 400: invalid event: Invalid routing key [secret]",
    )
    .in_lane();
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn a_throttled_event_waits_as_long_as_pagerduty_says_or_a_minute() {
    let table = [
        (Some("17"), 17),
        (Some("Fri, 20 Nov 2026 23:58:16 GMT"), 30),
        (None, 60),
    ];
    for (wait, expected) in table {
        let reply = Reply::new(429);
        let reply = match wait {
            Some(wait) => reply.header("retry-after", wait),
            None => reply,
        };
        let (outcome, _) = against(reply).await;
        let Outcome::NotDelivered {
            cause,
            retry_after,
            scope,
            ..
        } = outcome
        else {
            panic!("{outcome:?}");
        };
        assert_eq!((cause, scope), (Cause::Throttled, Scope::Lane));
        assert_eq!(retry_after, Some(Duration::from_secs(expected)));
    }
}

#[tokio::test]
async fn trouble_on_either_side_of_the_request_is_told_apart() {
    let html = "<html><title>502 Bad Gateway</title></html>";
    let redirect = Reply::new(307).header("location", "http://127.0.0.1:1/");
    let table = [
        (
            Step::Reply(Reply::new(502).body(html)),
            "not_delivered unavailable",
        ),
        (Step::Close, "unknown protocol"),
        (Step::Silence, "unknown timeout"),
        (Step::Reply(redirect), "rejected config"),
    ];
    for (step, expected) in table {
        assert_eq!(class(&against(step).await.0), expected);
    }
    let nobody = Refusing::start();
    let refused = deliver(&*account(&format!("http://{}", nobody.address()))).await;
    assert_eq!(class(&refused), "not_delivered connect");
}

#[test]
fn only_the_accounts_own_services_are_reached() {
    let account = account("https://events.pagerduty.com");
    assert!(account.capabilities().closes);
    let target = |name: &str| account.target(&notification(name), &Recipient::of(&service(name)));
    let reached = target("data-platform").unwrap();
    assert_eq!(reached.lane, "data-platform");
    assert_eq!(reached.conversation, Some(Continuity::Workflow));
    assert_eq!(reached.success, Success::Closes);
    let own = notification_with(&json!({"incident": "execution", "change_events": true}));
    let to = Recipient::of(&service("data-platform"));
    let own = account.target(&own, &to).unwrap();
    assert_eq!(own.conversation, Some(Continuity::Execution));
    assert_eq!(own.success, Success::Apart);
    let table = [
        ("data-platfrom", "did you mean `data-platform`?"),
        (
            "web",
            "the account's services are `billing`, `data-platform`",
        ),
    ];
    for (name, help) in table {
        let problem = target(name).unwrap_err();
        assert_eq!(problem.code, Code::UNREACHABLE_RECIPIENT);
        assert_eq!(problem.help.as_deref(), Some(help));
    }
}

#[tokio::test]
async fn a_key_that_is_missing_or_of_the_wrong_shape_holds_its_own_service_without_an_echo() {
    let account = account("https://events.pagerduty.com");
    let wrong = Secrets::resolve(account.secrets(), &One("hunter2"));
    for secrets in [wrong, Secrets::default()] {
        let outcome = deliver_with(&*account, &secrets).await;
        let Outcome::Rejected { reason, scope, .. } = &outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!((*reason, *scope), (Reason::Config, Scope::Lane));
    }
}

#[tokio::test]
async fn a_service_that_left_the_section_holds_its_deliveries_and_no_others() {
    let account = account("https://events.pagerduty.com");
    let secrets = Secrets::resolve(account.secrets(), &One(KEY));
    let event = event(TerminalPhase::Failed);
    let payload = payload(
        &*account,
        &notification("web"),
        &event,
        Action::Open,
        &message(),
    );
    let outcome = send(&*account, &secrets, "web", payload).await;
    let expected = Outcome::rejected(Reason::Config, "the account has no service `web`");
    assert_eq!(outcome, expected.in_lane());
}

/// Sends a success by itself, as the engine does where a notification wants changes.
async fn change(key: &'static str) -> (Outcome, Vec<Request>) {
    let taken = json!({"status": "success", "message": "Change event processed"});
    let server = HttpFake::start([Reply::json(202, &taken)]);
    let account = account(&server.url(""));
    let secrets = Secrets::resolve(account.secrets(), &One(key));
    let notification = notification_with(&json!({"change_events": true}));
    let event = event(TerminalPhase::Succeeded);
    let payload = payload(&*account, &notification, &event, Action::Send, &success());
    let outcome = send(&*account, &secrets, "data-platform", payload).await;
    (outcome, server.requests())
}

#[tokio::test]
async fn a_success_by_itself_is_a_change_and_opens_nothing() {
    let (outcome, requests) = change(KEY).await;
    let Outcome::Delivered(receipt) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(receipt.to_string(), id().to_string());
    assert_eq!(requests[0].line(), "POST /v2/change/enqueue HTTP/1.1");
    let body = requests[0].json();
    assert_eq!(body["payload"]["summary"], "nightly-etl succeeded");
    assert!(body.get("event_action").is_none() && body.get("dedup_key").is_none());
}

#[tokio::test]
async fn a_key_of_an_event_orchestration_gets_no_change_and_the_reason_is_explained() {
    let (outcome, requests) = change(OF_RULES).await;
    // Final, so that the incidents of the service do not wait for another key.
    assert_eq!(class(&outcome), "rejected policy");
    assert!(requests.is_empty());
    let account = account("https://events.pagerduty.com");
    let fix = account.explain(&outcome).unwrap();
    assert!(fix.contains("to the service itself"), "{fix}");
}

async fn check(
    key: &'static str,
    script: Vec<Reply>,
    services: &[&str],
) -> (Vec<Stage>, Vec<Request>) {
    let server = HttpFake::start(script);
    let account = account(&server.url(""));
    let secrets = Secrets::resolve(account.secrets(), &One(key));
    let transport = account.connect(&secrets).unwrap();
    let to = services.iter().map(|name| Recipient::of(&service(name)));
    let to: Vec<_> = to.collect();
    let stages = transport.check(&DeliveryContext::new(1, &Fixed), &to).await;
    assert!(!format!("{stages:?}").contains("hunter2"), "{stages:?}");
    (stages, server.requests())
}

#[tokio::test]
async fn a_check_resolves_what_nobody_opened_with_the_key_of_each_service_that_is_meant() {
    let taken = Reply::new(202).body(TAKEN);
    let (stages, requests) = check(KEY, vec![taken.clone()], &["data-platform"]).await;
    assert_eq!((stages.len(), requests.len()), (1, 1), "no other is tried");
    assert_eq!(stages[0].name, "v2/enqueue for data-platform");
    let both = ["billing", "data-platform"];
    let (stages, requests) = check(OF_RULES, vec![taken.clone(), taken], &both).await;
    let names: Vec<_> = stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(
        names,
        ["v2/enqueue for billing", "v2/enqueue for data-platform"]
    );
    assert!(stages.iter().all(|stage| stage.outcome.is_none()));
    assert!(stages[0].said.contains("takes no change events"));
    for request in requests {
        let expected = json!({
            "routing_key": OF_RULES,
            "event_action": "resolve",
            "dedup_key": "workflow-notify-check",
        });
        assert_eq!(request.json(), expected);
    }
}

#[tokio::test]
async fn a_check_ends_with_the_first_key_that_is_not_taken() {
    let both = ["billing", "data-platform"];
    let body = json!({"status": "invalid event", "errors": [format!("Invalid routing key {KEY}")]});
    let (stages, requests) = check(KEY, vec![Reply::json(400, &body)], &both).await;
    let [stage] = stages.as_slice() else {
        panic!("{stages:?}");
    };
    assert_eq!(class(stage.outcome.as_ref().unwrap()), "rejected auth");
    assert!(stage.said.contains("Invalid routing key [secret]"));
    assert_eq!(requests.len(), 1);
    let (stages, requests) = check("hunter2", vec![], &both).await;
    assert_eq!(
        class(stages[0].outcome.as_ref().unwrap()),
        "rejected config"
    );
    assert!(requests.is_empty());
}

#[test]
fn the_accounts_own_service_is_told_where_nobody_is_named() {
    let none = account_with(&json!({}));
    assert!(none.default_recipients().is_empty());
    let own = account_with(&json!({"service": "billing"}));
    assert_eq!(
        own.default_recipients(),
        [Recipient::of(&service("billing"))]
    );
}

#[test]
fn what_is_unwise_is_warned_about_at_its_place() {
    let tls = |tls: Value| account_with(&json!({"tls": tls})).warnings();
    assert!(tls(json!({"ca_file": "/etc/ssl/corp.pem"})).is_empty());
    let warnings = tls(json!({"insecure_skip_verify": true}));
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].path.to_string(), "tls.insecure_skip_verify");
    assert_eq!(warnings[0].code, Code::UNPROTECTED);
}
