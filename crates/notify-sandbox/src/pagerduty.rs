//! The PagerDuty Events API v2: alert events and change events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use serde_json::{Value, json};

use crate::accounts::random_hex;
use crate::request;
use crate::store::{Entry, IncidentState, Recorded, Service, Store};

/// The vendor's limit for a whole event.
const MAX_BODY_BYTES: usize = 512_000;
const ROUTING_KEY_CHARS: usize = 32;

/// The services that have a routing key, and their open incidents in the store.
#[derive(Debug)]
pub(crate) struct PagerDuty {
    store: Arc<Store>,
    /// Service names by routing key.
    services: Mutex<BTreeMap<String, String>>,
}

/// A refused event: one message per mistake.
#[derive(Debug)]
enum Refusal {
    NotJson,
    Invalid(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Trigger,
    Acknowledge,
    Resolve,
}

impl Refusal {
    fn into_json(self) -> Value {
        match self {
            Self::NotJson => json!({
                "status": "Unrecognized object",
                "message": "Event object format is unrecognized",
                "errors": ["JSON parse error"],
            }),
            Self::Invalid(errors) => json!({
                "status": "invalid event",
                "message": "Event object is invalid",
                "errors": errors,
            }),
        }
    }
}

impl PagerDuty {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            services: Mutex::default(),
        }
    }

    /// The routing key of a service, issued when it is asked for first.
    pub(crate) fn routing_key(&self, service: &str) -> String {
        let mut services = self.services();
        if let Some((key, _)) = services.iter().find(|(_, name)| *name == service) {
            return key.clone();
        }
        let key = random_hex(ROUTING_KEY_CHARS);
        services.insert(key.clone(), service.to_owned());
        key
    }

    fn enqueue(&self, parts: &Parts, body: &[u8]) -> Result<Value, Refusal> {
        let mut event = parse(body)?;
        let mut errors = Vec::new();
        let service = self.check_routing_key(&event, &mut errors);
        let action = check_action(&event, &mut errors);
        check_dedup_key(&event, action, &mut errors);
        if action == Some(Action::Trigger) {
            check_payload(&event, true, &mut errors);
        }
        let (Some((routing_key, service)), Some(action), true) =
            (service, action, errors.is_empty())
        else {
            return Err(Refusal::Invalid(errors));
        };

        let dedup_key = match string(&event, "dedup_key") {
            Some(key) if !key.is_empty() => key.to_owned(),
            // The vendor invents one too; a retry then opens a second incident.
            _ => random_hex(ROUTING_KEY_CHARS),
        };
        let raw = mask(parts, &mut event, &routing_key);
        let incident = format!("pagerduty {routing_key} {dedup_key}");
        match action {
            Action::Trigger => {
                let mut entry = event_entry(&service, event, raw);
                entry.message.state = Some(IncidentState::Triggered);
                entry
                    .message
                    .details
                    .push(("dedup key".to_owned(), dedup_key.clone()));
                entry.repeat_key = Some(incident.clone());
                entry.handle = Some(incident);
                match self.store.record(entry) {
                    Recorded::New | Recorded::Repeat(_) => {}
                }
            }
            Action::Acknowledge | Action::Resolve => {
                self.follow_up(action, &incident, &service, &dedup_key, event, raw);
            }
        }
        Ok(json!({"status": "success", "message": "Event processed", "dedup_key": dedup_key}))
    }

    /// Changes the open incident; without one the event is shown as dropped.
    fn follow_up(
        &self,
        action: Action,
        incident: &str,
        service: &str,
        dedup_key: &str,
        event: Value,
        raw: String,
    ) {
        let found = self.store.change(incident, |entry| {
            if action == Action::Resolve {
                entry.message.state = Some(IncidentState::Resolved);
                // A later trigger with this key opens an incident of its own.
                entry.repeat_key = None;
                entry.handle = None;
            } else {
                entry.message.state = Some(IncidentState::Acknowledged);
            }
            entry.message.raw.push_str("\n\n");
            entry.message.raw.push_str(&raw);
        });
        if !found {
            let mut entry = event_entry(service, event, raw);
            let verb = if action == Action::Resolve {
                "resolve"
            } else {
                "acknowledge"
            };
            entry.message.headline = format!("{verb} without an open incident");
            entry.message.state = Some(IncidentState::Dropped);
            entry
                .message
                .details
                .push(("dedup key".to_owned(), dedup_key.to_owned()));
            entry.repeat_key = Some(format!("{incident} {verb}"));
            self.store.record(entry);
        }
    }

    fn enqueue_change(&self, parts: &Parts, body: &[u8]) -> Result<Value, Refusal> {
        let mut event = parse(body)?;
        let mut errors = Vec::new();
        let service = self.check_routing_key(&event, &mut errors);
        check_payload(&event, false, &mut errors);
        let (Some((routing_key, service)), true) = (service, errors.is_empty()) else {
            return Err(Refusal::Invalid(errors));
        };
        let raw = mask(parts, &mut event, &routing_key);
        let mut entry = event_entry(&service, event, raw);
        entry
            .message
            .details
            .push(("event".to_owned(), "change".to_owned()));
        self.store.record(entry);
        Ok(json!({"status": "success", "message": "Change event processed"}))
    }

    /// The routing key and the service it belongs to.
    fn check_routing_key(
        &self,
        event: &Value,
        errors: &mut Vec<String>,
    ) -> Option<(String, String)> {
        let key = string(event, "routing_key").unwrap_or_default();
        if key.is_empty() {
            errors.push("'routing_key' is missing or blank".to_owned());
            return None;
        }
        let known_errors = errors.len();
        if key.chars().count() != ROUTING_KEY_CHARS {
            errors.push(format!(
                "Length of 'routing_key' is incorrect (should be {ROUTING_KEY_CHARS} characters)"
            ));
        }
        if !key.chars().all(|c| c.is_ascii_alphanumeric()) {
            errors.push("'routing_key' cannot contain non-alphanumeric characters.".to_owned());
        }
        if errors.len() > known_errors {
            return None;
        }
        let service = self.services().get(key).cloned();
        if service.is_none() {
            errors.push("Invalid routing key".to_owned());
        }
        Some((key.to_owned(), service?))
    }

    fn services(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn router(pagerduty: Arc<PagerDuty>) -> Router {
    Router::new()
        .route("/v2/enqueue", post(enqueue))
        .route("/v2/change/enqueue", post(enqueue_change))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(pagerduty)
}

async fn enqueue(State(pagerduty): State<Arc<PagerDuty>>, parts: Parts, body: Bytes) -> Response {
    respond(&pagerduty.store, || pagerduty.enqueue(&parts, &body))
}

async fn enqueue_change(
    State(pagerduty): State<Arc<PagerDuty>>,
    parts: Parts,
    body: Bytes,
) -> Response {
    respond(&pagerduty.store, || pagerduty.enqueue_change(&parts, &body))
}

fn respond(store: &Store, run: impl FnOnce() -> Result<Value, Refusal>) -> Response {
    if let Some(status) = store.take_failure(Service::PagerDuty) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // The vendor sends no `Retry-After`.
        let body = if status == StatusCode::TOO_MANY_REQUESTS {
            json!({
                "status": "throttle exceeded",
                "message":
                    "Requests for this service are arriving too quickly.  Please retry later.",
                "errors": ["Enhance Your Calm."],
            })
        } else {
            let reason = status.canonical_reason().unwrap_or("Error");
            json!({"status": reason, "message": "The sandbox was told to fail."})
        };
        return (status, Json(body)).into_response();
    }
    match run() {
        Ok(answer) => (StatusCode::ACCEPTED, Json(answer)).into_response(),
        Err(refusal) => (StatusCode::BAD_REQUEST, Json(refusal.into_json())).into_response(),
    }
}

fn parse(body: &[u8]) -> Result<Value, Refusal> {
    match serde_json::from_slice(body) {
        Ok(event @ Value::Object(_)) => Ok(event),
        _ => Err(Refusal::NotJson),
    }
}

fn check_action(event: &Value, errors: &mut Vec<String>) -> Option<Action> {
    match string(event, "event_action") {
        Some("trigger") => return Some(Action::Trigger),
        Some("acknowledge") => return Some(Action::Acknowledge),
        Some("resolve") => return Some(Action::Resolve),
        None | Some("") => errors.push("'event_action' is missing or blank".to_owned()),
        Some(_) => errors.push(
            "'event_action' is invalid (must be one of the following: \
             'trigger', 'acknowledge' or 'resolve')"
                .to_owned(),
        ),
    }
    None
}

fn check_dedup_key(event: &Value, action: Option<Action>, errors: &mut Vec<String>) {
    let key = string(event, "dedup_key").unwrap_or_default();
    if key.chars().count() > 255 {
        errors.push("'dedup_key' is too long (maximum is 255 characters)".to_owned());
    }
    if key.is_empty() && matches!(action, Some(Action::Acknowledge | Action::Resolve)) {
        errors.push("'dedup_key' is missing or blank".to_owned());
    }
}

/// Checks the payload of a trigger, or of a change event, which has no severity.
fn check_payload(event: &Value, is_alert: bool, errors: &mut Vec<String>) {
    let Some(payload) = event.get("payload").filter(|payload| payload.is_object()) else {
        errors.push("'payload' is missing or blank".to_owned());
        return;
    };
    let required: &[&str] = if is_alert {
        &["summary", "source", "severity"]
    } else {
        &["summary"]
    };
    for name in required {
        if string(payload, name).is_none_or(|value| value.trim().is_empty()) {
            errors.push(format!("'payload.{name}' is missing or blank"));
        }
    }
    if string(payload, "summary").is_some_and(|summary| summary.chars().count() > 1_024) {
        // The vendor's spelling.
        errors.push("'summary' is too long (maiximum is 1024 characters)".to_owned());
    }
    let severity = string(payload, "severity").filter(|severity| !severity.trim().is_empty());
    if is_alert
        && severity.is_some_and(|it| !matches!(it, "critical" | "warning" | "error" | "info"))
    {
        errors.push(
            "'payload.severity' is invalid (must be one of the following: \
             'critical', 'warning', 'error' or 'info')"
                .to_owned(),
        );
    }
    for name in ["source", "component", "group", "class", "timestamp"] {
        // What is required was looked at above.
        if !required.contains(&name) && payload.get(name).is_some_and(|value| !value.is_string()) {
            errors.push(format!("'payload.{name}' is invalid (must be a string)"));
        }
    }
    if payload
        .get("custom_details")
        .is_some_and(|details| !details.is_object())
    {
        errors.push("'payload.custom_details' is invalid (must be an object)".to_owned());
    }
    for (list, required) in [("links", "href"), ("images", "src")] {
        let items = match event.get(list) {
            None => &[][..],
            Some(Value::Array(items)) => items,
            Some(_) => {
                errors.push(format!("'{list}' is invalid (must be an array)"));
                continue;
            }
        };
        for (index, item) in items.iter().enumerate() {
            if string(item, required).is_none_or(str::is_empty) {
                errors.push(format!("'{list}[{index}].{required}' is missing or blank"));
            } else if list == "images"
                && string(item, required).is_some_and(|src| !src.starts_with("https://"))
            {
                errors.push(format!(
                    "'{list}[{index}].{required}' must be served via HTTPS"
                ));
            }
        }
    }
}

/// Masks the routing key in the event, and gives the request as text.
fn mask(parts: &Parts, event: &mut Value, routing_key: &str) -> String {
    if let Some(key) = event.get_mut("routing_key") {
        *key = Value::String(request::MASK.to_owned());
    }
    request::as_text(parts, &format!("{event:#}"), routing_key)
}

fn event_entry(service: &str, event: Value, raw: String) -> Entry {
    let payload = event.get("payload").unwrap_or(&Value::Null);
    let headline = string(payload, "summary").unwrap_or_default();
    let mut entry = Entry::new(Service::PagerDuty, service, headline, raw);
    for name in [
        "severity",
        "source",
        "component",
        "group",
        "class",
        "timestamp",
    ] {
        if let Some(value) = string(payload, name) {
            entry
                .message
                .details
                .push((name.to_owned(), value.to_owned()));
        }
    }
    if let Some(details) = payload.get("custom_details") {
        entry.message.text = match details {
            Value::Object(details) => details
                .iter()
                .map(|(name, value)| match value {
                    Value::String(text) => format!("{name}: {text}"),
                    other => format!("{name}: {other}"),
                })
                .collect::<Vec<_>>()
                .join("\n"),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
    }
    entry.message.payload = Some(event);
    entry
}

fn string<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}
