//! What goes over the wire, beyond what the suite asks of all providers.

use notify_core::content::{Block, Severity};
use notify_core::secret::SecretString;
use notify_core::*;
use notify_testkit::HandClock;
use notify_testkit::fake::{HttpFake, Reply};
use provider_ntfy::DESCRIPTOR;
use serde_json::json;

/// Has one secret, whatever is asked for.
#[derive(Debug)]
struct Token(&'static str);

impl SecretSource for Token {
    fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
        Ok(self.0.into())
    }
}

#[tokio::test]
async fn a_message_is_published_under_its_topic_with_the_token() {
    let fake = HttpFake::start([Reply::json(200, &json!({"id": "xE73Iyuabi"}))]);
    let section = json!({"server": fake.url("/"), "token": {"env": "NTFY_TOKEN"}});
    let account = DESCRIPTOR.load_account("ntfy.default".parse().unwrap(), &section);
    let account = account.unwrap();
    let registry = Registry::of([DESCRIPTOR]).unwrap();
    let declared = json!({"phases": "failed", "ntfy": {"to": ["alerts"], "priority": 1}});
    let notification = registry.load_notification(&declared).unwrap();
    let recipient = notification.recipients()[0].clone();

    let id = "ntf_0192d3f2a0b17c4e8f00112233445566".parse().unwrap();
    let clock = HandClock::default();
    let run = Execution::new("analytics", "production", "run-17").unwrap();
    let etl = WorkflowName::new("etl").unwrap();
    let event = WorkflowEnded::new(etl, run, TerminalPhase::Failed);
    let delivery = Delivery::new(id, &event, &notification, &recipient, clock.now());
    let message = Message::new("etl failed", Severity::Error).block(Block::text("row 4"));
    let payload = account.payload(&delivery, &message);

    let secrets = Secrets::resolve(account.secrets(), &Token("tk_hunter2"));
    let transport = account.connect(&secrets).unwrap();
    let context = DeliveryContext::new(1, &clock);
    let prepared = Prepared {
        id,
        recipient,
        payload,
    };
    let outcomes = transport.deliver(&context, &[prepared]).await;

    assert_eq!(outcomes, [Outcome::Delivered(Receipt::new("xE73Iyuabi"))]);
    let request = &fake.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer tk_hunter2"));
    let published = request.json();
    assert_eq!(published["topic"], "alerts");
    assert_eq!(published["message"], "row 4");
    assert_eq!(published["priority"], 1);
}
