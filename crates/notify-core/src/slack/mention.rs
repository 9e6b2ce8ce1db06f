//! Whom a message calls, in terms that Slack can resolve.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::json;

use crate::content::Mention;
use crate::problem::Malformed;
use crate::schema;
use crate::slack::{SlackId, is_id};
use crate::text::refused;

/// The most mentions of a message.
pub const MAX_MENTIONS: usize = 20;

/// Whom a message calls: everybody who is there, everybody in the channel, a person, a group.
///
/// Slack calls people and groups by id alone, so a name is refused.
///
/// ```
/// use notify_core::slack::SlackMention;
///
/// let jane: SlackMention = "@U0123456789".parse()?;
/// assert_eq!(jane.to_string(), "@U0123456789");
/// assert!("@jane".parse::<SlackMention>().is_err());
/// # Ok::<(), notify_core::Malformed>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum SlackMention {
    /// Everybody in the channel who is there now.
    Here,
    /// Everybody in the channel.
    Channel,
    /// A person: `U…`, `W…`.
    User(SlackId),
    /// A user group: `S…`.
    Group(SlackId),
}

impl From<&SlackMention> for Mention {
    fn from(mention: &SlackMention) -> Self {
        match mention {
            SlackMention::Here => Self::Here,
            SlackMention::Channel => Self::Channel,
            SlackMention::User(id) => Self::User(id.as_str().to_owned()),
            SlackMention::Group(id) => Self::Group(id.as_str().to_owned()),
        }
    }
}

impl FromStr for SlackMention {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let trimmed = text.trim_matches(' ');
        let name = trimmed.strip_prefix('@').unwrap_or(trimmed);
        let wrong = |why: &'static str| refused(text, why);
        match name {
            "here" => return Ok(Self::Here),
            "channel" => return Ok(Self::Channel),
            "everyone" => {
                return Err(wrong("not everybody of a workspace is called here")
                    .help("write `channel` for everybody in the channel"));
            }
            _ => {}
        }
        if is_id(name) {
            return match name.as_bytes().first() {
                Some(b'U' | b'W') => Ok(Self::User(SlackId(name.into()))),
                Some(b'S') => Ok(Self::Group(SlackId(name.into()))),
                _ => Err(wrong("this id is neither a person's nor a group's")
                    .help("ids of people begin with `U` or `W`, of user groups with `S`")),
            };
        }
        Err(wrong("Slack calls nobody by name").help(
            "write `here`, `channel`, a person's id (profile → copy member ID) as `\"@U0123456789\"` \
             or a user group's id (user groups → copy group ID) as `\"@S0123456789\"`",
        ))
    }
}

impl TryFrom<String> for SlackMention {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
            .map_err(|err: Malformed| Malformed::new(err.in_serde()))
    }
}

impl From<SlackMention> for String {
    fn from(mention: SlackMention) -> Self {
        mention.to_string()
    }
}

impl fmt::Display for SlackMention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("here"),
            Self::Channel => f.write_str("channel"),
            Self::User(id) | Self::Group(id) => write!(f, "@{}", id.as_str()),
        }
    }
}

impl JsonSchema for SlackMention {
    fn schema_name() -> Cow<'static, str> {
        "SlackMention".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema::schema(json!({
            "description": "Whom a Slack message calls: `here`, `channel`, a person by id, or a user group by id.",
            "type": "string",
            "pattern": "^ *@?(?:here|channel|[USW](?=[A-Z]*[0-9])[A-Z0-9]{8,23}) *$",
            "examples": ["here", "channel", "@U0123456789", "@S0123456789"],
        }))
    }
}

/// Reads one mention, or a list of them.
pub(super) fn one_or_more<'de, D>(deserializer: D) -> Result<Vec<SlackMention>, D::Error>
where
    D: Deserializer<'de>,
{
    struct OneOrMore;

    impl<'de> Visitor<'de> for OneOrMore {
        type Value = Vec<SlackMention>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mention or a list of them")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let mention = text.parse();
            let mention = mention.map_err(|err: Malformed| E::custom(err.in_serde()))?;
            Ok(vec![mention])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
            let mentions: Vec<_> = Vec::deserialize(SeqAccessDeserializer::new(items))?;
            if mentions.len() > MAX_MENTIONS {
                let why = format!("more than {MAX_MENTIONS} mentions");
                let why = Malformed::new(why.clone()).plainly(why);
                let why = why.help("call a user group instead: `\"@S0123456789\"`");
                return Err(de::Error::custom(why.in_serde()));
            }
            Ok(mentions)
        }
    }

    deserializer.deserialize_any(OneOrMore)
}

/// Describes one mention, or a list of them.
pub(super) fn schema_of_one_or_more(generator: &mut SchemaGenerator) -> Schema {
    let mention = generator.subschema_for::<SlackMention>();
    schema::schema(json!({
        "anyOf": [mention, {"type": "array", "items": mention, "maxItems": MAX_MENTIONS}],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_slack_resolves_is_a_mention() {
        let table = [
            ("here", Some("here")),
            ("@here", Some("here")),
            (" channel ", Some("channel")),
            ("U0123456789", Some("@U0123456789")),
            ("@W0123456789", Some("@W0123456789")),
            ("@S0123456789", Some("@S0123456789")),
            ("@everyone", None),
            ("@jane", None),
            ("jane@example.com", None),
            ("@C0123456789", None),
            ("<!here>", None),
            ("<@U0123456789>", None),
            ("@UNDERWRITERS", None),
            ("@", None),
            ("", None),
        ];
        for (text, expected) in table {
            let read = text.parse::<SlackMention>();
            let seen = read.as_ref().ok().map(ToString::to_string);
            assert_eq!(seen.as_deref(), expected, "{text}");
            if let Err(why) = read {
                assert!(why.help.is_some(), "{text}");
            }
        }
    }
}
