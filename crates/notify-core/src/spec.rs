//! From plain values to definitions: the one validator of files, of the wire and of stored records.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::load::{self, Keys};
use crate::name::{AccountName, Kind, WorkflowName};
use crate::notification::{IfUnknown, Notification, Options, Recipient};
use crate::phase::{PhaseError, Phases, TerminalPhase};
use crate::problem::{Code, Malformed, Path, Problem, Problems, Segment, nearest};
use crate::registry::{COMMON, ProviderDescriptor, RESERVED, Registry};
use crate::workflow::Workflow;

/// The key by which a file names its own schema, for editors.
pub(crate) const SCHEMA: &str = "$schema";

impl Registry {
    /// Loads a workflow's definition: its name and its notifications.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with paths from the definition's root.
    pub fn load_workflow(&self, value: &Value) -> Result<Workflow, Problems> {
        let (partial, problems) = self.load_workflow_partly(value);
        match partial {
            Some(partial) => problems.or_value(partial.workflow),
            None => Err(problems),
        }
    }

    /// Loads as much of a workflow's definition as can be understood, with everything that is wrong
    /// with it: what is understood can be checked further, so that all is told in one run.
    ///
    /// It is what [`load_workflow`](Self::load_workflow) gives where nothing is wrong.
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
        let mut places = Vec::new();
        let mut notifications = Vec::new();
        let place = root.then("notifications");
        match keys.take("notifications") {
            Some(Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let (loaded, found) = self.load_notification_partly(item);
                    problems.absorb::<()>(&place.then(index), Err(found));
                    if let Some(loaded) = loaded {
                        notifications.push(loaded);
                        places.push(index);
                    }
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
            },
            named,
            places,
        });
        (partial, problems)
    }

    /// Loads one notification, in its short form or its long one.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with paths from the notification's root; recipients are
    /// at `KIND.to[…]` in the short form too.
    pub fn load_notification(&self, value: &Value) -> Result<Notification, Problems> {
        let (notification, problems) = self.load_notification_partly(value);
        match notification {
            Some(notification) => problems.or_value(notification),
            None => Err(problems),
        }
    }

    /// Loads as much of a notification as has an account and recipients to be checked further.
    ///
    /// Where something is wrong with its phases or its options, others stand in for them.
    pub(crate) fn load_notification_partly(
        &self,
        value: &Value,
    ) -> (Option<Notification>, Problems) {
        let mut problems = Problems::none();
        let mut keys = match Keys::of(value, "a notification") {
            Ok(keys) => keys,
            Err(problem) => return (None, Problems::from(without_a_space(problem, value))),
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

        let (kinds, others): (Vec<_>, Vec<_>) =
            keys.rest().partition(|(key, _)| self.get(key).is_some());
        let mut others = others.into_iter();
        let mut body = None;
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
                body = self.get(kind).and_then(|descriptor| {
                    let (body, found) = load_body(descriptor, value);
                    problems.absorb::<()>(&root.then(*kind), Err(found));
                    body
                });
            }
        }
        for (key, _) in others {
            let known = RESERVED
                .into_iter()
                .filter(|name| *name != "on")
                .chain(self.kinds());
            problems.push(load::unknown_key(root.then(key), key, known));
        }
        let notification = body.map(|body| Notification {
            phases: phases.unwrap_or(Phases::only(TerminalPhase::Failed)),
            when,
            if_unknown: if_unknown.unwrap_or_default(),
            kind: body.kind,
            account: body.account,
            recipients: body.recipients,
            places: body.places,
            template: body.template,
            options: body.options,
        });
        (notification, problems)
    }
}

/// As much of a workflow's definition as could be understood.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartialWorkflow {
    /// The workflow; where it has no name of its own, another stands in for it.
    pub workflow: Workflow,
    /// Whether the name is its own.
    pub named: bool,
    /// The index that each of its notifications has in the definition.
    pub places: Vec<usize>,
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
    let items: &[Value] = match value {
        Value::Array(items) => items,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    let mut problems = Problems::none();
    let mut phases = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = if value.is_array() {
            root.then(index)
        } else {
            root.clone()
        };
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

/// What stands under the kind's key.
struct Body {
    kind: Kind,
    account: Option<AccountName>,
    recipients: Vec<Recipient>,
    places: Vec<usize>,
    template: Option<Arc<str>>,
    options: Arc<dyn Options>,
}

/// Loads what stands under the kind's key; gives what can be checked against an account.
fn load_body(descriptor: &ProviderDescriptor, value: &Value) -> (Option<Body>, Problems) {
    let root = Path::root();
    let mut problems = Problems::none();
    let mut rest = match value {
        Value::Object(map) => map.clone(),
        _ => serde_json::Map::new(),
    };
    let long_form = value.is_object();
    let to = rest.remove("to");
    let to = if long_form { to.as_ref() } else { Some(value) };
    let (recipients, places) = if let Some(to) = to {
        let (recipients, places, found) = load_recipients(descriptor, to);
        problems.absorb::<()>(&root.then("to"), Err(found));
        (recipients, places)
    } else {
        problems.push(no_recipient(root.clone()));
        (Vec::new(), Vec::new())
    };
    let account = rest.remove("account");
    let account =
        account.map(|account| problems.absorb(&root.then("account"), load::typed(&account)));
    let template = rest.remove("template").and_then(|template| {
        let loaded = load::typed::<String>(&template);
        problems.absorb(&root.then("template"), loaded)
    });
    let rest = Value::Object(rest);
    let options = (descriptor.load_options)(&rest).map_err(|found| {
        let found = load::complete(found, &rest, || descriptor.schema_of_options());
        also_known(found, &COMMON)
    });
    let options = problems.absorb(&root, options);
    // Without options of its own it can be checked all the same.
    let none = Value::Object(serde_json::Map::new());
    let options = options.or_else(|| (descriptor.load_options)(&none).ok());
    let body = match (account, options) {
        // Nobody knows which account is meant.
        (Some(None), _) | (_, None) => None,
        (account, Some(options)) => Some(Body {
            kind: Kind::from_static(descriptor.kind),
            account: account.flatten(),
            recipients,
            places,
            template: template.map(Arc::from),
            options,
        }),
    };
    (body, problems)
}

/// Adds the keys that every kind has to the help of an unknown one.
fn also_known(problems: Problems, known: &[&str]) -> Problems {
    let mut all = Problems::none();
    all.extend(problems.into_iter().map(|mut problem| {
        let misspelt = match (problem.code, problem.path.segments()) {
            (Code::UNKNOWN_KEY, [Segment::Key(key)]) => nearest(key, known.iter().copied()),
            _ => None,
        };
        if let Some(name) = misspelt {
            problem.help = Some(format!("did you mean `{name}`?"));
        }
        problem
    }));
    all
}

fn no_recipient(path: Path) -> Problem {
    Problem::new(
        Code::NO_RECIPIENT,
        path,
        "the notification names no recipient",
    )
    .help("say who is told, in a list")
}

/// Loads recipients and, for each that is kept, its index in the declared list.
fn load_recipients(
    descriptor: &ProviderDescriptor,
    value: &Value,
) -> (Vec<Recipient>, Vec<usize>, Problems) {
    let root = Path::root();
    let items: &[Value] = match value {
        Value::Array(items) => items,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    let mut problems = Problems::none();
    let mut seen = BTreeSet::new();
    let (mut recipients, mut places) = (Vec::new(), Vec::new());
    for (index, item) in items.iter().enumerate() {
        let place = if value.is_array() {
            root.then(index)
        } else {
            root.clone()
        };
        let recipient = match item {
            Value::String(text) => (descriptor.load_recipient)(text),
            Value::Null => Err(Malformed::new("the recipient is empty")
                .help("a `#` after a space begins a comment in YAML: put the recipient in quotes")),
            other => Err(Malformed::new(format!(
                "a recipient is a text, not {}",
                load::name_of(other)
            ))),
        };
        match recipient {
            Ok(recipient) => {
                if seen.insert(recipient.clone()) {
                    recipients.push(recipient);
                    places.push(index);
                }
            }
            Err(why) => {
                problems.push(Problem::malformed(Code::MALFORMED_RECIPIENT, place, why));
            }
        }
    }
    if items.is_empty() {
        let help = "say who is told, in a list; a `#` after a space begins a comment in YAML, so put channels in quotes";
        problems.push(no_recipient(root).help(help));
    }
    (recipients, places, problems)
}
