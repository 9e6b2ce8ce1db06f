//! The four ways a workflow can end, and non-empty sets of them.
//!
//! A notification can name nothing else: there is no value here for "running".

use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::problem::{Malformed, nearest};
use crate::text::shown;

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TerminalPhase {
    /// The workflow did what it was meant to do.
    Succeeded,
    /// The workflow ended with an error.
    Failed,
    /// Somebody stopped the workflow.
    Aborted,
    /// The workflow ran past its time limit.
    TimedOut,
}

impl TerminalPhase {
    /// Every terminal phase, in the order used everywhere.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::Aborted, Self::TimedOut];

    /// Returns the phase's name in files, on the wire and in the outbox.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::TimedOut => "timed_out",
        }
    }

    /// Returns the phase as a person would say it: `timed out`, not `timed_out`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::TimedOut => "timed out",
            other => other.name(),
        }
    }

    /// Tells whether the workflow reached its goal.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Succeeded)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for TerminalPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names and numbers that other systems give to phases that are not an end.
///
/// They are known only to say so: "`running` is not an end" helps more than "unknown phase".
const NOT_AN_END: [&str; 12] = [
    "undefined",
    "queued",
    "pending",
    "scheduled",
    "running",
    "succeeding",
    "failing",
    "aborting",
    "retrying",
    "started",
    "paused",
    "skipped",
];

impl FromStr for TerminalPhase {
    type Err = PhaseError;

    /// Reads our own names and Flyte's (`SUCCEEDED`, `4`), in any case.
    fn from_str(text: &str) -> Result<Self, PhaseError> {
        let folded = text.trim().to_ascii_lowercase().replace('-', "_");
        match folded.as_str() {
            "succeeded" | "4" => Ok(Self::Succeeded),
            "failed" | "6" => Ok(Self::Failed),
            "aborted" | "7" => Ok(Self::Aborted),
            "timed_out" | "8" => Ok(Self::TimedOut),
            "0" | "1" | "2" | "3" | "5" | "9" => Err(PhaseError::NotTerminal(shown(text))),
            other if NOT_AN_END.contains(&other) => Err(PhaseError::NotTerminal(shown(text))),
            _ => Err(PhaseError::Unknown(shown(text))),
        }
    }
}

/// Why a text is not a terminal phase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PhaseError {
    /// A phase that some system has, but which is not an end.
    #[error("`{0}` is not an end: a notification is sent when a workflow ended")]
    NotTerminal(String),
    /// Nothing that any system we know calls a phase.
    #[error("unknown phase `{0}`")]
    Unknown(String),
}

impl PhaseError {
    /// Returns what to write instead.
    pub fn help(&self) -> String {
        let allowed = "the phases are `succeeded`, `failed`, `aborted` and `timed_out`";
        let names = TerminalPhase::ALL.map(TerminalPhase::name);
        match self {
            Self::NotTerminal(_) => allowed.to_owned(),
            Self::Unknown(text) => match nearest(&text.to_lowercase(), names) {
                Some(name) => format!("did you mean `{name}`? {allowed}"),
                None => allowed.to_owned(),
            },
        }
    }
}

impl From<PhaseError> for Malformed {
    fn from(err: PhaseError) -> Self {
        let plain = match err {
            PhaseError::NotTerminal(_) => {
                "not an end: a notification is sent when a workflow ended"
            }
            PhaseError::Unknown(_) => "unknown phase",
        };
        Self::new(err.to_string()).plainly(plain).help(err.help())
    }
}

impl Serialize for TerminalPhase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for TerminalPhase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|err: PhaseError| de::Error::custom(Malformed::from(err).in_serde()))
    }
}

/// A set of terminal phases that is never empty.
///
/// ```
/// use notify_core::{phases, TerminalPhase};
///
/// let phases = phases![Failed, TimedOut];
/// assert!(phases.contains(TerminalPhase::Failed));
/// assert!(!phases.contains(TerminalPhase::Succeeded));
/// ```
///
/// A phase that is not an end does not compile, and neither does an empty set:
///
/// ```compile_fail
/// let phases = notify_core::phases![Running];
/// ```
///
/// ```compile_fail
/// let phases = notify_core::phases![];
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Phases(NonZeroU8);

impl Phases {
    /// Returns the set of one phase.
    pub const fn only(phase: TerminalPhase) -> Self {
        match NonZeroU8::new(phase.bit()) {
            Some(bits) => Self(bits),
            None => unreachable!(),
        }
    }

    /// Returns this set with one more phase.
    #[must_use]
    pub const fn and(self, phase: TerminalPhase) -> Self {
        Self(self.0.saturating_add(phase.bit() & !self.0.get()))
    }

    /// Collects phases; `None` where there is none.
    pub fn collect(phases: impl IntoIterator<Item = TerminalPhase>) -> Option<Self> {
        let mut phases = phases.into_iter();
        let first = Self::only(phases.next()?);
        Some(phases.fold(first, Self::and))
    }

    /// Tells whether the set has this phase.
    pub const fn contains(self, phase: TerminalPhase) -> bool {
        self.0.get() & phase.bit() != 0
    }

    /// Walks the phases in the order of [`TerminalPhase::ALL`].
    pub fn iter(self) -> impl Iterator<Item = TerminalPhase> {
        TerminalPhase::ALL
            .into_iter()
            .filter(move |phase| self.contains(*phase))
    }
}

impl From<TerminalPhase> for Phases {
    fn from(phase: TerminalPhase) -> Self {
        Self::only(phase)
    }
}

impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, phase) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{phase}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Writes a [`Phases`] constant: `phases![Failed, TimedOut]`.
#[macro_export]
macro_rules! phases {
    ($first:ident $(, $more:ident)* $(,)?) => {
        {
            const PHASES: $crate::Phases = $crate::Phases::only($crate::TerminalPhase::$first)
                $(.and($crate::TerminalPhase::$more))*;
            PHASES
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_the_union_of_its_phases() {
        for bits in 1_u8..16 {
            let members = TerminalPhase::ALL
                .into_iter()
                .filter(|phase| bits & phase.bit() != 0);
            let set = Phases::collect(members.clone()).expect("at least one bit is set");
            assert!(set.iter().eq(members));
        }
        assert_eq!(Phases::collect([]), None);
    }

    #[test]
    fn names_and_numbers_of_ends_are_read_and_all_others_are_refused() {
        let table = [
            ("succeeded", Some(TerminalPhase::Succeeded)),
            ("SUCCEEDED", Some(TerminalPhase::Succeeded)),
            ("4", Some(TerminalPhase::Succeeded)),
            ("failed", Some(TerminalPhase::Failed)),
            ("6", Some(TerminalPhase::Failed)),
            ("ABORTED", Some(TerminalPhase::Aborted)),
            ("7", Some(TerminalPhase::Aborted)),
            ("timed_out", Some(TerminalPhase::TimedOut)),
            ("timed-out", Some(TerminalPhase::TimedOut)),
            ("8", Some(TerminalPhase::TimedOut)),
            ("running", None),
            ("5", None),
            ("10", None),
            ("", None),
            ("on", None),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<TerminalPhase>().ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_phase_that_is_no_end_is_told_apart_from_a_misspelt_one() {
        let running = "RUNNING".parse::<TerminalPhase>().unwrap_err();
        assert!(matches!(running, PhaseError::NotTerminal(_)));
        assert!(running.help().contains("`timed_out`"));
        let misspelt = "faild".parse::<TerminalPhase>().unwrap_err();
        assert!(misspelt.help().starts_with("did you mean `failed`?"));
    }
}
