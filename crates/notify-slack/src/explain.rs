//! What to do about the answers that Slack is known for. Pure.

use notify_core::Outcome;

/// Says in words how an outcome is mended; `None` where there is nothing to say beyond Slack's words.
pub(crate) fn explain(outcome: &Outcome) -> Option<String> {
    let (Outcome::NotDelivered { detail, .. }
    | Outcome::Rejected { detail, .. }
    | Outcome::Unknown { detail, .. }) = outcome
    else {
        return None;
    };
    if let Some(fix) = unknown_authority(detail) {
        return Some(fix.to_owned());
    }
    let (_, said) = detail.split_once(": ")?;
    let code = said.split([';', ' ']).next()?;
    if code == "missing_scope" {
        return Some(match after(detail, "needed scope ") {
            Some(scope) => format!(
                "add the scope `{scope}` under “OAuth & Permissions” of the app and reinstall it to the \
                 workspace"
            ),
            None => {
                "add the missing scope under “OAuth & Permissions” of the app and reinstall it to \
                     the workspace"
                    .to_owned()
            }
        });
    }
    fix(code).map(str::to_owned)
}

/// Says what mends a connection that one side does not trust, by the words of the TLS library.
fn unknown_authority(detail: &str) -> Option<&'static str> {
    if detail.contains("UnknownIssuer") {
        return Some(
            "nobody whom this machine trusts signed the certificate: name the authority, mostly that of \
             a proxy, with `tls = { ca_file = \"/etc/ssl/corp.pem\" }`",
        );
    }
    detail
        .contains("CertificateRequired")
        .then_some("the server wants to know who calls: give `tls` a `cert_file` and its `key`")
}

/// Returns the word after these words.
fn after<'a>(detail: &'a str, words: &str) -> Option<&'a str> {
    let (_, rest) = detail.split_once(words)?;
    rest.split([';', ' '])
        .next()
        .filter(|word| !word.is_empty())
}

/// Says what mends a code; the page of the provider says the same.
fn fix(code: &str) -> Option<&'static str> {
    Some(match code {
        "not_in_channel" => {
            "invite the app: write `/invite @NAME-OF-THE-APP` in the channel, or give it the scope \
             `chat:write.public` for channels that are public"
        }
        "channel_not_found" => {
            "there is no such channel, or it is private and the app is not in it: check the name, \
             invite the app with `/invite @NAME-OF-THE-APP`, or write the channel's id; with a token \
             of an organisation only ids are found"
        }
        "is_archived" | "channel_is_archived" => {
            "the channel is archived: unarchive it, or name another one"
        }
        "invalid_auth" | "not_authed" => {
            "the token is not one of this workspace: copy the bot token, `xoxb-…`, from the app's page \
             “OAuth & Permissions”; with GovSlack, set `base_url`"
        }
        "token_revoked" | "account_inactive" | "invalid_token" => {
            "the app was removed from the workspace or its token was revoked: install it again and \
             copy the new bot token"
        }
        "token_expired" => {
            "the token rotates and has run out: switch token rotation off for the app, or have it \
             renewed by what fills the secret"
        }
        "not_allowed_token_type" => "use the bot token, `xoxb-…`, of the app",
        "accesslimited" | "access_denied" | "app_access_restricted" => {
            "the workspace allows the app only from certain addresses: add this machine's"
        }
        "users_not_found" => {
            "nobody in the workspace has this mail address: check it, or name the person by id \
             (profile → copy member ID)"
        }
        "user_not_found" | "user_disabled" | "user_not_visible" => {
            "the person left the workspace or cannot be seen by the app: name somebody else"
        }
        "messages_tab_disabled" => {
            "allow messages to people: “App Home” of the app, “Messages Tab”"
        }
        "restricted_action"
        | "restricted_action_read_only_channel"
        | "posting_to_general_channel_denied" => {
            "the channel allows only some people to post: let the app post there, or name another \
             channel"
        }
        "restricted_action_thread_only_channel" => {
            "the channel takes replies only: name another channel"
        }
        "action_prohibited" => {
            "an administrator of the workspace does not allow this webhook to post"
        }
        "team_not_found" => {
            "a token of an organisation reaches channels by id alone: `C0123456789`"
        }
        "no_service" | "no_service_id" | "no_team" | "no_active_hooks" => {
            "the webhook was deleted or its app removed: make a new one under “Incoming Webhooks” of \
             the app"
        }
        "team_disabled" => "the workspace is disabled: ask its administrator",
        "ratelimited" | "rate_limited" => {
            "Slack takes one message a second for each channel: the next one waits"
        }
        "message_limit_exceeded" => "the workspace's plan allows no more messages for now",
        "invalid_blocks" | "invalid_blocks_format" | "msg_blocks_too_long" => {
            "try the `blocks` of the notification in Slack's Block Kit Builder"
        }
        "cant_update_message" | "edit_window_closed" => {
            "the workspace does not let messages be edited: leave `update` out"
        }
        "unknown_method" | "method_deprecated" => "check `base_url`: it ends in `/api/`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use notify_core::{Reason, Receipt};

    use super::*;

    #[test]
    fn a_refusal_that_slack_is_known_for_has_a_fix() {
        let table = [
            (
                "chat.postMessage: missing_scope; needed scope chat:write; provided im:write",
                "add the scope `chat:write` under",
            ),
            (
                "users.lookupByEmail: missing_scope",
                "add the missing scope",
            ),
            (
                "chat.postMessage: not_in_channel",
                "`/invite @NAME-OF-THE-APP`",
            ),
            (
                "chat.postMessage: invalid_auth; bad [secret]",
                "copy the bot token",
            ),
            (
                "users.lookupByEmail: users_not_found; asked within the last 10 minutes",
                "nobody in the workspace",
            ),
            ("HTTP 404: no_service", "make a new one"),
            (
                "client error (Connect): invalid peer certificate: UnknownIssuer",
                "name the authority",
            ),
            (
                "connection error: received fatal alert: CertificateRequired",
                "`cert_file`",
            ),
        ];
        for (detail, expected) in table {
            let said = explain(&Outcome::rejected(Reason::Auth, detail)).unwrap_or_default();
            assert!(said.contains(expected), "{detail}: {said}");
        }
        for detail in ["chat.postMessage: a_code_of_tomorrow", "HTTP 404", ""] {
            assert_eq!(explain(&Outcome::rejected(Reason::Payload, detail)), None);
        }
        assert_eq!(explain(&Outcome::Delivered(Receipt::new("1.2"))), None);
    }
}
