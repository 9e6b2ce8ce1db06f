//! The provider against the contract of all providers.

use notify_core::Payload;
use notify_testkit::fake::Reply;
use notify_testkit::provider::{Fixture, Http};
use provider_ntfy::DESCRIPTOR;
use serde_json::{Value, json};

/// ntfy's words for a refusal.
fn refusal(status: u16, code: u32) -> Reply {
    let body = json!({"code": code, "http": status, "error": "limit reached"});
    Reply::json(status, &body)
}

/// Counts the bytes of one text that is published.
fn bytes(payload: &Payload, key: &str) -> usize {
    let published: Value = serde_json::from_slice(&payload.body).unwrap();
    published[key].as_str().unwrap().len()
}

fn fixture() -> Fixture {
    let taken = Reply::json(200, &json!({"id": "xE73Iyuabi", "event": "message"}));
    let token = json!({"env": "NTFY_TOKEN"});
    Fixture::new(DESCRIPTOR)
        .account(move |at| json!({"server": at.url("/"), "token": token, "timeout": "2s"}))
        .wrong_account(
            json!({"server": "ntfy.sh", "timeout": "2h", "colour": "red"}),
            &["server", "timeout", "colour"],
        )
        .secret("NTFY_TOKEN", "tk_hunter2hunter2")
        .notification(json!({"to": ["alerts", "night-shift"], "priority": 5, "tags": ["skull"]}))
        .older_notification(json!(["alerts"]))
        .wire(
            Http::delivered(taken)
                .answer(refusal(400, 40_009), "rejected destination")
                .answer(refusal(400, 40_017), "rejected payload")
                .answer(refusal(401, 40_101), "rejected auth account")
                .answer(refusal(403, 40_301), "rejected auth lane")
                .answer(refusal(404, 40_401), "rejected config")
                .answer(refusal(413, 41_303), "rejected payload")
                .answer(refusal(429, 42_901), "not_delivered throttled account")
                .answer(
                    refusal(429, 42_908).header("retry-after", "600"),
                    "not_delivered throttled 600s account",
                )
                .answer(refusal(500, 50_001), "not_delivered unavailable")
                .answer(refusal(507, 50_701), "not_delivered unavailable"),
        )
        .recipient(|request| request.json_text("/topic"))
        .idempotency_aid(|request| request.json_text("/sequence_id"))
        .limit("bytes of `title`", 250, |payload| bytes(payload, "title"))
        .limit("bytes of `message`", 4_095, |payload| {
            bytes(payload, "message")
        })
        .limit("bytes of the body", 8_192, |payload| payload.body.len())
}

notify_testkit::conformance!(fixture());
