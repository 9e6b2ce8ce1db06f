//! From a delivery and its message to a body: the facts, and how they give way where there are too
//! many. Pure.

use notify_core::content::{Block, Inline};
use notify_core::fit::{fit, one_line, shorten, shorten_front};
use notify_core::{Delivery, Message};
use notify_http::web_url;
use serde_json::{Map, Value, json};

use crate::endpoint::Body;
use crate::event::Attributes;

/// The most bytes of a body: the size up to which every intermediary must forward an event
/// (CloudEvents 1.0.2, “Size limits”).
pub const MAX_BODY: usize = 64 * 1024;

/// The facts of an event that give way where the body would be longer than [`MAX_BODY`], in this
/// order; `omitted` names them.
pub const OPTIONAL_FACTS: &[&str] = &["outputs", "tasks", "labels"];

/// The facts that every body has room for.
const NEEDED: [&str; 7] = [
    "version",
    "workflow",
    "execution",
    "phase",
    "started_at",
    "ended_at",
    "failure",
];

/// How much is kept: of the message and of what failed in bytes as JSON, of the event by name.
#[derive(Clone, Copy)]
struct Cut {
    message: usize,
    failure: usize,
    /// How many of the [`OPTIONAL_FACTS`] go.
    omitted: usize,
    needed_only: bool,
}

/// From everything to what tells which run it was.
const CUTS: [Cut; 7] = [
    Cut::new(24_000, usize::MAX, 0),
    Cut::new(24_000, 16_000, 0),
    Cut::new(24_000, 16_000, 1),
    Cut::new(24_000, 16_000, 2),
    Cut::new(24_000, 16_000, 3),
    Cut::new(8_000, 8_000, 3).needed_only(),
    LEAST,
];

const LEAST: Cut = Cut::new(600, 200, 3).needed_only();

impl Cut {
    const fn new(message: usize, failure: usize, omitted: usize) -> Self {
        Self {
            message,
            failure,
            omitted,
            needed_only: false,
        }
    }

    const fn needed_only(mut self) -> Self {
        self.needed_only = true;
        self
    }
}

/// Gives the body of a delivery, at most [`MAX_BODY`] bytes of it.
pub(crate) fn body(body: &Body, delivery: &Delivery<'_>, message: &Message) -> Value {
    let build = |facts: &Facts| match body {
        Body::Event(_) => Attributes::of(delivery).with(&facts.data()),
        Body::Own(template) => template.fill(&facts.fields(delivery)),
    };
    let mut facts = Facts::default();
    let mut size = None;
    for cut in CUTS {
        if size != Some(cut.message) {
            facts.message = fitted(message, cut.message);
            size = Some(cut.message);
        }
        facts.take_event(delivery, cut);
        let value = build(&facts);
        if value.to_string().len() <= MAX_BODY {
            return value;
        }
    }
    // A template that repeats the same facts many times: what holds several of them goes last.
    match body {
        Body::Event(_) => build(&facts),
        Body::Own(template) => {
            let mut fields = facts.fields(delivery);
            fields.retain(|_, value| !value.is_object() && !value.is_array());
            template.fill(&fields)
        }
    }
}

fn fitted(message: &Message, budget: usize) -> Map<String, Value> {
    let size = |message: &Message| Value::Object(in_json(message)).to_string().len();
    in_json(&fit(message, budget, size))
}

/// What is known of a delivery.
#[derive(Default)]
struct Facts {
    event: Map<String, Value>,
    message: Map<String, Value>,
    omitted: Vec<String>,
}

impl Facts {
    /// Takes what of the event is kept.
    fn take_event(&mut self, delivery: &Delivery<'_>, cut: Cut) {
        let mut event = match serde_json::to_value(delivery.event.to_wire()) {
            Ok(Value::Object(event)) => event,
            _ => Map::new(),
        };
        // Who is told is no fact about the run.
        event.remove("notifications");
        event
            .entry("ended_at")
            .or_insert_with(|| delivery.at.to_string().into());
        self.omitted.clear();
        for name in OPTIONAL_FACTS.iter().take(cut.omitted) {
            if event.remove(*name).is_some() {
                self.omitted.push((*name).to_owned());
            }
        }
        if cut.needed_only {
            let more = |name: &String| !NEEDED.contains(&name.as_str());
            let gone = event.keys().filter(|name| more(name)).cloned();
            self.omitted.extend(gone);
            event.retain(|name, _| !more(name));
        }
        if let Some(Value::Object(failure)) = event.get_mut("failure") {
            // Where output ends is where a program says why it stopped.
            if let Some(Value::String(said)) = failure.get_mut("message") {
                *said = shorten_front(said, cut.failure, json_len).into_owned();
            }
            if let Some(Value::String(code)) = failure.get_mut("code") {
                *code = shorten(code, cut.failure, json_len).into_owned();
            }
        }
        self.event = event;
    }

    /// Gives the data of an event.
    fn data(&self) -> Value {
        let mut data = json!({"event": self.event, "message": self.message});
        if let Some(data) = data.as_object_mut()
            && !self.omitted.is_empty()
        {
            data.insert("omitted".to_owned(), json!(self.omitted));
        }
        data
    }

    /// Gives what a template can name.
    fn fields(&self, delivery: &Delivery<'_>) -> Map<String, Value> {
        let Attributes {
            id,
            source,
            kind,
            subject,
            time,
        } = Attributes::of(delivery);
        let mut fields = self.event.clone();
        // On the wire this is the version of the wire form.
        fields.remove("version");
        if let Some(version) = fields.remove("workflow_version") {
            fields.insert("version".to_owned(), version);
        }
        fields.extend(self.message.clone());
        let more = json!({
            "id": id,
            "source": source,
            "type": kind,
            "subject": subject,
            "time": time,
            "event": self.event,
            "message": self.message,
            "omitted": self.omitted,
        });
        if let Value::Object(more) = more {
            fields.extend(more);
        }
        fields
    }
}

/// Counts the bytes of a text within JSON.
fn json_len(text: &str) -> usize {
    let escaped = |letter: char| match letter {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        letter if letter < ' ' => 6,
        letter => letter.len_utf8(),
    };
    text.chars().map(escaped).sum()
}

/// Writes a message for a program that shows it to people.
fn in_json(message: &Message) -> Map<String, Value> {
    let mut text = String::new();
    for block in &message.blocks {
        paragraph(&mut text, &block.plain_text());
    }
    let mut links = Vec::new();
    for action in &message.actions {
        match web_url(&action.url).filter(|_| action.is_web()) {
            Some(url) => links.push(json!({"label": action.label, "url": url})),
            None => paragraph(&mut text, &format!("{}: {}", action.label, action.url)),
        }
    }
    for inline in message.blocks.iter().flat_map(inlines) {
        if let Inline::Link { text, url, .. } = inline
            && let Some(url) = web_url(url)
            && links
                .iter()
                .all(|link| link.get("url") != Some(&json!(url)))
        {
            links.push(json!({"label": one_line(text), "url": url}));
        }
    }
    let mut json = Map::new();
    json.insert("headline".to_owned(), json!(message.headline));
    json.insert("severity".to_owned(), json!(message.severity.name()));
    json.insert("text".to_owned(), json!(text));
    json.insert("links".to_owned(), json!(links));
    if let Some(footer) = &message.footer {
        json.insert("footer".to_owned(), json!(footer));
    }
    json
}

fn paragraph(text: &mut String, paragraph: &str) {
    if !text.is_empty() && !paragraph.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(paragraph);
}

/// Walks the runs of a block.
fn inlines(block: &Block) -> Box<dyn Iterator<Item = &Inline> + '_> {
    match block {
        Block::Text(inlines) | Block::Heading(inlines) => Box::new(inlines.iter()),
        Block::Items { items, .. } => Box::new(items.iter().flatten()),
        _ => Box::new(std::iter::empty()),
    }
}
