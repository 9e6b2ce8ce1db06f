//! Instants and the clock that gives them.
//!
//! Everything that needs the time takes a [`Clock`]; nothing asks the machine behind its caller's back.

use std::fmt::{self, Debug};
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::problem::Malformed;
use crate::schema;

/// An instant in UTC with microseconds, the precision of the ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// Takes microseconds since 1970-01-01T00:00:00Z; instants out of range become the nearest one.
    pub fn from_micros(micros: i64) -> Self {
        let nearest = if micros < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        };
        Self(jiff::Timestamp::from_microsecond(micros).unwrap_or(nearest))
    }

    /// Returns microseconds since 1970-01-01T00:00:00Z.
    pub fn as_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// Returns the time that passed since `earlier`; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.as_micros().saturating_sub(earlier.as_micros());
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// Returns the instant that comes this much later, or the last one there is.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.as_micros().saturating_add(micros))
    }

    /// Returns the instant that comes this much earlier, or the first one there is.
    #[must_use]
    pub fn before(self, wait: Duration) -> Self {
        let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.as_micros().saturating_sub(micros))
    }

    /// Formats the instant for people: `2026-11-20 23:57:46 UTC`.
    pub fn for_people(self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    /// Formats the instant for mail headers (RFC 5322): `Fri, 20 Nov 2026 23:57:46 +0000`.
    pub fn for_mail(self) -> String {
        self.0.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
    }
}

impl FromStr for Timestamp {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| {
            Malformed::new("not an instant").help("write it as `2026-11-20T23:57:46Z`")
        })?;
        Ok(Self::from_micros(instant.as_microsecond()))
    }
}

// Not derived: what is finer than a microsecond would differ from the ledger's copy of it.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|err: Malformed| de::Error::custom(err.in_serde()))
    }
}

/// RFC 3339, as on the wire.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Gives the time.
pub trait Clock: Debug + Send + Sync {
    /// Returns the present instant.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }
}

/// Formats a duration as people write it in files and read it in messages: `2h 5m`, `850ms`.
pub fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 {
        return format!("{}ms", duration.as_millis());
    }
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let mut words = parts
        .into_iter()
        .skip_while(|(count, _)| *count == 0)
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"));
    let first = words.next().unwrap_or_default();
    words.fold(first, |text, word| text + " " + &word)
}

/// A duration in files: `"30s"`, `"2h 30m"`, `"250ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String", extend("pattern" = schema::pattern::span()))]
pub struct Span(pub Duration);

impl From<Span> for String {
    fn from(span: Span) -> Self {
        let millis = span.0.as_millis();
        if millis.is_multiple_of(1000) {
            format!("{}s", millis / 1000)
        } else {
            format!("{millis}ms")
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SpanText)
    }
}

/// Reads the text form, and says what a number lacks.
struct SpanText;

impl de::Visitor<'_> for SpanText {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, like `90s`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        text.parse()
            .map_err(|err: Malformed| E::custom(err.in_serde()))
    }
}

impl FromStr for Span {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let wrong = || Malformed::new("not a duration").help("write it as `30s`, `5m` or `2h 30m`");
        let parsed: jiff::SignedDuration = text.trim().parse().map_err(|_| wrong())?;
        Duration::try_from(parsed).map(Self).map_err(|_| wrong())
    }
}

/// The longest that one request may take, the answer included: `1s` to `60s`, ten seconds where
/// nothing is said.
///
/// ```
/// use std::time::Duration;
///
/// use notify_core::time::Timeout;
///
/// assert_eq!(Timeout::default().request(), Duration::from_secs(10));
/// assert!(serde_json::from_value::<Timeout>("2m".into()).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Span")]
#[schemars(with = "Span")]
pub struct Timeout(Duration);

impl Timeout {
    /// Takes a duration, for a section that says what is wrong with it beside its other problems.
    ///
    /// # Errors
    ///
    /// When it is shorter than a second or longer than a minute.
    pub fn checked(Span(timeout): Span) -> Result<Self, Malformed> {
        if (Duration::from_secs(1)..=Duration::from_mins(1)).contains(&timeout) {
            return Ok(Self(timeout));
        }
        Err(Malformed::new("out of bounds").help("write a timeout from `1s` to `60s`"))
    }

    /// Returns how long a provider's client waits for one answer.
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

    fn try_from(timeout: Span) -> Result<Self, Malformed> {
        Self::checked(timeout).map_err(|why| Malformed::new(why.in_serde()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_with_their_two_greatest_units() {
        let table = [
            (0, "0ms"),
            (850, "850ms"),
            (1_000, "1s"),
            (61_000, "1m 1s"),
            (3_600_000, "1h"),
            (3_605_000, "1h"),
            (7_500_000, "2h 5m"),
            (90_061_000, "1d 1h"),
        ];
        for (millis, expected) in table {
            assert_eq!(words(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn spans_read_what_people_write() {
        let table = [
            ("30s", Some(30_000)),
            ("2h 30m", Some(9_000_000)),
            ("250ms", Some(250)),
        ];
        for (text, expected) in table {
            let read = text.parse::<Span>().ok().map(|span| span.0.as_millis());
            assert_eq!(read, expected, "{text}");
        }
        for text in ["", "30", "-5s", "soon"] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn instants_keep_microseconds_and_never_overflow() {
        let instant: Timestamp = "2026-11-20T23:57:46.123456Z".parse().unwrap();
        assert_eq!(Timestamp::from_micros(instant.as_micros()), instant);
        assert_eq!(instant.to_string(), "2026-11-20T23:57:46.123456Z");
        assert_eq!(instant.for_mail(), "Fri, 20 Nov 2026 23:57:46 +0000");
        assert!(instant.after(Duration::MAX) > instant);
        assert_eq!(
            instant.since(instant.after(Duration::from_secs(5))),
            Duration::ZERO
        );
    }

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
