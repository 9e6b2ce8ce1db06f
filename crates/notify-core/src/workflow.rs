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
#[derive(Clone, Debug)]
pub struct Workflow {
    pub(crate) name: WorkflowName,
    pub(crate) notifications: Vec<Notification>,
    /// The index that each of them has where they are declared: one can come to several.
    pub(crate) places: Vec<usize>,
}

impl Workflow {
    /// Names a workflow that nobody is told about yet.
    pub fn new(name: impl Into<String>) -> Result<Self, Malformed> {
        Ok(Self {
            name: WorkflowName::new(name)?,
            notifications: Vec::new(),
            places: Vec::new(),
        })
    }

    /// Adds a notification.
    #[must_use]
    pub fn notify(mut self, notification: impl Into<Notification>) -> Self {
        let next = self.places.last().map_or(0, |last| last + 1);
        self.notifications.push(notification.into());
        self.places.push(next);
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

    /// Returns the notifications, each with the index that it was declared at.
    ///
    /// Several have one index where a kind
    /// [gives recipients to another](crate::ProviderDescriptor::redirects).
    pub fn declared(&self) -> impl Iterator<Item = (usize, &Notification)> {
        self.places.iter().copied().zip(&self.notifications)
    }

    pub(crate) fn declared_mut(&mut self) -> impl Iterator<Item = (usize, &mut Notification)> {
        self.places.iter().copied().zip(&mut self.notifications)
    }

    /// Lists what is used as it is, but hardly meant: notifications that repeat an earlier one whole.
    ///
    /// Paths begin at the definition's root, as in [`Registry::load_workflow`]; a file and a builder
    /// that declare the same get the same warnings. A repeated notification tells nobody twice.
    ///
    /// [`Registry::load_workflow`]: crate::Registry::load_workflow
    pub fn warnings(&self) -> Problems {
        let mut warnings = Problems::none();
        let mut texts = BTreeMap::<usize, String>::new();
        for (index, notification) in self.declared() {
            let text = notification.to_value().to_string();
            texts.entry(index).or_default().push_str(&text);
        }
        let mut seen = BTreeMap::new();
        for (index, text) in texts {
            let first = *seen.entry(text).or_insert(index);
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

/// Two workflows that tell the same people of the same are equal.
impl PartialEq for Workflow {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.notifications) == (&other.name, &other.notifications)
    }
}
