//! The Slack Web API and one incoming webhook.
//!
//! Error codes are those of the vendor's method reference.

mod arguments;
mod blocks;
mod people;
mod post;
mod read;
mod scopes;
mod workspace;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{any, post};
use serde_json::{Value, json};

use crate::accounts::random_hex;
use crate::slack::arguments::{Arguments, Refusal, arguments, string};
use crate::slack::scopes::{Grant, needed};
use crate::slack::workspace::{BOT, BOT_USER, TEAM, WEBHOOK_BOT};
use crate::store::{Service, Store};

pub(crate) use crate::slack::post::handle;
pub(crate) use crate::slack::workspace::Workspace;

const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The workspace that the sandbox plays, and the secrets that open it.
#[derive(Debug)]
pub(crate) struct Slack {
    store: Arc<Store>,
    workspace: Arc<Workspace>,
    token: String,
    writer_token: String,
    webhook_secret: String,
    inbox_url: String,
}

impl Slack {
    pub(crate) fn new(store: Arc<Store>, inbox_url: String) -> Self {
        Self {
            store,
            workspace: Arc::default(),
            token: format!("xoxb-sandbox-{}", random_hex(24)),
            writer_token: format!("xoxb-sandbox-{}", random_hex(24)),
            webhook_secret: random_hex(24),
            inbox_url,
        }
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// A token of an app that may write and nothing else.
    pub(crate) fn writer_token(&self) -> &str {
        &self.writer_token
    }

    pub(crate) fn workspace(&self) -> Arc<Workspace> {
        Arc::clone(&self.workspace)
    }

    /// The path of the incoming webhook; a secret.
    pub(crate) fn webhook_path(&self) -> String {
        format!("/services/{TEAM}/{WEBHOOK_BOT}/{}", self.webhook_secret)
    }

    fn call(&self, method: &str, parts: &Parts, body: &[u8]) -> Answer {
        // These methods take query and form arguments only.
        let takes_json = !matches!(
            method,
            "users.lookupByEmail" | "chat.getPermalink" | "conversations.replies"
        );
        let run: fn(&Self, &Arguments, &Parts) -> Result<Value, Refusal> = match method {
            "auth.test" => |slack, _, _| Ok(slack.auth_test()),
            "chat.getPermalink" => |slack, arguments, _| slack.permalink(arguments),
            "chat.postMessage" => Self::post_message,
            "chat.update" => Self::update,
            "conversations.history" => |slack, arguments, _| slack.history(arguments),
            "conversations.open" => |slack, arguments, _| slack.open(arguments),
            "conversations.replies" => |slack, arguments, _| slack.replies(arguments),
            "users.lookupByEmail" => |slack, arguments, _| slack.lookup_by_email(arguments),
            _ => return Answer::refused(Refusal::new("unknown_method")),
        };
        let arguments = match arguments(parts, body, takes_json) {
            Ok(arguments) => arguments,
            Err(refusal) => return Answer::refused(refusal),
        };
        let grant = match self.grant(&parts.headers, &arguments) {
            Ok(grant) => grant,
            Err(refusal) => return Answer::refused(refusal),
        };
        let needed = needed(method, &arguments);
        let result = if grant.has(needed) {
            run(self, &arguments, parts)
        } else {
            Err(Refusal::scope(needed, grant.scopes()))
        };
        Answer {
            body: result.unwrap_or_else(Refusal::into_json),
            scopes: Some((grant, needed)),
        }
    }

    /// What the token of a call may do.
    fn grant(&self, headers: &HeaderMap, arguments: &Arguments) -> Result<Grant, Refusal> {
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
            Some(token) if token == self.token => Ok(Grant::All),
            Some(token) if token == self.writer_token => Ok(Grant::Write),
            Some(_) => Err(Refusal::new("invalid_auth")),
        }
    }

    fn auth_test(&self) -> Value {
        json!({
            "ok": true,
            // What permalinks begin with.
            "url": self.inbox_url,
            "team": "Sandbox",
            "user": "workflows",
            "team_id": TEAM,
            "user_id": BOT_USER,
            "bot_id": BOT,
            "is_enterprise_install": false,
        })
    }
}

/// What a method came to.
#[derive(Debug)]
struct Answer {
    body: Value,
    /// What the token may do and what the method needed, once the token is known.
    scopes: Option<(Grant, &'static str)>,
}

impl Answer {
    fn refused(refusal: Refusal) -> Self {
        Self {
            body: refusal.into_json(),
            scopes: None,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let request = [("x-slack-req-id", random_hex(32))];
        let body = Json(self.body);
        match self.scopes {
            None => (request, body).into_response(),
            Some((grant, needed)) => {
                let granted = [("x-oauth-scopes", grant.scopes())];
                let accepted = [("x-accepted-oauth-scopes", needed)];
                (request, granted, accepted, body).into_response()
            }
        }
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
    slack.call(&method, &parts, &body).into_response()
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
    } else if bot != WEBHOOK_BOT {
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
