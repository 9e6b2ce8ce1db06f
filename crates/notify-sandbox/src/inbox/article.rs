//! One message of the page: where it stands, what it looks like, what lies behind it.

use std::cmp::Reverse;

use crate::draw::{self, Slate, Thread, is_broadcast, notification_text, time};
use crate::html::Html;
use crate::inbox::badge;
use crate::slack::Workspace;
use crate::store::{IncidentState, Received, Service};

/// A message in the channel with what is drawn below it.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    message: &'a Received,
    thread: Thread<'a>,
    /// Oldest first, as a thread is read.
    replies: Vec<&'a Received>,
}

/// Messages with their replies below them; what had the latest news is first.
pub(super) fn arranged(newest_first: &[Received]) -> Vec<Shown<'_>> {
    let root = |message: &Received| {
        let mut roots = newest_first.iter();
        roots.find(|root| Some(root.id) == message.thread)
    };
    let mut shown: Vec<Shown<'_>> = Vec::new();
    for message in newest_first {
        let top = root(message);
        let thread = match top {
            None if message.thread.is_some() => Thread::Lost,
            Some(root) if is_broadcast(message) => Thread::Broadcast(root),
            Some(_) => Thread::Reply,
            None => Thread::Top,
        };
        if !matches!(thread, Thread::Reply) {
            shown.push(Shown {
                message,
                thread,
                replies: Vec::new(),
            });
        }
    }
    for one in &mut shown {
        let mut replies: Vec<_> = newest_first
            .iter()
            .filter(|reply| reply.thread == Some(one.message.id))
            .collect();
        replies.reverse();
        one.replies = replies;
    }
    shown.sort_by_key(|one| {
        let latest = one.replies.last().map_or(0, |reply| reply.id);
        Reverse((latest.max(one.message.id), one.message.id))
    });
    shown
}

impl Shown<'_> {
    /// Draws the message, and the thread below it.
    pub(super) fn draw(&self, html: &mut Html, workspace: &Workspace) {
        let Self {
            message,
            thread,
            replies,
        } = self;
        // The copy of a reply in its channel is the same message once more.
        let is_copy = matches!(thread, Thread::Broadcast(_));
        html.raw(if message.is_change() {
            "<article class=\"change\""
        } else {
            "<article"
        });
        if !is_copy {
            html.raw(" id=\"message-").number(message.id).raw("\"");
        }
        html.raw("><header>");
        head(html, message);
        html.raw("</header>");
        // A Slack message has its headline in what is drawn.
        if message.service != Service::Slack {
            let headline = if message.headline.is_empty() {
                "(none)"
            } else {
                &message.headline
            };
            html.raw("<h2>").text(headline).raw("</h2>");
        }
        html.raw("<div class=\"conversation\">");
        body(html, workspace, message, *thread);
        if !replies.is_empty() {
            html.raw("<div class=\"thread\"><div class=\"note\">")
                .text(&replies.len().to_string())
                .raw(if replies.len() == 1 {
                    " reply</div>"
                } else {
                    " replies</div>"
                });
            for reply in replies {
                html.raw("<div class=\"reply\" id=\"message-")
                    .number(reply.id)
                    .raw("\">");
                body(html, workspace, reply, Thread::Reply);
                html.raw("</div>");
            }
            html.raw("</div>");
        }
        html.raw("</div>");
        if !is_copy {
            raw(html, message);
            for reply in replies {
                raw(html, reply);
            }
        }
        html.raw("</article>");
    }
}

/// Who got a message when, and where it stands.
fn head(html: &mut Html, message: &Received) {
    badge(html, message.service);
    html.raw("<span class=\"to\">")
        .text(&message.to)
        .raw("</span>");
    if let Some(state) = message.state {
        html.raw(match state {
            IncidentState::Triggered => "<span class=\"state triggered\">",
            IncidentState::Acknowledged => "<span class=\"state acknowledged\">",
            IncidentState::Resolved => "<span class=\"state resolved\">",
            IncidentState::Dropped => "<span class=\"state\">",
        });
        html.text(&state.to_string()).raw("</span>");
    }
    if message.is_change() {
        html.raw("<span class=\"state\">change event</span>");
    }
    if message.repeats > 0 {
        html.raw("<span class=\"repeat\">repeat ×")
            .number(message.repeats)
            .raw("</span>");
    }
    time(html, message.at);
}

/// What lies behind a message: the text of a push, and the request or mail as it came.
fn raw(html: &mut Html, message: &Received) {
    if message.service == Service::Slack
        && let Some(text) = message.payload.as_ref().and_then(notification_text)
    {
        html.raw("<p class=\"fallback\"><b>Notification text:</b> ")
            .text(&text)
            .raw("</p>");
    }
    html.raw("<details class=\"raw\"><summary>")
        .raw(if message.service == Service::Email {
            "raw mail"
        } else {
            "raw request"
        })
        .raw("</summary><pre>")
        .text(&message.raw)
        .raw("</pre></details>");
}

fn body(html: &mut Html, workspace: &Workspace, message: &Received, thread: Thread<'_>) {
    html.raw("<div class=\"drawn\">");
    match (message.service, &message.payload) {
        (Service::Slack, Some(payload)) => {
            let mut slate = Slate { html, workspace };
            draw::message(&mut slate, message, payload, thread);
        }
        (Service::PagerDuty, Some(event)) => draw::event(html, message, event),
        _ => draw::mail(html, message),
    }
    html.raw("</div>");
}
