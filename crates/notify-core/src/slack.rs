//! Slack: recipients and the spec of a Slack notification.

mod blocks;
mod look;
mod mention;
mod options;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de};
use serde_json::json;

use crate::email::EmailAddress;
use crate::notification::NotificationKind;
use crate::problem::Malformed;
use crate::schema;
use crate::text::{self, refused, shown};

pub use self::blocks::{MAX_RAW_BLOCKS, MAX_RAW_SIZE, RawBlock, RawBlocks};
pub use self::look::{Emoji, IconUrl, Username};
pub use self::mention::{MAX_MENTIONS, SlackMention};
pub use self::options::{SlackOptions, Thread};

/// The kind `slack`: a message to a channel or a person.
///
/// ```
/// use notify_core::{channel, phases, NotificationKind, Slack};
///
/// let alerts = Slack::on(phases![Failed]).to(channel!("#data-alerts"));
/// ```
///
/// Without recipients it is a draft, and a draft is not a notification:
///
/// ```compile_fail
/// use notify_core::{phases, Notification, NotificationKind, Slack};
///
/// let alerts: Notification = Slack::on(phases![Failed]).into();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Slack;

impl NotificationKind for Slack {
    const KIND: &'static str = "slack";
    type Options = SlackOptions;
    type Recipient = SlackRecipient;
}

/// Where a Slack message goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SlackRecipient {
    /// A channel by name, written with its `#`.
    Channel(ChannelName),
    /// A channel, group or direct conversation by id: `C…`, `G…`, `D…`.
    ChannelId(SlackId),
    /// A person by id: `U…`, `W…`.
    User(SlackId),
    /// A person by the mail address of their Slack account.
    Mail(EmailAddress),
}

/// A channel's name with its `#`: up to 80 characters, no capitals, no spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(Cow<'static, str>);

impl ChannelName {
    /// Takes a name that is known when the program is compiled; [`channel!`](crate::channel!) calls this.
    ///
    /// # Panics
    ///
    /// At compile time, when the name is malformed.
    #[expect(
        clippy::panic,
        reason = "runs in const items only, where a panic is a compile error"
    )]
    pub const fn from_static(name: &'static str) -> Self {
        if let Err(why) = check_channel(name) {
            panic!("{}", why);
        }
        Self(Cow::Borrowed(name))
    }

    /// Returns the name with its `#`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An id that Slack gave: a capital that tells what it is, then capitals and digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlackId(Box<str>);

impl SlackId {
    /// Returns the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks a channel name, `#` included, against the rules Slack's client enforces for new channels.
const fn check_channel(name: &str) -> Result<(), &'static str> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || text::byte(bytes, 0) != b'#' {
        return Err("a channel name begins with `#`");
    }
    let (_, rest) = name.split_at(1);
    if rest.is_empty() || text::chars(rest) > 80 {
        return Err("a channel name has 1 to 80 characters after the `#`");
    }
    if text::has_invisible(rest) {
        return Err("a channel name has no invisible characters");
    }
    if text::has_control(rest)
        || text::has_space(rest)
        || text::has_any(rest, b"#@,.:;<>\"'`/\\!?&*()[]{}|")
    {
        return Err("a channel name has no spaces and no punctuation but `-` and `_`");
    }
    if text::has_capital(rest) {
        return Err("a channel name has no capitals");
    }
    Ok(())
}

fn is_id(text: &str) -> bool {
    let mut letters = text.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_uppercase())
        && (9..=24).contains(&text.len())
        && letters.all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
        && text.chars().any(|letter| letter.is_ascii_digit())
}

impl FromStr for SlackRecipient {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let trimmed = text.trim_matches(' ');
        let wrong = |why: &'static str| refused(text, why);
        if trimmed.starts_with('#') {
            return match check_channel(trimmed) {
                Ok(()) => Ok(Self::Channel(ChannelName(Cow::Owned(trimmed.to_owned())))),
                Err(why) if text::has_capital(trimmed) => {
                    Err(wrong(why).help(format!("write `{}`", shown(&trimmed.to_lowercase()))))
                }
                Err(why) => Err(wrong(why)),
            };
        }
        if is_id(trimmed) {
            let id = SlackId(trimmed.into());
            return match trimmed.as_bytes().first() {
                Some(b'C' | b'G' | b'D') => Ok(Self::ChannelId(id)),
                Some(b'U' | b'W') => Ok(Self::User(id)),
                _ => Err(wrong("this id is neither a channel's nor a person's")
                    .help("ids of channels begin with `C`, `G` or `D`, of people with `U` or `W`")),
            };
        }
        if let Some(handle) = trimmed.strip_prefix('@') {
            return Err(wrong("Slack has no addresses of this form").help(format!(
                "name a person by mail address or by id (profile → copy member ID), not by `@{}`",
                shown(handle)
            )));
        }
        if trimmed.contains("://") {
            return Err(wrong("an address of the web is not a recipient").help(
                "a webhook's URL is a secret of the account: `webhook_url = { env = \"NAME\" }`",
            ));
        }
        if trimmed.contains('@') {
            return trimmed.parse().map(Self::Mail);
        }
        let why = "not a channel, an id or a mail address";
        Err(match check_channel(&format!("#{trimmed}")) {
            Ok(()) => wrong(why).help(format!(
                "for a channel write `\"#{}\"`, in quotes",
                shown(trimmed)
            )),
            Err(_) => wrong(why)
                .help("write `\"#channel\"`, `C0123456789`, `U0123456789` or a mail address"),
        })
    }
}

impl TryFrom<&str> for SlackRecipient {
    type Error = Malformed;

    fn try_from(text: &str) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl<'de> Deserialize<'de> for SlackRecipient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|err: Malformed| de::Error::custom(err.in_serde()))
    }
}

impl From<EmailAddress> for SlackRecipient {
    fn from(address: EmailAddress) -> Self {
        Self::Mail(address)
    }
}

impl fmt::Display for SlackRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Channel(name) => name.as_str(),
            Self::ChannelId(id) | Self::User(id) => id.as_str(),
            Self::Mail(address) => address.as_str(),
        })
    }
}

impl JsonSchema for SlackRecipient {
    fn schema_name() -> Cow<'static, str> {
        "SlackRecipient".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema::schema(json!({
            "description": "Where a Slack message goes: `#channel` in quotes, the id of a channel or of a person, or a person's mail address.",
            "anyOf": [
                {"type": "string", "pattern": schema::pattern::channel()},
                {"type": "string", "pattern": schema::pattern::slack_id()},
                generator.subschema_for::<EmailAddress>(),
            ],
            "examples": ["#data-alerts", "C0123456789", "jane@example.com"],
        }))
    }
}

/// Writes a Slack channel constant; a malformed literal does not compile.
///
/// ```compile_fail
/// let channel = notify_core::channel!("data-alerts");
/// ```
#[macro_export]
macro_rules! channel {
    ($name:literal) => {{
        // An item, not a `const` block: `cargo check` evaluates only items.
        const CHANNEL: $crate::SlackRecipient =
            $crate::SlackRecipient::Channel($crate::slack::ChannelName::from_static($name));
        CHANNEL
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_recipient_is_told_from_the_others() {
        let form = |text: &str| match text.parse::<SlackRecipient>() {
            Ok(SlackRecipient::Channel(_)) => "channel",
            Ok(SlackRecipient::ChannelId(_)) => "channel id",
            Ok(SlackRecipient::User(_)) => "user",
            Ok(SlackRecipient::Mail(_)) => "mail",
            Err(_) => "refused",
        };
        let table = [
            ("#data-alerts", "channel"),
            ("#données_été", "channel"),
            ("C0123456789", "channel id"),
            ("G0123456789", "channel id"),
            ("D0123456789", "channel id"),
            ("U0123456789", "user"),
            ("W0123456789", "user"),
            ("jane@example.com", "mail"),
            ("T0123456789", "refused"),
            ("data-alerts", "refused"),
            ("@jane", "refused"),
            ("#Data", "refused"),
            ("#", "refused"),
            ("#a b", "refused"),
            ("#<!channel>", "refused"),
            ("#a\nb", "refused"),
            ("#a\u{200b}b", "refused"),
            ("#\u{202e}a", "refused"),
            ("#a\u{a0}b", "refused"),
            ("\u{a0}", "refused"),
            ("U0123456789\u{200b}", "refused"),
            ("c0123456789", "refused"),
            ("jane@example", "refused"),
            ("https://hooks.slack.com/services/T/B/x", "refused"),
            ("", "refused"),
            ("  ", "refused"),
        ];
        for (text, expected) in table {
            assert_eq!(form(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_text_form_reads_back_as_the_same_recipient() {
        for text in [
            "#data-alerts",
            "C0123456789",
            "U0123456789",
            "jane@example.com",
        ] {
            let recipient: SlackRecipient = text.parse().unwrap();
            assert_eq!(recipient.to_string(), text);
        }
        assert_eq!("#data-alerts".parse(), Ok(channel!("#data-alerts")));
    }
}
