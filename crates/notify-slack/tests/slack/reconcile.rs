//! Searching for a message of which nobody knows whether it arrived.

use notify_core::Reconciled;

use super::*;

async fn reconciled(to: &str, turn: Turn<'_>, script: Vec<Step>) -> (Reconciled, Vec<Request>) {
    let slack = slack(script);
    let section = json!({
        "token": {"env": "T"}, "base_url": slack.url("/api/"), "timeout": "1s", "reconcile": true,
    });
    let account = account(&section);
    assert!(account.capabilities().reconciles);
    let body = json!({"to": to, "thread": "workflow"});
    let payload = payload(&*account, &notification(&body), turn, &message());
    let transport = connect(&*account, TOKEN);
    let clock = Fixed(now());
    let cx = DeliveryContext::new(2, &clock);
    let came = transport.reconcile(&cx, &prepared(to, payload)).await;
    (came, asked(&slack))
}

fn messages(ids: &[&str], has_more: bool) -> Step {
    let message = |(index, id): (usize, &&str)| {
        json!({
            "ts": format!("1503435956.00000{index}"),
            "metadata": {"event_type": "workflow_ended", "event_payload": {"delivery": id}},
        })
    };
    let messages: Vec<_> = ids.iter().enumerate().map(message).collect();
    let reply = json!({"ok": true, "messages": messages, "has_more": has_more});
    answer(200, &reply.to_string())
}

#[tokio::test]
async fn a_message_is_found_by_its_metadata() {
    let own = id().to_string();
    let ids = ["ntf_1", own.as_str()];
    let open = Turn(Action::Open, None);
    let (came, requests) = reconciled("C0123456789", open, vec![messages(&ids, false)]).await;
    let expected = Receipt::new("1503435956.000001").fact("channel", "C0123456789");
    assert_eq!(came, Reconciled::Delivered(expected));
    assert_eq!(requests[0].path(), "/api/conversations.history");
    assert_eq!(
        requests[0].body(),
        "channel=C0123456789&oldest=1795132666.000000&include_all_metadata=true&limit=50"
    );

    let first = Receipt::new("1503435950.000001").fact("channel", "C024BE91L");
    let reply = Turn(Action::Open, Some(&first));
    let (came, requests) = reconciled("#a", reply, vec![messages(&ids, false)]).await;
    let expected = Receipt::new("1503435956.000001")
        .fact("channel", "C024BE91L")
        .fact("thread", "1503435950.000001");
    assert_eq!(came, Reconciled::Delivered(expected));
    assert_eq!(requests[0].path(), "/api/conversations.replies");
}

#[tokio::test]
async fn a_message_is_missing_only_where_all_was_seen() {
    let open = Turn(Action::Open, None);
    let to = "C0123456789";
    let (came, _) = reconciled(to, open, vec![messages(&["ntf_1"], false)]).await;
    assert_eq!(came, Reconciled::NotDelivered);
    let doubtful = [
        messages(&["ntf_1"], true),
        refusal("missing_scope"),
        answer(500, ""),
        answer(200, r#"{"ok":true}"#),
    ];
    for step in doubtful {
        let (came, _) = reconciled(to, open, vec![step]).await;
        assert_eq!(came, Reconciled::Unknown);
    }
    // Slack finds no channel by its name.
    let (came, requests) = reconciled("#a", open, vec![]).await;
    assert_eq!((came, requests.len()), (Reconciled::Unknown, 0));
}

#[tokio::test]
async fn a_channels_id_is_known_once_a_message_went_there() {
    let own = id().to_string();
    let slack = slack(vec![answer(200, POSTED), messages(&[&own], false)]);
    let section = json!({
        "token": {"env": "T"}, "base_url": slack.url("/api/"), "reconcile": true,
    });
    let account = account(&section);
    let transport = connect(&*account, TOKEN);
    let body = payload(&*account, &notification(&json!("#a")), ALONE, &message());
    attempt(&*transport, prepared("#a", body.clone()), now()).await;
    let clock = Fixed(now());
    let cx = DeliveryContext::new(2, &clock);
    let came = transport.reconcile(&cx, &prepared("#a", body)).await;
    let expected = Receipt::new("1503435956.000000").fact("channel", "C024BE91L");
    assert_eq!(came, Reconciled::Delivered(expected));
}

#[test]
fn nothing_is_searched_unless_it_is_said() {
    let account = token_account("https://slack.com/api/");
    assert!(!account.capabilities().reconciles);
}
