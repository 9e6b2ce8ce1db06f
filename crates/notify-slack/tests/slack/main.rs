//! The provider against a scripted server on loopback, and its payloads against Slack's schema.

#![cfg(test)]

mod conformance;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify_core::content::{Block, Field, Inline, Severity};
use notify_core::secret::SecretString;
use notify_core::{
    Account, Cause, Clock, Code, Delivery, DeliveryContext, DeliveryId, Execution, Message,
    Notification, NotificationKind, Outcome, Payload, Prepared, Reason, Recipient, Scope,
    SecretError, SecretRef, SecretSource, Secrets, Slack, SlackRecipient, TerminalPhase, Timestamp,
    WorkflowEnded, WorkflowName, phases,
};
use notify_slack::DESCRIPTOR;
use notify_testkit::fake::{HttpFake, Refusing, Reply, Request, Step};
use serde_json::{Value, json};
use uuid::Uuid;

const TOKEN: &str = "xoxb-hunter2-hunter2";
const POSTED: &str = r#"{"ok":true,"channel":"C024BE91L","ts":"1503435956.000247"}"#;

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        "2026-11-20T23:57:46Z".parse().unwrap()
    }
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

fn notification(to: &str) -> Notification {
    let to: SlackRecipient = to.parse().unwrap();
    Slack::on(phases![Failed]).to(to).into()
}

fn payload(account: &dyn Account, to: &str, message: &Message) -> Payload {
    let event = WorkflowEnded::new(
        WorkflowName::new("nightly-etl").unwrap(),
        Execution::new("analytics", "production", "run-17").unwrap(),
        TerminalPhase::Failed,
    );
    let (notification, to) = (notification(to), recipient(to));
    let id = DeliveryId::from_uuid(Uuid::from_u128(7));
    let delivery = Delivery::new(id, &event, &notification, &to, Fixed.now());
    account.payload(&delivery, message)
}

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

/// Makes one attempt and gives its outcome; no part of the secret may be in it.
async fn deliver(account: &dyn Account, secret: &str, to: &str) -> Outcome {
    let secrets = Secrets::resolve(account.secrets(), &One(secret.to_owned()));
    let transport = account.connect(&secrets).unwrap();
    assert!(!format!("{account:?} {transport:?}").contains("hunter2"));
    let prepared = Prepared {
        id: DeliveryId::from_uuid(Uuid::from_u128(7)),
        recipient: recipient(to),
        payload: payload(account, to, &message()),
    };
    let cx = DeliveryContext::new(1, &Fixed);
    let mut outcomes = transport.deliver(&cx, &[prepared]).await;
    assert_eq!(outcomes.len(), 1);
    let outcome = outcomes.remove(0);
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
    outcome
}

/// Delivers with a token against a script; gives the outcome and the requests.
async fn by_token(to: &str, script: Vec<Step>) -> (Outcome, Vec<Request>) {
    let server = HttpFake::start(script);
    let account = token_account(&server.url("/api/"));
    let outcome = deliver(&*account, TOKEN, to).await;
    (outcome, server.requests())
}

async fn by_webhook(step: Step) -> (Outcome, Vec<Request>) {
    let server = HttpFake::start([step]);
    let url = server.url("/services/T00000000/B00000000/hunter2hunter2");
    let outcome = deliver(&*webhook_account(), &url, "#data-alerts").await;
    (outcome, server.requests())
}

fn answer(status: u16, body: &str) -> Step {
    Reply::new(status).body(body).into()
}

#[tokio::test]
async fn a_channel_gets_one_post_with_a_receipt() {
    let (outcome, requests) = by_token("#data-alerts", vec![answer(200, POSTED)]).await;
    let Outcome::Delivered(receipt) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(receipt.to_string(), "1503435956.000247 (channel C024BE91L)");
    let [request] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    assert_eq!(request.line(), "POST /api/chat.postMessage HTTP/1.1");
    let token = format!("Bearer {TOKEN}");
    assert_eq!(request.header("authorization"), Some(token.as_str()));
    let body = request.json();
    assert_eq!(body["channel"], "#data-alerts");
    assert_eq!(body["client_msg_id"], Uuid::from_u128(7).to_string());
    assert_eq!(
        body["metadata"]["event_payload"]["delivery"],
        "ntf_00000000000000000000000000000007"
    );
    let text = "nightly-etl failed &lt;!channel&gt;\nIt *failed* &amp; `stopped`.\n- load\n- clean\n\
        Attempt: 2\n    row 4: &lt;@U12345678&gt; [31m\nOpen run: https://example.com/run/17\n\
        analytics/production";
    assert_eq!(body["text"], text);
}

#[tokio::test]
async fn a_person_is_looked_up_and_a_conversation_opened() {
    let script = vec![
        answer(200, r#"{"ok":true,"user":{"id":"U024BE7LH"}}"#),
        answer(200, r#"{"ok":true,"channel":{"id":"D024BE7LH"}}"#),
        answer(200, POSTED),
    ];
    let (outcome, requests) = by_token("jane+x@example.com", script).await;
    assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
    // Slack takes no JSON for this method.
    assert_eq!(requests[0].path(), "/api/users.lookupByEmail");
    let form = Some("application/x-www-form-urlencoded");
    assert_eq!(requests[0].header("content-type"), form);
    assert_eq!(requests[0].body(), "email=jane%2Bx%40example.com");
    assert_eq!(requests[1].path(), "/api/conversations.open");
    assert_eq!(requests[1].json(), json!({"users": "U024BE7LH"}));
    assert_eq!(requests[2].json()["channel"], "D024BE7LH");
}

#[tokio::test]
async fn a_reply_lost_before_the_post_leaves_no_doubt() {
    for step in [Step::Close, answer(200, "<html>")] {
        let (outcome, _) = by_token("U0123456789", vec![step]).await;
        assert!(
            matches!(
                &outcome,
                Outcome::NotDelivered {
                    cause: Cause::Protocol,
                    ..
                }
            ),
            "{outcome:?}"
        );
    }
    let unknown = r#"{"ok":false,"error":"users_not_found"}"#;
    let (outcome, _) = by_token("jane@example.com", vec![answer(200, unknown)]).await;
    let expected = Outcome::rejected(Reason::Destination, "users.lookupByEmail: users_not_found");
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn a_refusal_is_classed_by_its_code_and_repeats_no_token() {
    let refusal = format!(r#"{{"ok":false,"error":"invalid_auth","errors":["bad {TOKEN}"]}}"#);
    let (outcome, _) = by_token("#data-alerts", vec![answer(200, &refusal)]).await;
    let expected = Outcome::rejected(Reason::Auth, "chat.postMessage: invalid_auth; bad [secret]");
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn a_throttled_call_waits_as_long_as_slack_says() {
    let table = [
        (Some("17"), 17),
        (Some("Fri, 20 Nov 2026 23:58:46 GMT"), 60),
        (None, 30),
    ];
    for (wait, expected) in table {
        let step = || {
            let reply = Reply::new(429);
            Step::Reply(match wait {
                Some(wait) => reply.header("retry-after", wait),
                None => reply,
            })
        };
        for (outcome, _) in [
            by_token("#data-alerts", vec![step()]).await,
            by_webhook(step()).await,
        ] {
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
}

#[tokio::test]
async fn trouble_on_either_side_of_the_request_is_told_apart() {
    let redirect = || Reply::new(302).header("location", "http://127.0.0.1:1/");
    let redirect = || Step::Reply(redirect());
    let html = || answer(502, "<html><title>502 Bad Gateway</title></html>");
    let table = [
        ([html(), html()], "not_delivered unavailable"),
        ([Step::Close, Step::Close], "unknown protocol"),
        ([Step::Silence, Step::Silence], "unknown timeout"),
        ([redirect(), redirect()], "rejected config"),
    ];
    for ([to_api, to_webhook], expected) in table {
        let (outcome, _) = by_token("#data-alerts", vec![to_api]).await;
        assert_eq!(class(&outcome), expected, "{outcome:?}");
        let (outcome, _) = by_webhook(to_webhook).await;
        assert_eq!(class(&outcome), expected, "{outcome:?}");
    }
    let nobody = Refusing::start();
    let refused = |path: &str| format!("http://{}{path}", nobody.address());
    let url = refused("/services/hunter2hunter2");
    let refused = deliver(&*token_account(&refused("/api/")), TOKEN, "#a").await;
    assert_eq!(class(&refused), "not_delivered connect");
    let refused = deliver(&*webhook_account(), &url, "#a").await;
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

#[tokio::test]
async fn a_webhook_posts_without_what_only_the_web_api_takes() {
    let (outcome, requests) = by_webhook(answer(200, "ok")).await;
    let Outcome::Delivered(receipt) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(receipt.id, "ntf_00000000000000000000000000000007");
    let body = requests[0].json();
    let keys: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["blocks", "mrkdwn", "text", "unfurl_links", "unfurl_media"]
    );
}

#[tokio::test]
async fn a_webhooks_error_page_tells_nothing_of_its_address() {
    let page = "no route to /services/T00000000/B00000000/hunter2hunter2";
    let (outcome, _) = by_webhook(answer(404, page)).await;
    assert_eq!(
        outcome,
        Outcome::rejected(Reason::Destination, "HTTP 404: no route to [secret]")
    );
}

#[test]
fn a_webhook_reaches_a_channel_by_name_and_nobody_else() {
    let table = [
        ("#data-alerts", true),
        ("C0123456789", false),
        ("U0123456789", false),
        ("jane@example.com", false),
    ];
    let by_token = token_account("https://slack.com/api/");
    for (to, reached) in table {
        let target = |account: &dyn Account| account.target(&notification(to), &recipient(to));
        assert_eq!(target(&*by_token).unwrap().lane, to);
        match target(&*webhook_account()) {
            Ok(target) => assert!(reached && target.lane.is_empty(), "{to}"),
            Err(problem) => {
                assert!(!reached, "{to}");
                assert_eq!(problem.code, Code::UNREACHABLE_RECIPIENT);
                assert!(problem.help.is_some());
            }
        }
    }
}

#[test]
fn a_secret_of_the_wrong_shape_is_refused_without_an_echo() {
    let table = [
        (token_account("https://slack.com/api/"), "hunter2"),
        (webhook_account(), "hunter2"),
        (webhook_account(), "http://hooks.slack.com/hunter2"),
        (webhook_account(), "https://u:hunter2@hooks.slack.com/"),
    ];
    for (account, secret) in table {
        let secrets = Secrets::resolve(account.secrets(), &One(secret.to_owned()));
        let refused = account.connect(&secrets).unwrap_err();
        assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
        assert!(account.connect(&Secrets::default()).is_err());
    }
}

#[test]
#[expect(
    clippy::print_stderr,
    reason = "a test that is skipped says so where people look"
)]
fn payloads_obey_slacks_own_schema() {
    let Some(golden) = std::env::var_os("NOTIFY_GOLDEN_DIR") else {
        eprintln!("skipped: NOTIFY_GOLDEN_DIR is not set");
        return;
    };
    let path = Path::new(&golden).join("slack/schema/chat.postMessage.request.schema.json");
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let long = |text: &str| {
        let text = text.repeat(500);
        let mut message = Message::new(&text, Severity::Critical)
            .block(Block::Code(text.clone()))
            .footer(&text);
        for _ in 0..60 {
            message.blocks.push(Block::text(&text));
            message.blocks.push(Block::Items {
                ordered: true,
                items: vec![vec![Inline::plain(&text)]; 5],
            });
            message = message.action(&text, format!("https://example.com/?{text}"));
        }
        let field = Field {
            label: text.clone(),
            value: text,
        };
        message.block(Block::Fields(vec![field; 60]))
    };
    let messages = [
        message(),
        Message::new("", Severity::Info),
        long("<!channel> & *x* `y`\n"),
        long("👨‍👩‍👧‍👦"),
        long("\u{0}"),
        long("x"),
    ];
    for message in messages {
        for account in [token_account("https://slack.com/api/"), webhook_account()] {
            let payload = payload(&*account, "#data-alerts", &message);
            let mut body: Value = serde_json::from_slice(&payload.body).unwrap();
            body["channel"] = json!("C0123456789");
            // Undocumented, so the schema does not have it.
            body.as_object_mut().unwrap().remove("client_msg_id");
            let errors: Vec<_> = schema
                .iter_errors(&body)
                .map(|err| err.to_string())
                .collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
    }
}
