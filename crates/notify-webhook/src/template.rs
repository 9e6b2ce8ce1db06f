//! A JSON body of the author's own: a tree of values in which texts hold fields.
//!
//! **Invariant.** The body is built as a tree and written once, at the end. Whatever an event says
//! stands inside a value that the author put there, so no text can end a string, add a key or name
//! another field.

use std::borrow::Cow;

use notify_core::problem::nearest;
use notify_core::{Code, Path, Problem, Problems};
use serde_json::{Map, Value};

/// The most bytes of a template, as JSON.
pub const MAX_TEMPLATE: usize = 16 * 1024;

/// The most fields in a template.
pub const MAX_FIELDS: usize = 32;

/// The facts that a template can name, with what each is.
pub const FIELDS: &[(&str, &str)] = &[
    ("id", "the delivery's identity: the same on every attempt"),
    (
        "type",
        "the type of the event: `org.workflow-notify.workflow.failed`",
    ),
    (
        "source",
        "the workflow as a path: `/analytics/production/nightly-etl`",
    ),
    (
        "subject",
        "the run: `nightly-2026-11-20`, from its second attempt on with `#2`",
    ),
    ("time", "when the workflow ended"),
    ("headline", "the message's first line"),
    ("severity", "`info`, `warning`, `error` or `critical`"),
    ("text", "the message below the headline, as plain text"),
    (
        "links",
        "what the message links to: a list of `label` and `url`",
    ),
    ("footer", "the message's last line"),
    ("message", "the whole message"),
    ("event", "all facts of the event"),
    ("workflow", "the workflow's name"),
    ("version", "the version of the workflow's definition"),
    ("phase", "`succeeded`, `failed`, `aborted` or `timed_out`"),
    (
        "execution",
        "the run: `project`, `domain`, `name`, `attempt`",
    ),
    ("execution.project", "the project"),
    ("execution.domain", "the domain"),
    ("execution.name", "the run's own name"),
    ("execution.attempt", "which attempt it is, from 1"),
    ("started_at", "when the run began"),
    ("ended_at", "when the run ended"),
    ("failure", "what went wrong: `code`, `message`, `kind`"),
    ("failure.code", "a short code: `exit 3`"),
    ("failure.message", "what the failing part said"),
    ("failure.kind", "`user` or `system`"),
    ("principal", "who or what started the run"),
    ("url", "where a person can look at the run"),
    ("labels", "the labels; `labels.NAME` is one of them"),
    (
        "outputs",
        "what the workflow gave back; `outputs.NAME` is one of them",
    ),
    (
        "tasks",
        "the tasks that ended: a list of `name` and `phase`",
    ),
    (
        "omitted",
        "the names of facts that were left out for their size",
    ),
];

/// The maps whose keys only the event knows.
const FREE: [&str; 2] = ["labels", "outputs"];

/// A body with places for facts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Template {
    Fixed(Value),
    Text(Vec<Part>),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Plain(String),
    Field(Vec<String>),
}

impl Template {
    /// Reads a template and reports everything that is wrong with it.
    pub(crate) fn parse(value: &Value) -> Result<Self, Problems> {
        let mut problems = Problems::none();
        let template = Self::read(value, &Path::root(), &mut problems);
        let (bytes, fields) = (value.to_string().len(), template.fields());
        if bytes > MAX_TEMPLATE {
            problems.push(problem(
                "the body is too long",
                "it has at most 16384 bytes of JSON",
            ));
        }
        if fields > MAX_FIELDS {
            problems.push(problem("the body has too many fields", "it has at most 32"));
        }
        problems.or_value(template)
    }

    fn read(value: &Value, place: &Path, problems: &mut Problems) -> Self {
        match value {
            Value::String(text) => {
                Self::Text(problems.absorb(place, parts(text)).unwrap_or_default())
            }
            Value::Array(items) => Self::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| Self::read(item, &place.then(index), problems))
                    .collect(),
            ),
            Value::Object(map) => Self::Map(
                map.iter()
                    .map(|(key, item)| {
                        let place = place.then(key.as_str());
                        if key.contains("{{") {
                            let why = "a key holds no fields";
                            problems.push(
                                Problem::new(Code::TEMPLATE, place.clone(), why)
                                    .help("put the field into the value")
                                    .at_key(),
                            );
                        }
                        (key.clone(), Self::read(item, &place, problems))
                    })
                    .collect(),
            ),
            fixed => Self::Fixed(fixed.clone()),
        }
    }

    fn fields(&self) -> usize {
        match self {
            Self::Fixed(_) => 0,
            Self::Text(parts) => parts
                .iter()
                .filter(|part| matches!(part, Part::Field(_)))
                .count(),
            Self::List(items) => items.iter().map(Self::fields).sum(),
            Self::Map(items) => items.iter().map(|(_, item)| item.fields()).sum(),
        }
    }

    /// Puts facts in. A text that is one field and nothing else becomes the fact itself, `null` where
    /// there is none; elsewhere a fact becomes text.
    pub(crate) fn fill(&self, facts: &Map<String, Value>) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(parts) => match parts.as_slice() {
                [Part::Field(path)] => find(facts, path).cloned().unwrap_or_default(),
                parts => Value::String(parts.iter().map(|part| part.text(facts)).collect()),
            },
            Self::List(items) => items.iter().map(|item| item.fill(facts)).collect(),
            Self::Map(items) => items
                .iter()
                .map(|(key, item)| (key.clone(), item.fill(facts)))
                .collect(),
        }
    }
}

impl Part {
    fn text(&self, facts: &Map<String, Value>) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Field(path) => match find(facts, path) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            },
        }
    }
}

/// Finds a fact; below `labels` and `outputs` a name may hold dots.
fn find<'a>(facts: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = facts.get(first)?;
    if rest.is_empty() {
        return Some(value);
    }
    let whole = value.get(rest.join("."));
    whole.or_else(|| rest.iter().try_fold(value, |value, key| value.get(key)))
}

/// Takes a text apart.
fn parts(text: &str) -> Result<Vec<Part>, Problems> {
    let mut problems = Problems::none();
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        plain.push_str(before);
        let Some((inside, after)) = after.split_once("}}") else {
            problems.push(problem("a field is not closed", "write `{{ headline }}`"));
            return Err(problems);
        };
        rest = after;
        let inside = inside.trim();
        let quoted = inside
            .strip_prefix('"')
            .and_then(|inside| inside.strip_suffix('"'));
        if let Some(literal) = quoted {
            plain.push_str(literal);
            continue;
        }
        let path: Vec<String> = inside.split('.').map(|key| key.trim().to_owned()).collect();
        problems.extend(refuse(inside, &path));
        if !plain.is_empty() {
            parts.push(Part::Plain(std::mem::take(&mut plain)));
        }
        parts.push(Part::Field(path));
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Plain(plain));
    }
    problems.or_value(parts)
}

/// Says why a field is none.
fn refuse(written: &str, path: &[String]) -> Option<Problem> {
    let joined = path.join(".");
    let known = FIELDS.iter().any(|(name, _)| *name == joined);
    let free = path
        .split_first()
        .is_some_and(|(first, rest)| FREE.contains(&first.as_str()) && !rest.is_empty());
    if known || (free && path.iter().all(|key| !key.is_empty())) {
        return None;
    }
    if written.is_empty() {
        return Some(problem("a field has no name", "write `{{ headline }}`"));
    }
    if written.contains(['|', '(', '[', '"', ' ']) {
        return Some(problem(
            "a field is a name and nothing else",
            "there are no filters, conditions or calls here",
        ));
    }
    let names = FIELDS.iter().map(|(name, _)| *name);
    let help = if let Some(name) = nearest(&joined, names.clone()) {
        format!("did you mean `{name}`?")
    } else {
        let first = names.filter(|name| !name.contains('.'));
        let first: Vec<String> = first.map(|name| format!("`{name}`")).collect();
        format!("the fields are {}", first.join(", "))
    };
    // A field's name is not quoted: it is whatever stood between the braces.
    Some(problem("no such field", help))
}

fn problem(message: &'static str, help: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(Code::TEMPLATE, Path::root(), message).help(help)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts() -> Map<String, Value> {
        let facts = json!({
            "headline": "it \"failed\"\n{{ text }}",
            "text": "</script>\",\"admin\":true,\"",
            "execution": {"attempt": 2, "name": "run-17"},
            "labels": {"team": "data", "k8s.io/app": "etl", "a": {"b": 1}},
            "outputs": {"rows": 17, "deep": {"er": [1]}},
            "tasks": [{"name": "load", "phase": "failed"}],
        });
        facts.as_object().unwrap().clone()
    }

    #[track_caller]
    fn check(template: &Value, expected: &Value) {
        let template = Template::parse(template).unwrap();
        assert_eq!(template.fill(&facts()), *expected);
    }

    #[test]
    fn a_lone_field_keeps_its_type_and_one_within_a_text_is_text() {
        check(&json!("{{ execution.attempt }}"), &json!(2));
        check(&json!("try {{execution.attempt}}!"), &json!("try 2!"));
        check(&json!("{{ labels }}"), &facts()["labels"]);
        check(&json!("{{ labels.k8s.io/app }}"), &json!("etl"));
        check(&json!("{{ labels.nobody }}"), &json!(null));
        check(&json!("team {{ labels.nobody }}."), &json!("team ."));
        check(&json!("{{ outputs.deep.er }} x"), &json!("[1] x"));
        check(&json!("{{ outputs.rows }}"), &json!(17));
        check(
            &json!({"a": [1, null, true, 2.5, "b }} c", "{{ \"{{\" }} x"]}),
            &json!({"a": [1, null, true, 2.5, "b }} c", "{{ x"]}),
        );
        check(&json!(""), &json!(""));
    }

    #[test]
    fn what_an_event_says_stays_inside_its_value() {
        check(
            &json!({"text": "{{ headline }}: {{ text }}"}),
            &json!({"text": "it \"failed\"\n{{ text }}: </script>\",\"admin\":true,\""}),
        );
    }

    #[test]
    fn every_mistake_is_found_at_its_place_with_what_was_meant() {
        let template = json!({
            "{{ id }}": 1,
            "a": "{{ headlin }}",
            "b": ["x", "{{ text", "{{ }} {{ nothing_like_it }}"],
            "c": {"d": "{{ text | upper }}", "e": "{{ labels. }}"},
        });
        let problems = Template::parse(&template).unwrap_err();
        let seen: Vec<String> = problems
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.message))
            .collect();
        let expected = [
            "a: no such field",
            "b[1]: a field is not closed",
            "b[2]: a field has no name",
            "b[2]: no such field",
            "c.d: a field is a name and nothing else",
            "c.e: no such field",
            "{{ id }}: a key holds no fields",
        ];
        let mut sorted = seen.clone();
        sorted.sort();
        assert_eq!(sorted, expected, "{seen:?}");
        let help = |path: &str| {
            let found = problems.iter().find(|one| one.path.to_string() == path);
            found.unwrap().help.clone().unwrap()
        };
        assert_eq!(help("a"), "did you mean `headline`?");
    }

    #[test]
    fn a_template_is_bounded() {
        let fields = json!(vec!["{{ id }}"; MAX_FIELDS]);
        Template::parse(&fields).unwrap();
        let fields = json!(vec!["{{ id }}"; MAX_FIELDS + 1]);
        assert!(Template::parse(&fields).is_err());
        Template::parse(&json!("x".repeat(MAX_TEMPLATE - 2))).unwrap();
        assert!(Template::parse(&json!("x".repeat(MAX_TEMPLATE - 1))).is_err());
    }
}
