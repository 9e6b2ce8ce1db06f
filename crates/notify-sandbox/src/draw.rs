//! Draws what arrived as its vendor would show it, to judge it by eye.

mod attachment;
mod blocks;
mod emoji;
mod mail;
mod mrkdwn;
mod pagerduty;
mod rich_text;
mod slack;

use serde_json::Value;

use crate::html::Html;
use crate::slack::Workspace;

pub(crate) use crate::draw::mail::mail;
pub(crate) use crate::draw::pagerduty::event;
pub(crate) use crate::draw::slack::{Thread, is_broadcast, message, notification_text, time};

/// Where a Slack message is drawn, and who the people are that it mentions.
#[derive(Debug)]
pub(crate) struct Slate<'a> {
    pub(crate) html: &'a mut Html,
    pub(crate) workspace: &'a Workspace,
}

/// A row of a table of facts.
fn row(html: &mut Html, name: &str, value: impl FnOnce(&mut Html)) {
    html.raw("<tr><th>").text(name).raw("</th><td>");
    value(html);
    html.raw("</td></tr>");
}

fn cell(html: &mut Html, open: &'static str, text: &str) {
    html.raw(open).text(text).raw("</span>");
}

/// Slack encodes these three characters and no others.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn string<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
