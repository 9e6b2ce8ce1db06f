//! The contract of providers, held by an endpoint that gets events and by one with a body of its own.

use notify_testkit::fake::Reply;
use notify_testkit::provider::{Fixture, Http};
use notify_webhook::{DESCRIPTOR, MAX_BODY};
use serde_json::{Value, json};

/// An endpoint whose address, header and key are secrets.
fn fixture(more: Value) -> Fixture {
    let wire = Http::delivered(Reply::new(202).body("queued"))
        .any_body()
        .answer(Reply::new(302), "rejected config lane")
        .answer(Reply::new(400), "rejected payload lane")
        .answer(Reply::new(401), "rejected auth lane")
        .answer(Reply::new(404), "rejected config lane")
        .answer(Reply::new(410), "rejected config lane")
        .answer(Reply::new(422), "rejected payload lane")
        .answer(
            Reply::new(429).header("retry-after", "17"),
            "not_delivered throttled 17s lane",
        )
        .answer(
            Reply::new(503).header("retry-after", "17"),
            "not_delivered unavailable 17s lane",
        )
        .answer(Reply::new(500), "not_delivered unavailable");
    Fixture::new(DESCRIPTOR)
        .account(move |_| {
            let mut endpoint = more.clone();
            endpoint["url"] = json!({"env": "HOOK"});
            endpoint["headers"] = json!({"x-api-key": {"env": "KEY"}});
            endpoint["bearer"] = json!({"env": "TOKEN"});
            endpoint["signing_keys"] = json!([{"env": "SIGNING_KEY"}]);
            let mut other = endpoint.clone();
            other["url"] = json!({"env": "OTHER_HOOK"});
            json!({"endpoints": {"ci": endpoint, "audit": other}, "timeout": "2s"})
        })
        .wrong_account(
            json!({
                "endpoints": {"ci": {"url": "http://ci.example.com/", "mode": "binary", "body": 1}},
                "timeout": "2m",
            }),
            &["endpoints.ci.url", "endpoints.ci.mode", "timeout"],
        )
        .secret_at("HOOK", |at| at.url("/hooks/hunter2hunter2"))
        .secret_at("OTHER_HOOK", |at| at.url("/hooks/hunter3hunter3"))
        .secret("KEY", "hunter2-key-of-the-receiver")
        .secret("TOKEN", "hunter2-token-of-the-receiver")
        .secret("SIGNING_KEY", crate::SIGNING_KEY)
        .notification(json!(["ci", "audit"]))
        .wire(wire)
        .recipient(|request| Some(request.path().to_owned()))
        .idempotency_aid(|request| request.header("webhook-id").map(str::to_owned))
        .limit("bytes of a body", MAX_BODY, |payload| payload.body.len())
}

mod structured {
    notify_testkit::conformance!(super::fixture(serde_json::json!({})));
}

mod binary {
    notify_testkit::conformance!(super::fixture(serde_json::json!({"mode": "binary"})));
}

mod own {
    notify_testkit::conformance!(super::fixture(serde_json::json!({
        "method": "PUT",
        "body": {"title": "{{ headline }}", "text": "{{ text }}", "event": "{{ event }}"},
    })));
}
