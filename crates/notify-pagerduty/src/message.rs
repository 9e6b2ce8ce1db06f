//! From a message to an event of the Events API v2, within PagerDuty's limits. Pure.
//!
//! Every text becomes a JSON string, which PagerDuty shows as it is: styles are dropped, a mention
//! is text, and the addresses of links stand in the text as well as among the links.

use std::collections::BTreeMap;

use notify_core::content::{self, Block, Field, Inline};
use notify_core::fit::{fit, one_line, shorten};
use notify_core::pagerduty::PagerDutyOptions;
use notify_core::{Action, Delivery, Message};
use notify_http::web_url;
use serde_json::{Map, Value, json};

/// Longer summaries are refused, not cut.
const MAX_SUMMARY: usize = 1_024;

/// PagerDuty takes 512,000 bytes; this is enough for any output worth reading.
const MAX_EVENT: usize = 200_000;

const MAX_LABEL: usize = 200;

/// The vendor names no limit; these leave room for everything else.
const MAX_LINKS: usize = 20;
const MAX_LINK_TEXT: usize = 200;
const MAX_HREF: usize = 3_000;

/// Gives the event, without the routing key.
pub(crate) fn body(delivery: &Delivery<'_>, message: &Message) -> Value {
    if delivery.action == Action::Close {
        return json!({"event_action": "resolve", "dedup_key": dedup_key(delivery)});
    }
    trigger(delivery, &fitted(delivery, message))
}

/// Gives the message as PagerDuty can take it.
pub(crate) fn fitted(delivery: &Delivery<'_>, message: &Message) -> Message {
    fit(message, MAX_EVENT, |message| {
        trigger(delivery, message).to_string().len()
    })
}

fn dedup_key(delivery: &Delivery<'_>) -> String {
    // Without a key the vendor invents one, and every repeat would open another alert.
    match delivery.conversation {
        Some(key) => key.to_owned(),
        None => delivery.id.to_string(),
    }
}

fn trigger(delivery: &Delivery<'_>, message: &Message) -> Value {
    let options = delivery.notification.options::<PagerDutyOptions>();
    let severity = options
        .and_then(|options| options.severity)
        .unwrap_or(message.severity);
    let (links, rest) = links(message);
    let execution = &delivery.event.execution;
    let (project, domain) = (execution.project(), execution.domain());
    json!({
        "event_action": "trigger",
        "dedup_key": dedup_key(delivery),
        "payload": {
            "summary": summary(delivery, message),
            "source": format!("{project}/{domain}/{}", delivery.event.workflow),
            "severity": severity.name(),
            "timestamp": delivery.at.to_string(),
            "custom_details": details(delivery, message, &rest),
        },
        "client": "workflow-notify",
        "links": links,
    })
}

/// Gives the headline and, where it says more, the last line of what failed: where output ends
/// is where a program says why it stopped.
fn summary(delivery: &Delivery<'_>, message: &Message) -> String {
    let headline = &message.headline;
    let units = |text: &str| text.chars().map(char::len_utf16).sum();
    let empty = |letter: char| letter.is_whitespace() || letter.is_control();
    let failure = delivery.event.failure.as_ref();
    let said = failure
        .and_then(|failure| failure.message.trim_end_matches(empty).lines().next_back())
        .map(|line| one_line(&shorten(line, MAX_SUMMARY, units)))
        .filter(|said| !headline.contains(said.as_str()));
    let summary = match said {
        _ if headline.is_empty() => said.unwrap_or_else(|| "A workflow ended".to_owned()),
        Some(said) => format!("{headline}: {said}"),
        None => headline.clone(),
    };
    shorten(&summary, MAX_SUMMARY, units).into_owned()
}

fn details(delivery: &Delivery<'_>, message: &Message, rest: &[String]) -> Map<String, Value> {
    let mut text = String::new();
    let mut output = String::new();
    let mut details = Details::default();
    for block in &message.blocks {
        match block {
            Block::Code(code) => paragraph_of(&mut output, code.trim_matches('\n')),
            Block::Fields(fields) => {
                for Field { label, value } in fields {
                    let count = |text: &str| text.chars().count();
                    details.insert(&shorten(label, MAX_LABEL, count), value.trim());
                }
            }
            // Parts that are newer than this provider are among them.
            other => paragraph_of(&mut text, &other.plain_text()),
        }
    }
    if let Some(footer) = &message.footer {
        paragraph_of(&mut text, footer);
    }
    for link in rest {
        paragraph_of(&mut text, link);
    }
    if !text.is_empty() {
        details.insert("text", &text);
    }
    if !output.is_empty() {
        details.insert("output", &output);
    }
    details.insert("delivery", &delivery.id.to_string());
    details.all
}

/// The details by name.
#[derive(Default)]
struct Details {
    all: Map<String, Value>,
    /// How often each name was wanted.
    wanted: BTreeMap<String, usize>,
}

impl Details {
    /// Adds a detail; one that is there already keeps its name and its value.
    fn insert(&mut self, label: &str, value: &str) {
        let mut name = label.to_owned();
        while self.all.contains_key(&name) {
            let count = self.wanted.entry(label.to_owned()).or_insert(1);
            *count += 1;
            name = format!("{label} ({count})");
        }
        self.all.insert(name, value.into());
    }
}

fn paragraph_of(text: &mut String, paragraph: &str) {
    if !text.is_empty() && !paragraph.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(paragraph);
}

/// Makes links of what may be opened, and text of the actions that may not.
fn links(message: &Message) -> (Vec<Value>, Vec<String>) {
    let mut links = Vec::new();
    let mut rest = Vec::new();
    for content::Action { label, url } in &message.actions {
        match link(label, url).filter(|_| links.len() < MAX_LINKS) {
            Some(link) => links.push(link),
            None => rest.push(format!("{label}: {url}")),
        }
    }
    // The text shows these with their addresses, so none is missed where there are too many.
    for inline in message.blocks.iter().flat_map(inlines) {
        if let Inline::Link { text, url, .. } = inline
            && let Some(link) = link(&one_line(text), url)
            && links.len() < MAX_LINKS
            && links
                .iter()
                .all(|other: &Value| other.get("href") != link.get("href"))
        {
            links.push(link);
        }
    }
    (links, rest)
}

fn link(label: &str, url: &str) -> Option<Value> {
    let href = web_url(url).filter(|href| content::is_link(url) && href.len() <= MAX_HREF)?;
    let label = shorten(label, MAX_LINK_TEXT, |text| text.chars().count());
    Some(json!({"href": href, "text": label}))
}

/// Walks the runs of a block.
fn inlines(block: &Block) -> Box<dyn Iterator<Item = &Inline> + '_> {
    match block {
        Block::Text(inlines) | Block::Heading(inlines) => Box::new(inlines.iter()),
        Block::Items { items, .. } => Box::new(items.iter().flatten()),
        _ => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use notify_core::content::{Mention, Severity, Style};
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
            .block(Block::text(text))
            .block(Block::Items {
                ordered: false,
                items: vec![vec![Inline::plain(text)]; 3],
            })
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

    fn link(text: &str, url: &str) -> Inline {
        Inline::Link {
            text: text.to_owned(),
            url: url.to_owned(),
            style: Style::default(),
        }
    }

    #[test]
    fn an_alert_says_what_where_and_how_bad() {
        let message = Message::new("nightly-etl failed", Severity::Error)
            .block(Block::Text(vec![
                Inline::plain("It failed: "),
                link("this run", "https://example.com/run/17"),
                Inline::plain(", "),
                link("ask", "mailto:jane@example.com"),
                Inline::plain(" "),
                Inline::Mention(Mention::Here),
            ]))
            .block(Block::Items {
                ordered: false,
                items: vec![vec![Inline::plain("load")], vec![Inline::plain("clean")]],
            })
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
        let body = check(
            &plain_notification(),
            "loading\nrow 4: no number\n",
            &message,
        );
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
                    "text (3)": "It failed: this run (https://example.com/run/17), \
                        ask (mailto:jane@example.com) @here\n\n\
                        - load\n- clean\n\nScript: javascript:alert(1)",
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
        let details = body["payload"]["custom_details"].as_object().unwrap();
        // Every field gives way a little before one is left out.
        assert_eq!(details.len(), 201);
        assert!(body.to_string().len() > MAX_EVENT * 9 / 10);
        let last = details["label 199"].as_str().unwrap();
        assert!(last.ends_with(" characters omitted"), "{last}");
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
