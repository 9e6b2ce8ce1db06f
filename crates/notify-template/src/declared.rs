//! The templates of declared notifications.

use notify_core::{Code, Notification, Path, Problem, Problems, Workflow};

use crate::problem::TemplateProblem;
use crate::template::Template;

impl Template {
    /// Reads and checks the template of a notification, where it has one.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the template, with paths from the notification's root.
    pub fn of(notification: &Notification) -> Result<Option<Self>, Problems> {
        let Some(source) = notification.template() else {
            return Ok(None);
        };
        let kind = notification.kind().as_str();
        let place = Path::root().then(kind).then("template");
        let mut problems = Problems::none();
        let template = problems.absorb(&place, Self::checked(source));
        problems.or_value(template)
    }

    /// Reads and checks a template, with problems as every loader reports them.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the template, at its root.
    pub fn checked(source: &str) -> Result<Self, Problems> {
        Self::parse(source).map_err(|found| {
            let mut problems = Problems::none();
            problems.extend(found.iter().map(problem));
            problems
        })
    }
}

fn problem(found: &TemplateProblem) -> Problem {
    let TemplateProblem {
        line,
        column,
        message,
        ..
    } = found;
    let message = format!("{message}, in line {line} of the template, column {column}");
    let problem = Problem::new(Code::TEMPLATE, Path::root(), message);
    match &found.help {
        Some(help) => problem.help(help.clone()),
        None => problem,
    }
}

/// Checks the templates of a workflow's notifications.
///
/// # Errors
///
/// Everything that is wrong with any of them, with paths from the definition's root.
pub fn check_workflow(workflow: &Workflow) -> Result<(), Problems> {
    let mut problems = Problems::none();
    for (index, notification) in workflow.notifications().iter().enumerate() {
        let place = Path::root().then("notifications").then(index);
        problems.absorb(&place, Template::of(notification));
    }
    problems.or_value(())
}
