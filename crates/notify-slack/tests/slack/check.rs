//! Trying the way to Slack without sending.

use notify_core::Stage;
use notify_testkit::fake::Refusing;

use super::*;

/// Lists the stages, each with its name, `ok` or the class of its outcome, and what was said.
async fn check(account: &dyn Account, secret: &str) -> Vec<(String, String, String)> {
    let transport = connect(account, secret);
    let clock = Fixed(now());
    let stages = transport.check(&DeliveryContext::new(1, &clock), &[]).await;
    assert!(!format!("{stages:?}").contains("hunter2"), "{stages:?}");
    let row = |stage: Stage| {
        let came = stage.outcome.as_ref().map_or("ok".to_owned(), class);
        (stage.name, came, stage.said)
    };
    stages.into_iter().map(row).collect()
}

async fn by_scopes(section: Value, scopes: Option<&str>) -> Vec<(String, String, String)> {
    let reply = Reply::new(200).body(HOME);
    let reply = match scopes {
        Some(scopes) => reply.header("x-oauth-scopes", scopes),
        None => reply,
    };
    let slack = HttpFake::start([reply]);
    let mut section = section;
    section["token"] = json!({"env": "T"});
    section["base_url"] = json!(slack.url("/api/"));
    let stages = check(&*account(&section), TOKEN).await;
    assert_eq!(slack.requests()[0].path(), "/api/auth.test");
    stages
}

#[tokio::test]
async fn a_token_says_whose_it_is_and_what_it_may() {
    let scopes = "chat:write,im:write,users:read.email,chat:write.customize";
    let stages = by_scopes(json!({"username": "bot"}), Some(scopes)).await;
    let names: Vec<_> = stages
        .iter()
        .map(|(name, came, _)| (name.as_str(), came.as_str()))
        .collect();
    assert_eq!(
        names,
        [("connect", "ok"), ("auth.test", "ok"), ("scopes", "ok")]
    );
    assert_eq!(
        stages[1].2,
        "`etl-bot` in `Subarachnoid`, https://subarachnoid.slack.com/"
    );
    assert_eq!(stages[2].2, scopes);

    let stages = by_scopes(json!({"username": "bot"}), Some("chat:write")).await;
    let said = "chat:write; without im:write no messages to people; without users:read.email no mail \
                addresses; without chat:write.customize no name and no icon of the account's own";
    assert_eq!(stages[2].2, said);

    let stages = by_scopes(json!({}), Some("im:write")).await;
    assert_eq!(stages[2].1, "rejected auth");
    assert_eq!(by_scopes(json!({}), None).await.len(), 2);
}

#[tokio::test]
async fn the_stage_that_fails_is_the_last() {
    let slack = HttpFake::start([refusal("invalid_auth")]);
    let account = token_account(&slack.url("/api/"));
    let stages = check(&*account, TOKEN).await;
    assert_eq!(stages.len(), 2);
    assert_eq!(
        (stages[1].0.as_str(), stages[1].1.as_str()),
        ("auth.test", "rejected auth")
    );
    let nobody = Refusing::start();
    let account = token_account(&format!("http://{}/api/", nobody.address()));
    let stages = check(&*account, TOKEN).await;
    assert_eq!(stages.len(), 1);
    assert_eq!(
        (stages[0].0.as_str(), stages[0].1.as_str()),
        ("connect", "not_delivered connect")
    );
}

#[tokio::test]
async fn a_webhook_is_tried_with_a_message_that_slack_never_posts() {
    let table = [
        (answer(400, "no_text"), "ok"),
        (answer(400, "invalid_payload"), "ok"),
        (answer(404, "no_service"), "rejected destination"),
        (answer(403, "invalid_token"), "rejected auth"),
        (answer(200, "ok"), "not_delivered protocol"),
    ];
    for (step, expected) in table {
        let server = HttpFake::start([step]);
        let stages = check(&*webhook_account(), &server.url("/services/hunter2hunter2")).await;
        assert_eq!(stages[1].1, expected);
        assert_eq!(server.requests()[0].body(), "{}");
    }
}

#[test]
fn an_outcome_comes_with_its_fix() {
    let account = token_account("https://slack.com/api/");
    let refused = Outcome::rejected(
        notify_core::Reason::Destination,
        "chat.postMessage: not_in_channel",
    );
    let fix = account.explain(&refused).unwrap();
    assert!(fix.contains("/invite"), "{fix}");
}
