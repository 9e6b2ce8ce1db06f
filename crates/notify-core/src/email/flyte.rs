//! Flyte's templates of notification mails: text with `{{ key }}` in it.
//!
//! Flyte replaces one key after the other, so that a value may be taken for a template, and leaves
//! what it does not know. Here a template is read once, at load, and every key in it is a known one.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::json;

use super::parsed;
use crate::event::WorkflowEnded;
use crate::problem::{Malformed, nearest};
use crate::schema;
use crate::text::shown;

/// Subject and body of a mail in the words of Flyte's templates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FlyteMail {
    /// The subject: one line.
    #[serde(deserialize_with = "one_line")]
    #[schemars(with = "String", extend("pattern" = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    pub subject: FlyteTemplate,
    /// The body: HTML, into which values go as text.
    pub body: FlyteTemplate,
}

impl FlyteMail {
    /// Takes subject and body.
    ///
    /// # Errors
    ///
    /// When a key is unknown, or the subject has several lines.
    pub fn new(subject: &str, body: &str) -> Result<Self, Malformed> {
        Ok(Self {
            subject: of_one_line(FlyteTemplate::parse(subject)?)?,
            body: FlyteTemplate::parse(body)?,
        })
    }
}

fn one_line<'de, D: Deserializer<'de>>(from: D) -> Result<FlyteTemplate, D::Error> {
    of_one_line(FlyteTemplate::deserialize(from)?).map_err(|why| de::Error::custom(why.in_serde()))
}

fn of_one_line(subject: FlyteTemplate) -> Result<FlyteTemplate, Malformed> {
    if subject.source.contains(char::is_control) {
        return Err(Malformed::new("a subject is one line").help("remove the line breaks"));
    }
    Ok(subject)
}

/// The most bytes of a template.
const MAX_TEMPLATE: usize = 64 * 1024;

/// A text with keys in it, each written `{{ key }}` or `{{key}}`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct FlyteTemplate {
    source: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Key(FlyteKey),
}

impl FlyteTemplate {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// When something between braces is no key.
    pub fn parse(source: &str) -> Result<Self, Malformed> {
        if source.len() > MAX_TEMPLATE {
            return Err(Malformed::new("the template has more than 65,536 bytes"));
        }
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once("}}") {
            rest = after;
            // A brace too many before a key, or a key within braces: the innermost pair counts.
            if let Some((front, inner)) = before.rsplit_once("{{") {
                text.push_str(front);
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Key(FlyteKey::between_braces(inner)?));
            } else {
                text.push_str(before);
                text.push_str("}}");
            }
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        Ok(Self {
            source: source.to_owned(),
            pieces,
        })
    }

    /// Writes the text with a value for each key, once: a value is never read as a template.
    pub fn render(&self, value: impl Fn(FlyteKey) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Key(key) => value(*key),
        };
        self.pieces.iter().map(piece).collect()
    }
}

impl fmt::Debug for FlyteTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

impl FromStr for FlyteTemplate {
    type Err = Malformed;

    fn from_str(source: &str) -> Result<Self, Malformed> {
        Self::parse(source)
    }
}

impl<'de> Deserialize<'de> for FlyteTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl From<FlyteTemplate> for String {
    fn from(template: FlyteTemplate) -> Self {
        template.source
    }
}

impl JsonSchema for FlyteTemplate {
    fn schema_name() -> Cow<'static, str> {
        "FlyteTemplate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let keys: Vec<&str> = FlyteKey::ALL.into_iter().map(FlyteKey::name).collect();
        schema::schema(json!({
            "description": format!("A template of Flyte's; its keys are {}.", keys.join(", ")),
            "type": "string",
            "maxLength": MAX_TEMPLATE,
            "examples": ["Execution {{ name }} has {{ phase }} in {{ domain }}."],
        }))
    }
}

/// A key of Flyte's templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlyteKey {
    /// The execution's project.
    Project,
    /// The execution's domain.
    Domain,
    /// The execution's name.
    Name,
    /// The workflow's project: the execution's.
    WorkflowProject,
    /// The workflow's domain: the execution's.
    WorkflowDomain,
    /// The workflow's name.
    WorkflowName,
    /// The version of the workflow's definition.
    WorkflowVersion,
    /// The launch plan's project: the execution's.
    LaunchPlanProject,
    /// The launch plan's domain: the execution's.
    LaunchPlanDomain,
    /// The launch plan's name: the workflow's, as that of its default launch plan.
    LaunchPlanName,
    /// The launch plan's version: the workflow's.
    LaunchPlanVersion,
    /// How the execution ended, in lower case: `timed_out`.
    Phase,
    /// A sentence about what went wrong, after a space; nothing where nothing did.
    Error,
}

impl FlyteKey {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Project,
        Self::Domain,
        Self::Name,
        Self::WorkflowProject,
        Self::WorkflowDomain,
        Self::WorkflowName,
        Self::WorkflowVersion,
        Self::LaunchPlanProject,
        Self::LaunchPlanDomain,
        Self::LaunchPlanName,
        Self::LaunchPlanVersion,
        Self::Phase,
        Self::Error,
    ];

    /// Returns the name between the braces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Domain => "domain",
            Self::Name => "name",
            Self::WorkflowProject => "workflow.project",
            Self::WorkflowDomain => "workflow.domain",
            Self::WorkflowName => "workflow.name",
            Self::WorkflowVersion => "workflow.version",
            Self::LaunchPlanProject => "launch_plan.project",
            Self::LaunchPlanDomain => "launch_plan.domain",
            Self::LaunchPlanName => "launch_plan.name",
            Self::LaunchPlanVersion => "launch_plan.version",
            Self::Phase => "phase",
            Self::Error => "error",
        }
    }

    /// Returns what the key stands for in a mail about this event.
    pub fn value(self, event: &WorkflowEnded) -> String {
        let execution = &event.execution;
        match self {
            Self::Project | Self::WorkflowProject | Self::LaunchPlanProject => {
                execution.project().to_owned()
            }
            Self::Domain | Self::WorkflowDomain | Self::LaunchPlanDomain => {
                execution.domain().to_owned()
            }
            Self::Name => execution.name().to_owned(),
            Self::WorkflowName | Self::LaunchPlanName => event.workflow.to_string(),
            Self::WorkflowVersion | Self::LaunchPlanVersion => {
                event.version.clone().unwrap_or_default()
            }
            Self::Phase => event.phase.name().to_owned(),
            Self::Error => Self::sentence(event.failure.as_ref().map(|it| it.message.as_str())),
        }
    }

    /// Writes Flyte's sentence about an error.
    pub fn sentence(error: Option<&str>) -> String {
        error.map_or_else(String::new, |error| {
            format!(" The execution failed with error: [{error}].")
        })
    }

    /// Reads what stands between two pairs of braces: a key, bare or with one space on either side.
    fn between_braces(inner: &str) -> Result<Self, Malformed> {
        let spaced = inner
            .strip_prefix(' ')
            .and_then(|inner| inner.strip_suffix(' '));
        let written = spaced.unwrap_or(inner);
        let found = Self::ALL.into_iter().find(|key| key.name() == written);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            let meant = nearest(&written.trim().to_ascii_lowercase(), names);
            let known = names.map(|name| format!("`{name}`")).join(", ");
            let guess = meant.map_or_else(String::new, |name| {
                format!("did you mean `{{{{ {name} }}}}`? ")
            });
            let why = "a template of Flyte's has no such key";
            Malformed::new(format!("`{{{{{}}}}}`: {why}", shown(inner)))
                .plainly(why)
                .help(format!("{guess}the keys are {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, expected: Option<&str>) {
        let rendered = FlyteTemplate::parse(template)
            .ok()
            .map(|template| template.render(|key| format!("<{}>", key.name())));
        assert_eq!(rendered.as_deref(), expected, "{template}");
    }

    #[test]
    fn keys_are_replaced_and_everything_else_is_text() {
        let table = [
            ("plain", "plain"),
            ("{{ name }}", "<name>"),
            ("{{name}}{{ phase }}", "<name><phase>"),
            ("{{{ name }}}", "{<name>}"),
            ("{{ a {{ name }}", "{{ a <name>"),
            ("{{ name", "{{ name"),
            ("{ name }", "{ name }"),
            ("a }} b", "a }} b"),
            ("", ""),
        ];
        for (template, expected) in table {
            check(template, Some(expected));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_one_that_was_meant() {
        for template in [
            "{{ unused }}",
            "{{}}",
            "{{ }}",
            "{{ name}}",
            "{{  name  }}",
            "{{ Name }}",
        ] {
            check(template, None);
        }
        let help = FlyteTemplate::parse("{{  Name  }}")
            .unwrap_err()
            .help
            .unwrap();
        assert!(help.starts_with("did you mean `{{ name }}`?"), "{help}");
        assert!(help.contains("`launch_plan.version`"), "{help}");
    }
}
