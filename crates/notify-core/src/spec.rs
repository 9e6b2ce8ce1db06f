//! From plain values to definitions: the one validator of files, of the wire and of stored records.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::load::{self, Keys};
use crate::name::{AccountName, Kind, WorkflowName};
use crate::notification::{IfUnknown, Notification, Options, Recipient};
use crate::phase::{PhaseError, Phases, TerminalPhase};
use crate::problem::{Code, Malformed, Path, Problem, Problems, Segment, nearest};
use crate::registry::{ProviderDescriptor, RESERVED, Registry};
use crate::workflow::Workflow;

impl Registry {
    /// Loads a workflow's definition: its name and its notifications.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with paths from the definition's root.
    pub fn load_workflow(&self, value: &Value) -> Result<Workflow, Problems> {
        let mut problems = Problems::none();
        let mut keys = Keys::of(value, "a definition")?;
        let root = Path::root();
        let unnamed = Problem::new(Code::MISSING_KEY, root.clone(), "`workflow` is missing")
            .help("name the workflow: `workflow: nightly-etl`");
        let name = match keys.take("workflow").map(load_name) {
            Some(loaded) => problems.absorb(&root.then("workflow"), loaded),
            None => problems.absorb(&root, Err(unnamed.into())),
        };
        let mut notifications = Vec::new();
        let place = root.then("notifications");
        match keys.take("notifications") {
            Some(Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let loaded = self.load_notification(item);
                    notifications.extend(problems.absorb(&place.then(index), loaded));
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
        match name {
            Some(name) => problems.or_value(Workflow {
                name,
                notifications,
            }),
            None => Err(problems),
        }
    }

    /// Loads one notification, in its short form or its long one.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with paths from the notification's root; recipients are
    /// at `KIND.to[…]` in the short form too.
    pub fn load_notification(&self, value: &Value) -> Result<Notification, Problems> {
        let mut problems = Problems::none();
        let mut keys = Keys::of(value, "a notification")?;
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
                            format!("the notification is `{kind}` already"),
                        )
                        .help(
                            "a notification has one kind; write another notification for the other",
                        )
                        .at_key(),
                    );
                }
                body = self.get(kind).and_then(|descriptor| {
                    problems.absorb(&root.then(*kind), load_body(descriptor, value))
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
        match (phases, if_unknown, body) {
            (Some(phases), Some(if_unknown), Some(body)) => problems.or_value(Notification {
                phases,
                when,
                if_unknown,
                kind: body.kind,
                account: body.account,
                recipients: body.recipients,
                places: body.places,
                template: body.template,
                options: body.options,
            }),
            _ => Err(problems),
        }
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

fn load_body(descriptor: &ProviderDescriptor, value: &Value) -> Result<Body, Problems> {
    let root = Path::root();
    let mut problems = Problems::none();
    let mut rest = match value {
        Value::Object(map) => map.clone(),
        _ => serde_json::Map::new(),
    };
    let long_form = value.is_object();
    let to = rest.remove("to");
    let to = if long_form { to.as_ref() } else { Some(value) };
    let recipients = match to.map(|to| load_recipients(descriptor, to)) {
        Some(loaded) => problems.absorb(&root.then("to"), loaded),
        None => problems.absorb(&root, Err(no_recipient(root.clone()).into())),
    };
    let account = rest
        .remove("account")
        .and_then(|account| problems.absorb(&root.then("account"), load::typed(&account)));
    let template = rest.remove("template").and_then(|template| {
        let loaded = load::typed::<String>(&template);
        problems.absorb(&root.then("template"), loaded)
    });
    let options = (descriptor.load_options)(&Value::Object(rest));
    let options = problems.absorb(
        &root,
        options.map_err(|found| also_known(found, &["to", "account", "template"])),
    );
    match (recipients, options) {
        (Some((recipients, places)), Some(options)) => problems.or_value(Body {
            kind: Kind::from_static(descriptor.kind),
            account,
            recipients,
            places,
            template: template.map(Arc::from),
            options,
        }),
        _ => Err(problems),
    }
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
) -> Result<(Vec<Recipient>, Vec<usize>), Problems> {
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
    problems.or_value((recipients, places))
}
