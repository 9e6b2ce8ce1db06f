//! What Slack's error codes mean. Pure.

use std::time::Duration;

use notify_core::{Reason, Scope};

/// The wait where a 429 names none.
pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// The wait once the workspace's plan allows no more messages.
const QUOTA_WAIT: Duration = Duration::from_hours(1);

/// What an error code of the Web API means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
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
/// Holds every code that Slack documents for the methods that are called here and for all methods.
pub(crate) fn classify(code: &str) -> Option<Class> {
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
        | "thread_not_found"
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
        | "invalid_cursor"
        | "invalid_limit"
        | "invalid_metadata_filter_keys"
        | "invalid_time"
        | "invalid_ts_latest"
        | "invalid_ts_oldest"
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

/// The codes by which Slack says that an earlier message cannot be answered or edited any more.
const ROOT_GONE: [&str; 8] = [
    "message_not_found",
    "thread_not_found",
    "cannot_reply_to_message",
    "restricted_action_thread_locked",
    "restricted_action_non_threadable_channel",
    "cant_broadcast_message",
    "edit_window_closed",
    "cant_update_message",
];

/// Tells whether what was to continue an earlier message goes by itself instead.
pub(crate) fn is_root_gone(code: &str) -> bool {
    ROOT_GONE.contains(&code)
}

/// Tells whether the channel itself cannot be written to any more.
pub(crate) fn is_channel_gone(code: &str) -> bool {
    matches!(code, "channel_not_found" | "is_archived")
}

/// The codes by which Slack refuses the form of a message and not what it says.
const FORM_REFUSED: [&str; 6] = [
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_blocks_too_long",
    "invalid_attachments",
    "too_many_attachments",
    "attachment_payload_limit_exceeded",
];

/// Tells whether the same message may go as plain text.
pub(crate) fn is_form_refused(code: &str) -> bool {
    FORM_REFUSED.contains(&code)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_code_that_leads_to_another_way_is_a_refusal_for_good() {
        for code in ROOT_GONE.into_iter().chain(FORM_REFUSED) {
            assert!(matches!(classify(code), Some(Class::Rejected(_))), "{code}");
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
            "auth.test.json",
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
