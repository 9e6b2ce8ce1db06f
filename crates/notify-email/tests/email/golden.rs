//! What other schedulers send, held against ours.

use std::env;
use std::fs;
use std::path::PathBuf;

use mail_parser::MimeHeaders;
use notify_core::content::{Block, Severity};
use notify_core::{
    Delivery, DeliveryId, Execution, Message, Notification, Registry, TerminalPhase, Timestamp,
    WorkflowEnded, WorkflowName,
};
use notify_email::DESCRIPTOR;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Sample, load, parse, section};

fn golden(name: &str) -> Option<Value> {
    let Some(folder) = env::var_os("NOTIFY_GOLDEN_DIR").map(PathBuf::from) else {
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: NOTIFY_GOLDEN_DIR is not set");
        }
        return None;
    };
    let text = fs::read_to_string(folder.join(name)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
fn a_mail_of_flytes_comes_out_with_its_subject_and_body() {
    let Some(golden) = golden("flyte/email_message/email_message_basic.json") else {
        return;
    };
    let mut section = section("smtps://smtp.example.com");
    section["from"] = golden["senderEmail"].clone();
    let account = load(&section);
    let declared = json!({
        "phases": "succeeded",
        "email": {
            "to": golden["recipientsEmail"],
            "together": true,
            "flyte": {
                "subject": "Notice: Execution \"{{ name }}\" has {{ phase }} in \"{{ domain }}\".",
                "body": "Execution \"{{ name }}\" has {{ phase }}.{{ error }}",
            },
        },
    });
    let registry = Registry::of([DESCRIPTOR]).unwrap();
    let notification: Notification = registry.load_notification(&declared).unwrap();
    let event = WorkflowEnded::new(
        WorkflowName::new("demo").unwrap(),
        Execution::new("proj", "prod", "e124").unwrap(),
        TerminalPhase::Succeeded,
    );
    let id = DeliveryId::from_uuid(Uuid::from_u128(1));
    let at: Timestamp = "2026-11-20T23:57:46Z".parse().unwrap();
    let delivery = Delivery::new(id, &event, &notification, &notification.recipients()[0], at);
    let payload = account.payload(&delivery, &Message::new("demo succeeded", Severity::Info));
    let parsed = parse(&payload.body);
    assert_eq!(parsed.subject(), golden["subjectLine"].as_str());
    assert_eq!(
        parsed.body_html(0).as_deref().map(str::trim_end),
        golden["body"].as_str()
    );
    assert_eq!(
        parsed.body_text(0).as_deref().map(str::trim_end),
        golden["body"].as_str()
    );
    let to: Vec<_> = parsed
        .to()
        .unwrap()
        .iter()
        .map(|to| to.address().unwrap())
        .collect();
    assert_eq!(json!(to), golden["recipientsEmail"]);
}

#[test]
fn a_mail_has_the_parts_that_one_of_prefect_has_and_each_says_it_all() {
    let Some(golden) = golden("prefect/v1_gmail_message.json") else {
        return;
    };
    let account = load(&section("smtps://smtp.example.com"));
    let message =
        Message::new("my-task failed", Severity::Error).block(Block::Code("\"boom\"".to_owned()));
    let payload = Sample::new("my-task", "to@example.com", message).payload(&*account);
    let parsed = parse(&payload.body);
    let kind = |part: &mail_parser::MessagePart<'_>| {
        let kind = part.content_type().unwrap();
        format!("{}/{}", kind.ctype(), kind.subtype().unwrap())
    };
    assert_eq!(json!(kind(&parsed.parts[0])), golden["content_type"]);
    let parts: Vec<String> = parsed.parts[1..].iter().map(kind).collect();
    assert_eq!(json!(parts), golden["part_types"]);
    for part in &parsed.parts[1..] {
        let text = part.text_contents().unwrap().replace("&quot;", "\"");
        // Theirs has tags in the plain text, and its colour.
        for words in ["my-task", "failed", "\"boom\""] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}
