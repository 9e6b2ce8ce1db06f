//! The kind `webhook`: what a recipient is, and what a notification can say beside it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use notify_core::schema::pattern;
use notify_core::secret::looks_secret;
use notify_core::{Malformed, NotificationKind, NotificationOptions};
use notify_http::OpenUrl;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The kind `webhook`: a request to an endpoint of one's own.
///
/// ```
/// use notify_core::{Notification, NotificationKind, phases};
/// use notify_webhook::{Webhook, WebhookRecipient};
///
/// let to: WebhookRecipient = "ci".parse()?;
/// let notification: Notification = Webhook::on(phases![Failed]).to(to).into();
/// assert_eq!(notification.kind().as_str(), "webhook");
/// # Ok::<(), notify_core::Malformed>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Webhook;

impl NotificationKind for Webhook {
    const KIND: &'static str = "webhook";
    type Options = WebhookOptions;
    type Recipient = WebhookRecipient;
}

/// What a webhook notification can say beside phases and recipients: nothing yet.
///
/// What is sent is a matter between the account and the receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WebhookOptions {}

impl NotificationOptions for WebhookOptions {}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WebhookRecipient {
    /// An endpoint of the account.
    Endpoint(EndpointName),
    /// An address, for accounts with `allow_url_recipients = true`.
    Url(OpenUrl),
}

/// The name of an endpoint, as the account's `endpoints` table calls it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointName(Box<str>);

impl EndpointName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EndpointName {
    type Err = Malformed;

    fn from_str(name: &str) -> Result<Self, Malformed> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            return Err(Malformed::new("not the name of an endpoint")
                .help("use up to 64 ASCII letters, digits, `-` and `_`"));
        }
        if looks_secret(name) {
            return Err(Malformed::new("a key or a token is not an endpoint")
                .help("use a name from `[accounts.webhook.….endpoints]`; the key stays there")
                .sensitive());
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for WebhookRecipient {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text.contains("://") {
            return text.parse().map(Self::Url);
        }
        let help = match text {
            _ if text.contains('@') => "a mail address belongs under `email`",
            _ if text.starts_with('#') => "a channel belongs under `slack`",
            _ => return text.parse().map(Self::Endpoint),
        };
        Err(Malformed::new("not an endpoint").help(help))
    }
}

impl TryFrom<&str> for WebhookRecipient {
    type Error = Malformed;

    fn try_from(text: &str) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<EndpointName> for WebhookRecipient {
    fn from(name: EndpointName) -> Self {
        Self::Endpoint(name)
    }
}

impl fmt::Display for WebhookRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(name) => name.fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

impl JsonSchema for WebhookRecipient {
    fn schema_name() -> Cow<'static, str> {
        "WebhookRecipient".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where a request goes: the name of an endpoint, or an address where the account allows one.",
            "anyOf": [
                {"type": "string", "pattern": pattern::identifier()},
                {"type": "string", "pattern": OpenUrl::PATTERN, "maxLength": OpenUrl::LONGEST},
            ],
            "examples": ["ci"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_is_an_endpoint_or_an_address_and_reads_back() {
        for text in [
            "ci",
            "CI_2",
            "https://hooks.example.com/a?b=c",
            "https://[2606:4700::1]/",
        ] {
            let recipient: WebhookRecipient = text.parse().unwrap();
            assert_eq!(recipient.to_string(), text);
        }
        let one: WebhookRecipient = "https://EXAMPLE.com:443".parse().unwrap();
        assert_eq!(one.to_string(), "https://example.com/");
        assert_eq!(one.to_string().parse(), Ok(one));
    }

    #[test]
    fn what_is_no_recipient_is_refused_without_an_echo_of_a_secret() {
        let table = [
            ("", "use up to 64 ASCII letters, digits, `-` and `_`"),
            ("a b", "use up to 64 ASCII letters, digits, `-` and `_`"),
            ("ops@example.com", "a mail address belongs under `email`"),
            ("#data-alerts", "a channel belongs under `slack`"),
            (
                "hunter2hunter2hunter2hunter2",
                "use a name from `[accounts.webhook.….endpoints]`; the key stays there",
            ),
        ];
        for (text, help) in table {
            let why = text.parse::<WebhookRecipient>().unwrap_err();
            assert_eq!(why.help.as_deref(), Some(help), "{text}");
        }
        for text in [
            "https://u:hunter2@example.com/",
            "https://hunter2@example.com/",
            "https://example.com/?sig=hunter2",
            "hunter2://example.com",
        ] {
            let why = text.parse::<WebhookRecipient>().unwrap_err();
            assert!(
                why.sensitive && !format!("{why:?}").contains("hunter2"),
                "{text}"
            );
        }
    }
}
