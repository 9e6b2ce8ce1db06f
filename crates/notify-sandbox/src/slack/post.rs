//! `chat.postMessage`, `chat.update`, `chat.getPermalink`, and the incoming webhook.

use axum::http::StatusCode;
use axum::http::request::Parts;
use serde_json::{Map, Value, json};

use crate::request;
use crate::slack::Slack;
use crate::slack::arguments::{Arguments, Content, Refusal, content, flag, set, string};
use crate::slack::workspace::{
    APP, BOT, BOT_USER, Channel, Purpose, TEAM, WEBHOOK_BOT, channel_id, is_id,
};
use crate::store::{Entry, Post, Recorded, Service};

const MAX_UPDATED_TEXT_CHARS: usize = 4_000;
/// Webhooks post in the channel that they were made for.
const WEBHOOK_CHANNEL: &str = "incoming-webhook";
/// Webhooks of apps ignore these; only integrations of an older kind could choose.
const IGNORED_BY_WEBHOOKS: [&str; 4] = ["channel", "username", "icon_emoji", "icon_url"];
/// What a message keeps where an update does not name it.
const KEPT: [&str; 3] = ["blocks", "attachments", "metadata"];

/// The thread that a reply goes into.
#[derive(Debug)]
struct Thread {
    /// The id of the message at its top.
    id: u64,
    ts: String,
}

impl Slack {
    pub(super) fn post_message(
        &self,
        arguments: &Arguments,
        parts: &Parts,
    ) -> Result<Value, Refusal> {
        let thread_ts = string(arguments, "thread_ts").filter(|ts| !ts.is_empty());
        let purpose = match thread_ts {
            None => Purpose::Post,
            Some(_) => Purpose::Reply,
        };
        let channel = string(arguments, "channel").unwrap_or_default();
        let channel = self.workspace.channel(channel, purpose)?;
        let content = content(arguments)?;
        let thread = thread_ts
            .map(|ts| self.thread(&channel.id, ts))
            .transpose()?;

        let mut message = author(arguments);
        message.extend(content.echo.clone());
        let post = self.post(&channel, thread.as_ref(), arguments, message);
        let answer = json!({
            "ok": true,
            "channel": channel.id,
            "ts": post.ts,
            "message": without_metadata(&post.message),
        });
        let mut entry = self.entry(&channel.name, content, arguments, parts);
        entry.message.thread = thread.map(|thread| thread.id);
        entry.handle = Some(handle(&post.channel, &post.ts));
        entry.repeat_key = string(arguments, "client_msg_id")
            .filter(|id| !id.is_empty())
            .map(|id| format!("slack {} {id}", channel.id));
        entry.answer = answer.clone();
        entry.post = Some(post);
        Ok(match self.store.record(entry) {
            Recorded::New => answer,
            Recorded::Repeat(mut first) => {
                if let Some(first) = first.as_object_mut() {
                    first.insert("is_duplicate".to_owned(), Value::Bool(true));
                }
                first
            }
        })
    }

    /// The thread below a message; a reply is no message to reply to.
    fn thread(&self, channel: &str, ts: &str) -> Result<Thread, Refusal> {
        let found = self.store.find(&handle(channel, ts), |entry| {
            let post = entry.post.as_ref()?;
            post.root.is_none().then(|| Thread {
                id: entry.message.id,
                ts: ts.to_owned(),
            })
        });
        found
            .flatten()
            .ok_or_else(|| Refusal::new("cannot_reply_to_message"))
    }

    /// A new message of this content.
    fn post(
        &self,
        channel: &Channel,
        thread: Option<&Thread>,
        arguments: &Arguments,
        mut message: Map<String, Value>,
    ) -> Post {
        let ts = self.workspace.next_ts();
        message.insert("ts".to_owned(), json!(ts));
        let is_broadcast = thread.is_some() && flag(arguments, "reply_broadcast");
        message.remove("thread_ts");
        if let Some(thread) = thread {
            message.insert("thread_ts".to_owned(), json!(thread.ts));
            message.insert("parent_user_id".to_owned(), json!(BOT_USER));
        }
        if is_broadcast {
            message.insert("subtype".to_owned(), json!("thread_broadcast"));
        }
        Post {
            channel: channel.id.clone(),
            ts,
            root: thread.map(|thread| thread.ts.clone()),
            is_broadcast,
            message: Value::Object(message),
        }
    }

    pub(super) fn update(&self, arguments: &Arguments, parts: &Parts) -> Result<Value, Refusal> {
        let channel = string(arguments, "channel").unwrap_or_default();
        // The vendor takes ids only here, and not the id of a user.
        if !is_id(channel, "CGD") {
            return Err(Refusal::new("channel_not_found"));
        }
        if string(arguments, "text")
            .is_some_and(|text| text.chars().count() > MAX_UPDATED_TEXT_CHARS)
        {
            return Err(Refusal::new("msg_too_long"));
        }
        let content = content(arguments)?;
        let ts = string(arguments, "ts").unwrap_or_default();
        let handle = handle(channel, ts);
        let is_own = self.store.find(&handle, |entry| {
            let post = entry.post.as_ref();
            post.is_some_and(|post| post.message.get("bot_id").is_some_and(|bot| bot == BOT))
        });
        match is_own {
            None => return Err(Refusal::new("message_not_found")),
            Some(false) => return Err(Refusal::new("cant_update_message")),
            Some(true) => {}
        }
        let echo = content.echo.clone();
        let update = self.entry("", content, arguments, parts);
        let edited = json!({"user": BOT_USER, "ts": self.workspace.next_ts()});
        let mut shown = json!({});
        self.store.change(&handle, |entry| {
            let text = update
                .message
                .payload
                .as_ref()
                .and_then(|it| it.get("text"));
            if let Some(post) = &mut entry.post {
                overwrite(&mut post.message, &echo);
                set(
                    &mut post.message,
                    "text",
                    text.cloned().unwrap_or_else(|| json!("")),
                );
                set(&mut post.message, "edited", edited);
                shown = without_metadata(&post.message);
            }
            let message = &mut entry.message;
            if let Some(payload) = &mut message.payload {
                overwrite(payload, arguments);
                set(payload, "text", text.cloned().unwrap_or_else(|| json!("")));
            }
            message.headline = update.message.headline;
            message.text = update.message.text;
            message.raw.push_str("\n\n");
            message.raw.push_str(&update.message.raw);
            message.edits = message.edits.saturating_add(1);
            message.details.retain(|(name, _)| name != "updated");
            message
                .details
                .push(("updated".to_owned(), "by chat.update".to_owned()));
        });
        Ok(json!({
            "ok": true,
            "channel": channel,
            "ts": ts,
            "text": shown.get("text"),
            "message": shown,
        }))
    }

    pub(super) fn permalink(&self, arguments: &Arguments) -> Result<Value, Refusal> {
        let channel = string(arguments, "channel").unwrap_or_default();
        if !is_id(channel, "CGD") {
            return Err(Refusal::new("channel_not_found"));
        }
        let ts = string(arguments, "message_ts").unwrap_or_default();
        let root = self
            .store
            .find(&handle(channel, ts), |entry| {
                entry.post.as_ref().and_then(|post| post.root.clone())
            })
            .ok_or_else(|| Refusal::new("message_not_found"))?;
        let mut permalink = format!(
            "{}archives/{channel}/p{}",
            self.inbox_url,
            ts.replace('.', "")
        );
        if let Some(root) = root {
            permalink.extend(["?thread_ts=", &root, "&cid=", channel]);
        }
        Ok(json!({"ok": true, "channel": channel, "permalink": permalink}))
    }

    /// Takes a message for the webhook; the answer is the vendor's status and text.
    pub(super) fn take_webhook(&self, parts: &Parts, body: &[u8]) -> (StatusCode, &'static str) {
        let Ok(Value::Object(sent)) = serde_json::from_slice(body) else {
            return (StatusCode::BAD_REQUEST, "invalid_payload");
        };
        let mut arguments = sent.clone();
        arguments.retain(|name, _| !IGNORED_BY_WEBHOOKS.contains(&name.as_str()));
        let channel = Channel {
            id: channel_id(WEBHOOK_CHANNEL),
            name: "incoming webhook".to_owned(),
        };
        let thread = string(&arguments, "thread_ts").map(|ts| self.thread(&channel.id, ts));
        match (content(&arguments), thread.transpose()) {
            (Err(refusal), _) | (_, Err(refusal)) => (StatusCode::BAD_REQUEST, refusal.code),
            (Ok(content), Ok(thread)) => {
                let mut message = author(&arguments);
                message.insert("subtype".to_owned(), json!("bot_message"));
                message.insert("bot_id".to_owned(), json!(WEBHOOK_BOT));
                message.remove("user");
                message.extend(content.echo.clone());
                let post = self.post(&channel, thread.as_ref(), &arguments, message);
                let mut entry = self.entry(&channel.name, content, &sent, parts);
                entry.message.payload = Some(Value::Object(arguments));
                entry.message.thread = thread.map(|thread| thread.id);
                entry.handle = Some(handle(&post.channel, &post.ts));
                entry.post = Some(post);
                self.store.record(entry);
                (StatusCode::OK, "ok")
            }
        }
    }

    fn entry(&self, to: &str, content: Content, arguments: &Arguments, parts: &Parts) -> Entry {
        let mut arguments = arguments.clone();
        arguments.remove("token");
        let payload = Value::Object(arguments);
        let raw = request::as_text(parts, &format!("{payload:#}"), &self.token)
            .replace(&self.writer_token, request::MASK)
            .replace(&self.webhook_secret, request::MASK);
        let mut entry = Entry::new(Service::Slack, to, &content.headline, raw);
        entry.message.text = content.text;
        for name in ["username", "thread_ts"] {
            if let Some(value) = payload.get(name).and_then(Value::as_str) {
                entry
                    .message
                    .details
                    .push((name.to_owned(), value.to_owned()));
            }
        }
        entry.message.payload = Some(payload);
        entry
    }
}

/// Who a message is from.
fn author(arguments: &Arguments) -> Map<String, Value> {
    let mut message = Map::new();
    let mut set = |name: &str, value: Value| message.insert(name.to_owned(), value);
    set("type", json!("message"));
    set("user", json!(BOT_USER));
    set("bot_id", json!(BOT));
    set("team", json!(TEAM));
    let given = |name| string(arguments, name).filter(|value| !value.is_empty());
    if let Some(username) = given("username") {
        set("subtype", json!("bot_message"));
        set("username", json!(username));
    } else {
        set("bot_profile", bot_profile());
    }
    // An emoji wins over a picture.
    if let Some(emoji) = given("icon_emoji") {
        set("icons", json!({"emoji": emoji}));
    } else if let Some(url) = given("icon_url") {
        set("icons", json!({"image_64": url}));
    }
    message
}

fn bot_profile() -> Value {
    let image = "https://a.slack-edge.com/80588/img/plugins/app/bot_72.png";
    json!({
        "id": BOT,
        "app_id": APP,
        "name": "workflows",
        "icons": {"image_36": image, "image_48": image, "image_72": image},
        "deleted": false,
        "updated": 1_502_138_686,
        "team_id": TEAM,
    })
}

/// Puts the parts that an update names in the place of the older ones; an empty one removes.
fn overwrite(message: &mut Value, update: &Arguments) {
    let Some(message) = message.as_object_mut() else {
        return;
    };
    message.remove("markdown_text");
    for name in KEPT.into_iter().chain(["markdown_text"]) {
        let Some(value) = update.get(name) else {
            continue;
        };
        let is_empty = value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty);
        if is_empty {
            message.remove(name);
        } else {
            message.insert(name.to_owned(), value.clone());
        }
    }
}

/// Metadata is given back where it is asked for only.
pub(super) fn without_metadata(message: &Value) -> Value {
    let mut message = message.clone();
    if let Some(message) = message.as_object_mut() {
        message.remove("metadata");
    }
    message
}

/// What identifies a posted message: neither part does alone.
pub(crate) fn handle(channel_id: &str, ts: &str) -> String {
    format!("slack {channel_id}/{ts}")
}
