//! The parts of a message as blocks. Pure.
//!
//! **Invariant.** Text of a workflow goes into `plain_text` and rich text elements only, which
//! Slack does not parse.

use notify_core::Message;
use notify_core::content::{Action, Block, Field, Inline, Style};
use notify_core::fit::shorten;
use notify_http::web_url;
use serde_json::{Value, json};

use crate::rich_text::{self, MAX_URL, section};
use crate::text::{escaped, units};

const MAX_HEADER: usize = 150;
/// What Slack takes of a field in a section, and more than anybody reads in a line.
const MAX_FIELD: usize = 2_000;
const MAX_FOOTER: usize = 1_000;
const MAX_BUTTONS: usize = 25;
const MAX_LABEL: usize = 75;

/// Makes the block of the headline.
pub(crate) fn header(message: &Message) -> Value {
    let headline = shorten(headline(message), MAX_HEADER, units);
    json!({"type": "header", "text": plain_text(&headline)})
}

/// Returns the headline, or what stands for an empty one: Slack refuses an empty `text` as `no_text`.
pub(crate) fn headline(message: &Message) -> &str {
    match message.headline.as_str() {
        "" => "A workflow ended",
        headline => headline,
    }
}

/// Makes the blocks below the headline.
pub(crate) fn below(message: &Message) -> Vec<Value> {
    let mut blocks = Vec::new();
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
                blocks.push(rich_text::block(
                    &json!({"type": "rich_text_list", "style": style, "elements": items}),
                ));
            }
        }
        Block::Fields(fields) => {
            let fields: Vec<_> = fields.iter().filter_map(field).collect();
            if !fields.is_empty() {
                blocks.push(json!({"type": "rich_text", "elements": fields}));
            }
        }
        Block::Code(code) => {
            let code = code.trim_end().trim_start_matches('\n');
            if !code.is_empty() {
                blocks.push(rich_text::block(&json!({
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
    (!is_blank).then(|| rich_text::block(&section(inlines, style)))
}

/// Makes a line of a field. Its label is bold, which a section's own fields can only be where the
/// value is markup too.
fn field(Field { label, value }: &Field) -> Option<Value> {
    let value = shorten(value.trim(), MAX_FIELD, escaped);
    let label = match (label.trim(), &*value) {
        ("", "") => return None,
        ("", _) => String::new(),
        (label, "") => shorten(label, MAX_FIELD, escaped).into_owned(),
        (label, _) => format!("{}: ", shorten(label, MAX_FIELD, escaped)),
    };
    let mut style = Style::default();
    style.strong = true;
    let label = Inline::Text { text: label, style };
    Some(section(&[label, Inline::plain(value)], Style::default()))
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

/// Writes an action for who cannot press it.
pub(crate) fn named(action: &Action) -> String {
    format!("{}: {}", label(action), action.url)
}

/// A text that Slack shows as it is; `emoji` would turn `:skull:` into a picture.
fn plain_text(text: &str) -> Value {
    json!({"type": "plain_text", "text": text, "emoji": false})
}
