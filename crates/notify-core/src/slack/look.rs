//! Under which name and with which icon a message is shown.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problem::Malformed;
use crate::text;

/// The name that a message is shown under: 1 to 80 characters on one line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    with = "String",
    description = "The name that a Slack message is shown under.",
    extend("pattern" = r"^[^\x00-\x1f\x7f-\x9f]{1,80}$", "examples" = ["etl-bot"])
)]
pub struct Username(Box<str>);

/// The name of an emoji between colons: `:bell:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    with = "String",
    description = "The name of an emoji between colons.",
    extend("pattern" = "^:[^: ]{1,100}(?:::[^: ]{1,100})?:$", "examples" = [":bell:"])
)]
pub struct Emoji(Box<str>);

/// The address of a picture that everybody may see: `https`, at most 3,000 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    with = "String",
    description = "The address of a picture, by https.",
    extend("pattern" = "^https://[!-~]{1,2992}$", "examples" = ["https://example.com/bell.png"])
)]
pub struct IconUrl(Box<str>);

impl FromStr for Username {
    type Err = Malformed;

    fn from_str(name: &str) -> Result<Self, Malformed> {
        let why = match name {
            "" => "a name has a character at least",
            _ if text::chars(name) > 80 => "a name has at most 80 characters",
            _ if text::has_control(name) => "a name has no control characters",
            _ if text::has_invisible(name) => "a name has no invisible characters",
            _ if text::has_outer_space(name) => "a name has no spaces round it",
            _ => return Ok(Self(name.into())),
        };
        Err(text::refused(name, why))
    }
}

impl FromStr for Emoji {
    type Err = Malformed;

    fn from_str(name: &str) -> Result<Self, Malformed> {
        let inner = |name: &str| {
            let odd = |letter: char| letter == ':' || letter.is_whitespace() || letter.is_control();
            (1..=100).contains(&text::chars(name))
                && !name.contains(odd)
                && !text::has_invisible(name)
        };
        let names = name
            .strip_prefix(':')
            .and_then(|rest| rest.strip_suffix(':'));
        // A tone of skin follows as an emoji of its own: `:wave::skin-tone-2:`.
        let is_emoji = names.is_some_and(|names| match names.split_once("::") {
            Some((name, tone)) => inner(name) && inner(tone),
            None => inner(names),
        });
        if is_emoji {
            return Ok(Self(name.into()));
        }
        Err(text::refused(name, "not the name of an emoji").help("write it as `:bell:`"))
    }
}

impl FromStr for IconUrl {
    type Err = Malformed;

    fn from_str(url: &str) -> Result<Self, Malformed> {
        let rest = url.strip_prefix("https://").unwrap_or_default();
        let is_graphic = url.bytes().all(|byte| byte.is_ascii_graphic());
        if rest.is_empty() || !is_graphic || url.len() > 3_000 {
            return Err(text::refused(url, "not the address of a picture")
                .help("write it as `https://example.com/bell.png`"));
        }
        Ok(Self(url.into()))
    }
}

/// Writes what a checked text has in common.
macro_rules! checked_text {
    ($($name:ident),+) => {$(
        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Malformed;

            fn try_from(text: String) -> Result<Self, Malformed> {
                text.parse()
                    .map_err(|err: Malformed| Malformed::new(err.in_serde()))
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0.into()
            }
        }
    )+};
}

checked_text!(Username, Emoji, IconUrl);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_is_a_name_between_colons() {
        let table = [
            (":bell:", true),
            (":+1:", true),
            (":wave::skin-tone-2:", true),
            (":données:", true),
            ("bell", false),
            (":bell", false),
            ("::", false),
            (":a b:", false),
            (":a\u{200b}:", false),
            ("🔔", false),
            (":a::b::c:", false),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Emoji>().is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_picture_is_fetched_by_https() {
        let long = format!("https://example.com/{}", "x".repeat(3_000));
        let table = [
            ("https://example.com/bell.png", true),
            ("http://example.com/bell.png", false),
            ("https://", false),
            ("https://example.com/a b.png", false),
            ("bell.png", false),
            (&long, false),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<IconUrl>().is_ok(), expected, "{text}");
        }
    }
}
