//! From a message to an event of the Events API v2, within PagerDuty's limits. Pure.
//!
//! Every text becomes a JSON string, which PagerDuty shows as it is.

use std::borrow::Cow;

use notify_core::content::{self, Block, Field};
use notify_core::fit::{shorten, shorten_front};
use notify_core::pagerduty::PagerDutyOptions;
use notify_core::{Action, Delivery, Message};
use notify_http::web_url;
use serde_json::{Map, Value, json};

/// Longer summaries are refused, not cut.
const MAX_SUMMARY: usize = 1_024;

/// The whole event is at most 512,000 bytes; the routing key joins it later.
const MAX_EVENT: usize = 512_000 - 200;

/// What the details have of that, in bytes of JSON: enough for any output worth reading.
const MAX_OUTPUT: usize = 200_000;
const MAX_TEXT: usize = 100_000;
const MAX_VALUE: usize = 10_000;
const MAX_LABEL: usize = 200;

/// The vendor names no limit; these leave room for everything else.
const MAX_LINKS: usize = 20;
const MAX_LINK_TEXT: usize = 200;
const MAX_HREF: usize = 3_000;

/// Gives the event, without the routing key.
pub(crate) fn body(delivery: &Delivery<'_>, message: &Message) -> Value {
    // Without a key the vendor invents one, and every repeat would open another alert.
    let dedup_key = match delivery.conversation {
        Some(key) => key.to_owned(),
        None => delivery.id.to_string(),
    };
    if delivery.action == Action::Close {
        return json!({"event_action": "resolve", "dedup_key": dedup_key});
    }
    let options = delivery.notification.options::<PagerDutyOptions>();
    let severity = options
        .and_then(|options| options.severity)
        .unwrap_or(message.severity);
    let (links, rest) = links(&message.actions);
    let execution = &delivery.event.execution;
    let (project, domain) = (execution.project(), execution.domain());
    let mut event = json!({
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "payload": {
            "summary": summary(delivery, message),
            "source": format!("{project}/{domain}/{}", delivery.event.workflow),
            "severity": severity.name(),
            "timestamp": delivery.at.to_string(),
            "custom_details": details(delivery, message, &rest),
        },
        "client": "workflow-notify",
        "links": links,
    });
    let size = event.to_string().len();
    if size > MAX_EVENT {
        let note = format!("details of {size} bytes omitted: PagerDuty takes 512,000");
        if let Some(payload) = event.get_mut("payload") {
            payload["custom_details"] = json!({"note": note, "delivery": delivery.id});
        }
    }
    event
}

/// Gives the headline and, where it says more, the first line of what failed.
fn summary(delivery: &Delivery<'_>, message: &Message) -> String {
    let headline = line(&message.headline);
    let failure = delivery.event.failure.as_ref();
    let said = failure
        .and_then(|failure| {
            failure
                .message
                .lines()
                .map(line)
                .find(|said| !said.is_empty())
        })
        .filter(|said| !headline.contains(said.as_str()));
    let summary = match said {
        _ if headline.is_empty() => said.unwrap_or_else(|| "A workflow ended".to_owned()),
        Some(said) => format!("{headline}: {said}"),
        None => headline,
    };
    let units = |text: &str| text.chars().map(char::len_utf16).sum();
    shorten(&summary, MAX_SUMMARY, units).into_owned()
}

fn details(delivery: &Delivery<'_>, message: &Message, rest: &[String]) -> Map<String, Value> {
    let mut text = String::new();
    let mut output = String::new();
    let mut details = Map::new();
    for block in &message.blocks {
        match block {
            Block::Paragraph(paragraph) => paragraph_of(&mut text, paragraph.trim()),
            Block::List(items) => {
                let items: Vec<_> = items
                    .iter()
                    .map(|item| format!("- {}", line(item)))
                    .collect();
                paragraph_of(&mut text, &items.join("\n"));
            }
            Block::Code(code) => paragraph_of(&mut output, code.trim_matches('\n')),
            Block::Fields(fields) => {
                for Field { label, value } in fields {
                    let label = line(label);
                    let label = shorten(&label, MAX_LABEL, escaped);
                    let value = plain(value);
                    let value = shorten(value.trim(), MAX_VALUE, escaped);
                    insert(&mut details, &label, &value);
                }
            }
            // A part that is newer than this provider; left out, and said so.
            _ => paragraph_of(&mut text, "… a part is omitted"),
        }
    }
    if let Some(footer) = &message.footer {
        paragraph_of(&mut text, &line(footer));
    }
    for link in rest {
        paragraph_of(&mut text, link);
    }
    if !text.is_empty() {
        let text = plain(&text);
        insert(&mut details, "text", &shorten(&text, MAX_TEXT, escaped));
    }
    if !output.is_empty() {
        // The end of an output says why it stopped.
        let output = plain(&output);
        let output = shorten_front(&output, MAX_OUTPUT, escaped);
        insert(&mut details, "output", &output);
    }
    insert(&mut details, "delivery", &delivery.id.to_string());
    details
}

/// Adds a detail; one that is there already keeps its name and its value.
fn insert(details: &mut Map<String, Value>, label: &str, value: &str) {
    let mut name = label.to_owned();
    let mut count = 2;
    while details.contains_key(&name) {
        name = format!("{label} ({count})");
        count += 1;
    }
    details.insert(name, value.into());
}

fn paragraph_of(text: &mut String, paragraph: &str) {
    if !text.is_empty() && !paragraph.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(paragraph);
}

/// Makes links of what may be opened, and text of the rest.
fn links(actions: &[content::Action]) -> (Vec<Value>, Vec<String>) {
    let mut links = Vec::new();
    let mut rest = Vec::new();
    for action in actions {
        let label = line(&action.label);
        let href = web_url(&action.url)
            .filter(|url| action.is_web() && url.len() <= MAX_HREF && links.len() < MAX_LINKS);
        match href {
            Some(href) => {
                let label = shorten(&label, MAX_LINK_TEXT, escaped);
                links.push(json!({"href": href, "text": label}));
            }
            None => rest.push(format!("{label}: {}", line(&action.url))),
        }
    }
    (links, rest)
}

/// Removes control characters but for line breaks and tabs.
fn plain(text: &str) -> Cow<'_, str> {
    let unwanted = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
    if text.contains(unwanted) {
        Cow::Owned(text.replace(unwanted, ""))
    } else {
        Cow::Borrowed(text)
    }
}

/// Makes one line of a text.
fn line(text: &str) -> String {
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let mut line = String::new();
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// Counts the bytes of a text in JSON.
fn escaped(text: &str) -> usize {
    let escaped = |letter: char| match letter {
        '"' | '\\' | '\n' | '\t' => 2,
        other => other.len_utf8(),
    };
    text.chars().map(escaped).sum()
}

#[cfg(test)]
mod tests {
    use notify_core::content::Severity;
    use notify_core::{
        DeliveryId, Execution, Failure, Notification, NotificationKind, PagerDuty,
        PagerDutyService, Recipient, TerminalPhase, WorkflowEnded, WorkflowName, phases, service,
    };

    use super::*;

    const HOSTILE: [&str; 6] = [
        "<!channel> <@U1> <script>alert(1)</script> *x* `y` &amp;",
        "\",\"routing_key\":\"\\",
        "\u{0}\u{1b}[31mred\u{7f}\u{9b}\r\nnext\tcolumn",
        "👨‍👩‍👧‍👦 é \u{202e}txet",
        "\n\n  \n",
        "",
    ];

    const SERVICE: PagerDutyService = service!("data-platform");

    fn event_of(failure: &str) -> WorkflowEnded {
        WorkflowEnded::new(
            WorkflowName::new("nightly-etl").unwrap(),
            Execution::new("analytics", "production", "run-17").unwrap(),
            TerminalPhase::Failed,
        )
        .failure(Failure::new(failure))
    }

    /// Lowers a message for the opening of a conversation and checks the vendor's limits.
    #[track_caller]
    fn check(notification: &Notification, failure: &str, message: &Message) -> Value {
        let event = event_of(failure);
        let to = Recipient::of(&SERVICE);
        let at = "2026-11-20T23:57:46Z".parse().unwrap();
        let id = "ntf_00000000000000000000000000000007"
            .parse::<DeliveryId>()
            .unwrap();
        let delivery =
            Delivery::new(id, &event, notification, &to, at).in_conversation("k", Action::Open);
        let body = body(&delivery, message);
        assert!(body.to_string().len() <= MAX_EVENT);
        let summary = body["payload"]["summary"].as_str().unwrap();
        assert!((1..=MAX_SUMMARY).contains(&summary.encode_utf16().count()));
        assert!(!summary.contains(char::is_control));
        assert!(body.get("routing_key").is_none());
        body
    }

    fn plain_notification() -> Notification {
        PagerDuty::on(phases![Failed]).to(SERVICE).into()
    }

    fn message(text: &str) -> Message {
        Message::new(text, Severity::Error)
            .block(Block::Paragraph(text.to_owned()))
            .block(Block::List(vec![text.to_owned(); 3]))
            .block(Block::Fields(vec![
                Field {
                    label: text.to_owned(),
                    value: text.to_owned(),
                };
                3
            ]))
            .block(Block::Code(text.to_owned()))
            .footer(text)
            .action(text, format!("https://example.com/{text}"))
            .action(text, text)
    }

    #[test]
    fn an_alert_says_what_where_and_how_bad() {
        let message = Message::new("nightly-etl failed", Severity::Error)
            .block(Block::Paragraph("It failed.".to_owned()))
            .block(Block::List(vec!["load".to_owned(), "clean".to_owned()]))
            .block(Block::Fields(vec![
                Field {
                    label: "text".to_owned(),
                    value: "a".to_owned(),
                },
                Field {
                    label: "text".to_owned(),
                    value: "b".to_owned(),
                },
            ]))
            .block(Block::Code("\nrow 4\n  column 2\n".to_owned()))
            .action("Open run", "https://example.com/run/17")
            .action("Script", "javascript:alert(1)");
        let body = check(&plain_notification(), "\nrow 4: no number\nmore", &message);
        let expected = json!({
            "event_action": "trigger",
            "dedup_key": "k",
            "payload": {
                "summary": "nightly-etl failed: row 4: no number",
                "source": "analytics/production/nightly-etl",
                "severity": "error",
                "timestamp": "2026-11-20T23:57:46Z",
                "custom_details": {
                    "text": "a",
                    "text (2)": "b",
                    "text (3)": "It failed.\n\n- load\n- clean\n\nScript: javascript:alert(1)",
                    "output": "row 4\n  column 2",
                    "delivery": "ntf_00000000000000000000000000000007",
                },
            },
            "client": "workflow-notify",
            "links": [{"href": "https://example.com/run/17", "text": "Open run"}],
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn the_notifications_severity_goes_before_the_messages() {
        let named = PagerDuty::on(phases![Failed])
            .to(SERVICE)
            .options(|options| options.severity = Some(Severity::Warning))
            .into();
        let message = Message::new("failed", Severity::Critical);
        let severity =
            |notification| check(notification, "", &message)["payload"]["severity"].clone();
        assert_eq!(severity(&named), "warning");
        assert_eq!(severity(&plain_notification()), "critical");
    }

    #[test]
    fn a_close_names_the_conversation_and_nothing_else() {
        let (event, notification) = (event_of(""), plain_notification());
        let to = Recipient::of(&SERVICE);
        let id: DeliveryId = "ntf_00000000000000000000000000000007".parse().unwrap();
        let at = "2026-11-20T23:57:46Z".parse().unwrap();
        let alone = Delivery::new(id, &event, &notification, &to, at);
        let message = Message::new("nightly-etl succeeded", Severity::Info);
        assert_eq!(
            body(&alone.in_conversation("k", Action::Close), &message),
            json!({"event_action": "resolve", "dedup_key": "k"})
        );
        // Outside a conversation the delivery itself is what a repeat must not double.
        assert_eq!(body(&alone, &message)["dedup_key"], id.to_string());
    }

    #[test]
    fn hostile_and_long_text_stays_within_the_limits() {
        for text in HOSTILE {
            check(&plain_notification(), text, &message(text));
            let long = text.repeat(3_000);
            check(&plain_notification(), &long, &message(&long));
        }
        let fields = (0..200)
            .map(|index| Field {
                label: format!("label {index}"),
                value: "x".repeat(9_000),
            })
            .collect();
        let message = Message::new("failed", Severity::Error).block(Block::Fields(fields));
        let body = check(&plain_notification(), "", &message);
        let note = body["payload"]["custom_details"]["note"].as_str().unwrap();
        assert!(
            note.ends_with("bytes omitted: PagerDuty takes 512,000"),
            "{note}"
        );
    }

    #[test]
    fn an_output_keeps_its_end() {
        let output = format!("{}row 4: amount is not a number", "noise\n".repeat(50_000));
        let message = Message::new("failed", Severity::Error).block(Block::Code(output));
        let body = check(&plain_notification(), "", &message);
        let output = body["payload"]["custom_details"]["output"]
            .as_str()
            .unwrap();
        assert!(output.ends_with("row 4: amount is not a number"));
        assert!(output.contains("characters omitted …\n"));
    }
}
