//! From files to the [`Config`] in force, with the problems of all files in one run.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use notify_core::problem::Segment;
use notify_core::{Code, Config, Path, Problem, Problems, Registry, SecretSource, Workflow};
use notify_template::Template;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::Document;
use crate::settings::Settings;
use crate::source::{self, Source};

/// Reads definitions and settings, and checks one against the other once both are sound.
///
/// Secrets come from the environment and from files beside the settings.
///
/// # Errors
///
/// Everything that is wrong with any of the files.
pub fn load(
    registry: &Registry,
    definition_paths: &[PathBuf],
    settings_path: &FilePath,
) -> Result<(Config, Settings), Diagnostics> {
    let (definitions, settings) = Diagnostics::both(
        definitions(registry, definition_paths),
        Settings::read(registry, settings_path),
    )?;
    let config = config(&definitions, &settings, settings.secrets())?;
    Ok((config, settings))
}

/// Reads the definitions of workflows, one in each file.
///
/// # Errors
///
/// Everything that is wrong with any of the files.
pub fn definitions(registry: &Registry, paths: &[PathBuf]) -> Result<Definitions, Diagnostics> {
    Definitions::collect(registry, paths.iter().map(|path| source::read(path)))
}

/// Checks definitions against the settings.
///
/// # Errors
///
/// Everything that does not fit, at its place in the definitions.
pub fn config(
    definitions: &Definitions,
    settings: &Settings,
    secrets: Arc<dyn SecretSource>,
) -> Result<Config, Diagnostics> {
    let workflows = definitions.workflows().cloned().collect();
    Config::new(workflows, settings.accounts().clone(), secrets)
        .map_err(|problems| definitions.locate(problems))
}

/// Workflows, each with the file it was declared in.
#[derive(Clone, Debug, Default)]
pub struct Definitions(Vec<Definition>);

#[derive(Clone, Debug)]
struct Definition {
    workflow: Workflow,
    document: Document,
}

impl Definitions {
    /// Takes texts that are in memory already, one definition in each.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them.
    pub fn parse(
        registry: &Registry,
        sources: impl IntoIterator<Item = Source>,
    ) -> Result<Self, Diagnostics> {
        Self::collect(registry, sources.into_iter().map(Ok))
    }

    fn collect(
        registry: &Registry,
        sources: impl Iterator<Item = Result<Source, Diagnostic>>,
    ) -> Result<Self, Diagnostics> {
        let mut definitions = Vec::new();
        let mut found = Vec::new();
        for source in sources {
            match source
                .map_err(Diagnostics::from)
                .and_then(|source| definition(registry, &source))
            {
                Ok(definition) => definitions.push(definition),
                Err(problems) => found.extend(problems),
            }
        }
        Diagnostics::or_value(found, Self(definitions))
    }

    /// Gives what is used as it is, but hardly meant.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let of_file = |definition: &Definition| {
            let warnings = definition.workflow.warnings();
            definition.document.diagnostics(&warnings)
        };
        self.0.iter().flat_map(of_file).collect()
    }

    /// Walks the workflows in the order of their files.
    pub fn workflows(&self) -> impl Iterator<Item = &Workflow> {
        self.0.iter().map(|definition| &definition.workflow)
    }

    /// Finds the files of problems whose paths begin with the index of a workflow.
    ///
    /// That is what [`Config::new`] reports for the workflows of [`Definitions::workflows`].
    pub fn locate(&self, problems: Problems) -> Diagnostics {
        let mut of_files = vec![Problems::none(); self.0.len()];
        let mut found = Vec::new();
        for problem in problems {
            let index = match problem.path.segments().first() {
                Some(Segment::Index(index)) => *index,
                _ => usize::MAX,
            };
            match of_files.get_mut(index) {
                Some(of_file) => of_file.push(self.within(index, problem)),
                None => found.push(Diagnostic::without_place(
                    problem.code,
                    problem.message,
                    problem.help.as_deref(),
                    "",
                )),
            }
        }
        for (definition, problems) in self.0.iter().zip(&of_files) {
            found.extend(definition.document.diagnostics(problems));
        }
        Diagnostics::of(found)
    }

    /// Takes the index off a problem's path, and says where a name was declared first.
    fn within(&self, index: usize, mut problem: Problem) -> Problem {
        let steps = problem.path.segments().iter().skip(1).cloned();
        problem.path = steps.fold(Path::root(), |path, step| path.then(step));
        if problem.code == Code::DECLARED_TWICE {
            let name = self.0.get(index).map(|second| second.workflow.name());
            let first = self
                .0
                .iter()
                .find(|first| Some(first.workflow.name()) == name);
            problem.help = first
                .map(|first| format!("it is declared in `{}` too", first.document.source().name()));
        }
        problem
    }
}

fn definition(registry: &Registry, source: &Source) -> Result<Definition, Diagnostics> {
    let document = Document::yaml(source)?;
    if document.is_empty() {
        let message = format!("`{}` declares nothing", source.name());
        return Err(
            Diagnostic::without_place(Code::EMPTY, message, Some(MINIMAL), source.name()).into(),
        );
    }
    let value = document.to_value();
    // Apart from the rest, so that the problems of both are told in one run.
    let mut problems = templates(&value);
    let workflow = problems.absorb(&Path::root(), registry.load_workflow(&value));
    match workflow {
        Some(workflow) if problems.is_empty() => Ok(Definition { workflow, document }),
        _ => Err(Diagnostics::of(document.diagnostics(&problems))),
    }
}

/// Checks every template of a definition, whatever else is wrong with it.
fn templates(definition: &Value) -> Problems {
    let mut problems = Problems::none();
    let place = Path::root().then("notifications");
    let notifications = definition.get("notifications").and_then(Value::as_array);
    for (index, notification) in notifications.into_iter().flatten().enumerate() {
        for (kind, body) in notification.as_object().into_iter().flatten() {
            if let Some(source) = body.get("template").and_then(Value::as_str) {
                let place = place.then(index).then(kind.as_str()).then("template");
                problems.absorb(&place, Template::checked(source));
            }
        }
    }
    problems
}

const MINIMAL: &str = "say who is told when which workflow ends:\n
workflow: nightly-etl
notifications:
  - phases: failed
    email: me@example.com";
