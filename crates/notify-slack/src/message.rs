//! From a message to Slack's blocks, within Slack's limits. Pure.
//!
//! **Invariant.** Text of a workflow goes into `plain_text` and rich text elements only, which
//! Slack does not parse, and into `text` escaped. Nothing here is `mrkdwn`.
//!
//! Sizes are UTF-16 units of the JSON text after Slack's own escaping: never less than what Slack
//! counts, whichever unit that is.

use std::borrow::Cow;

use notify_core::Message;
use notify_core::content::{Action, Block, Field};
use notify_core::fit::{shorten, shorten_front};
use notify_http::web_url;
use serde_json::{Map, Value, json};

/// The most blocks of a message.
const MAX_BLOCKS: usize = 50;
/// All blocks together; about 13,000 were seen to be refused as `msg_blocks_too_long`.
const MAX_ALL: usize = 12_000;
/// `text` beyond 4,000 characters is cut in places; it holds one line.
const MAX_TEXT: usize = 3_000;
const MAX_HEADER: usize = 150;
/// A section holds ten fields of 2,000 characters.
const MAX_FIELDS: usize = 10;
const MAX_FIELD: usize = 2_000;
const MAX_FOOTER: usize = 1_000;
const MAX_BUTTONS: usize = 25;
const MAX_LABEL: usize = 75;
const MAX_URL: usize = 3_000;
/// All buttons together: a long link and some short ones.
const MAX_ACTIONS: usize = 4_000;
/// Text for which less than this is left is better counted than cut to a stump.
const MIN_TEXT: usize = 60;

/// Gives the body of the call, without the channel.
pub(crate) fn body(message: &Message) -> Map<String, Value> {
    let mut headline = line(&message.headline);
    if headline.is_empty() {
        // Slack refuses an empty `text` as `no_text`.
        headline.push_str("A workflow ended");
    }
    let text = shorten(&headline, MAX_TEXT, |text| units(&escape(text)));
    let Value::Object(body) = json!({
        "text": escape(&text),
        "mrkdwn": false,
        "blocks": blocks(message, &headline),
        "unfurl_links": false,
        "unfurl_media": false,
    }) else {
        return Map::new();
    };
    body
}

fn blocks(message: &Message, headline: &str) -> Vec<Value> {
    let header = json!({
        "type": "header",
        "text": plain_text(&shorten(headline, MAX_HEADER, units)),
    });
    let (buttons, rest) = buttons(&message.actions);
    let mut footer: Vec<Value> = message
        .footer
        .iter()
        .map(|footer| line(footer))
        .filter(|footer| !footer.is_empty())
        .map(|footer| plain_text(&shorten(&footer, MAX_FOOTER, weight)))
        .collect();

    let mut room = Room::new(MAX_ALL);
    room.take(&header);
    room.take(&buttons);
    room.take(&footer);
    // The line that counts what is left out.
    room.left = room.left.saturating_sub(200);

    // The other parts first: they are short as a rule, and code gives way by the character.
    let is_code = |block: &&Block| matches!(block, Block::Code(_));
    let code_blocks = message.blocks.iter().filter(is_code).count();
    let for_code = if code_blocks == 0 { 0 } else { room.left / 2 };
    room.left -= for_code;
    let links = rest.iter().map(|text| Block::Paragraph(text.clone()));
    let all: Vec<Block> = message.blocks.iter().cloned().chain(links).collect();
    let mut parts: Vec<Vec<Value>> = all.iter().map(|block| room.lower(block)).collect();
    room.left += for_code;
    let mut codes_left = code_blocks;
    for (block, part) in all.iter().zip(&mut parts) {
        if let Block::Code(code) = block {
            *part = room.code(code, codes_left);
            codes_left -= 1;
        }
    }

    let mut blocks = vec![header];
    blocks.extend(parts.into_iter().flatten());
    // The buttons, and the line at the end.
    let most = MAX_BLOCKS - 2;
    if blocks.len() > most {
        room.omitted += blocks.len() - most;
        blocks.truncate(most);
    }
    if !buttons.is_empty() {
        blocks.push(json!({"type": "actions", "elements": buttons}));
    }
    if room.omitted > 0 {
        footer.push(plain_text(&format!("… {} parts omitted", room.omitted)));
    }
    if !footer.is_empty() {
        blocks.push(json!({"type": "context", "elements": footer}));
    }
    blocks
}

/// What is left of the size of all blocks.
struct Room {
    left: usize,
    /// How many parts did not fit at all.
    omitted: usize,
}

impl Room {
    fn new(left: usize) -> Self {
        Self { left, omitted: 0 }
    }

    /// Pays for a value; one more for the comma.
    fn take(&mut self, value: &impl serde::Serialize) {
        let json = serde_json::to_string(value).unwrap_or_default();
        let size = json.chars().map(entity).sum::<usize>() + 1;
        self.left = self.left.saturating_sub(size);
    }

    /// Reserves the size of a value around a text of yet unknown length, and gives what the text
    /// may have.
    fn around(&mut self, value: &Value) -> Option<usize> {
        let before = self.left;
        self.take(value);
        if self.left >= MIN_TEXT {
            return Some(self.left);
        }
        self.left = before;
        None
    }

    /// Lowers a part that is no code.
    fn lower(&mut self, block: &Block) -> Vec<Value> {
        match block {
            Block::Paragraph(text) => self.paragraph(text).into_iter().collect(),
            Block::List(items) => self.list(items).into_iter().collect(),
            Block::Fields(fields) => fields
                .chunks(MAX_FIELDS)
                .filter_map(|fields| self.fields(fields))
                .collect(),
            // Code is lowered last.
            Block::Code(_) => Vec::new(),
            // A part that is newer than this provider; left out, and said so.
            _ => {
                self.omitted += 1;
                Vec::new()
            }
        }
    }

    fn paragraph(&mut self, text: &str) -> Option<Value> {
        let text = plain(text);
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let block = |text: &str| rich_text(&section(text));
        let Some(most) = self.around(&block("")) else {
            self.omitted += 1;
            return None;
        };
        let text = shorten(text, most, weight);
        self.left -= weight(&text);
        Some(block(&text))
    }

    fn list(&mut self, items: &[String]) -> Option<Value> {
        let items: Vec<_> = items
            .iter()
            .map(|item| line(item))
            .filter(|item| !item.is_empty())
            .collect();
        let list = |elements: &[Value]| {
            rich_text(&json!({
                "type": "rich_text_list",
                "style": "bullet",
                "elements": elements,
            }))
        };
        if items.is_empty() {
            return None;
        }
        // The last line says how many items are missing.
        if self
            .around(&list(&[section("… 1000000 items omitted")]))
            .is_none()
        {
            self.omitted += 1;
            return None;
        }
        let mut elements = Vec::new();
        for item in &items {
            let Some(most) = self.around(&section("")) else {
                break;
            };
            let text = shorten(item, most, weight);
            self.left -= weight(&text);
            elements.push(section(&text));
        }
        let missing = items.len() - elements.len();
        if missing > 0 {
            elements.push(section(&format!("… {missing} items omitted")));
        }
        Some(list(&elements))
    }

    fn fields(&mut self, fields: &[Field]) -> Option<Value> {
        let section = |fields: &[Value]| json!({"type": "section", "fields": fields});
        if self.around(&section(&[])).is_none() {
            self.omitted += 1;
            return None;
        }
        let mut elements = Vec::new();
        for Field { label, value } in fields {
            let text = format!("{}\n{}", line(label), plain(value).trim());
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            let Some(most) = self.around(&plain_text("")) else {
                self.omitted += 1;
                continue;
            };
            let text = shorten(text, most.min(MAX_FIELD), weight);
            self.left -= weight(&text);
            elements.push(plain_text(&text));
        }
        (!elements.is_empty()).then(|| section(&elements))
    }

    /// Lowers one of the pieces of code that share what is left.
    fn code(&mut self, code: &str, sharing: usize) -> Vec<Value> {
        let code = plain(code);
        let code = code.trim_end().trim_start_matches('\n');
        if code.trim().is_empty() {
            return Vec::new();
        }
        let block = |code: &str| {
            rich_text(&json!({
                "type": "rich_text_preformatted",
                "elements": [{"type": "text", "text": code}],
            }))
        };
        let share = self.left / sharing.max(1);
        let mut own = Self::new(share);
        let Some(most) = own.around(&block("")) else {
            self.omitted += 1;
            return Vec::new();
        };
        let code = shorten_front(code, most, weight);
        self.take(&block(&code));
        vec![block(&code)]
    }
}

/// Makes buttons of what may be opened, and text of the rest.
fn buttons(actions: &[Action]) -> (Vec<Value>, Vec<String>) {
    let mut room = Room::new(MAX_ACTIONS);
    let mut buttons = Vec::new();
    let mut rest = Vec::new();
    for (index, action) in actions.iter().enumerate() {
        let label = line(&action.label);
        let shown = if label.is_empty() { "Open" } else { &label };
        let url = web_url(&action.url)
            .filter(|url| action.is_web() && url.len() <= MAX_URL && buttons.len() < MAX_BUTTONS);
        let button = url.map(|url| {
            json!({
                "type": "button",
                "action_id": format!("open_{index}"),
                "text": plain_text(&shorten(shown, MAX_LABEL, units)),
                "url": url,
            })
        });
        match button.filter(|button| room.around(button).is_some()) {
            Some(button) => buttons.push(button),
            None => rest.push(format!("{shown}: {}", action.url)),
        }
    }
    (buttons, rest)
}

fn rich_text(element: &Value) -> Value {
    json!({"type": "rich_text", "elements": [element]})
}

fn section(text: &str) -> Value {
    json!({"type": "rich_text_section", "elements": [{"type": "text", "text": text}]})
}

/// A text that Slack shows as it is; `emoji` would turn `:skull:` into a picture.
fn plain_text(text: &str) -> Value {
    // Slack refuses a message for one empty text.
    let text = if text.is_empty() { "…" } else { text };
    json!({"type": "plain_text", "text": text, "emoji": false})
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

/// Counts what a text takes in the JSON of the blocks.
fn weight(text: &str) -> usize {
    let quoted = |letter: char| match letter {
        '"' | '\\' | '\n' | '\t' => 2,
        other => entity(other),
    };
    text.chars().map(quoted).sum()
}

/// Counts what a character takes once Slack has escaped it.
fn entity(letter: char) -> usize {
    match letter {
        '&' => 5,
        '<' | '>' => 4,
        other => other.len_utf16(),
    }
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
            .block(Block::Paragraph(text.to_owned()))
            .block(Block::List(vec![text.to_owned(), text.to_owned()]))
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
        assert!(!text.contains(['<', '>']) && units(text) <= MAX_TEXT);
        let blocks = body["blocks"].as_array().unwrap();
        assert!((1..=MAX_BLOCKS).contains(&blocks.len()));
        let size = serde_json::to_string(blocks).unwrap();
        let size: usize = size.chars().map(entity).sum();
        assert!(size <= MAX_ALL, "{size}");
        let mut found = Vec::new();
        texts(&body["blocks"], &mut found);
        for (kind, text) in found {
            assert!(matches!(kind, "plain_text" | "text"), "{kind}");
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
                .flat_map(|_| [Block::Code(long.clone()), Block::Paragraph(text.to_owned())])
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
                .block(Block::Paragraph("short".to_owned()))
                .block(Block::Code(output)),
        );
        let mut found = Vec::new();
        texts(&body["blocks"], &mut found);
        let (_, code) = found.last().unwrap();
        assert!(code.ends_with("row 4: amount is not a number"));
        assert!(code.contains("characters omitted …\n"));
        assert!(weight(code) > 10_000, "{}", weight(code));
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut message = Message::new("failed", Severity::Error).footer("end");
        message.blocks = vec![Block::Paragraph("x".to_owned()); 100];
        let body = check(&message);
        let blocks = body["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), MAX_BLOCKS - 1);
        assert_eq!(
            blocks.last().unwrap()["elements"][1]["text"],
            "… 53 parts omitted"
        );

        let items: Vec<String> = (0..2_000).map(|index| format!("item {index}")).collect();
        let body = check(&Message::new("failed", Severity::Error).block(Block::List(items)));
        let items = body["blocks"][1]["elements"][0]["elements"]
            .as_array()
            .unwrap();
        let last = items.last().unwrap()["elements"][0]["text"]
            .as_str()
            .unwrap();
        assert!(last.starts_with("… ") && last.ends_with(" items omitted"));

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
}
