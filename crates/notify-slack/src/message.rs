//! From a message to Slack's blocks, within Slack's limits. Pure.
//!
//! **Invariant.** Text of a workflow goes into `plain_text` and rich text elements only, which
//! Slack does not parse, and into `text` escaped. Nothing here is `mrkdwn`, and an element that
//! calls somebody stands for a mention of the author and for nothing else.
//!
//! Sizes are UTF-16 units of the JSON text after Slack's own escaping: never less than what Slack
//! counts, whichever unit that is.

use std::cell::Cell;
use std::fmt::Write;

use notify_core::Message;
use notify_core::content::{Action, Block, Field, Inline, Mention, Style, is_link};
use notify_core::fit::{fit, shorten};
use notify_http::web_url;
use serde_json::{Map, Value, json};

/// The most blocks of a message.
const MAX_BLOCKS: usize = 50;
/// All blocks together; about 13,000 were seen to be refused as `msg_blocks_too_long`.
const MAX_ALL: usize = 12_000;
/// `text` beyond 4,000 characters is cut in places.
const MAX_TEXT: usize = 3_000;
const MAX_HEADER: usize = 150;
/// A section holds ten fields of 2,000 characters.
const MAX_FIELDS: usize = 10;
const MAX_FIELD: usize = 2_000;
const MAX_FOOTER: usize = 1_000;
const MAX_BUTTONS: usize = 25;
const MAX_LABEL: usize = 75;
const MAX_URL: usize = 3_000;

/// Gives the body of the call, without the channel.
pub(crate) fn body(message: &Message) -> Map<String, Value> {
    let (message, blocks) = fitted(message);
    let text = text(&message);
    let text = shorten(&text, MAX_TEXT, escaped);
    let Value::Object(body) = json!({
        "text": escape(&text),
        "mrkdwn": false,
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    }) else {
        return Map::new();
    };
    body
}

/// Gives the message as Slack can take it, and its blocks.
pub(crate) fn fitted(message: &Message) -> (Message, Vec<Value>) {
    // Most messages fit as they are: their blocks are made once.
    let (looks, first) = (Cell::new(0_usize), Cell::new(Vec::new()));
    let fitted = fit(message, MAX_ALL, |message| {
        let blocks = blocks(message);
        let size = size(&blocks);
        if looks.replace(looks.get() + 1) == 0 {
            first.set(blocks);
        }
        size
    });
    let blocks = match looks.get() {
        1 => first.take(),
        _ => blocks(&fitted),
    };
    (fitted, blocks)
}

/// Writes the message for notifications and screen readers.
fn text(message: &Message) -> String {
    let mut text = headline(message).to_owned();
    let blocks = message.blocks.iter().map(Block::plain_text);
    let actions = message.actions.iter().map(named);
    for part in blocks.chain(actions).chain(message.footer.clone()) {
        if !part.trim().is_empty() {
            text.push('\n');
            text.push_str(&part);
        }
    }
    text
}

fn headline(message: &Message) -> &str {
    // Slack refuses an empty `text` as `no_text`.
    match message.headline.as_str() {
        "" => "A workflow ended",
        headline => headline,
    }
}

fn blocks(message: &Message) -> Vec<Value> {
    let mut blocks = vec![json!({
        "type": "header",
        "text": plain_text(&shorten(headline(message), MAX_HEADER, units)),
    })];
    let (buttons, rest) = buttons(&message.actions);
    let rest = rest.into_iter().map(Block::text);
    for block in message.blocks.iter().cloned().chain(rest) {
        lower(&block, &mut blocks);
    }
    if !buttons.is_empty() {
        blocks.push(json!({"type": "actions", "elements": buttons}));
    }
    if let Some(footer) = message
        .footer
        .as_deref()
        .filter(|footer| !footer.is_empty())
    {
        let footer = shorten(footer, MAX_FOOTER, escaped);
        blocks.push(json!({"type": "context", "elements": [plain_text(&footer)]}));
    }
    blocks
}

/// Counts what Slack counts of all blocks together; too many blocks fit nowhere.
fn size(blocks: &[Value]) -> usize {
    if blocks.len() > MAX_BLOCKS {
        return usize::MAX;
    }
    escaped(&serde_json::to_string(blocks).unwrap_or_default())
}

/// Adds the blocks that say what one part says; none where that is nothing.
fn lower(block: &Block, blocks: &mut Vec<Value>) {
    match block {
        Block::Text(inlines) => blocks.extend(line(inlines, Style::default())),
        Block::Heading(inlines) => {
            let mut style = Style::default();
            style.strong = true;
            blocks.extend(line(inlines, style));
        }
        Block::Items { ordered, items } => {
            let style = if *ordered { "ordered" } else { "bullet" };
            let items: Vec<_> = items
                .iter()
                .map(|item| section(item, Style::default()))
                .collect();
            if !items.is_empty() {
                blocks.push(rich_text(
                    &json!({"type": "rich_text_list", "style": style, "elements": items}),
                ));
            }
        }
        Block::Fields(fields) => {
            for fields in fields.chunks(MAX_FIELDS) {
                let fields: Vec<_> = fields.iter().filter_map(field).collect();
                if !fields.is_empty() {
                    blocks.push(json!({"type": "section", "fields": fields}));
                }
            }
        }
        Block::Code(code) => {
            let code = code.trim_end().trim_start_matches('\n');
            if !code.is_empty() {
                blocks.push(rich_text(&json!({
                    "type": "rich_text_preformatted",
                    "elements": [{"type": "text", "text": code}],
                })));
            }
        }
        // A part that is newer than this provider.
        other => lower(&Block::text(other.plain_text()), blocks),
    }
}

fn line(inlines: &[Inline], style: Style) -> Option<Value> {
    let is_blank = inlines
        .iter()
        .all(|inline| inline.plain_text().trim().is_empty());
    (!is_blank).then(|| rich_text(&section(inlines, style)))
}

fn field(Field { label, value }: &Field) -> Option<Value> {
    let text = format!("{label}\n{}", value.trim());
    let text = text.trim();
    (!text.is_empty()).then(|| plain_text(&shorten(text, MAX_FIELD, escaped)))
}

fn rich_text(element: &Value) -> Value {
    json!({"type": "rich_text", "elements": [element]})
}

fn section(inlines: &[Inline], around: Style) -> Value {
    let mut elements: Vec<_> = inlines
        .iter()
        .filter_map(|inline| element(inline, around))
        .collect();
    if elements.is_empty() {
        // An item without text still counts in a list, and Slack may refuse a section of nothing.
        elements.push(run(" ", around));
    }
    json!({"type": "rich_text_section", "elements": elements})
}

fn element(inline: &Inline, around: Style) -> Option<Value> {
    let element = match inline {
        Inline::Link { text, url, style } => {
            let style = within(*style, around);
            match link_url(url) {
                Some(url) if !text.is_empty() => {
                    styled(json!({"type": "link", "url": url, "text": text}), style)
                }
                Some(url) => styled(json!({"type": "link", "url": url}), style),
                None => run(&inline.plain_text(), style),
            }
        }
        Inline::Mention(Mention::Here) => json!({"type": "broadcast", "range": "here"}),
        Inline::Mention(Mention::Channel) => json!({"type": "broadcast", "range": "channel"}),
        Inline::Mention(Mention::User(id)) if is_id(id, &['U', 'W']) => {
            json!({"type": "user", "user_id": id})
        }
        Inline::Mention(Mention::Group(id)) if is_id(id, &['S']) => {
            json!({"type": "usergroup", "usergroup_id": id})
        }
        Inline::Text { style, .. } => run(&inline.plain_text(), within(*style, around)),
        // A name, which Slack cannot call, or what is newer than this provider.
        _ => run(&inline.plain_text(), around),
    };
    // Slack refuses a message for one empty text.
    (element.get("text") != Some(&json!(""))).then_some(element)
}

fn run(text: &str, style: Style) -> Value {
    styled(json!({"type": "text", "text": text}), style)
}

fn styled(mut element: Value, style: Style) -> Value {
    let names = [
        ("bold", style.strong),
        ("italic", style.emphasis),
        ("strike", style.strike),
        ("code", style.code),
    ];
    let set = names.into_iter().filter(|(_, is_set)| *is_set);
    let style: Map<_, _> = set
        .map(|(name, _)| (name.to_owned(), json!(true)))
        .collect();
    if let (Some(element), false) = (element.as_object_mut(), style.is_empty()) {
        element.insert("style".to_owned(), Value::Object(style));
    }
    element
}

/// Adds the style of a whole line to that of a run in it.
fn within(mut style: Style, around: Style) -> Style {
    style.strong |= around.strong;
    style
}

/// Tells whether a name is an id that Slack gave: a capital that tells what it is, then capitals
/// and digits.
fn is_id(name: &str, kinds: &[char]) -> bool {
    name.strip_prefix(kinds).is_some_and(|rest| {
        (8..24).contains(&rest.len())
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            && rest.contains(|letter: char| letter.is_ascii_digit())
    })
}

/// Makes an address clickable, or says that it cannot be.
fn link_url(url: &str) -> Option<String> {
    if !is_link(url) {
        return None;
    }
    let url = web_url(url).or_else(|| mail_url(url))?;
    (url.len() <= MAX_URL).then_some(url)
}

/// Encodes what RFC 6068 does not allow in an address to write to.
fn mail_url(url: &str) -> Option<String> {
    let (scheme, address) = url.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("mailto") || address.is_empty() {
        return None;
    }
    let mut encoded = "mailto:".to_owned();
    for byte in address.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$'*+,;:@/?&=%".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing to a `String` cannot fail.
            write!(encoded, "%{byte:02X}").ok();
        }
    }
    Some(encoded)
}

/// Makes buttons of what may be opened, and text of the rest.
fn buttons(actions: &[Action]) -> (Vec<Value>, Vec<String>) {
    let mut buttons = Vec::new();
    let mut rest = Vec::new();
    for (index, action) in actions.iter().enumerate() {
        let url = web_url(&action.url)
            .filter(|url| action.is_web() && url.len() <= MAX_URL && buttons.len() < MAX_BUTTONS);
        match url {
            Some(url) => buttons.push(json!({
                "type": "button",
                "action_id": format!("open_{index}"),
                "text": plain_text(&shorten(label(action), MAX_LABEL, units)),
                "url": url,
            })),
            None => rest.push(named(action)),
        }
    }
    (buttons, rest)
}

fn label(action: &Action) -> &str {
    match action.label.as_str() {
        "" => "Open",
        label => label,
    }
}

fn named(action: &Action) -> String {
    format!("{}: {}", label(action), action.url)
}

/// A text that Slack shows as it is; `emoji` would turn `:skull:` into a picture.
fn plain_text(text: &str) -> Value {
    json!({"type": "plain_text", "text": text, "emoji": false})
}

/// Escapes what Slack treats as markup in `text`, and nothing else.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Counts UTF-16 units: at least as many as characters.
fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Counts what a text takes once Slack has escaped it.
fn escaped(text: &str) -> usize {
    let entity = |letter: char| match letter {
        '&' => 5,
        '<' | '>' => 4,
        other => other.len_utf16(),
    };
    text.chars().map(entity).sum()
}

#[cfg(test)]
mod tests {
    use notify_core::content::Severity;

    use super::*;

    const HOSTILE: [&str; 10] = [
        "<!channel> <!here> <@U12345678> <#C12345678> <https://evil.example|here>",
        "*bold* _it_ ~no~ `code` ```fence``` > quote :skull: @here #general",
        "&amp; &lt;!channel&gt; <>&\"'\\",
        "\u{0}\u{1b}[31mred\u{7f}\u{9b}\r\nnext\tcolumn",
        "👨‍👩‍👧‍👦 é \u{202e}txet",
        "{\"type\": \"mrkdwn\"}",
        "\n\n  \n",
        "",
        "{{ failure.message }} ${HOME} %s",
        "夜間バッチ",
    ];

    fn message(text: &str) -> Message {
        let mut message = Message::new(text, Severity::Error)
            .block(Block::text(text))
            .block(Block::Items {
                ordered: false,
                items: vec![vec![Inline::plain(text)]; 2],
            })
            .block(Block::Fields(vec![Field {
                label: text.to_owned(),
                value: text.to_owned(),
            }]))
            .block(Block::Code(text.to_owned()))
            .footer(text)
            .action(text, format!("https://example.com/{text}"))
            .action(text, text);
        message.blocks.push(Block::Code(text.to_owned()));
        message
    }

    /// Walks every text of the blocks with the type of the object that holds it.
    fn texts<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            Value::Object(map) => {
                if let (Some(Value::String(kind)), Some(Value::String(text))) =
                    (map.get("type"), map.get("text"))
                {
                    found.push((kind, text));
                }
                map.values().for_each(|item| texts(item, found));
            }
            _ => {}
        }
    }

    /// Lowers a message and checks what Slack would refuse or, worse, interpret.
    #[track_caller]
    fn check(message: &Message) -> Map<String, Value> {
        let body = body(message);
        let text = body["text"].as_str().unwrap();
        assert!(!text.contains(['<', '>']) && text.encode_utf16().count() <= MAX_TEXT);
        let blocks = body["blocks"].as_array().unwrap();
        assert!((1..=MAX_BLOCKS).contains(&blocks.len()));
        assert!(size(blocks) <= MAX_ALL, "{}", size(blocks));
        let mut found = Vec::new();
        texts(&body["blocks"], &mut found);
        for (kind, text) in found {
            assert!(matches!(kind, "plain_text" | "text" | "link"), "{kind}");
            assert!(!text.is_empty());
            assert!(
                !text.contains(|letter: char| letter.is_control()
                    && letter != '\n'
                    && letter != '\t')
            );
        }
        body
    }

    #[test]
    fn hostile_text_stays_text() {
        for text in HOSTILE {
            check(&message(text));
        }
        let body = check(&message(HOSTILE[0]));
        assert!(
            body["text"]
                .as_str()
                .unwrap()
                .starts_with("&lt;!channel&gt; &lt;!here&gt; &lt;@U12345678&gt;")
        );
    }

    #[test]
    fn long_text_is_cut_within_the_limits_and_says_so() {
        for text in HOSTILE {
            let long = text.repeat(500);
            check(&message(&long));
            let mut code = Message::new("failed", Severity::Error).block(Block::Code(long.clone()));
            check(&code);
            code.blocks = (0..60)
                .flat_map(|_| [Block::Code(long.clone()), Block::text(text)])
                .collect();
            check(&code);
        }
    }

    #[test]
    fn code_keeps_its_end_and_uses_the_room_there_is() {
        let output = format!(
            "{}row 4: amount is not a number",
            "noise <&>\n".repeat(5_000)
        );
        let body = check(
            &Message::new("nightly-etl failed", Severity::Error)
                .block(Block::text("short"))
                .block(Block::Code(output)),
        );
        let mut found = Vec::new();
        texts(&body["blocks"], &mut found);
        let (_, code) = found.last().unwrap();
        assert!(code.ends_with("row 4: amount is not a number"));
        assert!(code.contains("characters omitted …\n"));
        assert!(escaped(code) > 10_000, "{}", escaped(code));
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut message = Message::new("failed", Severity::Error).footer("end");
        message.blocks = vec![Block::text("x"); 100];
        let body = check(&message);
        let blocks = body["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), MAX_BLOCKS);
        assert_eq!(
            blocks.last().unwrap()["elements"][0]["elements"][0]["text"],
            "… 53 parts omitted"
        );

        let items = (0..2_000).map(|index| vec![Inline::plain(format!("item {index}"))]);
        let items = Block::Items {
            ordered: true,
            items: items.collect(),
        };
        let body = check(&Message::new("failed", Severity::Error).block(items));
        let mut found = Vec::new();
        texts(&body["blocks"], &mut found);
        let kept = found.len() - 2;
        let (_, last) = found.last().unwrap();
        assert_eq!(*last, format!("… {} parts omitted", 2_000 - kept));
        assert_eq!(body["blocks"][1]["elements"][0]["style"], "ordered");

        let fields = (0..25)
            .map(|index| Field {
                label: format!("label {index}"),
                value: "value".to_owned(),
            })
            .collect();
        let body = check(&Message::new("failed", Severity::Error).block(Block::Fields(fields)));
        let blocks = body["blocks"].as_array().unwrap();
        let counts: Vec<_> = blocks[1..]
            .iter()
            .map(|block| block["fields"].as_array().unwrap().len())
            .collect();
        assert_eq!(counts, [10, 10, 5]);
    }

    #[test]
    fn only_web_addresses_become_buttons() {
        let body = check(
            &Message::new("failed", Severity::Error)
                .action("Open run", "https://example.com/run/17?a=<b>|c")
                .action("Script", "javascript:alert(1)")
                .action("Long", format!("https://example.com/{}", "x".repeat(3_000))),
        );
        let blocks = body["blocks"].as_array().unwrap();
        let actions: Vec<_> = blocks
            .iter()
            .filter(|block| block["type"] == "actions")
            .collect();
        assert_eq!(actions.len(), 1);
        let elements = actions[0]["elements"].as_array().unwrap();
        assert_eq!(elements.len(), 1);
        assert_eq!(
            elements[0]["url"],
            "https://example.com/run/17?a=%3Cb%3E%7Cc"
        );
        assert_eq!(
            blocks[1]["elements"][0]["elements"][0]["text"],
            "Script: javascript:alert(1)"
        );
    }

    /// Lowers inlines in a line of their own and gives the elements.
    #[track_caller]
    fn elements(inlines: Vec<Inline>) -> Value {
        let body = check(&Message::new("failed", Severity::Error).block(Block::Text(inlines)));
        body["blocks"][1]["elements"][0]["elements"].clone()
    }

    #[test]
    fn styles_and_headings_become_styles() {
        let mut style = Style::default();
        style.emphasis = true;
        style.code = true;
        let text = Inline::Text {
            text: "*x*".to_owned(),
            style,
        };
        let styled = json!({"code": true, "italic": true});
        let expected = json!([{"type": "text", "text": "*x*", "style": styled}]);
        assert_eq!(elements(vec![text.clone(), Inline::plain("")]), expected);
        let heading = Message::new("failed", Severity::Error).block(Block::Heading(vec![text]));
        let styled = json!({"bold": true, "code": true, "italic": true});
        assert_eq!(
            check(&heading)["blocks"][1]["elements"][0]["elements"][0]["style"],
            styled
        );
    }

    #[test]
    fn a_mention_calls_only_by_id() {
        let table = [
            (Mention::Here, json!({"type": "broadcast", "range": "here"})),
            (
                Mention::Channel,
                json!({"type": "broadcast", "range": "channel"}),
            ),
            (
                Mention::User("U024BE7LH".to_owned()),
                json!({"type": "user", "user_id": "U024BE7LH"}),
            ),
            (
                Mention::Group("S024BE7LH".to_owned()),
                json!({"type": "usergroup", "usergroup_id": "S024BE7LH"}),
            ),
            (
                Mention::User("S024BE7LH".to_owned()),
                json!({"type": "text", "text": "@S024BE7LH"}),
            ),
            (
                Mention::User("jane".to_owned()),
                json!({"type": "text", "text": "@jane"}),
            ),
            (
                Mention::Group("UNDERWRITERS".to_owned()),
                json!({"type": "text", "text": "@UNDERWRITERS"}),
            ),
        ];
        for (mention, expected) in table {
            assert_eq!(elements(vec![Inline::Mention(mention)]), json!([expected]));
        }
    }

    #[test]
    fn a_link_leads_to_the_web_or_to_a_mailbox_or_shows_where_it_led() {
        let long = format!("https://example.com/{}", "x".repeat(MAX_URL));
        let table = [
            ("https://example.com/a|b", Some("https://example.com/a%7Cb")),
            (
                "mailto:jane|x@example.com",
                Some("mailto:jane%7Cx@example.com"),
            ),
            ("javascript:alert(1)", None),
            ("mailto:", None),
            (&long, None),
        ];
        for (url, expected) in table {
            let link = Inline::Link {
                text: "run".to_owned(),
                url: url.to_owned(),
                style: Style::default(),
            };
            let expected = match expected {
                Some(url) => json!({"type": "link", "url": url, "text": "run"}),
                None => json!({"type": "text", "text": format!("run ({url})")}),
            };
            assert_eq!(elements(vec![link]), json!([expected]));
        }
    }
}
