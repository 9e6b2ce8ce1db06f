//! `conversations.history` and `conversations.replies`.

use serde_json::{Value, json};

use crate::slack::Slack;
use crate::slack::arguments::{Arguments, Refusal, flag, number, set, string};
use crate::slack::post::without_metadata;
use crate::slack::workspace::{BOT_USER, Purpose};
use crate::store::Post;

const MAX_LIMIT: usize = 999;
const DEFAULT_LIMIT: usize = 100;
const CURSOR: &str = "next_ts:";

/// Which messages are asked for.
#[derive(Debug)]
struct Window {
    oldest: u64,
    latest: u64,
    is_inclusive: bool,
}

impl Slack {
    pub(super) fn history(&self, arguments: &Arguments) -> Result<Value, Refusal> {
        let channel = string(arguments, "channel").unwrap_or_default();
        let channel = self.workspace.channel(channel, Purpose::Read)?;
        let window = Window::of(arguments)?;
        let posts = self.store.posts(&channel.id);
        let mut shown: Vec<&Post> = posts
            .iter()
            .filter(|post| post.root.is_none() || post.is_broadcast)
            .filter(|post| window.holds(&post.ts))
            .collect();
        shown.reverse();
        let mut answer = page(arguments, &shown, &posts)?;
        set(&mut answer, "pin_count", json!(0));
        set(&mut answer, "channel_actions_ts", Value::Null);
        set(&mut answer, "channel_actions_count", json!(0));
        Ok(answer)
    }

    pub(super) fn replies(&self, arguments: &Arguments) -> Result<Value, Refusal> {
        let channel = string(arguments, "channel").unwrap_or_default();
        let channel = self.workspace.channel(channel, Purpose::Read)?;
        let window = Window::of(arguments)?;
        let ts = string(arguments, "ts").unwrap_or_default();
        let posts = self.store.posts(&channel.id);
        let asked = posts
            .iter()
            .find(|post| post.ts == ts)
            .ok_or_else(|| Refusal::new("thread_not_found"))?;
        let root = asked.root.as_ref().unwrap_or(&asked.ts);
        let shown: Vec<&Post> = posts
            .iter()
            .filter(|post| post.root.as_ref() == Some(root))
            .filter(|post| window.holds(&post.ts))
            .collect();
        // The top of the thread comes along whatever was asked for.
        let top = posts.iter().filter(|post| post.ts == *root);
        let shown: Vec<&Post> = top.chain(shown).collect();
        page(arguments, &shown, &posts)
    }
}

impl Window {
    fn of(arguments: &Arguments) -> Result<Self, Refusal> {
        let bound = |name: &str, otherwise, code| match string(arguments, name) {
            None | Some("" | "now") => Ok(otherwise),
            Some(ts) => micros(ts).ok_or_else(|| Refusal::new(code)),
        };
        Ok(Self {
            oldest: bound("oldest", 0, "invalid_ts_oldest")?,
            latest: bound("latest", u64::MAX, "invalid_ts_latest")?,
            is_inclusive: flag(arguments, "inclusive"),
        })
    }

    fn holds(&self, ts: &str) -> bool {
        let at = micros(ts).unwrap_or_default();
        (self.oldest < at && at < self.latest)
            || (self.is_inclusive && (at == self.oldest || at == self.latest))
    }
}

/// One page of messages, in the order given.
fn page(arguments: &Arguments, shown: &[&Post], all: &[Post]) -> Result<Value, Refusal> {
    let limit = number(arguments, "limit")?
        .unwrap_or(DEFAULT_LIMIT)
        .clamp(1, MAX_LIMIT);
    let begin = match string(arguments, "cursor").filter(|cursor| !cursor.is_empty()) {
        None => 0,
        Some(cursor) => cursor
            .strip_prefix(CURSOR)
            .and_then(|ts| shown.iter().position(|post| post.ts == ts))
            .ok_or_else(|| Refusal::new("invalid_cursor"))?,
    };
    let with_metadata = flag(arguments, "include_all_metadata");
    let mut rest = shown.iter().skip(begin);
    let messages: Vec<Value> = rest
        .by_ref()
        .take(limit)
        .map(|post| message(post, all, with_metadata))
        .collect();
    let next = rest.next();
    let mut answer = json!({"ok": true, "messages": messages, "has_more": next.is_some()});
    if let Some(next) = next {
        set(
            &mut answer,
            "response_metadata",
            json!({"next_cursor": format!("{CURSOR}{}", next.ts)}),
        );
    }
    Ok(answer)
}

/// A message as readers see it; the top of a thread tells of its replies.
fn message(post: &Post, all: &[Post], with_metadata: bool) -> Value {
    let mut message = if with_metadata {
        post.message.clone()
    } else {
        without_metadata(&post.message)
    };
    let replies = all
        .iter()
        .filter(|reply| reply.root.as_ref() == Some(&post.ts));
    let (count, latest) = replies.fold((0, None), |(count, _), reply| (count + 1, Some(&reply.ts)));
    if let Some(latest) = latest {
        set(&mut message, "thread_ts", json!(post.ts));
        set(&mut message, "reply_count", json!(count));
        set(&mut message, "reply_users", json!([BOT_USER]));
        set(&mut message, "reply_users_count", json!(1));
        set(&mut message, "latest_reply", json!(latest));
        set(&mut message, "subscribed", json!(false));
    }
    message
}

/// A time stamp in microseconds; a message id is never a floating-point number.
fn micros(ts: &str) -> Option<u64> {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || fraction.len() > 6 || !is_digits(seconds) || !is_digits(fraction) {
        return None;
    }
    let seconds: u64 = seconds.parse().ok()?;
    let fraction: u64 = format!("{fraction:0<6}").parse().ok()?;
    seconds.checked_mul(1_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_are_read_exactly() {
        assert_eq!(micros("1512085950.000216"), Some(1_512_085_950_000_216));
        assert_eq!(micros("1512085950"), Some(1_512_085_950_000_000));
        assert_eq!(micros("0.5"), Some(500_000));
        for rubbish in ["", ".5", "x", "1.0000001", "-1", "99999999999999999999"] {
            assert_eq!(micros(rubbish), None, "{rubbish}");
        }
    }
}
