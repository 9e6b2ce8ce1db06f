//! One attempt, whatever Slack answers.

use notify_core::{Cause, Outcome, Reason, Scope, Secrets};
use notify_testkit::fake::Refusing;

use super::*;

#[tokio::test]
async fn a_channel_gets_one_post_with_a_receipt() {
    let (outcome, requests) = by_token("#data-alerts", vec![answer(200, POSTED)]).await;
    let Outcome::Delivered(receipt) = outcome else {
        panic!("{outcome:?}");
    };
    let expected = "1503435956.000247 (channel C024BE91L, permalink \
                    https://subarachnoid.slack.com/archives/C024BE91L/p1503435956000247)";
    assert_eq!(receipt.to_string(), expected);
    let [request] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    assert_eq!(request.line(), "POST /api/chat.postMessage HTTP/1.1");
    let token = format!("Bearer {TOKEN}");
    assert_eq!(request.header("authorization"), Some(token.as_str()));
    let body = request.json();
    assert_eq!(body["channel"], "#data-alerts");
    assert_eq!(body["client_msg_id"], Uuid::from_u128(7).to_string());
    assert_eq!(
        body["metadata"]["event_payload"]["delivery"],
        "ntf_00000000000000000000000000000007"
    );
    let text = "nightly-etl failed &lt;!channel&gt;\nIt *failed* &amp; `stopped`.\n- load\n- clean\n\
        Attempt: 2\n    row 4: &lt;@U12345678&gt; [31m\nOpen run: https://example.com/run/17\n\
        analytics/production";
    assert_eq!(body["text"], text);
}

#[tokio::test]
async fn a_reply_lost_before_the_post_leaves_no_doubt() {
    for step in [Step::Close, answer(200, "<html>")] {
        let (outcome, _) = by_token("U0123456789", vec![step]).await;
        assert!(
            matches!(
                &outcome,
                Outcome::NotDelivered {
                    cause: Cause::Protocol,
                    ..
                }
            ),
            "{outcome:?}"
        );
    }
    let unknown = r#"{"ok":false,"error":"users_not_found"}"#;
    let (outcome, _) = by_token("jane@example.com", vec![answer(200, unknown)]).await;
    let expected = Outcome::rejected(Reason::Destination, "users.lookupByEmail: users_not_found");
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn a_refusal_is_classed_by_its_code_and_repeats_no_token() {
    let refusal = format!(r#"{{"ok":false,"error":"invalid_auth","errors":["bad {TOKEN}"]}}"#);
    let (outcome, _) = by_token("#data-alerts", vec![answer(200, &refusal)]).await;
    let expected = Outcome::rejected(Reason::Auth, "chat.postMessage: invalid_auth; bad [secret]");
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn a_throttled_call_waits_as_long_as_slack_says() {
    let table = [
        (Some("17"), 17),
        (Some("Fri, 20 Nov 2026 23:58:46 GMT"), 60),
        (None, 30),
    ];
    for (wait, expected) in table {
        let step = || {
            let reply = Reply::new(429);
            Step::Reply(match wait {
                Some(wait) => reply.header("retry-after", wait),
                None => reply,
            })
        };
        for (outcome, _) in [
            by_token("#data-alerts", vec![step()]).await,
            by_webhook(vec![step()]).await,
        ] {
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
            assert_eq!(retry_after, Some(Duration::from_secs(expected)));
        }
    }
}

#[tokio::test]
async fn trouble_on_either_side_of_the_request_is_told_apart() {
    let redirect = || Reply::new(302).header("location", "http://127.0.0.1:1/");
    let redirect = || Step::Reply(redirect());
    let html = || answer(502, "<html><title>502 Bad Gateway</title></html>");
    let table = [
        ([html(), html()], "not_delivered unavailable"),
        ([Step::Close, Step::Close], "unknown protocol"),
        ([Step::Silence, Step::Silence], "unknown timeout"),
        ([redirect(), redirect()], "rejected config"),
    ];
    for ([to_api, to_webhook], expected) in table {
        let (outcome, _) = by_token("#data-alerts", vec![to_api]).await;
        assert_eq!(class(&outcome), expected, "{outcome:?}");
        let (outcome, _) = by_webhook(vec![to_webhook]).await;
        assert_eq!(class(&outcome), expected, "{outcome:?}");
    }
    let nobody = Refusing::start();
    let refused = |path: &str| format!("http://{}{path}", nobody.address());
    let url = refused("/services/hunter2hunter2");
    let refused = deliver(&*token_account(&refused("/api/")), TOKEN, "#a").await;
    assert_eq!(class(&refused), "not_delivered connect");
    let refused = deliver(&*webhook_account(), &url, "#a").await;
    assert_eq!(class(&refused), "not_delivered connect");
}

#[tokio::test]
async fn a_webhook_posts_without_what_only_the_web_api_takes() {
    let (outcome, requests) = by_webhook(vec![answer(200, "ok")]).await;
    let Outcome::Delivered(receipt) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(receipt.id, "ntf_00000000000000000000000000000007");
    let body = requests[0].json();
    let keys: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "attachments",
            "blocks",
            "mrkdwn",
            "text",
            "unfurl_links",
            "unfurl_media"
        ]
    );
}

#[tokio::test]
async fn a_webhooks_error_page_tells_nothing_of_its_address() {
    let page = "no route to /services/T00000000/B00000000/hunter2hunter2";
    let (outcome, _) = by_webhook(vec![answer(404, page)]).await;
    assert_eq!(
        outcome,
        Outcome::rejected(Reason::Destination, "HTTP 404: no route to [secret]")
    );
}

#[test]
fn a_secret_of_the_wrong_shape_is_refused_without_an_echo() {
    let table = [
        (token_account("https://slack.com/api/"), "hunter2"),
        (webhook_account(), "hunter2"),
        (webhook_account(), "http://hooks.slack.com/hunter2"),
        (webhook_account(), "https://u:hunter2@hooks.slack.com/"),
    ];
    for (account, secret) in table {
        let secrets = Secrets::resolve(account.secrets(), &One(secret.to_owned()));
        let refused = account.connect(&secrets).unwrap_err();
        assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
        assert!(account.connect(&Secrets::default()).is_err());
    }
}

#[tokio::test]
async fn what_is_refused_for_its_form_goes_once_as_text() {
    for code in [
        "invalid_blocks",
        "msg_blocks_too_long",
        "invalid_attachments",
    ] {
        let script = vec![refusal(code), answer(200, POSTED)];
        let (outcome, requests) = by_token("#data-alerts", script).await;
        assert_eq!(receipt(outcome).facts["degraded"], code);
        let [first, second] = [requests[0].json(), requests[1].json()];
        assert!(first.get("blocks").is_some() && first.get("attachments").is_some());
        assert!(second.get("blocks").is_none() && second.get("attachments").is_none());
        for key in ["text", "channel", "client_msg_id", "mrkdwn"] {
            assert_eq!(first[key], second[key], "{key}");
        }
        let (outcome, requests) = by_token("#a", vec![refusal(code), refusal(code)]).await;
        assert_eq!(
            (class(&outcome), requests.len()),
            ("rejected payload".to_owned(), 2)
        );
    }
    let script = vec![answer(400, "invalid_blocks"), answer(200, "ok")];
    let (outcome, requests) = by_webhook(script).await;
    assert_eq!(receipt(outcome).facts["degraded"], "invalid_blocks");
    assert!(requests[1].json().get("blocks").is_none());
    let (outcome, requests) = by_webhook(vec![answer(400, "no_text")]).await;
    assert_eq!(
        (class(&outcome), requests.len()),
        ("rejected payload".to_owned(), 1)
    );
}

#[tokio::test]
async fn a_repeat_that_slack_recognises_is_delivered() {
    let known = json!({"ok": true, "is_duplicate": true}).to_string();
    let (outcome, _) = by_token("#data-alerts", vec![answer(200, &known)]).await;
    assert_eq!(receipt(outcome).id, id().to_string());
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_never_ends_leaves_a_doubt() {
    let posted = || Reply::new(200).body(POSTED);
    let broken = Reply::new(200).body(format!("{POSTED} ")).to_bytes();
    let table = [
        (
            Step::Bytes(broken[..broken.len() - 1].to_vec()),
            "unknown protocol",
        ),
        (Step::Stall(posted()), "unknown timeout"),
        (Step::Drip(posted()), "unknown timeout"),
        (Step::Endless(posted()), "unknown too_large"),
        (Step::Reset, "unknown protocol"),
        (answer(200, "{\"ok\":false}"), "rejected payload"),
        (answer(200, "{\"ok\":tru"), "unknown protocol"),
    ];
    for (step, expected) in table {
        let shown = format!("{step:?}");
        let (outcome, _) = by_token("#data-alerts", vec![step]).await;
        assert_eq!(
            class(&outcome),
            expected,
            "{}",
            &shown[..shown.len().min(80)]
        );
    }
}

#[tokio::test]
async fn a_workspace_that_does_not_say_where_it_is_costs_nothing_but_the_link() {
    for step in [
        refusal("invalid_auth"),
        answer(500, ""),
        answer(200, "<html>"),
        Step::Close,
    ] {
        let fake = HttpFake::answering(move |request, _| match request.path() {
            "/api/auth.test" => step.clone(),
            _ => answer(200, POSTED),
        });
        let account = token_account(&fake.url("/api/"));
        let transport = connect(&*account, TOKEN);
        for _ in 0..2 {
            let body = payload(&*account, &notification(&json!("#a")), ALONE, &message());
            let outcome = attempt(&*transport, prepared("#a", body), now()).await;
            assert_eq!(
                receipt(outcome).to_string(),
                "1503435956.000247 (channel C024BE91L)"
            );
        }
        assert_eq!(fake.requests().len(), 3, "it is asked once");
    }
}

#[tokio::test]
async fn a_webhook_that_had_a_token_posts_nothing_for_people() {
    let server = HttpFake::start([answer(200, "ok")]);
    let account = webhook_account();
    let body = payload(&*account, &notification(&json!("#a")), ALONE, &message());
    let transport = connect(&*account, &server.url("/services/hunter2hunter2"));
    for to in ["jane@example.com", "U0123456789", "C0123456789"] {
        let outcome = attempt(&*transport, prepared(to, body.clone()), now()).await;
        let Outcome::Rejected { reason, scope, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!((reason, scope), (Reason::Config, Scope::Lane));
    }
    assert!(server.requests().is_empty());
}

#[test]
fn files_and_secrets_of_the_connection_are_named_and_must_be_there() {
    let account = account(&json!({
        "token": {"env": "T"},
        "proxy": {"env": "PROXY"},
        "tls": {"cert_file": "/nowhere/client.pem", "key": {"env": "KEY"}},
    }));
    let named: Vec<String> = account.secrets().iter().map(ToString::to_string).collect();
    assert_eq!(named.len(), 3, "{named:?}");
    let secrets = Secrets::resolve(account.secrets(), &One(TOKEN.to_owned()));
    let refused = account.connect(&secrets).unwrap_err();
    assert!(refused.message.contains("/nowhere/client.pem"), "{refused}");
}

/// Every field that Slack was ever seen to answer with, each value masked.
#[tokio::test]
#[expect(
    clippy::print_stderr,
    reason = "a test that is skipped says so where people look"
)]
async fn answers_of_the_shape_that_slack_was_seen_to_give_are_read() {
    let Some(golden) = std::env::var_os("NOTIFY_GOLDEN_DIR") else {
        eprintln!("skipped: NOTIFY_GOLDEN_DIR is not set");
        return;
    };
    let recorded = |method: &str| {
        let path = std::path::Path::new(&golden).join(format!("slack/samples/{method}.json"));
        let text = std::fs::read_to_string(path).unwrap();
        let mut sample: Value = serde_json::from_str(&text).unwrap();
        // What says whether it is a success is masked too, and so is every id.
        sample["ok"] = json!(true);
        for (pointer, name) in [("/user/id", "U024BE7LH"), ("/channel/id", "D024BE7LH")] {
            if let Some(id) = sample.pointer_mut(pointer) {
                *id = json!(name);
            }
        }
        answer(200, &sample.to_string())
    };
    let script = vec![
        recorded("users.lookupByEmail"),
        recorded("conversations.open"),
        recorded("chat.postMessage"),
    ];
    let (outcome, requests) = by_token("jane@example.com", script).await;
    assert_eq!(
        (outcome.name(), requests.len()),
        ("delivered", 3),
        "{outcome:?}"
    );
}
