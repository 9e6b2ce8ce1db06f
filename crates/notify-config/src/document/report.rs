//! From problems with paths to diagnostics with places, in a text that is fit to be shown.

use std::collections::BTreeSet;
use std::ops::Range;

use notify_core::problem::Segment;
use notify_core::secret::{inline_secret, looks_secret};
use notify_core::{Path, Place, Problem, Problems};
use serde_json::Value;

use super::{Content, Document, Found, Node};
use crate::diagnostic::{Diagnostic, Finding, MOST};
use crate::mask::Mask;

/// What is wrong with a document: by path, or at a place already.
enum Seen<'a> {
    Problem(&'a Problem),
    Finding(Finding),
}

impl Document {
    /// Gives the problems of the document's value their places.
    pub(crate) fn diagnostics(&self, problems: &Problems) -> Vec<Diagnostic> {
        self.report(problems, Vec::new())
    }

    /// Gives problems their places, beside findings that have theirs.
    pub(crate) fn report(&self, problems: &Problems, findings: Vec<Finding>) -> Vec<Diagnostic> {
        let (chosen, more) = self.first(problems, findings);
        let mut mask = if self.guarded {
            Mask::of_toml()
        } else {
            Mask::default()
        };
        let values = self.root.values_of_variables();
        let mut told = Vec::new();
        for seen in chosen {
            let problem = match seen {
                Seen::Finding(finding) => {
                    mask.open.push(finding.span());
                    told.push(finding);
                    continue;
                }
                Seen::Problem(problem) => problem,
            };
            let found = self.find(&problem.path);
            if problem.sensitive && self.guarded && found.is_reference() {
                // Its values are hidden already, and its keys say what is wrong with it.
            } else if problem.sensitive {
                mask.hidden.push(found.node.span.clone());
            } else if problem.place == Place::Key {
                mask.open.extend(found.key.cloned());
            } else if found.is_read() {
                mask.open.push(found.node.span.clone());
            }
            told.push(self.finding(problem, &found, &values));
        }
        if let Content::Map(entries) = &self.root.content {
            for entry in entries.iter().filter(|entry| PLAIN.contains(&&*entry.key)) {
                entry.value.texts(&mut mask.open);
            }
        }
        self.root.secret_looking(&mut mask.hidden);
        let shown = mask.apply(self.source.text());
        let mut told: Vec<Diagnostic> = told
            .into_iter()
            .map(|finding| finding.shown_in(&self.source, &shown))
            .collect();
        if more {
            told.push(Diagnostic::rest(self.source.name()));
        }
        told
    }

    /// Takes as many as are told, in the order of the file; tells whether there are more.
    fn first<'a>(
        &self,
        problems: &'a Problems,
        findings: Vec<Finding>,
    ) -> (impl Iterator<Item = Seen<'a>>, bool) {
        let findings = findings
            .into_iter()
            .map(|finding| (finding.span(), Seen::Finding(finding)));
        let problems = problems
            .iter()
            .filter(|problem| !self.find(&problem.path).is_without_value())
            .map(|problem| {
                let span = self.span(&problem.path, problem.place);
                (span, Seen::Problem(problem))
            });
        let mut all: Vec<_> = findings.chain(problems).collect();
        all.sort_by_key(|(span, _)| (span.start, span.end));
        let more = all.len() > MOST;
        all.truncate(MOST);
        (all.into_iter().map(|(_, seen)| seen), more)
    }

    fn finding(&self, problem: &Problem, found: &Found<'_>, values: &Words) -> Finding {
        let span = self.span(&problem.path, problem.place);
        // What a variable holds is not what its author wrote, and may be a secret: of the place that
        // it stands in nothing is quoted but the text that names it.
        let expanded = found.node.expanded.as_deref();
        let quotes = |words: &str| expanded.is_some() || !values.is_disjoint(&long_words(words));
        let message = match (problem.plain(), expanded) {
            (plain, Some(expanded)) => {
                let plain = plain.unwrap_or("what this stands for does not fit here");
                format!("`{}`: {plain}", expanded.shown())
            }
            (Some(plain), None) if quotes(&problem.message) => plain.to_owned(),
            (None, None) if quotes(&problem.message) => {
                "what a variable stands for does not fit here".to_owned()
            }
            _ => problem.message.clone(),
        };
        let mut help = match problem.help.as_deref() {
            Some(help) if quotes(help) => problem.plain_help(),
            help => help,
        };
        let reference = help.filter(|help| inline_secret().help.as_deref() == Some(help));
        let reference = reference.and_then(|_| found.reference());
        help = reference.as_deref().or(help);
        let help = help.map(|help| self.format.word(help));
        let finding = Finding::new(problem.code, message, span).weight(problem.weight);
        match help {
            Some(help) => finding.help(help),
            None => finding,
        }
    }

    /// Lists the tables below a path that refer to a file, each with that reference.
    pub(crate) fn references_to_files(&self, path: &Path) -> Vec<(Path, String)> {
        let mut found = Vec::new();
        let start = self.find(path);
        if start.whole {
            start.node.references_to_files(path, &mut found);
        }
        found
    }
}

/// The words of texts.
type Words = BTreeSet<String>;

/// Collects the words of a text that are long enough to be told from others.
fn long_words(text: &str) -> Words {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    let words = words.filter(|word| word.chars().count() >= 4);
    words.map(str::to_owned).collect()
}

/// Sections whose values may be shown.
///
/// The accounts' values can be secrets that were put under the wrong key, and the outbox's URL can
/// hold a password.
const PLAIN: [&str; 3] = ["engine", "rules", "templates"];

impl Found<'_> {
    /// Tells whether somebody read the value as something that is not a secret.
    ///
    /// What stands where only tables can (`[accounts.slack]`, `token = "…"`) was read by nobody:
    /// the keys of an account are the fourth step of a path.
    fn is_read(&self) -> bool {
        matches!(self.node.content, Content::Scalar(_)) && self.steps.len() > 3
    }

    /// Tells whether the value could not be made, which has been said already.
    fn is_without_value(&self) -> bool {
        let expanded = self.node.expanded.as_ref();
        expanded.is_some_and(|expanded| expanded.failed())
    }

    /// Tells whether a table has the keys of a reference to a secret and no others.
    fn is_reference(&self) -> bool {
        let Content::Map(entries) = &self.node.content else {
            return false;
        };
        let known = ["env", "file", "command", "timeout"];
        entries
            .iter()
            .all(|entry| known.contains(&entry.key.as_str()))
    }

    /// Says what to write instead of a secret, in the words of its own section.
    fn reference(&self) -> Option<String> {
        if !matches!(self.node.content, Content::Scalar(_)) {
            return None;
        }
        let key = *self.steps.last().filter(|key| !key.is_empty())?;
        // `accounts.slack.prod.token`: the kind and the key make a name that nobody else has.
        let mut names = self.steps.iter().skip(1).copied().collect::<Vec<_>>();
        if names.len() > 2 {
            names.remove(1);
        }
        let letter = |letter: char| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_uppercase()
            } else {
                '_'
            }
        };
        let variable: String = names.join("_").chars().map(letter).collect();
        let path = variable.to_ascii_lowercase();
        let is_bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        let key = if key.chars().all(is_bare) {
            key.to_owned()
        } else {
            format!("{key:?}")
        };
        Some(format!(
            "keep it in the environment or in a file of its own, and write one of\n{key} = {{ env = \
             \"{variable}\" }}\n{key} = {{ file = \"/run/secrets/{path}\" }}"
        ))
    }
}

impl Node {
    /// Collects the keys and values that look like secrets which were pasted where none belongs,
    /// in their own letters or with escapes.
    fn secret_looking(&self, found: &mut Vec<Range<usize>>) {
        match &self.content {
            Content::Scalar(Value::String(_)) if looks_secret(self.written()) => {
                found.push(self.span.clone());
            }
            Content::Scalar(_) => {}
            Content::List(items) => {
                for item in items {
                    item.secret_looking(found);
                }
            }
            Content::Map(entries) => {
                for entry in entries {
                    if looks_secret(&entry.key) {
                        found.push(entry.key_span.clone());
                    }
                    entry.value.secret_looking(found);
                }
            }
        }
    }

    /// Returns the text of a scalar as it was written, before a variable was put into it.
    fn written(&self) -> &str {
        match (&self.expanded, &self.content) {
            (Some(expanded), _) => expanded.written(),
            (None, Content::Scalar(Value::String(text))) => text,
            _ => "",
        }
    }

    /// Collects the words that stand in values only because variables hold them.
    fn values_of_variables(&self) -> Words {
        let mut found = Words::new();
        let mut left = vec![self];
        while let Some(node) = left.pop() {
            match &node.content {
                Content::Scalar(Value::String(text)) if node.expanded.is_some() => {
                    let written = long_words(node.written());
                    let of_value = long_words(text).into_iter();
                    found.extend(of_value.filter(|word| !written.contains(word)));
                }
                Content::Scalar(_) => {}
                Content::List(items) => left.extend(items),
                Content::Map(entries) => left.extend(entries.iter().map(|entry| &entry.value)),
            }
        }
        found
    }

    /// Collects the values that stand in lists and in tables.
    fn texts(&self, found: &mut Vec<Range<usize>>) {
        let within = |node: &Self, found: &mut Vec<Range<usize>>| match &node.content {
            Content::Scalar(_) => found.push(node.span.clone()),
            _ => node.texts(found),
        };
        match &self.content {
            // In place of a table it was read by nobody.
            Content::Scalar(_) => {}
            Content::List(items) => items.iter().for_each(|item| within(item, found)),
            Content::Map(entries) => {
                for entry in entries {
                    within(&entry.value, found);
                }
            }
        }
    }

    fn references_to_files(&self, path: &Path, found: &mut Vec<(Path, String)>) {
        match &self.content {
            Content::Map(entries) => {
                let keys: BTreeSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
                for entry in entries {
                    let path = path.then(entry.key.as_str());
                    match &entry.value.content {
                        Content::Scalar(Value::String(file)) if keys == ["file"].into() => {
                            found.push((path, file.clone()));
                        }
                        _ => entry.value.references_to_files(&path, found),
                    }
                }
            }
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.references_to_files(&path.then(index), found);
                }
            }
            Content::Scalar(_) => {}
        }
    }
}

/// Gives a path without its first steps.
pub(crate) fn without(path: &Path, steps: usize) -> Path {
    let rest = path.segments().iter().skip(steps).cloned();
    rest.fold(Path::root(), |path, step: Segment| path.then(step))
}
