//! Recipients that a notification leaves to its account, and those that its kind gives to another.

use notify_core::event::wire;
use notify_core::{Code, Config, Notification, Problems, Weight, WorkflowName};
use serde_json::{Value, json};

use crate::providers::{fitted, registry};

/// What is declared: kind, where it was declared, recipients.
fn told(notifications: &[Notification]) -> Vec<(String, Option<String>, Vec<String>)> {
    let one = |notification: &Notification| {
        (
            notification.kind().to_string(),
            notification.declared_under().map(ToString::to_string),
            notification
                .recipients()
                .iter()
                .map(ToString::to_string)
                .collect(),
        )
    };
    notifications.iter().map(one).collect()
}

/// Checks one notification, as a definition's and as a rule's, against accounts.
fn config(notification: &Value, accounts: &Value) -> Result<Config, Problems> {
    let definition = json!({"workflow": "etl", "notifications": [
        {"phases": "failed", "email": "a@b.co"},
        notification,
    ]});
    fitted(&definition, notification, accounts)
}

fn of_workflow(config: &Config) -> Vec<Notification> {
    let name = WorkflowName::new("etl").unwrap();
    let workflow = config.workflow(&name).unwrap();
    workflow.notifications()[1..].to_vec()
}

fn said(problems: &Problems) -> Vec<(Code, String)> {
    let one = |one: &notify_core::Problem| (one.code, one.path.to_string());
    problems.iter().map(one).collect()
}

#[test]
fn a_notification_that_names_nobody_tells_whom_its_account_names() {
    let accounts = json!({
        "email": {"default": {}},
        "slack": {
            "prod": {"default": true, "tells": ["#alerts", "#ops", "#alerts"]},
            "dev": {"tells": ["#dev"], "enabled": false},
        },
    });
    let table = [
        (json!({}), vec!["#alerts", "#ops"]),
        (
            json!({"template": "{{ workflow }}"}),
            vec!["#alerts", "#ops"],
        ),
        (json!({"account": "dev"}), vec!["#dev"]),
        (json!({"to": "#mine"}), vec!["#mine"]),
    ];
    for (body, expected) in table {
        let notification = json!({"phases": "failed", "slack": body});
        let config = config(&notification, &accounts).unwrap();
        let [of_rule] = config.rules()[0].notifications() else {
            panic!("one notification")
        };
        for notification in of_workflow(&config).iter().chain([of_rule]) {
            let recipients: Vec<&str> = notification
                .recipients()
                .iter()
                .map(notify_core::Recipient::as_str)
                .collect();
            assert_eq!(recipients, expected);
            assert_eq!(notification.is_to_default(), body.get("to").is_none());
            // What is frozen says by itself who is told.
            let frozen = notification.to_value();
            assert_eq!(frozen["slack"]["to"], json!(expected));
            assert!(registry().load_notification(&frozen).is_ok());
        }
    }
}

#[test]
fn where_the_account_names_nobody_either_it_is_said_which_one_could() {
    let accounts = json!({"email": {"default": {}}, "slack": {"prod": {}}});
    let notification = json!({"phases": "failed", "slack": {}});
    let problems = config(&notification, &accounts).unwrap_err();
    let place = "[0].notifications[1].slack".to_owned();
    assert_eq!(said(&problems), [(Code::NO_RECIPIENT, place)]);
    let help = problems.iter().next().unwrap().help.clone().unwrap();
    assert!(help.contains("`slack.prod`"), "{help}");
}

#[test]
fn only_the_long_form_may_leave_the_recipients_out() {
    for body in [
        json!([]),
        json!(null),
        json!({"to": []}),
        json!({"to": null}),
    ] {
        let definition =
            json!({"workflow": "etl", "notifications": [{"phases": "failed", "slack": body}]});
        let (_, problems) = registry().load_workflow_partly(&definition);
        let place = "notifications[0].slack.to".to_owned();
        assert_eq!(said(&problems), [(Code::NO_RECIPIENT, place)], "{body}");
    }
}

#[test]
fn without_accounts_every_notification_names_somebody() {
    let notification = json!({"phases": "failed", "slack": {}});
    let definition = json!({"workflow": "etl", "notifications": [notification]});
    let refused = [
        (
            registry().load_workflow(&definition).err(),
            "notifications[0].slack",
        ),
        (registry().load_rule(&notification).err(), "slack"),
        (registry().load_notification(&notification).err(), "slack"),
        (carried(&notification).err(), "notifications[0].slack"),
    ];
    for (problems, place) in refused {
        let problems = problems.unwrap();
        assert_eq!(said(&problems), [(Code::NO_RECIPIENT, place.to_owned())]);
    }
}

#[test]
fn whom_an_account_names_and_does_not_reach_is_a_problem_of_the_notification() {
    let accounts = json!({
        "email": {"default": {}},
        "slack": {"prod": {"tells": ["#alerts"], "unreachable": "#alerts"}},
    });
    let notification = json!({"phases": "failed", "slack": {}});
    let problems = config(&notification, &accounts).unwrap_err();
    let place = "[0].notifications[1].slack".to_owned();
    assert_eq!(said(&problems), [(Code::UNREACHABLE_RECIPIENT, place)]);
    let message = &problems.iter().next().unwrap().message;
    let expected = "`slack.prod` does not reach whom it names where nobody is named: out of reach";
    assert_eq!(message, expected);
}

/// The notifications that an event brings.
fn carried(notification: &Value) -> Result<Vec<Notification>, Problems> {
    let event = json!({
        "version": 1,
        "workflow": "etl",
        "execution": {"project": "p", "domain": "d", "name": "n", "attempt": 1},
        "phase": "failed",
        "notifications": [notification],
    });
    let event = wire::WorkflowEnded::read(event)?.load(&registry())?;
    let again = wire::WorkflowEnded::from(&event);
    let again = again.load(&registry())?;
    assert_eq!(again.notifications, event.notifications);
    Ok(event.notifications.unwrap())
}

#[test]
fn recipients_of_another_kind_become_a_notification_of_that_kind() {
    let accounts = json!({"email": {"default": {}}, "pagerduty": {"default": {}}});
    let own = |recipients: &[&str]| {
        let recipients = recipients.iter().map(ToString::to_string).collect();
        ("pagerduty".to_owned(), None, recipients)
    };
    let given = |recipients: &[&str]| {
        let recipients = recipients.iter().map(ToString::to_string).collect();
        ("email".to_owned(), Some("pagerduty".to_owned()), recipients)
    };
    let table = [
        (
            json!(["data", "ops@a.co"]),
            vec![own(&["data"]), given(&["ops@a.co"])],
        ),
        (json!("ops@a.co"), vec![given(&["ops@a.co"])]),
        (
            json!({
                "to": ["x@a.co", "data", "x@A.co", "more", "y@a.co"],
                "severity": "critical",
                "account": "default",
                "template": "{{ workflow }}",
            }),
            vec![own(&["data", "more"]), given(&["x@a.co", "y@a.co"])],
        ),
        (json!(["data"]), vec![own(&["data"])]),
    ];
    for (body, expected) in table {
        let notification =
            json!({"phases": ["failed", "aborted"], "when": "changed", "pagerduty": body});
        let config = config(&notification, &accounts).unwrap();
        let declared = of_workflow(&config);
        assert_eq!(told(&declared), expected);
        assert_eq!(told(config.rules()[0].notifications()), expected);
        assert_eq!(told(&carried(&notification).unwrap()), expected);
        for one in declared {
            assert_eq!(one.phases().iter().count(), 2);
            assert!(one.when().is_some());
            assert_eq!(one.template(), body.get("template").and_then(Value::as_str));
            let frozen = one.to_value();
            let again = registry().load_notification(&frozen).unwrap();
            assert_eq!(again.to_value(), frozen);
            assert_eq!(again.declared_under(), one.declared_under());
            if one.declared_under().is_some() {
                assert_eq!(one.account(), None);
                assert_eq!(frozen["email"].get("severity"), None);
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_redirected_recipient_is_said_where_it_is_declared() {
    let unreachable = json!({
        "email": {"default": {"unreachable": "ops@a.co"}},
        "pagerduty": {"default": {}},
    });
    let notification = json!({"phases": "failed", "pagerduty": ["data", "x@a.co", "ops@a.co"]});
    let problems = config(&notification, &unreachable).unwrap_err();
    let place = "[0].notifications[1].pagerduty.to[2]".to_owned();
    assert_eq!(said(&problems), [(Code::UNREACHABLE_RECIPIENT, place)]);

    let none = json!({"pagerduty": {"default": {}}});
    let definition = json!({"workflow": "etl", "notifications": [notification]});
    let rule = json!({"phases": "failed", "pagerduty": "data"});
    let problems = fitted(&definition, &rule, &none).unwrap_err();
    let place = "[0].notifications[0].pagerduty.to[1]".to_owned();
    assert_eq!(said(&problems), [(Code::UNKNOWN_ACCOUNT, place)]);
    let message = &problems.iter().next().unwrap().message;
    let expected = "`x@a.co` is a recipient of `email`: no account of kind `email` is configured";
    assert_eq!(message, expected);

    let malformed = json!({"phases": "failed", "pagerduty": ["data", "ops@"]});
    let problems = carried(&malformed).unwrap_err();
    let place = "notifications[0].pagerduty.to[1]".to_owned();
    assert_eq!(said(&problems), [(Code::MALFORMED_RECIPIENT, place)]);
}

#[test]
fn what_would_be_said_of_nobody_is_refused() {
    let body = json!({"to": "ops@a.co", "account": "nosuch", "severity": "info", "template": "x"});
    let notification = json!({"phases": "failed", "pagerduty": body});
    let problems = registry().load_rule(&notification).unwrap_err();
    let expected = ["pagerduty.account", "pagerduty.severity"];
    let expected = expected.map(|place| (Code::WRONG_VALUE, place.to_owned()));
    assert_eq!(said(&problems), expected);
    let message = &problems.iter().next().unwrap().message;
    let expected = "everybody here is a recipient of `email`, and this is of `pagerduty`";
    assert_eq!(message, expected);
}

#[test]
fn a_kind_that_is_not_linked_in_takes_nothing_over() {
    use notify_core::{Email, NotificationKind, PagerDuty, Registry};

    let pagerduty = crate::providers::of::<PagerDuty>("test-pagerduty");
    let alone = Registry::of([pagerduty.redirects(Email::KIND, |text| text.contains('@'))]);
    let definition = json!({"workflow": "etl", "notifications": [
        {"phases": "failed", "pagerduty": ["data", "ops@a.co"]},
    ]});
    let problems = alone.unwrap().load_workflow(&definition).unwrap_err();
    let place = "notifications[0].pagerduty.to[1]".to_owned();
    assert_eq!(said(&problems), [(Code::UNKNOWN_KIND, place)]);
    let help = problems.iter().next().unwrap().help.clone().unwrap();
    assert!(help.contains("notify-email"), "{help}");
}

#[test]
fn no_file_says_where_a_notification_was_declared() {
    let notification =
        json!({"phases": "failed", "email": ["a@b.co"], "declared_under": "pagerduty"});
    assert!(registry().load_notification(&notification).is_ok());
    let problems = registry().load_rule(&notification).unwrap_err();
    assert_eq!(
        said(&problems),
        [(Code::UNKNOWN_KEY, "declared_under".to_owned())]
    );
    assert!(!problems.to_string().contains("did you mean"), "{problems}");
}

#[test]
fn a_notification_that_is_several_is_counted_as_one() {
    let twice = json!({"phases": "failed", "pagerduty": ["data", "ops@a.co"]});
    let definition = json!({"workflow": "etl", "notifications": [twice, twice]});
    let workflow = registry().load_workflow(&definition).unwrap();
    let places: Vec<usize> = workflow.declared().map(|(place, _)| place).collect();
    assert_eq!(places, [0, 0, 1, 1]);
    let warnings = workflow.warnings();
    let seen: Vec<_> = warnings
        .iter()
        .map(|one| (one.path.to_string(), one.weight))
        .collect();
    assert_eq!(seen, [("notifications[1]".to_owned(), Weight::Warning)]);
}

#[test]
fn accounts_warn_of_themselves_unless_they_are_switched_off() {
    let accounts = json!({
        "email": {"default": {"loose": true, "enabled": false}},
        "slack": {
            "prod": {"default": true, "enabled": false, "loose": true},
            "dev": {"loose": true},
        },
    });
    let accounts = notify_core::Accounts::load(&registry(), &accounts).unwrap();
    let warnings = accounts.warnings();
    assert!(warnings.iter().all(|one| one.weight == Weight::Warning));
    let expected = [
        (Code::WRONG_VALUE, "slack.dev.loose".to_owned()),
        (Code::SWITCHED_OFF, "slack.prod.enabled".to_owned()),
    ];
    assert_eq!(said(&warnings), expected);
}
