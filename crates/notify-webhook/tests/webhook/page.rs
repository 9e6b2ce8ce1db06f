//! The provider's page: every key, every example and every answer on it is held against the program.

use std::collections::BTreeSet;
use std::sync::Arc;

use notify_config::{Definitions, Settings, Source, Variables, config};
use notify_core::{AccountId, Registry, schema};
use notify_testkit::page::{Page, keys};
use notify_webhook::{DESCRIPTOR, FIELDS, MAX_BODY, MAX_FIELDS, MAX_TEMPLATE};
use serde_json::{Value, json};

use crate::server::{Server, Step};
use crate::{Fixed, Request, Vault, account, class, deliver, event, message, payload};

fn page() -> Page {
    Page::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/providers/webhook.md"
    ))
}

fn registry() -> Registry {
    Registry::of([DESCRIPTOR]).unwrap()
}

fn settings(text: &str) -> Settings {
    let none = Variables::of([("", ""); 0]);
    Settings::parse_with(&registry(), "notify.toml", text, &none).unwrap()
}

#[test]
fn every_example_of_settings_and_definitions_loads() {
    let (tomls, yamls) = (page().blocks("toml"), page().blocks("yaml"));
    assert_eq!((tomls.len(), yamls.len()), (4, 2));
    for text in &tomls {
        assert_eq!(settings(text).accounts().iter().count(), 1, "{text}");
    }
    // Each definition with the account above it.
    for (toml, yaml) in [(&tomls[0], &yamls[0]), (&tomls[3], &yamls[1])] {
        let none = Variables::of([("", ""); 0]);
        let source = Source::new("nightly-etl.yaml", yaml);
        let definitions = Definitions::parse_with(&registry(), [source], &none).unwrap();
        config(&definitions, &settings(toml), Arc::new(Vault::default())).unwrap();
    }
}

#[test]
fn every_key_is_on_the_page_with_its_default_and_no_other() {
    let mut generator = schema::generator();
    let section = DESCRIPTOR.account_schema(&mut generator);
    let document = schema::whole(generator, section);
    let endpoint = &document["$defs"]["WebhookEndpoint"];
    for (heading, of) in [("## The account", &document), ("## An endpoint", endpoint)] {
        let expected = keys(&document, of);
        let rows = page().rows(heading);
        let named: BTreeSet<String> = rows
            .iter()
            .map(|row| row[0].trim_matches('`').to_owned())
            .collect();
        assert_eq!(named, expected, "{heading}");
        for row in rows {
            let (key, default) = (row[0].trim_matches('`'), row[2].trim_matches('`'));
            if let Some(value) = of["properties"][key].get("default") {
                let none = value.as_object().is_some_and(serde_json::Map::is_empty)
                    || value.as_array().is_some_and(Vec::is_empty)
                    || value.is_null();
                let text = value.as_str().map_or(value.to_string(), str::to_owned);
                assert_eq!(default, if none { "none" } else { &text }, "{key}");
            }
        }
    }
}

#[test]
fn every_field_is_on_the_page_and_no_other() {
    let rows = page().rows("### A body of one's own");
    let named: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row[0].trim_matches('`'), row[1].as_str()))
        .collect();
    assert_eq!(named, FIELDS);
    let bounds = format!("at most {MAX_FIELDS} fields and 16,384 bytes");
    assert!(page().text().contains(&bounds) && MAX_TEMPLATE == 16_384);
    assert!(page().text().contains("at most 65,536 bytes") && MAX_BODY == 65_536);
}

#[test]
fn the_bodies_on_the_page_are_those_that_are_sent() {
    let of_settings = |text: &str, name: &str| {
        let settings = settings(text);
        let id: AccountId = "webhook.default".parse().unwrap();
        let account = settings.accounts().get(&id).unwrap();
        payload(&**account, name, &event(), &message())
    };
    let (tomls, shown) = (page().blocks("toml"), page().blocks("json"));
    let sent = [of_settings(&tomls[0], "ci"), of_settings(&tomls[2], "chat")];
    assert_eq!(shown.len(), sent.len());
    for (shown, sent) in shown.iter().zip(&sent) {
        let shown: Value = serde_json::from_str(shown).unwrap();
        let sent: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(shown, sent);
    }
}

#[tokio::test]
async fn the_request_on_the_page_is_the_one_that_is_sent() {
    let server = Server::start(vec![Step::answer(204, "", "")]);
    let section = json!({"endpoints": {"ci": {"url": server.url("/hook"), "mode": "binary"}}});
    deliver(&*account(&section), "ci", &Vault::default(), &Fixed).await;
    let request = Request::of(&server.requests().await[0]);
    let shown = page().blocks("http").remove(0);
    let mut lines = shown.lines();
    assert_eq!(lines.next(), Some(request.line.as_str()));
    let shown: BTreeSet<String> = lines.map(str::to_owned).collect();
    let of_wire = ["accept", "content-length", "host", "user-agent"];
    let headers = request.headers.iter();
    let sent: BTreeSet<String> = headers
        .filter(|(name, _)| !of_wire.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert_eq!(shown, sent);
}

#[tokio::test]
async fn every_answer_on_the_page_comes_to_what_the_page_says() {
    let rows = page().rows("## What answers mean");
    assert_eq!(rows.len(), 8);
    for row in rows {
        for status in row[0].split(", ") {
            let server = Server::start(vec![Step::answer(status.parse().unwrap(), "", "")]);
            let section = json!({"endpoints": {"ci": {"url": server.url("/hook")}}});
            let outcome = deliver(&*account(&section), "ci", &Vault::default(), &Fixed).await;
            server.requests().await;
            let seen = class(&outcome);
            let (_, rest) = row[1].split_at(seen.len().min(row[1].len()));
            let whole = rest.is_empty() || rest.starts_with([',', ':', ';']);
            assert!(
                row[1].starts_with(&seen) && whole,
                "{status}: {seen}: {}",
                row[1]
            );
        }
    }
}

#[test]
fn a_mistake_in_a_file_is_shown_at_its_own_characters() {
    let text = r#"
[accounts.webhook.default]
timeout = "2m"
endpoints.ci.url = "https://ci.example.com/?token=hunter2"
endpoints.ci.headers = { Host = "a", x-api-key = "hunter2" }

[accounts.webhook.default.endpoints.chat]
url = { env = "CHAT" }
methd = "PUT"
mode = "binary"
signing_keys = ["whsec_hunter2"]

[accounts.webhook.default.endpoints.own]
url = { env = "OWN" }
body.text = "{{ headlin }}"
body.list = [1, { deep = "{{ text" }]
tls = { ca_file = "ca.pem" }
"#;
    let none = Variables::of([("", ""); 0]);
    let found = Settings::parse_with(&registry(), "notify.toml", text, &none).unwrap_err();
    let mut seen: Vec<(&str, String)> = found
        .iter()
        .map(|one| (&text[one.span().unwrap()], one.code().to_string()))
        .collect();
    seen.sort_unstable();
    // What is of no known form is told first; the rest needs an account to look at.
    let early = [
        ("\"whsec_hunter2\"", "NOTIFY-0018".to_owned()),
        ("methd", "NOTIFY-0005".to_owned()),
    ];
    assert_eq!(seen, early);
    let mended = text
        .replace("methd = \"PUT\"\n", "")
        .replace("[\"whsec_hunter2\"]", "[{ env = \"KEY\" }]");
    let found = Settings::parse_with(&registry(), "notify.toml", &mended, &none).unwrap_err();
    let mut seen: Vec<(&str, String)> = found
        .iter()
        .map(|one| (&mended[one.span().unwrap()], one.code().to_string()))
        .collect();
    seen.sort_unstable();
    let expected = [
        ("\"2m\"", "NOTIFY-0007"),
        ("\"ca.pem\"", "NOTIFY-0007"),
        ("\"https://ci.example.com/?token=hunter2\"", "NOTIFY-0018"),
        ("\"hunter2\"", "NOTIFY-0018"),
        ("\"{{ headlin }}\"", "NOTIFY-0022"),
        ("\"{{ text\"", "NOTIFY-0022"),
        ("Host", "NOTIFY-0007"),
    ];
    let expected = expected.map(|(text, code)| (text, code.to_owned()));
    assert_eq!(seen, expected);
    assert!(!found.to_string().contains("hunter2"), "{found}");
}
