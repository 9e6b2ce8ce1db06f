//! A mail: what a reader sees first, then both of its parts.

use crate::draw::{cell, row};
use crate::html::Html;
use crate::store::Received;

/// Draws the facts of a mail, its parts and its headers.
pub(crate) fn mail(html: &mut Html, message: &Received) {
    html.raw("<table>");
    for (name, value) in &message.details {
        row(html, name, |html| cell(html, "<span>", value));
    }
    html.raw("</table>");
    if let Some(mail) = &message.html {
        // No `allow-…` word: no scripts, no forms, no way out of the frame.
        html.raw("<iframe sandbox title=\"HTML part\" srcdoc=\"")
            .text(mail)
            .raw("\"></iframe>");
        html.raw("<details><summary>plain text part</summary><pre>")
            .text(&message.text)
            .raw("</pre></details>");
    } else {
        html.raw("<pre class=\"mail\">")
            .text(&message.text)
            .raw("</pre>");
    }
    let headers = message
        .raw
        .split_once("\r\n\r\n")
        .map_or(message.raw.as_str(), |(headers, _)| headers);
    html.raw("<details><summary>headers</summary><pre>")
        .text(headers)
        .raw("</pre></details>");
}
