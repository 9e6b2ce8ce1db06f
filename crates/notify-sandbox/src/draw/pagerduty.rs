//! An incident, or a change event beside it.

use serde_json::Value;

use crate::draw::{cell, list, row, string};
use crate::html::Html;
use crate::store::Received;

/// Draws the facts of an event, its details, links and images.
pub(crate) fn event(html: &mut Html, message: &Received, event: &Value) {
    let details = event
        .get("payload")
        .and_then(|payload| payload.get("custom_details"));
    html.raw("<table>");
    for (name, value) in &message.details {
        row(html, name, |html| match (name.as_str(), value.as_str()) {
            ("severity", "critical") => cell(html, "<span class=\"severity critical\">", value),
            ("severity", "error") => cell(html, "<span class=\"severity error\">", value),
            ("severity", "warning") => cell(html, "<span class=\"severity warning\">", value),
            ("severity", _) => cell(html, "<span class=\"severity\">", value),
            _ => cell(html, "<span>", value),
        });
    }
    if let Some(client) = string(event, "client") {
        row(html, "client", |html| {
            html.link(string(event, "client_url").unwrap_or_default(), client);
        });
    }
    if let Some(Value::Object(details)) = details {
        for (name, value) in details {
            row(html, name, |html| detail(html, value));
        }
    }
    for link in list(event, "links") {
        let target = string(link, "href").unwrap_or_default();
        row(html, "link", |html| {
            html.link(target, string(link, "text").unwrap_or(target));
        });
    }
    for image in list(event, "images") {
        // Named and linked only: the page loads nothing from elsewhere.
        let source = string(image, "src").unwrap_or_default();
        row(html, "image", |html| {
            html.link(source, string(image, "alt").unwrap_or(source));
            if let Some(target) = string(image, "href") {
                html.raw(" leads to ").link(target, target);
            }
        });
    }
    html.raw("</table>");
}

fn detail(html: &mut Html, value: &Value) {
    match value {
        Value::String(text) if text.contains('\n') => {
            html.raw("<pre>").text(text).raw("</pre>");
        }
        Value::String(text) => cell(html, "<span>", text),
        Value::Array(_) | Value::Object(_) => {
            html.raw("<pre>").text(&format!("{value:#}")).raw("</pre>");
        }
        other => cell(html, "<span>", &other.to_string()),
    }
}
