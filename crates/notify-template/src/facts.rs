//! The facts that a template can name: one table for values, checker and reference page.

use notify_core::event::TaskEnded;
use notify_core::{FailureKind, Past, TerminalPhase, WorkflowEnded};

use crate::value::Value;

/// What a template is rendered with: an event, and what the history says about it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    event: &'a WorkflowEnded,
    past: &'a Past,
}

impl<'a> Facts<'a> {
    /// Takes an event and its past.
    pub const fn new(event: &'a WorkflowEnded, past: &'a Past) -> Self {
        Self { event, past }
    }

    pub(crate) const fn root(self) -> Place<'a> {
        Place::Event(self)
    }
}

/// A fact's name, what it is, and where it comes from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Field {
    /// What a template calls it.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Of which kind it is.
    pub shape: Shape,
    /// Whether an event can be without it; it then prints nothing.
    pub optional: bool,
    pub(crate) read: for<'a> fn(Place<'a>) -> Value<'a>,
}

/// Of which kind a fact is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Shape {
    /// Text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number.
    Number,
    /// Yes or no.
    Bool,
    /// An instant.
    Time,
    /// A length of time.
    Duration,
    /// Whatever the workflow gave back.
    Json,
    /// Values by names that the workflow chose.
    Map(&'static Self),
    /// Values in an order.
    List(&'static Self),
    /// Facts that belong together.
    Struct(&'static [Field]),
}

impl Shape {
    /// Returns the kind in a word or two.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Word(_) => "word",
            Self::Number => "number",
            Self::Bool => "yes or no",
            Self::Time => "instant",
            Self::Duration => "duration",
            Self::Json => "JSON value",
            Self::Map(_) => "map",
            Self::List(_) => "list",
            Self::Struct(_) => "group of facts",
        }
    }
}

/// Where a struct's fields are read from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    Event(Facts<'a>),
    Task(&'a TaskEnded),
}

impl<'a> Place<'a> {
    const fn event(self) -> Option<&'a WorkflowEnded> {
        match self {
            Self::Event(facts) => Some(facts.event),
            Self::Task(_) => None,
        }
    }

    const fn past(self) -> Option<&'a Past> {
        match self {
            Self::Event(facts) => Some(facts.past),
            Self::Task(_) => None,
        }
    }

    const fn task(self) -> Option<&'a TaskEnded> {
        match self {
            Self::Event(_) => None,
            Self::Task(task) => Some(task),
        }
    }
}

/// Gives the value of one task that ended.
pub(crate) fn task_value(task: &TaskEnded) -> Value<'_> {
    Value::Struct(TASK, Place::Task(task))
}

const PHASES: &[&str] = &["succeeded", "failed", "aborted", "timed_out"];

/// Declares one row of the table; `?` after the name says that an event can be without the fact.
macro_rules! field {
    ($name:literal, $shape:expr, $about:literal, $read:expr) => {
        field!(@ $name, $shape, $about, false, $read)
    };
    ($name:literal ?, $shape:expr, $about:literal, $read:expr) => {
        field!(@ $name, $shape, $about, true, $read)
    };
    (@ $name:literal, $shape:expr, $about:literal, $optional:literal, $read:expr) => {
        Field {
            name: $name,
            about: $about,
            shape: $shape,
            optional: $optional,
            read: |place| {
                // The annotation lets each row's closure borrow from the place.
                let read: fn(Place<'_>) -> Option<Value<'_>> = $read;
                read(place).unwrap_or(Value::Absent)
            },
        }
    };
}

/// Every fact that a template can name.
pub static FIELDS: &[Field] = &[
    field!("workflow", Shape::Text, "The workflow's name.", |place| {
        Some(Value::text(place.event()?.workflow.as_str()))
    }),
    field!(
        "version"?,
        Shape::Text,
        "The version of the workflow's definition.",
        |place| { place.event()?.version.as_deref().map(Value::text) }
    ),
    field!(
        "phase",
        Shape::Word(PHASES),
        "How the run ended.",
        |place| { Some(Value::text(place.event()?.phase.name())) }
    ),
    field!(
        "phase_words",
        Shape::Text,
        "How the run ended, as one says it: `timed out`.",
        |place| { Some(Value::text(place.event()?.phase.words())) }
    ),
    field!(
        "execution",
        Shape::Struct(EXECUTION),
        "The run that ended.",
        |place| { Some(Value::Struct(EXECUTION, place)) }
    ),
    field!("started_at"?, Shape::Time, "When the run began.", |place| {
        place.event()?.started_at.map(Value::Time)
    }),
    field!("ended_at"?, Shape::Time, "When the run ended.", |place| {
        place.event()?.ended_at.map(Value::Time)
    }),
    field!(
        "duration"?,
        Shape::Duration,
        "How long the run took.",
        |place| {
            let event = place.event()?;
            Some(Value::Duration(event.ended_at?.since(event.started_at?)))
        }
    ),
    field!(
        "failure"?,
        Shape::Struct(FAILURE),
        "What went wrong.",
        |place| {
            place.event()?.failure.as_ref()?;
            Some(Value::Struct(FAILURE, place))
        }
    ),
    field!(
        "principal"?,
        Shape::Text,
        "Who or what started the run.",
        |place| { place.event()?.principal.as_deref().map(Value::text) }
    ),
    field!(
        "url"?,
        Shape::Text,
        "Where a person can look at the run.",
        |place| { place.event()?.url.as_deref().map(Value::text) }
    ),
    field!(
        "labels",
        Shape::Map(&Shape::Text),
        "Free labels of the run.",
        |place| { Some(Value::Labels(&place.event()?.labels)) }
    ),
    field!(
        "outputs",
        Shape::Map(&Shape::Json),
        "What the workflow gave back.",
        |place| { Some(Value::Outputs(&place.event()?.outputs)) }
    ),
    field!(
        "tasks",
        Shape::List(&Shape::Struct(TASK)),
        "The tasks that ended.",
        |place| { Some(Value::Tasks(&place.event()?.tasks)) }
    ),
    field!(
        "previous",
        Shape::Struct(PREVIOUS),
        "The run before this one.",
        |place| { Some(Value::Struct(PREVIOUS, place)) }
    ),
    field!(
        "streak",
        Shape::Number,
        "How many runs in a row ended without success.",
        |place| { Some(Value::Int(place.past()?.streak.into())) }
    ),
    field!(
        "outage"?,
        Shape::Duration,
        "How long there was, or has been, no success.",
        |place| {
            Some(Value::Duration(
                place.event()?.ended_at?.since(place.past()?.since?),
            ))
        }
    ),
    field!(
        "changed",
        Shape::Bool,
        "Whether the run ended unlike the one before.",
        |place| { Some(Value::Bool(place.event()?.phase != place.past()?.previous)) }
    ),
    field!(
        "recovered",
        Shape::Bool,
        "Whether this run succeeded and the last did not.",
        |place| {
            let (now, before) = (place.event()?.phase, place.past()?.previous);
            Some(Value::Bool(now.is_success() && !before.is_success()))
        }
    ),
];

static EXECUTION: &[Field] = &[
    field!("project", Shape::Text, "The project.", |place| {
        Some(Value::text(place.event()?.execution.project()))
    }),
    field!(
        "domain",
        Shape::Text,
        "The domain: `production`, `staging`.",
        |place| { Some(Value::text(place.event()?.execution.domain())) }
    ),
    field!("name", Shape::Text, "The run's own name.", |place| {
        Some(Value::text(place.event()?.execution.name()))
    }),
    field!(
        "attempt",
        Shape::Number,
        "Which attempt it was, counted from one.",
        |place| { Some(Value::Int(place.event()?.execution.attempt_number().into())) }
    ),
    field!(
        "id",
        Shape::Text,
        "All of it: `analytics/production/run-17#2`.",
        |place| { Some(Value::made(&place.event()?.execution.to_string())) }
    ),
];

static FAILURE: &[Field] = &[
    field!("code"?, Shape::Text, "A short code: `exit 3`.", |place| {
        place
            .event()?
            .failure
            .as_ref()?
            .code
            .as_deref()
            .map(Value::text)
    }),
    field!(
        "message",
        Shape::Text,
        "What the failing part said.",
        |place| { Some(Value::text(&place.event()?.failure.as_ref()?.message)) }
    ),
    field!(
        "kind"?,
        Shape::Word(&["user", "system"]),
        "Whose fault it was.",
        |place| {
            Some(Value::text(match place.event()?.failure.as_ref()?.kind? {
                FailureKind::User => "user",
                FailureKind::System => "system",
            }))
        }
    ),
];

static TASK: &[Field] = &[
    field!("name", Shape::Text, "The task's name.", |place| {
        Some(Value::text(&place.task()?.name))
    }),
    field!(
        "phase",
        Shape::Word(PHASES),
        "How the task ended.",
        |place| { Some(Value::text(place.task()?.phase.name())) }
    ),
    field!(
        "phase_words",
        Shape::Text,
        "How the task ended, as one says it.",
        |place| { Some(Value::text(place.task()?.phase.words())) }
    ),
];

static PREVIOUS: &[Field] = &[
    field!(
        "phase",
        Shape::Word(PHASES),
        "How it ended; `succeeded` where there was none.",
        |place| { Some(Value::text(place.past()?.previous.name())) }
    ),
    field!(
        "phase_words",
        Shape::Text,
        "How it ended, as one says it.",
        |place| { Some(Value::text(place.past()?.previous.words())) }
    ),
];

/// Lists every fact with its full name, for reference pages.
pub fn reference() -> Vec<(String, &'static Field)> {
    fn walk(prefix: &str, fields: &'static [Field], out: &mut Vec<(String, &'static Field)>) {
        for field in fields {
            let name = format!("{prefix}{}", field.name);
            out.push((name.clone(), field));
            match field.shape {
                Shape::Struct(parts) => walk(&format!("{name}."), parts, out),
                Shape::List(Shape::Struct(parts)) => walk(&format!("{name}[]."), parts, out),
                _ => {}
            }
        }
    }
    let mut out = Vec::new();
    walk("", FIELDS, &mut out);
    out
}

/// The words of the table are those of the phases, whose order is fixed.
const _: () = assert!(PHASES.len() == TerminalPhase::ALL.len());

#[cfg(test)]
mod tests {
    use super::*;
    use notify_core::{Execution, Failure, Timestamp, WorkflowName};

    fn bare() -> WorkflowEnded {
        let name = WorkflowName::new("nightly-etl").unwrap();
        let execution = Execution::new("analytics", "production", "run-17").unwrap();
        WorkflowEnded::new(name, execution, TerminalPhase::Failed)
    }

    fn full() -> WorkflowEnded {
        let mut event = bare()
            .started_at(Timestamp::from_micros(0))
            .ended_at(Timestamp::from_micros(60_000_000))
            .failure(
                Failure::new("disk full")
                    .code("exit 3")
                    .kind(FailureKind::User),
            )
            .url("https://example.com/run/17")
            .label("team", "data");
        event.version = Some("7".to_owned());
        event.principal = Some("jane".to_owned());
        event
            .outputs
            .insert("rows".to_owned(), serde_json::json!([1]));
        event
            .tasks
            .push(TaskEnded::new("load", TerminalPhase::TimedOut));
        event
    }

    fn fits(shape: Shape, value: &Value<'_>) -> bool {
        match (shape, value) {
            (Shape::Text, Value::Text(_))
            | (Shape::Number, Value::Int(_))
            | (Shape::Bool, Value::Bool(_))
            | (Shape::Time, Value::Time(_))
            | (Shape::Duration, Value::Duration(_)) => true,
            (Shape::Word(words), Value::Text(text)) => words.contains(&text.as_str()),
            (Shape::Json, _) => true,
            (Shape::Map(inner), map) => {
                map.is_map() && map.pairs().all(|(_, value)| fits(*inner, &value))
            }
            (Shape::List(inner), list) => {
                list.is_list() && list.items().all(|value| fits(*inner, &value))
            }
            (Shape::Struct(fields), Value::Struct(own, place)) => {
                std::ptr::eq(fields, *own)
                    && fields.iter().all(|field| {
                        let value = (field.read)(*place);
                        if value.is_missing() {
                            field.optional
                        } else {
                            fits(field.shape, &value)
                        }
                    })
            }
            _ => false,
        }
    }

    #[test]
    fn the_table_and_the_values_agree() {
        let past = |since| Past {
            previous: TerminalPhase::Succeeded,
            streak: 1,
            since,
        };
        let (bare, full) = (bare(), full());
        for past in [past(None), past(Some(Timestamp::from_micros(1)))] {
            for event in [&bare, &full] {
                let root = Value::Struct(FIELDS, Facts::new(event, &past).root());
                assert!(fits(Shape::Struct(FIELDS), &root));
            }
        }
        let past = past(Some(Timestamp::from_micros(1)));
        let place = Facts::new(&full, &past).root();
        for field in FIELDS
            .iter()
            .chain(EXECUTION)
            .chain(FAILURE)
            .chain(PREVIOUS)
        {
            assert!(
                !(field.read)(place).is_missing(),
                "{} is never there",
                field.name
            );
        }
    }

    #[test]
    fn the_words_for_phases_are_the_phases() {
        assert_eq!(PHASES, TerminalPhase::ALL.map(TerminalPhase::name));
    }

    #[test]
    fn the_reference_names_parts_in_full() {
        let names: Vec<String> = reference().into_iter().map(|(name, _)| name).collect();
        for name in [
            "workflow",
            "execution.attempt",
            "failure.message",
            "tasks[].name",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }
}
