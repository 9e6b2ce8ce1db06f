//! What Slack's answers mean. Pure.

use std::time::Duration;

use notify_core::outcome::clean;
use notify_core::{Cause, Outcome, Reason, Receipt, Scope};
use notify_http::Response;
use serde_json::Value;

/// The wait where a 429 names none.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// The wait once the workspace's plan allows no more messages.
const QUOTA_WAIT: Duration = Duration::from_hours(1);

/// What an error code of the Web API means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Too many calls; wait this long where the answer does not say.
    Throttled(Duration, Scope),
    /// Slack has trouble of its own and took nothing.
    Unavailable,
    /// Slack has trouble of its own and may have taken it.
    Unknown,
    /// Slack will never take it as it is.
    Rejected(Reason),
}

/// Classes an error code; `None` where Slack does not document it.
///
/// Holds every code that Slack documents for `chat.postMessage`, `chat.update`,
/// `conversations.open`, `users.lookupByEmail` and for all methods.
fn classify(code: &str) -> Option<Class> {
    use Reason::{Auth, Config, Destination, Payload, Policy};
    Some(match code {
        "ratelimited" | "rate_limited" | "restricted_too_many" => {
            Class::Throttled(DEFAULT_WAIT, Scope::Lane)
        }
        "message_limit_exceeded" => Class::Throttled(QUOTA_WAIT, Scope::Account),

        "internal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org"
        | "org_login_required"
        | "external_channel_migrating"
        | "update_failed"
        | "streaming_state_conflict" => Class::Unavailable,

        // “It's possible some aspect of the operation succeeded before the error was raised.”
        "fatal_error" => Class::Unknown,

        "not_authed"
        | "invalid_auth"
        | "account_inactive"
        | "token_revoked"
        | "token_expired"
        | "missing_scope"
        | "not_allowed_token_type"
        | "no_permission"
        | "is_bot"
        | "two_factor_setup_required"
        | "accesslimited"
        | "access_denied"
        | "app_access_restricted"
        | "invalid_token" => Class::Rejected(Auth),

        "channel_not_found"
        | "not_in_channel"
        | "is_archived"
        | "is_inactive"
        | "team_not_found"
        | "messages_tab_disabled"
        | "user_not_in_channel"
        | "cannot_reply_to_message"
        | "message_not_found"
        | "posting_to_channel_denied"
        | "users_not_found"
        | "user_not_found"
        | "user_disabled"
        | "user_not_visible"
        | "not_enough_users"
        | "too_many_users"
        | "users_list_not_supplied"
        | "invalid_user_combination"
        | "method_not_supported_for_channel_type" => Class::Rejected(Destination),

        "restricted_action"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_only_channel"
        | "restricted_action_non_threadable_channel"
        | "restricted_action_thread_locked"
        | "ekm_access_denied"
        | "enterprise_is_restricted"
        | "send_on_behalf_not_allowed"
        | "slack_connect_blocked_file_type"
        | "slack_connect_canvas_sharing_blocked"
        | "slack_connect_clip_sharing_blocked"
        | "slack_connect_file_link_sharing_blocked"
        | "slack_connect_file_upload_sharing_blocked"
        | "slack_connect_lists_sharing_blocked"
        | "cant_update_message"
        | "cant_broadcast_message"
        | "edit_window_closed"
        | "block_mismatch"
        | "blocked_file_type" => Class::Rejected(Policy),

        "no_text"
        | "msg_too_long"
        | "msg_blocks_too_long"
        | "invalid_blocks"
        | "invalid_blocks_format"
        | "invalid_attachments"
        | "too_many_attachments"
        | "attachment_payload_limit_exceeded"
        | "too_many_contact_cards"
        | "markdown_text_conflict"
        | "invalid_metadata_format"
        | "invalid_metadata_schema"
        | "metadata_too_large"
        | "metadata_must_be_sent_from_app"
        | "invalid_arguments"
        | "invalid_arg_name"
        | "invalid_array_arg"
        | "invalid_charset"
        | "invalid_form_data"
        | "invalid_post_type"
        | "missing_post_type"
        | "as_user_not_supported"
        | "missing_file_data"
        | "invalid_time"
        | "time_in_past"
        | "time_too_far"
        | "no_dual_broadcast_content_update"
        | "draft_already_deleted"
        | "draft_already_sent"
        | "draft_has_conflict"
        | "draft_not_found"
        | "duplicate_channel_not_found"
        | "duplicate_message_not_found"
        | "max_file_sharing_exceeded"
        | "unable_to_share_files" => Class::Rejected(Payload),
        code if code.starts_with("file_") => Class::Rejected(Payload),

        "method_deprecated" | "deprecated_endpoint" | "unknown_method" => Class::Rejected(Config),

        _ => return None,
    })
}

/// Reads the answer of a Web API method: its JSON where Slack says `ok`, else what it comes to.
pub(crate) fn answer(method: &str, response: &Response) -> Result<Value, Outcome> {
    match response.status {
        200 => {}
        // A wait is asked for in every 429; where it got lost, hammering is still wrong.
        429 => {
            let wait = response.retry_after.unwrap_or(DEFAULT_WAIT);
            let detail = format!("{method}: HTTP 429: {}", response.excerpt());
            return Err(Outcome::throttled(detail, Some(wait), Scope::Lane));
        }
        // No recipient is part of the address: where there is no method, there is no Slack.
        status @ (404 | 410) => {
            let detail = format!("{method}: HTTP {status}: {}", response.excerpt());
            return Err(Outcome::rejected(Reason::Config, detail));
        }
        // From the edge, in HTML.
        _ => return Err(response.outcome()),
    }
    let broken = |why: &str| {
        let detail = format!("{method}: {why}: {}", response.excerpt());
        Err(Outcome::unknown(Cause::Protocol, detail))
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

fn refusal(method: &str, json: &Value, retry_after: Option<Duration>) -> Outcome {
    let code = json.get("error").and_then(Value::as_str);
    let detail = detail(method, code, json);
    // A code that Slack added since then speaks of the request: those that pass are few and stable.
    let class = code.and_then(classify);
    match class.unwrap_or(Class::Rejected(Reason::Payload)) {
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
        Class::Rejected(reason) => Outcome::rejected(reason, detail),
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
pub(crate) fn webhook_answer(response: &Response, receipt: Receipt) -> Outcome {
    use Reason::{Auth, Destination, Payload, Policy};
    let body = response.body.trim();
    if response.status == 200 && body == "ok" {
        return Outcome::Delivered(receipt);
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
            return Outcome::throttled(detail, wait, Scope::Lane);
        }
        // A 200 without `ok` included: whoever answered it, it was not the webhook.
        _ => return response.outcome(),
    };
    Outcome::rejected(reason, format!("HTTP {}: {body}", response.status))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
        let outcome = answer("chat.postMessage", response).unwrap_err();
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
                Err(Outcome::Rejected { detail, .. }) => assert_eq!(detail, expected),
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
            let outcome = webhook_answer(&response, Receipt::new("ntf_1"));
            assert_eq!(class(&outcome), expected, "{status} {body}");
        }
    }

    #[test]
    #[expect(
        clippy::print_stderr,
        reason = "a test that is skipped says so where people look"
    )]
    fn every_documented_error_code_has_a_row() {
        let Some(golden) = std::env::var_os("NOTIFY_GOLDEN_DIR") else {
            eprintln!("skipped: NOTIFY_GOLDEN_DIR is not set");
            return;
        };
        let methods = Path::new(&golden).join("slack/methods");
        let files = [
            "_common_errors.json",
            "chat.postMessage.json",
            "chat.update.json",
            "conversations.open.json",
            "users.lookupByEmail.json",
        ];
        for file in files {
            let text = std::fs::read_to_string(methods.join(file)).unwrap();
            let json: Value = serde_json::from_str(&text).unwrap();
            let codes = json["errors"].as_object().unwrap();
            assert!(!codes.is_empty(), "{file}");
            for code in codes.keys() {
                assert!(classify(code).is_some(), "{file}: {code}");
            }
        }
    }
}
