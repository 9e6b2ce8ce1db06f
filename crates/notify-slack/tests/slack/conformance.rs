//! The contract of providers, for an account with a token and for one with a webhook.

use notify_core::Payload;
use notify_slack::DESCRIPTOR;
use notify_testkit::fake::Reply;
use notify_testkit::provider::{Fixture, Http};
use serde_json::{Value, json};

use crate::schema;

fn common() -> Fixture {
    Fixture::new(DESCRIPTOR)
        .notification(json!(["#data-alerts"]))
        .wrong_account(json!({"timeout": "61s"}), &["", "timeout"])
        .accepts("a text or a block", |payload| {
            characters(&body(payload)["text"]) > 0 || !blocks(payload).is_empty()
        })
        .accepts("what Slack's own schema takes", |payload| {
            schema::check(&body(payload)).is_ok()
        })
        .limit("blocks", 50, |payload| blocks(payload).len())
        .limit("characters of a header", 150, |payload| {
            longest(payload, "header", "/text/text")
        })
        .limit("characters of the fallback text", 4_000, |payload| {
            characters(&body(payload)["text"])
        })
        .limit("characters of all blocks together", 13_000, |payload| {
            characters(&json!(json!(blocks(payload)).to_string()))
        })
        .live("<!channel>", mentions)
        .live("<@U0123456789>", mentions)
        .live("<https://evil.example|here>", mentions)
}

fn by_token() -> Fixture {
    let refusal = |code: &str| Reply::json(200, &json!({"ok": false, "error": code}));
    let posted = json!({"ok": true, "channel": "C024BE91L", "ts": "1503435956.000247"});
    let home = json!({"ok": true, "url": "https://subarachnoid.slack.com/"});
    let wire = Http::delivered(Reply::json(200, &posted))
        .beside("/auth.test", Reply::json(200, &home))
        .answer(refusal("ratelimited"), "not_delivered throttled 30s lane")
        .answer(
            refusal("message_limit_exceeded"),
            "not_delivered throttled 3600s account",
        )
        .answer(Reply::new(429), "not_delivered throttled 30s")
        .answer(
            Reply::new(429).header("retry-after", "17"),
            "not_delivered throttled 17s lane",
        )
        .answer(Reply::json(200, &json!({"ok": false})), "rejected payload")
        .answer(Reply::json(200, &json!({})), "unknown protocol")
        .answer(
            Reply::new(200).body("<html>log in</html>"),
            "unknown protocol",
        )
        .answer(
            Reply::new(502).body("<html>Bad Gateway</html>"),
            "not_delivered unavailable",
        )
        .answer(refusal("internal_error"), "not_delivered unavailable")
        .answer(refusal("fatal_error"), "unknown unavailable")
        .answer(refusal("invalid_auth"), "rejected auth account")
        .answer(refusal("missing_scope"), "rejected auth account")
        .answer(refusal("channel_not_found"), "rejected destination")
        .answer(refusal("is_archived"), "rejected destination")
        .answer(refusal("restricted_action"), "rejected policy")
        .answer(refusal("invalid_blocks"), "rejected payload")
        .answer(refusal("message_not_found"), "rejected destination")
        .answer(refusal("unknown_method"), "rejected config")
        .answer(refusal("a_code_of_tomorrow"), "rejected payload")
        .answer(Reply::new(503), "not_delivered unavailable")
        .answer(Reply::new(404), "rejected config");
    let icon = "https://example.com/bell.png";
    common()
        .account(move |at| {
            json!({
                "token": {"env": "SLACK_TOKEN"},
                "base_url": at.url("/api/"),
                "channel": "#data-alerts",
                "username": "etl-bot",
                "icon_url": icon,
            })
        })
        .secret("SLACK_TOKEN", "xoxb-hunter2-hunter2")
        .older_notification(json!(["#data-alerts"]))
        .wire(wire)
        .recipient(|request| request.json_text("/channel"))
        .idempotency_aid(|request| request.json_text("/client_msg_id"))
}

fn threading() -> Fixture {
    by_token().notification(json!({
        "to": ["#data-alerts", "#data-oncall"],
        "thread": "workflow",
        "broadcast": true,
        "mention": ["here", "@U0123456789", "@S0123456789"],
        "username": "Nightly ETL",
        "icon_emoji": ":bell:",
    }))
}

fn updating() -> Fixture {
    by_token().notification(json!({
        "to": ["#data-alerts", "#data-oncall"],
        "update": true,
        "mention": "channel",
        "icon_url": "https://example.com/etl.png",
    }))
}

fn by_webhook() -> Fixture {
    let refusal = |status, body: &str| Reply::new(status).body(body);
    let wire = Http::delivered(Reply::new(200).body("ok"))
        .answer(refusal(400, "invalid_payload"), "rejected payload")
        .answer(refusal(400, "user_not_found"), "rejected destination")
        .answer(refusal(403, "action_prohibited"), "rejected policy")
        .answer(refusal(403, "invalid_token"), "rejected auth")
        .answer(refusal(404, "no_service"), "rejected destination")
        .answer(refusal(410, "channel_is_archived"), "rejected destination")
        .answer(refusal(429, ""), "not_delivered throttled 30s")
        .answer(
            Reply::new(429).header("retry-after", "17"),
            "not_delivered throttled 17s lane",
        )
        .answer(refusal(200, "<html>log in</html>"), "unknown protocol")
        .answer(refusal(500, "rollup_error"), "not_delivered unavailable");
    common()
        .notification(json!({"to": "#data-alerts", "mention": "here"}))
        .account(|_| json!({"webhook_url": {"env": "SLACK_WEBHOOK"}}))
        .secret_at("SLACK_WEBHOOK", |at| {
            at.url("/services/T00000000/B00000000/hunter2hunter2")
        })
        .wire(wire)
}

mod threading {
    //! Each case with a token and a thread.

    notify_testkit::conformance!(super::threading());
}

mod updating {
    //! Each case with a token and a message that is edited.

    notify_testkit::conformance!(super::updating());
}

mod webhook {
    //! Each case with a webhook.

    notify_testkit::conformance!(super::by_webhook());
}

fn body(payload: &Payload) -> Value {
    serde_json::from_slice(&payload.body).unwrap_or_default()
}

/// Lists all blocks from top to bottom.
fn blocks(payload: &Payload) -> Vec<Value> {
    let body = body(payload);
    let below = &body["attachments"][0]["blocks"];
    let all = list(&body["blocks"]).iter().chain(list(below));
    all.cloned().collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn characters(value: &Value) -> usize {
    value.as_str().unwrap_or_default().chars().count()
}

/// The longest text at this place in blocks of this type.
fn longest(payload: &Payload, kind: &str, pointer: &str) -> usize {
    let blocks = blocks(payload);
    let texts = blocks
        .iter()
        .filter(|block| block["type"] == kind)
        .filter_map(|block| block.pointer(pointer));
    texts.map(characters).max().unwrap_or(0)
}

/// Tells whether text stands where Slack reads markup: in `text`, or in an object of type `mrkdwn`.
fn mentions(payload: &Payload) -> bool {
    fn alive(value: &Value) -> bool {
        match value {
            Value::Object(map) => {
                let marked = map.get("type").is_some_and(|kind| kind == "mrkdwn");
                let text = map.get("text").and_then(Value::as_str);
                (marked && text.is_some_and(|text| text.contains('<'))) || map.values().any(alive)
            }
            Value::Array(items) => items.iter().any(alive),
            _ => false,
        }
    }
    let body = body(payload);
    let fallback = &body["attachments"][0]["fallback"];
    let parsed = [&body["text"], fallback];
    let is_parsed = |text: &&Value| text.as_str().is_some_and(|text| text.contains('<'));
    parsed.iter().any(is_parsed) || blocks(payload).iter().any(alive)
}
