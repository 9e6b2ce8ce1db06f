//! Definitions of workflows: one or many in a file, from one or many files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use notify_core::problem::Segment;
use notify_core::{
    Code, PartialWorkflow, Path, Problem, Problems, Registry, Workflow, WorkflowName,
};
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Diagnostics, Finding, Location};
use crate::document::{AsWritten, Document, without};
use crate::paths;
use crate::source::Source;
use crate::templates::{self, Said, Templates, Use};
use crate::variables::Variables;
use crate::watch::Reader;

/// Reads the definitions of workflows. A path with `*`, `?` or `**` is a pattern.
///
/// # Errors
///
/// Everything that is wrong with any of the files, and patterns that match nothing.
pub fn definitions(registry: &Registry, paths: &[PathBuf]) -> Result<Definitions, Diagnostics> {
    let reader = Reader::default();
    Definitions::read(registry, paths, &Variables::of_process(), &reader).whole()
}

/// Workflows, each with the place it was declared at.
#[derive(Clone, Debug)]
pub struct Definitions {
    registry: Registry,
    files: Vec<Document>,
    declared: Vec<Declared>,
    /// Where each name was declared first.
    by_name: BTreeMap<WorkflowName, usize>,
}

#[derive(Clone, Debug)]
struct Declared {
    workflow: Workflow,
    /// Which of the files it is in, and where.
    file: usize,
    place: Path,
    /// What stands there, without the templates that are named.
    value: Value,
    uses: Vec<Use>,
    /// Whether it has a name of its own.
    named: bool,
    /// Whether something is wrong with it, which has been told.
    broken: bool,
}

/// What could be read, and everything that is wrong with the rest.
pub(crate) struct Partly {
    pub(crate) sound: Definitions,
    pub(crate) found: Vec<Diagnostic>,
}

impl Partly {
    fn whole(self) -> Result<Definitions, Diagnostics> {
        Diagnostics::or_value(self.found, self.sound)
    }
}

impl Definitions {
    /// Takes texts that are in memory already.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them.
    pub fn parse(
        registry: &Registry,
        sources: impl IntoIterator<Item = Source>,
    ) -> Result<Self, Diagnostics> {
        Self::parse_with(registry, sources, &Variables::of_process())
    }

    /// Takes texts that are in memory already, and values for the variables that they name.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them.
    pub fn parse_with(
        registry: &Registry,
        sources: impl IntoIterator<Item = Source>,
        variables: &Variables,
    ) -> Result<Self, Diagnostics> {
        let sources = sources.into_iter().map(Ok);
        Self::collect(registry, sources, variables).whole()
    }

    pub(crate) fn read(
        registry: &Registry,
        paths: &[PathBuf],
        variables: &Variables,
        reader: &Reader,
    ) -> Partly {
        let (files, found) = paths::expand(paths);
        let sources = files.iter().map(|file| reader.text(file));
        let mut partly = Self::collect(registry, sources, variables);
        partly.found.extend(found);
        partly
    }

    fn collect(
        registry: &Registry,
        sources: impl Iterator<Item = Result<Source, Diagnostic>>,
        variables: &Variables,
    ) -> Partly {
        let mut partly = Partly {
            sound: Self {
                registry: registry.clone(),
                files: Vec::new(),
                declared: Vec::new(),
                by_name: BTreeMap::new(),
            },
            found: Vec::new(),
        };
        for source in sources {
            let read = source.map_err(Diagnostics::from);
            match read.and_then(|source| Document::read_yaml(&source)) {
                Ok((document, repeated)) => partly.add(document, repeated, variables),
                Err(found) => partly.found.extend(found),
            }
        }
        partly
    }

    /// Gives what is used as it is, but hardly meant.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let mut of_files = vec![Problems::none(); self.files.len()];
        for declared in &self.declared {
            if let Some(of_file) = of_files.get_mut(declared.file) {
                of_file.absorb::<()>(&declared.place, Err(declared.workflow.warnings()));
            }
        }
        self.placed(&of_files)
    }

    /// Walks the workflows in the order of their files.
    ///
    /// A template that is only named is not part of them, nor are the recipients that an account
    /// names, before [`config`](crate::config) has brought both together.
    pub fn workflows(&self) -> impl Iterator<Item = &Workflow> {
        self.declared.iter().map(|declared| &declared.workflow)
    }

    /// Puts the named templates into the workflows.
    ///
    /// # Errors
    ///
    /// Every template that is not there, at the place where it is named.
    pub(crate) fn with_templates(&self, templates: &Templates) -> (Vec<Workflow>, Problems) {
        let mut problems = Problems::none();
        let mut workflows = Vec::new();
        for (index, declared) in self.declared.iter().enumerate() {
            let mut workflow = declared.workflow.clone();
            if !declared.uses.is_empty() {
                let mut value = declared.value.clone();
                let filled = templates.fill(&mut value, &declared.uses);
                let place = Path::root().then(index);
                let is_filled = problems.absorb(&place, filled).is_some();
                // What is wrong with it otherwise has been told.
                if is_filled && !declared.broken {
                    let (partial, found) = self.registry.load_workflow_partly(&value);
                    problems.absorb::<()>(&place, Err(found));
                    workflow = partial.map_or(workflow, |partial| partial.workflow);
                }
            }
            workflows.push(workflow);
        }
        (workflows, problems)
    }

    /// Finds the files of problems whose paths begin with the index of a workflow.
    ///
    /// That is what [`Config::new`](notify_core::Config::new) reports for the workflows of
    /// [`Definitions::workflows`].
    pub fn locate(&self, problems: Problems) -> Diagnostics {
        Diagnostics::of(self.located(problems))
    }

    pub(crate) fn located(&self, problems: Problems) -> Vec<Diagnostic> {
        let mut of_files = vec![Problems::none(); self.files.len()];
        let mut found = Vec::new();
        for mut problem in problems {
            let declared = match problem.path.segments().first() {
                Some(Segment::Index(index)) => self.declared.get(*index),
                _ => None,
            };
            // One that has no name of its own is not the other of its kind.
            if problem.code == Code::DECLARED_TWICE && declared.is_some_and(|it| !it.named) {
                continue;
            }
            let of_file = declared.and_then(|declared| of_files.get_mut(declared.file));
            if let (Some(declared), Some(of_file)) = (declared, of_file) {
                problem.path = declared.place.join(&without(&problem.path, 1));
                if problem.code == Code::DECLARED_TWICE {
                    problem.help = self.first_of(declared);
                }
                of_file.push(problem);
            } else {
                let help = problem.help.as_deref();
                let message = problem.message.clone();
                found.push(Diagnostic::without_place(problem.code, message, help, ""));
            }
        }
        found.extend(self.placed(&of_files));
        found
    }

    fn placed(&self, of_files: &[Problems]) -> Vec<Diagnostic> {
        let files = self.files.iter().zip(of_files);
        files
            .flat_map(|(document, problems)| document.diagnostics(problems))
            .collect()
    }

    fn first(&self, name: &WorkflowName) -> Option<&Declared> {
        self.declared.get(*self.by_name.get(name)?)
    }

    /// Says where a name was declared first.
    fn first_of(&self, second: &Declared) -> Option<String> {
        let first = self.first(second.workflow.name())?;
        let document = self.files.get(first.file)?;
        let place = document.location(&first.place.then("workflow"))?;
        Some(format!(
            "it is declared at `{place}` too: bring both together, or rename one"
        ))
    }

    /// Finds the place of something in a workflow's definition, and what was written there where
    /// variables were expanded.
    pub(crate) fn place(
        &self,
        workflow: &Workflow,
        path: &Path,
    ) -> Option<(Location, Option<AsWritten>)> {
        let declared = self.first(workflow.name())?;
        let document = self.files.get(declared.file)?;
        let path = declared.place.join(path);
        Some((document.location(&path)?, document.as_written(&path)))
    }
}

impl Partly {
    /// Takes the definitions of one file.
    fn add(&mut self, mut document: Document, repeated: Vec<Finding>, variables: &Variables) {
        if document.is_empty() {
            let name = document.source().name();
            let message = format!("`{name}` declares nothing");
            let help = document.word(MINIMAL);
            let empty = Diagnostic::without_place(Code::EMPTY, message, Some(&help), name);
            self.found.push(empty);
            return;
        }
        let mut findings = repeated;
        findings.extend(document.expand(variables));
        let mut problems = Problems::none();
        let whole = document.to_value();
        for root in document.documents() {
            for (place, value) in parts(&whole, root, &mut problems) {
                let read = Read::of(&self.sound.registry, value);
                for (path, source) in &read.said.sources {
                    findings.extend(templates::check(&document, &place.join(path), source));
                }
                let broken = !read.problems.is_empty();
                problems.absorb::<()>(&place, Err(read.problems));
                let Some(partial) = read.partial else {
                    continue;
                };
                if partial.named {
                    let name = partial.workflow.name().clone();
                    let index = self.sound.declared.len();
                    self.sound.by_name.entry(name).or_insert(index);
                }
                self.sound.declared.push(Declared {
                    workflow: partial.workflow,
                    file: self.sound.files.len(),
                    place,
                    value: read.value,
                    uses: read.said.uses,
                    named: partial.named,
                    broken,
                });
            }
        }
        self.found.extend(document.report(&problems, findings));
        self.sound.files.push(document);
    }
}

/// One definition that was read.
struct Read {
    partial: Option<PartialWorkflow>,
    problems: Problems,
    value: Value,
    said: Said,
}

impl Read {
    fn of(registry: &Registry, value: &Value) -> Self {
        let mut value = value.clone();
        let (mut said, mut problems) = (Said::default(), Problems::none());
        let place = Path::root().then("notifications");
        let list = value.get_mut("notifications").and_then(Value::as_array_mut);
        for (index, notification) in list.into_iter().flatten().enumerate() {
            said.take(notification, &place.then(index), &mut problems);
        }
        let (partial, found) = registry.load_workflow_partly(&value);
        problems.extend(found);
        Self {
            partial,
            problems,
            value,
            said,
        }
    }
}

/// Finds the definitions in a document: itself, or those of its list `workflows`.
fn parts<'a>(whole: &'a Value, root: Path, problems: &mut Problems) -> Vec<(Path, &'a Value)> {
    let document = match root.segments() {
        [Segment::Index(index)] => whole.get(index),
        _ => Some(whole),
    };
    let Some(document) = document else {
        return Vec::new();
    };
    let Some(list) = document.get("workflows") else {
        return vec![(root, document)];
    };
    let place = root.then("workflows");
    let others = document.as_object().into_iter().flatten();
    for (key, _) in others.filter(|(key, _)| !matches!(key.as_str(), "workflows" | "$schema")) {
        let message = format!("`{key}` does not stand beside `workflows`");
        problems.push(
            Problem::new(Code::UNKNOWN_KEY, root.then(key.as_str()), message)
                .at_key()
                .help("a file is one definition, or a list of them under `workflows`"),
        );
    }
    match list {
        Value::Array(items) if items.is_empty() => {
            let problem = Problem::new(Code::EMPTY, place, "`workflows` is empty");
            problems.push(problem.help("begin each workflow with `- workflow: NAME`"));
            Vec::new()
        }
        Value::Array(items) => {
            let item = |(index, item)| (place.then(index), item);
            items.iter().enumerate().map(item).collect()
        }
        _ => {
            let problem = Problem::new(Code::WRONG_VALUE, place, "`workflows` is a list");
            problems.push(problem.help(
                "begin each workflow with `- workflow: NAME`; a single one needs no list: `workflow: NAME`",
            ));
            Vec::new()
        }
    }
}

pub(crate) const MINIMAL: &str = "say who is told when which workflow ends:\n
workflow: nightly-etl
notifications:
  - phases: failed
    email: me@example.com";
