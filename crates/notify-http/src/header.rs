//! Headers and methods of requests: checked once, when a configuration or a secret is read.

use std::fmt;

use notify_core::Malformed;
use notify_core::secret::{ExposeSecret, SecretString};
use reqwest::header::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a body is handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "HttpMethod")]
#[non_exhaustive]
pub enum Method {
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Patch => Self::PATCH,
        }
    }
}

/// A header of a request. Its value shows in no form, because it may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    name: HeaderName,
    value: HeaderValue,
}

impl Header {
    /// Checks and takes a header.
    ///
    /// # Errors
    ///
    /// When the name is none (RFC 9110, section 5.1), or when the value has other than visible ASCII
    /// characters with spaces between them: nothing can end the line and begin another.
    pub fn new(name: &str, value: &str) -> Result<Self, Malformed> {
        Ok(Self {
            name: Self::check_name(name)?,
            value: checked(value)?,
        })
    }

    /// Checks and takes a header whose value is a secret: `Header::secret("x-api-key", token)`.
    ///
    /// No refusal repeats any part of it, and an answer that does has it masked: the value, and what
    /// follows a scheme, as in `Key TOKEN`.
    ///
    /// # Errors
    ///
    /// As [`Header::new`].
    pub fn secret(name: &str, value: &SecretString) -> Result<Self, Malformed> {
        let name = Self::check_name(name)?;
        let mut value = checked(value.expose_secret()).map_err(Malformed::sensitive)?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }

    fn check_name(name: &str) -> Result<HeaderName, Malformed> {
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            Malformed::new("not the name of a header")
                .help("it has letters, digits and `-`: `x-team`")
        })
    }

    pub(crate) fn parts(&self) -> (HeaderName, HeaderValue) {
        (self.name.clone(), self.value.clone())
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({})", self.name)
    }
}

fn checked(value: &str) -> Result<HeaderValue, Malformed> {
    let printable = |byte: u8| (0x20..0x7f).contains(&byte);
    let bytes = value.as_bytes();
    let trimmed = value.trim_matches(' ') == value;
    if value.is_empty() || !trimmed || !bytes.iter().copied().all(printable) {
        return Err(Malformed::new("not the value of a header")
            .help("it has visible ASCII characters, and spaces between them"));
    }
    HeaderValue::from_str(value).map_err(|_| Malformed::new("not the value of a header"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_line_and_shows_its_name_alone() {
        let header = Header::new("X-Team", "data platform").unwrap();
        assert_eq!(format!("{header:?}"), "Header(x-team)");
        for (name, value) in [
            ("", "a"),
            ("x team", "a"),
            ("x-team:", "a"),
            ("x-team\r\n", "a"),
            ("x-tëam", "a"),
            ("x-team", ""),
            ("x-team", " a"),
            ("x-team", "a "),
            ("x-team", "a\r\nx-other: b"),
            ("x-team", "a\0"),
            ("x-team", "a\u{7f}"),
            ("x-team", "dätä"),
        ] {
            assert!(Header::new(name, value).is_err(), "{name:?}: {value:?}");
        }
        let refused = Header::secret("x-key", &"hunter2\r\n".into()).unwrap_err();
        assert!(refused.sensitive && !format!("{refused:?}").contains("hunter2"));
        let secret = Header::secret("x-key", &"hunter2".into()).unwrap();
        assert!(!format!("{:?}", secret.parts()).contains("hunter2"));
    }
}
