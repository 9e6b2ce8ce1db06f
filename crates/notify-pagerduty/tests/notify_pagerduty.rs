//! The provider against a scripted server on loopback, and its payloads against PagerDuty's schema.

#![cfg(test)]

mod conformance;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify_core::content::{Block, Field, Inline, Severity};
use notify_core::secret::SecretString;
use notify_core::{
    Account, Action, Cause, Clock, Code, Continuity, Delivery, DeliveryContext, DeliveryId,
    Execution, Failure, Message, Notification, NotificationKind, Outcome, PagerDuty,
    PagerDutyService, Payload, Prepared, Reason, Recipient, Scope, SecretError, SecretRef,
    SecretSource, Secrets, TerminalPhase, Timestamp, WorkflowEnded, WorkflowName, phases,
};
use notify_pagerduty::DESCRIPTOR;
use notify_testkit::fake::{HttpFake, Refusing, Reply, Request, Step};
use serde_json::{Value, json};
use uuid::Uuid;

const KEY: &str = "hunter2hunter2hunter2hunter2hunt";
const TAKEN: &str = r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#;

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        "2026-11-20T23:57:46Z".parse().unwrap()
    }
}

/// Every reference leads to this secret.
#[derive(Debug)]
struct One(&'static str);

impl SecretSource for One {
    fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
        Ok(self.0.into())
    }
}

fn account(base_url: &str) -> Arc<dyn Account> {
    let section = json!({
        "services": {"data-platform": {"env": "A"}, "billing": {"env": "B"}},
        "base_url": base_url,
        "timeout": "1s",
    });
    let id = "pagerduty.default".parse().unwrap();
    DESCRIPTOR.load_account(id, &section).unwrap()
}

fn service(name: &str) -> PagerDutyService {
    name.parse().unwrap()
}

fn notification(to: &str) -> Notification {
    PagerDuty::on(phases![Failed]).to(service(to)).into()
}

fn payload(account: &dyn Account, action: Action, message: &Message) -> Payload {
    let event = WorkflowEnded::new(
        WorkflowName::new("nightly-etl").unwrap(),
        Execution::new("analytics", "production", "run-17").unwrap(),
        TerminalPhase::Failed,
    )
    .failure(Failure::new("row 4: <!channel> \u{0}\"'"));
    let (notification, to) = (
        notification("data-platform"),
        Recipient::of(&service("data-platform")),
    );
    let id = DeliveryId::from_uuid(Uuid::from_u128(7));
    let delivery = Delivery::new(id, &event, &notification, &to, Fixed.now());
    let delivery = match action {
        Action::Send => delivery,
        action => delivery.in_conversation("k", action),
    };
    account.payload(&delivery, message)
}

fn message() -> Message {
    Message::new("nightly-etl failed", Severity::Error)
        .block(Block::Code("row 4".to_owned()))
        .action("Open run", "https://example.com/run/17")
}

/// Makes one attempt and gives its outcome; no part of the key may be in it.
async fn deliver(account: &dyn Account) -> Outcome {
    deliver_with(account, &Secrets::resolve(account.secrets(), &One(KEY))).await
}

async fn deliver_with(account: &dyn Account, secrets: &Secrets) -> Outcome {
    let transport = account.connect(secrets).unwrap();
    assert!(!format!("{account:?} {transport:?}").contains("hunter2"));
    let prepared = Prepared {
        id: DeliveryId::from_uuid(Uuid::from_u128(7)),
        recipient: Recipient::of(&service("data-platform")),
        payload: payload(account, Action::Open, &message()),
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
    assert_eq!(body["dedup_key"], "k");
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

fn class(outcome: &Outcome) -> String {
    let class = match outcome {
        Outcome::NotDelivered { cause, .. } | Outcome::Unknown { cause, .. } => cause.name(),
        Outcome::Rejected { reason, .. } => reason.name(),
        _ => "",
    };
    format!("{} {class}", outcome.name())
}

#[test]
fn only_the_accounts_own_services_are_reached() {
    let account = account("https://events.pagerduty.com");
    assert!(account.capabilities().closes);
    let target = |name: &str| account.target(&notification(name), &Recipient::of(&service(name)));
    let reached = target("data-platform").unwrap();
    assert_eq!(reached.lane, "data-platform");
    assert_eq!(reached.conversation, Some(Continuity::Workflow));
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

#[test]
#[expect(
    clippy::print_stderr,
    reason = "a test that is skipped says so where people look"
)]
fn events_obey_pagerdutys_own_schema() {
    let Some(golden) = std::env::var_os("NOTIFY_GOLDEN_DIR") else {
        eprintln!("skipped: NOTIFY_GOLDEN_DIR is not set");
        return;
    };
    let path = Path::new(&golden).join("pagerduty/schema/enqueue.request.strict.schema.json");
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let schema = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let long = |text: &str| {
        let text = text.repeat(1_000);
        let field = Field {
            label: text.clone(),
            value: text.clone(),
        };
        Message::new(&text, Severity::Critical)
            .block(Block::text(&text))
            .block(Block::Items {
                ordered: false,
                items: vec![vec![Inline::plain(&text)]; 20],
            })
            .block(Block::Fields(vec![field; 20]))
            .block(Block::Code(text.clone()))
            .action(&text, format!("https://example.com/?{text}"))
            .action("odd", "https://example.com/a|b[c]?d=^{e}\"<f>#g#h")
            .footer(text)
    };
    let messages = [
        message(),
        Message::new("", Severity::Info),
        long("<!channel> & *x* `y`\n"),
        long("👨‍👩‍👧‍👦"),
        long("\u{0}"),
    ];
    let account = account("https://events.pagerduty.com");
    for message in messages {
        for action in [Action::Send, Action::Open, Action::Close] {
            let payload = payload(&*account, action, &message);
            let mut body: Value = serde_json::from_slice(&payload.body).unwrap();
            body["routing_key"] = json!(KEY);
            assert!(body.to_string().len() <= 512_000);
            let errors: Vec<_> = schema
                .iter_errors(&body)
                .map(|err| err.to_string())
                .collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
    }
}
