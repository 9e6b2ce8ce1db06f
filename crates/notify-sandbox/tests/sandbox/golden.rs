//! The answers of the sandbox held against the vendors' own descriptions of their APIs.
//!
//! These files are not ours to publish: `NOTIFY_GOLDEN_DIR` says where they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::{Value, json};

use crate::client::{Running, http};

fn golden_dir() -> Option<PathBuf> {
    let dir = env::var_os("NOTIFY_GOLDEN_DIR").map(PathBuf::from);
    if dir.is_none() {
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: NOTIFY_GOLDEN_DIR is not set");
        }
    }
    dir
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

fn error_codes(path: &Path) -> BTreeSet<String> {
    read(path)["errors"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[tokio::test]
async fn pagerduty_answers_fit_the_vendors_schemas() {
    let Some(dir) = golden_dir() else { return };
    let schemas = dir.join("pagerduty/schema");
    let success = read(&schemas.join("response.success.schema.json"));
    let error = read(&schemas.join("response.error.schema.json"));
    let running = Running::start().await;
    let payload = json!({"summary": "x", "source": "y", "severity": "info"});
    for (event, status) in [
        (json!({"event_action": "trigger", "payload": payload}), 202),
        (json!({"event_action": "resolve", "dedup_key": "x"}), 202),
        (json!({"event_action": "trigger"}), 400),
        (json!({"routing_key": "x"}), 400),
        (json!([]), 400),
    ] {
        let answer = if event.is_object() {
            running.event(event).await
        } else {
            http(
                &running.pagerduty,
                "POST",
                "/v2/enqueue",
                &[],
                &event.to_string(),
            )
            .await
        };
        assert_eq!(answer.status, status);
        let schema = if status == 202 { &success } else { &error };
        jsonschema::validate(schema, &answer.json()).unwrap();
    }
}

#[tokio::test]
async fn pagerduty_refuses_in_the_words_that_were_observed() {
    let Some(dir) = golden_dir() else { return };
    let responses = dir.join("pagerduty/responses");
    let observed = read(&responses.join("observed_errors.json"))["cases"].to_string();
    let running = Running::start().await;
    let mut event = json!({
        "event_action": "trigger",
        "payload": {"summary": "x".repeat(1_025), "source": "y", "severity": "x"},
    });
    let errors = running.event(event.clone()).await.json()["errors"].clone();
    event["routing_key"] = json!("short");
    let more = running.event(event).await.json()["errors"][0].clone();
    for error in errors.as_array().unwrap().iter().chain([&more]) {
        assert!(observed.contains(&error.to_string()), "{error}");
    }
    let answer = http(&running.pagerduty, "POST", "/v2/enqueue", &[], "{").await;
    assert_eq!(answer.json(), read(&responses.join("400.response.json")));
}

#[tokio::test]
async fn pagerdutys_example_requests_are_accepted() {
    let Some(dir) = golden_dir() else { return };
    let running = Running::start().await;
    let mut accepted = 0;
    for file in fs::read_dir(dir.join("pagerduty/requests")).unwrap() {
        let path = file.unwrap().path();
        let mut event = read(&path);
        event["routing_key"] = json!(running.secret("pagerduty_data-platform"));
        let name = path.file_name().unwrap().to_str().unwrap();
        let endpoint = if name.starts_with("change") {
            "/v2/change/enqueue"
        } else {
            "/v2/enqueue"
        };
        let answer = http(
            &running.pagerduty,
            "POST",
            endpoint,
            &[],
            &event.to_string(),
        )
        .await;
        assert_eq!(answer.status, 202, "{name}: {}", answer.body);
        accepted += 1;
    }
    assert!(accepted >= 3, "only {accepted} example requests");
}

#[tokio::test]
async fn every_slack_error_code_is_a_documented_one() {
    let Some(dir) = golden_dir() else { return };
    let methods = dir.join("slack/methods");
    let common = error_codes(&methods.join("_common_errors.json"));
    let running = Running::start().await;
    let blocks = |block: Value| json!({"channel": "#a", "blocks": [block]});
    let calls = [
        ("auth.test", json!([])),
        ("chat.postMessage", json!({})),
        ("chat.postMessage", json!({"channel": "#a"})),
        (
            "chat.postMessage",
            json!({"channel": "#a", "text": "x", "markdown_text": "x"}),
        ),
        ("chat.postMessage", json!({"channel": "#a", "blocks": 7})),
        (
            "chat.postMessage",
            json!({"channel": "#a", "attachments": 7}),
        ),
        (
            "chat.postMessage",
            json!({"channel": "#a", "attachments": vec![json!({}); 101]}),
        ),
        ("chat.postMessage", blocks(json!({"type": "x"}))),
        (
            "chat.postMessage",
            blocks(json!({"type": "markdown", "text": "x".repeat(12_001)})),
        ),
        ("chat.update", json!({})),
        (
            "chat.update",
            json!({"channel": "C123", "ts": "1", "text": "x"}),
        ),
        (
            "chat.update",
            json!({"channel": "C123", "ts": "1", "text": "x".repeat(4_001)}),
        ),
        ("chat.getPermalink", json!({})),
        (
            "chat.postMessage",
            json!({"channel": "#a", "text": "x", "thread_ts": "1.000001"}),
        ),
        (
            "chat.postMessage",
            json!({"channel": "#a", "text": "x", "metadata": 7}),
        ),
        (
            "chat.postMessage",
            json!({"channel": "#not-in-channel", "text": "x"}),
        ),
        (
            "chat.postMessage",
            json!({"channel": "#restricted-action", "text": "x"}),
        ),
        ("conversations.open", json!({})),
        ("conversations.open", json!({"users": "x"})),
        ("conversations.open", json!({"channel": "x"})),
        (
            "conversations.open",
            json!({"users": "U01,U02,U03,U04,U05,U06,U07,U08,U09"}),
        ),
        ("users.lookupByEmail", json!({})),
        ("chat.nonsense", json!({})),
    ];
    for (method, arguments) in calls {
        let answer = running.slack(method, &arguments).await;
        let error = answer["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{method}: {answer}"));
        let own = methods.join(format!("{method}.json"));
        let is_documented = common.contains(error)
            || (method != "chat.nonsense" && error_codes(&own).contains(error));
        assert!(is_documented, "{method}: {error}");
    }
    for headers in [
        &["Content-Type: text/xml"][..],
        &["Content-Type: application/json; charset=x"],
        &["Authorization: Bearer x"],
        &[],
    ] {
        let body = if headers.len() == 1 { "" } else { "x" };
        let answer = http(&running.slack, "POST", "/api/auth.test", headers, body)
            .await
            .json();
        assert!(
            common.contains(answer["error"].as_str().unwrap()) || answer["error"] == "invalid_auth"
        );
    }
}

#[tokio::test]
async fn slacks_example_blocks_are_accepted_and_drawn() {
    let Some(dir) = golden_dir() else { return };
    let examples = read(&dir.join("slack/payloads/blocks.accepted.json"));
    let running = Running::start().await;
    let blocks = examples["blocks"].as_array().unwrap();
    for block in blocks {
        let post = json!({"channel": "#a", "text": "x", "blocks": [block]});
        let answer = running.slack("chat.postMessage", &post).await;
        assert_eq!(answer["ok"], true, "{answer} for {block}");
    }
    let page = http(&running.inbox(), "GET", "/", &[], "").await;
    assert_eq!(page.body.matches("<article").count(), blocks.len());
}

#[tokio::test]
async fn webhook_refusals_have_the_documented_status() {
    let Some(dir) = golden_dir() else { return };
    let responses = read(&dir.join("slack/payloads/incoming_webhook.responses.json"));
    let running = Running::start().await;
    let answer = running.webhook(r#"{"text": "x"}"#).await;
    assert_eq!(
        json!({"status": answer.status, "body": answer.body}),
        responses["success"]
    );
    let answer = running.webhook("x").await;
    let refusal = json!({"status": answer.status, "body": answer.body});
    assert!(
        responses["errors"].as_array().unwrap().contains(&refusal),
        "{refusal}"
    );
}

#[tokio::test]
async fn slacks_answers_fit_the_vendors_schemas() {
    let Some(dir) = golden_dir() else { return };
    let api = read(&dir.join("slack/schema/slack_web_openapi_v2.trimmed.json"));
    let running = Running::start().await;
    let jane = running.person("jane@example.com").await;
    let root = json!({"channel": "#a", "text": "x", "client_msg_id": "1"});
    let (channel, ts) = running.post(root).await;
    let edit = json!({"channel": channel, "ts": ts, "text": "y"});
    let permalink = format!("channel={channel}&message_ts={ts}");
    let mut checked = 0;
    for (method, answer) in [
        ("auth.test", running.slack("auth.test", &json!({})).await),
        ("chat.update", running.slack("chat.update", &edit).await),
        (
            "chat.getPermalink",
            running.slack_form("chat.getPermalink", &permalink).await,
        ),
        (
            "conversations.open",
            running
                .slack("conversations.open", &json!({"users": jane}))
                .await,
        ),
        (
            "users.lookupByEmail",
            running
                .slack_form("users.lookupByEmail", "email=jane%40example.com")
                .await,
        ),
        (
            "chat.postMessage",
            running
                .slack(
                    "chat.postMessage",
                    &json!({"channel": channel, "text": "x", "thread_ts": ts}),
                )
                .await,
        ),
        (
            "chat.postMessage",
            running
                .slack(
                    "chat.postMessage",
                    &json!({"channel": "#a", "text": "x", "username": "etl", "icon_emoji": ":x:"}),
                )
                .await,
        ),
    ] {
        let operations = api["paths"][format!("/{method}")].as_object().unwrap();
        let mut schema = operations.values().next().unwrap()["responses"]["200"]["schema"].clone();
        schema["definitions"] = api["definitions"].clone();
        schema["$schema"] = json!("http://json-schema.org/draft-04/schema#");
        if let Err(err) = jsonschema::validate(&schema, &answer) {
            panic!("{method}: {err} at {}: {answer:#}", err.instance_path());
        }
        checked += 1;
    }
    assert_eq!(checked, 7);
}

#[tokio::test]
async fn an_event_that_pagerduty_takes_fits_the_strict_schema() {
    let Some(dir) = golden_dir() else { return };
    let schema = read(&dir.join("pagerduty/schema/enqueue.request.strict.schema.json"));
    let schema = jsonschema::validator_for(&schema).unwrap();
    let running = Running::start().await;
    let event = |name: &str, value: Value| {
        let mut event = json!({
            "routing_key": running.secret("pagerduty_data-platform"),
            "event_action": "trigger",
            "payload": {"summary": "x", "source": "y", "severity": "info"},
        });
        let (place, name) = name.rsplit_once('/').unwrap();
        event.pointer_mut(place).unwrap()[name] = value;
        event
    };
    for (name, value) in [
        ("/payload/summary", json!("")),
        ("/payload/summary", json!("x".repeat(1_025))),
        ("/payload/source", json!(7)),
        ("/payload/severity", json!("Critical")),
        ("/payload/component", json!(["x"])),
        ("/payload/group", json!(1)),
        ("/payload/class", json!({})),
        ("/payload/custom_details", json!("x")),
        ("/payload", json!("x")),
        ("/dedup_key", json!("x".repeat(256))),
        ("/event_action", json!("open")),
        ("/links", json!([{"text": "x"}])),
        ("/links", json!({})),
        ("/images", json!([{"src": "http://example.com/a.png"}])),
        ("/images", json!([{}])),
    ] {
        let event = event(name, value);
        assert!(!schema.is_valid(&event), "{event}");
        assert_eq!(running.event(event.clone()).await.status, 400, "{event}");
    }
    for (name, value) in [
        ("/payload/timestamp", json!("2026-11-20T01:02:03Z")),
        ("/payload/custom_details", json!({"a": [1]})),
        (
            "/images",
            json!([{"src": "https://example.com/a.png", "href": "https://example.com"}]),
        ),
        ("/dedup_key", json!("x".repeat(255))),
    ] {
        let event = event(name, value);
        assert!(schema.is_valid(&event), "{event}");
        assert_eq!(running.event(event.clone()).await.status, 202, "{event}");
    }
}
