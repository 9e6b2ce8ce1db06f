//! What PagerDuty is told, held against its own schemas and against what Kapacitor tells it.

use notify_core::content::{Block, Field, Inline, Severity};
use notify_core::{Action, Message, Notification, TerminalPhase};
use serde_json::{Value, json};

use crate::{
    account_with, event, golden, json_of, message, notification, notification_with, obeys, payload,
    success, validator,
};

/// Everything that a notification can say.
fn all_options() -> Notification {
    notification_with(&json!({
        "severity": "critical",
        "change_events": true,
        "component": "<!channel> \"mysql\"",
        "group": "é".repeat(255),
        "class": "late data",
        "details": {"text": "the author's", "deep": {"a": [1, null, "\u{0}"]}, "delivery": 7},
        "links": [
            {"href": "https://wiki.example.com/a|b[c]?d=^{e}\"<f>#g#h", "text": "Runbook"},
            {"href": "https://wiki.example.com/"},
            {"href": "https://[bad", "text": "Odd"},
        ],
        "images": [
            {"src": "https://charts.example.com/ü.png", "href": "http://[bad", "alt": "rows"},
            {"src": "https://[bad/x.png"},
        ],
    }))
}

#[test]
fn what_a_notification_says_is_sent_and_nothing_of_it_is_lost() {
    let more = json!({"client": "nightly", "client_url": "https://scheduler.example.com/ü"});
    let account = account_with(&more);
    let failed = event(TerminalPhase::Failed);
    let body = json_of(&payload(
        &*account,
        &all_options(),
        &failed,
        Action::Open,
        &message(),
    ));
    let told = &body["payload"];
    assert_eq!(told["severity"], "critical");
    assert_eq!(told["component"], "<!channel> \"mysql\"");
    assert_eq!(told["group"], "é".repeat(255));
    assert_eq!(told["class"], "late data");
    assert_eq!(
        (&body["client"], &body["client_url"]),
        (
            &json!("nightly"),
            &json!("https://scheduler.example.com/%C3%BC"),
        )
    );
    let details = json!({
        "text": "the author's",
        "deep": {"a": [1, null, "\u{0}"]},
        "delivery": 7,
        "text (2)": "It ran for 2h 5m.\n\nOdd: https://[bad\n\nrows: http://[bad\n\nImage: https://[bad/x.png",
        "output": "row 4: amount is not a number",
        "delivery (2)": "ntf_00000000000000000000000000000007",
    });
    assert_eq!(told["custom_details"], details);
    let links = json!([
        {"href": "https://scheduler.example.com/runs/17", "text": "Open run"},
        {
            "href": "https://wiki.example.com/a%7Cb%5Bc%5D?d=%5E%7Be%7D%22%3Cf%3E#g%23h",
            "text": "Runbook",
        },
        {"href": "https://wiki.example.com/", "text": "https://wiki.example.com/"},
    ]);
    assert_eq!(body["links"], links);
    let images = json!([{"src": "https://charts.example.com/%C3%BC.png", "alt": "rows"}]);
    assert_eq!(body["images"], images);
}

#[test]
fn a_severity_is_the_notifications_else_the_phases_else_the_messages() {
    let plain = account_with(&json!({}));
    let by_phase = account_with(&json!({"severity": {"failed": "critical", "timed_out": "info"}}));
    let severity = |account: &dyn notify_core::Account, options: Value, phase| {
        let payload = payload(
            account,
            &notification_with(&options),
            &event(phase),
            Action::Open,
            &message(),
        );
        json_of(&payload)["payload"]["severity"].clone()
    };
    let (failed, aborted) = (TerminalPhase::Failed, TerminalPhase::Aborted);
    assert_eq!(severity(&*plain, json!({}), failed), "error");
    assert_eq!(severity(&*by_phase, json!({}), failed), "critical");
    assert_eq!(
        severity(&*by_phase, json!({}), TerminalPhase::TimedOut),
        "info"
    );
    assert_eq!(severity(&*by_phase, json!({}), aborted), "error");
    let warning = json!({"severity": "warning"});
    assert_eq!(severity(&*by_phase, warning, failed), "warning");
}

#[test]
fn only_a_success_by_itself_is_a_change_and_only_where_that_is_wanted() {
    let account = account_with(&json!({}));
    let action = |notification: &Notification, phase, action| {
        let body = json_of(&payload(
            &*account,
            notification,
            &event(phase),
            action,
            &success(),
        ));
        body["event_action"].as_str().map(str::to_owned)
    };
    let (succeeded, failed) = (TerminalPhase::Succeeded, TerminalPhase::Failed);
    let (wanted, plain) = (all_options(), notification("data-platform"));
    assert_eq!(action(&wanted, succeeded, Action::Send), None);
    for (notification, phase, sent, expected) in [
        (&wanted, succeeded, Action::Close, "resolve"),
        (&wanted, failed, Action::Open, "trigger"),
        (&wanted, failed, Action::Send, "trigger"),
        (&plain, succeeded, Action::Send, "trigger"),
    ] {
        let seen = action(notification, phase, sent);
        assert_eq!(seen.as_deref(), Some(expected), "{phase:?} {sent:?}");
    }
}

#[test]
fn events_and_changes_obey_pagerdutys_own_schemas() {
    let (Some(of_events), Some(of_changes)) = (
        golden("pagerduty/schema/enqueue.request.strict.schema.json"),
        golden("pagerduty/schema/change.enqueue.request.strict.schema.json"),
    ) else {
        return;
    };
    let (of_events, of_changes) = (validator(&of_events), validator(&of_changes));
    let long = |text: &str| {
        let text = text.repeat(1_000);
        let field = Field {
            label: text.clone(),
            value: text.clone(),
        };
        Message::new(&text, Severity::Critical)
            .block(Block::text(&text))
            .block(Block::Items {
                ordered: false,
                items: vec![vec![Inline::plain(&text)]; 20],
            })
            .block(Block::Fields(vec![field; 20]))
            .block(Block::Code(text.clone()))
            .action(&text, format!("https://example.com/?{text}"))
            .action("odd", "https://example.com/a|b[c]?d=^{e}\"<f>#g#h")
            .footer(text)
    };
    let messages = [
        message(),
        Message::new("", Severity::Info),
        long("<!channel> & *x* `y`\n"),
        long("👨‍👩‍👧‍👦"),
        long("\u{0}"),
    ];
    let account = account_with(&json!({}));
    let (failed, succeeded) = (
        event(TerminalPhase::Failed),
        event(TerminalPhase::Succeeded),
    );
    for message in messages {
        for notification in [notification("data-platform"), all_options()] {
            for action in [Action::Send, Action::Open, Action::Close] {
                let sent = payload(&*account, &notification, &failed, action, &message);
                obeys(&of_events, &json_of(&sent));
            }
        }
        let sent = payload(
            &*account,
            &all_options(),
            &succeeded,
            Action::Send,
            &message,
        );
        obeys(&of_changes, &json_of(&sent));
    }
}

#[test]
fn pagerdutys_own_example_can_be_told() {
    let Some(theirs) = golden("pagerduty/requests/enqueue.event.json") else {
        return;
    };
    let told = &theirs["payload"];
    let notification = notification_with(&json!({
        "severity": told["severity"],
        "component": told["component"],
        "group": told["group"],
        "class": told["class"],
        "details": told["custom_details"],
        "links": theirs["links"],
        "images": theirs["images"],
    }));
    let look = json!({"client": theirs["client"], "client_url": theirs["client_url"]});
    let message = Message::new(told["summary"].as_str().unwrap(), Severity::Info);
    let event = event(TerminalPhase::Aborted);
    let account = account_with(&look);
    let ours = json_of(&payload(
        &*account,
        &notification,
        &event,
        Action::Open,
        &message,
    ));
    for key in ["event_action", "client"] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
    for key in ["src", "alt"] {
        assert_eq!(ours["images"][0][key], theirs["images"][0][key], "{key}");
    }
    // An address has a path here, however short.
    assert_eq!(ours["client_url"], "https://monitoring.service.com/");
    assert_eq!(ours["images"][0]["href"], "https://google.com/");
    let links = json!([{"href": "http://pagerduty.example.com/", "text": "An example link."}]);
    assert_eq!(ours["links"], links);
    for key in ["summary", "severity", "component", "group", "class"] {
        assert_eq!(ours["payload"][key], told[key], "{key}");
    }
    for (name, value) in told["custom_details"].as_object().unwrap() {
        assert_eq!(ours["payload"]["custom_details"][name], *value, "{name}");
    }
}

#[test]
fn what_kapacitor_tells_pagerduty_can_be_told_too() {
    let Some(golden) = golden("kapacitor/payloads.json") else {
        return;
    };
    let theirs = &golden["pagerduty2"];
    let (sent, event_there) = (&theirs["json_subset"], &theirs["event"]);
    // A link without a text has its address as text there: it needs no word here.
    let mut links = sent["links"].clone();
    links[1].as_object_mut().unwrap().remove("text");
    let options = notification_with(&json!({"class": event_there["task"], "links": links}));
    let account = account_with(&json!({"client": sent["client"]}));
    let message = Message::new(event_there["message"].as_str().unwrap(), Severity::Critical);
    let event = event(TerminalPhase::Aborted);
    let ours = json_of(&payload(
        &*account,
        &options,
        &event,
        Action::Open,
        &message,
    ));
    for key in ["event_action", "client", "links"] {
        assert_eq!(ours[key], sent[key], "{key}");
    }
    for key in ["summary", "severity", "class"] {
        assert_eq!(ours["payload"][key], sent["payload"][key], "{key}");
    }
    // Different on purpose: who is meant, and what belongs together.
    assert_eq!(
        ours["payload"]["source"],
        "analytics/production/nightly-etl"
    );
    assert_eq!(
        ours["dedup_key"],
        "analytics/production/nightly-etl@data-platform"
    );
    let levels = golden["pagerduty2_levels"].as_array().unwrap();
    assert_eq!(levels.len(), 4);
    for row in levels {
        let severity = row["expect"]["payload.severity"].clone();
        let options = notification_with(&json!({"severity": severity}));
        let resolves = row["expect"]["event_action"] == "resolve";
        let action = if resolves {
            Action::Close
        } else {
            Action::Open
        };
        let ours = json_of(&payload(&*account, &options, &event, action, &message));
        assert_eq!(ours["event_action"], row["expect"]["event_action"]);
        // A resolve has no payload here: PagerDuty does not look at it.
        let expected = if resolves { Value::Null } else { severity };
        assert_eq!(ours["payload"]["severity"], expected);
    }
}
