//! Block Kit: the blocks of a message.

use serde_json::Value;

use crate::draw::mrkdwn::{mrkdwn, plain};
use crate::draw::rich_text::rich_text;
use crate::draw::{Slate, list, string};

pub(super) fn blocks(slate: &mut Slate<'_>, blocks: &[Value]) {
    for one in blocks {
        block(slate, one);
    }
}

fn block(slate: &mut Slate<'_>, block: &Value) {
    match string(block, "type").unwrap_or_default() {
        "header" => {
            slate.html.raw("<div class=\"header\">");
            text_object(slate, block.get("text"));
            slate.html.raw("</div>");
        }
        "section" => section(slate, block),
        "context" => {
            slate.html.raw("<div class=\"context\">");
            for item in list(block, "elements") {
                slate.html.raw("<span>");
                if string(item, "type") == Some("image") {
                    image(slate, item);
                } else {
                    text_object(slate, Some(item));
                }
                slate.html.raw("</span> ");
            }
            slate.html.raw("</div>");
        }
        "actions" | "context_actions" => {
            slate.html.raw("<div class=\"actions\">");
            for item in list(block, "elements") {
                element(slate, item);
            }
            slate.html.raw("</div>");
        }
        "rich_text" => {
            for item in list(block, "elements") {
                rich_text(slate, item);
            }
        }
        "divider" => {
            slate.html.raw("<hr>");
        }
        "image" => {
            if block.get("title").is_some() {
                slate.html.raw("<div class=\"context\">");
                text_object(slate, block.get("title"));
                slate.html.raw("</div>");
            }
            slate.html.raw("<div class=\"picture\">");
            image(slate, block);
            slate.html.raw("</div>");
        }
        "markdown" => {
            let text = string(block, "text").unwrap_or_default();
            slate.html.raw("<pre class=\"markdown\">").text(text);
            slate.html.raw("</pre>");
        }
        "table" => table(slate, list(block, "rows")),
        kind => {
            slate.html.raw("<div class=\"text fallback\">[").text(kind);
            slate.html.raw(" block]</div>");
        }
    }
}

fn section(slate: &mut Slate<'_>, section: &Value) {
    slate.html.raw("<div class=\"section\"><div>");
    if section.get("text").is_some() {
        slate.html.raw("<div class=\"text\">");
        text_object(slate, section.get("text"));
        slate.html.raw("</div>");
    }
    let fields = list(section, "fields");
    if !fields.is_empty() {
        slate.html.raw("<div class=\"fields\">");
        for field in fields {
            slate.html.raw("<div>");
            text_object(slate, Some(field));
            slate.html.raw("</div>");
        }
        slate.html.raw("</div>");
    }
    slate.html.raw("</div>");
    if let Some(accessory) = section.get("accessory") {
        if string(accessory, "type") == Some("image") {
            image(slate, accessory);
        } else {
            element(slate, accessory);
        }
    }
    slate.html.raw("</div>");
}

fn table(slate: &mut Slate<'_>, rows: &[Value]) {
    slate.html.raw("<table class=\"cells\">");
    for row in rows {
        slate.html.raw("<tr>");
        for cell in row.as_array().into_iter().flatten() {
            slate.html.raw("<td>");
            if string(cell, "type") == Some("rich_text") {
                for item in list(cell, "elements") {
                    rich_text(slate, item);
                }
            } else {
                plain(slate.html, string(cell, "text").unwrap_or_default());
            }
            slate.html.raw("</td>");
        }
        slate.html.raw("</tr>");
    }
    slate.html.raw("</table>");
}

/// Draws an interactive element; of those other than buttons only what it is.
fn element(slate: &mut Slate<'_>, element: &Value) {
    let label = element.get("text").and_then(|text| string(text, "text"));
    let label = label
        .or_else(|| string(element, "type"))
        .unwrap_or_default();
    button(
        slate,
        label,
        string(element, "style"),
        string(element, "url"),
    );
}

/// Draws a button; one with an address leads there.
pub(super) fn button(slate: &mut Slate<'_>, label: &str, style: Option<&str>, url: Option<&str>) {
    slate.html.raw(match style {
        Some("primary") => "<span class=\"button primary\">",
        Some("danger") => "<span class=\"button danger\">",
        _ => "<span class=\"button\">",
    });
    if let Some(target) = url {
        slate.html.link(target, label);
    } else {
        plain(slate.html, label);
    }
    slate.html.raw("</span>");
}

/// Images are named only: the page loads nothing from elsewhere.
fn image(slate: &mut Slate<'_>, image: &Value) {
    let name = string(image, "alt_text").unwrap_or_default();
    slate.html.raw("<span class=\"image\">[image: ");
    match string(image, "image_url") {
        Some(target) => slate.html.link(target, name),
        None => slate.html.text(name),
    };
    slate.html.raw("]</span>");
}

fn text_object(slate: &mut Slate<'_>, object: Option<&Value>) {
    let Some(object) = object else { return };
    let text = string(object, "text").unwrap_or_default();
    if string(object, "type") == Some("mrkdwn") {
        mrkdwn(slate, text);
    } else {
        plain(slate.html, text);
    }
}
