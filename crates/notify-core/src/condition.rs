//! When a notification whose phase fits is really sent: the closed vocabulary of `when:`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{FailureKind, WorkflowEnded};
use crate::phase::TerminalPhase;
use crate::time::{Span, Timestamp};

/// A condition on an event and on the ends of the same workflow before it.
///
/// In files: `when: changed`, `when: {streak: 3}`, `when: {all: [changed, {failure: system}]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("examples" = ["changed", {"streak": 3}, {"all": ["changed", {"failure": "system"}]}]))]
#[non_exhaustive]
pub enum Condition {
    /// The outcome differs from the run before; no run before counts as `succeeded`.
    Changed,
    /// The run succeeded and the one before did not.
    Recovered,
    /// This is the n-th end in a row without success.
    Streak(NonZeroU32),
    /// The run took longer than this.
    LongerThan(Span),
    /// The execution was at this attempt or a later one.
    Attempt(NonZeroU32),
    /// The failure was of this kind.
    Failure(FailureKind),
    /// Every one of these labels has this value.
    Labels(BTreeMap<String, String>),
    /// Every condition holds.
    All(Vec<Self>),
    /// At least one condition holds.
    Any(Vec<Self>),
    /// The condition does not hold.
    Not(Box<Self>),
}

/// What the history of a workflow says about one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// How the run before ended; `succeeded` where there was none.
    pub previous: TerminalPhase,
    /// How many ends in a row were without success, this one included.
    pub streak: u32,
    /// When the row of ends without success began that this end continues or closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Condition {
    /// Tells whether the condition holds.
    pub fn holds(&self, event: &WorkflowEnded, past: &Past) -> bool {
        match self {
            Self::Changed => event.phase != past.previous,
            Self::Recovered => event.phase.is_success() && !past.previous.is_success(),
            Self::Streak(wanted) => past.streak == wanted.get(),
            Self::LongerThan(bound) => match (event.started_at, event.ended_at) {
                (Some(start), Some(end)) => end.since(start) > bound.0,
                _ => false,
            },
            Self::Attempt(least) => event.execution.attempt_number() >= least.get(),
            Self::Failure(kind) => {
                event.failure.as_ref().and_then(|failure| failure.kind) == Some(*kind)
            }
            Self::Labels(wanted) => wanted
                .iter()
                .all(|(key, value)| event.labels.get(key) == Some(value)),
            Self::All(conditions) => conditions.iter().all(|one| one.holds(event, past)),
            Self::Any(conditions) => conditions.iter().any(|one| one.holds(event, past)),
            Self::Not(condition) => !condition.holds(event, past),
        }
    }

    /// Says in words why the condition does not hold, for the record of a skip.
    pub fn why_not(&self, past: &Past) -> String {
        match self {
            Self::Changed => format!("not changed: the run before ended `{}` too", past.previous),
            Self::Recovered => "not a recovery".to_owned(),
            Self::Streak(wanted) => format!("streak is {}, not {wanted}", past.streak),
            other => format!("`when` does not hold: {}", serde_json::json!(other)),
        }
    }
}

/// Returns [`Condition::Changed`], for builders.
pub const fn changed() -> Condition {
    Condition::Changed
}

/// Returns [`Condition::Recovered`], for builders.
pub const fn recovered() -> Condition {
    Condition::Recovered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Failure;
    use crate::execution::Execution;
    use crate::name::WorkflowName;

    fn holds(condition: &str, phase: TerminalPhase, previous: TerminalPhase, streak: u32) -> bool {
        let condition: Condition = serde_json::from_str(condition).unwrap();
        let execution = Execution::new("p", "d", "n").unwrap().attempt(2);
        let event = WorkflowEnded::new(WorkflowName::new("w").unwrap(), execution, phase)
            .started_at(Timestamp::from_micros(0))
            .ended_at(Timestamp::from_micros(3_600_000_000))
            .label("team", "data")
            .failure(Failure::new("disk full").kind(FailureKind::System));
        condition.holds(
            &event,
            &Past {
                previous,
                streak,
                since: None,
            },
        )
    }

    #[test]
    fn each_word_of_the_vocabulary_means_what_it_says() {
        use TerminalPhase::{Failed, Succeeded, TimedOut};
        let table = [
            (r#""changed""#, Failed, Succeeded, 1, true),
            (r#""changed""#, Failed, Failed, 2, false),
            (r#""changed""#, TimedOut, Failed, 2, true),
            (r#""recovered""#, Succeeded, Failed, 0, true),
            (r#""recovered""#, Succeeded, Succeeded, 0, false),
            (r#"{"streak":3}"#, Failed, Failed, 3, true),
            (r#"{"streak":3}"#, Failed, Failed, 4, false),
            (r#"{"longer_than":"59m"}"#, Failed, Failed, 1, true),
            (r#"{"longer_than":"1h"}"#, Failed, Failed, 1, false),
            (r#"{"attempt":2}"#, Failed, Failed, 1, true),
            (r#"{"attempt":3}"#, Failed, Failed, 1, false),
            (r#"{"failure":"system"}"#, Failed, Failed, 1, true),
            (r#"{"failure":"user"}"#, Failed, Failed, 1, false),
            (r#"{"labels":{"team":"data"}}"#, Failed, Failed, 1, true),
            (r#"{"labels":{"team":"ops"}}"#, Failed, Failed, 1, false),
            (
                r#"{"all":["changed",{"attempt":2}]}"#,
                Failed,
                Succeeded,
                1,
                true,
            ),
            (
                r#"{"any":["recovered",{"attempt":3}]}"#,
                Failed,
                Succeeded,
                1,
                false,
            ),
            (r#"{"not":"changed"}"#, Failed, Succeeded, 1, false),
        ];
        for (condition, phase, previous, streak, expected) in table {
            assert_eq!(
                holds(condition, phase, previous, streak),
                expected,
                "{condition}"
            );
        }
    }
}
