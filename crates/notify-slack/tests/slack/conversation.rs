//! Threads and messages that are edited.

use notify_core::{Continuity, Success};

use super::*;

/// A token's account and what a notification says; each of its calls in one conversation.
struct Talk {
    account: Arc<dyn Account>,
    notification: Notification,
}

impl Talk {
    fn of(options: &Value) -> Self {
        let mut body = options.clone();
        body["to"] = json!("#data-alerts");
        Self {
            account: token_account("https://slack.com/api/"),
            notification: notification(&body),
        }
    }

    #[track_caller]
    fn call(&self, action: Action, earlier: Option<&Receipt>) -> Value {
        let mut message = message();
        if action == Action::Close {
            message.severity = Severity::Info;
        }
        let turn = Turn(action, earlier);
        let payload = payload(&*self.account, &self.notification, turn, &message);
        serde_json::from_slice(&payload.body).unwrap()
    }
}

fn first() -> Receipt {
    Receipt::new("1503435956.000247").fact("channel", "C024BE91L")
}

fn reply() -> Receipt {
    Receipt::new("1503435999.000001")
        .fact("channel", "C024BE91L")
        .fact("thread", "1503435956.000247")
}

/// Names where a call goes: its `channel`, `thread_ts`, `ts` and `reply_broadcast`.
fn place(call: &Value) -> [&Value; 4] {
    ["channel", "thread_ts", "ts", "reply_broadcast"].map(|key| &call[key])
}

#[test]
fn what_belongs_together_is_what_the_notification_says() {
    let table = [
        (json!({}), None),
        (json!({"thread": "workflow"}), Some(Continuity::Workflow)),
        (json!({"thread": "execution"}), Some(Continuity::Execution)),
        (json!({"update": true}), Some(Continuity::Workflow)),
        (
            json!({"thread": "execution", "update": true}),
            Some(Continuity::Execution),
        ),
    ];
    for (options, expected) in table {
        let talk = Talk::of(&options);
        let to = recipient("#data-alerts");
        let target = talk.account.target(&talk.notification, &to).unwrap();
        assert_eq!(target.conversation, expected, "{options}");
        assert_eq!(target.lane, "#data-alerts");
        if expected.is_some() {
            assert_eq!(target.success, Success::Ends);
        }
        assert!(talk.account.capabilities().closes);
    }
}

#[test]
fn repeats_and_the_end_go_into_the_first_messages_thread() {
    let (null, channel, root) = (json!(null), json!("C024BE91L"), json!("1503435956.000247"));
    let talk = Talk::of(&json!({"thread": "workflow"}));
    assert_eq!(place(&talk.call(Action::Open, None)), [&null; 4]);
    for earlier in [first(), reply()] {
        for action in [Action::Open, Action::Close] {
            let call = talk.call(action, Some(&earlier));
            assert_eq!(place(&call), [&channel, &root, &null, &null]);
        }
    }
    let talk = Talk::of(&json!({"thread": "workflow", "broadcast": true}));
    assert_eq!(place(&talk.call(Action::Open, None)), [&null; 4]);
    let call = talk.call(Action::Open, Some(&reply()));
    assert_eq!(place(&call), [&channel, &root, &null, &json!(true)]);
}

#[test]
fn the_first_message_is_edited_when_the_state_changes() {
    let (null, channel, root) = (json!(null), json!("C024BE91L"), json!("1503435956.000247"));
    let edit = [&channel, &null, &root, &null];
    let talk = Talk::of(&json!({"update": true}));
    assert_eq!(place(&talk.call(Action::Open, None)), [&null; 4]);
    for action in [Action::Open, Action::Close] {
        let call = talk.call(action, Some(&first()));
        assert_eq!(place(&call), edit);
        assert!(
            call.get("client_msg_id").is_none(),
            "an edit has no name of its own"
        );
    }
    let talk = Talk::of(&json!({"thread": "workflow", "update": true}));
    let call = talk.call(Action::Open, Some(&first()));
    assert_eq!(place(&call), [&channel, &root, &null, &null]);
    assert_eq!(place(&talk.call(Action::Close, Some(&reply()))), edit);
    assert_eq!(
        talk.call(Action::Close, Some(&first()))["attachments"][0]["color"],
        "#28a745"
    );
}

#[test]
fn an_edit_leaves_nothing_of_what_was_there() {
    // Slack keeps the attachments that an edit does not name.
    let blocks = json!([{"type": "divider"}]);
    let talk = Talk::of(&json!({"update": true, "blocks": blocks}));
    let call = talk.call(Action::Open, Some(&first()));
    assert_eq!(
        (&call["blocks"], &call["attachments"]),
        (&blocks, &json!([]))
    );
    assert_eq!(call["parse"], "none");
    assert_eq!(talk.call(Action::Open, None).get("attachments"), None);
}

#[test]
fn blocks_of_ones_own_speak_of_the_phases_that_are_named() {
    let blocks = json!([{"type": "divider"}]);
    for options in [json!({"update": true}), json!({"thread": "workflow"})] {
        let mut options = options;
        options["blocks"] = blocks.clone();
        let talk = Talk::of(&options);
        assert_eq!(talk.call(Action::Open, None)["blocks"], blocks);
        let end = talk.call(Action::Close, Some(&first()));
        assert_eq!(end["blocks"][0]["type"], "header", "{options}");
        assert_eq!(end["attachments"][0]["color"], "#28a745");
    }
}

#[tokio::test]
async fn an_edit_that_is_refused_for_its_form_is_text_and_nothing_else() {
    let options = json!({"update": true});
    let script = vec![refusal("invalid_blocks"), answer(200, POSTED)];
    let (outcome, requests) = turn(&options, "#a", Action::Open, &first(), script).await;
    assert_eq!(receipt(outcome).facts["degraded"], "invalid_blocks");
    let call = requests[1].json();
    assert_eq!(
        (&call["blocks"], &call["attachments"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(call["ts"], "1503435956.000247");
    assert_eq!(schema::check(&call), Ok(()));
}

#[test]
fn a_message_without_a_name_is_no_root() {
    let nameless = Receipt::new("ntf_7").fact("channel", "C024BE91L");
    for options in [json!({"thread": "workflow"}), json!({"update": true})] {
        let talk = Talk::of(&options);
        for action in [Action::Open, Action::Close] {
            assert_eq!(
                place(&talk.call(action, Some(&nameless))),
                [&json!(null); 4]
            );
        }
    }
}

#[test]
fn the_end_of_a_conversation_calls_nobody() {
    let talk = Talk::of(&json!({"thread": "workflow", "mention": "here"}));
    let calls = |call: &Value| call["blocks"].to_string().contains("broadcast");
    assert!(calls(&talk.call(Action::Open, Some(&first()))));
    assert!(!calls(&talk.call(Action::Close, Some(&first()))));
}

/// Delivers one turn of a conversation against a script; gives its receipt and the requests.
async fn turn(
    options: &Value,
    to: &str,
    action: Action,
    earlier: &Receipt,
    script: Vec<Step>,
) -> (Outcome, Vec<Request>) {
    let slack = slack(script);
    let section = json!({
        "token": {"env": "T"}, "base_url": slack.url("/api/"), "username": "etl-bot",
    });
    let account = account(&section);
    let mut body = options.clone();
    body["to"] = json!(to);
    let payload = payload(
        &*account,
        &notification(&body),
        Turn(action, Some(earlier)),
        &message(),
    );
    let transport = connect(&*account, TOKEN);
    let outcome = attempt(&*transport, prepared(to, payload), now()).await;
    (outcome, asked(&slack))
}

#[tokio::test]
async fn a_reply_knows_its_thread_and_an_edit_its_message() {
    let replied = r#"{"ok":true,"channel":"C024BE91L","ts":"1503436001.000002"}"#;
    let options = json!({"thread": "workflow"});
    let script = vec![answer(200, replied)];
    let (outcome, requests) = turn(&options, "#a", Action::Open, &first(), script).await;
    assert_eq!(requests[0].path(), "/api/chat.postMessage");
    assert_eq!(
        receipt(outcome).to_string(),
        "1503436001.000002 (channel C024BE91L, permalink \
         https://subarachnoid.slack.com/archives/C024BE91L/p1503436001000002\
         ?thread_ts=1503435956.000247&cid=C024BE91L, thread 1503435956.000247)"
    );
    let options = json!({"update": true});
    let script = vec![answer(200, POSTED)];
    let (outcome, requests) = turn(&options, "#a", Action::Close, &first(), script).await;
    assert_eq!(requests[0].path(), "/api/chat.update");
    assert_eq!(requests[0].json()["ts"], "1503435956.000247");
    let receipt = receipt(outcome);
    assert_eq!(receipt.id, "1503435956.000247");
    assert!(!receipt.facts.contains_key("thread"));
}

#[tokio::test]
async fn a_person_is_not_looked_up_again_within_a_conversation() {
    let direct = Receipt::new("1503435956.000247").fact("channel", "D024BE7LH");
    let options = json!({"thread": "workflow"});
    let script = vec![answer(200, POSTED)];
    let to = "jane@example.com";
    let (outcome, requests) = turn(&options, to, Action::Open, &direct, script).await;
    receipt(outcome);
    let [request] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    assert_eq!(request.json()["channel"], "D024BE7LH");
}

#[tokio::test]
async fn what_cannot_continue_goes_by_itself_once() {
    let table = [
        (
            json!({"thread": "workflow", "broadcast": true}),
            "message_not_found",
        ),
        (json!({"thread": "workflow"}), "thread_not_found"),
        (json!({"thread": "workflow"}), "cannot_reply_to_message"),
        (
            json!({"thread": "workflow"}),
            "restricted_action_thread_locked",
        ),
        (json!({"update": true}), "message_not_found"),
        (json!({"update": true}), "cant_update_message"),
        (json!({"update": true}), "edit_window_closed"),
    ];
    for (options, code) in table {
        let script = vec![refusal(code), answer(200, POSTED)];
        let (outcome, requests) = turn(&options, "#a", Action::Open, &first(), script).await;
        let receipt = receipt(outcome);
        assert_eq!(receipt.facts["posted_anew"], code);
        assert!(
            !receipt.facts.contains_key("thread"),
            "it is a new first message"
        );
        assert_eq!(requests[1].path(), "/api/chat.postMessage");
        let call = requests[1].json();
        assert_eq!(
            place(&call),
            [
                &json!("C024BE91L"),
                &json!(null),
                &json!(null),
                &json!(null)
            ]
        );
        assert_eq!(schema::check(&call), Ok(()));
        assert_eq!(call["client_msg_id"], id().uuid().to_string());
        assert_eq!(
            (&call["username"], &call["mrkdwn"]),
            (&json!("etl-bot"), &json!(false))
        );
        let script = vec![refusal(code), refusal(code)];
        let (outcome, requests) = turn(&options, "#a", Action::Open, &first(), script).await;
        assert_eq!((outcome.name(), requests.len()), ("rejected", 2));
    }
    // What is refused alone is refused.
    let (outcome, requests) = by_token("#a", vec![refusal("message_not_found")]).await;
    assert_eq!((outcome.name(), requests.len()), ("rejected", 1));
}

#[tokio::test]
async fn a_channel_that_was_replaced_by_another_is_found_by_its_name() {
    let options = json!({"thread": "workflow"});
    for code in ["channel_not_found", "is_archived"] {
        let script = vec![refusal(code), answer(200, POSTED)];
        let (outcome, requests) = turn(&options, "#a", Action::Open, &first(), script).await;
        assert_eq!(receipt(outcome).facts["posted_anew"], code);
        let call = requests[1].json();
        let null = json!(null);
        assert_eq!(place(&call), [&json!("#a"), &null, &null, &null]);
        let script = vec![refusal(code), refusal(code)];
        let (outcome, requests) = turn(&options, "#a", Action::Open, &first(), script).await;
        assert_eq!((outcome.name(), requests.len()), ("rejected", 2));
    }
    let script = vec![
        refusal("channel_not_found"),
        answer(200, r#"{"ok":true,"channel":{"id":"D024BE7LX"}}"#),
        answer(200, POSTED),
    ];
    let to = "U0123456789";
    let (outcome, requests) = turn(&options, to, Action::Open, &first(), script).await;
    assert_eq!(receipt(outcome).facts["posted_anew"], "channel_not_found");
    assert_eq!(requests[2].json()["channel"], "D024BE7LX");
}

#[tokio::test]
async fn both_ways_out_are_taken_in_one_attempt() {
    let options = json!({"thread": "workflow"});
    let script = vec![
        refusal("invalid_blocks"),
        refusal("message_not_found"),
        answer(200, POSTED),
    ];
    let (outcome, requests) = turn(&options, "#a", Action::Open, &first(), script).await;
    let receipt = receipt(outcome);
    assert_eq!(receipt.facts["degraded"], "invalid_blocks");
    assert_eq!(receipt.facts["posted_anew"], "message_not_found");
    assert_eq!(requests.len(), 3);
}
