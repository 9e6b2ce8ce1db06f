//! What Slack's answers mean. Pure.

use std::time::Duration;

use notify_core::outcome::clean;
use notify_core::{Cause, Outcome, Reason, Receipt, Scope};
use notify_http::Response;
use serde_json::Value;

use crate::codes::{Class, DEFAULT_WAIT, classify};

/// A call that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What it comes to.
    pub(crate) outcome: Outcome,
    /// Slack's code for it, where Slack said one.
    pub(crate) code: Option<String>,
}

impl Refusal {
    /// Tells whether Slack refused with one of these codes.
    pub(crate) fn is(&self, among: impl Fn(&str) -> bool) -> bool {
        self.code.as_deref().is_some_and(among)
    }
}

impl From<Outcome> for Refusal {
    fn from(outcome: Outcome) -> Self {
        let code = None;
        Self { outcome, code }
    }
}

/// Reads the answer of a Web API method: its JSON where Slack says `ok`, else what it comes to.
pub(crate) fn answer(method: &str, response: &Response) -> Result<Value, Refusal> {
    match response.status {
        200 => {}
        // A wait is asked for in every 429; where it got lost, hammering is still wrong.
        429 => {
            let wait = response.retry_after.unwrap_or(DEFAULT_WAIT);
            let detail = format!("{method}: HTTP 429: {}", response.excerpt());
            return Err(Outcome::throttled(detail, Some(wait), Scope::Lane).into());
        }
        // No recipient is part of the address: where there is no method, there is no Slack.
        status @ (404 | 410) => {
            let detail = format!("{method}: HTTP {status}: {}", response.excerpt());
            return Err(Outcome::rejected(Reason::Config, detail).into());
        }
        // From the edge, in HTML.
        _ => return Err(response.outcome().into()),
    }
    let broken = |why: &str| {
        let detail = format!("{method}: {why}: {}", response.excerpt());
        Err(Outcome::unknown(Cause::Protocol, detail).into())
    };
    let Ok(json) = serde_json::from_str::<Value>(&response.body) else {
        return broken("the answer is not JSON");
    };
    match json.get("ok") {
        Some(Value::Bool(true)) => Ok(json),
        Some(Value::Bool(false)) => Err(refusal(method, &json, response.retry_after)),
        _ => broken("the answer has no `ok`"),
    }
}

fn refusal(method: &str, json: &Value, retry_after: Option<Duration>) -> Refusal {
    let code = json.get("error").and_then(Value::as_str);
    let detail = detail(method, code, json);
    let is_about_one = code.is_some_and(|code| is_about_one(method, code, json));
    // A code that Slack added since then speaks of the request: those that pass are few and stable.
    let class = code.and_then(classify);
    let outcome = match class.unwrap_or(Class::Rejected(Reason::Payload)) {
        Class::Throttled(wait, scope) => {
            Outcome::throttled(detail, Some(retry_after.unwrap_or(wait)), scope)
        }
        Class::Unavailable => Outcome::NotDelivered {
            cause: Cause::Unavailable,
            detail: clean(&detail),
            retry_after,
            scope: Scope::Lane,
        },
        Class::Unknown => Outcome::unknown(Cause::Unavailable, detail),
        Class::Rejected(reason) if is_about_one => Outcome::rejected(reason, detail).in_lane(),
        Class::Rejected(reason) => Outcome::rejected(reason, detail),
    };
    let code = code.map(str::to_owned);
    Refusal { outcome, code }
}

/// Tells whether a token may not do what this one delivery needs, and may well post others: look a
/// person up, open a conversation, post under another name.
fn is_about_one(method: &str, code: &str, json: &Value) -> bool {
    let posts = matches!(method, "chat.postMessage" | "chat.update");
    let needed = json.get("needed").and_then(Value::as_str);
    match code {
        "missing_scope" => {
            !posts || matches!(needed, Some("chat:write.customize" | "chat:write.public"))
        }
        "no_permission" | "not_allowed_token_type" | "access_denied" => !posts,
        _ => false,
    }
}

/// Puts together what Slack says about a refusal.
fn detail(method: &str, code: Option<&str>, json: &Value) -> String {
    let mut detail = format!("{method}: {}", code.unwrap_or("refused without a reason"));
    for (key, words) in [("needed", "needed scope"), ("provided", "provided")] {
        if let Some(scope) = json.get(key).and_then(Value::as_str) {
            detail.extend(["; ", words, " ", scope]);
        }
    }
    let said = json.pointer("/response_metadata/messages");
    for messages in [said, json.get("errors")].into_iter().flatten() {
        for message in messages.as_array().into_iter().flatten() {
            // The two lists mostly say the same, one of them behind `[ERROR] `.
            if let Some(message) = message.as_str().filter(|said| !detail.contains(*said)) {
                detail.extend(["; ", message]);
            }
        }
    }
    detail
}

/// Reads the answer of an incoming webhook, which is plain text; the receipt is ours, for Slack
/// gives none.
pub(crate) fn webhook_answer(response: &Response, receipt: Receipt) -> Result<Receipt, Refusal> {
    use Reason::{Auth, Destination, Payload, Policy};
    let body = response.body.trim();
    if response.status == 200 && body == "ok" {
        return Ok(receipt);
    }
    let reason = match body {
        "invalid_payload"
        | "no_text"
        | "invalid_blocks"
        | "invalid_blocks_format"
        | "missing_text_or_fallback_or_attachments"
        | "too_many_attachments"
        | "msg_too_long" => Payload,
        "user_not_found"
        | "channel_not_found"
        | "channel_is_archived"
        | "no_service"
        | "no_service_id"
        | "no_team"
        | "no_active_hooks" => Destination,
        "action_prohibited" | "posting_to_general_channel_denied" => Policy,
        "invalid_token" | "team_disabled" => Auth,
        _ if response.status == 429 => {
            let wait = response.retry_after.or(Some(DEFAULT_WAIT));
            let detail = format!("HTTP 429: {}", response.excerpt());
            return Err(Outcome::throttled(detail, wait, Scope::Lane).into());
        }
        // A 200 without `ok` included: whoever answered it, it was not the webhook.
        _ => return Err(response.outcome().into()),
    };
    let outcome = Outcome::rejected(reason, format!("HTTP {}: {body}", response.status));
    let code = Some(body.to_owned());
    Err(Refusal { outcome, code })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Names an outcome's class in one line.
    fn class(outcome: &Outcome) -> String {
        let (class, rest) = match outcome {
            Outcome::NotDelivered {
                cause, retry_after, ..
            } => (cause.name(), *retry_after),
            Outcome::Unknown { cause, .. } => (cause.name(), None),
            Outcome::Rejected { reason, .. } => (reason.name(), None),
            _ => ("", None),
        };
        let wait = rest.map(|wait| format!(" {}s", wait.as_secs()));
        format!("{} {class}{}", outcome.name(), wait.unwrap_or_default())
    }

    #[track_caller]
    fn check(response: &Response, expected: &str) {
        let outcome = answer("chat.postMessage", response).unwrap_err().outcome;
        assert_eq!(class(&outcome), expected, "{response:?}");
    }

    fn refused(code: &str) -> Response {
        Response::new(200, None, json!({"ok": false, "error": code}).to_string())
    }

    #[test]
    fn every_class_of_error_code_has_its_outcome() {
        let table = [
            ("ratelimited", "not_delivered throttled 30s"),
            ("message_limit_exceeded", "not_delivered throttled 3600s"),
            ("internal_error", "not_delivered unavailable"),
            ("service_unavailable", "not_delivered unavailable"),
            ("fatal_error", "unknown unavailable"),
            ("invalid_auth", "rejected auth"),
            ("missing_scope", "rejected auth"),
            ("channel_not_found", "rejected destination"),
            ("users_not_found", "rejected destination"),
            ("is_archived", "rejected destination"),
            ("restricted_action", "rejected policy"),
            ("slack_connect_lists_sharing_blocked", "rejected policy"),
            ("invalid_blocks", "rejected payload"),
            ("file_not_found", "rejected payload"),
            ("unknown_method", "rejected config"),
            ("a_code_of_tomorrow", "rejected payload"),
        ];
        for (code, expected) in table {
            check(&refused(code), expected);
        }
    }

    #[test]
    fn answers_that_are_not_the_protocols_are_failures() {
        let html = "<html><title>502 Bad Gateway</title></html>";
        let wait = Some(Duration::from_secs(7));
        let table = [
            (Response::new(429, wait, ""), "not_delivered throttled 7s"),
            (Response::new(429, None, ""), "not_delivered throttled 30s"),
            (Response::new(502, None, html), "not_delivered unavailable"),
            (
                Response::new(503, None, "{\"ok\":true}"),
                "not_delivered unavailable",
            ),
            (Response::new(404, None, html), "rejected config"),
            (Response::new(302, None, ""), "rejected config"),
            (Response::new(403, None, html), "rejected auth"),
            (Response::new(200, None, html), "unknown protocol"),
            (Response::new(200, None, ""), "unknown protocol"),
            (Response::new(200, None, "[]"), "unknown protocol"),
            (Response::new(200, None, "{}"), "unknown protocol"),
            (
                Response::new(200, None, "{\"ok\":\"true\"}"),
                "unknown protocol",
            ),
            (
                Response::new(200, None, "{\"ok\":false}"),
                "rejected payload",
            ),
            (Response::new(204, None, ""), "unknown protocol"),
        ];
        for (response, expected) in table {
            check(&response, expected);
        }
    }

    #[test]
    fn what_slack_says_about_a_refusal_is_kept() {
        let scopes = json!({
            "ok": false, "error": "missing_scope",
            "needed": "chat:write", "provided": "users:read",
        });
        let blocks = json!({
            "ok": false, "error": "invalid_blocks",
            "errors": ["must be more than 0 characters [json-pointer:/blocks/0/text/text]"],
            "response_metadata": {"messages": [
                "[ERROR] must be more than 0 characters [json-pointer:/blocks/0/text/text]",
            ]},
        });
        let table = [
            (
                scopes,
                "chat.postMessage: missing_scope; needed scope chat:write; provided users:read",
            ),
            (
                blocks,
                "chat.postMessage: invalid_blocks; [ERROR] must be more than 0 characters \
                 [json-pointer:/blocks/0/text/text]",
            ),
        ];
        for (body, expected) in table {
            let response = Response::new(200, None, body.to_string());
            match answer("chat.postMessage", &response) {
                Err(Refusal {
                    outcome: Outcome::Rejected { detail, .. },
                    ..
                }) => assert_eq!(detail, expected),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_webhook_delivers_only_with_200_and_ok() {
        let table = [
            (200, "ok", "delivered "),
            (200, "ok\n", "delivered "),
            (201, "ok", "unknown protocol"),
            (200, "<html>log in first</html>", "unknown protocol"),
            (200, "", "unknown protocol"),
            (200, "no_text", "rejected payload"),
            (400, "invalid_payload", "rejected payload"),
            (400, "user_not_found", "rejected destination"),
            (400, "something_new", "rejected payload"),
            (403, "action_prohibited", "rejected policy"),
            (403, "posting_to_general_channel_denied", "rejected policy"),
            (403, "invalid_token", "rejected auth"),
            (403, "", "rejected auth"),
            (404, "channel_not_found", "rejected destination"),
            (404, "no_service", "rejected destination"),
            (410, "channel_is_archived", "rejected destination"),
            (302, "", "rejected config"),
            (429, "", "not_delivered throttled 30s"),
            (500, "rollup_error", "not_delivered unavailable"),
            (502, "<html>", "not_delivered unavailable"),
        ];
        for (status, body, expected) in table {
            let response = Response::new(status, None, body);
            let answer = webhook_answer(&response, Receipt::new("ntf_1"));
            let outcome = answer.map_or_else(|refusal| refusal.outcome, Outcome::Delivered);
            assert_eq!(class(&outcome), expected, "{status} {body}");
        }
    }
}
