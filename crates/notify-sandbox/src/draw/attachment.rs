//! Attachments: the older form of structured content, with its coloured bar.

use serde_json::Value;

use crate::draw::blocks::{blocks, button};
use crate::draw::mrkdwn::{mrkdwn, plain};
use crate::draw::{Slate, list, string, unescaped};

pub(super) fn attachment(slate: &mut Slate<'_>, attachment: &Value) {
    if let Some(pretext) = string(attachment, "pretext") {
        slate.html.raw("<div class=\"text\">");
        mrkdwn(slate, pretext);
        slate.html.raw("</div>");
    }
    slate.html.raw("<div class=\"attachment\"");
    if let Some(color) = string(attachment, "color").and_then(color) {
        slate.html.raw(" style=\"border-left-color: ").text(&color);
        slate.html.raw("\"");
    }
    slate.html.raw(">");
    if let Some(author) = string(attachment, "author_name") {
        slate.html.raw("<div class=\"text fallback\">").text(author);
        slate.html.raw("</div>");
    }
    if let Some(title) = string(attachment, "title") {
        slate.html.raw("<div class=\"text\"><b>");
        match string(attachment, "title_link") {
            Some(target) => slate.html.link(target, &unescaped(title)),
            None => slate.html.text(&unescaped(title)),
        };
        slate.html.raw("</b></div>");
    }
    if let Some(text) = string(attachment, "text") {
        slate.html.raw("<div class=\"text\">");
        mrkdwn(slate, text);
        slate.html.raw("</div>");
    }
    fields(slate, list(attachment, "fields"));
    blocks(slate, list(attachment, "blocks"));
    let actions = list(attachment, "actions");
    if !actions.is_empty() {
        slate.html.raw("<div class=\"actions\">");
        for action in actions {
            let label = string(action, "text").unwrap_or_default();
            button(slate, label, string(action, "style"), string(action, "url"));
        }
        slate.html.raw("</div>");
    }
    let is_bare = ["text", "title", "blocks", "fields"]
        .into_iter()
        .all(|name| attachment.get(name).is_none());
    if is_bare && let Some(fallback) = string(attachment, "fallback") {
        slate
            .html
            .raw("<div class=\"text\">")
            .text(&unescaped(fallback));
        slate.html.raw("</div>");
    }
    if let Some(footer) = string(attachment, "footer") {
        slate.html.raw("<div class=\"context\">");
        plain(slate.html, &unescaped(footer));
        slate.html.raw("</div>");
    }
    slate.html.raw("</div>");
}

/// Short fields stand side by side.
fn fields(slate: &mut Slate<'_>, fields: &[Value]) {
    if fields.is_empty() {
        return;
    }
    slate.html.raw("<div class=\"fields\">");
    for field in fields {
        let is_short = field.get("short") == Some(&Value::Bool(true));
        slate.html.raw(if is_short {
            "<div><b>"
        } else {
            "<div class=\"wide\"><b>"
        });
        let title = string(field, "title").unwrap_or_default();
        slate.html.text(title).raw("</b><br>");
        mrkdwn(slate, string(field, "value").unwrap_or_default());
        slate.html.raw("</div>");
    }
    slate.html.raw("</div>");
}

/// A colour that is safe inside a `style` attribute.
fn color(color: &str) -> Option<String> {
    match color {
        "good" => return Some("#2eb886".to_owned()),
        "warning" => return Some("#daa038".to_owned()),
        "danger" => return Some("#a30200".to_owned()),
        _ => {}
    }
    let digits = color.strip_prefix('#').unwrap_or(color);
    (matches!(digits.len(), 3 | 6) && digits.chars().all(|c| c.is_ascii_hexdigit()))
        .then(|| format!("#{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_cannot_leave_its_attribute() {
        assert_eq!(color("#36a64f").as_deref(), Some("#36a64f"));
        assert_eq!(color("danger").as_deref(), Some("#a30200"));
        assert_eq!(color("red\"><script>"), None);
        assert_eq!(color("#12345é"), None);
    }
}
