//! Outcomes in words: what a fixture expects of an answer.

use std::fmt;
use std::time::Duration;

use notify_core::{Outcome, Scope};

/// A class of outcomes: `rejected auth`, `not_delivered throttled 17s lane`, `delivered`.
///
/// What is not said may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    words: String,
    name: &'static str,
    why: Option<String>,
    wait: Option<Duration>,
    scope: Option<Scope>,
}

const NAMES: [&str; 4] = ["delivered", "not_delivered", "rejected", "unknown"];

const WHYS: [&str; 12] = [
    "throttled",
    "unavailable",
    "timeout",
    "connect",
    "protocol",
    "too_large",
    "internal",
    "payload",
    "destination",
    "policy",
    "auth",
    "config",
];

impl Expected {
    /// Reads a class: the outcome's name, then in any order its cause or reason, its wait in
    /// seconds, its scope.
    ///
    /// # Panics
    ///
    /// When a word is none of these.
    pub fn new(words: &str) -> Self {
        let mut rest = words.split(' ');
        let first = rest.next().unwrap_or_default();
        let name = NAMES.into_iter().find(|name| *name == first);
        let Some(name) = name else {
            panic!("`{words}`: an expected outcome begins with one of {NAMES:?}");
        };
        let mut expected = Self {
            words: words.to_owned(),
            name,
            why: None,
            wait: None,
            scope: None,
        };
        for word in rest {
            let seconds = word
                .strip_suffix('s')
                .and_then(|digits| digits.parse().ok());
            match (word, seconds) {
                ("lane", _) => expected.scope = Some(Scope::Lane),
                ("account", _) => expected.scope = Some(Scope::Account),
                (_, Some(seconds)) => expected.wait = Some(Duration::from_secs(seconds)),
                (why, None) if WHYS.contains(&why) => expected.why = Some(why.to_owned()),
                (other, None) => panic!(
                    "`{words}`: `{other}` is no cause or reason ({WHYS:?}), no wait (`17s`), no \
                     scope (`lane`, `account`)"
                ),
            }
        }
        expected
    }

    /// Tells whether an outcome is of this class.
    pub fn matches(&self, outcome: &Outcome) -> bool {
        let (why, wait, scope) = match outcome {
            Outcome::NotDelivered {
                cause,
                retry_after,
                scope,
                ..
            } => (cause.name(), *retry_after, Some(*scope)),
            Outcome::Rejected { reason, scope, .. } => (reason.name(), None, Some(*scope)),
            Outcome::Unknown { cause, .. } => (cause.name(), None, None),
            _ => ("", None, None),
        };
        outcome.name() == self.name
            && self.why.as_ref().is_none_or(|expected| expected == why)
            && self.wait.is_none_or(|expected| Some(expected) == wait)
            && self.scope.is_none_or(|expected| Some(expected) == scope)
    }

    pub(crate) fn is_rejection(&self) -> bool {
        self.name == "rejected"
    }
}

impl From<&str> for Expected {
    fn from(words: &str) -> Self {
        Self::new(words)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.words)
    }
}
