//! What is said, within Slack's limits and schemas.

use super::*;

fn long(text: &str) -> Message {
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
}

/// Lowers a failure that stands alone.
fn lowered(account: &dyn Account, body: &Value) -> Value {
    let payload = payload(account, &notification(body), ALONE, &message());
    serde_json::from_slice(&payload.body).unwrap()
}

#[test]
fn payloads_obey_slacks_own_schema() {
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
            payload(&*account, &notification(&json!("#a")), ALONE, &message);
        }
    }
}

#[test]
fn a_message_has_the_colour_of_its_end_and_calls_whom_the_author_named() {
    let account = token_account("https://slack.com/api/");
    let body = json!({"to": "#a", "mention": ["here", "U0123456789", "@S0123456789"]});
    let said = lowered(&*account, &body);
    assert_eq!(said["attachments"][0]["color"], "#eb0000");
    let space = json!({"type": "text", "text": " "});
    let expected = json!([
        {"type": "broadcast", "range": "here"},
        space,
        {"type": "user", "user_id": "U0123456789"},
        space,
        {"type": "usergroup", "usergroup_id": "S0123456789"},
    ]);
    assert_eq!(said["blocks"][1]["elements"][0]["elements"], expected);
    let alone = lowered(&*account, &json!("#a"));
    assert_eq!(alone["blocks"].as_array().unwrap().len(), 1);
}

#[test]
fn the_look_of_a_notification_goes_before_that_of_the_account() {
    let account = account(&json!({
        "token": {"env": "T"}, "username": "etl-bot", "icon_emoji": ":bell:",
    }));
    let icon = "https://example.com/a.png";
    let table = [
        (json!({"to": "#a"}), json!(["etl-bot", ":bell:", null])),
        (
            json!({"to": "#a", "username": "bot"}),
            json!(["bot", ":bell:", null]),
        ),
        (
            json!({"to": "#a", "icon_url": icon}),
            json!(["etl-bot", null, icon]),
        ),
    ];
    for (body, expected) in table {
        let said = lowered(&*account, &body);
        let seen = json!([said["username"], said["icon_emoji"], said["icon_url"]]);
        assert_eq!(seen, expected, "{body}");
    }
    let plain = lowered(&*token_account("https://slack.com/api/"), &json!("#a"));
    assert_eq!(plain.get("username"), None);
}

#[test]
fn block_kit_of_the_author_is_sent_as_it_is() {
    let blocks = json!([
        {"type": "section", "text": {"type": "mrkdwn", "text": "*row 4* <!here>"}},
        {"type": "divider"},
    ]);
    let body = json!({"to": "#a", "blocks": blocks});
    for account in [token_account("https://slack.com/api/"), webhook_account()] {
        let said = lowered(&*account, &body);
        assert_eq!(said["blocks"], blocks);
        assert_eq!(said.get("attachments"), None);
        let text = said["text"].as_str().unwrap();
        assert!(text.starts_with("nightly-etl failed &lt;!channel&gt;"));
    }
}
