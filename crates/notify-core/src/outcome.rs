//! What came of one delivery in one attempt. The only vocabulary for it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is needed later to update, thread or close what was delivered, and to show that it was.
///
/// There is no delivered outcome without one:
///
/// ```compile_fail
/// let outcome = notify_core::Outcome::Delivered;
/// let _: notify_core::Outcome = outcome;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Receipt {
    /// The vendor's name for what was delivered: Slack `ts`, `dedup_key`, Message-ID.
    pub id: String,
    /// Further facts: Slack `channel`, a mail server's queue id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

impl Receipt {
    /// States what the vendor calls the delivered thing.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            facts: BTreeMap::new(),
        }
    }

    /// Adds a fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<String>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        for (index, (name, value)) in self.facts.iter().enumerate() {
            let separator = if index == 0 { " (" } else { ", " };
            write!(f, "{separator}{name} {value}")?;
        }
        f.write_str(if self.facts.is_empty() { "" } else { ")" })
    }
}

/// What one attempt came to, for one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The vendor took it.
    Delivered(Receipt),
    /// The vendor did not take it, for now: repeat freely.
    NotDelivered {
        /// What stood in the way.
        cause: Cause,
        /// What the vendor said, cleaned and bounded.
        detail: String,
        /// How long the vendor wants to be left alone.
        retry_after: Option<Duration>,
        /// What the wait applies to.
        scope: Scope,
    },
    /// The vendor will never take it as it is.
    Rejected {
        /// What is wrong.
        reason: Reason,
        /// What the vendor said, cleaned and bounded.
        detail: String,
        /// Whose fault bad credentials or settings are: the whole account's, or this lane's alone.
        scope: Scope,
    },
    /// Bytes left, no answer came: it may have been delivered.
    Unknown {
        /// What cut the answer off.
        cause: Cause,
        /// What was seen, cleaned and bounded.
        detail: String,
    },
}

impl Outcome {
    /// States that the vendor did not take it, for now.
    pub fn not_delivered(cause: Cause, detail: impl AsRef<str>) -> Self {
        Self::NotDelivered {
            cause,
            detail: clean(detail.as_ref()),
            retry_after: None,
            scope: Scope::Lane,
        }
    }

    /// States that the vendor wants to be left alone for a while.
    pub fn throttled(detail: impl AsRef<str>, retry_after: Option<Duration>, scope: Scope) -> Self {
        Self::NotDelivered {
            cause: Cause::Throttled,
            detail: clean(detail.as_ref()),
            retry_after,
            scope,
        }
    }

    /// States that the vendor will never take it as it is.
    pub fn rejected(reason: Reason, detail: impl AsRef<str>) -> Self {
        Self::Rejected {
            reason,
            detail: clean(detail.as_ref()),
            scope: Scope::Account,
        }
    }

    /// Says that only the delivery's own lane is concerned: one key of an account that has many.
    #[must_use]
    pub fn in_lane(mut self) -> Self {
        if let Self::NotDelivered { scope, .. } | Self::Rejected { scope, .. } = &mut self {
            *scope = Scope::Lane;
        }
        self
    }

    /// States that nobody knows whether the vendor took it.
    pub fn unknown(cause: Cause, detail: impl AsRef<str>) -> Self {
        Self::Unknown {
            cause,
            detail: clean(detail.as_ref()),
        }
    }

    /// Returns the outcome's name in the ledger and in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Delivered(_) => "delivered",
            Self::NotDelivered { .. } => "not_delivered",
            Self::Rejected { .. } => "rejected",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// What kept an attempt from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// Too many requests; costs no attempt.
    Throttled,
    /// The vendor has trouble of its own.
    Unavailable,
    /// No answer in time.
    Timeout,
    /// No connection.
    Connect,
    /// An answer that is not the protocol's.
    Protocol,
    /// An answer or request beyond a bound.
    TooLarge,
    /// The attempt's own code failed.
    Internal,
    /// The engine that held the delivery is gone.
    LostLease,
}

impl Cause {
    /// Returns the cause's name in the ledger and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::Internal => "internal",
            Self::LostLease => "lost_lease",
        }
    }
}

/// Why a vendor will never take a delivery as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The message itself.
    Payload,
    /// The recipient.
    Destination,
    /// A rule on the vendor's side.
    Policy,
    /// The account's credentials; the delivery is held.
    Auth,
    /// The account's settings; the delivery is held.
    Config,
}

impl Reason {
    /// Returns the reason's name in the ledger and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Destination => "destination",
            Self::Policy => "policy",
            Self::Auth => "auth",
            Self::Config => "config",
        }
    }

    /// Tells whether the account, not the delivery, is at fault.
    pub const fn is_accounts_fault(self) -> bool {
        matches!(self, Self::Auth | Self::Config)
    }
}

/// What a wait applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The delivery's lane.
    Lane,
    /// Every lane of the account.
    Account,
}

/// The most that is kept of what a vendor said.
const MAX_DETAIL: usize = 2_048;

/// Makes a vendor's words safe to store and to print: one line, no control characters, bounded.
pub fn clean(text: &str) -> String {
    let mut clean = String::new();
    for letter in text.chars() {
        if clean.len() + letter.len_utf8() > MAX_DETAIL {
            clean.push('…');
            break;
        }
        let space = letter.is_control() || letter.is_whitespace();
        if !space {
            clean.push(letter);
        } else if !clean.is_empty() && !clean.ends_with(' ') {
            clean.push(' ');
        }
    }
    clean.truncate(clean.trim_end().len());
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendors_words_become_one_bounded_line() {
        assert_eq!(
            clean("  550\r\n\u{1b}[31mno such  user\u{0}"),
            "550 [31mno such user"
        );
        assert!(clean(&"é".repeat(10_000)).len() <= MAX_DETAIL + "…".len());
    }
}
