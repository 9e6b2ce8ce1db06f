//! Secrets: references in files, [`SecretString`] in memory, nothing anywhere else.
//!
//! ```compile_fail
//! // A resolved secret has no text form.
//! let secrets = notify_core::Secrets::default();
//! println!("{}", secrets);
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

pub use secrecy::{ExposeSecret, SecretString};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::problem::Malformed;

/// Where a secret is: never the secret itself.
///
/// In files: `{ env = "SLACK_TOKEN" }` or `{ file = "/run/secrets/slack" }`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; one line break at its end is not part of the secret.
    File(PathBuf),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file `{}`", path.display()),
        }
    }
}

/// Tells whether a text looks like a token, a key or a secret address.
///
/// A guess, for texts that stand where no secret belongs: messages do not quote what it hits.
///
/// ```
/// use notify_core::secret::looks_secret;
///
/// assert!(looks_secret("xoxb-1234-abcd"));
/// assert!(looks_secret("https://hooks.slack.com/services/T0/B0/x"));
/// assert!(looks_secret("R0123456789abcdef0123456789ABCDE"));
/// assert!(!looks_secret("data-platform-production-2"));
/// ```
pub fn looks_secret(text: &str) -> bool {
    let text = text.trim();
    if text.contains(char::is_whitespace) {
        return false;
    }
    let token = ["xox", "xapp-", "xwfp-"]
        .iter()
        .any(|prefix| text.starts_with(prefix));
    let letters = |letter: char| letter.is_ascii_alphanumeric() || "+/=_".contains(letter);
    let key = text.len() >= 24
        && text.chars().all(letters)
        && text.contains(|letter: char| letter.is_ascii_digit());
    token || key || text.contains("://")
}

/// Returns the refusal of a secret that stands in a file.
///
/// The text itself is never part of it.
pub fn inline_secret() -> Malformed {
    Malformed::new("a secret does not stand in a file")
        .help("put it into an environment variable and write `{ env = \"NAME\" }`, or into a file of its own and write `{ file = \"/path\" }`")
        .sensitive()
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

/// Reads a reference without ever quoting what it found: a wrong value may be the secret.
struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reference to a secret: `{ env = \"NAME\" }` or `{ file = \"/path\" }`")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretRef, E> {
        Err(E::custom(inline_secret().in_serde()))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretRef, E> {
        Err(E::custom(inline_secret().in_serde()))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretRef, E> {
        Err(E::custom(inline_secret().in_serde()))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretRef, E> {
        Err(E::custom(inline_secret().in_serde()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let unclear = || {
            de::Error::custom(
                Malformed::new("not a reference to a secret")
                    .help("write `{ env = \"NAME\" }` or `{ file = \"/path\" }`")
                    .sensitive()
                    .in_serde(),
            )
        };
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            let value: serde_json::Value = map.next_value()?;
            let reference = match (key.as_str(), value) {
                ("env", serde_json::Value::String(name)) if is_variable(&name) => {
                    SecretRef::Env(name)
                }
                ("file", serde_json::Value::String(path)) if !path.is_empty() => {
                    SecretRef::File(PathBuf::from(path))
                }
                _ => return Err(unclear()),
            };
            if found.replace(reference).is_some() {
                return Err(unclear());
            }
        }
        found.ok_or_else(unclear)
    }
}

/// Tells whether a text names an environment variable; a pasted token mostly does not.
fn is_variable(name: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    !name.is_empty()
        && !name.starts_with(|letter: char| letter.is_ascii_digit())
        && name.chars().all(allowed)
}

/// Reads secrets where they are. The engine calls it when it connects an account.
pub trait SecretSource: fmt::Debug + Send + Sync {
    /// Reads one secret.
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError>;
}

/// Why a secret could not be read. Holds no part of the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the secret in {reference}: {why}")]
pub struct SecretError {
    /// Where the secret should have been.
    pub reference: SecretRef,
    /// What stood in the way.
    pub why: String,
}

/// The secrets of one account, those that could be read and why the others could not.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<SecretRef, Result<SecretString, SecretError>>);

impl Secrets {
    /// Reads these secrets.
    pub fn resolve<'a>(
        references: impl IntoIterator<Item = &'a SecretRef>,
        source: &dyn SecretSource,
    ) -> Self {
        let resolve = |reference: &SecretRef| (reference.clone(), source.resolve(reference));
        Self(references.into_iter().map(resolve).collect())
    }

    /// Returns the secret behind a reference.
    ///
    /// # Errors
    ///
    /// Why it could not be read.
    pub fn get(&self, reference: &SecretRef) -> Result<&SecretString, Malformed> {
        match self.0.get(reference) {
            Some(Ok(secret)) => Ok(secret),
            Some(Err(err)) => Err(Malformed::new(err.to_string())),
            None => Err(Malformed::new(format!(
                "the secret in {reference} is not among the account's"
            ))),
        }
    }

    /// Walks the secrets that could not be read.
    pub fn missing(&self) -> impl Iterator<Item = &SecretError> {
        self.0.values().filter_map(|secret| secret.as_ref().err())
    }

    /// Replaces every one of these secrets in a text by `[secret]`.
    ///
    /// Secrets of fewer than four characters are left: they would blot out ordinary words.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut longest_first: Vec<&str> = self
            .0
            .values()
            .flatten()
            .map(|secret| secret.expose_secret().trim())
            .filter(|secret| secret.len() >= 4)
            .collect();
        longest_first.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        longest_first
            .into_iter()
            .fold(Cow::Borrowed(text), |text, secret| {
                if text.contains(secret) {
                    Cow::Owned(text.replace(secret, "[secret]"))
                } else {
                    text
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed;

    impl SecretSource for Fixed {
        fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
            match reference {
                SecretRef::Env(name) if name == "SHORT" => Ok("abc".into()),
                SecretRef::Env(name) => Ok(format!("s3cret-{name}").into()),
                SecretRef::File(_) => Ok("s3cret".into()),
            }
        }
    }

    #[test]
    fn a_wrong_reference_never_echoes_what_was_written() {
        let wrong = [
            r#""xoxb-hunter2""#,
            "12345678",
            r#"{"env":"xoxb-hunter2"}"#,
            r#"{"value":"xoxb-hunter2"}"#,
            r#"{"env":"A","file":"hunter2"}"#,
            r#"["xoxb-hunter2"]"#,
            "{}",
        ];
        for text in wrong {
            let err = serde_json::from_str::<SecretRef>(text)
                .unwrap_err()
                .to_string();
            assert!(
                !err.contains("hunter2") && !err.contains("12345678"),
                "{err}"
            );
        }
    }

    #[test]
    fn secrets_are_masked_whole_and_absent_from_debug() {
        let references = [
            SecretRef::Env("TOKEN".into()),
            SecretRef::Env("SHORT".into()),
            SecretRef::File("/run/x".into()),
        ];
        let secrets = Secrets::resolve(&references, &Fixed);
        assert_eq!(
            secrets.mask("login with s3cret-TOKEN and s3cret, abc"),
            "login with [secret] and [secret], abc"
        );
        assert!(!format!("{secrets:?}").contains("s3cret"));
    }
}
