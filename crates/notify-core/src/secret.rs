//! Secrets: references in files, [`SecretString`] in memory, nothing anywhere else.
//!
//! ```compile_fail
//! // A resolved secret has no text form.
//! let secrets = notify_core::Secrets::default();
//! println!("{}", secrets);
//! ```

mod guess;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
pub use secrecy::{ExposeSecret, SecretString};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use crate::problem::Malformed;
use crate::schema;
use crate::text::shown;
use crate::time::Span;

/// Where a secret is: never the secret itself.
///
/// In files: `{ env = "SLACK_TOKEN" }`, `{ file = "/run/secrets/slack" }` or
/// `{ command = ["pass", "show", "slack"] }`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; one line break at its end is not part of the secret.
    File(PathBuf),
    /// What a command prints; one line break at its end is not part of the secret.
    Command(SecretCommand),
}

/// A command that prints a secret. No shell reads it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct SecretCommand {
    /// The program.
    pub program: String,
    /// What it is given.
    pub arguments: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

impl SecretCommand {
    /// How long a command may take where nothing is said.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// The longest that can be said.
    pub const LONGEST: Duration = Duration::from_mins(1);

    /// Names a program and what it is given.
    pub fn new(
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            timeout: Self::TIMEOUT,
        }
    }

    /// Says how long it may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file `{}`", path.display()),
            // The arguments stay out of messages: one of them may be a password after all.
            Self::Command(command) => write!(f, "command `{}`", shown(&command.program)),
        }
    }
}

/// Tells whether anything in a text looks like a token, a key or a secret address.
///
/// A guess, for texts that stand where no secret belongs: messages do not quote what it hits.
///
/// ```
/// use notify_core::secret::looks_secret;
///
/// assert!(looks_secret("xoxb-1234-abcd"));
/// assert!(looks_secret("the token is xoxb-1234-abcd"));
/// assert!(looks_secret("https://hooks.slack.com/services/T0/B0/x"));
/// assert!(looks_secret("R0123456789abcdef0123456789ABCDE"));
/// assert!(!looks_secret("data-platform-production-2"));
/// assert!(!looks_secret("/run/secrets/production_2/token"));
/// ```
pub fn looks_secret(text: &str) -> bool {
    guess::secrets(text).next().is_some()
}

/// Finds everything in a text that looks like a token, a key or a secret address, in its order.
///
/// ```
/// let text = "# old: xoxb-1234-abcd";
/// let found: Vec<_> = notify_core::secret::secrets_in(text).collect();
/// assert_eq!(found, [7..21]);
/// ```
pub fn secrets_in(text: &str) -> impl Iterator<Item = Range<usize>> {
    guess::secrets(text)
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

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let timeout = generator.subschema_for::<Span>();
        let argument = json!({"type": "string", "pattern": schema::pattern::argument()});
        schema::schema(json!({
            "description": "Where a secret is: never the secret itself.",
            "type": "object",
            "oneOf": [
                {
                    "properties": {
                        "env": {
                            "description": "The environment variable that holds it.",
                            "type": "string",
                            "pattern": schema::pattern::variable(),
                        },
                    },
                    "required": ["env"],
                    "additionalProperties": false,
                },
                {
                    "properties": {
                        "file": {
                            "description": "The file that holds it; one line break at its end is not part of it.",
                            "type": "string",
                            "pattern": schema::pattern::argument(),
                        },
                    },
                    "required": ["file"],
                    "additionalProperties": false,
                },
                {
                    "properties": {
                        "command": {
                            "description": "The program that prints it, and what it is given. No shell reads it.",
                            "type": "array",
                            "prefixItems": [argument],
                            "items": {"type": "string", "pattern": r"^[^\x00]*$"},
                            "minItems": 1,
                        },
                        "timeout": {
                            "description": "How long the program may take: up to `1m`.",
                            "default": String::from(Span(SecretCommand::TIMEOUT)),
                            "allOf": [timeout],
                        },
                    },
                    "required": ["command"],
                    "additionalProperties": false,
                },
            ],
            "examples": [
                {"env": "SLACK_TOKEN"},
                {"file": "/run/secrets/slack"},
                {"command": ["pass", "show", "slack"]},
            ],
        }))
    }
}

/// Reads a reference without ever quoting what it found: a wrong value may be the secret.
struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reference to a secret: `{ env = \"NAME\" }`, `{ file = \"/path\" }` or `{ command = [\"PROGRAM\"] }`")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretRef, E> {
        Err(E::custom(inline_secret().in_serde()))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretRef, E> {
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

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<SecretRef, A::Error> {
        Err(de::Error::custom(unclear(NO_REFERENCE).in_serde()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let mut keys = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, serde_json::Value>()? {
            if keys.insert(key, value).is_some() {
                return Err(de::Error::custom(unclear(NO_REFERENCE).in_serde()));
            }
        }
        reference(keys).map_err(|why| de::Error::custom(why.in_serde()))
    }
}

const NO_REFERENCE: &str = "not a reference to a secret";

/// States what is wrong with a reference, and never what it holds.
fn unclear(what: &'static str) -> Malformed {
    Malformed::new(what)
        .help("write `{ env = \"NAME\" }`, `{ file = \"/path\" }` or `{ command = [\"PROGRAM\", \"ARGUMENT\"] }`")
        .sensitive()
}

/// States that what should lead to a secret looks like one itself.
fn pasted() -> Malformed {
    Malformed::new("this looks like the secret itself, not like the place of one")
        .help("put it into an environment variable and write its name, `{ env = \"NAME\" }`, or into a file of its own and write its path, `{ file = \"/path\" }`")
        .sensitive()
}

fn reference(mut keys: BTreeMap<String, serde_json::Value>) -> Result<SecretRef, Malformed> {
    use serde_json::Value::{Array, String as Text};
    let timeout = keys.remove("timeout");
    let count = keys.len();
    let found = match (keys.pop_first(), count) {
        (Some((key, value)), 1) => match (key.as_str(), value) {
            ("env", Text(name)) if guess::is_pasted_name(&name) => Err(pasted()),
            ("env", Text(name)) if is_variable(&name) => Ok(SecretRef::Env(name)),
            ("env", _) => Err(unclear("not the name of an environment variable")),
            ("file", Text(path)) if guess::is_pasted_path(&path) => Err(pasted()),
            ("file", Text(path)) if is_argument(&path) => Ok(SecretRef::File(path.into())),
            ("file", _) => Err(unclear("not the path of a file")),
            ("command", Array(words)) => command(words).map(SecretRef::Command),
            ("command", _) => Err(unclear("a command is a list, which no shell reads")),
            _ => Err(unclear(NO_REFERENCE)),
        },
        (Some(_), _) => Err(unclear("a secret is in one place: this names several")),
        (None, _) => Err(unclear(NO_REFERENCE)),
    }?;
    match (found, timeout) {
        (found, None) => Ok(found),
        (SecretRef::Command(command), Some(Text(text))) => {
            let bounds = Duration::from_millis(100)..=SecretCommand::LONGEST;
            match text.parse::<Span>() {
                Ok(Span(timeout)) if bounds.contains(&timeout) => {
                    Ok(SecretRef::Command(command.timeout(timeout)))
                }
                _ => Err(Malformed::new("no time limit for a command")
                    .help("write `timeout = \"5s\"`, at most `1m`")),
            }
        }
        (SecretRef::Command(_), Some(_)) => Err(Malformed::new("no time limit for a command")
            .help("write `timeout = \"5s\"`, at most `1m`")),
        _ => Err(Malformed::new("only a command has a `timeout`").help("remove `timeout`")),
    }
}

fn command(words: Vec<serde_json::Value>) -> Result<SecretCommand, Malformed> {
    let text = |word: serde_json::Value| match word {
        serde_json::Value::String(text) if !text.contains('\0') => Some(text),
        _ => None,
    };
    let words: Option<Vec<String>> = words.into_iter().map(text).collect();
    let mut words = words
        .ok_or_else(|| unclear("the words of a command are texts"))?
        .into_iter();
    match words.next() {
        Some(program) if guess::is_pasted_path(&program) => Err(pasted()),
        Some(program) if !program.is_empty() => Ok(SecretCommand::new(program, words)),
        _ => Err(unclear("the command names no program")),
    }
}

/// Tells whether a text can be given to the system as a path.
fn is_argument(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0')
}

/// Tells whether a text names an environment variable; a pasted token mostly does not.
fn is_variable(name: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    !name.is_empty()
        && !name.starts_with(|letter: char| letter.is_ascii_digit())
        && name.chars().all(allowed)
}

/// Reads secrets where they are. The engine calls it when it connects an account.
///
/// A call waits for files and for commands: for a command up to its
/// [`timeout`](SecretCommand::timeout), and no longer.
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
    /// Reads these secrets, one after the other and each once.
    ///
    /// It waits: in the worst case for the sum of the timeouts of those that commands print.
    pub fn resolve<'a>(
        references: impl IntoIterator<Item = &'a SecretRef>,
        source: &dyn SecretSource,
    ) -> Self {
        let resolve = |reference: &SecretRef| (reference.clone(), source.resolve(reference));
        let each_once: BTreeSet<&SecretRef> = references.into_iter().collect();
        Self(each_once.into_iter().map(resolve).collect())
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

    /// Replaces every one of these secrets in a text by `[secret]`, and each line of one that has
    /// several: whoever says it may say one line of it.
    ///
    /// Secrets and lines of fewer than four characters are left: they would blot out ordinary words.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut longest_first: Vec<&str> = self
            .0
            .values()
            .flatten()
            .map(|secret| secret.expose_secret().trim())
            .flat_map(|secret| std::iter::once(secret).chain(secret.lines().map(str::trim)))
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
                SecretRef::Env(name) if name == "LINES" => Ok("user\r\n  s3cond-line\nab\n".into()),
                SecretRef::Env(name) => Ok(format!("s3cret-{name}").into()),
                _ => Ok("s3cret".into()),
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
            r#"{"command":"xoxb-hunter2"}"#,
            r#"{"command":["xoxb-hunter2",3]}"#,
            r#"{"command":["xoxb-hunter2"],"timeout":"hunter2"}"#,
            r#"{"command":["xoxb-hunter2"],"timeout":7}"#,
            r#"{"file":"hunter2","timeout":"5s"}"#,
            r#"{"env":7}"#,
            "true",
            "null",
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
    fn a_command_is_a_list_with_a_time_limit() {
        let read = |text| serde_json::from_str::<SecretRef>(text);
        let pass = SecretCommand::new("pass", ["show", "slack"]);
        assert_eq!(pass.timeout, Duration::from_secs(10));
        assert_eq!(
            read(r#"{"command":["pass","show","slack"]}"#).unwrap(),
            SecretRef::Command(pass.clone())
        );
        assert_eq!(
            read(r#"{"command":["pass","show","slack"],"timeout":"5s"}"#).unwrap(),
            SecretRef::Command(pass.timeout(Duration::from_secs(5)))
        );
        for bad in [
            r#"{"command":[]}"#,
            r#"{"command":[""]}"#,
            r#"{"command":["a\u0000"]}"#,
            r#"{"command":["a"],"timeout":"2m"}"#,
            r#"{"command":["a"],"timeout":"0s"}"#,
            r#"{"command":["a"],"env":"A"}"#,
            r#"{"timeout":"5s"}"#,
        ] {
            read(bad).unwrap_err();
        }
    }

    #[test]
    fn a_secret_that_was_pasted_in_place_of_a_reference_is_refused() {
        let wrong = [
            r#"{"env":"R0hunter20123456789abcdef0123456"}"#,
            r#"{"file":"xoxb-12345-hunter2"}"#,
            r#"{"file":"https://u:hunter2@h/x"}"#,
            r#"{"file":"/tmp/xoxb-12345-hunter2"}"#,
            r#"{"file":"hunter20123456789abcdef0123456789"}"#,
            r#"{"command":["echo xoxb-1-hunter2"]}"#,
            r#"{"command":["xoxb-1-hunter2"]}"#,
        ];
        for text in wrong {
            let err = serde_json::from_str::<SecretRef>(text).unwrap_err();
            assert!(err.to_string().contains("looks like the secret"), "{err}");
            assert!(!err.to_string().contains("hunter2"), "{err}");
        }
        let right = [
            r#"{"env":"NOTIFY_SLACK_TOKEN_PRODUCTION_EU2"}"#,
            r#"{"env":"slackTokenForProductionInEurope2"}"#,
            r#"{"file":"/run/secrets/slack_token_production_2024"}"#,
            r#"{"file":"/var/lib/6ba7b8109dad11d180b400c04fd430c8/token"}"#,
            r#"{"file":"secrets/production_2/token"}"#,
            r#"{"command":["op","read","op://vault/slack/token"]}"#,
        ];
        for text in right {
            serde_json::from_str::<SecretRef>(text).unwrap();
        }
    }

    #[test]
    fn each_line_of_a_secret_is_masked_too() {
        let secrets = Secrets::resolve(&[SecretRef::Env("LINES".into())], &Fixed);
        assert_eq!(
            secrets.mask("said s3cond-line and user, ab"),
            "said [secret] and [secret], ab"
        );
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
