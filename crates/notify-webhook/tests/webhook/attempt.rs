//! One attempt: what goes out, and what comes of the answers.

use std::time::Duration;

use notify_core::{Cause, Code, DeliveryContext, Outcome, Reason, Recipient, Scope, Secrets};
use serde_json::{Value, json};

use crate::server::{Server, Step, refused_url};
use crate::{
    Fixed, OLD_KEY, Request, SIGNING_KEY, Vault, account, class, deliver, id, notification,
    prepared, vault,
};

/// Sends to one endpoint of a server that answers once.
async fn against(step: Step, mut endpoint: Value, vault: &Vault) -> (Outcome, Request) {
    let server = Server::start(vec![step]);
    endpoint["url"] = server.url("/hook").into();
    let account = account(&json!({"endpoints": {"ci": endpoint}, "timeout": "1s"}));
    let outcome = deliver(&*account, "ci", vault, &Fixed).await;
    (outcome, Request::of(&server.requests().await[0]))
}

async fn taken(endpoint: Value, vault: &Vault) -> Request {
    let (outcome, request) = against(Step::answer(204, "", ""), endpoint, vault).await;
    assert_eq!(class(&outcome), "delivered");
    request
}

#[tokio::test]
async fn an_event_is_posted_whole_with_its_identity_and_the_instant_of_the_attempt() {
    let request = taken(json!({}), &Vault::default()).await;
    assert_eq!(request.line, "POST /hook HTTP/1.1");
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    assert_eq!(header("content-type"), Some("application/cloudevents+json"));
    assert_eq!(
        header("webhook-id"),
        Some("ntf_00000000000000000000000000000007")
    );
    assert_eq!(header("webhook-timestamp"), Some("1795219066"));
    assert_eq!(header("webhook-signature"), None);
    assert_eq!(header("authorization"), None);
    let event = request.json();
    assert_eq!(event["id"], "ntf_00000000000000000000000000000007");
    assert_eq!(event["type"], "org.workflow-notify.workflow.failed");
    assert_eq!(event["source"], "/analytics/production/nightly-etl");
}

#[tokio::test]
async fn in_the_binary_mode_the_attributes_are_headers_and_the_data_is_the_body() {
    let whole = taken(json!({"mode": "structured"}), &Vault::default())
        .await
        .json();
    let parts = taken(json!({"mode": "binary"}), &Vault::default()).await;
    assert_eq!(parts.headers["content-type"], "application/json");
    assert_eq!(parts.json(), whole["data"]);
    let mut names = Vec::new();
    for (name, value) in &parts.headers {
        if let Some(name) = name.strip_prefix("ce-") {
            assert_eq!(whole[name], **value);
            names.push(name);
        }
    }
    assert_eq!(
        names,
        ["id", "source", "specversion", "subject", "time", "type"]
    );
}

#[tokio::test]
async fn a_body_of_ones_own_goes_as_it_is_with_method_and_headers() {
    let endpoint = json!({
        "method": "PUT",
        "headers": {"X-Team": "data platform", "x-api-key": {"env": "KEY"}, "user-agent": "ours"},
        "body": {"content": "{{ headline }}", "run": "{{ execution }}"},
        "basic": {"username": "ci", "password": {"env": "PASSWORD"}},
    });
    let secrets = vault(&[("KEY", "hunter2-key"), ("PASSWORD", "hunter2-password")]);
    let request = taken(endpoint, &secrets).await;
    assert_eq!(request.line, "PUT /hook HTTP/1.1");
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["x-team"], "data platform");
    assert_eq!(request.headers["x-api-key"], "hunter2-key");
    assert_eq!(request.headers["user-agent"], "ours");
    assert_eq!(
        request.headers["authorization"],
        "Basic Y2k6aHVudGVyMi1wYXNzd29yZA=="
    );
    let expected = json!({
        "content": "nightly-etl failed",
        "run": {"project": "analytics", "domain": "production", "name": "run-17", "attempt": 1},
    });
    assert_eq!(request.json(), expected);
}

#[tokio::test]
async fn a_secret_address_and_a_bearer_token_are_read_from_where_they_are() {
    let server = Server::start(vec![Step::answer(200, "", "")]);
    let section =
        json!({"endpoints": {"ci": {"url": {"env": "HOOK"}, "bearer": {"env": "TOKEN"}}}});
    let hook = format!("{}\n", server.url("/hunter2hunter2?sig=hunter2"));
    let secrets = vault(&[("HOOK", &hook), ("TOKEN", "hunter2")]);
    let outcome = deliver(&*account(&section), "ci", &secrets, &Fixed).await;
    assert_eq!(class(&outcome), "delivered");
    let request = Request::of(&server.requests().await[0]);
    assert_eq!(request.line, "POST /hunter2hunter2?sig=hunter2 HTTP/1.1");
    assert_eq!(request.headers["authorization"], "Bearer hunter2");
}

#[tokio::test]
async fn while_one_key_replaces_another_both_sign() {
    let signed = async |names: &[&str]| {
        let keys: Vec<Value> = names.iter().map(|name| json!({"env": name})).collect();
        let secrets = vault(&[("NEW", SIGNING_KEY), ("OLD", OLD_KEY)]);
        let request = taken(json!({"signing_keys": keys}), &secrets).await;
        request.headers["webhook-signature"].clone()
    };
    let (new, old) = (signed(&["NEW"]).await, signed(&["OLD"]).await);
    assert!(new.starts_with("v1,") && new != old);
    assert_eq!(signed(&["NEW", "OLD"]).await, format!("{new} {old}"));
}

#[tokio::test]
async fn an_answer_never_repeats_what_the_request_held_in_confidence() {
    let endpoint = json!({
        "headers": {"x-api-key": {"env": "KEY"}},
        "basic": {"username": "ci", "password": {"env": "PASSWORD"}},
    });
    let secrets = vault(&[("KEY", "hunter2-key"), ("PASSWORD", "hunter2-password")]);
    let echo = "key hunter2-key, hunter2-password, Basic Y2k6aHVudGVyMi1wYXNzd29yZA==";
    for status in [200, 400, 500] {
        let (outcome, _) =
            against(Step::answer(status, "", echo), endpoint.clone(), &secrets).await;
        let shown = format!("{outcome:?}");
        assert!(
            shown.contains("key [secret], [secret], [secret]"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn what_an_endpoint_answers_and_what_happens_to_the_request_are_told_apart() {
    let redirect = "location: http://127.0.0.1:1/elsewhere\r\n";
    let cut = "HTTP/1.1 202 Accepted\r\ncontent-length: 50\r\n\r\nqueued";
    let table = [
        (Step::answer(202, "", "queued"), "delivered"),
        (Step::answer(204, "", ""), "delivered"),
        (Step::answer(200, "", &"x".repeat(70_000)), "delivered"),
        (Step::Answer(cut.to_owned()), "unknown protocol"),
        (Step::answer(302, redirect, ""), "rejected config"),
        (
            Step::answer(400, "", "{\"error\":\"no\"}"),
            "rejected payload",
        ),
        (Step::answer(401, "", ""), "rejected auth"),
        (Step::answer(404, "", ""), "rejected config"),
        (Step::answer(410, "", "gone"), "rejected config"),
        (
            Step::answer(502, "", "<html><title>502</title></html>"),
            "not_delivered unavailable",
        ),
        (Step::Close, "unknown protocol"),
        (Step::Silence, "unknown timeout"),
    ];
    for (step, expected) in table {
        let (outcome, _) = against(step, json!({}), &Vault::default()).await;
        assert_eq!(class(&outcome), expected);
        if let Outcome::Rejected { scope, .. } = outcome {
            assert_eq!(scope, Scope::Lane);
        }
    }
    let section = json!({"endpoints": {"ci": {"url": refused_url("/hook")}}});
    let outcome = deliver(&*account(&section), "ci", &Vault::default(), &Fixed).await;
    assert_eq!(class(&outcome), "not_delivered connect");
}

#[tokio::test]
async fn a_throttled_endpoint_waits_as_long_as_it_says() {
    let table = [
        ("retry-after: 17\r\n", Some(17)),
        ("retry-after: Fri, 20 Nov 2026 23:58:16 GMT\r\n", Some(30)),
        ("", None),
    ];
    for (header, expected) in table {
        let step = Step::answer(429, header, "");
        let (outcome, _) = against(step, json!({}), &Vault::default()).await;
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
        assert_eq!(retry_after, expected.map(Duration::from_secs));
    }
}

#[tokio::test]
async fn a_secret_that_is_missing_or_malformed_holds_its_own_endpoint_and_no_other() {
    let script = (0..4).map(|_| Step::answer(200, "", "")).collect();
    let server = Server::start(script);
    let url = server.url("/");
    let broken = [
        (json!({"url": {"env": "NONE"}}), "there is none"),
        (json!({"url": {"env": "WRONG"}}), "not a URL"),
        (
            json!({"url": url, "signing_keys": [{"env": "WRONG"}]}),
            "not a signing key",
        ),
        (
            json!({"url": url, "bearer": {"env": "BROKEN"}}),
            "not the value of a header",
        ),
    ];
    let secrets = vault(&[("WRONG", "hunter2"), ("BROKEN", "hunter2\r\nx-admin: yes")]);
    for (endpoint, expected) in broken {
        let section = json!({"endpoints": {"broken": endpoint, "well": {"url": url}}});
        let account = account(&section);
        let outcome = deliver(&*account, "broken", &secrets, &Fixed).await;
        let Outcome::Rejected {
            reason,
            scope,
            detail,
        } = outcome
        else {
            panic!("{outcome:?}");
        };
        assert_eq!((reason, scope), (Reason::Config, Scope::Lane));
        assert!(detail.contains(expected), "{detail}");
        let outcome = deliver(&*account, "well", &secrets, &Fixed).await;
        assert_eq!(class(&outcome), "delivered");
    }
    assert_eq!(server.requests().await.len(), 4);
}

#[test]
fn only_the_accounts_own_endpoints_are_reached_unless_it_allows_addresses() {
    let named = json!({"url": {"env": "HOOK"}});
    let target = |section: &Value, to: &str| {
        let notification = notification(to);
        let recipient: &Recipient = &notification.recipients()[0];
        let target = account(section).target(&notification, recipient);
        target.map_err(Box::new)
    };
    let closed = json!({"endpoints": {"ci": named, "chat": named}});
    assert_eq!(target(&closed, "ci").unwrap().lane, "ci");
    let url = "https://hooks.example.com/a";
    let table = [
        ("c1", "did you mean `ci`?"),
        ("pager", "the account's endpoints are `chat`, `ci`"),
        (
            url,
            "write the name of an endpoint, or set `allow_url_recipients = true` in the account",
        ),
    ];
    for (to, help) in table {
        let problem = target(&closed, to).unwrap_err();
        assert_eq!(problem.code, Code::UNREACHABLE_RECIPIENT, "{to}");
        assert_eq!(problem.help.as_deref(), Some(help), "{to}");
    }
    let open = json!({"allow_url_recipients": true});
    assert_eq!(target(&open, url).unwrap().lane, url);
    assert!(target(&open, "ci").is_err());
    let inner = [
        "https://localhost/",
        "https://127.0.0.1/",
        "http://127.0.0.1:8080/",
        "https://10.0.0.7/hook",
        "https://169.254.169.254/latest/meta-data/",
        "https://metadata.google.internal/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fd00:ec2::254]/",
    ];
    let private = json!({"allow_url_recipients": true, "allow_private": true});
    for to in inner {
        let problem = target(&open, to).unwrap_err();
        assert_eq!(problem.code, Code::UNREACHABLE_RECIPIENT, "{to}");
        assert!(problem.message.contains("not of the internet"), "{problem}");
        assert!(target(&private, to).is_ok(), "{to}");
    }
}

#[tokio::test]
async fn an_address_within_this_machine_is_reached_only_where_that_is_allowed() {
    let server = Server::start(vec![Step::answer(200, "", "")]);
    let url = server.url("/hook");
    // What was planned when it was allowed is held when it no longer is.
    for section in [
        json!({"allow_url_recipients": true}),
        json!({"endpoints": {"ci": {"url": "https://ci.example.com/"}}}),
    ] {
        let outcome = deliver(&*account(&section), &url, &Vault::default(), &Fixed).await;
        assert_eq!(class(&outcome), "rejected config");
    }
    let tls = url.replace("http://", "https://");
    let section = json!({"allow_url_recipients": true});
    let outcome = deliver(&*account(&section), &tls, &Vault::default(), &Fixed).await;
    assert_eq!(class(&outcome), "rejected destination");
    let section = json!({"allow_url_recipients": true, "allow_private": true});
    let outcome = deliver(&*account(&section), &url, &Vault::default(), &Fixed).await;
    assert_eq!(class(&outcome), "delivered");
    let request = Request::of(&server.requests().await[0]);
    assert_eq!(request.line, "POST /hook HTTP/1.1");
    assert_eq!(
        request.headers["content-type"],
        "application/cloudevents+json"
    );
    assert_eq!(request.headers["webhook-id"], id(7).to_string());
}

#[tokio::test]
async fn an_endpoint_that_left_the_section_holds_its_deliveries_and_no_others() {
    let account = account(&json!({"endpoints": {"ci": {"url": "https://ci.example.com/"}}}));
    let outcome = deliver(&*account, "audit", &Vault::default(), &Fixed).await;
    let expected = Outcome::rejected(Reason::Config, "the account has no endpoint `audit`");
    assert_eq!(outcome, expected.in_lane());
}

#[tokio::test]
async fn a_repeat_is_the_same_request_but_for_the_instant() {
    let server = Server::start(vec![Step::answer(503, "", ""), Step::answer(200, "", "")]);
    let section = json!({"endpoints": {"ci": {"url": server.url("/hook")}}});
    let account = account(&section);
    let transport = account.connect(&Secrets::default()).unwrap();
    for attempt in [1, 2] {
        let cx = DeliveryContext::new(attempt, &Fixed);
        transport.deliver(&cx, &[prepared(&*account, "ci")]).await;
    }
    let requests = server.requests().await;
    let lines = |request: &str| -> Vec<String> {
        let port = |line: &&str| !line.starts_with("host:");
        request.lines().filter(port).map(str::to_owned).collect()
    };
    assert_eq!(lines(&requests[0]), lines(&requests[1]));
}
