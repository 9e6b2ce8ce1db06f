//! The provider's page: every key, every example, every answer and every code on it is held against
//! the program.

use std::collections::BTreeSet;

use notify_config::{Definitions, Settings, Source, Variables, config};
use notify_core::schema as json_schema;
use notify_core::slack::{MAX_MENTIONS, MAX_RAW_BLOCKS, MAX_RAW_SIZE, SlackOptions};
use notify_testkit::page::{Page, keys};

use super::*;

fn page() -> Page {
    Page::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/providers/slack.md"
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
    assert_eq!((tomls.len(), yamls.len()), (3, 6));
    let accounts: Vec<_> = tomls
        .iter()
        .map(|text| settings(text).accounts().iter().count())
        .collect();
    assert_eq!(accounts, [1, 1, 2]);
    // Each definition with the account of the first example.
    for yaml in &yamls {
        let none = Variables::of([("", ""); 0]);
        let source = Source::new("workflow.yaml", yaml);
        let definitions = Definitions::parse_with(&registry(), [source], &none).unwrap();
        let secrets = Arc::new(One(TOKEN.to_owned()));
        config(&definitions, &settings(&tomls[0]), secrets).unwrap();
    }
    let manifest: Value = serde_json::from_str(&page().blocks("json")[0]).unwrap();
    let scopes = manifest["oauth_config"]["scopes"]["bot"]
        .as_array()
        .unwrap();
    let listed = page().rows("5. Try it: `notify test slack.prod --to \"#data-alerts\"`.");
    let listed: String = listed.into_iter().map(|row| row[0].clone()).collect();
    for scope in scopes {
        let scope = format!("`{}`", scope.as_str().unwrap());
        assert!(listed.contains(&scope), "{scope}");
    }
}

fn named(rows: &[Vec<String>]) -> BTreeSet<String> {
    let name = |row: &Vec<String>| row[0].trim_matches('`').to_owned();
    rows.iter().map(name).collect()
}

#[test]
fn every_key_and_every_option_is_on_the_page_with_its_default_and_no_other() {
    let mut generator = json_schema::generator();
    let section = DESCRIPTOR.account_schema(&mut generator);
    let document = json_schema::whole(generator, section);
    let account = page().rows("## The account");
    assert_eq!(named(&account), keys(&document, &document));
    for row in &account {
        let key = row[0].trim_matches('`');
        if let Some(default) = document["properties"][key].get("default") {
            let default = default.as_str().map_or(default.to_string(), str::to_owned);
            let shown = row[2].trim_matches('`');
            assert!(shown == default || default == "null", "{key}: {default}");
        }
    }
    let generator = json_schema::generator();
    let document = json!(generator.into_root_schema_for::<SlackOptions>());
    assert_eq!(
        named(&page().rows("## The notification")),
        keys(&document, &document)
    );
    let page = page();
    let page = page.text();
    assert!(page.contains(&format!("a list of up to {MAX_MENTIONS}")));
    assert!(page.contains(&format!("at most {MAX_RAW_BLOCKS}, that each")));
    assert!(page.contains("at most 11,000 characters") && MAX_RAW_SIZE == 11_000);
}

#[test]
fn every_form_of_recipient_on_the_page_is_one() {
    for row in page().rows("## Recipients") {
        for form in row[0].split(", ") {
            let form = form.trim_matches('`').trim_matches('"');
            assert!(form.parse::<SlackRecipient>().is_ok(), "{form}");
        }
    }
}

/// Makes the answer that a cell names: a code in backticks or a status.
fn step(answered: &str) -> Step {
    match answered.strip_prefix("HTTP ") {
        Some(status) => answer(status.parse().unwrap(), ""),
        None => match answered.trim_matches('`') {
            "ok" => answer(200, POSTED),
            "is_duplicate" => answer(200, r#"{"ok":true,"is_duplicate":true}"#),
            code => refusal(code),
        },
    }
}

#[tokio::test]
async fn every_answer_on_the_page_comes_to_what_the_page_says() {
    let rows = page().rows("## What answers mean");
    assert_eq!(rows.len(), 12);
    for row in rows {
        for answered in row[0].split(", ") {
            // A message that is refused for its form is tried once more.
            let script = vec![step(answered), step(answered)];
            let (outcome, _) = by_token("#data-alerts", script).await;
            let seen = class(&outcome);
            let seen = seen.trim_end();
            let (_, rest) = row[1].split_at(seen.len().min(row[1].len()));
            let whole = rest.is_empty() || rest.starts_with([',', ':', ';']);
            assert!(
                row[1].starts_with(seen) && whole,
                "{answered}: {seen}: {}",
                row[1]
            );
        }
    }
}

#[tokio::test]
async fn every_code_that_the_page_mends_is_explained_by_the_account_too() {
    let account = token_account("https://slack.com/api/");
    for row in page().rows("## Troubleshooting") {
        for code in row[0].split(", ") {
            let code = code.trim_matches('`');
            let (outcome, _) = by_token("#data-alerts", vec![refusal(code), refusal(code)]).await;
            assert!(account.explain(&outcome).is_some(), "{code}");
        }
    }
}

#[test]
fn every_picture_on_the_page_is_there_and_no_other_is() {
    let page = page();
    let page = page.text();
    let pictures = page.split("](slack/").skip(1);
    let shown: BTreeSet<_> = pictures
        .map(|rest| rest.split(')').next().unwrap())
        .collect();
    let expected = ["failed", "long", "mention", "recovered", "thread", "update"];
    let expected: BTreeSet<_> = expected.iter().map(|name| format!("{name}.png")).collect();
    assert_eq!(shown, expected.iter().map(String::as_str).collect());
}

#[test]
fn a_mistake_in_a_file_is_shown_at_its_own_characters() {
    let text = r#"
[accounts.slack.prod]
token = { env = "T" }
channel = "data-alerts"
icon_emoji = "bell"
timeout = "2m"
tls = { ca_file = "ca.pem" }
"#;
    let none = Variables::of([("", ""); 0]);
    let found = Settings::parse_with(&registry(), "notify.toml", text, &none).unwrap_err();
    let seen: BTreeSet<&str> = found.iter().map(|one| &text[one.span().unwrap()]).collect();
    assert_eq!(seen, BTreeSet::from(["\"data-alerts\"", "\"bell\""]));
    let mended = text
        .replace("\"data-alerts\"", "\"#data-alerts\"")
        .replace("\"bell\"", "\":bell:\"");
    let found = Settings::parse_with(&registry(), "notify.toml", &mended, &none).unwrap_err();
    let seen: BTreeSet<&str> = found
        .iter()
        .map(|one| &mended[one.span().unwrap()])
        .collect();
    assert_eq!(seen, BTreeSet::from(["\"2m\"", "\"ca.pem\""]));

    let yaml = "workflow: w\nnotifications:\n  - phases: failed\n    slack:\n      to: \"#a\"\n      \
                mention: [here, jane]\n      blocks: [{text: x}]\n      thread: day\n";
    let source = Source::new("workflow.yaml", yaml);
    let found = Definitions::parse_with(&registry(), [source], &none).unwrap_err();
    let seen: BTreeSet<&str> = found.iter().map(|one| &yaml[one.span().unwrap()]).collect();
    assert_eq!(seen, BTreeSet::from(["jane", "{text: x}", "day"]));
}
