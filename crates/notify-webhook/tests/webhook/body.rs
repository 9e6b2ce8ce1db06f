//! What goes out, held against the specifications: on purpose and by chance.

#[path = "../../../notify-core/tests/support/any_message.rs"]
mod any_message;

use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use notify_core::content::{Action, Block, Inline, Severity, Style};
use notify_core::fit::fit;
use notify_core::{
    Account, Delivery, Execution, Failure, Message, TerminalPhase, WorkflowEnded, WorkflowName,
};
use notify_webhook::{FIELDS, MAX_BODY, OPTIONAL_FACTS};
use proptest::prelude::ProptestConfig;
use proptest::{prop_assert_eq, proptest};
use serde_json::{Value, json};

use self::any_message::{any_message, any_text, laws};
use crate::{Fixed, account, event, id, message, notification, payload};

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let path = "../../docs/providers/webhook-event.schema.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::options().should_validate_formats(true);
    validator.build(&schema).unwrap()
});

/// Gives what is wrong with an event, by the published schema and by the rules on attributes.
fn mistakes(event: &Value) -> Vec<String> {
    let mut mistakes: Vec<String> = SCHEMA
        .iter_errors(event)
        .map(|err| err.to_string())
        .collect();
    for (name, value) in event.as_object().unwrap() {
        // CloudEvents 1.0.2, “Naming conventions” and “Type system”.
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        if !name.chars().all(plain) || name.len() > 20 {
            mistakes.push(format!("{name}: not the name of an attribute"));
        }
        let control = |text: &str| text.contains(char::is_control);
        if name != "data"
            && value
                .as_str()
                .is_none_or(|text| text.is_empty() || control(text))
        {
            mistakes.push(format!("{name}: not the value of an attribute"));
        }
    }
    mistakes
}

fn plain() -> std::sync::Arc<dyn Account> {
    account(&json!({"endpoints": {"ci": {"url": "https://ci.example.com/"}}}))
}

fn own(body: &Value) -> std::sync::Arc<dyn Account> {
    account(&json!({"endpoints": {"ci": {"url": "https://ci.example.com/", "body": body}}}))
}

fn structured(event: &WorkflowEnded, message: &Message) -> Value {
    let payload = payload(&*plain(), "ci", event, message);
    assert_eq!(payload.content_type, "application/cloudevents+json");
    assert!(payload.body.len() <= MAX_BODY, "{}", payload.body.len());
    serde_json::from_slice(&payload.body).unwrap()
}

#[test]
fn every_end_is_an_event_by_the_published_schema() {
    for (phase, attempt) in [
        (TerminalPhase::Succeeded, 1),
        (TerminalPhase::Failed, 2),
        (TerminalPhase::Aborted, 3),
        (TerminalPhase::TimedOut, 4),
    ] {
        let mut event = event();
        event.phase = phase;
        event.execution = event.execution.attempt(attempt);
        let body = structured(&event, &message());
        assert_eq!(mistakes(&body), [""; 0], "{body}");
        assert_eq!(
            body["type"],
            format!("org.workflow-notify.workflow.{}", phase.name())
        );
        let subject = if attempt == 1 {
            "run-17".to_owned()
        } else {
            format!("run-17#{attempt}")
        };
        assert_eq!(body["subject"], subject);
    }
}

#[test]
fn the_end_that_the_scheduler_did_not_name_is_that_of_the_delivery() {
    let mut event = event();
    event.ended_at = None;
    let body = structured(&event, &message());
    assert_eq!(body["time"], "2026-11-20T23:57:46Z");
    assert_eq!(body["data"]["event"]["ended_at"], "2026-11-20T23:57:46Z");
}

#[test]
fn who_is_told_is_no_fact_of_the_run() {
    let event = event().notifications(vec![notification("ci")]);
    let body = structured(&event, &message());
    assert_eq!(body["data"]["event"].get("notifications"), None);
}

#[test]
fn what_can_be_opened_is_a_link_and_the_rest_is_text() {
    let link = |text: &str, url: &str| Inline::Link {
        text: text.to_owned(),
        url: url.to_owned(),
        style: Style::default(),
    };
    let message = Message::new("failed", Severity::Error)
        .block(Block::Text(vec![
            link("run", "https://example.com/17"),
            link("row\n4", "https://example.com/a b"),
            link("mail", "mailto:jane@example.com"),
        ]))
        .action("Open run", "https://example.com/17")
        .action("Script", "javascript:alert(1)");
    let said = structured(&event(), &message)["data"]["message"].clone();
    let expected = json!([
        {"label": "Open run", "url": "https://example.com/17"},
        {"label": "row 4", "url": "https://example.com/a%20b"},
    ]);
    assert_eq!(said["links"], expected);
    let text = said["text"].as_str().unwrap();
    assert!(text.ends_with("\n\nScript: javascript:alert(1)"), "{text}");
    assert!(text.contains("mail (mailto:jane@example.com)"), "{text}");
}

/// An event with more of everything than there is room for.
fn crowded() -> WorkflowEnded {
    let mut event = event();
    event.failure = Some(Failure::new("\u{1}".repeat(60_000)).code("\u{1}".repeat(1_000)));
    event.url = Some("\u{1}".repeat(4_000));
    for index in 0..60 {
        let name = format!("{index}{}", "\u{1}".repeat(500));
        event.labels.insert(name, "\u{1}".repeat(1_000));
        event = event.task(format!("task {index}"), TerminalPhase::Failed);
    }
    event
        .output("all", "x".repeat(60_000))
        .principal("\u{1}".repeat(1_000))
}

#[test]
fn what_there_is_no_room_for_is_named() {
    let long = Message::new("failed", Severity::Error).block(Block::Code("y\n".repeat(50_000)));
    let outputs = event().output("all", "x".repeat(60_000));
    let labels: Vec<(WorkflowEnded, &[&str])> = vec![
        (event(), &[]),
        (outputs, &["outputs"]),
        (
            crowded(),
            &["outputs", "tasks", "labels", "principal", "url"],
        ),
    ];
    for (event, omitted) in labels {
        let body = structured(&event, &long);
        assert_eq!(mistakes(&body), [""; 0]);
        let data = &body["data"];
        let expected = if omitted.is_empty() {
            None
        } else {
            Some(json!(omitted))
        };
        assert_eq!(data.get("omitted"), expected.as_ref());
        for name in omitted {
            assert_eq!(data["event"].get(*name), None, "{name}");
        }
        let text = data["message"]["text"].as_str().unwrap();
        assert!(text.contains("characters omitted …"), "{text}");
    }
    assert_eq!(OPTIONAL_FACTS, ["outputs", "tasks", "labels"]);
}

#[test]
fn an_output_that_is_cut_keeps_its_end() {
    let mut event = event();
    event.failure = Some(Failure::new(format!("{}row 4", "\u{1}".repeat(60_000))));
    let body = structured(&event, &message());
    let said = body["data"]["event"]["failure"]["message"]
        .as_str()
        .unwrap();
    assert!(
        said.ends_with("row 4") && said.contains("characters omitted"),
        "{said}"
    );
}

#[test]
fn a_body_of_ones_own_stays_in_bounds_however_often_it_says_the_same() {
    for name in ["event", "message", "text", "failure.message", "labels"] {
        let body = json!({"all": vec![format!("{{{{ {name} }}}}"); 32]});
        let long = Message::new("\u{1}x".repeat(9_000), Severity::Error)
            .block(Block::text("\"".repeat(90_000)));
        let payload = payload(&*own(&body), "ci", &crowded(), &long);
        assert_eq!(payload.content_type, "application/json");
        assert!(
            payload.body.len() <= MAX_BODY,
            "{name}: {}",
            payload.body.len()
        );
        let body: Value = serde_json::from_slice(&payload.body).unwrap();
        assert_eq!(body["all"].as_array().unwrap().len(), 32);
    }
}

#[test]
fn every_field_is_filled_from_an_event_that_has_everything() {
    let mut event = event()
        .version("1.2")
        .started_at("2026-11-20T21:52:46Z".parse().unwrap())
        .principal("cron")
        .task("load", TerminalPhase::Failed);
    event.failure = event
        .failure
        .map(|failure| failure.kind(notify_core::FailureKind::User));
    let fields: serde_json::Map<String, Value> = FIELDS
        .iter()
        .map(|(name, _)| ((*name).to_owned(), json!(format!("{{{{ {name} }}}}"))))
        .collect();
    let (first, second): (Vec<_>, Vec<_>) = fields
        .into_iter()
        .enumerate()
        .partition(|(at, _)| at % 2 == 0);
    for half in [first, second] {
        let body = Value::Object(half.into_iter().map(|(_, field)| field).collect());
        let payload = payload(&*own(&body), "ci", &event, &message());
        let filled: Value = serde_json::from_slice(&payload.body).unwrap();
        for (name, value) in filled.as_object().unwrap() {
            assert!(!value.is_null(), "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: laws().cases / 10, ..laws() })]

    #[test]
    fn whatever_is_said_the_event_is_one_and_says_it(
        message in any_message(),
        failure in any_text(),
        label in any_text(),
        name in "\\PC{1,40}",
    ) {
        let workflow = WorkflowName::new(name.clone());
        let execution = Execution::new(name.clone(), "..", name);
        let (Ok(workflow), Ok(execution)) = (workflow, execution) else {
            return Ok(());
        };
        let event = WorkflowEnded::new(workflow.clone(), execution, TerminalPhase::Failed)
            .failure(Failure::new(failure))
            .label(label.clone(), label.clone())
            .output(label.clone(), label);
        let body = structured(&event, &message);
        prop_assert_eq!(mistakes(&body), Vec::<String>::new());
        prop_assert_eq!(&body, &structured(&event, &message));
        prop_assert_eq!(&body["data"]["event"]["workflow"], workflow.as_str());
        let said = &body["data"]["message"];
        // What fits without a cut is said whole.
        if format!("{message:?}").len() < 5_000 {
            let shown = fit(&message, 1_000_000, |_| 0);
            prop_assert_eq!(&said["headline"], &json!(shown.headline));
            let blocks: Vec<_> = shown.blocks.iter().map(Block::plain_text).collect();
            let other = shown.actions.iter().filter(|action| !is_link(action, said));
            let other = other.map(|action| format!("{}: {}", action.label, action.url));
            let text: Vec<_> = blocks.into_iter().chain(other).filter(|part| !part.is_empty()).collect();
            prop_assert_eq!(said["text"].as_str().unwrap(), text.join("\n\n"));
        }
    }

    #[test]
    fn a_body_of_ones_own_has_the_authors_keys_and_nothing_else(
        message in any_message(),
        failure in any_text(),
    ) {
        let template = json!({
            "text": "a {{ headline }} b {{ failure.message }} c",
            "lone": "{{ failure.message }}",
            "list": ["{{ text }}", 1],
        });
        let event = event().failure(Failure::new(failure));
        let payload = payload(&*own(&template), "ci", &event, &message);
        let whole = structured(&event, &message);
        let body: Value = serde_json::from_slice(&payload.body).unwrap();
        let (said, failed) = (&whole["data"]["message"], &whole["data"]["event"]["failure"]);
        let headline = said["headline"].as_str().unwrap();
        let message = failed["message"].as_str().unwrap();
        if whole["data"].get("omitted").is_none() && payload.body.len() < 20_000 {
            let expected = json!({
                "text": format!("a {headline} b {message} c"),
                "lone": message,
                "list": [said["text"], 1],
            });
            prop_assert_eq!(body, expected);
        }
    }
}

fn is_link(action: &Action, said: &Value) -> bool {
    let url = notify_http::web_url(&action.url).filter(|_| action.is_web());
    let links = said["links"].as_array().unwrap();
    url.is_some_and(|url| links.iter().any(|link| link["url"] == url))
}

#[test]
fn two_deliveries_of_one_end_are_two_events_of_one_source() {
    let (account, event) = (plain(), event());
    let notification = notification("ci");
    let recipient = &notification.recipients()[0];
    let [one, two] = [7, 8].map(|number| {
        let at = notify_core::Clock::now(&Fixed);
        let delivery = Delivery::new(id(number), &event, &notification, recipient, at);
        let body = account.payload(&delivery, &message()).body;
        serde_json::from_slice::<Value>(&body).unwrap()
    });
    assert_ne!(one["id"], two["id"]);
    assert_eq!(
        (&one["source"], &one["subject"], &one["data"]),
        (&two["source"], &two["subject"], &two["data"]),
    );
}
