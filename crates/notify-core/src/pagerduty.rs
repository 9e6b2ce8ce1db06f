//! PagerDuty: services and the spec of a PagerDuty notification.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::notification::NotificationKind;
use crate::problem::Malformed;
use crate::schema;
use crate::secret::looks_secret;
use crate::text;

mod options;

pub use self::options::{
    Incident, PagerDutyImage, PagerDutyImageUrl, PagerDutyLink, PagerDutyOptions, PagerDutyText,
    PagerDutyUrl,
};

/// The kind `pagerduty`: an incident on a service, closed by itself when the workflow succeeds again.
///
/// ```
/// use notify_core::{phases, service, NotificationKind, PagerDuty};
///
/// let page = PagerDuty::on(phases![Failed, TimedOut]).to(service!("data-platform"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PagerDuty;

impl NotificationKind for PagerDuty {
    const KIND: &'static str = "pagerduty";
    type Options = PagerDutyOptions;
    type Recipient = PagerDutyService;
}

/// The name of a PagerDuty service, as the account's `services` table calls it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(extend("pattern" = schema::pattern::service(), "examples" = ["data-platform"]))]
pub struct PagerDutyService(Cow<'static, str>);

impl PagerDutyService {
    /// Takes a name that is known when the program is compiled; [`service!`](crate::service!) calls this.
    ///
    /// # Panics
    ///
    /// At compile time, when the name is malformed.
    #[expect(
        clippy::panic,
        reason = "runs in const items only, where a panic is a compile error"
    )]
    pub const fn from_static(name: &'static str) -> Self {
        if let Err(why) = check(name) {
            panic!("{}", why);
        }
        Self(Cow::Borrowed(name))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn check(name: &str) -> Result<(), &'static str> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || text::chars(name) > 100 {
        return Err("a service name has 1 to 100 characters");
    }
    if text::has_control(name) {
        return Err("a service name has no control characters");
    }
    if text::has_invisible(name) {
        return Err("a service name has no invisible characters");
    }
    if text::has_outer_space(name) {
        return Err("a service name does not begin or end with a space");
    }
    if text::has(name, b'@') {
        return Err("a mail address is not a service");
    }
    if text::byte(bytes, 0) == b'#' {
        return Err("a channel is not a service");
    }
    if text::is_key(name) {
        return Err("an integration key is a secret of the account, not a service");
    }
    Ok(())
}

impl FromStr for PagerDutyService {
    type Err = Malformed;

    fn from_str(given: &str) -> Result<Self, Malformed> {
        let trimmed = given.trim_matches(' ');
        check(trimmed).map_err(|why| {
            let help = match trimmed {
                _ if trimmed.contains('@') => "a mail address belongs under `email`",
                _ if trimmed.starts_with('#') => "a channel belongs under `slack`",
                _ => "use a name from `[accounts.pagerduty.….services]`",
            };
            text::refused(given, why).help(help)
        })?;
        if looks_secret(trimmed) {
            return Err(Malformed::new("a key or an address is not a service")
                .help("use a name from `[accounts.pagerduty.….services]`; the key stays there")
                .sensitive());
        }
        Ok(Self(Cow::Owned(trimmed.to_owned())))
    }
}

impl<'de> Deserialize<'de> for PagerDutyService {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse()
            .map_err(|why: Malformed| de::Error::custom(why.in_serde()))
    }
}

impl TryFrom<&str> for PagerDutyService {
    type Error = Malformed;

    fn try_from(text: &str) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl fmt::Display for PagerDutyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes a [`PagerDutyService`] constant; a malformed literal does not compile.
///
/// ```compile_fail
/// let service = notify_core::service!("ops@example.com");
/// ```
#[macro_export]
macro_rules! service {
    ($name:literal) => {{
        // An item, not a `const` block: `cargo check` evaluates only items.
        const SERVICE: $crate::PagerDutyService = $crate::PagerDutyService::from_static($name);
        SERVICE
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_names_and_nothing_else() {
        for name in ["data-platform", "Data Platform", "données"] {
            assert_eq!(name.parse::<PagerDutyService>().unwrap().as_str(), name);
        }
        let refused = [
            "",
            " ",
            "\u{a0}",
            "ops@example.com",
            "#data-alerts",
            "a\nb",
            "a\u{85}b",
            "a\u{200b}b",
            "\u{202e}atad",
            "\u{3164}",
            "0123456789abcdef0123456789abcdef",
        ];
        for name in refused {
            assert!(name.parse::<PagerDutyService>().is_err(), "{name:?}");
        }
    }
}
