//! A Slack message with its author, and the thread below it.

use serde_json::Value;

use crate::draw::attachment::attachment;
use crate::draw::blocks::blocks;
use crate::draw::emoji::emoji;
use crate::draw::mrkdwn::mrkdwn;
use crate::draw::{Slate, list, string, unescaped};
use crate::html::Html;
use crate::store::Received;

/// Where a message stands when it is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Thread<'a> {
    /// In the channel.
    Top,
    /// In the channel, a copy of a reply to this message.
    Broadcast(&'a Received),
    /// Below the message that it replies to.
    Reply,
    /// In a thread whose top is no longer shown.
    Lost,
}

/// Draws one message.
pub(crate) fn message(slate: &mut Slate<'_>, message: &Received, payload: &Value, at: Thread<'_>) {
    let author = string(payload, "username").unwrap_or("workflows");
    slate.html.raw("<div class=\"slack-message\">");
    avatar(slate.html, payload, author);
    slate
        .html
        .raw("<div class=\"said\"><div class=\"author\"><b>")
        .text(author)
        .raw("</b> <span class=\"app\">APP</span> ");
    time(slate.html, message.at);
    slate.html.raw("</div>");
    match at {
        Thread::Top | Thread::Reply => {}
        Thread::Broadcast(root) => {
            slate
                .html
                .raw("<div class=\"note\">replied to a thread: <a href=\"#message-")
                .number(root.id)
                .raw("\">")
                .text(&root.headline)
                .raw("</a></div>");
        }
        Thread::Lost => {
            slate
                .html
                .raw("<div class=\"note\">replied to a thread that is no longer shown</div>");
        }
    }
    content(slate, payload);
    if message.edits > 0 {
        slate.html.raw("<span class=\"edited\">(edited)</span>");
    }
    if matches!(at, Thread::Reply) && is_broadcast(message) {
        slate
            .html
            .raw("<div class=\"note\">Also sent to the channel</div>");
    }
    slate.html.raw("</div></div>");
}

/// Whether the channel shows this reply too.
pub(crate) fn is_broadcast(message: &Received) -> bool {
    let asked = message
        .payload
        .as_ref()
        .and_then(|payload| payload.get("reply_broadcast"));
    message.thread.is_some()
        && asked.is_some_and(|it| *it == Value::Bool(true) || *it == "true" || *it == "1")
}

/// What pushes and screen readers say of a message that has blocks.
pub(crate) fn notification_text(payload: &Value) -> Option<String> {
    let text = string(payload, "text").filter(|text| !text.is_empty())?;
    let has_more = !list(payload, "blocks").is_empty() || !list(payload, "attachments").is_empty();
    has_more.then(|| unescaped(text))
}

fn content(slate: &mut Slate<'_>, payload: &Value) {
    let text = string(payload, "text").unwrap_or_default();
    let own_blocks = list(payload, "blocks");
    if !own_blocks.is_empty() {
        blocks(slate, own_blocks);
    } else if payload.get("mrkdwn") == Some(&Value::Bool(false)) {
        slate
            .html
            .raw("<div class=\"text\">")
            .text(&unescaped(text));
        slate.html.raw("</div>");
    } else if !text.is_empty() {
        slate.html.raw("<div class=\"text\">");
        mrkdwn(slate, text);
        slate.html.raw("</div>");
    } else if let Some(markdown) = string(payload, "markdown_text") {
        slate.html.raw("<pre class=\"markdown\">").text(markdown);
        slate.html.raw("</pre>");
    }
    for one in list(payload, "attachments") {
        attachment(slate, one);
    }
}

/// The icon: an emoji, or else a letter, because the page loads no pictures.
fn avatar(html: &mut Html, payload: &Value, author: &str) {
    html.raw("<div class=\"avatar\">");
    if let Some(icon) = string(payload, "icon_emoji") {
        emoji(html, icon.trim_matches(':'));
    } else {
        let letter = author.chars().next().unwrap_or(' ').to_uppercase();
        html.text(&letter.to_string());
    }
    html.raw("</div>");
}

/// Shown until the script puts the local time in its place.
pub(crate) fn time(html: &mut Html, unix_millis: u64) {
    let seconds = unix_millis / 1_000 % 86_400;
    let time = format!(
        "{:02}:{:02}:{:02} UTC",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    );
    html.raw("<time data-at=\"")
        .number(unix_millis)
        .raw("\">")
        .text(&time)
        .raw("</time>");
}
