//! The provider's page: every key, every example and every answer on it is held against the program.

use std::collections::BTreeSet;
use std::sync::Arc;

use notify_config::{Definitions, Settings, Source, Variables, config};
use notify_core::email::FlyteKey;
use notify_core::{Registry, schema};
use notify_email::DESCRIPTOR;
use notify_testkit::fake::{SmtpAct, SmtpFake, SmtpScript};
use notify_testkit::page::{Page, keys};
use serde_json::json;

use crate::reuse::Client;
use crate::{Fixed, with_login};

fn page() -> Page {
    Page::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/providers/email.md"
    ))
}

fn registry() -> Registry {
    Registry::of([DESCRIPTOR]).unwrap()
}

#[test]
fn every_example_of_settings_and_definitions_loads() {
    let (tomls, yamls) = (page().blocks("toml"), page().blocks("yaml"));
    assert_eq!((tomls.len(), yamls.len()), (6, 3));
    let none = Variables::of([("", ""); 0]);
    for toml in &tomls {
        let settings = Settings::parse_with(&registry(), "notify.toml", toml, &none).unwrap();
        assert_eq!(settings.accounts().iter().count(), 1, "{toml}");
        for (_, account) in settings.accounts().iter() {
            assert_eq!(account.warnings(), []);
        }
        for yaml in &yamls {
            let source = Source::new("nightly-etl.yaml", yaml);
            let definitions = Definitions::parse_with(&registry(), [source], &none).unwrap();
            config(&definitions, &settings, Arc::new(Fixed)).unwrap();
        }
    }
}

#[test]
fn every_key_is_on_the_page_with_its_default_and_no_other() {
    let document = |section: fn(&mut schemars::SchemaGenerator) -> schema::Schema| {
        let mut generator = schema::generator();
        let section = section(&mut generator);
        schema::whole(generator, section)
    };
    let account = document(|generator| DESCRIPTOR.account_schema(generator));
    let options = document(|generator| DESCRIPTOR.options_schema(generator));
    for (heading, document) in [
        ("## The account", &account),
        ("## A notification", &options),
    ] {
        let rows = page().rows(heading);
        let named: BTreeSet<String> = rows
            .iter()
            .map(|row| row[0].trim_matches('`').to_owned())
            .collect();
        assert_eq!(named, keys(document, document), "{heading}");
        for row in rows {
            let (key, default) = (row[0].trim_matches('`'), row[2].trim_matches('`'));
            let timeouts = &document["$defs"]["EmailTimeouts"]["properties"];
            let of = match key.split_once('.') {
                Some(("timeouts", key)) => &timeouts[key],
                _ => &document["properties"][key],
            };
            if let Some(value) = of.get("default").filter(|value| !value.is_object()) {
                let none = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
                let text = value.as_str().map_or(value.to_string(), str::to_owned);
                let own_name = key == "hello" && default == "this machine's";
                assert!(
                    own_name || default == if none { "none" } else { &text },
                    "{key}: {text}"
                );
            }
        }
    }
}

#[test]
fn the_schema_of_a_notification_agrees_with_the_reader_wherever_it_can() {
    let registry = registry();
    let mut generator = schema::generator();
    let notification = registry.notification_schema(&mut generator);
    let whole = schema::whole(generator, notification);
    let validator = jsonschema::validator_for(&whole).unwrap();
    let to = json!(["jane@example.com"]);
    let flyte = |subject: &str| json!({"subject": subject, "body": "<p>{{ error }}</p>"});
    let table = [
        (json!("jane@example.com"), true),
        (json!({"to": to, "together": true}), true),
        (json!({"to": to, "cc": ["a@b.example"], "bcc": []}), true),
        (json!({"to": to, "headers": {"X-Team": "größer"}}), true),
        (json!({"to": to, "flyte": flyte("{{ name }}")}), true),
        (json!({"to": to, "together": "yes"}), false),
        (json!({"to": to, "cc": "a@b.example"}), false),
        (json!({"to": to, "cc": ["a"]}), false),
        (json!({"to": to, "headers": {"X Team": "a"}}), false),
        (json!({"to": to, "headers": {"X-Team": "a\nb"}}), false),
        (json!({"to": to, "headers": {"X-Team": 7}}), false),
        (json!({"to": to, "flyte": {"subject": "x"}}), false),
        (json!({"to": to, "flyte": flyte("a\nb")}), false),
        (json!({"to": to, "subject": "x"}), false),
    ];
    for (body, taken) in table {
        let declared = json!({"phases": "failed", "email": body});
        assert_eq!(
            registry.load_notification(&declared).is_ok(),
            taken,
            "{body}"
        );
        assert_eq!(validator.is_valid(&declared), taken, "{body}");
    }
    // What a schema cannot see is found by the reader, at its place.
    let unseen = [
        (
            json!({"to": to, "headers": {"From": "a@b.example"}}),
            "email.headers.From",
        ),
        (
            json!({"to": to, "flyte": flyte("{{ nam }}")}),
            "email.flyte.subject",
        ),
    ];
    for (body, place) in unseen {
        let declared = json!({"phases": "failed", "email": body});
        assert!(validator.is_valid(&declared));
        let found = registry.load_notification(&declared).unwrap_err();
        let places: Vec<String> = found.iter().map(|one| one.path.to_string()).collect();
        assert_eq!(places, [place], "{found}");
    }
}

#[test]
fn every_key_of_flytes_is_on_the_page_and_no_other() {
    let rows = page().rows("## Templates of Flyte");
    let named: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(named, FlyteKey::ALL.map(FlyteKey::name));
}

#[tokio::test]
async fn every_answer_on_the_page_comes_to_what_the_page_says() {
    let rows = page().rows("## What answers mean");
    assert_eq!(rows.len(), 22);
    for row in rows {
        let [stage, answer, expected] = row.as_slice() else {
            panic!("{row:?}");
        };
        let acts = if answer.starts_with("nothing") {
            vec![SmtpAct::Close, SmtpAct::Silence]
        } else {
            vec![SmtpAct::Say(answer.clone())]
        };
        for act in acts {
            let script = SmtpScript::default();
            let script = match stage.as_str() {
                "connect" => script.greeting(act),
                "ehlo" => script.ehlo(act),
                "auth" => script.auth(act),
                "mail" => script.mail(act),
                "rcpt" => script.rcpt(act),
                "data" => script.data(act),
                "message" => script.message(act),
                other => panic!("{other}"),
            };
            let fake = SmtpFake::start(script);
            let client = Client::of(&with_login(&format!("smtp+plaintext://{}", fake.address())));
            let seen = client.send(1).await;
            assert!(seen.starts_with(expected), "{row:?}: {seen}");
        }
    }
}

#[test]
fn a_mistake_in_a_file_is_shown_at_its_own_characters() {
    let text = r#"
[accounts.email.default]
smtp = "smtp://smtp.example.com"
from = "Workflows <workflows@example.com>"
to = ["jane@example.com", "joe"]
username = "ops"
password = { env = "P" }
auth = "xoauth2"
hello = "bare"
headers = { From = "boss@example.com", X-A = "b\nc" }
timeouts = { message = "1h" }
tls = { ca_file = "ca.pem" }
"#;
    let none = Variables::of([("", ""); 0]);
    let spans = |text: &str| {
        let found = Settings::parse_with(&registry(), "notify.toml", text, &none).unwrap_err();
        let spans = found.iter().map(|one| text[one.span().unwrap()].to_owned());
        let mut spans: Vec<String> = spans.collect();
        spans.sort_unstable();
        spans
    };
    // What is of no known form is told first; the rest needs an account to look at.
    assert_eq!(
        spans(text),
        ["\"b\\nc\"", "\"boss@example.com\"", "\"joe\""]
    );
    let mended = text
        .replace(", \"joe\"", "")
        .replace("From = \"boss@example.com\", ", "");
    let mended = mended.replace("\"b\\nc\"", "\"b\"");
    let expected = ["\"1h\"", "\"bare\"", "\"ca.pem\"", "\"xoauth2\""];
    assert_eq!(spans(&mended), expected);
}
