//! The details of an event: the author's own, and what the message says.

use std::collections::BTreeMap;

use notify_core::content::{Block, Field};
use notify_core::fit::shorten;
use notify_core::pagerduty::PagerDutyOptions;
use notify_core::{Delivery, Message};
use serde_json::{Map, Value};

const MAX_LABEL: usize = 200;

/// Lists the author's own details, what the message says, and which delivery it is.
pub(crate) fn details(
    delivery: &Delivery<'_>,
    message: &Message,
    options: Option<&PagerDutyOptions>,
    rest: &[String],
) -> Map<String, Value> {
    let mut text = String::new();
    let mut output = String::new();
    let mut details = Details::default();
    for (name, value) in options.iter().flat_map(|options| &options.details) {
        details.insert(name, value.clone());
    }
    for block in &message.blocks {
        match block {
            Block::Code(code) => paragraph_of(&mut output, code.trim_matches('\n')),
            Block::Fields(fields) => {
                for Field { label, value } in fields {
                    let count = |text: &str| text.chars().count();
                    details.insert(&shorten(label, MAX_LABEL, count), value.trim().into());
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
        details.insert("text", text.into());
    }
    if !output.is_empty() {
        details.insert("output", output.into());
    }
    details.insert("delivery", delivery.id.to_string().into());
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
    fn insert(&mut self, label: &str, value: Value) {
        let mut name = label.to_owned();
        while self.all.contains_key(&name) {
            let count = self.wanted.entry(label.to_owned()).or_insert(1);
            *count += 1;
            name = format!("{label} ({count})");
        }
        self.all.insert(name, value);
    }
}

fn paragraph_of(text: &mut String, paragraph: &str) {
    if !text.is_empty() && !paragraph.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(paragraph);
}
