//! What a token may do, in the scopes that the vendor documents for each method.

use crate::slack::arguments::{Arguments, string};

/// The scopes of one of the issued tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// All that the methods of the sandbox need.
    All,
    /// An app that may write and nothing else.
    Write,
}

impl Grant {
    /// The scopes as the vendor lists them.
    pub(super) fn scopes(self) -> &'static str {
        match self {
            Self::All => {
                "chat:write,chat:write.customize,chat:write.public,incoming-webhook,users:read,\
                 users:read.email,im:write,mpim:write,channels:history,groups:history,im:history,\
                 mpim:history"
            }
            Self::Write => "chat:write",
        }
    }

    /// Whether one of the needed scopes, if any, is there.
    pub(super) fn has(self, needed: &str) -> bool {
        let granted = |scope| self.scopes().split(',').any(|granted| granted == scope);
        needed.is_empty() || needed.split(',').any(granted)
    }
}

/// The scopes of which a call needs one; empty where any token will do.
pub(super) fn needed(method: &str, arguments: &Arguments) -> &'static str {
    let is_customised = ["username", "icon_emoji", "icon_url"]
        .into_iter()
        .any(|name| string(arguments, name).is_some_and(|value| !value.is_empty()));
    match method {
        "chat.postMessage" if is_customised => "chat:write.customize",
        "chat.postMessage" | "chat.update" => "chat:write",
        "conversations.open" => "channels:manage,groups:write,im:write,mpim:write",
        "conversations.history" | "conversations.replies" => {
            "channels:history,groups:history,im:history,mpim:history"
        }
        "users.lookupByEmail" => "users:read.email",
        _ => "",
    }
}
