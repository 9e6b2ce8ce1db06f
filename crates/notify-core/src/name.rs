//! Names of workflows, accounts and kinds.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::problem::Malformed;
use crate::schema::pattern;
use crate::text;

/// Declares a validated text: one check, one canonical form, the same from Rust, files and the wire.
macro_rules! validated_text {
    ($(#[$doc:meta])* $name:ident, $pattern:expr, $check:expr $(, $example:literal)?) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        #[schemars(extend("pattern" = $pattern $(, "examples" = [$example])?))]
        pub struct $name(Cow<'static, str>);

        impl $name {
            /// Checks and takes a text.
            pub fn new(text: impl Into<String>) -> Result<Self, Malformed> {
                let text = text.into();
                let check: fn(&str) -> Result<(), Malformed> = $check;
                check(&text)?;
                Ok(Self(Cow::Owned(text)))
            }

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

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Malformed;

            fn try_from(text: &str) -> Result<Self, Malformed> {
                Self::new(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(text).map_err(|err| de::Error::custom(err.in_serde()))
            }
        }
    };
}

validated_text! {
    /// The name of a workflow, as its authors know it.
    ///
    /// Up to 255 characters of any script; no control or invisible characters, no space at the ends.
    /// Names are compared as written: a composed `ä` and an `a` with a combining mark are two names.
    WorkflowName, pattern::plain_name(), |text| plain_name("a workflow name", text)
}

validated_text! {
    /// The name of one configured account of a kind: `prod` in `slack.prod`.
    ///
    /// ASCII letters, digits, `-` and `_`, so that `kind.account` can be read in one way only.
    AccountName, pattern::identifier(), |text| identifier("an account name", text)
}

impl AccountName {
    /// Returns `default`, the name of the account that needs no name.
    pub const fn default_name() -> Self {
        Self(Cow::Borrowed("default"))
    }
}

validated_text! {
    /// The name of a kind of notification, the same everywhere: `email`, `slack`, `pagerduty`.
    Kind, pattern::identifier(), |text| identifier("a kind", text)
}

impl Kind {
    /// Names a kind in a constant; the registry refuses a malformed one.
    pub const fn from_static(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

validated_text! {
    /// One part of an execution's identity: project, domain or name.
    ///
    /// Up to 255 characters, no control or invisible characters, no space at the ends.
    Label, pattern::plain_name(), |text| plain_name("an execution's project, domain or name", text)
}

validated_text! {
    /// A recipient of a kind that has no form of its own for them: see
    /// [`provider_fn`](crate::provider_fn).
    ///
    /// Up to 255 characters, no control or invisible characters, no space at the ends. It can be the
    /// key of a table in an account's section: `BTreeMap<FreeName, SecretRef>`.
    FreeName, pattern::plain_name(), |text| plain_name("a recipient", text), "night shift"
}

/// Checks a name that people choose freely.
fn plain_name(what: &str, name: &str) -> Result<(), Malformed> {
    if name.is_empty() {
        return Err(Malformed::unquoting(format!("{what} is empty")));
    }
    if text::has_control(name) {
        return Err(Malformed::unquoting(format!(
            "{what} holds a control character"
        )));
    }
    if text::has_invisible(name) {
        return Err(
            Malformed::unquoting(format!("{what} holds an invisible character"))
                .help("type it anew: what was pasted may hold marks that nobody sees"),
        );
    }
    if text::has_outer_space(name) {
        return Err(Malformed::unquoting(format!(
            "{what} begins or ends with a space"
        )));
    }
    if text::chars(name) > 255 {
        return Err(Malformed::unquoting(format!(
            "{what} is longer than 255 characters"
        )));
    }
    Ok(())
}

/// Checks a name that stands in keys, labels and file names.
fn identifier(what: &str, name: &str) -> Result<(), Malformed> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
        return Err(
            Malformed::new(format!("`{}` is not {what}", text::shown(name)))
                .plainly(format!("not {what}"))
                .help("use up to 64 ASCII letters, digits, `-` and `_`"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_kept_and_controls_refused() {
        for good in ["nightly-etl", "Abrechnung für März", "夜間バッチ", "a/b.c"] {
            assert_eq!(WorkflowName::new(good).unwrap().as_str(), good);
        }
        let bad = [
            "",
            " ",
            "a\nb",
            "a\u{85}b",
            " a",
            "a ",
            "a\u{a0}",
            "\u{3000}",
            "a\u{200b}b",
            "\u{202e}lte",
            "\u{feff}a",
        ];
        for bad in bad {
            assert!(WorkflowName::new(bad).is_err(), "{bad:?}");
        }
        assert!(WorkflowName::new("x".repeat(255)).is_ok());
        assert!(WorkflowName::new("x".repeat(256)).is_err());
    }

    #[test]
    fn account_names_hold_no_dot() {
        assert!(AccountName::new("prod-eu_1").is_ok());
        for bad in ["", "a.b", "a b", "ä"] {
            assert!(AccountName::new(bad).is_err(), "{bad:?}");
        }
    }
}
