//! Headers that an account or a notification adds to its mails.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::parsed;
use crate::problem::Malformed;
use crate::schema;
use crate::text;

/// What every mail says by itself, and what would make it say that somebody else wrote or carried it.
const TAKEN: [&str; 30] = [
    "apparently-to",
    "authentication-results",
    "auto-submitted",
    "bcc",
    "cc",
    "date",
    "delivered-to",
    "dkim-signature",
    "domainkey-signature",
    "envelope-to",
    "errors-to",
    "from",
    "in-reply-to",
    "list-id",
    "message-id",
    "mime-version",
    "original-recipient",
    "received",
    "received-spf",
    "references",
    "reply-to",
    "return-path",
    "return-receipt-to",
    "sender",
    "subject",
    "to",
    "x-auto-response-suppress",
    "x-envelope-to",
    "x-original-to",
    "x-sender",
];

/// Families of the same.
const TAKEN_FAMILIES: [&str; 5] = ["arc-", "content-", "original-", "resent-", "x-ms-exchange-"];

/// The most characters of a name; a header line has 998 bytes (RFC 5322 2.1.1).
const MAX_NAME: usize = 76;

/// The most characters of a value: as an encoded word, four bytes of UTF-8 become twelve.
const MAX_VALUE: usize = 500;

/// The name of a header that may be added to a mail: letters, digits and hyphens, compared without case.
#[derive(Clone, Debug, Serialize)]
#[serde(into = "String")]
pub struct HeaderName(String);

impl HeaderName {
    /// Returns the name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for HeaderName {}

impl PartialOrd for HeaderName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for HeaderName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(&other.folded())
    }
}

impl FromStr for HeaderName {
    type Err = Malformed;

    fn from_str(name: &str) -> Result<Self, Malformed> {
        // RFC 5322 3.6.8 allows more than anybody uses, and lettre takes line breaks.
        let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic());
        if !begins || name.len() > MAX_NAME || !name.chars().all(letters) {
            return Err(text::refused(name, "not the name of a header")
                .help("write letters, digits and hyphens, at most 76, such as `X-Team`"));
        }
        let folded = name.to_ascii_lowercase();
        let taken = TAKEN.contains(&folded.as_str())
            || TAKEN_FAMILIES
                .iter()
                .any(|family| folded.starts_with(family));
        if taken {
            let why = "a mail has this header by itself, or may not have it";
            return Err(text::refused(name, why).help(
                "add headers of your own, such as `X-Team`; `reply_to` is a key of the account",
            ));
        }
        Ok(Self(name.to_owned()))
    }
}

impl<'de> Deserialize<'de> for HeaderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl From<HeaderName> for String {
    fn from(name: HeaderName) -> Self {
        name.0
    }
}

/// The value of an added header: one line of visible text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct HeaderText(String);

impl HeaderText {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HeaderText {
    type Err = Malformed;

    fn from_str(value: &str) -> Result<Self, Malformed> {
        let odd = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
        let why = if value.is_empty() {
            "the header is empty"
        } else if value.contains(odd) {
            "the header holds a line break or another control character"
        } else if text::has_outer_space(value) {
            "the header begins or ends with a space"
        } else if text::chars(value) > MAX_VALUE {
            "the header has more than 500 characters"
        } else if value.split(' ').any(|word| word.len() > MAX_VALUE) {
            "the header has a word of more than 500 bytes"
        } else {
            return Ok(Self(value.to_owned()));
        };
        Err(Malformed::new(why).help("write one line of visible text"))
    }
}

impl<'de> Deserialize<'de> for HeaderText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl From<HeaderText> for String {
    fn from(value: HeaderText) -> Self {
        value.0
    }
}

/// Headers that are added to a mail, by name.
///
/// ```
/// use notify_core::email::MailHeaders;
///
/// let mut headers = MailHeaders::default();
/// headers.set("X-Team", "data platform")?;
/// assert!(headers.set("From", "boss@example.com").is_err());
/// assert!(headers.set("X-Team", "data\r\nBcc: evil@example.com").is_err());
/// # Ok::<(), notify_core::Malformed>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MailHeaders(BTreeMap<HeaderName, HeaderText>);

impl MailHeaders {
    /// Sets a header.
    ///
    /// # Errors
    ///
    /// When the name is not one that may be added, or the value is not one line of visible text.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Malformed> {
        self.0.insert(name.parse()?, value.parse()?);
        Ok(())
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Walks the headers in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Adds what others say and these do not.
    #[must_use]
    pub fn or(&self, others: &Self) -> Self {
        let mut all = others.clone();
        all.0.extend(self.0.clone());
        all
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for MailHeaders {
    fn schema_name() -> Cow<'static, str> {
        "MailHeaders".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema::schema(json!({
            "description": "Further headers by name.",
            "type": "object",
            "propertyNames": {"pattern": format!("^[A-Za-z][A-Za-z0-9-]{{0,{}}}$", MAX_NAME - 1)},
            "additionalProperties": {
                "type": "string",
                "pattern": r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$",
                "maxLength": MAX_VALUE,
            },
            "examples": [{"X-Team": "data platform"}],
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_forge_or_break_a_mail_are_refused() {
        let kept = [
            "X-Team",
            "Importance",
            "X-Priority",
            "List-Unsubscribe",
            "Feedback-ID",
        ];
        for name in kept {
            assert!(name.parse::<HeaderName>().is_ok(), "{name}");
        }
        let refused = [
            "",
            "From",
            "from",
            "TO",
            "Bcc",
            "Received",
            "DKIM-Signature",
            "Content-Type",
            "MIME-Version",
            "Message-ID",
            "Resent-From",
            "ARC-Seal",
            "X-A\r\nX-Injected",
            "X-A: b",
            "X A",
            "X-Ä",
            "-X",
        ];
        for name in refused {
            assert!(name.parse::<HeaderName>().is_err(), "{name:?}");
        }
        let long = "x".repeat(501);
        let refused = [
            "",
            " a",
            "a ",
            "a\r\nb",
            "a\nb",
            "a\u{0}",
            "a\u{85}b",
            "a\u{2028}b",
            &long,
        ];
        for value in refused {
            assert!(value.parse::<HeaderText>().is_err(), "{value:?}");
        }
    }

    #[test]
    fn names_are_compared_without_case_and_the_nearer_wins() {
        let mut own = MailHeaders::default();
        own.set("x-team", "data").unwrap();
        let mut others = MailHeaders::default();
        others.set("X-Team", "all").unwrap();
        others.set("X-Env", "prod").unwrap();
        let both = own.or(&others);
        let values: Vec<_> = both.iter().map(|(_, value)| value).collect();
        assert_eq!(values, ["prod", "data"]);
    }
}
