//! The sections `[[rules]]`.

use notify_core::{Code, Path, Problem, Problems, Registry, Rule};
use serde_json::Value;

use crate::templates::{Said, Templates};

/// How many rules there can be: each is asked about each event.
pub(crate) const MOST: usize = 1_000;

/// The texts of templates that stand in rules, each with its place.
type Sources = Vec<(Path, String)>;

/// Loads the rules; gives the templates beside them, to be checked where they stand.
pub(super) fn load(
    registry: &Registry,
    list: &Value,
    templates: &Templates,
) -> (Result<Vec<Rule>, Problems>, Sources) {
    let Value::Array(items) = list else {
        let problem = Problem::new(Code::WRONG_VALUE, Path::root(), "`rules` is a list");
        let help = "begin each rule with `[[rules]]`, in double brackets";
        return (Err(problem.help(help).at_key().into()), Vec::new());
    };
    if items.len() > MOST {
        let message = format!("there are more than {MOST} rules");
        let problem = Problem::new(Code::TOO_LARGE, Path::root(), message);
        let help = "one rule can match many workflows: `match = { workflow = \"billing-*\" }`";
        return (Err(problem.help(help).at_key().into()), Vec::new());
    }
    let (mut rules, mut sources) = (Vec::new(), Vec::new());
    let mut problems = Problems::none();
    for (index, item) in items.iter().enumerate() {
        let place = Path::root().then(index);
        let mut said = Said::default();
        let rule = rule(registry, item, templates, &mut said);
        rules.extend(problems.absorb(&place, rule));
        let of_rule = said.sources.into_iter();
        sources.extend(of_rule.map(|(path, source)| (place.join(&path), source)));
    }
    (problems.or_value(rules), sources)
}

fn rule(
    registry: &Registry,
    item: &Value,
    templates: &Templates,
    said: &mut Said,
) -> Result<Rule, Problems> {
    let mut value = item.clone();
    let mut problems = Problems::none();
    said.take(&mut value, &Path::root(), &mut problems);
    problems.absorb(&Path::root(), templates.fill(&mut value, &said.uses));
    match problems.absorb(&Path::root(), registry.load_rule(&value)) {
        Some(rule) => problems.or_value(rule),
        None => Err(problems),
    }
}
