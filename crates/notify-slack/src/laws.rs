//! Laws: whatever a message says, Slack gets that text and nothing else, within its limits.
//!
//! What cutting leaves of a message is under laws of its own, next to `fit`; here what is left is
//! held against the payload.

#[path = "../../notify-core/tests/support/any_message.rs"]
mod any_message;
#[path = "../tests/slack/schema.rs"]
mod schema;

use notify_core::content::{self, Action as Link, Block, Field, Inline, Mention, Style};
use notify_core::fit::shorten;
use notify_core::{
    AccountId, Action, Delivery, DeliveryId, Execution, Message, Receipt, Registry, TerminalPhase,
    Timestamp, WorkflowEnded, WorkflowName,
};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::{prop_assert, prop_assert_eq, proptest};
use serde_json::{Value, json};
use uuid::Uuid;

use self::any_message::{any_message, is_shown, laws};
use crate::DESCRIPTOR;
use crate::message::{Manner, content, fitted};
use crate::text::escaped;

/// Lists all blocks of a call from top to bottom.
fn blocks(body: &Value) -> Vec<Value> {
    let above = body["blocks"].as_array().unwrap().iter();
    let below = body["attachments"][0]["blocks"].as_array();
    above.chain(below.into_iter().flatten()).cloned().collect()
}

/// One text that a reader sees.
#[derive(Debug)]
enum Seen {
    /// A text without anything in it.
    Plain(String),
    /// The elements of a line.
    Line(Vec<Value>),
}

/// Reads a payload from top to bottom; panics at anything that we never write.
fn read(value: &Value, seen: &mut Vec<Seen>) {
    let list = |key: &str| value[key].as_array().unwrap();
    let plain = |value: &Value| {
        assert_eq!(value["type"], "plain_text");
        assert_eq!(value["emoji"], false);
        Seen::Plain(value["text"].as_str().unwrap().to_owned())
    };
    match value["type"].as_str().unwrap() {
        "header" | "button" => seen.push(plain(&value["text"])),
        "context" => seen.extend(list("elements").iter().map(plain)),
        "actions" | "rich_text" | "rich_text_list" => {
            for value in list("elements") {
                read(value, seen);
            }
        }
        "rich_text_section" => seen.push(Seen::Line(list("elements").clone())),
        "rich_text_preformatted" => {
            let [code] = list("elements").as_slice() else {
                panic!("{value}");
            };
            assert_eq!(*code, json!({"type": "text", "text": code["text"]}));
            seen.push(Seen::Plain(code["text"].as_str().unwrap().to_owned()));
        }
        other => panic!("{other}"),
    }
}

/// One text that a reader must see.
#[derive(Debug)]
enum Told {
    Plain(String),
    Line(Vec<Inline>, bool),
}

/// Lists what a fitted message tells, with these of its actions as buttons.
fn tell(message: &Message, buttons: &[&str]) -> Vec<Told> {
    let or = |text: &str, other: &str| if text.is_empty() { other } else { text }.to_owned();
    let mut told = vec![Told::Plain(or(&message.headline, "A workflow ended"))];
    for block in &message.blocks {
        match block {
            Block::Text(inlines) | Block::Heading(inlines) => {
                let is_blank = content::plain_text(inlines).trim().is_empty();
                let is_heading = matches!(block, Block::Heading(_));
                told.extend((!is_blank).then_some(Told::Line(inlines.clone(), is_heading)));
            }
            Block::Items { items, .. } => {
                told.extend(items.iter().map(|item| Told::Line(item.clone(), false)));
            }
            Block::Fields(fields) => {
                let lines = fields.iter().map(line_of);
                told.extend(lines.flatten().map(|line| Told::Line(line, false)));
            }
            Block::Code(code) => {
                let code = code.trim_end().trim_start_matches('\n');
                told.extend((!code.is_empty()).then(|| Told::Plain(code.to_owned())));
            }
            other => panic!("{other:?}"),
        }
    }
    let (pressed, named): (Vec<_>, Vec<_>) = message
        .actions
        .iter()
        .enumerate()
        .partition(|(index, _)| buttons.contains(&format!("open_{index}").as_str()));
    assert_eq!(pressed.len(), buttons.len());
    assert!(pressed.iter().all(|(_, action)| action.is_web()));
    let label = |action: &Link| or(&action.label, "Open");
    let named = named
        .iter()
        .map(|(_, action)| format!("{}: {}", label(action), action.url));
    told.extend(named.map(Told::Plain));
    told.extend(pressed.iter().map(|(_, action)| Told::Plain(label(action))));
    let footer = message.footer.clone().filter(|footer| !footer.is_empty());
    told.extend(footer.map(Told::Plain));
    told
}

/// Gives the line of a field; none where it says nothing.
fn line_of(Field { label, value }: &Field) -> Option<Vec<Inline>> {
    let (label, value) = (label.trim(), value.trim());
    let colon = match (label, value) {
        ("", "") => return None,
        ("", _) | (_, "") => "",
        _ => ": ",
    };
    let mut style = Style::default();
    style.strong = true;
    let short = |text: &str| shorten(text, 2_000, escaped).into_owned();
    let text = format!("{}{colon}", short(label));
    Some(vec![
        Inline::Text { text, style },
        Inline::plain(short(value)),
    ])
}

/// Tells whether a line's elements say what its inlines say, and call nobody else.
fn says(elements: &[Value], inlines: &[Inline], is_heading: bool) -> bool {
    let mut elements = elements.iter();
    let is_text = |element: &Value, text: &str, style: Style| {
        *element == styled(json!({"type": "text", "text": text}), style, is_heading)
    };
    let shown = inlines
        .iter()
        .filter(|inline| !inline.plain_text().is_empty());
    let says_all = shown.clone().all(|inline| {
        let Some(element) = elements.next() else {
            return false;
        };
        match inline {
            Inline::Text { text, style } => is_text(element, text, *style),
            Inline::Link { text, url, style } if element["type"] == "link" => {
                let mut link = json!({"type": "link", "url": element["url"]});
                if !text.is_empty() {
                    link["text"] = json!(text);
                }
                content::is_link(url)
                    && is_address(element["url"].as_str().unwrap())
                    && *element == styled(link, *style, is_heading)
            }
            Inline::Link { style, .. } => is_text(element, &inline.plain_text(), *style),
            Inline::Mention(mention) => match call(mention) {
                Some(call) => *element == call,
                None => is_text(element, &inline.plain_text(), Style::default()),
            },
            other => panic!("{other:?}"),
        }
    });
    let rest = elements.as_slice();
    let is_empty = shown.count() == 0;
    says_all && (rest.is_empty() || is_empty && rest.len() == 1 && rest[0]["text"] == " ")
}

/// Gives the element of a mention that Slack can act on.
fn call(mention: &Mention) -> Option<Value> {
    let is_id = |id: &str, kinds: [char; 2]| {
        id.starts_with(kinds)
            && (9..=24).contains(&id.len())
            && id.contains(|letter: char| letter.is_ascii_digit())
            && id
                .chars()
                .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
    };
    match mention {
        Mention::Here => Some(json!({"type": "broadcast", "range": "here"})),
        Mention::Channel => Some(json!({"type": "broadcast", "range": "channel"})),
        Mention::User(id) if is_id(id, ['U', 'W']) => Some(json!({"type": "user", "user_id": id})),
        Mention::Group(id) if is_id(id, ['S', 'S']) => {
            Some(json!({"type": "usergroup", "usergroup_id": id}))
        }
        _ => None,
    }
}

fn styled(mut element: Value, style: Style, is_heading: bool) -> Value {
    let mut set = |name: &str, is_set: bool| {
        if is_set {
            element["style"][name] = json!(true);
        }
    };
    set("bold", style.strong || is_heading);
    set("italic", style.emphasis);
    set("strike", style.strike);
    set("code", style.code);
    element
}

fn is_address(url: &str) -> bool {
    ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
        && url.len() <= 3_000
        && url.bytes().all(|byte| byte.is_ascii_graphic())
        && !url.contains(['<', '>', '|', '"'])
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// Writes a fitted message as the fallback text should have it.
fn plain(message: &Message) -> String {
    let mut parts: Vec<_> = message.blocks.iter().map(Block::plain_text).collect();
    parts.extend(message.actions.iter().map(|Link { label, url }| {
        let label = if label.is_empty() { "Open" } else { label };
        format!("{label}: {url}")
    }));
    parts.extend(message.footer.clone());
    parts.retain(|part| !part.trim().is_empty());
    let headline = match message.headline.as_str() {
        "" => "A workflow ended",
        headline => headline,
    };
    parts.insert(0, headline.to_owned());
    parts.join("\n")
}

fn chars(value: &Value) -> usize {
    value.as_str().unwrap().encode_utf16().count()
}

proptest! {
    #![proptest_config(laws())]

    #[test]
    fn slack_is_told_the_message_and_nothing_else(message in any_message()) {
        let body = Value::Object(content(&message, &Manner::default()));
        let (message, _) = fitted(&message, None);
        let blocks = blocks(&body);
        let mut seen = Vec::new();
        for block in &blocks {
            read(block, &mut seen);
        }
        let buttons: Vec<_> = blocks
            .iter()
            .filter(|block| block["type"] == "actions")
            .flat_map(|block| block["elements"].as_array().unwrap())
            .map(|button| button["action_id"].as_str().unwrap())
            .collect();
        let told = tell(&message, &buttons);
        prop_assert_eq!(seen.len(), told.len(), "{:#?}\n{:#?}", seen, told);
        for (seen, told) in seen.iter().zip(&told) {
            let is_told = match (seen, told) {
                (Seen::Plain(seen), Told::Plain(told)) => is_shown(told, seen),
                // An action that is no button is a line of one text.
                (Seen::Line(elements), Told::Plain(told)) => {
                    *elements == [json!({"type": "text", "text": told})]
                }
                (Seen::Line(elements), Told::Line(inlines, is_heading)) => {
                    says(elements, inlines, *is_heading)
                }
                (Seen::Plain(_), Told::Line(..)) => false,
            };
            prop_assert!(is_told, "{seen:#?}\n{told:#?}");
        }
        let text = body["text"].as_str().unwrap();
        prop_assert!(!text.contains(['<', '>']));
        prop_assert!(is_shown(&plain(&message), &unescape(text)), "{text}");
        let bars = body["attachments"].as_array();
        for fallback in bars.into_iter().flatten().map(|bar| &bar["fallback"]) {
            prop_assert!(!fallback.as_str().unwrap().contains(['<', '>']));
        }
    }

    #[test]
    fn slack_takes_every_message(message in any_message()) {
        let said = || serde_json::to_string(&content(&message, &Manner::default())).unwrap();
        let bytes = said();
        prop_assert_eq!(&bytes, &said());
        let body: Value = serde_json::from_str(&bytes).unwrap();
        prop_assert!((1..=3_000).contains(&chars(&body["text"])));
        let blocks = &blocks(&body);
        prop_assert!((1..=50).contains(&blocks.len()));
        let json = serde_json::to_string(blocks).unwrap();
        let json = json.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        prop_assert!(json.encode_utf16().count() <= 12_000);
        for block in blocks {
            let most = match block["type"].as_str().unwrap() {
                "header" => 150,
                "context" => {
                    prop_assert_eq!(block["elements"].as_array().unwrap().len(), 1);
                    prop_assert!(chars(&block["elements"][0]["text"]) <= 3_000);
                    continue;
                }
                "actions" => {
                    let buttons = block["elements"].as_array().unwrap();
                    prop_assert!((1..=25).contains(&buttons.len()));
                    for button in buttons {
                        prop_assert!(is_address(button["url"].as_str().unwrap()));
                        prop_assert!((1..=75).contains(&chars(&button["text"]["text"])));
                    }
                    continue;
                }
                _ => continue,
            };
            prop_assert!((1..=most).contains(&chars(&block["text"]["text"])));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: laws().cases / 5, ..laws() })]

    #[test]
    fn slacks_own_schema_takes_every_message(message in any_message(), form in any_form()) {
        let (section, options, action, is_first) = form;
        let id: AccountId = "slack.prod".parse().unwrap();
        let account = DESCRIPTOR.load_account(id, &section).unwrap();
        let registry = Registry::of([DESCRIPTOR]).unwrap();
        let declared = json!({"phases": "failed", "slack": options});
        let notification = registry.load_notification(&declared).unwrap();
        let event = WorkflowEnded::new(
            WorkflowName::new("nightly-etl").unwrap(),
            Execution::new("analytics", "production", "run-17").unwrap(),
            TerminalPhase::Failed,
        );
        let to = &notification.recipients()[0];
        let at = Timestamp::from_micros(0);
        let delivery_id = DeliveryId::from_uuid(Uuid::from_u128(7));
        let earlier = Receipt::new("1503435956.000247").fact("channel", "C024BE91L");
        let mut delivery = Delivery::new(delivery_id, &event, &notification, to, at);
        if action != Action::Send {
            delivery = delivery.in_conversation("analytics/production/nightly-etl", action);
            if !is_first {
                delivery = delivery.after(&earlier);
            }
        }
        let payload = account.payload(&delivery, &message);
        let body = serde_json::from_slice(&payload.body).unwrap();
        if let Err(errors) = schema::check(&body) {
            prop_assert!(false, "{errors:?}");
        }
    }
}

/// Gives an account, what a notification says, what it does to its conversation, and whether it is
/// the first there.
fn any_form() -> impl Strategy<Value = (Value, Value, Action, bool)> {
    let token = json!({
        "token": {"env": "T"}, "username": "etl-bot", "icon_url": "https://example.com/a.png",
    });
    let options = [
        json!({"to": "#a"}),
        json!({"to": "#a", "mention": ["here", "U024BE7LH", "S024BE7LH"]}),
        json!({"to": "#a", "thread": "workflow", "broadcast": true}),
        json!({"to": "#a", "update": true, "mention": "channel", "icon_emoji": ":bell:"}),
        json!({"to": "#a", "thread": "execution", "update": true, "username": "bot"}),
        json!({"to": "#a", "update": true, "blocks": [{"type": "divider"}]}),
    ];
    let by_token = (
        Just(token),
        select(options.to_vec()),
        select(&[Action::Send, Action::Open, Action::Close]),
        any::<bool>(),
    );
    let webhook = json!({"webhook_url": {"env": "T"}});
    let by_webhook = (
        Just(webhook),
        select(options[..2].to_vec()),
        Just(Action::Send),
        Just(true),
    );
    prop_oneof![4 => by_token, 1 => by_webhook]
}
