//! The event: a workflow ended.
//!
//! [`WorkflowEnded`] is what Rust code holds; [`wire`] is what files, standard input and the outbox hold.
//!
//! **Invariant.** An event is never refused for its size: what is beyond a bound is cut with a mark when
//! the event goes on the wire or comes from it, and cutting again changes nothing.

mod bounds;
pub mod wire;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::execution::Execution;
use crate::name::WorkflowName;
use crate::notification::Notification;
use crate::phase::TerminalPhase;
use crate::time::Timestamp;

pub use self::bounds::{MAX_LABELS, MAX_MESSAGE, MAX_OUTPUTS, MAX_TASKS, MAX_TEXT, MAX_URL};

/// Facts about one execution that reached a terminal phase.
///
/// ```
/// use notify_core::{Execution, Failure, TerminalPhase::Failed, WorkflowEnded, WorkflowName};
///
/// let event = WorkflowEnded::new(
///     WorkflowName::new("nightly-etl")?,
///     Execution::new("analytics", "production", "run-17")?,
///     Failed,
/// )
/// .failure(Failure::new("row 4: amount is not a number").code("exit 1"));
/// # Ok::<(), notify_core::Malformed>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkflowEnded {
    /// The workflow that was run.
    pub workflow: WorkflowName,
    /// The version of the workflow's definition; on the wire at most [`MAX_TEXT`] bytes.
    pub version: Option<String>,
    /// The run that ended.
    pub execution: Execution,
    /// How it ended.
    pub phase: TerminalPhase,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended; the instant of acceptance where nothing is said.
    pub ended_at: Option<Timestamp>,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// Who or what started the run; on the wire at most [`MAX_TEXT`] bytes.
    pub principal: Option<String>,
    /// Where a person can look at the run; left out on the wire beyond [`MAX_URL`] bytes.
    pub url: Option<String>,
    /// Free labels; on the wire at most [`MAX_LABELS`] of at most [`MAX_TEXT`] bytes.
    pub labels: BTreeMap<String, String>,
    /// What the workflow gave back; on the wire at most [`MAX_OUTPUTS`] bytes of JSON.
    pub outputs: BTreeMap<String, Value>,
    /// The tasks that ended, each with its own phase; on the wire at most [`MAX_TASKS`].
    pub tasks: Vec<TaskEnded>,
    /// Notifications of this one run, instead of those of the workflow's definition.
    ///
    /// `None` leaves it to the definition; an empty list tells nobody.
    pub notifications: Option<Vec<Notification>>,
    /// What a newer version of the wire form said beyond this one, kept for the way back.
    pub(crate) newer: wire::Newer,
}

/// The states of an embedder's own runs, mapped onto the ends that people are told of.
///
/// A `match` without a wildcard makes the mapping total: a state that is added later does not compile
/// before somebody has said whether it is an end.
///
/// ```
/// use notify_core::{Execution, RunState, TerminalPhase, WorkflowEnded, WorkflowName};
///
/// enum State { Waiting, Running, Done, Broken, Cancelled, Late }
///
/// impl RunState for State {
///     fn ended(&self) -> Option<TerminalPhase> {
///         match self {
///             Self::Waiting | Self::Running => None,
///             Self::Done => Some(TerminalPhase::Succeeded),
///             Self::Broken => Some(TerminalPhase::Failed),
///             Self::Cancelled => Some(TerminalPhase::Aborted),
///             Self::Late => Some(TerminalPhase::TimedOut),
///         }
///     }
/// }
///
/// let workflow = WorkflowName::new("nightly-etl")?;
/// let run = Execution::new("analytics", "production", "run-17")?;
/// let ended = |state| WorkflowEnded::if_ended(workflow.clone(), run.clone(), &state);
/// assert!(ended(State::Running).is_none());
/// assert_eq!(ended(State::Late).map(|event| event.phase), Some(TerminalPhase::TimedOut));
/// # Ok::<(), notify_core::Malformed>(())
/// ```
pub trait RunState {
    /// Says how a run in this state ended; `None` while it has not.
    fn ended(&self) -> Option<TerminalPhase>;
}

impl RunState for TerminalPhase {
    fn ended(&self) -> Option<TerminalPhase> {
        Some(*self)
    }
}

impl WorkflowEnded {
    /// States that an execution of a workflow ended.
    pub fn new(workflow: WorkflowName, execution: Execution, phase: TerminalPhase) -> Self {
        Self {
            workflow,
            version: None,
            execution,
            phase,
            started_at: None,
            ended_at: None,
            failure: None,
            principal: None,
            url: None,
            labels: BTreeMap::new(),
            outputs: BTreeMap::new(),
            tasks: Vec::new(),
            notifications: None,
            newer: wire::Newer::default(),
        }
    }

    /// States that an execution ended, if its state says so.
    pub fn if_ended(
        workflow: WorkflowName,
        execution: Execution,
        state: &impl RunState,
    ) -> Option<Self> {
        let phase = state.ended()?;
        Some(Self::new(workflow, execution, phase))
    }

    /// Adds the version of the workflow's definition.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Adds what went wrong.
    #[must_use]
    pub fn failure(mut self, failure: Failure) -> Self {
        self.failure = Some(failure);
        self
    }

    /// Adds when the run began.
    #[must_use]
    pub fn started_at(mut self, instant: Timestamp) -> Self {
        self.started_at = Some(instant);
        self
    }

    /// Adds when the run ended.
    #[must_use]
    pub fn ended_at(mut self, instant: Timestamp) -> Self {
        self.ended_at = Some(instant);
        self
    }

    /// Adds who or what started the run.
    #[must_use]
    pub fn principal(mut self, principal: impl Into<String>) -> Self {
        self.principal = Some(principal.into());
        self
    }

    /// Adds something that the workflow gave back.
    #[must_use]
    pub fn output(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.outputs.insert(name.into(), value.into());
        self
    }

    /// Adds a task that ended.
    #[must_use]
    pub fn task(mut self, name: impl Into<String>, phase: TerminalPhase) -> Self {
        self.tasks.push(TaskEnded::new(name, phase));
        self
    }

    /// Adds where a person can look at the run.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Sets the notifications of this one run, instead of those of the workflow's definition.
    #[must_use]
    pub fn notifications(mut self, notifications: Vec<Notification>) -> Self {
        self.notifications = Some(notifications);
        self
    }

    /// Gives the event's wire form.
    pub fn to_wire(&self) -> wire::WorkflowEnded {
        wire::WorkflowEnded::from(self)
    }
}

/// What went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Failure {
    /// A short code: `OOMKilled`, `exit 3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What the failing part said; on the wire its last [`MAX_MESSAGE`] bytes.
    ///
    /// Free text: it is shown, never interpreted.
    pub message: String,
    /// Whose fault it was, where the scheduler knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FailureKind>,
}

impl Failure {
    /// States what the failing part said. Of a long text the last [`MAX_MESSAGE`] bytes are kept.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: bounds::message(message.into()),
            ..Self::default()
        }
    }

    /// States what the failing part said in bytes that need not be UTF-8, such as a program's output.
    pub fn from_bytes(output: &[u8]) -> Self {
        // What is cut off anyway is not decoded; a replaced byte becomes three.
        let tail = output.len().saturating_sub(MAX_MESSAGE + 4);
        let kept = String::from_utf8_lossy(output.get(tail..).unwrap_or_default());
        Self {
            message: bounds::tail(&kept, tail),
            ..Self::default()
        }
    }

    /// Adds a short code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds whose fault it was.
    #[must_use]
    pub fn kind(mut self, kind: FailureKind) -> Self {
        self.kind = Some(kind);
        self
    }
}

/// Whose fault a failure was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The workflow's own code or data.
    User,
    /// The machinery under it.
    System,
}

/// A task of the workflow that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TaskEnded {
    /// The task's name.
    pub name: String,
    /// How it ended.
    pub phase: TerminalPhase,
}

impl TaskEnded {
    /// States how a task ended.
    pub fn new(name: impl Into<String>, phase: TerminalPhase) -> Self {
        Self {
            name: name.into(),
            phase,
        }
    }
}
