//! The page: inert, complete, and for this machine only.

use notify_sandbox::Service;
use serde_json::json;

use crate::client::{Answer, Running, http};

/// Would run, load or leave its place wherever it is not escaped.
const HOSTILE: &str = "</pre></p>\"'><script>alert(1)</script><img src=x onerror=alert(1)>";

async fn get(running: &Running, path: &str) -> Answer {
    http(&running.inbox(), "GET", path, &[], "").await
}

#[tokio::test]
async fn the_page_shows_what_arrived_newest_first() {
    let running = Running::start().await;
    let empty = get(&running, "/").await;
    assert!(empty.body.contains("Nothing arrived yet."));
    let post = json!({"channel": "#data-alerts", "text": "first message", "client_msg_id": "1"});
    running.slack("chat.postMessage", &post).await;
    running.slack("chat.postMessage", &post).await;
    running
        .authenticated()
        .await
        .send("a@example.com", "Subject: second\r\n\r\nx")
        .await;

    let page = get(&running, "/").await;
    assert_eq!(page.status, 200);
    let first = page.body.find("first message").unwrap();
    let second = page.body.find("second").unwrap();
    assert!(second < first);
    assert!(page.body.contains("#data-alerts") && page.body.contains("repeat ×1"));

    let messages = get(&running, "/messages.json").await.json();
    assert_eq!(messages[0]["service"], "slack");
    assert_eq!(messages[0]["repeats"], 1);
    assert_eq!(messages[1]["headline"], "second");
}

#[tokio::test]
async fn the_version_tells_the_page_when_to_reload() {
    let running = Running::start().await;
    let before = get(&running, "/version.json").await.json();
    assert_eq!(get(&running, "/version.json").await.json(), before);
    running.webhook(r#"{"text": "x"}"#).await;
    assert_ne!(get(&running, "/version.json").await.json(), before);
}

#[tokio::test]
async fn hostile_text_in_messages_is_inert() {
    let running = Running::start().await;
    let text = |kind: &str| json!({"type": kind, "text": HOSTILE});
    let styled = json!({"type": "text", "text": HOSTILE, "style": {"bold": true}});
    let post = json!({
        "channel": "#x",
        "text": HOSTILE,
        "username": HOSTILE,
        "icon_emoji": HOSTILE,
        "blocks": [
            {"type": "header", "text": text("plain_text")},
            {"type": "section", "text": text("mrkdwn"), "fields": [text("mrkdwn")]},
            {"type": "context", "elements": [text("mrkdwn"), {"type": "image", "alt_text": HOSTILE}]},
            {"type": "markdown", "text": HOSTILE},
            {"type": "image", "image_url": HOSTILE, "alt_text": HOSTILE, "title": text("plain_text")},
            {"type": "table", "rows": [[{"type": "raw_text", "text": HOSTILE}]]},
            {"type": "rich_text", "elements": [
                {"type": "rich_text_preformatted", "elements": [styled]},
                {"type": "rich_text_section", "elements": [
                    {"type": "link", "url": "javascript:alert(1)", "text": HOSTILE},
                    {"type": "link", "url": format!("https://x/{HOSTILE}")},
                    {"type": "user", "user_id": HOSTILE},
                    {"type": "emoji", "name": HOSTILE},
                ]},
            ]},
            {"type": "actions", "elements": [
                {"type": "button", "text": {"type": "plain_text", "text": "x"}, "url": "javascript:alert(1)"},
            ]},
        ],
        "attachments": [{
            "color": HOSTILE, "pretext": HOSTILE, "title": HOSTILE, "title_link": HOSTILE,
            "text": HOSTILE, "footer": HOSTILE, "fields": [{"title": HOSTILE, "value": HOSTILE}],
            "author_name": HOSTILE, "fallback": HOSTILE,
            "actions": [{"type": "button", "text": HOSTILE, "url": HOSTILE, "style": HOSTILE}],
        }],
    });
    assert_eq!(running.slack("chat.postMessage", &post).await["ok"], true);
    running.webhook(&json!({"text": HOSTILE}).to_string()).await;
    running
        .event(json!({
            "event_action": "trigger",
            "dedup_key": HOSTILE,
            "links": [{"href": "javascript:alert(1)", "text": HOSTILE}],
            "images": [{"src": format!("https://x/{HOSTILE}"), "href": HOSTILE, "alt": HOSTILE}],
            "client": HOSTILE, "client_url": "javascript:alert(1)",
            "payload": {
                "summary": HOSTILE, "source": HOSTILE, "severity": "info",
                "custom_details": {HOSTILE: HOSTILE, "list": [HOSTILE]},
            },
        }))
        .await;
    let mail = format!(
        "Subject: {HOSTILE}\r\nFrom: {HOSTILE} <a@example.com>\r\n\
         Content-Type: text/html\r\n\r\n<b>mail</b>{HOSTILE}"
    );
    running
        .authenticated()
        .await
        .send("a@example.com", &mail)
        .await;
    assert_eq!(running.sandbox.messages().len(), 4);

    let page = get(&running, "/").await.body;
    // The page's own markup has one script and no event handler; all else must be escaped.
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script").count(), 1);
    assert!(!page.contains("<img") && !page.contains("href=\"javascript:"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for part in ["<summary>headers</summary>", "<summary>raw mail</summary>"] {
        assert!(page.contains(part), "{part}");
    }
    // Inside the frame the mail is markup, but in the page it is one attribute.
    assert!(page.contains("<iframe sandbox title=\"HTML part\" srcdoc=\"&lt;b&gt;mail&lt;/b&gt;"));
}

#[tokio::test]
async fn every_answer_of_the_page_carries_the_policy() {
    let running = Running::start().await;
    for path in [
        "/",
        "/inbox.js",
        "/messages.json",
        "/version.json",
        "/nonsense",
    ] {
        let answer = get(&running, path).await;
        let policy = &answer.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none';"), "{path}");
        assert!(policy.contains("script-src 'self';"), "{path}");
        assert_eq!(
            answer.headers["x-content-type-options"], "nosniff",
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_person_can_let_a_service_fail_and_recover() {
    let running = Running::start().await;
    let inbox = running.inbox();
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    let answer = http(&inbox, "POST", "/fail", &form, "service=slack&status=500").await;
    assert_eq!(
        (answer.status, answer.headers["location"].as_str()),
        (303, "/")
    );
    assert_eq!(running.webhook("{}").await.status, 500);
    assert!(get(&running, "/").await.body.contains("Stop failing"));
    http(&inbox, "POST", "/fail", &form, "service=slack&status=").await;
    assert_eq!(running.webhook("{}").await.status, 400);

    let json_type = ["Content-Type: application/json"];
    let body = json!({"service": "slack", "status": 503, "times": 2}).to_string();
    let answer = http(&inbox, "POST", "/fail", &json_type, &body).await;
    assert_eq!(
        answer.json(),
        json!({"service": "slack", "failure": {"status": 503, "times": 2}})
    );
    let statuses = [
        running.webhook("{}").await,
        running.webhook("{}").await,
        running.webhook("{}").await,
    ]
    .map(|answer| answer.status);
    assert_eq!(statuses, [503, 503, 400]);
    assert!("slack".parse::<Service>().is_ok());
}

#[tokio::test]
async fn faults_that_cannot_be_are_refused() {
    let running = Running::start().await;
    let form = "Content-Type: application/x-www-form-urlencoded";
    let json_type = "Content-Type: application/json";
    for (content_type, body) in [
        (form, "service=teams&status=500"),
        (form, "service=slack&status=200"),
        (form, "service=slack&status=x"),
        (form, "service=slack&status=500&times=-1"),
        (form, "service=email&status=499"),
        (form, ""),
        (json_type, "[]"),
        (json_type, "{"),
        ("Content-Type: text/plain", "service=slack&status=500"),
    ] {
        let answer = http(&running.inbox(), "POST", "/fail", &[content_type], body).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    assert_eq!(running.webhook("{}").await.body, "no_text");
}

#[tokio::test]
async fn requests_from_other_pages_are_refused() {
    let running = Running::start().await;
    let inbox = running.inbox();
    let port = inbox.rsplit(':').next().unwrap();
    let body = "service=slack&status=500";
    let form = "Content-Type: application/x-www-form-urlencoded";
    for header in [
        "Origin: https://evil.example".to_owned(),
        "Origin: null".to_owned(),
        "Origin: http://127.0.0.1:1".to_owned(),
        format!("Host: evil.example:{port}"),
    ] {
        let answer = http(&inbox, "POST", "/fail", &[form, &header], body).await;
        assert_eq!(answer.status, 403, "{header}");
    }
    let rebound = format!("Host: evil.example:{port}");
    assert_eq!(
        http(&inbox, "GET", "/messages.json", &[&rebound], "")
            .await
            .status,
        403
    );
    assert_eq!(running.webhook("{}").await.status, 400);

    let own = format!("Origin: http://{inbox}");
    assert_eq!(
        http(&inbox, "POST", "/fail", &[form, &own], body)
            .await
            .status,
        303
    );
    let by_name = format!("Host: localhost:{port}");
    assert_eq!(http(&inbox, "GET", "/", &[&by_name], "").await.status, 200);
}

#[tokio::test]
async fn incidents_and_change_events_are_told_apart() {
    let running = Running::start().await;
    let payload = json!({"summary": "etl failed", "source": "etl", "severity": "critical"});
    let trigger = json!({
        "event_action": "trigger", "dedup_key": "k", "payload": payload,
        "client": "notify", "client_url": "https://example.com/run",
        "images": [{"src": "https://example.com/plot.png", "alt": "the plot"}],
    });
    running.event(trigger).await;
    running
        .event(json!({"event_action": "resolve", "dedup_key": "k"}))
        .await;
    let change = json!({
        "routing_key": running.secret("pagerduty_data-platform"),
        "payload": {"summary": "etl succeeded"},
    });
    http(
        &running.pagerduty,
        "POST",
        "/v2/change/enqueue",
        &[],
        &change.to_string(),
    )
    .await;
    let page = get(&running, "/").await.body;
    for part in [
        "<span class=\"state resolved\">resolved</span>",
        "<span class=\"severity critical\">critical</span>",
        "href=\"https://example.com/plot.png\">the plot</a>",
        "href=\"https://example.com/run\">notify</a>",
        "<article class=\"change\" id=\"message-2\">",
        "<span class=\"state\">change event</span>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}
