//! The Slack Web API and one incoming webhook.
//!
//! Error codes are those of the vendor's method reference.

mod arguments;
mod blocks;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{any, post};
use serde_json::{Value, json};

use crate::accounts::{random_hex, stable_hash};
use crate::request;
use crate::slack::arguments::{Arguments, Refusal, arguments, content, string};
use crate::store::{Entry, Recorded, Service, Store, cut_chars, unix_micros};

const TEAM: &str = "T0SANDBOX";
const BOT: &str = "B0SANDBOX";
const BOT_USER: &str = "U0SANDBOX";
const MAX_BODY_BYTES: usize = 1024 * 1024;
const MAX_UPDATED_TEXT_CHARS: usize = 4_000;
/// Names remembered for ids; a program that makes up more of them sees bare ids.
const MAX_NAMES: usize = 10_000;

/// The workspace that the sandbox plays.
#[derive(Debug)]
pub(crate) struct Slack {
    store: Arc<Store>,
    token: String,
    webhook_secret: String,
    inbox_url: String,
    workspace: Mutex<Workspace>,
}

#[derive(Debug, Default)]
struct Workspace {
    /// What people call a channel or user, by id.
    names: BTreeMap<String, String>,
    /// Microseconds of the latest message; time stamps are message ids and never repeat.
    last_ts: u64,
}

impl Slack {
    pub(crate) fn new(store: Arc<Store>, inbox_url: String) -> Self {
        Self {
            store,
            token: format!("xoxb-sandbox-{}", random_hex(24)),
            webhook_secret: random_hex(24),
            inbox_url,
            workspace: Mutex::default(),
        }
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The path of the incoming webhook; a secret.
    pub(crate) fn webhook_path(&self) -> String {
        format!("/services/{TEAM}/{BOT}/{}", self.webhook_secret)
    }

    fn call(&self, method: &str, parts: &Parts, body: &[u8]) -> Result<Value, Refusal> {
        // These methods take query and form arguments only.
        let takes_json = !matches!(method, "users.lookupByEmail" | "chat.getPermalink");
        let run: fn(&Self, &Arguments, &Parts) -> Result<Value, Refusal> = match method {
            "auth.test" => |_, _, _| Ok(auth_test()),
            "chat.getPermalink" => |slack, arguments, _| slack.permalink(arguments),
            "chat.postMessage" => Self::post_message,
            "chat.update" => Self::update,
            "conversations.open" => |slack, arguments, _| slack.open(arguments),
            "users.lookupByEmail" => |slack, arguments, _| slack.lookup_by_email(arguments),
            _ => return Err(Refusal::new("unknown_method")),
        };
        let arguments = arguments(parts, body, takes_json)?;
        self.check_token(&parts.headers, &arguments)?;
        run(self, &arguments, parts)
    }

    fn check_token(&self, headers: &HeaderMap, arguments: &Arguments) -> Result<(), Refusal> {
        let header = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let bearer = header.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme
                .eq_ignore_ascii_case("bearer")
                .then_some(token.trim())
        });
        match bearer.or_else(|| string(arguments, "token")) {
            None | Some("") => Err(Refusal::new("not_authed")),
            Some(token) if token == self.token => Ok(()),
            Some(_) => Err(Refusal::new("invalid_auth")),
        }
    }

    fn post_message(&self, arguments: &Arguments, parts: &Parts) -> Result<Value, Refusal> {
        let channel = string(arguments, "channel").unwrap_or_default();
        let (channel_id, name) = self
            .channel(channel)
            .ok_or_else(|| Refusal::new("channel_not_found"))?;
        let content = content(arguments)?;
        let ts = self.next_ts();
        let mut message = json!({
            "type": "message",
            "subtype": "bot_message",
            "ts": ts,
            "bot_id": BOT,
            "user": BOT_USER,
            "team": TEAM,
        });
        if let Some(message) = message.as_object_mut() {
            message.extend(content.echo);
        }
        let answer = json!({"ok": true, "channel": channel_id, "ts": ts, "message": message});

        let mut entry = self.entry(&name, arguments, parts);
        entry.message.headline = content.headline;
        entry.message.text = content.text;
        entry.handle = Some(handle(&channel_id, &ts));
        entry.repeat_key = string(arguments, "client_msg_id")
            .filter(|id| !id.is_empty())
            .map(|id| format!("slack {channel_id} {id}"));
        entry.answer = answer.clone();
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

    fn update(&self, arguments: &Arguments, parts: &Parts) -> Result<Value, Refusal> {
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
        let update = self.entry("", arguments, parts).message;
        let answer = json!({
            "ok": true,
            "channel": channel,
            "ts": ts,
            "text": content.text,
            "message": content.echo,
        });
        let found = self.store.change(&handle(channel, ts), |entry| {
            let message = &mut entry.message;
            message.headline = content.headline;
            message.text = content.text;
            message.payload = update.payload;
            message.raw.push_str("\n\n");
            message.raw.push_str(&update.raw);
            message.details.retain(|(name, _)| name != "updated");
            message
                .details
                .push(("updated".to_owned(), "by chat.update".to_owned()));
        });
        if found {
            Ok(answer)
        } else {
            Err(Refusal::new("message_not_found"))
        }
    }

    fn permalink(&self, arguments: &Arguments) -> Result<Value, Refusal> {
        let channel = string(arguments, "channel").unwrap_or_default();
        if !is_id(channel, "CGD") {
            return Err(Refusal::new("channel_not_found"));
        }
        let ts = string(arguments, "message_ts").unwrap_or_default();
        let id = self
            .store
            .find(&handle(channel, ts))
            .ok_or_else(|| Refusal::new("message_not_found"))?;
        // A link that leads to the message, where the vendor's leads into its client.
        let permalink = format!("{}#message-{id}", self.inbox_url);
        Ok(json!({"ok": true, "channel": channel, "permalink": permalink}))
    }

    fn lookup_by_email(&self, arguments: &Arguments) -> Result<Value, Refusal> {
        let email = string(arguments, "email").unwrap_or_default().trim();
        let Some((name, _)) = email.split_once('@').filter(|(name, domain)| {
            !name.is_empty() && !domain.is_empty() && !domain.contains('@')
        }) else {
            return Err(Refusal::new("users_not_found"));
        };
        let id = stable_id('U', &email.to_lowercase());
        self.name(&id, email);
        Ok(json!({"ok": true, "user": {
            "id": id,
            "team_id": TEAM,
            "name": name,
            "deleted": false,
            "real_name": name,
            "is_bot": false,
            "profile": {"real_name": name, "display_name": name, "email": email, "team": TEAM},
        }}))
    }

    fn open(&self, arguments: &Arguments) -> Result<Value, Refusal> {
        if let Some(channel) = string(arguments, "channel") {
            return if is_id(channel, "DG") {
                Ok(
                    json!({"ok": true, "no_op": true, "already_open": true, "channel": {"id": channel}}),
                )
            } else {
                Err(Refusal::new("channel_not_found"))
            };
        }
        let users = string(arguments, "users").unwrap_or_default();
        let mut users: Vec<_> = users
            .split(',')
            .map(str::trim)
            .filter(|id| !id.is_empty())
            .collect();
        users.sort_unstable();
        users.dedup();
        if users.is_empty() {
            return Err(Refusal::new("users_list_not_supplied"));
        }
        if users.len() > 8 {
            return Err(Refusal::new("too_many_users"));
        }
        if !users.iter().all(|user| is_id(user, "UW")) {
            return Err(Refusal::new("user_not_found"));
        }
        let id = self.direct_message(&users);
        Ok(json!({"ok": true, "channel": {"id": id}}))
    }

    /// The id of a channel and what people call it.
    fn channel(&self, channel: &str) -> Option<(String, String)> {
        if let Some(name) = channel.strip_prefix('#') {
            // 80 is the vendor's limit for a channel name.
            if name.is_empty() || name.chars().count() > 80 || name.contains(char::is_whitespace) {
                return None;
            }
            let id = stable_id('C', name);
            self.name(&id, channel);
            return Some((id, channel.to_owned()));
        }
        let id = if is_id(channel, "UW") {
            self.direct_message(&[channel])
        } else if is_id(channel, "CGD") {
            channel.to_owned()
        } else {
            return None;
        };
        let name = self.workspace().names.get(&id).unwrap_or(&id).clone();
        Some((id, name))
    }

    fn direct_message(&self, users: &[&str]) -> String {
        let id = stable_id(if users.len() == 1 { 'D' } else { 'G' }, &users.join(","));
        let names = {
            let workspace = self.workspace();
            let name = |user: &&str| match workspace.names.get(*user) {
                Some(name) => name.clone(),
                None => (*user).to_owned(),
            };
            users.iter().map(name).collect::<Vec<_>>().join(", ")
        };
        self.name(&id, &names);
        id
    }

    fn name(&self, id: &str, name: &str) {
        let mut workspace = self.workspace();
        if workspace.names.len() < MAX_NAMES {
            workspace.names.insert(id.to_owned(), cut_chars(name, 100));
        }
    }

    fn next_ts(&self) -> String {
        let mut workspace = self.workspace();
        workspace.last_ts = unix_micros().max(workspace.last_ts + 1);
        format!(
            "{}.{:06}",
            workspace.last_ts / 1_000_000,
            workspace.last_ts % 1_000_000
        )
    }

    fn entry(&self, to: &str, arguments: &Arguments, parts: &Parts) -> Entry {
        let mut arguments = arguments.clone();
        arguments.remove("token");
        let payload = Value::Object(arguments);
        let raw = request::as_text(parts, &format!("{payload:#}"), &self.token)
            .replace(&self.webhook_secret, request::MASK);
        let mut entry = Entry::new(Service::Slack, to, "", raw);
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

    /// Takes a message for the webhook; the answer is the vendor's status and text.
    fn take_webhook(&self, parts: &Parts, body: &[u8]) -> (StatusCode, &'static str) {
        let Ok(Value::Object(arguments)) = serde_json::from_slice(body) else {
            return (StatusCode::BAD_REQUEST, "invalid_payload");
        };
        match content(&arguments) {
            Err(refusal) => (StatusCode::BAD_REQUEST, refusal.code),
            Ok(content) => {
                let mut entry = self.entry("incoming webhook", &arguments, parts);
                entry.message.headline = content.headline;
                entry.message.text = content.text;
                self.store.record(entry);
                (StatusCode::OK, "ok")
            }
        }
    }

    fn workspace(&self) -> MutexGuard<'_, Workspace> {
        self.workspace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn router(slack: Arc<Slack>) -> Router {
    Router::new()
        .route("/api/{method}", any(api))
        .route("/services/{team}/{bot}/{secret}", post(webhook))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(slack)
}

async fn api(
    State(slack): State<Arc<Slack>>,
    Path(method): Path<String>,
    parts: Parts,
    body: Bytes,
) -> Response {
    if let Some(status) = slack.store.take_failure(Service::Slack) {
        return failed(status, Json(json!({"ok": false, "error": "ratelimited"})));
    }
    Json(
        slack
            .call(&method, &parts, &body)
            .unwrap_or_else(Refusal::into_json),
    )
    .into_response()
}

async fn webhook(
    State(slack): State<Arc<Slack>>,
    Path((team, bot, secret)): Path<(String, String, String)>,
    parts: Parts,
    body: Bytes,
) -> Response {
    if let Some(status) = slack.store.take_failure(Service::Slack) {
        return failed(status, "rate_limited");
    }
    let answer = if team != TEAM {
        (StatusCode::NOT_FOUND, "no_team")
    } else if bot != BOT {
        (StatusCode::NOT_FOUND, "no_service")
    } else if secret != slack.webhook_secret {
        (StatusCode::FORBIDDEN, "invalid_token")
    } else {
        slack.take_webhook(&parts, &body)
    };
    answer.into_response()
}

/// What Slack's edge answers when the API behind it does not.
fn failed(status: u16, rate_limited: impl IntoResponse) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status == StatusCode::TOO_MANY_REQUESTS {
        return (status, [(RETRY_AFTER, "1")], rate_limited).into_response();
    }
    let title = status.canonical_reason().unwrap_or("Error");
    let page = format!(
        "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\
         <body><h1>{title}</h1><p>The sandbox was told to fail.</p></body></html>\n"
    );
    (status, Html(page)).into_response()
}

fn auth_test() -> Value {
    json!({
        "ok": true,
        "url": "https://sandbox.slack.com/",
        "team": "Sandbox",
        "user": "workflows",
        "team_id": TEAM,
        "user_id": BOT_USER,
        "bot_id": BOT,
        "is_enterprise_install": false,
    })
}

/// What identifies a posted message: neither part does alone.
fn handle(channel_id: &str, ts: &str) -> String {
    format!("slack {channel_id}/{ts}")
}

fn is_id(text: &str, prefixes: &str) -> bool {
    text.starts_with(|first| prefixes.contains(first))
        && (3..=32).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// The same id for the same name, in every run.
fn stable_id(prefix: char, name: &str) -> String {
    const DIGITS: [char; 36] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H',
        'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z',
    ];
    let mut rest = stable_hash(name);
    let mut id = String::from(prefix);
    for _ in 0..10 {
        let digit = usize::try_from(rest % 36).unwrap_or_default();
        id.extend(DIGITS.get(digit));
        rest /= 36;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_distinct() {
        assert_eq!(stable_id('C', "data-alerts"), stable_id('C', "data-alerts"));
        assert_ne!(stable_id('C', "data-alerts"), stable_id('C', "data-alert"));
        assert!(is_id(&stable_id('U', "jane@example.com"), "U"));
    }

    #[test]
    fn an_ordinary_word_is_no_id() {
        for text in ["general", "CHANNEL-1", "C", "", "X0123456"] {
            assert!(!is_id(text, "CGDUW"), "{text}");
        }
    }
}
