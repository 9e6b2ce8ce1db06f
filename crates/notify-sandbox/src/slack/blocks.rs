//! Slack's limits for the content of a message.
//!
//! Checks what the vendor documents and no more; a block type it does not know is refused.

use serde_json::Value;

use crate::slack::arguments::Refusal;

const MAX_BLOCKS: usize = 50;
const MAX_ATTACHMENTS: usize = 100;
const MAX_MARKDOWN_CHARS: usize = 12_000;

/// Block types of messages; those of modals only are missing.
const KNOWN_TYPES: &[&str] = &[
    "actions",
    "call",
    "carousel",
    "card",
    "alert",
    "context",
    "context_actions",
    "data_table",
    "divider",
    "file",
    "header",
    "image",
    "input",
    "markdown",
    "plan",
    "rich_text",
    "section",
    "table",
    "task_card",
    "video",
];

/// Checks the `blocks` of a message.
pub(super) fn check_blocks(blocks: &Value) -> Result<(), Refusal> {
    check_block_list(blocks, "/blocks")
}

/// Checks the `attachments` of a message and the blocks inside them.
pub(super) fn check_attachments(attachments: &Value) -> Result<(), Refusal> {
    let Some(list) = attachments.as_array() else {
        return Err(Refusal::at(
            "invalid_form_data",
            "must be an array",
            "/attachments",
        ));
    };
    if list.len() > MAX_ATTACHMENTS {
        return Err(Refusal::new("too_many_attachments"));
    }
    for (index, attachment) in list.iter().enumerate() {
        if let Some(blocks) = attachment.get("blocks") {
            check_block_list(blocks, &format!("/attachments/{index}/blocks"))?;
        }
    }
    Ok(())
}

fn check_block_list(blocks: &Value, pointer: &str) -> Result<(), Refusal> {
    let Some(list) = blocks.as_array() else {
        return Err(Refusal::at(
            "invalid_blocks_format",
            "must be an array",
            pointer,
        ));
    };
    if list.len() > MAX_BLOCKS {
        return Err(invalid("no more than 50 items allowed", pointer));
    }
    let mut markdown = 0;
    let mut block_ids = Vec::new();
    for (index, block) in list.iter().enumerate() {
        let place = Place {
            value: block,
            pointer: format!("{pointer}/{index}"),
        };
        check_block(&place)?;
        if let Some(block_id) = block.get("block_id").and_then(Value::as_str) {
            if block_ids.contains(&block_id) {
                return Err(invalid("block_id must be unique", &place.pointer));
            }
            block_ids.push(block_id);
        }
        if block.get("type").and_then(Value::as_str) == Some("markdown") {
            markdown += block.get("text").and_then(Value::as_str).map_or(0, chars);
        }
    }
    if markdown > MAX_MARKDOWN_CHARS {
        return Err(Refusal::at(
            "msg_blocks_too_long",
            "markdown is too long",
            pointer,
        ));
    }
    Ok(())
}

fn check_block(block: &Place<'_>) -> Result<(), Refusal> {
    if !block.value.is_object() {
        return Err(invalid("must be an object", &block.pointer));
    }
    let kind = block.required_string("type", usize::MAX)?;
    block.optional_string("block_id", 255)?;
    match kind {
        "header" => block.required("text")?.check_text(150, Some("plain_text")),
        "section" => check_section(block),
        "context" => block.items("elements", 1, 10)?.try_for_each(|element| {
            match element.required_string("type", usize::MAX)? {
                "image" => check_image(&element),
                _ => element.check_text(3_000, None),
            }
        }),
        "actions" => block
            .items("elements", 1, 25)?
            .try_for_each(|element| check_button(&element)),
        "context_actions" => block
            .items("elements", 1, 5)?
            .try_for_each(|element| check_button(&element)),
        "rich_text" => {
            block
                .items("elements", 1, usize::MAX)?
                .try_for_each(
                    |element| match element.required_string("type", usize::MAX)? {
                        "rich_text_section"
                        | "rich_text_list"
                        | "rich_text_preformatted"
                        | "rich_text_quote" => element.items("elements", 0, usize::MAX).map(drop),
                        _ => Err(invalid("unsupported rich text element", &element.pointer)),
                    },
                )
        }
        "image" => check_image(block),
        "markdown" => block.required_string("text", usize::MAX).map(drop),
        "table" => block
            .items("rows", 1, 100)?
            .try_for_each(|row| match row.value.as_array() {
                Some(cells) if cells.len() <= 20 => Ok(()),
                _ => Err(invalid(
                    "must be an array of at most 20 cells",
                    &row.pointer,
                )),
            }),
        kind if KNOWN_TYPES.contains(&kind) => Ok(()),
        kind => Err(invalid(
            &format!("unsupported type: {kind}"),
            &block.pointer,
        )),
    }
}

fn check_section(section: &Place<'_>) -> Result<(), Refusal> {
    if section.value.get("text").is_none() && section.value.get("fields").is_none() {
        return Err(invalid(
            "missing required field: text or fields",
            &section.pointer,
        ));
    }
    if section.value.get("text").is_some() {
        section.required("text")?.check_text(3_000, None)?;
    }
    if section.value.get("fields").is_some() {
        section
            .items("fields", 1, 10)?
            .try_for_each(|field| field.check_text(2_000, None))?;
    }
    if section.value.get("accessory").is_some() {
        check_button(&section.required("accessory")?)?;
    }
    Ok(())
}

fn check_image(image: &Place<'_>) -> Result<(), Refusal> {
    image.optional_string("image_url", 3_000)?;
    image.required_string("alt_text", 2_000).map(drop)
}

/// Checks an interactive element; of those other than buttons only the common parts.
fn check_button(element: &Place<'_>) -> Result<(), Refusal> {
    let kind = element.required_string("type", usize::MAX)?;
    element.optional_string("action_id", 255)?;
    if kind != "button" {
        return Ok(());
    }
    element
        .required("text")?
        .check_text(75, Some("plain_text"))?;
    element.optional_string("url", 3_000)?;
    element.optional_string("value", 2_000)?;
    match element.value.get("style").map(Value::as_str) {
        None | Some(Some("primary" | "danger")) => Ok(()),
        _ => Err(invalid("style must be primary or danger", &element.pointer)),
    }
}

/// A JSON value and where it stands.
#[derive(Debug)]
struct Place<'a> {
    value: &'a Value,
    pointer: String,
}

impl<'a> Place<'a> {
    fn required(&self, name: &str) -> Result<Self, Refusal> {
        match self.value.get(name) {
            Some(value) => Ok(Self {
                value,
                pointer: format!("{}/{name}", self.pointer),
            }),
            None => Err(invalid(
                &format!("missing required field: {name}"),
                &self.pointer,
            )),
        }
    }

    fn required_string(&self, name: &str, limit: usize) -> Result<&'a str, Refusal> {
        let field = self.required(name)?;
        match field.value.as_str() {
            None => Err(invalid("must be a string", &field.pointer)),
            Some(text) if chars(text) > limit => Err(too_long(limit, &field.pointer)),
            Some(text) => Ok(text),
        }
    }

    fn optional_string(&self, name: &str, limit: usize) -> Result<(), Refusal> {
        if self.value.get(name).is_none() {
            return Ok(());
        }
        self.required_string(name, limit).map(drop)
    }

    fn items(
        &self,
        name: &str,
        least: usize,
        most: usize,
    ) -> Result<impl Iterator<Item = Place<'a>>, Refusal> {
        let list = self.required(name)?;
        let Some(items) = list.value.as_array() else {
            return Err(invalid("must be an array", &list.pointer));
        };
        if items.len() < least {
            return Err(invalid(
                &format!("no less than {least} items allowed"),
                &list.pointer,
            ));
        }
        if items.len() > most {
            return Err(invalid(
                &format!("no more than {most} items allowed"),
                &list.pointer,
            ));
        }
        Ok(items.iter().enumerate().map(move |(index, value)| Place {
            value,
            pointer: format!("{}/{index}", list.pointer),
        }))
    }

    /// Checks a text object: `{"type": "plain_text" | "mrkdwn", "text": …}`.
    fn check_text(&self, limit: usize, only: Option<&str>) -> Result<(), Refusal> {
        let kind = self.required_string("type", usize::MAX)?;
        if !matches!(kind, "plain_text" | "mrkdwn") || only.is_some_and(|only| only != kind) {
            return Err(invalid(
                &format!("unsupported text type: {kind}"),
                &self.pointer,
            ));
        }
        if self.required_string("text", limit)?.is_empty() {
            let pointer = format!("{}/text", self.pointer);
            return Err(invalid("must be more than 0 characters", &pointer));
        }
        Ok(())
    }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

fn invalid(message: &str, pointer: &str) -> Refusal {
    Refusal::at("invalid_blocks", message, pointer)
}

fn too_long(limit: usize, pointer: &str) -> Refusal {
    invalid(
        &format!("must be less than {} characters", limit.saturating_add(1)),
        pointer,
    )
}
