//! The provider against servers on loopback, its bodies against the specifications, its page against
//! the program.

#![cfg(test)]

#[path = "../../../notify-http/tests/server/mod.rs"]
mod server;

mod attempt;
mod body;
mod conformance;
mod page;
mod sdk;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;

use notify_core::content::{Block, Severity};
use notify_core::secret::SecretString;
use notify_core::{
    Account, Clock, Delivery, DeliveryContext, DeliveryId, Execution, Failure, Message,
    Notification, NotificationKind, Outcome, Payload, Prepared, Recipient, SecretError, SecretRef,
    SecretSource, Secrets, TerminalPhase, Timestamp, WorkflowEnded, WorkflowName, phases,
};
use notify_webhook::{DESCRIPTOR, Webhook, WebhookRecipient};
use serde_json::Value;
use uuid::Uuid;

/// A secret of Standard Webhooks' own documents.
const SIGNING_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The one that was used before.
const OLD_KEY: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        "2026-11-20T23:57:46Z".parse().unwrap()
    }
}

/// Secrets by the name of their variable.
#[derive(Debug, Default)]
struct Vault(BTreeMap<String, String>);

impl SecretSource for Vault {
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let found = match reference {
            SecretRef::Env(name) => self.0.get(name),
            _ => None,
        };
        found
            .map(|secret| secret.as_str().into())
            .ok_or(SecretError {
                reference: reference.clone(),
                why: "there is none".to_owned(),
            })
    }
}

fn vault(secrets: &[(&str, &str)]) -> Vault {
    let own = |(name, secret): &(&str, &str)| ((*name).to_owned(), (*secret).to_owned());
    Vault(secrets.iter().map(own).collect())
}

fn account(section: &Value) -> Arc<dyn Account> {
    let id = "webhook.default".parse().unwrap();
    DESCRIPTOR.load_account(id, section).unwrap()
}

fn notification(to: &str) -> Notification {
    let to: WebhookRecipient = to.parse().unwrap();
    Webhook::on(phases![Failed]).to(to).into()
}

fn event() -> WorkflowEnded {
    WorkflowEnded::new(
        WorkflowName::new("nightly-etl").unwrap(),
        Execution::new("analytics", "production", "run-17").unwrap(),
        TerminalPhase::Failed,
    )
    .failure(Failure::new("row 4: amount is not a number").code("exit 1"))
    .ended_at(Fixed.now())
    .url("https://scheduler.example.com/runs/17")
    .label("team", "data")
    .output("rows", 3)
}

fn message() -> Message {
    Message::new("nightly-etl failed", Severity::Error)
        .block(Block::text("It ran for 2h 5m."))
        .block(Block::Code("row 4: amount is not a number".to_owned()))
        .action("Open run", "https://scheduler.example.com/runs/17")
        .footer("analytics/production/run-17")
}

fn id(number: u128) -> DeliveryId {
    DeliveryId::from_uuid(Uuid::from_u128(number))
}

/// Lowers a message for a recipient.
fn payload(account: &dyn Account, to: &str, event: &WorkflowEnded, message: &Message) -> Payload {
    let notification = notification(to);
    let recipient = notification.recipients()[0].clone();
    let at = event.ended_at.unwrap_or(Fixed.now());
    let delivery = Delivery::new(id(7), event, &notification, &recipient, at);
    account.payload(&delivery, message)
}

fn prepared(account: &dyn Account, to: &str) -> Prepared {
    let recipient: WebhookRecipient = to.parse().unwrap();
    Prepared {
        id: id(7),
        recipient: Recipient::of(&recipient),
        payload: payload(account, to, &event(), &message()),
    }
}

/// Makes one attempt and gives its outcome; nothing that begins with `hunter2` may be in it.
async fn deliver(account: &dyn Account, to: &str, vault: &Vault, clock: &dyn Clock) -> Outcome {
    let secrets = Secrets::resolve(account.secrets(), vault);
    let transport = account.connect(&secrets).unwrap();
    assert!(!format!("{account:?} {transport:?}").contains("hunter2"));
    let prepared = prepared(account, to);
    assert!(!format!("{prepared:?}").contains("hunter2"));
    let cx = DeliveryContext::new(1, clock);
    let mut outcomes = transport.deliver(&cx, &[prepared]).await;
    assert_eq!(outcomes.len(), 1);
    let outcome = outcomes.remove(0);
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
    outcome
}

/// Names an outcome with its class.
fn class(outcome: &Outcome) -> String {
    let class = match outcome {
        Outcome::NotDelivered { cause, .. } | Outcome::Unknown { cause, .. } => cause.name(),
        Outcome::Rejected { reason, .. } => reason.name(),
        _ => "",
    };
    format!("{} {class}", outcome.name()).trim_end().to_owned()
}

/// A request as it arrived.
struct Request {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Request {
    fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let (line, headers) = head.split_once("\r\n").unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        Self {
            line: line.to_owned(),
            headers: headers.split("\r\n").map(header).collect(),
            body: body.to_owned(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}
