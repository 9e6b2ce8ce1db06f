//! From a message to an event of the Events API v2, within PagerDuty's limits. Pure.
//!
//! Every text becomes a JSON string, which PagerDuty shows as it is: styles are dropped, a mention
//! is text, and the addresses of links stand in the text as well as among the links.

use notify_core::fit::{fit, one_line, shorten};
use notify_core::pagerduty::{PagerDutyOptions, PagerDutyText};
use notify_core::{Action, Delivery, Message};
use notify_http::web_url;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::config::Severities;
use crate::details::details;
use crate::links::{Image, Link, images, links};

/// Longer summaries are refused, not cut.
const MAX_SUMMARY: usize = 1_024;

/// PagerDuty takes 512,000 bytes; this is enough for any output worth reading.
const MAX_EVENT: usize = 200_000;

/// What is refused of a change event, because of the key it would go with.
pub(crate) const NO_CHANGES: &str =
    "the service's key begins with `R`: it takes alerts and no change events";

/// What an account says of every event.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) severity: Severities,
    pub(crate) client: String,
    /// Where the client's name leads, instead of to the run.
    pub(crate) client_url: Option<String>,
}

/// Gives the event, without the routing key.
pub(crate) fn body(look: &Look, delivery: &Delivery<'_>, message: &Message) -> Value {
    if delivery.action == Action::Close {
        return json!({"event_action": "resolve", "dedup_key": dedup_key(delivery)});
    }
    event(look, delivery, &fitted(look, delivery, message))
}

/// Gives the message as PagerDuty can take it.
pub(crate) fn fitted(look: &Look, delivery: &Delivery<'_>, message: &Message) -> Message {
    fit(message, MAX_EVENT, |message| {
        event(look, delivery, message).to_string().len()
    })
}

/// An alert: `POST /v2/enqueue`.
#[derive(Serialize)]
struct Alert<'a> {
    event_action: &'static str,
    dedup_key: String,
    payload: Payload<'a>,
    client: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_url: Option<String>,
    links: Vec<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Image>,
}

/// A change: `POST /v2/change/enqueue`. It has no key, and PagerDuty's own words know no images of it.
#[derive(Serialize)]
struct Change<'a> {
    payload: Payload<'a>,
    links: Vec<Link>,
}

/// What happened; a change has no severity and nothing for rules.
#[derive(Serialize)]
struct Payload<'a> {
    summary: String,
    source: String,
    timestamp: String,
    custom_details: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
}

/// Gives a success by itself as a change, where the notification wants that, and all else as an
/// alert.
fn event(look: &Look, delivery: &Delivery<'_>, message: &Message) -> Value {
    let options = delivery.notification.options::<PagerDutyOptions>();
    let (links, mut rest) = links(message, options);
    let images = images(options, &mut rest);
    let execution = &delivery.event.execution;
    let (project, domain) = (execution.project(), execution.domain());
    let payload = Payload {
        summary: summary(delivery, message),
        source: format!("{project}/{domain}/{}", delivery.event.workflow),
        timestamp: delivery.at.to_string(),
        custom_details: details(delivery, message, options, &rest),
        severity: None,
        component: None,
        group: None,
        class: None,
    };
    let phase = delivery.event.phase;
    let by_itself = delivery.action == Action::Send && phase.is_success();
    if by_itself && options.is_some_and(|options| options.change_events) {
        return json!(Change { payload, links });
    }
    let severity = options
        .and_then(|options| options.severity)
        .or_else(|| look.severity.of(phase))
        .unwrap_or(message.severity);
    let said = |text: fn(&PagerDutyOptions) -> &Option<PagerDutyText>| {
        let text = options.and_then(|options| text(options).as_ref());
        text.map(PagerDutyText::as_str)
    };
    let run = || delivery.event.url.as_deref().and_then(web_url);
    json!(Alert {
        event_action: "trigger",
        dedup_key: dedup_key(delivery),
        payload: Payload {
            severity: Some(severity.name()),
            component: said(|options| &options.component),
            group: said(|options| &options.group),
            class: said(|options| &options.class),
            ..payload
        },
        client: &look.client,
        client_url: look.client_url.clone().or_else(run),
        links,
        images,
    })
}

fn dedup_key(delivery: &Delivery<'_>) -> String {
    // Without a key the vendor invents one, and every repeat would open another alert.
    match delivery.conversation {
        Some(key) => key.to_owned(),
        None => delivery.id.to_string(),
    }
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

#[cfg(test)]
mod tests {
    use notify_core::content::{Block, Field, Inline, Mention, Severity, Style};
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
        let body = body(&look(), &delivery, message);
        assert!(body.to_string().len() <= MAX_EVENT);
        let summary = body["payload"]["summary"].as_str().unwrap();
        assert!((1..=MAX_SUMMARY).contains(&summary.encode_utf16().count()));
        assert!(!summary.contains(char::is_control));
        assert!(body.get("routing_key").is_none());
        body
    }

    /// What an account without a word says.
    fn look() -> Look {
        Look {
            severity: Severities::default(),
            client: "workflow-notify".to_owned(),
            client_url: None,
        }
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
            body(
                &look(),
                &alone.in_conversation("k", Action::Close),
                &message
            ),
            json!({"event_action": "resolve", "dedup_key": "k"})
        );
        // Outside a conversation the delivery itself is what a repeat must not double.
        assert_eq!(body(&look(), &alone, &message)["dedup_key"], id.to_string());
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
