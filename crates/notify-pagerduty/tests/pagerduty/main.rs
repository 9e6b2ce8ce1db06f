//! The provider against a scripted server on loopback, its payloads against PagerDuty's schemas, its
//! page against the program.

#![cfg(test)]

mod attempt;
mod conformance;
mod page;
mod payload;

use std::path::Path;
use std::sync::Arc;

use jsonschema::Validator;
use notify_core::content::{Block, Severity};
use notify_core::secret::SecretString;
use notify_core::{
    Account, Action, Clock, Delivery, DeliveryId, Execution, Failure, Message, Notification,
    NotificationKind, Outcome, PagerDuty, PagerDutyService, Payload, Recipient, SecretError,
    SecretRef, SecretSource, TerminalPhase, Timestamp, WorkflowEnded, WorkflowName, phases,
};
use notify_pagerduty::DESCRIPTOR;
use serde_json::{Value, json};
use uuid::Uuid;

const KEY: &str = "hunter2hunter2hunter2hunter2hunt";
/// A key of an event orchestration.
const OF_RULES: &str = "R0hunter2hunter2hunter2hunter2hu";

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

/// Loads a section with two services and more.
fn account_with(more: &Value) -> Arc<dyn Account> {
    let mut section = json!({"services": {"data-platform": {"env": "A"}, "billing": {"env": "B"}}});
    let more = more.as_object().unwrap().clone();
    section.as_object_mut().unwrap().extend(more);
    let id = "pagerduty.default".parse().unwrap();
    DESCRIPTOR.load_account(id, &section).unwrap()
}

fn account(base_url: &str) -> Arc<dyn Account> {
    account_with(&json!({"base_url": base_url, "timeout": "1s"}))
}

fn service(name: &str) -> PagerDutyService {
    name.parse().unwrap()
}

fn notification(to: &str) -> Notification {
    PagerDuty::on(phases![Failed]).to(service(to)).into()
}

/// Makes a notification with these options, as they stand in a file.
fn notification_with(options: &Value) -> Notification {
    let options = serde_json::from_value(options.clone()).unwrap();
    PagerDuty::on(phases![Failed, Succeeded])
        .to(service("data-platform"))
        .options(|own| *own = options)
        .into()
}

fn event(phase: TerminalPhase) -> WorkflowEnded {
    let event = WorkflowEnded::new(
        WorkflowName::new("nightly-etl").unwrap(),
        Execution::new("analytics", "production", "run-17").unwrap(),
        phase,
    );
    let event = event.url("https://scheduler.example.com/runs/17");
    match phase {
        TerminalPhase::Failed => event.failure(Failure::new("row 4: amount is not a number")),
        _ => event,
    }
}

fn message() -> Message {
    Message::new("nightly-etl failed", Severity::Error)
        .block(Block::text("It ran for 2h 5m."))
        .block(Block::Code("row 4: amount is not a number".to_owned()))
        .action("Open run", "https://scheduler.example.com/runs/17")
}

fn success() -> Message {
    Message::new("nightly-etl succeeded", Severity::Info)
        .action("Open run", "https://scheduler.example.com/runs/17")
}

fn id() -> DeliveryId {
    DeliveryId::from_uuid(Uuid::from_u128(7))
}

/// Lowers a message for the first service.
fn payload(
    account: &dyn Account,
    notification: &Notification,
    event: &WorkflowEnded,
    action: Action,
    message: &Message,
) -> Payload {
    const CONVERSATION: &str = "analytics/production/nightly-etl@data-platform";
    let to = Recipient::of(&service("data-platform"));
    let delivery = Delivery::new(id(), event, notification, &to, Fixed.now());
    let delivery = match action {
        Action::Send => delivery,
        action => delivery.in_conversation(CONVERSATION, action),
    };
    account.payload(&delivery, message)
}

/// Names an outcome with its class and, where that says more, whom it concerns.
fn class(outcome: &Outcome) -> String {
    let class = match outcome {
        Outcome::NotDelivered { cause, .. } | Outcome::Unknown { cause, .. } => cause.name(),
        Outcome::Rejected { reason, .. } => reason.name(),
        _ => "",
    };
    format!("{} {class}", outcome.name()).trim_end().to_owned()
}

/// Reads a file of the vendor's data, where it is at hand.
#[expect(
    clippy::print_stderr,
    reason = "a test that is skipped says so where people look"
)]
fn golden(path: &str) -> Option<Value> {
    let Some(golden) = std::env::var_os("NOTIFY_GOLDEN_DIR") else {
        eprintln!("skipped: NOTIFY_GOLDEN_DIR is not set");
        return None;
    };
    let text = std::fs::read_to_string(Path::new(&golden).join(path)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// Checks a body against one of PagerDuty's schemas.
#[track_caller]
fn obeys(schema: &Validator, body: &Value) {
    let mut body = body.clone();
    body["routing_key"] = json!(KEY);
    assert!(body.to_string().len() <= 512_000);
    let errors: Vec<_> = schema
        .iter_errors(&body)
        .map(|err| err.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}\n{body}");
}

fn validator(schema: &Value) -> Validator {
    let options = jsonschema::options().should_validate_formats(true);
    options.build(schema).unwrap()
}

fn json_of(payload: &Payload) -> Value {
    serde_json::from_slice(&payload.body).unwrap()
}
