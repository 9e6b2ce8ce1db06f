//! Laws: whatever a message says, PagerDuty gets that text and nothing else, within its limits.
//!
//! What cutting leaves of a message is under laws of its own, next to `fit`; here what is left is
//! held against the payload.

#[path = "../../notify-core/tests/support/any_message.rs"]
mod any_message;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use notify_core::content::{self, Block, Inline};
use notify_core::fit::one_line;
use notify_core::pagerduty::PagerDutyOptions;
use notify_core::{
    Action, Delivery, DeliveryId, Execution, Failure, Message, Notification, NotificationKind,
    PagerDuty, PagerDutyService, Recipient, TerminalPhase, WorkflowEnded, WorkflowName, phases,
    service,
};
use notify_http::web_url;
use proptest::prelude::ProptestConfig;
use proptest::{prop_assert, prop_assert_eq, proptest};
use serde_json::{Map, Value, json};

use self::any_message::{any_message, any_text, is_shown, laws};
use crate::config::Severities;
use crate::message::{Look, body, fitted};

const SERVICE: PagerDutyService = service!("data-platform");

/// Gives what `lower` makes of the opening of a conversation.
fn opening<T>(failure: &str, lower: impl Fn(&Delivery<'_>) -> T) -> T {
    let event = WorkflowEnded::new(
        WorkflowName::new("nightly-etl").unwrap(),
        Execution::new("analytics", "production", "run-17").unwrap(),
        TerminalPhase::Failed,
    )
    .failure(Failure::new(failure));
    let notification: Notification = PagerDuty::on(phases![Failed]).to(SERVICE).into();
    let to = Recipient::of(&SERVICE);
    let id: DeliveryId = "ntf_00000000000000000000000000000007".parse().unwrap();
    let at = "2026-11-20T23:57:46Z".parse().unwrap();
    let delivery = Delivery::new(id, &event, &notification, &to, at);
    lower(&delivery.in_conversation("k", Action::Open))
}

/// What an account says of every event.
fn look() -> Look {
    Look {
        severity: Severities::default(),
        client: "workflow-notify".to_owned(),
        client_url: None,
    }
}

/// What the summary may say after the headline.
fn last_line(failure: &str) -> Option<String> {
    let mut lines = failure.split('\n').rev().map(one_line);
    lines.find(|line| !line.is_empty())
}

/// Writes the details of a fitted message; those of one name are counted.
fn details(message: &Message, links: &[Value]) -> Map<String, Value> {
    let mut facts = Vec::new();
    let mut text = Vec::new();
    let mut output = Vec::new();
    for block in &message.blocks {
        match block {
            Block::Fields(fields) => facts.extend(
                fields
                    .iter()
                    .map(|field| (field.label.clone(), field.value.trim().to_owned())),
            ),
            Block::Code(code) => output.push(code.trim_matches('\n').to_owned()),
            block => text.push(block.plain_text()),
        }
    }
    text.extend(message.footer.clone());
    let mut links = links.iter().peekable();
    for content::Action { label, url } in &message.actions {
        // Links keep the order of the actions; what is not the next of them is text.
        let href = web_url(url).map(Value::from);
        if links
            .next_if(|link| Some(&link["href"]) == href.as_ref())
            .is_none()
        {
            text.push(format!("{label}: {url}"));
        }
    }
    let join = |parts: Vec<String>| {
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("\n\n")
    };
    for (label, text) in [("text", join(text)), ("output", join(output))] {
        if !text.is_empty() {
            facts.push((label.to_owned(), text));
        }
    }
    facts.push((
        "delivery".to_owned(),
        "ntf_00000000000000000000000000000007".to_owned(),
    ));
    let mut details = Map::new();
    let mut names = BTreeMap::new();
    for (label, value) in facts {
        let count: &mut usize = names.entry(label.clone()).or_default();
        *count += 1;
        let name = if *count == 1 {
            label
        } else {
            format!("{label} ({count})")
        };
        details.insert(name, value.into());
    }
    details
}

fn is_shown_label(label: &str, link: &Value) -> bool {
    is_shown(label, link["text"].as_str().unwrap())
}

proptest! {
    #![proptest_config(laws())]

    #[test]
    fn pagerduty_is_told_the_message_and_nothing_else(
        message in any_message(),
        failure in any_text(),
    ) {
        let body = opening(&failure, |delivery| body(&look(), delivery, &message));
        let message = opening(&failure, |delivery| fitted(&look(), delivery, &message));
        // An event keeps the end of a failure without end.
        let failure = Failure::new(failure).message;

        let summary = body["payload"]["summary"].as_str().unwrap();
        prop_assert!((1..=1_024).contains(&summary.encode_utf16().count()));
        prop_assert_eq!(summary, one_line(summary));
        let said = last_line(&failure).filter(|said| !message.headline.contains(said.as_str()));
        let full = match (message.headline.as_str(), said) {
            ("", None) => "A workflow ended".to_owned(),
            ("", Some(said)) => said,
            (headline, None) => headline.to_owned(),
            (headline, Some(said)) => format!("{headline}: {said}"),
        };
        let kept = any_message::marked(summary).map_or(summary, |(kept, _)| kept);
        prop_assert!(summary == full || full.starts_with(kept.trim_end()), "{summary}\n{full}");

        let links = body["links"].as_array().unwrap();
        prop_assert!(links.len() <= 20);
        let inlines = message.blocks.iter().flat_map(|block| match block {
            Block::Text(inlines) | Block::Heading(inlines) => inlines.clone(),
            Block::Items { items, .. } => items.concat(),
            _ => Vec::new(),
        });
        let of_text = inlines.filter_map(|inline| match inline {
            Inline::Link { text, .. } => Some(one_line(&text)),
            _ => None,
        });
        let labels: Vec<_> = message.actions.iter().map(|action| action.label.clone()).collect();
        let labels: Vec<_> = labels.into_iter().chain(of_text).collect();
        for link in links {
            let href = link["href"].as_str().unwrap();
            prop_assert!(href.starts_with("https://") || href.starts_with("http://"));
            prop_assert!(href.len() <= 3_000 && href.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(labels.iter().any(|label| is_shown_label(label, link)));
        }

        let found = body["payload"]["custom_details"].as_object().unwrap();
        let expected = details(&message, links);
        let values = |details: &Map<String, Value>| {
            let mut values: Vec<_> = details.values().map(ToString::to_string).collect();
            values.sort();
            values
        };
        prop_assert_eq!(values(found), values(&expected));
        for name in expected.keys().filter(|name| name.len() <= 200) {
            prop_assert!(found.contains_key(name), "{name}");
        }
    }

    #[test]
    fn pagerduty_takes_every_message(message in any_message(), failure in any_text()) {
        let lower = || opening(&failure, |delivery| body(&look(), delivery, &message));
        let body = lower();
        let bytes = body.to_string();
        prop_assert_eq!(&bytes, &lower().to_string());
        prop_assert!(bytes.len() <= 200_000, "{}", bytes.len());
        let keys: Vec<_> = body.as_object().unwrap().keys().collect();
        prop_assert_eq!(keys, ["client", "dedup_key", "event_action", "links", "payload"]);
    }
}

/// Puts any text wherever a notification takes one.
fn options_of(text: &str) -> PagerDutyOptions {
    let url = format!("https://example.com/{text}");
    let kept = |value: Value| {
        let kept: Result<PagerDutyOptions, _> = serde_json::from_value(value.clone());
        kept.is_ok().then_some(value)
    };
    let mut said = json!({"change_events": true});
    for own in [
        json!({"details": {"a": text, "b": [text]}}),
        json!({"component": text, "group": text, "class": text}),
        json!({"links": [{"href": url, "text": text}]}),
        json!({"images": [{"src": url, "href": url, "alt": text}]}),
        json!({"details": {text: text}}),
    ] {
        if let Some(Value::Object(own)) = kept(own) {
            said.as_object_mut().unwrap().extend(own);
        }
    }
    serde_json::from_value(said).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: laws().cases / 10, ..laws() })]

    #[test]
    fn pagerdutys_own_schemas_take_every_message_with_every_option(
        message in any_message(),
        failure in any_text(),
        text in any_text(),
    ) {
        let Some((of_events, of_changes)) = SCHEMAS.as_ref() else {
            return Ok(());
        };
        let options = options_of(&text);
        let bodies = [
            (of_events, opening(&failure, |delivery| body(&look(), delivery, &message))),
            (of_events, with_options(TerminalPhase::Failed, &options, &message)),
            (of_changes, with_options(TerminalPhase::Succeeded, &options, &message)),
        ];
        for (schema, mut body) in bodies {
            prop_assert!(body.to_string().len() <= 200_000);
            body["routing_key"] = json!("R0123456789abcdef0123456789ABCDE");
            let errors: Vec<_> = schema
                .iter_errors(&body)
                .map(|err| err.to_string())
                .collect();
            prop_assert!(errors.is_empty(), "{errors:?}");
        }
    }
}

/// Lowers a message by itself, outside a conversation.
fn with_options(phase: TerminalPhase, options: &PagerDutyOptions, message: &Message) -> Value {
    let event = WorkflowEnded::new(
        WorkflowName::new("nightly-etl").unwrap(),
        Execution::new("analytics", "production", "run-17").unwrap(),
        phase,
    );
    let notification: Notification = PagerDuty::on(phases![Failed, Succeeded])
        .to(SERVICE)
        .options(|own| *own = options.clone())
        .into();
    let to = Recipient::of(&SERVICE);
    let id: DeliveryId = "ntf_00000000000000000000000000000007".parse().unwrap();
    let at = "2026-11-20T23:57:46Z".parse().unwrap();
    let delivery = Delivery::new(id, &event, &notification, &to, at);
    body(&look(), &delivery, message)
}

/// The vendor's schemas of events and of changes, where they are at hand.
static SCHEMAS: LazyLock<Option<(Validator, Validator)>> = LazyLock::new(|| {
    let golden = std::env::var_os("NOTIFY_GOLDEN_DIR")?;
    let folder = Path::new(&golden).join("pagerduty/schema");
    let validator = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let schema = serde_json::from_str(&text).unwrap();
        let options = jsonschema::options().should_validate_formats(true);
        options.build(&schema).unwrap()
    };
    Some((
        validator("enqueue.request.strict.schema.json"),
        validator("change.enqueue.request.strict.schema.json"),
    ))
});
