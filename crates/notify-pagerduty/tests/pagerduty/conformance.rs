//! The contract of providers.

use notify_core::Payload;
use notify_pagerduty::DESCRIPTOR;
use notify_testkit::fake::Reply;
use notify_testkit::provider::{Fixture, Http};
use serde_json::{Value, json};

fn fixture() -> Fixture {
    let errors = |errors: &str| {
        let body = json!({"status": "invalid event", "errors": [errors]});
        Reply::json(400, &body)
    };
    let taken = json!({"status": "success", "message": "Event processed", "dedup_key": "k"});
    let wire = Http::delivered(Reply::json(202, &taken))
        .answer(errors("Invalid routing key"), "rejected auth lane")
        .answer(errors("'summary' is too long"), "rejected payload")
        .answer(Reply::new(401), "rejected auth lane")
        .answer(Reply::new(404), "rejected config")
        .answer(Reply::new(429), "not_delivered throttled 60s lane")
        .answer(Reply::new(500), "not_delivered unavailable")
        .answer(Reply::new(503), "not_delivered unavailable");
    Fixture::new(DESCRIPTOR)
        .account(|at| {
            let services =
                json!({"data-platform": {"env": "PD_KEY"}, "billing": {"env": "PD_BILLING"}});
            json!({"services": services, "base_url": at.url("/")})
        })
        .wrong_account(
            json!({"services": {"a@b.c": {"env": "A"}}, "timeout": "2m"}),
            &["services.a@b.c", "timeout"],
        )
        .secret("PD_KEY", "hunter2hunter2hunter2hunter2hunt")
        .secret("PD_BILLING", "3hunter3hunter3hunter3hunter3hun")
        .notification(json!(["data-platform", "billing"]))
        .wire(wire)
        // Each service has a key of its own.
        .recipient(|request| request.json_text("/routing_key"))
        // Alerts with one key are one alert: the same for all ends of a workflow, so it is no aid
        // that tells deliveries apart, and the samples are of two conversations.
        .idempotency_aid(|request| request.json_text("/dedup_key"))
        .accepts("an event with a summary", |payload| summary(payload) > 0)
        .limit("characters of the summary", 1_024, summary)
        .limit("bytes of an event", 512_000, |payload| payload.body.len())
}

notify_testkit::conformance!(fixture());

fn summary(payload: &Payload) -> usize {
    let body = body(payload);
    let summary = body.pointer("/payload/summary").and_then(Value::as_str);
    summary.unwrap_or_default().chars().count()
}

fn body(payload: &Payload) -> Value {
    serde_json::from_slice(&payload.body).unwrap_or_default()
}
