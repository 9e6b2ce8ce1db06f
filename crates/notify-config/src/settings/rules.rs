//! The sections `[[rules]]`.

use notify_core::{Code, Path, Problem, Problems, Registry, Rule};
use serde_json::Value;

use crate::templates::{Said, Templates};

/// How many rules there can be: each is asked about each event.
pub(crate) const MOST: usize = 1_000;

/// The texts of templates that stand in rules, each with its place.
type Sources = Vec<(Path, String)>;

/// The rules that were read.
#[derive(Default)]
pub(super) struct Read {
    /// Those that can be checked further, each with its index in the file.
    pub(super) rules: Vec<(usize, Rule)>,
    pub(super) problems: Problems,
    /// The templates beside them, to be checked where they stand.
    pub(super) sources: Sources,
}

/// Loads the rules.
pub(super) fn load(registry: &Registry, list: &Value, templates: &Templates) -> Read {
    let mut read = Read::default();
    let Value::Array(items) = list else {
        let problem = Problem::new(Code::WRONG_VALUE, Path::root(), "`rules` is a list");
        let help = "begin each rule with `[[rules]]`, in double brackets";
        read.problems.push(problem.help(help).at_key());
        return read;
    };
    if items.len() > MOST {
        let message = format!("there are more than {MOST} rules");
        let problem = Problem::new(Code::TOO_LARGE, Path::root(), message);
        let help = "one rule can match many workflows: `match = { workflow = \"billing-*\" }`";
        read.problems.push(problem.help(help).at_key());
        return read;
    }
    for (index, item) in items.iter().enumerate() {
        let place = Path::root().then(index);
        let mut said = Said::default();
        let mut problems = Problems::none();
        let rule = rule(registry, item, templates, &mut said, &mut problems);
        read.rules.extend(rule.map(|rule| (index, rule)));
        read.problems.absorb::<()>(&place, Err(problems));
        let of_rule = said.sources.into_iter();
        read.sources
            .extend(of_rule.map(|(path, source)| (place.join(&path), source)));
    }
    read
}

fn rule(
    registry: &Registry,
    item: &Value,
    templates: &Templates,
    said: &mut Said,
    problems: &mut Problems,
) -> Option<Rule> {
    let mut value = item.clone();
    said.take(&mut value, &Path::root(), problems);
    problems.absorb(&Path::root(), templates.fill(&mut value, &said.uses));
    let (rule, found) = registry.load_rule_partly(&value);
    problems.extend(found);
    rule
}
