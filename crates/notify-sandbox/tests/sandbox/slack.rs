//! What Slack takes, refuses and shows as one.

use notify_sandbox::{Failure, Service};
use serde_json::{Value, json};

use crate::client::{Running, http};

#[tokio::test]
async fn a_posted_message_is_answered_and_shown() {
    let running = Running::start().await;
    let body = json!({
        "channel": "#data-alerts",
        "text": "nightly-etl failed\nmore",
        "username": "etl-bot",
        "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "It failed"}}],
    });
    let answer = running.slack("chat.postMessage", &body).await;
    assert_eq!(answer["ok"], true);
    assert!(answer["channel"].as_str().unwrap().starts_with('C'));
    assert_eq!(answer["message"]["ts"], answer["ts"]);
    assert_eq!(answer["message"]["blocks"], body["blocks"]);
    let (seconds, micros) = answer["ts"].as_str().unwrap().split_once('.').unwrap();
    assert!(seconds.len() == 10 && micros.len() == 6, "{answer}");

    let [message] = running.sandbox.messages().try_into().unwrap();
    assert_eq!((message.id, message.service), (1, Service::Slack));
    assert_eq!(message.to, "#data-alerts");
    assert_eq!(message.headline, "It failed");
    assert_eq!(message.text, "nightly-etl failed\nmore");
    assert!(
        message
            .raw
            .starts_with("POST /api/chat.postMessage HTTP/1.1\n")
    );
    assert!(message.raw.contains("authorization: Bearer [secret]"));
    assert!(!message.raw.contains(&running.secret("slack_token")));
}

#[tokio::test]
async fn a_channel_has_one_id_and_every_message_its_own_ts() {
    let running = Running::start().await;
    let post = json!({"channel": "#a", "text": "x"});
    let first = running.slack("chat.postMessage", &post).await;
    let second = running.slack("chat.postMessage", &post).await;
    assert_eq!(first["channel"], second["channel"]);
    assert!(first["ts"].as_str().unwrap() < second["ts"].as_str().unwrap());
    let by_id = json!({"channel": first["channel"], "text": "x"});
    running.slack("chat.postMessage", &by_id).await;
    assert_eq!(running.sandbox.messages()[2].to, "#a");
}

#[tokio::test]
async fn a_wrong_or_missing_token_is_refused() {
    let running = Running::start().await;
    let json_type = "Content-Type: application/json";
    for (headers, error) in [
        (&[json_type][..], "not_authed"),
        (&[json_type, "Authorization: Bearer "], "not_authed"),
        (&[json_type, "Authorization: Basic eDp5"], "not_authed"),
        (
            &[json_type, "Authorization: Bearer xoxb-wrong"],
            "invalid_auth",
        ),
    ] {
        for method in ["chat.postMessage", "auth.test", "conversations.open"] {
            let path = format!("/api/{method}");
            let answer = http(&running.slack, "POST", &path, headers, "{}").await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.json(), json!({"ok": false, "error": error}));
        }
    }
    assert!(running.sandbox.messages().is_empty());
}

#[tokio::test]
async fn what_the_vendor_refuses_is_refused_with_its_code() {
    let running = Running::start().await;
    let section = |text: &str| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
    let header =
        |text: &str| json!({"type": "header", "text": {"type": "plain_text", "text": text}});
    for (content, error) in [
        (json!({"channel": null, "text": "x"}), "channel_not_found"),
        (json!({"channel": "", "text": "x"}), "channel_not_found"),
        (json!({"channel": 7, "text": "x"}), "channel_not_found"),
        (
            json!({"channel": "general", "text": "x"}),
            "channel_not_found",
        ),
        (json!({"channel": "#", "text": "x"}), "channel_not_found"),
        (
            json!({"channel": "X0123", "text": "x"}),
            "channel_not_found",
        ),
        (json!({}), "no_text"),
        (json!({"text": ""}), "no_text"),
        (json!({"blocks": [], "attachments": []}), "no_text"),
        (
            json!({"text": "x", "markdown_text": "y"}),
            "markdown_text_conflict",
        ),
        (json!({"blocks": vec![section("x"); 51]}), "invalid_blocks"),
        (
            json!({"blocks": [header(&"ä".repeat(151))]}),
            "invalid_blocks",
        ),
        (
            json!({"blocks": [section(&"ä".repeat(3_001))]}),
            "invalid_blocks",
        ),
        (json!({"blocks": [section("")]}), "invalid_blocks"),
        (json!({"blocks": [{"type": "section"}]}), "invalid_blocks"),
        (json!({"blocks": [{"type": "nonsense"}]}), "invalid_blocks"),
        (json!({"blocks": [7]}), "invalid_blocks"),
        (
            json!({"blocks": [{"type": "context", "elements": []}]}),
            "invalid_blocks",
        ),
        (json!({"blocks": "not json"}), "invalid_blocks_format"),
        (json!({"blocks": {}}), "invalid_blocks_format"),
        (
            json!({"attachments": vec![json!({"text": "x"}); 101]}),
            "too_many_attachments",
        ),
        (json!({"attachments": [{"blocks": [{}]}]}), "invalid_blocks"),
    ] {
        let mut arguments = json!({"channel": "#a"});
        for (name, value) in content.as_object().unwrap() {
            arguments[name] = value.clone();
        }
        let answer = running.slack("chat.postMessage", &arguments).await;
        assert_eq!(
            (&answer["ok"], &answer["error"]),
            (&json!(false), &json!(error)),
            "{content}"
        );
    }
    assert!(running.sandbox.messages().is_empty());

    let at_the_limits = json!({"channel": "#a", "blocks":
        [header(&"ä".repeat(150)), section(&"ä".repeat(3_000))]});
    assert_eq!(
        running.slack("chat.postMessage", &at_the_limits).await["ok"],
        true
    );
}

#[tokio::test]
async fn a_block_error_says_where() {
    let running = Running::start().await;
    let block = json!({"type": "header", "text": {"type": "plain_text", "text": "x".repeat(151)}});
    let answer = running
        .slack(
            "chat.postMessage",
            &json!({"channel": "#a", "blocks": [block]}),
        )
        .await;
    let detail = "must be less than 151 characters [json-pointer:/blocks/0/text/text]";
    assert_eq!(answer["errors"], json!([detail]));
    assert_eq!(
        answer["response_metadata"]["messages"],
        json!([format!("[ERROR] {detail}")])
    );
}

#[tokio::test]
async fn long_text_is_cut_without_a_word() {
    let running = Running::start().await;
    let arguments = json!({"channel": "#a", "text": "ä".repeat(40_001)});
    let answer = running.slack("chat.postMessage", &arguments).await;
    assert_eq!(
        answer["message"]["text"].as_str().unwrap().chars().count(),
        40_000
    );
}

#[tokio::test]
async fn bodies_of_the_wrong_type_are_refused() {
    let running = Running::start().await;
    for (content_type, body, error) in [
        ("X-None: 1", "{}", "missing_post_type"),
        ("Content-Type: text/xml", "{}", "invalid_post_type"),
        (
            "Content-Type: application/json; charset=latin1",
            "{}",
            "invalid_charset",
        ),
        ("Content-Type: application/json", "{", "invalid_form_data"),
        ("Content-Type: application/json", "[]", "invalid_form_data"),
        (
            "Content-Type: application/x-www-form-urlencoded",
            "%%%&&==",
            "not_authed",
        ),
    ] {
        let headers = [content_type];
        let answer = http(
            &running.slack,
            "POST",
            "/api/chat.postMessage",
            &headers,
            body,
        )
        .await;
        assert_eq!(answer.json()["error"], error, "{content_type}");
    }
    assert_eq!(
        running.slack("chat.nonsense", &json!({})).await["error"],
        "unknown_method"
    );
}

#[tokio::test]
async fn a_form_is_taken_too() {
    let running = Running::start().await;
    let form = "channel=%23data+alerts&text=x";
    assert_eq!(
        running.slack_form("chat.postMessage", form).await["error"],
        "channel_not_found"
    );
    let form = "channel=%23a&text=1+%26+2&blocks=%5B%7B%22type%22%3A%22divider%22%7D%5D";
    let answer = running.slack_form("chat.postMessage", form).await;
    assert_eq!(answer["message"]["text"], "1 & 2");
    assert_eq!(answer["message"]["blocks"], json!([{"type": "divider"}]));
}

#[tokio::test]
async fn a_repeated_client_msg_id_is_one_message_with_a_count() {
    let running = Running::start().await;
    let id = "5a6c1f9e-0000-4000-8000-000000000001";
    let post = json!({"channel": "#a", "text": "x", "client_msg_id": id});
    let first = running.slack("chat.postMessage", &post).await;
    let mut expected = first.clone();
    expected["is_duplicate"] = json!(true);
    for _ in 0..2 {
        assert_eq!(running.slack("chat.postMessage", &post).await, expected);
    }
    let elsewhere = json!({"channel": "#b", "text": "x", "client_msg_id": id});
    assert_eq!(
        running
            .slack("chat.postMessage", &elsewhere)
            .await
            .get("is_duplicate"),
        None
    );
    let repeats: Vec<_> = running
        .sandbox
        .messages()
        .iter()
        .map(|message| message.repeats)
        .collect();
    assert_eq!(repeats, [2, 0]);
}

#[tokio::test]
async fn a_person_is_found_by_mail_address_and_written_to() {
    let running = Running::start().await;
    let user = running
        .slack_form("users.lookupByEmail", "email=jane%40example.com")
        .await;
    let again = http(
        &running.slack,
        "GET",
        "/api/users.lookupByEmail?email=Jane%40Example.com",
        &[&format!(
            "Authorization: Bearer {}",
            running.secret("slack_token")
        )],
        "",
    )
    .await
    .json();
    assert_eq!(user["user"]["id"], again["user"]["id"]);
    assert_eq!(user["user"]["profile"]["email"], "jane@example.com");

    let opened = running
        .slack("conversations.open", &json!({"users": user["user"]["id"]}))
        .await;
    let channel = &opened["channel"]["id"];
    assert!(channel.as_str().unwrap().starts_with('D'));
    let posted = running
        .slack(
            "chat.postMessage",
            &json!({"channel": channel, "text": "hello"}),
        )
        .await;
    assert_eq!(&posted["channel"], channel);
    assert_eq!(running.sandbox.messages()[0].to, "Jane@Example.com");
    let long = json!({"users": user["user"]["id"], "return_im": true});
    let opened = running.slack("conversations.open", &long).await;
    assert_eq!(opened["already_open"], true);
    assert_eq!(opened["channel"]["user"], user["user"]["id"]);

    let nobody = running
        .slack_form("users.lookupByEmail", "email=users-not-found%40example.com")
        .await;
    assert_eq!(nobody["error"], "users_not_found");

    // Documented without JSON support: the argument does not arrive.
    let as_json = running
        .slack("users.lookupByEmail", &json!({"email": "a@example.com"}))
        .await;
    assert_eq!(as_json["error"], "users_not_found");
    for (users, error) in [
        (Value::Null, "users_list_not_supplied"),
        (json!(","), "users_list_not_supplied"),
        (json!("jane"), "user_not_found"),
        (
            json!("U01,U02,U03,U04,U05,U06,U07,U08,U09"),
            "too_many_users",
        ),
        (
            running.person("user-disabled@example.com").await,
            "user_disabled",
        ),
    ] {
        let answer = running
            .slack("conversations.open", &json!({"users": users}))
            .await;
        assert_eq!(answer["error"], error, "{users}");
    }
}

#[tokio::test]
async fn a_message_is_updated_in_place_and_linked_to() {
    let running = Running::start().await;
    let posted = running
        .slack(
            "chat.postMessage",
            &json!({"channel": "#a", "text": "failed"}),
        )
        .await;
    let (channel, ts) = (&posted["channel"], &posted["ts"]);
    let updated = running
        .slack(
            "chat.update",
            &json!({"channel": channel, "ts": ts, "text": "recovered"}),
        )
        .await;
    assert_eq!((&updated["ok"], &updated["ts"]), (&json!(true), ts));
    let [message] = running.sandbox.messages().try_into().unwrap();
    assert_eq!(message.headline, "recovered");
    assert!(message.raw.contains("chat.postMessage") && message.raw.contains("chat.update"));

    for (update, error) in [
        (
            json!({"channel": channel, "ts": "1.000001", "text": "x"}),
            "message_not_found",
        ),
        (
            json!({"channel": "#a", "ts": ts, "text": "x"}),
            "channel_not_found",
        ),
        (
            json!({"channel": channel, "ts": ts, "text": "x".repeat(4_001)}),
            "msg_too_long",
        ),
        (json!({"channel": channel, "ts": ts}), "no_text"),
    ] {
        assert_eq!(running.slack("chat.update", &update).await["error"], error);
    }

    let form = format!(
        "channel={}&message_ts={}",
        channel.as_str().unwrap(),
        ts.as_str().unwrap()
    );
    let link = running.slack_form("chat.getPermalink", &form).await;
    let inbox = running.sandbox.inbox_url();
    let place = format!(
        "archives/{}/p{}",
        channel.as_str().unwrap(),
        ts.as_str().unwrap().replace('.', "")
    );
    assert_eq!(link["permalink"], format!("{inbox}{place}"));
    let workspace = running.slack("auth.test", &json!({})).await;
    assert_eq!(workspace["url"], inbox);
    let page = http(&running.inbox(), "GET", &format!("/{place}"), &[], "").await;
    assert_eq!(
        (page.status, page.headers["location"].as_str()),
        (303, "/#message-1")
    );
    for place in [
        "/archives/C1/p1",
        "/archives/C1/x",
        "/archives/C1/pää1234567",
    ] {
        let page = http(&running.inbox(), "GET", place, &[], "").await;
        assert_eq!(page.status, 404, "{place}");
    }
}

#[tokio::test]
async fn the_webhook_answers_ok_or_the_vendors_word() {
    let running = Running::start().await;
    let answer = running.webhook(r#"{"text": "hello"}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    assert!(answer.headers["content-type"].starts_with("text/plain"));
    let [message] = running.sandbox.messages().try_into().unwrap();
    let url = running.secret("slack_webhook_url");
    let secret = url.rsplit('/').next().unwrap();
    assert!(!message.raw.contains(secret) && message.raw.contains("/[secret] HTTP/1.1"));

    for (body, status, word) in [
        ("nonsense", 400, "invalid_payload"),
        ("[]", 400, "invalid_payload"),
        ("{}", 400, "no_text"),
        (
            r#"{"blocks": [{"type": "nonsense"}]}"#,
            400,
            "invalid_blocks",
        ),
    ] {
        let answer = running.webhook(body).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, word),
            "{body}"
        );
    }
    for (path, status, word) in [
        ("/services/T0/B0/x", 404, "no_team"),
        ("/services/T0SANDBOX/B0/x", 404, "no_service"),
        ("/services/T0SANDBOX/B0WEBHOOK/x", 403, "invalid_token"),
    ] {
        let answer = http(&running.slack, "POST", path, &[], "{}").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, word),
            "{path}"
        );
    }
}

#[tokio::test]
async fn faults_look_like_slacks() {
    let running = Running::start().await;
    let fail = |status, times| {
        running
            .sandbox
            .fail(Service::Slack, Some(Failure { status, times }));
    };
    let post = || http(&running.slack, "POST", "/api/auth.test", &[], "");

    fail(429, Some(1));
    let answer = post().await;
    assert_eq!(
        (answer.status, answer.headers["retry-after"].as_str()),
        (429, "1")
    );
    assert_eq!(answer.json()["error"], "ratelimited");
    assert_eq!(post().await.status, 200);

    fail(503, None);
    for _ in 0..3 {
        let answer = post().await;
        assert_eq!(answer.status, 503);
        assert!(answer.headers["content-type"].starts_with("text/html"));
        assert!(answer.body.starts_with("<!DOCTYPE html>"));
    }
    assert_eq!(running.webhook(r#"{"text": "x"}"#).await.status, 503);
    running.sandbox.fail(Service::Slack, None);
    assert_eq!(post().await.status, 200);
}

#[tokio::test]
async fn a_channel_named_as_an_error_answers_with_it() {
    let running = Running::start().await;
    for (channel, error) in [
        ("#not-in-channel", "not_in_channel"),
        ("#is-archived", "is_archived"),
        ("#channel-not-found", "channel_not_found"),
        (
            "#restricted-action-read-only-channel",
            "restricted_action_read_only_channel",
        ),
    ] {
        let post = json!({"channel": channel, "text": "x"});
        let answer = running.slack("chat.postMessage", &post).await;
        assert_eq!(answer, json!({"ok": false, "error": error}));
    }
    let post = json!({"channel": "#restricted-action-thread-locked", "text": "x"});
    let root = running.slack("chat.postMessage", &post).await;
    assert_eq!(root["ok"], true);
    let mut reply = post.clone();
    reply["thread_ts"] = root["ts"].clone();
    let answer = running.slack("chat.postMessage", &reply).await;
    assert_eq!(answer["error"], "restricted_action_thread_locked");
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_the_answer_names_them() {
    let running = Running::start().await;
    let writer = format!(
        "Authorization: Bearer {}",
        running.secret("slack_token_chat_write")
    );
    let json_type = "Content-Type: application/json; charset=utf-8";
    let call = |method: &str, arguments: Value| {
        let path = format!("/api/{method}");
        let headers = [writer.clone(), json_type.to_owned()];
        let address = running.slack.clone();
        async move {
            let headers = headers.each_ref().map(String::as_str);
            http(&address, "POST", &path, &headers, &arguments.to_string()).await
        }
    };
    let plain = call("chat.postMessage", json!({"channel": "#a", "text": "x"})).await;
    assert_eq!(plain.json()["ok"], true);
    assert_eq!(plain.headers["x-oauth-scopes"], "chat:write");
    assert_eq!(plain.headers["x-accepted-oauth-scopes"], "chat:write");
    assert_eq!(plain.headers["x-slack-req-id"].len(), 32);
    for (method, arguments, needed) in [
        (
            "chat.postMessage",
            json!({"channel": "#a", "text": "x", "username": "etl"}),
            "chat:write.customize",
        ),
        ("users.lookupByEmail", json!({}), "users:read.email"),
        (
            "conversations.history",
            json!({"channel": "C123"}),
            "channels:history,groups:history,im:history,mpim:history",
        ),
    ] {
        let answer = call(method, arguments).await.json();
        let expected = json!({
            "ok": false, "error": "missing_scope", "needed": needed, "provided": "chat:write",
        });
        assert_eq!(answer, expected, "{method}");
    }
    let raw = &running.sandbox.messages()[0].raw;
    assert!(
        !raw.contains(&running.secret("slack_token_chat_write")),
        "{raw}"
    );

    let all = http(
        &running.slack,
        "POST",
        "/api/auth.test",
        &[&format!(
            "Authorization: Bearer {}",
            running.secret("slack_token")
        )],
        "",
    )
    .await;
    assert!(all.headers["x-oauth-scopes"].contains("chat:write.customize"));
}

#[tokio::test]
async fn metadata_is_an_event_with_its_type() {
    let running = Running::start().await;
    for (metadata, error) in [
        (json!("text"), "invalid_metadata_format"),
        (json!({"event_type": 1}), "invalid_metadata_schema"),
        (json!({"event_type": "x"}), "invalid_metadata_schema"),
    ] {
        let post = json!({"channel": "#a", "text": "x", "metadata": metadata});
        let answer = running.slack("chat.postMessage", &post).await;
        assert_eq!(answer["error"], error, "{metadata}");
    }
}
