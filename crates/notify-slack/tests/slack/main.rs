//! The provider against a scripted Slack on loopback, and its payloads against Slack's schemas.

#![cfg(test)]

mod attempt;
mod check;
mod conformance;
mod conversation;
mod differences;
mod example;
mod lowered;
mod page;
mod recipients;
mod reconcile;
mod schema;

use std::sync::Arc;
use std::time::Duration;

use notify_core::content::{Block, Field, Inline, Severity};
use notify_core::secret::SecretString;
use notify_core::{
    Account, Action, Clock, Delivery, DeliveryContext, DeliveryId, Execution, Message,
    Notification, Outcome, Payload, Prepared, Receipt, Recipient, Registry, SecretError, SecretRef,
    SecretSource, Secrets, SlackRecipient, TerminalPhase, Timestamp, Transport, WorkflowEnded,
    WorkflowName,
};
use notify_slack::DESCRIPTOR;
use notify_testkit::fake::{HttpFake, Reply, Request, Step};
use serde_json::{Value, json};
use uuid::Uuid;

const TOKEN: &str = "xoxb-hunter2-hunter2";
const POSTED: &str = r#"{"ok":true,"channel":"C024BE91L","ts":"1503435956.000247"}"#;
const HOME: &str =
    r#"{"ok":true,"url":"https://subarachnoid.slack.com/","team":"Subarachnoid","user":"etl-bot"}"#;

/// A clock that stands where it is put.
#[derive(Debug)]
struct Fixed(Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn now() -> Timestamp {
    "2026-11-20T23:57:46Z".parse().unwrap()
}

/// Every reference leads to this secret.
#[derive(Debug)]
struct One(String);

impl SecretSource for One {
    fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
        Ok(self.0.clone().into())
    }
}

fn account(section: &Value) -> Arc<dyn Account> {
    let id = "slack.prod".parse().unwrap();
    DESCRIPTOR.load_account(id, section).unwrap()
}

fn token_account(base_url: &str) -> Arc<dyn Account> {
    account(&json!({"token": {"env": "T"}, "base_url": base_url, "timeout": "1s"}))
}

fn webhook_account() -> Arc<dyn Account> {
    account(&json!({"webhook_url": {"env": "T"}, "timeout": "1s"}))
}

fn recipient(text: &str) -> Recipient {
    Recipient::of(&text.parse::<SlackRecipient>().unwrap())
}

/// Loads a notification of what stands under the kind.
fn notification(body: &Value) -> Notification {
    let registry = Registry::of([DESCRIPTOR]).unwrap();
    let declared = json!({"phases": "failed", "slack": body});
    registry.load_notification(&declared).unwrap()
}

fn id() -> DeliveryId {
    DeliveryId::from_uuid(Uuid::from_u128(7))
}

fn event(phase: TerminalPhase) -> WorkflowEnded {
    WorkflowEnded::new(
        WorkflowName::new("nightly-etl").unwrap(),
        Execution::new("analytics", "production", "run-17").unwrap(),
        phase,
    )
}

/// What a delivery does in a conversation, and what was delivered to it before.
#[derive(Clone, Copy, Debug)]
struct Turn<'a>(Action, Option<&'a Receipt>);

/// Lowers a message for the first recipient; the vendor's schema takes what comes of it.
#[track_caller]
fn payload(
    account: &dyn Account,
    notification: &Notification,
    Turn(action, earlier): Turn<'_>,
    message: &Message,
) -> Payload {
    let event = event(match action {
        Action::Close => TerminalPhase::Succeeded,
        _ => TerminalPhase::Failed,
    });
    let to = &notification.recipients()[0];
    let mut delivery = Delivery::new(id(), &event, notification, to, now());
    if action != Action::Send {
        delivery = delivery.in_conversation("analytics/production/nightly-etl@#a", action);
    }
    if let Some(earlier) = earlier {
        delivery = delivery.after(earlier);
    }
    let payload = account.payload(&delivery, message);
    let arguments = serde_json::from_slice(&payload.body).unwrap();
    assert_eq!(schema::check(&arguments), Ok(()));
    payload
}

const ALONE: Turn<'_> = Turn(Action::Send, None);

fn message() -> Message {
    Message::new("nightly-etl failed <!channel>", Severity::Error)
        .block(Block::text("It *failed* & `stopped`."))
        .block(Block::Items {
            ordered: false,
            items: vec![vec![Inline::plain("load")], vec![Inline::plain("clean")]],
        })
        .block(Block::Fields(vec![Field {
            label: "Attempt".to_owned(),
            value: "2".to_owned(),
        }]))
        .block(Block::Code("row 4: <@U12345678> \u{1b}[31m".to_owned()))
        .action("Open run", "https://example.com/run/17")
        .footer("analytics/production")
}

fn connect(account: &dyn Account, secret: &str) -> Arc<dyn Transport> {
    let secrets = Secrets::resolve(account.secrets(), &One(secret.to_owned()));
    let transport = account.connect(&secrets).unwrap();
    assert!(!format!("{account:?} {transport:?}").contains("hunter2"));
    transport
}

fn prepared(to: &str, payload: Payload) -> Prepared {
    Prepared {
        id: id(),
        recipient: recipient(to),
        payload,
    }
}

/// Makes one attempt and gives its outcome; no part of the secret may be in it.
async fn attempt(transport: &dyn Transport, prepared: Prepared, at: Timestamp) -> Outcome {
    let clock = Fixed(at);
    let cx = DeliveryContext::new(1, &clock);
    let mut outcomes = transport.deliver(&cx, &[prepared]).await;
    assert_eq!(outcomes.len(), 1);
    let outcome = outcomes.remove(0);
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
    outcome
}

async fn deliver(account: &dyn Account, secret: &str, to: &str) -> Outcome {
    let payload = payload(account, &notification(&json!(to)), ALONE, &message());
    let transport = connect(account, secret);
    attempt(&*transport, prepared(to, payload), now()).await
}

/// Starts a Slack that knows where it is and takes one step for each other call.
fn slack(script: Vec<Step>) -> HttpFake {
    let mut script = script.into_iter();
    HttpFake::answering(move |request, _| {
        if request.path() == "/api/auth.test" {
            return answer(200, HOME);
        }
        let over = || answer(500, "the script is over");
        script.next().unwrap_or_else(over)
    })
}

/// Lists what a Slack was asked, but for where it is.
fn asked(slack: &HttpFake) -> Vec<Request> {
    let mut requests = slack.requests();
    requests.retain(|request| request.path() != "/api/auth.test");
    requests
}

/// Delivers with a token against a script; gives the outcome and the requests.
async fn by_token(to: &str, script: Vec<Step>) -> (Outcome, Vec<Request>) {
    let slack = slack(script);
    let account = token_account(&slack.url("/api/"));
    let outcome = deliver(&*account, TOKEN, to).await;
    (outcome, asked(&slack))
}

async fn by_webhook(script: Vec<Step>) -> (Outcome, Vec<Request>) {
    let server = HttpFake::start(script);
    let url = server.url("/services/T00000000/B00000000/hunter2hunter2");
    let outcome = deliver(&*webhook_account(), &url, "#data-alerts").await;
    (outcome, server.requests())
}

fn answer(status: u16, body: &str) -> Step {
    Reply::new(status).body(body).into()
}

fn refusal(code: &str) -> Step {
    answer(200, &json!({"ok": false, "error": code}).to_string())
}

fn class(outcome: &Outcome) -> String {
    let class = match outcome {
        Outcome::NotDelivered { cause, .. } | Outcome::Unknown { cause, .. } => cause.name(),
        Outcome::Rejected { reason, .. } => reason.name(),
        _ => "",
    };
    format!("{} {class}", outcome.name())
}

fn receipt(outcome: Outcome) -> Receipt {
    match outcome {
        Outcome::Delivered(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}
