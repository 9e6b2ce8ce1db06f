//! From plain values to definitions: the one validator of files, of the wire and of stored records.

mod body;

use serde_json::Value;

use self::body::{Body, no_recipient};
use crate::load::{self, Keys};
use crate::name::WorkflowName;
use crate::notification::{DECLARED_UNDER, IfUnknown, Notification};
use crate::phase::{PhaseError, Phases, TerminalPhase};
use crate::problem::{Code, Malformed, Path, Problem, Problems, nearest};
use crate::registry::{RESERVED, Registry};
use crate::workflow::Workflow;

/// The key by which a file names its own schema, for editors.
pub(crate) const SCHEMA: &str = "$schema";

impl Registry {
    /// Loads a workflow's definition: its name and its notifications.
    ///
    /// It knows no account, so that every notification has to name recipients.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with paths from the definition's root.
    pub fn load_workflow(&self, value: &Value) -> Result<Workflow, Problems> {
        let (partial, mut problems) = self.load_workflow_partly(value);
        let Some(PartialWorkflow { workflow, .. }) = partial else {
            return Err(problems);
        };
        let place = Path::root().then("notifications");
        for (index, notification) in workflow.declared() {
            problems.extend(names_nobody(notification).map(|one| one.under(&place.then(index))));
        }
        problems.or_value(workflow)
    }

    /// Loads as much of a workflow's definition as can be understood, with everything that is wrong
    /// with it: what is understood can be checked further, so that all is told in one run.
    ///
    /// It is what [`load_workflow`](Self::load_workflow) gives where nothing is wrong, but for a
    /// notification in its long form that names nobody: its account may have default recipients,
    /// and [`Config::new`](crate::Config::new) asks it.
    pub fn load_workflow_partly(&self, value: &Value) -> (Option<PartialWorkflow>, Problems) {
        let mut problems = Problems::none();
        let mut keys = match Keys::of(value, "a definition") {
            Ok(keys) => keys,
            Err(problem) => return (None, Problems::from(in_a_list(problem, value))),
        };
        let root = Path::root();
        let unnamed = Problem::new(Code::MISSING_KEY, root.clone(), "`workflow` is missing")
            .help("name the workflow: `workflow: nightly-etl`");
        let name = match keys.take("workflow").map(load_name) {
            Some(loaded) => problems.absorb(&root.then("workflow"), loaded),
            None => problems.absorb(&root, Err(unnamed.into())),
        };
        // Editors want it; here it says nothing.
        if let Some(other) = keys.take(SCHEMA).filter(|schema| !schema.is_string()) {
            let message = format!("`{SCHEMA}` is an address, not {}", load::name_of(other));
            problems.push(Problem::new(Code::WRONG_VALUE, root.then(SCHEMA), message));
        }
        let (mut places, mut notifications) = (Vec::new(), Vec::new());
        let place = root.then("notifications");
        match keys.take("notifications") {
            Some(Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let (loaded, found) = self.load_notifications_partly(item, Form::Declared);
                    problems.absorb::<()>(&place.then(index), Err(found));
                    places.extend(loaded.iter().map(|_| index));
                    notifications.extend(loaded);
                }
            }
            Some(other) => problems.push(
                Problem::new(
                    Code::WRONG_VALUE,
                    place,
                    format!("`notifications` is a list, not {}", load::name_of(other)),
                )
                .help("begin each notification with `- `"),
            ),
            None => problems.push(
                Problem::new(Code::MISSING_KEY, root.clone(), "`notifications` is missing")
                    .help("declare who is told: `notifications: [{phases: failed, email: [me@example.com]}]`"),
            ),
        }
        for (key, _) in keys.rest() {
            problems.push(load::unknown_key(
                root.then(key),
                key,
                ["workflow", "notifications"],
            ));
        }
        let named = name.is_some();
        let partial = name.or_else(|| WorkflowName::new("nameless").ok());
        let partial = partial.map(|name| PartialWorkflow {
            workflow: Workflow {
                name,
                notifications,
                places,
            },
            named,
        });
        (partial, problems)
    }

    /// Loads one notification, in its short form or its long one, as the ledger holds it: each
    /// recipient is one of its kind.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with paths from the notification's root; recipients are
    /// at `KIND.to[…]` in the short form too.
    pub fn load_notification(&self, value: &Value) -> Result<Notification, Problems> {
        let (notifications, problems) = self.load_notifications_partly(value, Form::Stored);
        let mut of_one = whole(notifications, problems)?;
        // Without problems there is one.
        of_one.pop().ok_or_else(Problems::none)
    }

    /// Loads what one declared notification comes to: where its kind
    /// [gives recipients to another](crate::ProviderDescriptor::redirects), it is several.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with paths as [`load_notification`](Self::load_notification)
    /// gives them.
    pub(crate) fn load_declared(&self, value: &Value) -> Result<Vec<Notification>, Problems> {
        let (notifications, problems) = self.load_notifications_partly(value, Form::Carried);
        whole(notifications, problems)
    }

    /// Loads as much of a notification as has an account and recipients to be checked further.
    ///
    /// Where something is wrong with its phases or its options, others stand in for them.
    pub(crate) fn load_notifications_partly(
        &self,
        value: &Value,
        form: Form,
    ) -> (Vec<Notification>, Problems) {
        let mut problems = Problems::none();
        let mut keys = match Keys::of(value, "a notification") {
            Ok(keys) => keys,
            Err(problem) => return (Vec::new(), Problems::from(without_a_space(problem, value))),
        };
        let root = Path::root();
        let on = keys.take("on");
        let phases = match (keys.take("phases"), on) {
            (Some(phases), None) => problems.absorb(&root.then("phases"), load_phases(phases)),
            (phases, Some(_)) => {
                let problem =
                    Problem::new(Code::UNKNOWN_KEY, root.then("on"), "`on` is not a key here")
                        .at_key();
                problems
                    .push(problem.help("write `phases:`; YAML 1.1 readers take `on` for `true`"));
                phases.and_then(|phases| problems.absorb(&root.then("phases"), load_phases(phases)))
            }
            (None, None) => {
                problems.push(
                    Problem::new(
                        Code::NO_PHASE,
                        root.clone(),
                        "the notification names no phase",
                    )
                    .help("say when it is sent: `phases: [failed, timed_out]`"),
                );
                None
            }
        };
        let when = keys
            .take("when")
            .and_then(|when| problems.absorb(&root.then("when"), load::typed(when)));

        let if_unknown = match keys.take("if_unknown") {
            Some(choice) => problems.absorb(&root.then("if_unknown"), load::typed(choice)),
            None => Some(IfUnknown::default()),
        };
        let declared_under = match form {
            Form::Declared => None,
            Form::Carried | Form::Stored => keys.take(DECLARED_UNDER),
        };
        let declared_under = declared_under.and_then(|kind| {
            let place = root.then(DECLARED_UNDER);
            problems.absorb(&place, load::typed(kind))
        });

        let (kinds, others): (Vec<_>, Vec<_>) =
            keys.rest().partition(|(key, _)| self.get(key).is_some());
        let mut others = others.into_iter();
        let mut bodies = Vec::new();
        match kinds.as_slice() {
            [] => match others.next() {
                Some((key, _)) if nearest(key, ["phases", "when", "if_unknown"]).is_none() => {
                    problems.push(self.unknown_kind(root.then(key), key));
                }
                misspelt => {
                    others = misspelt
                        .into_iter()
                        .chain(others)
                        .collect::<Vec<_>>()
                        .into_iter();
                    let list = self
                        .kinds()
                        .map(|kind| format!("`{kind}`"))
                        .collect::<Vec<_>>();
                    problems.push(
                        Problem::new(
                            Code::ONE_KIND,
                            root.clone(),
                            "the notification names no kind",
                        )
                        .help(format!("say who is told, under one of {}", list.join(", "))),
                    );
                }
            },
            [(kind, value), more @ ..] => {
                for (other, _) in more {
                    problems.push(
                        Problem::new(
                            Code::ONE_KIND,
                            root.then(*other),
                            format!("`{kind}` and `{other}` stand in one notification"),
                        )
                        .help(
                            "a notification has one kind; write another notification for the other",
                        )
                        .at_key(),
                    );
                }
                if let Some(descriptor) = self.get(kind) {
                    let (loaded, found) = self.load_bodies(descriptor, value, form);
                    problems.absorb::<()>(&root.then(*kind), Err(found));
                    bodies = loaded;
                }
            }
        }
        for (key, _) in others {
            let known = RESERVED
                .into_iter()
                .filter(|name| !matches!(*name, "on" | DECLARED_UNDER))
                .chain(self.kinds());
            problems.push(load::unknown_key(root.then(key), key, known));
        }
        let notification = |body: Body| Notification {
            phases: phases.unwrap_or(Phases::only(TerminalPhase::Failed)),
            when: when.clone(),
            if_unknown: if_unknown.unwrap_or_default(),
            declared_under: body.declared_under.or(declared_under.clone()),
            kind: body.kind,
            account: body.account,
            to_default: body.to_default,
            recipients: body.recipients,
            places: body.places,
            template: body.template,
            options: body.options,
        };
        (bodies.into_iter().map(notification).collect(), problems)
    }
}

/// Where a notification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// In a definition or a rule: its account may say who is told.
    Declared,
    /// In an event: it says by itself who is told.
    Carried,
    /// In the ledger: nothing about it is left to be found out.
    Stored,
}

/// Gives notifications of which nothing is wrong and each names somebody.
fn whole(
    notifications: Vec<Notification>,
    mut problems: Problems,
) -> Result<Vec<Notification>, Problems> {
    problems.extend(notifications.iter().filter_map(names_nobody));
    problems.or_value(notifications)
}

/// Says that a notification names nobody, where its account would have to.
pub(crate) fn names_nobody(notification: &Notification) -> Option<Problem> {
    let place = || Path::root().then(notification.kind.as_str());
    notification.to_default.then(|| no_recipient(place()))
}

/// As much of a workflow's definition as could be understood.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartialWorkflow {
    /// The workflow; where it has no name of its own, another stands in for it.
    pub workflow: Workflow,
    /// Whether the name is its own.
    pub named: bool,
}

/// Adds where a list of definitions goes.
fn in_a_list(problem: Problem, value: &Value) -> Problem {
    match value {
        Value::Array(_) => {
            problem.help("put several workflows under `workflows:`, each as `- workflow: NAME`")
        }
        _ => problem,
    }
}

/// Adds what makes a map of a text like `phases:failed`.
fn without_a_space(problem: Problem, value: &Value) -> Problem {
    match value {
        Value::String(text) if text.contains(':') => problem.help("write a space after each `:`"),
        Value::String(_) => {
            problem.help("say when and who: `{phases: failed, email: me@example.com}`")
        }
        _ => problem,
    }
}

fn load_name(value: &Value) -> Result<WorkflowName, Problems> {
    let malformed = |why| Problem::malformed(Code::WRONG_VALUE, Path::root(), why);
    match value {
        Value::String(name) => Ok(WorkflowName::new(name.as_str()).map_err(malformed)?),
        other => Err(malformed(Malformed::new(format!(
            "a workflow's name is a text, not {}",
            load::name_of(other)
        )))
        .into()),
    }
}

fn load_phases(value: &Value) -> Result<Phases, Problems> {
    let root = Path::root();
    let mut problems = Problems::none();
    let mut phases = Vec::new();
    for (place, item) in load::items(value) {
        let text = match item {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            other => {
                let message = format!("a phase is a name, not {}", load::name_of(other));
                let help = PhaseError::NotTerminal(String::new()).help();
                problems.push(Problem::new(Code::UNKNOWN_PHASE, place, message).help(help));
                continue;
            }
        };
        match text.parse::<TerminalPhase>() {
            Ok(phase) => phases.push(phase),
            Err(err) => {
                let code = match err {
                    PhaseError::NotTerminal(_) => Code::NOT_TERMINAL,
                    PhaseError::Unknown(_) => Code::UNKNOWN_PHASE,
                };
                problems.push(Problem::malformed(code, place, err.into()));
            }
        }
    }
    match Phases::collect(phases) {
        Some(phases) => problems.or_value(phases),
        None if problems.is_empty() => Err(Problem::new(Code::NO_PHASE, root, "no phase is named")
            .help("say when it is sent: `phases: [failed, timed_out]`")
            .into()),
        None => Err(problems),
    }
}
