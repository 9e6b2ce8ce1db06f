//! Where a message goes in what was said before. Pure.

use notify_core::slack::SlackOptions;
use notify_core::{Action, Delivery, Receipt};

/// The fact of a receipt that holds the channel's id.
pub(crate) const CHANNEL: &str = "channel";
/// The fact of a receipt that holds the `ts` of the message whose thread it is in.
pub(crate) const THREAD: &str = "thread";

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// Into the channel, by itself.
    Top,
    /// Into the thread of an earlier message.
    Reply(Root<'a>),
    /// In place of an earlier message.
    Edit(Root<'a>),
}

/// The first message of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root<'a> {
    pub(crate) channel: &'a str,
    pub(crate) ts: &'a str,
}

/// Finds where a delivery goes.
///
/// With `update`, a success edits the first message; without a thread, a repeated failure does so
/// too, so that one message tells the state. Whatever else continues goes into the thread.
pub(crate) fn place<'a>(delivery: &Delivery<'a>, options: &SlackOptions) -> Place<'a> {
    let Some(root) = delivery.earlier.and_then(root) else {
        return Place::Top;
    };
    match (delivery.action, options.thread, options.update) {
        (Action::Close, _, true) | (Action::Open, None, true) => Place::Edit(root),
        (Action::Open | Action::Close, Some(_), _) => Place::Reply(root),
        _ => Place::Top,
    }
}

/// Finds the first message by the receipt of any of the conversation; `None` where the receipt is of
/// a message that Slack gave no name: one through a webhook, or a repeat that was recognised.
pub(crate) fn root(receipt: &Receipt) -> Option<Root<'_>> {
    let fact = |name| receipt.facts.get(name).map(String::as_str);
    let channel = fact(CHANNEL).filter(|channel| !channel.is_empty())?;
    let ts = fact(THREAD).unwrap_or(&receipt.id);
    is_ts(ts).then_some(Root { channel, ts })
}

/// Tells whether a text is the name of a message: digits, a dot, digits.
fn is_ts(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.')
        .is_some_and(|(seconds, count)| digits(seconds) && digits(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_a_reply_is_the_threads_and_never_the_reply() {
        let first = Receipt::new("1503435956.000247").fact(CHANNEL, "C024BE91L");
        let reply = Receipt::new("1503435999.000001")
            .fact(CHANNEL, "C024BE91L")
            .fact(THREAD, "1503435956.000247");
        for receipt in [&first, &reply] {
            assert_eq!(root(receipt).unwrap().ts, "1503435956.000247");
        }
        let nameless = [
            Receipt::new("ntf_7").fact(CHANNEL, "C024BE91L"),
            Receipt::new("1503435956.000247"),
            Receipt::new("1503435956").fact(CHANNEL, "C024BE91L"),
            Receipt::new(".1").fact(CHANNEL, "C024BE91L"),
        ];
        for receipt in &nameless {
            assert_eq!(root(receipt), None, "{receipt}");
        }
    }
}
