//! Rules: notifications of the whole installation, for the events that they match.
//!
//! A definition says who is told of one workflow, a rule who is told of every workflow that fits.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::event::WorkflowEnded;
use crate::load::{self, Keys};
use crate::notification::Notification;
use crate::problem::{Code, Malformed, Path, Problem, Problems, Segment, nearest};
use crate::registry::Registry;
use crate::schema;
use crate::spec::{Form, names_nobody};
use crate::text;

/// What a name must look like: `*` stands for any letters, `?` for exactly one.
///
/// The whole name is compared, and upper case is not lower case.
///
/// ```
/// use notify_core::rule::Pattern;
///
/// let billing = Pattern::new("billing-*")?;
/// assert!(billing.matches("billing-eu"));
/// assert!(!billing.matches("pre-billing-eu"));
/// # Ok::<(), notify_core::Malformed>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(
    description = "What a name must look like: `*` stands for any letters, `?` for exactly one.",
    extend("pattern" = schema::pattern::glob(), "examples" = ["billing-*"])
)]
pub struct Pattern(String);

/// How many characters a pattern may have: as many as a name.
const MAX_PATTERN: usize = 255;

impl Pattern {
    /// Checks and takes a pattern.
    ///
    /// # Errors
    ///
    /// When no name can be like this.
    pub fn new(pattern: impl Into<String>) -> Result<Self, Malformed> {
        let pattern = pattern.into();
        if pattern.is_empty() {
            return Err(Malformed::new("the pattern is empty")
                .help("write a name, or `*` for every name that is there"));
        }
        if text::has_control(&pattern) || text::has_invisible(&pattern) {
            return Err(Malformed::new(
                "the pattern holds a character that no name has",
            ));
        }
        if pattern.chars().count() > MAX_PATTERN {
            return Err(Malformed::unquoting(format!(
                "the pattern is longer than {MAX_PATTERN} characters"
            )));
        }
        Ok(Self(pattern))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether a name is of this form.
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), name.chars());
        // Where to go on when the last `*` has to stand for one letter more.
        let mut again = None;
        loop {
            let mut ahead = pattern.clone();
            let next = ahead.next();
            if next == Some('*') {
                pattern = ahead;
                again = Some((pattern.clone(), rest.clone()));
                continue;
            }
            let mut after = rest.clone();
            let fits = match (next, after.next()) {
                (None, None) => return true,
                (Some('?'), Some(_)) => true,
                (Some(wanted), Some(letter)) => wanted == letter,
                (_, None) => return false,
                (None, Some(_)) => false,
            };
            if fits {
                (pattern, rest) = (ahead, after);
                continue;
            }
            let Some((star, mut begin)) = again.take() else {
                return false;
            };
            begin.next();
            (pattern, rest) = (star.clone(), begin.clone());
            again = Some((star, begin));
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?)
            .map_err(|err| de::Error::custom(err.in_serde()))
    }
}

/// Which events a rule is about: all patterns that are given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
#[non_exhaustive]
pub struct Match {
    /// The execution's project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Pattern>,
    /// The execution's domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Pattern>,
    /// The name of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Pattern>,
    /// Labels of the event; one that the event does not have fits no pattern.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Pattern>,
}

impl Match {
    /// Matches every event.
    pub fn every() -> Self {
        Self::default()
    }

    /// Narrows it to projects of this form.
    #[must_use]
    pub fn project(mut self, pattern: Pattern) -> Self {
        self.project = Some(pattern);
        self
    }

    /// Narrows it to domains of this form.
    #[must_use]
    pub fn domain(mut self, pattern: Pattern) -> Self {
        self.domain = Some(pattern);
        self
    }

    /// Narrows it to workflows with names of this form.
    #[must_use]
    pub fn workflow(mut self, pattern: Pattern) -> Self {
        self.workflow = Some(pattern);
        self
    }

    /// Narrows it to events that have this label with a value of this form.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, pattern: Pattern) -> Self {
        self.labels.insert(key.into(), pattern);
        self
    }

    /// Tells whether an event is meant.
    pub fn applies(&self, event: &WorkflowEnded) -> bool {
        let fits = |pattern: &Option<Pattern>, name: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.matches(name))
        };
        let label = |(key, pattern): (&String, &Pattern)| {
            let value = event.labels.get(key);
            value.is_some_and(|value| pattern.matches(value))
        };
        fits(&self.project, event.execution.project())
            && fits(&self.domain, event.execution.domain())
            && fits(&self.workflow, event.workflow.as_str())
            && self.labels.iter().all(label)
    }

    /// Tells whether nothing is narrowed.
    pub fn is_every(&self) -> bool {
        *self == Self::default()
    }
}

/// Who is told of every event that matches, whatever its workflow declares.
///
/// ```
/// use notify_core::rule::{Match, Pattern, Rule};
/// use notify_core::{channel, phases, NotificationKind, Slack};
///
/// let billing = Match::every().workflow(Pattern::new("billing-*")?);
/// let rule = Rule::new(billing, Slack::on(phases![Failed]).to(channel!("#billing-ops")));
/// assert_eq!(rule.notifications().len(), 1);
/// # Ok::<(), notify_core::Malformed>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    matches: Match,
    pub(crate) notifications: Vec<Notification>,
}

impl Rule {
    /// Tells of the events that match.
    pub fn new(matches: Match, notification: impl Into<Notification>) -> Self {
        Self {
            matches,
            notifications: vec![notification.into()],
        }
    }

    /// Adds a notification for the same events.
    #[must_use]
    pub fn notify(mut self, notification: impl Into<Notification>) -> Self {
        self.notifications.push(notification.into());
        self
    }

    /// Tells whether an event is one of those that the rule is about.
    ///
    /// The phases and the conditions are those of the notifications.
    pub fn applies(&self, event: &WorkflowEnded) -> bool {
        self.matches.applies(event)
    }

    /// Returns which events the rule is about.
    pub fn matches(&self) -> &Match {
        &self.matches
    }

    /// Returns the notifications; there is at least one.
    pub fn notifications(&self) -> &[Notification] {
        &self.notifications
    }
}

/// The key of a rule that a notification does not have.
const MATCH: &str = "match";

impl Registry {
    /// Loads a rule: a notification with a `match`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with paths from the rule's root.
    pub fn load_rule(&self, value: &Value) -> Result<Rule, Problems> {
        let (rule, mut problems) = self.load_rule_partly(value);
        let Some(rule) = rule else {
            return Err(problems);
        };
        problems.extend(rule.notifications.iter().filter_map(names_nobody));
        problems.or_value(rule)
    }

    /// Loads as much of a rule as can be checked further, with everything that is wrong with it.
    ///
    /// It is what [`load_rule`](Self::load_rule) gives where nothing is wrong, but for a
    /// notification that names nobody, as
    /// [`load_workflow_partly`](Self::load_workflow_partly) has it.
    pub fn load_rule_partly(&self, value: &Value) -> (Option<Rule>, Problems) {
        if let Err(problem) = Keys::of(value, "a rule") {
            return (None, problem.into());
        }
        let mut body = value.clone();
        let place = Path::root().then(MATCH);
        let mut problems = Problems::none();
        let given = body.as_object_mut().and_then(|body| body.remove(MATCH));
        let matches = given.and_then(|given| problems.absorb(&place, load_match(&given)));
        let (notifications, found) = self.load_notifications_partly(&body, Form::Declared);
        problems.extend(also_match(found));
        let rule = (!notifications.is_empty()).then(|| Rule {
            matches: matches.unwrap_or_else(Match::every),
            notifications,
        });
        (rule, problems)
    }
}

fn load_match(value: &Value) -> Result<Match, Problems> {
    Keys::of(value, "`match`")?;
    let matches: Match = load::typed(value)?;
    if matches.is_every() {
        return Err(
            Problem::new(Code::WRONG_VALUE, Path::root(), "`match` names nothing")
                .help("say which events are meant, or leave `match` out for every event")
                .into(),
        );
    }
    Ok(matches)
}

/// Proposes `match` where a key is nearly that.
fn also_match(problems: Problems) -> Problems {
    let mut all = Problems::none();
    all.extend(problems.into_iter().map(|mut problem| {
        if let (Code::UNKNOWN_KEY | Code::UNKNOWN_KIND, [Segment::Key(key)]) =
            (problem.code, problem.path.segments())
            && nearest(key, [MATCH]).is_some()
        {
            problem.help = Some(format!("did you mean `{MATCH}`?"));
        }
        problem
    }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::Execution;
    use crate::name::WorkflowName;
    use crate::phase::TerminalPhase;

    #[test]
    fn a_pattern_covers_the_whole_name() {
        let table = [
            ("billing-*", "billing-eu", true),
            ("billing-*", "billing-", true),
            ("billing-*", "billing", false),
            ("billing-*", "pre-billing-eu", false),
            ("*", "", true),
            ("**", "a", true),
            ("?", "ü", true),
            ("?", "", false),
            ("?", "ab", false),
            ("a?c", "abc", true),
            ("*-eu-*", "a-eu-b", true),
            ("*-eu-*", "a-eu", false),
            ("*-eu", "a-eu-b-eu", true),
            ("*a*b", "aab", true),
            ("Prod", "prod", false),
            ("[ab]", "[ab]", true),
        ];
        for (pattern, name, expected) in table {
            let pattern = Pattern::new(pattern).unwrap();
            assert_eq!(pattern.matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_the_product_of_the_lengths() {
        let pattern = Pattern::new("a*".repeat(100) + "b").unwrap();
        assert!(!pattern.matches(&"a".repeat(20_000)));
    }

    #[test]
    fn what_no_name_can_be_like_is_refused() {
        for bad in ["", "a\nb", "a\u{200b}", &"x".repeat(256)] {
            assert!(Pattern::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn everything_that_is_given_must_fit() {
        let pattern = |text: &str| Pattern::new(text).unwrap();
        let execution = Execution::new("prod", "eu", "run-1").unwrap();
        let workflow = WorkflowName::new("billing-eu").unwrap();
        let event =
            WorkflowEnded::new(workflow, execution, TerminalPhase::Failed).label("team", "x");
        let table = [
            (Match::every(), true),
            (Match::every().project(pattern("prod")), true),
            (Match::every().project(pattern("dev")), false),
            (Match::every().domain(pattern("e?")), true),
            (Match::every().workflow(pattern("billing-*")), true),
            (Match::every().label("team", pattern("*")), true),
            (Match::every().label("owner", pattern("*")), false),
            (
                Match::every()
                    .project(pattern("prod"))
                    .domain(pattern("us")),
                false,
            ),
        ];
        for (matches, expected) in table {
            assert_eq!(matches.applies(&event), expected, "{matches:?}");
        }
    }
}
