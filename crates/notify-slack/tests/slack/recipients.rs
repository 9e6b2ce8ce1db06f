//! Whom messages reach, and how Slack is asked for people.

use notify_config::{Definitions, Settings, Source, Variables, config};
use notify_core::{Code, Outcome, Reason, Scope};

use super::*;

#[tokio::test]
async fn a_person_is_looked_up_and_a_conversation_opened() {
    let script = vec![
        answer(200, r#"{"ok":true,"user":{"id":"U024BE7LH"}}"#),
        answer(200, r#"{"ok":true,"channel":{"id":"D024BE7LH"}}"#),
        answer(200, POSTED),
    ];
    let (outcome, requests) = by_token("jane+x@example.com", script).await;
    assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
    // Slack takes no JSON for this method.
    assert_eq!(requests[0].path(), "/api/users.lookupByEmail");
    let form = Some("application/x-www-form-urlencoded");
    assert_eq!(requests[0].header("content-type"), form);
    assert_eq!(requests[0].body(), "email=jane%2Bx%40example.com");
    assert_eq!(requests[1].path(), "/api/conversations.open");
    assert_eq!(requests[1].json(), json!({"users": "U024BE7LH"}));
    assert_eq!(requests[2].json()["channel"], "D024BE7LH");
}

#[test]
fn a_webhook_reaches_a_channel_by_name_and_nobody_else() {
    let table = [
        ("#data-alerts", true),
        ("C0123456789", false),
        ("U0123456789", false),
        ("jane@example.com", false),
    ];
    let by_token = token_account("https://slack.com/api/");
    for (to, reached) in table {
        let target =
            |account: &dyn Account| account.target(&notification(&json!(to)), &recipient(to));
        assert_eq!(target(&*by_token).unwrap().lane, to);
        match target(&*webhook_account()) {
            Ok(target) => assert!(reached && target.lane.is_empty(), "{to}"),
            Err(problem) => {
                assert!(!reached, "{to}");
                assert_eq!(problem.code, Code::UNREACHABLE_RECIPIENT);
                assert!(problem.help.is_some());
            }
        }
    }
}

#[tokio::test]
async fn a_person_is_asked_for_once_in_hours() {
    let script = vec![
        answer(200, r#"{"ok":true,"user":{"id":"U024BE7LH"}}"#),
        answer(200, r#"{"ok":true,"channel":{"id":"D024BE7LH"}}"#),
        answer(200, POSTED),
        answer(200, POSTED),
        answer(200, r#"{"ok":true,"user":{"id":"U024BE7LH"}}"#),
        answer(200, r#"{"ok":true,"channel":{"id":"D024BE7LH"}}"#),
        answer(200, POSTED),
    ];
    let slack = slack(script);
    let account = token_account(&slack.url("/api/"));
    let transport = connect(&*account, TOKEN);
    let to = "jane@example.com";
    for at in [
        now(),
        now().after(Duration::from_hours(1)),
        now().after(Duration::from_hours(7)),
    ] {
        let body = payload(&*account, &notification(&json!(to)), ALONE, &message());
        receipt(attempt(&*transport, prepared(to, body), at).await);
    }
    let paths: Vec<_> = asked(&slack)
        .iter()
        .map(|request| request.path().to_owned())
        .collect();
    let found = [
        "/api/users.lookupByEmail",
        "/api/conversations.open",
        "/api/chat.postMessage",
    ];
    let expected: Vec<_> = [&found[..], &found[2..], &found[..]].concat();
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn nobody_is_asked_for_again_for_minutes() {
    let slack = slack(vec![refusal("users_not_found"), refusal("users_not_found")]);
    let account = token_account(&slack.url("/api/"));
    let transport = connect(&*account, TOKEN);
    let to = "nobody@example.com";
    for (minutes, expected) in [(0, 1), (9, 1), (11, 2)] {
        let body = payload(&*account, &notification(&json!(to)), ALONE, &message());
        let at = now().after(Duration::from_mins(minutes));
        let outcome = attempt(&*transport, prepared(to, body), at).await;
        assert!(
            matches!(
                outcome,
                Outcome::Rejected {
                    reason: Reason::Destination,
                    ..
                }
            ),
            "{outcome:?}"
        );
        assert_eq!(asked(&slack).len(), expected);
    }
}

#[tokio::test]
async fn a_conversation_that_is_gone_is_opened_anew() {
    let opened = || answer(200, r#"{"ok":true,"channel":{"id":"D024BE7LH"}}"#);
    let script = vec![
        opened(),
        refusal("channel_not_found"),
        opened(),
        answer(200, POSTED),
    ];
    let slack = slack(script);
    let account = token_account(&slack.url("/api/"));
    let transport = connect(&*account, TOKEN);
    let to = "U024BE7LH";
    for expected in ["rejected destination", "delivered "] {
        let body = payload(&*account, &notification(&json!(to)), ALONE, &message());
        let outcome = attempt(&*transport, prepared(to, body), now()).await;
        assert_eq!(class(&outcome), expected);
    }
    assert_eq!(asked(&slack).len(), 4);
}

#[test]
fn what_slack_ignores_at_a_webhook_is_refused_when_it_is_declared() {
    let table = [
        (json!({"to": "#a", "mention": "here"}), None),
        (json!({"to": "#a", "blocks": [{"type": "divider"}]}), None),
        (
            json!({"to": "#a", "thread": "workflow", "update": true}),
            Some("`thread`, `update`"),
        ),
        (
            json!({"to": "#a", "username": "bot", "icon_emoji": ":a:"}),
            Some("`username`, `icon_emoji`"),
        ),
    ];
    for (body, expected) in table {
        let notification = notification(&body);
        let target = webhook_account().target(&notification, &recipient("#a"));
        let seen = target.err().map(|problem| problem.to_string());
        let said = seen.clone().unwrap_or_default();
        assert_eq!(seen.is_some(), expected.is_some(), "{said}");
        assert!(said.contains(expected.unwrap_or_default()), "{said}");
    }
}

#[test]
fn a_wrong_option_is_told_once_and_at_its_key() {
    let toml = "[accounts.slack.prod]\ndefault = true\ntoken = { env = \"T\" }\n\
                [accounts.slack.hook]\nwebhook_url = { env = \"H\" }\n";
    let table = [
        ("account: hook, thread: workflow, update: true", "thread"),
        ("account: hook, username: etl-bot", "username"),
        ("broadcast: true", "broadcast"),
        (
            "icon_emoji: \":a:\", icon_url: \"https://example.com/a.png\"",
            "icon_url",
        ),
    ];
    let none = Variables::of([("", ""); 0]);
    let registry = Registry::of([DESCRIPTOR]).unwrap();
    let settings = Settings::parse_with(&registry, "notify.toml", toml, &none).unwrap();
    for (options, expected) in table {
        let yaml = format!(
            "workflow: w\nnotifications:\n  - phases: failed\n    \
             slack: {{to: [\"#a\", \"#b\"], {options}}}\n"
        );
        let source = Source::new("workflow.yaml", &yaml);
        let definitions = Definitions::parse_with(&registry, [source], &none).unwrap();
        let found = config(&definitions, &settings, Arc::new(One(TOKEN.to_owned()))).unwrap_err();
        let seen: Vec<&str> = found.iter().map(|one| &yaml[one.span().unwrap()]).collect();
        assert_eq!(seen, [expected], "{options}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let account = token_account("https://slack.com/api/");
    let icon = "https://example.com/a.png";
    for body in [
        json!({"to": "#a", "broadcast": true}),
        json!({"to": "#a", "icon_emoji": ":a:", "icon_url": icon}),
    ] {
        let problem = account
            .target(&notification(&body), &recipient("#a"))
            .unwrap_err();
        assert!(problem.help.is_some(), "{problem}");
    }
}

#[test]
fn who_is_told_where_nobody_is_named_is_the_accounts_channel() {
    let section = json!({"token": {"env": "T"}, "channel": "#data-alerts"});
    assert_eq!(
        account(&section).default_recipients(),
        [recipient("#data-alerts")]
    );
    let section = json!({"webhook_url": {"env": "T"}});
    assert!(account(&section).default_recipients().is_empty());
}

#[test]
fn what_is_unwise_is_warned_about_at_its_place() {
    let section = json!({"token": {"env": "T"}, "tls": {"insecure_skip_verify": true}});
    let warnings = account(&section).warnings();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].path.to_string(), "tls.insecure_skip_verify");
}

#[tokio::test]
async fn a_scope_that_one_recipient_needs_holds_that_one_and_no_other() {
    let missing = |needed: &str| {
        let refused = json!({"ok": false, "error": "missing_scope", "needed": needed});
        answer(200, &refused.to_string())
    };
    let table = [
        ("jane@example.com", "users:read.email", Scope::Lane),
        ("U024BE7LH", "im:write", Scope::Lane),
        ("#a", "chat:write.customize", Scope::Lane),
        ("#a", "chat:write", Scope::Account),
    ];
    for (to, needed, expected) in table {
        let (outcome, _) = by_token(to, vec![missing(needed)]).await;
        let Outcome::Rejected { reason, scope, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!((reason, scope), (Reason::Auth, expected), "{to} {needed}");
    }
    let (outcome, _) = by_token("jane@example.com", vec![refusal("invalid_auth")]).await;
    assert!(
        matches!(
            outcome,
            Outcome::Rejected {
                scope: Scope::Account,
                ..
            }
        ),
        "a token that is nobody's serves nobody"
    );
}
