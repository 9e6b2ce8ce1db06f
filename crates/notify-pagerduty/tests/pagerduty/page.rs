//! The provider's page: every key, every example and every answer on it is held against the program.

use std::collections::BTreeSet;
use std::sync::Arc;

use notify_config::{Definitions, Settings, Source, Variables, config};
use notify_core::{
    Action, DeliveryContext, Message, Notification, Prepared, Recipient, Registry, Secrets,
    TerminalPhase, schema,
};
use notify_pagerduty::DESCRIPTOR;
use notify_testkit::fake::{HttpFake, Reply};
use notify_testkit::page::{Page, keys};
use serde_json::{Value, json};

use crate::{
    Fixed, KEY, One, account, class, event, id, json_of, message, notification, payload, service,
    success,
};

fn page() -> Page {
    Page::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/providers/pagerduty.md"
    ))
}

fn registry() -> Registry {
    Registry::of([DESCRIPTOR]).unwrap()
}

fn settings(text: &str) -> Settings {
    let none = Variables::of([("", ""); 0]);
    Settings::parse_with(&registry(), "notify.toml", text, &none).unwrap()
}

fn definitions(text: &str) -> Definitions {
    let none = Variables::of([("", ""); 0]);
    let source = Source::new("nightly-etl.yaml", text);
    Definitions::parse_with(&registry(), [source], &none).unwrap()
}

#[test]
fn every_example_of_settings_and_definitions_loads() {
    let (tomls, yamls) = (page().blocks("toml"), page().blocks("yaml"));
    assert_eq!((tomls.len(), yamls.len()), (3, 3));
    for text in &tomls {
        assert_eq!(settings(text).accounts().iter().count(), 1, "{text}");
    }
    for (toml, yaml) in [
        (&tomls[0], &yamls[0]),
        (&tomls[1], &yamls[1]),
        (&tomls[1], &yamls[2]),
    ] {
        config(&definitions(yaml), &settings(toml), Arc::new(One(KEY))).unwrap();
    }
}

#[test]
fn every_key_is_on_the_page_with_its_default_and_no_other() {
    let mut generator = schema::generator();
    let section = DESCRIPTOR.account_schema(&mut generator);
    let account = schema::whole(generator, section);
    let mut generator = schema::generator();
    let options = generator.subschema_for::<notify_core::pagerduty::PagerDutyOptions>();
    let options = schema::whole(generator, options);
    let of_options = &options["$defs"]["PagerDutyOptions"];
    for (heading, document, of) in [
        ("## The account", &account, &account),
        ("## The notification", &options, of_options),
    ] {
        let expected = keys(document, of);
        let rows = page().rows(heading);
        let named: BTreeSet<String> = rows
            .iter()
            .map(|row| row[0].trim_matches('`').to_owned())
            .collect();
        assert_eq!(named, expected, "{heading}");
        for row in rows {
            let (key, default) = (row[0].trim_matches('`'), row[2].trim_matches('`'));
            if let Some(value) = of["properties"][key].get("default") {
                let none = match value {
                    Value::Object(map) => map.values().all(Value::is_null),
                    Value::Array(items) => items.is_empty(),
                    value => value.is_null(),
                };
                let text = value.as_str().map_or(value.to_string(), str::to_owned);
                assert_eq!(default, if none { "none" } else { &text }, "{key}");
            }
        }
    }
}

/// Lowers a message for the longer example's first notification.
fn of_example(phase: TerminalPhase, action: Action, message: &Message) -> Value {
    let definitions = definitions(&page().blocks("yaml")[2]);
    let workflow = definitions.workflows().next().unwrap();
    let notification: &Notification = &workflow.notifications()[0];
    let settings = settings(&page().blocks("toml")[0]);
    let id = "pagerduty.default".parse().unwrap();
    let account = settings.accounts().get(&id).unwrap();
    json_of(&payload(
        &**account,
        notification,
        &event(phase),
        action,
        message,
    ))
}

#[test]
fn the_bodies_on_the_page_are_those_that_are_sent() {
    let sent = [
        of_example(TerminalPhase::Failed, Action::Open, &message()),
        of_example(TerminalPhase::Succeeded, Action::Close, &success()),
        of_example(TerminalPhase::Succeeded, Action::Send, &success()),
    ];
    let shown = page().blocks("json");
    assert_eq!(shown.len(), sent.len());
    for (shown, sent) in shown.iter().zip(&sent) {
        let shown: Value = serde_json::from_str(shown).unwrap();
        assert_eq!(&shown, sent);
    }
}

/// Sends one event to a server that answers so.
async fn outcome(reply: Reply) -> String {
    let server = HttpFake::start([reply]);
    let account = account(&server.url(""));
    let secrets = Secrets::resolve(account.secrets(), &One(KEY));
    let transport = account.connect(&secrets).unwrap();
    let event = event(TerminalPhase::Failed);
    let notification = notification("data-platform");
    let prepared = Prepared {
        id: id(),
        recipient: Recipient::of(&service("data-platform")),
        payload: payload(&*account, &notification, &event, Action::Open, &message()),
    };
    let cx = DeliveryContext::new(1, &Fixed);
    class(&transport.deliver(&cx, &[prepared]).await[0])
}

#[tokio::test]
async fn every_answer_on_the_page_comes_to_what_the_page_says() {
    let rows = page().rows("## What answers mean");
    assert_eq!(rows.len(), 9);
    for row in rows {
        for status in row[0].split(", ") {
            let reply = match status.strip_suffix(" with `routing_key`") {
                Some(status) => {
                    let errors = ["Length of 'routing_key' is incorrect"];
                    Reply::json(status.parse().unwrap(), &json!({"errors": errors}))
                }
                None => Reply::new(status.parse().unwrap()),
            };
            let seen = outcome(reply).await;
            let rest = row[1].strip_prefix(&seen);
            let whole =
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([',', ':', ';']));
            assert!(whole, "{status}: {seen}: {}", row[1]);
        }
    }
}

#[test]
fn a_mistake_in_a_file_is_shown_at_its_own_characters() {
    let text = r#"
[accounts.pagerduty.default]
service = "data"
timeout = "2m"
client_url = "https://[bad"
tls = { ca_file = "ca.pem", insecure_skip_verify = true }

[accounts.pagerduty.default.services]
data-platform = { env = "PD" }
"#;
    let none = Variables::of([("", ""); 0]);
    let found = Settings::parse_with(&registry(), "notify.toml", text, &none).unwrap_err();
    let mut seen: Vec<&str> = found.iter().map(|one| &text[one.span().unwrap()]).collect();
    seen.sort_unstable();
    let expected = [
        "\"2m\"",
        "\"ca.pem\"",
        "\"data\"",
        "\"https://[bad\"",
        "insecure_skip_verify",
    ];
    assert_eq!(seen, expected);
}
