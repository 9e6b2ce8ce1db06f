//! The event: a workflow ended.
//!
//! [`WorkflowEnded`] is what Rust code holds; [`wire`] is what files, standard input and the outbox hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::execution::Execution;
use crate::name::WorkflowName;
use crate::notification::Notification;
use crate::phase::TerminalPhase;
use crate::problem::{Code, Path, Problem, Problems};
use crate::registry::Registry;
use crate::time::Timestamp;

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
    /// The version of the workflow's definition.
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
    /// Who or what started the run.
    pub principal: Option<String>,
    /// Where a person can look at the run.
    pub url: Option<String>,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// What the workflow gave back.
    pub outputs: BTreeMap<String, Value>,
    /// The tasks that ended, each with its own phase.
    pub tasks: Vec<TaskEnded>,
    /// Notifications of this one run, instead of those of the workflow's definition.
    ///
    /// `None` leaves it to the definition; an empty list tells nobody.
    pub notifications: Option<Vec<Notification>>,
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
        }
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
    /// What the failing part said. Free text: it is shown, never interpreted.
    pub message: String,
    /// Whose fault it was, where the scheduler knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FailureKind>,
}

impl Failure {
    /// States what the failing part said.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct TaskEnded {
    /// The task's name.
    pub name: String,
    /// How it ended.
    pub phase: TerminalPhase,
}

/// The event's stored and transmitted form, apart from the domain type.
pub mod wire {
    use super::{BTreeMap, Code, Deserialize, Execution, Failure, Path, Problem, Problems};
    use super::{Registry, Serialize, TaskEnded, TerminalPhase, Timestamp, Value, WorkflowName};

    /// The version that this crate writes.
    pub const VERSION: u32 = 1;

    /// The event as JSON.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct WorkflowEnded {
        version: u32,
        workflow: WorkflowName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workflow_version: Option<String>,
        execution: Execution,
        phase: TerminalPhase,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        principal: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<String, String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        outputs: BTreeMap<String, Value>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tasks: Vec<TaskEnded>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notifications: Option<Vec<Value>>,
    }

    impl From<&super::WorkflowEnded> for WorkflowEnded {
        fn from(event: &super::WorkflowEnded) -> Self {
            let event = event.clone();
            Self {
                version: VERSION,
                workflow: event.workflow,
                workflow_version: event.version,
                execution: event.execution,
                phase: event.phase,
                started_at: event.started_at,
                ended_at: event.ended_at,
                failure: event.failure,
                principal: event.principal,
                url: event.url,
                labels: event.labels,
                outputs: event.outputs,
                tasks: event.tasks,
                notifications: event
                    .notifications
                    .map(|all| all.iter().map(super::Notification::to_value).collect()),
            }
        }
    }

    impl WorkflowEnded {
        /// Gives the domain value; the registry reads the run's own notifications.
        pub fn load(self, registry: &Registry) -> Result<super::WorkflowEnded, Problems> {
            let mut problems = Problems::none();
            if self.version > VERSION {
                problems.push(Problem::new(
                    Code::WRONG_VALUE,
                    Path::root().then("version"),
                    format!(
                        "version {} is newer than this program reads ({VERSION})",
                        self.version
                    ),
                ));
            }
            let place = Path::root().then("notifications");
            let mut load = |(index, value): (usize, &Value)| {
                problems.absorb(&place.then(index), registry.load_notification(value))
            };
            let notifications = self
                .notifications
                .map(|values| values.iter().enumerate().filter_map(&mut load).collect());
            problems.or_value(super::WorkflowEnded {
                workflow: self.workflow,
                version: self.workflow_version,
                execution: self.execution,
                phase: self.phase,
                started_at: self.started_at,
                ended_at: self.ended_at,
                failure: self.failure,
                principal: self.principal,
                url: self.url,
                labels: self.labels,
                outputs: self.outputs,
                tasks: self.tasks,
                notifications,
            })
        }
    }
}
