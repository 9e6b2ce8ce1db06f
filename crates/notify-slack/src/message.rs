//! From a message to what a call says: fallback text, blocks, a bar in the colour of the end, all
//! within Slack's limits. Pure.
//!
//! **Invariant.** Nothing here is `mrkdwn` but what an author wrote as Block Kit: text of a workflow
//! goes into blocks that Slack does not parse, and into `text` escaped.
//!
//! Sizes are UTF-16 units of the JSON text after Slack's own escaping: never less than what Slack
//! counts, whichever unit that is.

use std::cell::Cell;

use notify_core::content::{Block, Mention, Severity};
use notify_core::fit::{fit, shorten};
use notify_core::slack::RawBlocks;
use notify_core::{Message, TerminalPhase};
use serde_json::{Map, Value, json};

use crate::blocks::{below, header, headline, named};
use crate::rich_text;
use crate::text::{escape, escaped};

/// The most blocks of a message.
const MAX_BLOCKS: usize = 50;
/// All blocks together; about 13,000 were seen to be refused as `msg_blocks_too_long`.
const MAX_ALL: usize = 12_000;
/// `text` beyond 4,000 characters is refused by `chat.update`, and cut in places.
const MAX_TEXT: usize = 3_000;
const MAX_FALLBACK: usize = 300;

/// What a message is beside what it says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner<'a> {
    /// Whom it calls.
    pub(crate) mentions: Vec<Mention>,
    /// Block Kit of the author, in place of ours.
    pub(crate) raw: Option<&'a RawBlocks>,
    /// The colour of its bar.
    pub(crate) colour: &'a str,
}

/// Gives the colour of an end: red, orange, grey, green.
pub(crate) fn colour(phase: TerminalPhase, severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "#28a745",
        Severity::Warning => "#bdbdbd",
        // A summary is as bad as the worst of what it is about, and not of that one end.
        _ if phase == TerminalPhase::TimedOut => "#ff4e33",
        _ => "#eb0000",
    }
}

/// Gives the `text`, the `blocks` and the `attachments` of a call.
pub(crate) fn content(message: &Message, manner: &Manner<'_>) -> Map<String, Value> {
    let call = rich_text::call(&manner.mentions);
    let (message, Parts { above, below }) = fitted(message, call.as_ref());
    let text = text(&message);
    let text = shorten(&text, MAX_TEXT, escaped);
    let mut content = Map::new();
    content.insert("text".to_owned(), escape(&text).into());
    if let Some(raw) = manner.raw {
        let raw = raw.iter().cloned().map(Value::Object);
        let blocks: Vec<Value> = call.into_iter().chain(raw).collect();
        content.insert("blocks".to_owned(), blocks.into());
        return content;
    }
    content.insert("blocks".to_owned(), above.into());
    if !below.is_empty() {
        // Slack draws a bar beside the blocks of an attachment, and nowhere else.
        let fallback = shorten(headline(&message), MAX_FALLBACK, escaped);
        let bar = json!({
            "color": manner.colour,
            "fallback": escape(&fallback),
            "blocks": below,
        });
        content.insert("attachments".to_owned(), json!([bar]));
    }
    content
}

/// The blocks of a message.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// The headline and whom it calls.
    pub(crate) above: Vec<Value>,
    /// What stands beside the bar.
    pub(crate) below: Vec<Value>,
}

impl Parts {
    fn of(message: &Message, call: Option<&Value>) -> Self {
        Self {
            above: [header(message)].into_iter().chain(call.cloned()).collect(),
            below: below(message),
        }
    }

    /// Counts what Slack counts of all blocks together; too many blocks fit nowhere.
    fn size(&self) -> usize {
        if self.above.len() + self.below.len() > MAX_BLOCKS {
            return usize::MAX;
        }
        let json = |blocks: &[Value]| serde_json::to_string(blocks).unwrap_or_default();
        escaped(&json(&self.above)) + escaped(&json(&self.below))
    }
}

/// Gives the message as Slack can take it, and its blocks.
pub(crate) fn fitted(message: &Message, call: Option<&Value>) -> (Message, Parts) {
    // Most messages fit as they are: their blocks are made once.
    let (looks, first) = (Cell::new(0_usize), Cell::new(Parts::default()));
    let fitted = fit(message, MAX_ALL, |message| {
        let parts = Parts::of(message, call);
        let size = parts.size();
        if looks.replace(looks.get() + 1) == 0 {
            first.set(parts);
        }
        size
    });
    let parts = match looks.get() {
        1 => first.take(),
        _ => Parts::of(&fitted, call),
    };
    (fitted, parts)
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

#[cfg(test)]
#[path = "message/tests.rs"]
mod tests;
