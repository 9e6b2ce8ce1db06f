//! Requests for receivers that are not ours: `cargo xtask webhook-check` lets the official packages
//! for Python read what is left in `target/tmp/webhook-cases.json`.

use std::path::Path;

use notify_core::{Execution, SystemClock, WorkflowName};
use serde_json::{Value, json};

use crate::server::{Server, Step};
use crate::{OLD_KEY, Request, SIGNING_KEY, account, event, id, message, notification, vault};

/// Sends an event with letters that headers and paths must encode, and gives the request.
async fn request(mut endpoint: Value) -> Request {
    let server = Server::start(vec![Step::answer(204, "", "")]);
    endpoint["url"] = server.url("/hook").into();
    let account = account(&json!({"endpoints": {"ci": endpoint}}));
    let mut event = event().label("odd", "\"%\u{0}<!channel>\r\nx-admin: yes");
    event.workflow = WorkflowName::new("Abrechnung für März / 夜間").unwrap();
    event.execution = Execution::new("a b", "100%", "\"run\" 17")
        .unwrap()
        .attempt(2);
    let notification = notification("ci");
    let recipient = notification.recipients()[0].clone();
    let at = event.ended_at.unwrap();
    let delivery = notify_core::Delivery::new(id(7), &event, &notification, &recipient, at);
    let payload = account.payload(&delivery, &message());
    let secrets = vault(&[("NEW", SIGNING_KEY), ("OLD", OLD_KEY)]);
    let secrets = notify_core::Secrets::resolve(account.secrets(), &secrets);
    let transport = account.connect(&secrets).unwrap();
    // The packages refuse what was signed more than five minutes ago.
    let cx = notify_core::DeliveryContext::new(1, &SystemClock);
    let prepared = notify_core::Prepared {
        id: id(7),
        recipient,
        payload,
    };
    transport.deliver(&cx, &[prepared]).await;
    Request::of(&server.requests().await[0])
}

#[tokio::test]
async fn what_others_are_to_read_is_left_for_them() {
    let new = json!({"env": "NEW"});
    let old = json!({"env": "OLD"});
    let mut cases = Vec::new();
    for (name, endpoint, keys, is_event) in [
        (
            "structured",
            json!({"signing_keys": [new]}),
            vec![SIGNING_KEY],
            true,
        ),
        (
            "binary",
            json!({"mode": "binary", "signing_keys": [new]}),
            vec![SIGNING_KEY],
            true,
        ),
        (
            "two keys",
            json!({"signing_keys": [new, old]}),
            vec![SIGNING_KEY, OLD_KEY],
            true,
        ),
        (
            "a body of one's own",
            json!({"signing_keys": [new], "body": {"text": "{{ labels.odd }}", "all": "{{ event }}"}}),
            vec![SIGNING_KEY],
            false,
        ),
    ] {
        let request = request(endpoint).await;
        cases.push(json!({
            "name": name,
            "headers": request.headers,
            "body": request.body,
            "keys": keys,
            "event": is_event,
        }));
    }
    let expected = json!({
        "id": id(7).to_string(),
        "source": "/a%20b/100%25/Abrechnung%20f%C3%BCr%20M%C3%A4rz%20%2F%20%E5%A4%9C%E9%96%93",
        "type": "org.workflow-notify.workflow.failed",
        "subject": "\"run\" 17#2",
        "time": "2026-11-20T23:57:46+00:00",
        "datacontenttype": "application/json",
        "odd": "\"%\u{0}<!channel>\r\nx-admin: yes",
    });
    let cases = json!({"cases": cases, "expected": expected});
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("webhook-cases.json");
    std::fs::write(path, cases.to_string()).unwrap();
}
