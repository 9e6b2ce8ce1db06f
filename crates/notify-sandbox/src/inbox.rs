//! The inbox page: what arrived, drawn, and switches to let the services fail.
//!
//! INVARIANT: nothing in a message can run, load or send anything.
//! Text is escaped ([`Html`]), HTML mail is in a frame without scripts, and the
//! Content-Security-Policy allows only this page's own script.

mod article;

use std::net::SocketAddr;
use std::num::ParseIntError;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{self, IntoResponse, Json, Redirect, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::html::Html;
use crate::inbox::article::arranged;
use crate::request;
use crate::slack::{Workspace, handle};
use crate::store::{Failure, Received, Service, Store};

const CSS: &str = include_str!("inbox.css");
const SCRIPT: &str = include_str!("inbox.js");
/// Older messages are left to `/messages.json`, or a browser would be busy for long.
const SHOWN: usize = 100;
/// Frames inherit this policy. Mail needs inline styles, and can load nothing with them.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; \
    connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// The page's view of the sandbox.
#[derive(Debug)]
pub(crate) struct Inbox {
    store: Arc<Store>,
    workspace: Arc<Workspace>,
    /// The only values of `Host`; another one is a page elsewhere that had its name point here.
    hosts: [String; 2],
}

impl Inbox {
    pub(crate) fn new(store: Arc<Store>, workspace: Arc<Workspace>, address: SocketAddr) -> Self {
        let hosts = [address.to_string(), format!("localhost:{}", address.port())];
        Self {
            store,
            workspace,
            hosts,
        }
    }

    /// Whether a request is for this page, and if another page sent it, from this page.
    fn is_own(&self, headers: &HeaderMap) -> bool {
        let is_known = |host: &str| self.hosts.iter().any(|known| known == host);
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let origin = headers.get(ORIGIN).map(|origin| {
            origin
                .to_str()
                .ok()
                .and_then(|origin| origin.strip_prefix("http://"))
        });
        host.is_some_and(is_known) && origin.is_none_or(|origin| origin.is_some_and(is_known))
    }

    fn page(&self) -> String {
        let (messages, count) = self.store.latest(SHOWN);
        let mut html = Html::new();
        html.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
            .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
            .raw("<title>Sandbox inbox</title><style>")
            .raw(CSS)
            .raw("</style><script src=\"/inbox.js\" defer></script></head><body data-version=\"")
            .number(self.store.version())
            .raw("\"><header class=\"page\"><div><h1>Sandbox inbox</h1><p>");
        match count {
            0 => html.raw("Nothing arrived yet."),
            1 => html.raw("1 message."),
            count => html.text(&count.to_string()).raw(" messages."),
        };
        html.raw(" Nothing leaves this machine.</p></div><div class=\"faults\">");
        for service in Service::ALL {
            self.fault_controls(&mut html, service);
        }
        html.raw(
            "</div></header><a id=\"news\" href=\"/\" hidden>Something new: show it</a><main>",
        );
        if messages.is_empty() {
            html.raw("<p class=\"empty\">Messages to Slack, PagerDuty and e-mail appear here.</p>");
        }
        for shown in arranged(&messages) {
            shown.draw(&mut html, &self.workspace);
        }
        if count > messages.len() {
            html.raw(
                "<p class=\"empty\">Older ones: <a href=\"/messages.json\">messages.json</a></p>",
            );
        }
        html.raw("</main></body></html>\n");
        html.into_string()
    }

    fn fault_controls(&self, html: &mut Html, service: Service) {
        let failure = self.store.failure(service);
        html.raw(if failure.is_some() {
            "<div class=\"fault on\">"
        } else {
            "<div class=\"fault\">"
        });
        badge(html, service);
        html.raw("<span class=\"status\">");
        match failure {
            None => html.raw("answers normally"),
            Some(Failure {
                status,
                times: None,
            }) => html.raw("answers ").number(status),
            Some(Failure {
                status,
                times: Some(times),
            }) => html
                .raw("answers ")
                .number(status)
                .raw(" ")
                .number(times)
                .raw("× more"),
        };
        html.raw("</span>");
        let statuses = match service {
            Service::Slack | Service::PagerDuty => [500, 429],
            Service::Email => [451, 550],
        };
        for status in statuses {
            fault_form(html, service, Some(status), |html| {
                html.raw("Answer ").number(status);
            });
        }
        if failure.is_some() {
            fault_form(html, service, None, |html| {
                html.raw("Stop failing");
            });
        }
        html.raw("</div>");
    }
}

/// A button that posts to `/fail`; without a status it ends the failure.
fn fault_form(
    html: &mut Html,
    service: Service,
    status: Option<u16>,
    label: impl FnOnce(&mut Html),
) {
    html.raw(
        "<form method=\"post\" action=\"/fail\"><input type=\"hidden\" name=\"service\" value=\"",
    )
    .text(&service.to_string())
    .raw("\"><input type=\"hidden\" name=\"status\" value=\"")
    .text(&status.map(|status| status.to_string()).unwrap_or_default())
    .raw(if status.is_some() {
        "\"><button>"
    } else {
        "\"><button class=\"stop\">"
    });
    label(html);
    html.raw("</button></form>");
}

fn badge(html: &mut Html, service: Service) {
    html.raw(match service {
        Service::Slack => "<span class=\"badge slack\">Slack</span>",
        Service::PagerDuty => "<span class=\"badge pagerduty\">PagerDuty</span>",
        Service::Email => "<span class=\"badge email\">E-mail</span>",
    });
}

pub(crate) fn router(inbox: Arc<Inbox>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/inbox.js", get(script))
        .route("/archives/{channel}/{message}", get(archive))
        .route("/messages.json", get(messages))
        .route("/version.json", get(version))
        .route("/fail", post(fail))
        .layer(DefaultBodyLimit::max(4_096))
        .layer(middleware::from_fn_with_state(Arc::clone(&inbox), guard))
        .with_state(inbox)
}

/// Refuses requests from elsewhere, and sets the headers of all answers.
async fn guard(State(inbox): State<Arc<Inbox>>, request: Request, next: Next) -> Response {
    let mut response = if inbox.is_own(request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "only for the inbox page itself\n").into_response()
    };
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: with it browsers send no origin along with the page's own forms.
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn page(State(inbox): State<Arc<Inbox>>) -> response::Html<String> {
    response::Html(inbox.page())
}

/// Where permalinks of Slack messages lead: to the message on the page.
async fn archive(
    State(inbox): State<Arc<Inbox>>,
    Path((channel, message)): Path<(String, String)>,
) -> Response {
    let found = message
        .strip_prefix('p')
        .and_then(|digits| digits.split_at_checked(digits.len().checked_sub(6)?))
        .and_then(|(seconds, micros)| {
            let handle = handle(&channel, &format!("{seconds}.{micros}"));
            inbox.store.find(&handle, |entry| entry.message.id)
        });
    match found {
        Some(id) => Redirect::to(&format!("/#message-{id}")).into_response(),
        None => (StatusCode::NOT_FOUND, "no such message\n").into_response(),
    }
}

async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

async fn messages(State(inbox): State<Arc<Inbox>>) -> Json<Vec<Received>> {
    Json(inbox.store.messages())
}

async fn version(State(inbox): State<Arc<Inbox>>) -> Json<Value> {
    Json(json!({"version": inbox.store.version()}))
}

async fn fail(State(inbox): State<Arc<Inbox>>, parts: Parts, body: Bytes) -> Response {
    let media_type = request::media_type(&parts.headers);
    let is_form = media_type.as_deref() == Some("application/x-www-form-urlencoded");
    let fields = match media_type.as_deref() {
        Some("application/json") => serde_json::from_slice(&body).ok(),
        _ if is_form => Some(
            request::form_fields(&String::from_utf8_lossy(&body))
                .map(|(name, value)| (name, Value::String(value)))
                .collect(),
        ),
        _ => None,
    };
    let Some(Value::Object(fields)) = fields else {
        return refused("send a form or a JSON object");
    };
    let field = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(other) => other.to_string(),
    };
    let service = match field("service").parse::<Service>() {
        Ok(service) => service,
        Err(err) => return refused(&err.to_string()),
    };
    let failure = match read_failure(&field("status"), &field("times")) {
        Ok(failure) if failure.is_none_or(|failure| failure.is_answerable(service)) => failure,
        _ => return refused("`status` is 400 to 599 or empty, `times` a number or empty"),
    };
    inbox.store.fail(service, failure);
    if is_form {
        Redirect::to("/").into_response()
    } else {
        Json(json!({"service": service, "failure": inbox.store.failure(service)})).into_response()
    }
}

/// The failure that was asked for; an empty status asks for none.
fn read_failure(status: &str, times: &str) -> Result<Option<Failure>, ParseIntError> {
    if status.is_empty() {
        return Ok(None);
    }
    let times = if times.is_empty() {
        None
    } else {
        Some(times.parse()?)
    };
    Ok(Some(Failure {
        status: status.parse()?,
        times,
    }))
}

fn refused(reason: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response()
}
