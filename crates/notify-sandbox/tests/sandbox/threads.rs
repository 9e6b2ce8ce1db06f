//! Threads, edits, and what a reader of the channel gets back.

use serde_json::{Value, json};

use crate::client::{Running, http};

async fn history(running: &Running, arguments: Value) -> Value {
    running.slack("conversations.history", &arguments).await
}

fn texts(answer: &Value) -> Vec<&str> {
    let messages = answer["messages"].as_array();
    let messages = messages.unwrap_or_else(|| panic!("{answer}"));
    messages
        .iter()
        .map(|message| message["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_reply_goes_below_its_message_and_a_broadcast_into_the_channel_too() {
    let running = Running::start().await;
    let (channel, root) = running
        .post(json!({"channel": "#a", "text": "failed"}))
        .await;
    let reply = json!({"channel": channel, "thread_ts": root, "text": "failed again"});
    let answer = running.slack("chat.postMessage", &reply).await;
    assert_eq!(answer["message"]["thread_ts"], root.as_str());
    let broadcast = json!({
        "channel": channel, "thread_ts": root, "reply_broadcast": true, "text": "recovered",
    });
    let answer = running.slack("chat.postMessage", &broadcast).await;
    assert_eq!(answer["message"]["subtype"], "thread_broadcast");

    let threads: Vec<_> = running
        .sandbox
        .messages()
        .iter()
        .map(|message| message.thread)
        .collect();
    assert_eq!(threads, [None, Some(1), Some(1)]);

    let seen = history(&running, json!({"channel": channel})).await;
    assert_eq!(texts(&seen), ["recovered", "failed"]);
    assert_eq!(seen["messages"][1]["reply_count"], 2);
    assert_eq!(seen["has_more"], false);
    for ts in [&root, answer["ts"].as_str().unwrap()] {
        let form = format!("channel={channel}&ts={ts}");
        let thread = running.slack_form("conversations.replies", &form).await;
        assert_eq!(texts(&thread), ["failed", "failed again", "recovered"]);
    }

    // A form says yes with a word.
    let form = format!("channel={channel}&thread_ts={root}&reply_broadcast=true&text=x");
    running.slack_form("chat.postMessage", &form).await;
    let seen = history(&running, json!({"channel": channel})).await;
    assert_eq!(texts(&seen), ["x", "recovered", "failed"]);

    let form = format!(
        "channel={channel}&message_ts={}",
        answer["ts"].as_str().unwrap()
    );
    let link = running.slack_form("chat.getPermalink", &form).await;
    let link = link["permalink"].as_str().unwrap();
    assert!(
        link.ends_with(&format!("?thread_ts={root}&cid={channel}")),
        "{link}"
    );
}

#[tokio::test]
async fn only_a_message_at_the_top_can_be_replied_to() {
    let running = Running::start().await;
    let (channel, root) = running.post(json!({"channel": "#a", "text": "x"})).await;
    let reply = json!({"channel": channel, "thread_ts": root, "text": "x"});
    let (_, reply) = running.post(reply).await;
    for (channel, ts) in [
        (channel.as_str(), reply.as_str()),
        ("#a", "1.000001"),
        ("#b", &root),
    ] {
        let below = json!({"channel": channel, "thread_ts": ts, "text": "x"});
        let answer = running.slack("chat.postMessage", &below).await;
        assert_eq!(answer["error"], "cannot_reply_to_message", "{channel} {ts}");
    }
    // Documented without JSON support: the arguments do not arrive.
    let as_json = json!({"channel": channel, "ts": root});
    let answer = running.slack("conversations.replies", &as_json).await;
    assert_eq!(answer["error"], "channel_not_found");
    let unknown = format!("channel={channel}&ts=1.000001");
    for form in [unknown, format!("channel={channel}")] {
        let answer = running.slack_form("conversations.replies", &form).await;
        assert_eq!(answer["error"], "thread_not_found", "{form}");
    }
}

#[tokio::test]
async fn an_edit_keeps_what_it_does_not_name() {
    let running = Running::start().await;
    let header =
        |text: &str| json!([{"type": "header", "text": {"type": "plain_text", "text": text}}]);
    let (channel, ts) = running
        .post(json!({
            "channel": "#a",
            "text": "failed",
            "username": "etl",
            "icon_emoji": ":x:",
            "blocks": header("failed"),
            "attachments": [{"color": "danger", "text": "log"}],
            "metadata": {"event_type": "notify", "event_payload": {"id": "ntf_1"}},
        }))
        .await;
    let edit = json!({
        "channel": channel, "ts": ts, "text": "recovered", "blocks": header("recovered"),
    });
    let answer = running.slack("chat.update", &edit).await;
    assert_eq!(answer["text"], "recovered");
    assert_eq!(answer["message"]["username"], "etl");
    assert_eq!(answer["message"]["attachments"][0]["text"], "log");
    assert_eq!(answer["message"].get("metadata"), None);
    let all = json!({"channel": channel, "include_all_metadata": true});
    let seen = &history(&running, all).await["messages"][0];
    assert_eq!(seen["blocks"], header("recovered"));
    assert_eq!(seen["edited"]["user"], seen["user"]);
    assert_eq!(seen["metadata"]["event_payload"]["id"], "ntf_1");

    let [message] = running.sandbox.messages().try_into().unwrap();
    assert_eq!((message.edits, message.headline.as_str()), (1, "recovered"));
    let payload = message.payload.unwrap();
    assert_eq!(payload["icon_emoji"], ":x:");

    let bare = json!({"channel": channel, "ts": ts, "text": "x", "blocks": [], "attachments": []});
    let answer = running.slack("chat.update", &bare).await;
    assert_eq!(answer["message"].get("blocks"), None);
    assert_eq!(answer["message"].get("attachments"), None);
}

#[tokio::test]
async fn what_another_bot_posted_cannot_be_edited() {
    let running = Running::start().await;
    running
        .webhook(r##"{"text": "x", "channel": "#a", "username": "ignored"}"##)
        .await;
    let [message] = running.sandbox.messages().try_into().unwrap();
    assert_eq!(message.to, "incoming webhook");
    assert_eq!(message.payload.unwrap(), json!({"text": "x"}));
    assert!(message.raw.contains("ignored"));

    // The webhook's own channel is found as everybody would: by looking into it.
    let id = running
        .post(json!({"channel": "#incoming-webhook", "text": "y"}))
        .await
        .0;
    let seen = history(&running, json!({"channel": id})).await;
    assert_eq!(texts(&seen), ["y", "x"]);
    let edit = json!({"channel": id, "ts": seen["messages"][1]["ts"], "text": "z"});
    let answer = running.slack("chat.update", &edit).await;
    assert_eq!(answer["error"], "cant_update_message");
}

#[tokio::test]
async fn a_channel_is_read_in_windows_and_pages() {
    let running = Running::start().await;
    let mut stamps = Vec::new();
    let mut channel = String::new();
    for text in ["one", "two", "three", "four"] {
        let ts;
        (channel, ts) = running.post(json!({"channel": "#a", "text": text})).await;
        stamps.push(ts);
    }
    for (arguments, expected) in [
        (json!({}), &["four", "three", "two", "one"][..]),
        (json!({"oldest": stamps[1]}), &["four", "three"]),
        (json!({"latest": stamps[1]}), &["one"]),
        (
            json!({"latest": stamps[1], "inclusive": true, "limit": 1}),
            &["two"],
        ),
        (
            json!({"oldest": stamps[1], "latest": stamps[2], "inclusive": "1"}),
            &["three", "two"],
        ),
    ] {
        let mut arguments = arguments;
        arguments["channel"] = json!(channel);
        let seen = history(&running, arguments.clone()).await;
        assert_eq!(texts(&seen), expected, "{arguments}");
    }
    let first = history(&running, json!({"channel": channel, "limit": 3})).await;
    assert_eq!((texts(&first).len(), &first["has_more"]), (3, &json!(true)));
    let cursor = &first["response_metadata"]["next_cursor"];
    let second = history(&running, json!({"channel": channel, "cursor": cursor})).await;
    assert_eq!(
        (texts(&second), &second["has_more"]),
        (vec!["one"], &json!(false))
    );
    for (arguments, error) in [
        (json!({"channel": "#a"}), "channel_not_found"),
        (
            json!({"channel": channel, "oldest": "x"}),
            "invalid_ts_oldest",
        ),
        (
            json!({"channel": channel, "latest": "x"}),
            "invalid_ts_latest",
        ),
        (json!({"channel": channel, "cursor": "x"}), "invalid_cursor"),
        (
            json!({"channel": channel, "limit": "x"}),
            "invalid_arguments",
        ),
    ] {
        let answer = history(&running, arguments.clone()).await;
        assert_eq!(answer["error"], error, "{arguments}");
    }
}

#[tokio::test]
async fn the_page_shows_threads_below_their_message() {
    let running = Running::start().await;
    let (channel, root) = running
        .post(json!({"channel": "#a", "text": "the root"}))
        .await;
    running
        .post(json!({"channel": "#b", "text": "elsewhere"}))
        .await;
    let (_, reply) = running
        .post(json!({"channel": channel, "thread_ts": root, "text": "a quiet reply"}))
        .await;
    let loud = json!({
        "channel": channel, "thread_ts": root, "reply_broadcast": true, "text": "a loud reply",
    });
    running.post(loud).await;
    let edit = json!({"channel": channel, "ts": reply, "text": "a changed reply"});
    running.slack("chat.update", &edit).await;

    let page = http(&running.inbox(), "GET", "/", &[], "").await.body;
    let places = [
        "replied to a thread: <a href=\"#message-1\">the root</a>",
        "<article id=\"message-1\">",
        "2 replies",
        "id=\"message-3\"",
        "a changed reply",
        "(edited)",
        "id=\"message-4\"",
        "Also sent to the channel",
        "elsewhere",
    ]
    .map(|text| page.find(text).unwrap_or_else(|| panic!("{text}: {page}")));
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(page.matches("a loud reply</div>").count(), 2);
    assert_eq!(page.matches("id=\"message-4\"").count(), 1);
}

#[tokio::test]
async fn the_page_names_people_and_marks_calls_to_everybody() {
    let running = Running::start().await;
    let jane = running.person("jane@example.com").await;
    let jane = jane.as_str().unwrap();
    let text = format!("<!here> <@{jane}> <!subteam^S0SANDBOX>");
    running.post(json!({"channel": "#a", "text": text})).await;
    let page = http(&running.inbox(), "GET", "/", &[], "").await.body;
    for chip in [
        "<span class=\"mention all\">@here</span>",
        "<span class=\"mention\">@jane</span>",
        "<span class=\"mention\">@on-call</span>",
    ] {
        assert!(page.contains(chip), "{chip}");
    }
}
