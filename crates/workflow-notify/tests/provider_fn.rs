//! A function of the program as a provider: declared, checked, delivered and contained like any other.

#![cfg(test)]

use std::sync::Mutex;
use std::time::Duration;

use notify_testkit::provider::{Fixture, check};
use serde_json::json;
use workflow_notify::core::function::NoOptions;
use workflow_notify::core::{Accounts, Cause, Code, FreeName, Payload, Reason, RegistryError};
use workflow_notify::outbox::{DeliveryQuery, DeliveryRecord, DeliveryState, MemoryOutbox};
use workflow_notify::prelude::*;

type Seen = Arc<Mutex<Vec<(String, String, String)>>>;

/// A desk that takes what it is told, except from three of its recipients.
fn desk(seen: &Seen) -> Registry {
    let seen = Arc::clone(seen);
    let desk = provider_fn("desk", move |message, recipient| {
        let seen = Arc::clone(&seen);
        async move {
            let taken = (recipient.clone(), message.headline, message.text);
            seen.lock().unwrap().push(taken);
            match recipient.as_str() {
                "panics" => panic!("no such drawer"),
                "hangs" => std::future::pending().await,
                "refuses" => Outcome::rejected(Reason::Policy, "not before nine"),
                _ => Outcome::Delivered(Receipt::new(message.id.to_string())),
            }
        }
    });
    Registry::discover().unwrap().with(desk).unwrap()
}

fn workflow(registry: &Registry, to: &[&str]) -> Workflow {
    let notification = json!({"phases": ["failed"], "desk": to});
    let definition = json!({"workflow": "etl", "notifications": [notification]});
    registry.load_workflow(&definition).unwrap()
}

/// Delivers one end of a workflow under these settings, and gives what became of it.
async fn deliver(settings: &str, to: &[&str]) -> (Vec<DeliveryRecord>, Seen) {
    let seen = Seen::default();
    let registry = desk(&seen);
    let settings = Settings::parse(&registry, "notify.toml", settings).unwrap();
    let workflows = vec![workflow(&registry, to)];
    let accounts = settings.accounts().clone();
    let config = Config::new(workflows, accounts, settings.secrets()).unwrap();
    let outbox = MemoryOutbox::new(Arc::new(SystemClock));
    let engine = Engine::builder(registry).config(config).outbox(outbox);
    let engine = engine.start().unwrap();
    let execution = Execution::new("analytics", "production", "run-17").unwrap();
    let event = WorkflowEnded::new(WorkflowName::new("etl").unwrap(), execution, Failed)
        .failure(Failure::new("row 4: amount is not a number"));
    engine.workflow_ended(event).await.unwrap();
    engine.drain(Duration::from_secs(3)).await.unwrap();
    let records = engine.deliveries(DeliveryQuery::latest(10)).await.unwrap();
    (records, seen)
}

#[tokio::test]
async fn a_function_is_told_who_and_what_and_needs_no_account_in_the_settings() {
    let (records, seen) = deliver("", &["night shift"]).await;
    let [record] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(record.state, DeliveryState::Delivered);
    assert_eq!(record.account.to_string(), "desk.default");
    let receipt = record.receipt.as_ref().unwrap();
    assert_eq!(receipt.id, record.id.to_string());
    let seen = seen.lock().unwrap();
    let [(recipient, headline, text)] = seen.as_slice() else {
        panic!("{seen:?}");
    };
    assert_eq!(
        (recipient.as_str(), headline.as_str()),
        ("night shift", "etl failed")
    );
    assert!(text.contains("row 4: amount is not a number"), "{text}");
}

fn bytes(payload: &Payload, key: &str) -> usize {
    let body: serde_json::Value = serde_json::from_slice(&payload.body).unwrap();
    body[key].as_str().unwrap().len()
}

#[test]
fn a_function_keeps_the_contract_of_all_providers() {
    let desk = provider_fn("desk", |message, _| async move {
        Outcome::Delivered(Receipt::new(message.id.to_string()))
    });
    let fixture = Fixture::new(desk)
        .account(|_| json!({"timeout": "2s"}))
        .wrong_account(
            json!({"timeout": "2h", "colour": "red"}),
            &["timeout", "colour"],
        )
        .notification(json!(["night shift"]))
        .limit("bytes of the headline", 1024, |payload| {
            bytes(payload, "headline")
        })
        .limit("bytes of the message", 16 * 1024, |payload| {
            bytes(payload, "headline") + bytes(payload, "text")
        });
    check(fixture).assert();
}

#[tokio::test]
async fn a_panic_and_a_hang_are_attempts_of_unknown_outcome_and_delay_nobody() {
    let settings = "[accounts.desk.default]\ntimeout = \"1s\"\n";
    let to = ["panics", "hangs", "refuses", "night shift"];
    let (records, _) = deliver(settings, &to).await;
    let of = |name: &str| {
        let found = records.iter().find(|one| one.recipient.as_str() == name);
        let found = found.unwrap();
        (found.state, found.reason.clone().unwrap_or_default())
    };
    let (state, reason) = of("panics");
    assert!(
        reason.contains("the provider panicked"),
        "{state:?} {reason}"
    );
    let (state, reason) = of("hangs");
    assert!(reason.contains("unknown (timeout)"), "{state:?} {reason}");
    let (state, reason) = of("refuses");
    assert_eq!(state, DeliveryState::Rejected);
    assert!(reason.contains("not before nine"), "{reason}");
    assert_eq!(of("night shift").0, DeliveryState::Delivered);
}

#[tokio::test]
async fn an_account_that_is_switched_off_calls_nobody() {
    let settings = "[accounts.desk.default]\nenabled = false\n";
    let (records, seen) = deliver(settings, &["night shift"]).await;
    assert_eq!(records[0].state, DeliveryState::Skipped);
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn what_is_wrong_with_a_declaration_is_told_with_its_place() {
    let registry = desk(&Seen::default());
    let body = json!({"to": ["night shift", "a\nb", ""], "priority": 5});
    let refused = registry.load_notification(&json!({"phases": "failed", "desk": body}));
    let problems = refused.unwrap_err();
    let seen = problems.iter().map(|one| (one.path.to_string(), one.code));
    let mut seen: Vec<_> = seen.collect();
    seen.sort();
    let malformed = Code::MALFORMED_RECIPIENT;
    let expected = [
        ("desk.priority".to_owned(), Code::UNKNOWN_KEY),
        ("desk.to[1]".to_owned(), malformed),
        ("desk.to[2]".to_owned(), malformed),
    ];
    assert_eq!(seen, expected, "{problems}");

    for (section, place) in [
        (json!({"timeout": "2h"}), "desk.default.timeout"),
        (json!({"token": {"env": "T"}}), "desk.default.token"),
    ] {
        let table = json!({"desk": {"default": section}});
        let problems = Accounts::load(&registry, &table).unwrap_err();
        let places: Vec<String> = problems.iter().map(|one| one.path.to_string()).collect();
        assert_eq!(places, [place], "{problems}");
    }
}

/// What stands for a call of the embedder's own.
#[expect(clippy::unused_async, reason = "a real one waits")]
async fn call_the_desk(recipient: &str, headline: &str, text: &str) -> Result<String, String> {
    match recipient {
        "nobody" => Err("nobody is there".to_owned()),
        _ => Ok(format!("{headline}: {}", text.len())),
    }
}

#[test]
fn five_lines_are_a_provider() -> Result<(), Box<dyn std::error::Error>> {
    let desk = provider_fn("desk", |message, recipient| async move {
        match call_the_desk(&recipient, &message.headline, &message.text).await {
            Ok(ticket) => Outcome::Delivered(Receipt::new(ticket)),
            Err(why) => Outcome::not_delivered(Cause::Unavailable, why),
        }
    });
    let registry = Registry::discover()?.with(desk)?;
    let kinds: Vec<&str> = registry.kinds().collect();
    assert!(
        kinds.contains(&"desk") && kinds.contains(&"slack"),
        "{kinds:?}"
    );
    Ok(())
}

#[test]
fn a_kind_that_is_taken_or_cannot_be_one_is_refused() {
    let silent = |kind| {
        provider_fn(kind, |message, _| async move {
            Outcome::Delivered(Receipt::new(message.id.to_string()))
        })
    };
    let registry = Registry::discover().unwrap();
    let taken = registry.clone().with(silent("slack")).unwrap_err();
    assert!(matches!(
        taken,
        RegistryError::Duplicate { kind: "slack", .. }
    ));
    let words = taken.to_string();
    assert!(
        words.contains("`notify-slack` and `provider_fn`"),
        "{words}"
    );
    for bad in ["when", "night shift", ""] {
        let refused = registry.clone().with(silent(bad)).unwrap_err();
        assert!(matches!(refused, RegistryError::BadKind { .. }), "{bad:?}");
    }
}

#[test]
fn code_and_files_declare_the_same() {
    struct Desk;
    impl NotificationKind for Desk {
        const KIND: &'static str = "desk";
        type Options = NoOptions;
        type Recipient = FreeName;
    }
    let registry = desk(&Seen::default());
    let in_code = Desk::on(phases![Failed]).to(FreeName::new("night shift").unwrap());
    let in_code = Workflow::new("etl").unwrap().notify(in_code);
    let in_file = workflow(&registry, &["night shift"]);
    assert_eq!(in_code.notifications(), in_file.notifications());
}
