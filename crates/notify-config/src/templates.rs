//! Templates in files: where they are written, where they are named, what is wrong with them.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use notify_core::problem::nearest;
use notify_core::{Code, Path, Place, Problem, Problems};
use notify_template::Template;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Finding, MOST};
use crate::document::{Document, Expanded};
use crate::watch::Reader;

/// The named templates of an installation.
#[derive(Clone, Debug, Default)]
pub struct Templates(BTreeMap<String, Named>);

/// One template and where its source is.
#[derive(Clone, Debug)]
struct Named {
    source: Arc<str>,
    file: Option<PathBuf>,
}

impl Templates {
    /// Walks the templates in the order of their names: name, source, and file where it is in one.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, Option<&FilePath>)> {
        self.0
            .iter()
            .map(|(name, named)| (name.as_str(), &*named.source, named.file.as_deref()))
    }

    /// Returns the source of a template.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|named| &*named.source)
    }

    /// Adds others; of those of one name the first stays.
    pub(crate) fn add(&mut self, others: Self) {
        for (name, named) in others.0 {
            self.0.entry(name).or_insert(named);
        }
    }

    /// Loads the table `templates`. What is wrong with a file of its own is told in that file.
    pub(crate) fn load(
        document: &Document,
        table: &Value,
        folder: &FilePath,
        reader: &Reader,
        problems: &mut Problems,
        findings: &mut Vec<Finding>,
    ) -> (Self, Vec<Diagnostic>) {
        let place = Path::root().then("templates");
        let mut templates = Self::default();
        let mut elsewhere = Vec::new();
        let Value::Object(table) = table else {
            let problem = Problem::new(Code::WRONG_VALUE, place, "`templates` is a table");
            problems.push(problem.help(HELP));
            return (templates, elsewhere);
        };
        for (name, value) in table {
            let place = place.then(name.as_str());
            if !is_name(name) {
                let problem = Problem::new(
                    Code::WRONG_VALUE,
                    place.clone(),
                    "not the name of a template",
                );
                let help = "use up to 64 ASCII letters, digits, `-` and `_`";
                problems.push(problem.help(help).at_key());
            }
            let named = match written(value) {
                Ok(Written::Here(source)) => {
                    findings.extend(check(document, &place, source));
                    Some(Named {
                        source: source.into(),
                        file: None,
                    })
                }
                Ok(Written::In(file)) => match in_file(&folder.join(file), reader) {
                    Ok(named) => Some(named),
                    // It can be read, and what is wrong has a place in it.
                    Err(Broken::Unreadable(why)) if why.span().is_some() => {
                        elsewhere.push(why);
                        None
                    }
                    Err(Broken::Unreadable(why)) => {
                        problems.push(unreadable(&why, place.then("file")));
                        None
                    }
                    Err(Broken::Wrong(named, found)) => {
                        elsewhere.extend(found);
                        Some(named)
                    }
                },
                Err(problem) => {
                    problems.push(problem.under(&place));
                    None
                }
            };
            // One that is broken is known all the same: where it is used nothing else is wrong.
            let unknown = Named {
                source: Arc::from(""),
                file: None,
            };
            templates.0.insert(name.clone(), named.unwrap_or(unknown));
        }
        (templates, elsewhere)
    }

    /// Puts the sources of named templates in their places; tells of those that nobody has.
    pub(crate) fn fill(&self, value: &mut Value, uses: &[Use]) -> Result<(), Problems> {
        let mut problems = Problems::none();
        for one in uses {
            match (self.get(&one.name), one.body(value)) {
                (Some(source), Some(body)) => {
                    body.insert("template".to_owned(), source.into());
                }
                (None, _) => problems.push(self.unknown(one)),
                (_, None) => {}
            }
        }
        problems.or_value(())
    }

    fn unknown(&self, one: &Use) -> Problem {
        let names = self.0.keys().map(String::as_str);
        let help = match (nearest(&one.name, names.clone()), self.0.is_empty()) {
            (Some(name), _) => format!("did you mean `{name}`?"),
            (None, true) => "`notify.toml` has no section `[templates]`".to_owned(),
            (None, false) => {
                let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
                format!("the templates are {}", names.join(", "))
            }
        };
        let place = one.place.then("template").then("use");
        Problem::new(
            Code::UNKNOWN_TEMPLATE,
            place,
            format!("no template `{}`", one.name),
        )
        .help(help)
    }
}

const LONG_VALUES: &str = "a template has at most 64 KiB, and no characters for private use";

const HELP: &str = "write `NAME = \"text\"` or `NAME = { file = \"templates/NAME.md\" }`";

fn unreadable(why: &Diagnostic, place: Path) -> Problem {
    let problem = Problem::new(why.code(), place, why.message().to_owned());
    let problem = problem.plainly("the file cannot be read");
    match why.help() {
        Some(_) if why.code() == Code::UNREADABLE => {
            problem.help("the path is relative to the folder of this file")
        }
        Some(help) => problem.help(help.to_owned()),
        None => problem,
    }
}

fn is_name(name: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    !name.is_empty() && name.len() <= 64 && name.chars().all(letter)
}

enum Written<'a> {
    Here(&'a str),
    In(&'a str),
}

fn written(value: &Value) -> Result<Written<'_>, Problem> {
    let wrong =
        |path, message: &'static str| Problem::new(Code::WRONG_VALUE, path, message).help(HELP);
    let root = Path::root();
    match value {
        Value::String(source) => Ok(Written::Here(source)),
        Value::Object(table) => {
            if let Some(key) = table.keys().find(|key| *key != "file") {
                let path = root.then(key.as_str());
                let problem = Problem::new(Code::UNKNOWN_KEY, path, format!("unknown key `{key}`"));
                return Err(problem.at_key().help(HELP));
            }
            match table.get("file") {
                Some(Value::String(file)) if !file.is_empty() && !file.contains('\0') => {
                    Ok(Written::In(file))
                }
                Some(_) => Err(wrong(root.then("file"), "`file` is the path of a file")),
                None => Err(Problem::new(Code::MISSING_KEY, root, "`file` is missing").help(HELP)),
            }
        }
        _ => Err(wrong(root, "a template is a text or a file")),
    }
}

enum Broken {
    Unreadable(Diagnostic),
    Wrong(Named, Vec<Diagnostic>),
}

fn in_file(path: &FilePath, reader: &Reader) -> Result<Named, Broken> {
    let source = reader.text(path).map_err(Broken::Unreadable)?;
    let named = Named {
        source: source.text().into(),
        file: Some(path.to_owned()),
    };
    let Err(found) = Template::parse(source.text()) else {
        return Ok(named);
    };
    let shown = source.shown();
    let more = found.len() > MOST;
    let diagnostics = found.into_iter().take(MOST).map(|problem| {
        let finding = Finding::new(Code::TEMPLATE, problem.message, problem.span);
        match problem.help {
            Some(help) => finding.help(help),
            None => finding,
        }
        .shown_in(&source, &shown)
    });
    let mut diagnostics: Vec<Diagnostic> = diagnostics.collect();
    if more {
        diagnostics.push(Diagnostic::rest(source.name()));
    }
    Err(Broken::Wrong(named, diagnostics))
}

/// Checks a template that stands at a path of a document, and finds the characters at fault.
///
/// It gives one more than are told of a file, and looks for no place beyond.
pub(crate) fn check(document: &Document, path: &Path, source: &str) -> Vec<Finding> {
    // The values of variables are text in it, so what is wrong is wrong as it was written.
    let expanded = document.expanded(path);
    let written = expanded.map_or(source, Expanded::written);
    let Err(found) = Template::parse(written) else {
        let sound = expanded.is_none() || Template::parse(source).is_ok();
        let message = "the template does not hold what the variables in it stand for";
        let place = document.span(path, Place::Value);
        let finding = || Finding::new(Code::TEMPLATE, message, place).help(LONG_VALUES);
        return (!sound).then(finding).into_iter().collect();
    };
    let source = written;
    let finding = |problem: notify_template::TemplateProblem| {
        let finding = if let Some(span) = document.within(path, source, &problem.span) {
            Finding::new(Code::TEMPLATE, problem.message, span)
        } else {
            let (line, column) = (problem.line, problem.column);
            let message = format!(
                "{}, in line {line} of the template, column {column}",
                problem.message
            );
            Finding::new(Code::TEMPLATE, message, document.span(path, Place::Value))
        };
        match problem.help {
            Some(help) => finding.help(help),
            None => finding,
        }
    };
    found.into_iter().take(MOST + 1).map(finding).collect()
}

/// A notification that names a template.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    /// The path of what stands under the notification's kind.
    place: Path,
    name: String,
}

impl Use {
    fn body<'a>(&self, value: &'a mut Value) -> Option<&'a mut serde_json::Map<String, Value>> {
        let mut at = value;
        for step in self.place.segments() {
            at = match step {
                notify_core::problem::Segment::Key(key) => at.get_mut(key)?,
                notify_core::problem::Segment::Index(index) => at.get_mut(index)?,
            };
        }
        at.as_object_mut()
    }
}

/// What a notification says about its template.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The templates that are named, which are taken out of the value.
    pub(crate) uses: Vec<Use>,
    /// The templates that are written where they are used.
    pub(crate) sources: Vec<(Path, String)>,
}

impl Said {
    /// Takes what a notification at `place` says about its template.
    pub(crate) fn take(&mut self, notification: &mut Value, place: &Path, problems: &mut Problems) {
        for (kind, body) in notification.as_object_mut().into_iter().flatten() {
            let place = place.then(kind.as_str());
            let Some(body) = body.as_object_mut() else {
                continue;
            };
            let taken = match body.get("template") {
                Some(Value::String(source)) => {
                    self.sources.push((place.then("template"), source.clone()));
                    false
                }
                Some(Value::Object(table)) => {
                    match named(table) {
                        Ok(name) => self.uses.push(Use { place, name }),
                        Err(problem) => problems.push(problem.under(&place.then("template"))),
                    }
                    true
                }
                _ => false,
            };
            if taken {
                body.remove("template");
            }
        }
    }
}

fn named(table: &serde_json::Map<String, Value>) -> Result<String, Problem> {
    let help = "write `use` with the name of a template of `notify.toml`, or a text";
    let root = Path::root();
    if let Some(key) = table.keys().find(|key| *key != "use") {
        let path = root.then(key.as_str());
        let message = format!("unknown key `{key}`");
        return Err(Problem::new(Code::UNKNOWN_KEY, path, message)
            .at_key()
            .help(help));
    }
    match table.get("use") {
        Some(Value::String(name)) => Ok(name.clone()),
        Some(_) => Err(Problem::new(
            Code::WRONG_VALUE,
            root.then("use"),
            "the name of a template is a text",
        )
        .help(help)),
        None => Err(Problem::new(Code::MISSING_KEY, root, "`use` is missing").help(help)),
    }
}
