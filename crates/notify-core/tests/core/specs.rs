//! Specs: the builder and the files give one value, and everything that is wrong is said at once.

use notify_core::condition::changed;
use notify_core::content::Severity;
use notify_core::{
    AccountName, Code, Email, Notification, NotificationKind, PagerDuty, Problems, Slack,
    SlackRecipient, Weight, Workflow, channel, email, phases, service,
};
use serde_json::{Value, json};

use crate::providers::{config, registry};

fn load(value: &Value) -> Result<Notification, Problems> {
    registry().load_notification(value)
}

/// Expects these problems, as code and place, in this order.
#[track_caller]
fn refused(value: &Value, expected: &[(Code, &str)]) {
    let problems = load(value).unwrap_err();
    let seen: Vec<(Code, String)> = problems
        .iter()
        .map(|problem| (problem.code, problem.path.to_string()))
        .collect();
    let expected: Vec<(Code, String)> = expected
        .iter()
        .map(|(code, place)| (*code, (*place).to_owned()))
        .collect();
    assert_eq!(seen, expected, "{problems}");
    assert!(problems.iter().all(|one| one.weight == Weight::Refused));
}

#[test]
fn builder_short_form_and_long_form_are_one_value() {
    let prod = AccountName::new("prod").unwrap();
    let table: [(Notification, Value); 3] = [
        (
            Email::on(phases![Failed, TimedOut])
                .to(email!("jane@example.com"))
                .into(),
            json!({"phases": ["failed", "TIMED_OUT"], "email": "jane@example.com"}),
        ),
        (
            Slack::on(phases![Failed])
                .to(channel!("#data-alerts"))
                .and("U0123456789")
                .unwrap()
                .and("jane@Example.com")
                .unwrap()
                .when(changed())
                .account(prod)
                .into(),
            json!({
                "phases": 6,
                "when": "changed",
                "slack": {
                    "to": ["#data-alerts", "U0123456789", "jane@example.com"],
                    "account": "prod",
                },
            }),
        ),
        (
            PagerDuty::on(phases![Failed])
                .to(service!("data-platform"))
                .options(|options| options.severity = Some(Severity::Critical))
                .into(),
            json!({
                "phases": ["failed"],
                "pagerduty": {"to": ["data-platform"], "severity": "critical"},
            }),
        ),
    ];
    for (built, value) in table {
        let loaded = load(&value).unwrap();
        assert_eq!(loaded, built);
        assert_eq!(load(&built.to_value()).unwrap(), built);
    }
}

#[test]
fn slack_recipients_keep_their_types() {
    let value =
        json!({"phases": ["failed"], "slack": ["#a", "C0123456789", "U0123456789", "j@b.co"]});
    let notification = load(&value).unwrap();
    let typed: Vec<SlackRecipient> = notification
        .recipients()
        .iter()
        .map(|recipient| recipient.typed().unwrap())
        .collect();
    assert!(matches!(
        typed.as_slice(),
        [
            SlackRecipient::Channel(_),
            SlackRecipient::ChannelId(_),
            SlackRecipient::User(_),
            SlackRecipient::Mail(_)
        ]
    ));
}

#[test]
fn everything_that_is_wrong_with_a_notification_is_said_at_once() {
    refused(
        &json!({
            "phases": ["failed", "running", "faild"],
            "when": {"streak": 0},
            "email": {
                "to": ["jane@example.com", "", "#data-alerts", "a\u{0}@example.com"],
                "acount": "prod",
            },
            "templat": "x",
        }),
        &[
            (Code::NOT_TERMINAL, "phases[1]"),
            (Code::UNKNOWN_PHASE, "phases[2]"),
            (Code::WRONG_VALUE, "when.streak"),
            (Code::MALFORMED_RECIPIENT, "email.to[1]"),
            (Code::MALFORMED_RECIPIENT, "email.to[2]"),
            (Code::MALFORMED_RECIPIENT, "email.to[3]"),
            (Code::UNKNOWN_KEY, "email.acount"),
            (Code::UNKNOWN_KEY, "templat"),
        ],
    );
}

#[test]
fn each_way_to_say_nothing_is_refused() {
    let to_jane = json!(["jane@example.com"]);
    let table = [
        (json!({"email": to_jane}), Code::NO_PHASE, ""),
        (
            json!({"phases": [], "email": to_jane}),
            Code::NO_PHASE,
            "phases",
        ),
        (
            json!({"phases": null, "email": to_jane}),
            Code::NO_PHASE,
            "phases",
        ),
        (
            json!({"phases": "running", "email": to_jane}),
            Code::NOT_TERMINAL,
            "phases",
        ),
        (
            json!({"phases": 5, "email": to_jane}),
            Code::NOT_TERMINAL,
            "phases",
        ),
        (
            json!({"phases": 42, "email": to_jane}),
            Code::UNKNOWN_PHASE,
            "phases",
        ),
        (
            json!({"phases": true, "email": to_jane}),
            Code::UNKNOWN_PHASE,
            "phases",
        ),
        (json!({"phases": "failed"}), Code::ONE_KIND, ""),
        (
            json!({"phases": "failed", "fax": "1"}),
            Code::UNKNOWN_KIND,
            "fax",
        ),
        (
            json!({"phases": "failed", "email": null}),
            Code::NO_RECIPIENT,
            "email.to",
        ),
        (
            json!({"phases": "failed", "email": []}),
            Code::NO_RECIPIENT,
            "email.to",
        ),
        (
            json!({"phases": "failed", "email": {}}),
            Code::NO_RECIPIENT,
            "email",
        ),
        (
            json!({"phases": "failed", "email": ""}),
            Code::MALFORMED_RECIPIENT,
            "email.to",
        ),
        (
            json!({"phases": "failed", "email": [null]}),
            Code::MALFORMED_RECIPIENT,
            "email.to[0]",
        ),
        (
            json!({"phases": "failed", "email": 1}),
            Code::MALFORMED_RECIPIENT,
            "email.to",
        ),
        (
            json!({"phases": "failed", "email": "#alerts"}),
            Code::MALFORMED_RECIPIENT,
            "email.to",
        ),
        (
            json!({"phases": "failed", "pagerduty": "a@b.co"}),
            Code::MALFORMED_RECIPIENT,
            "pagerduty.to",
        ),
        (
            json!({"phases": "failed", "pagerduty": "#alerts"}),
            Code::MALFORMED_RECIPIENT,
            "pagerduty.to",
        ),
        (
            json!({"phases": "failed", "slack": "alerts"}),
            Code::MALFORMED_RECIPIENT,
            "slack.to",
        ),
        (
            json!({"phases": "failed", "slack": "\u{200b}"}),
            Code::MALFORMED_RECIPIENT,
            "slack.to",
        ),
        (
            json!({"phases": "failed", "email": to_jane, "slack": ["#a"]}),
            Code::ONE_KIND,
            "slack",
        ),
        (json!("failed"), Code::WRONG_VALUE, ""),
    ];
    for (value, code, place) in table {
        refused(&value, &[(code, place)]);
    }
}

#[test]
fn a_phase_that_is_no_end_is_refused_with_the_four_that_are() {
    let problems = load(&json!({"phases": "RUNNING", "email": "j@b.co"})).unwrap_err();
    let said = problems.to_string();
    for phase in ["RUNNING", "succeeded", "failed", "aborted", "timed_out"] {
        assert!(said.contains(&format!("`{phase}`")), "{said}");
    }
}

#[test]
fn repeated_recipients_are_merged_and_keep_their_declared_places() {
    let value =
        json!({"phases": "failed", "email": ["a@b.co", "a@B.co", "c@d.co", "a@b.co", "e@f.co"]});
    let notification = load(&value).unwrap();
    let declared: Vec<(usize, &str)> = notification
        .declared()
        .map(|(place, recipient)| (place, recipient.as_str()))
        .collect();
    assert_eq!(declared, [(0, "a@b.co"), (2, "c@d.co"), (4, "e@f.co")]);

    let workflow = Workflow::new("etl").unwrap().notify(notification);
    let problems = config(workflow, "e@f.co").unwrap_err();
    let places: Vec<String> = problems.iter().map(|one| one.path.to_string()).collect();
    assert_eq!(places, ["[0].notifications[0].email.to[4]"]);

    let built = Email::on(phases![Failed])
        .to(email!("a@b.co"))
        .and("a@B.co")
        .unwrap();
    assert_eq!(Notification::from(built).recipients().len(), 1);
}

#[test]
fn a_notification_repeated_whole_is_a_warning() {
    let mail = json!({"phases": ["failed", "aborted"], "email": "a@b.co"});
    let same = json!({"phases": ["aborted", "failed", "failed"], "email": {"to": ["a@b.co"]}});
    let other = json!({"phases": ["failed"], "email": "a@b.co"});
    let value = json!({"workflow": "etl", "notifications": [mail, other, same]});
    let workflow = registry().load_workflow(&value).unwrap();
    assert_eq!(workflow.notifications().len(), 3);
    let warnings = workflow.warnings();
    let seen: Vec<_> = warnings
        .iter()
        .map(|one| (one.code, one.weight, one.path.to_string()))
        .collect();
    let expected = (
        Code::REPEATED,
        Weight::Warning,
        "notifications[2]".to_owned(),
    );
    assert_eq!(seen, [expected], "{warnings}");

    let mail = || Email::on(phases![Failed]).to(email!("a@b.co"));
    let built = Workflow::new("etl").unwrap().notify(mail()).notify(mail());
    assert_eq!(built.warnings().iter().count(), 1);
    assert!(
        Workflow::new("etl")
            .unwrap()
            .notify(mail())
            .warnings()
            .is_empty()
    );
}

#[test]
fn international_addresses_are_kept_as_written() {
    for address in [
        "jürgen@exämple.de",
        "ju\u{308}rgen@example.de",
        "用户@例子.广告",
    ] {
        let loaded = load(&json!({"phases": "failed", "email": address})).unwrap();
        assert_eq!(loaded.recipients()[0].as_str(), address);
        let slack = load(&json!({"phases": "failed", "slack": address})).unwrap();
        assert_eq!(slack.recipients()[0].as_str(), address);
    }
}
