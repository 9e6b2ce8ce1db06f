//! How long a request may take, as it stands in an account's section.

use std::time::Duration;

use notify_core::Malformed;
use notify_core::time::Span;
use schemars::JsonSchema;
use serde::Deserialize;

/// The longest that one request may take, the answer included: `1s` to `60s`, ten seconds where
/// nothing is said.
///
/// ```
/// use std::time::Duration;
///
/// use notify_http::Timeout;
///
/// assert_eq!(Timeout::default().request(), Duration::from_secs(10));
/// assert!(serde_json::from_str::<Timeout>("\"2m\"").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Span")]
#[schemars(with = "Span")]
pub struct Timeout(Duration);

impl Timeout {
    /// Returns how long a client of [`HttpClient::new`](crate::HttpClient::new) waits.
    pub const fn request(self) -> Duration {
        self.0
    }

    /// Returns the deadline of an attempt that is one request.
    ///
    /// It is a second more, so that the client's own timeout, which knows what was sent, comes first.
    pub const fn deadline(self) -> Duration {
        self.0.saturating_add(Duration::from_secs(1))
    }
}

impl Default for Timeout {
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

impl TryFrom<Span> for Timeout {
    type Error = Malformed;

    fn try_from(Span(timeout): Span) -> Result<Self, Malformed> {
        if (Duration::from_secs(1)..=Duration::from_mins(1)).contains(&timeout) {
            return Ok(Self(timeout));
        }
        let why = Malformed::new("out of bounds").help("write a timeout from `1s` to `60s`");
        Err(Malformed::new(why.in_serde()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_bounded_and_says_so() {
        for (text, expected) in [
            ("1s", Some(1)),
            ("1m", Some(60)),
            ("0s", None),
            ("61s", None),
        ] {
            let read = serde_json::from_value::<Timeout>(text.into());
            let seconds = read
                .as_ref()
                .ok()
                .map(|timeout| timeout.request().as_secs());
            assert_eq!(seconds, expected, "{text}");
        }
        let refused = serde_json::from_value::<Timeout>("2h".into()).unwrap_err();
        let expected = "out of bounds; help: write a timeout from `1s` to `60s`";
        assert_eq!(refused.to_string(), expected);
        assert_eq!(Timeout::default().deadline(), Duration::from_secs(11));
    }
}
