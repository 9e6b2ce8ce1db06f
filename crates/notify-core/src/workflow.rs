//! A workflow's definition: its name and its notifications.

use crate::name::WorkflowName;
use crate::notification::Notification;
use crate::problem::Malformed;

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
}
