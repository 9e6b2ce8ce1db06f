//! Rich text: the form in which text means nothing but itself.

use serde_json::Value;

use crate::draw::emoji::emoji;
use crate::draw::mrkdwn::{mention, plain};
use crate::draw::{Slate, list, string};

const STYLES: [(&str, &str, &str); 5] = [
    ("bold", "<b>", "</b>"),
    ("italic", "<i>", "</i>"),
    ("strike", "<s>", "</s>"),
    ("underline", "<u>", "</u>"),
    ("code", "<code>", "</code>"),
];

/// Draws one part of a rich text block.
pub(super) fn rich_text(slate: &mut Slate<'_>, part: &Value) {
    let parts = list(part, "elements");
    match string(part, "type").unwrap_or_default() {
        "rich_text_list" => {
            let is_ordered = string(part, "style") == Some("ordered");
            let number = |name| part.get(name).and_then(Value::as_u64).unwrap_or(0);
            slate.html.raw(if is_ordered { "<ol" } else { "<ul" });
            slate
                .html
                .raw(" style=\"margin-left: ")
                .number(number("indent").min(8) * 24)
                .raw("px\"");
            if is_ordered {
                slate
                    .html
                    .raw(" start=\"")
                    .number(number("offset").min(10_000) + 1)
                    .raw("\"");
            }
            slate.html.raw(">");
            for item in parts {
                slate.html.raw("<li>");
                elements(slate, list(item, "elements"));
                slate.html.raw("</li>");
            }
            slate.html.raw(if is_ordered { "</ol>" } else { "</ul>" });
        }
        "rich_text_preformatted" => {
            slate.html.raw("<pre>");
            elements(slate, parts);
            slate.html.raw("</pre>");
        }
        "rich_text_quote" => {
            slate.html.raw("<blockquote>");
            elements(slate, parts);
            slate.html.raw("</blockquote>");
        }
        _ => {
            slate.html.raw("<div class=\"text\">");
            elements(slate, parts);
            slate.html.raw("</div>");
        }
    }
}

fn elements(slate: &mut Slate<'_>, elements: &[Value]) {
    for element in elements {
        let is_styled = |name: &str| {
            element.get("style").and_then(|style| style.get(name)) == Some(&Value::Bool(true))
        };
        let styles = || STYLES.iter().filter(|(name, _, _)| is_styled(name));
        for (_, open, _) in styles() {
            slate.html.raw(open);
        }
        one(slate, element);
        for (_, _, close) in styles().rev() {
            slate.html.raw(close);
        }
    }
}

fn one(slate: &mut Slate<'_>, element: &Value) {
    let text = string(element, "text");
    let named = |name| string(element, name).unwrap_or_default();
    match named("type") {
        "link" => {
            let target = named("url");
            slate.html.link(target, text.unwrap_or(target));
        }
        "user" => mention(slate, "@", named("user_id"), None),
        "usergroup" => mention(slate, "@", named("usergroup_id"), None),
        "channel" => mention(slate, "#", named("channel_id"), None),
        "broadcast" => mention(slate, "@", named("range"), None),
        "emoji" => emoji(slate.html, named("name")),
        "date" => {
            slate
                .html
                .text(string(element, "fallback").unwrap_or("(date)"));
        }
        "color" => {
            slate.html.raw("<code>").text(named("value")).raw("</code>");
        }
        _ => plain(slate.html, text.unwrap_or_default()),
    }
}
