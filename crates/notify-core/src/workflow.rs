//! A workflow's definition: its name and its notifications.

use std::collections::BTreeMap;

use crate::name::WorkflowName;
use crate::notification::Notification;
use crate::problem::{Code, Malformed, Path, Problem, Problems};

/// What is declared for one workflow.
///
/// ```
/// use notify_core::{email, phases, Email, NotificationKind, Workflow};
///
/// let etl = Workflow::new("nightly-etl")?
///     .notify(Email::on(phases![Failed, TimedOut]).to(email!("data-oncall@example.com")));
/// assert_eq!(etl.notifications().len(), 1);
/// # Ok::<(), notify_core::Malformed>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    pub(crate) name: WorkflowName,
    pub(crate) notifications: Vec<Notification>,
}

impl Workflow {
    /// Names a workflow that nobody is told about yet.
    pub fn new(name: impl Into<String>) -> Result<Self, Malformed> {
        Ok(Self {
            name: WorkflowName::new(name)?,
            notifications: Vec::new(),
        })
    }

    /// Adds a notification.
    #[must_use]
    pub fn notify(mut self, notification: impl Into<Notification>) -> Self {
        self.notifications.push(notification.into());
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &WorkflowName {
        &self.name
    }

    /// Returns the notifications in their declared order.
    pub fn notifications(&self) -> &[Notification] {
        &self.notifications
    }

    /// Lists what is used as it is, but hardly meant: notifications that repeat an earlier one whole.
    ///
    /// Paths begin at the definition's root, as in [`Registry::load_workflow`]; a file and a builder
    /// that declare the same get the same warnings. A repeated notification tells nobody twice.
    ///
    /// [`Registry::load_workflow`]: crate::Registry::load_workflow
    pub fn warnings(&self) -> Problems {
        let mut warnings = Problems::none();
        let mut seen = BTreeMap::new();
        for (index, notification) in self.notifications.iter().enumerate() {
            let first = *seen
                .entry(notification.to_value().to_string())
                .or_insert(index);
            if first != index {
                let place = Path::root().then("notifications");
                let message = format!("the notification repeats `{}`", place.then(first));
                warnings.push(
                    Problem::warning(Code::REPEATED, place.then(index), message)
                        .help("remove one of them: nobody is told twice"),
                );
            }
        }
        warnings
    }
}
