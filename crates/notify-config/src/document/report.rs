//! From problems with paths to diagnostics with places, in a text that is fit to be shown.

use std::collections::BTreeSet;
use std::ops::Range;

use notify_core::problem::Segment;
use notify_core::secret::looks_secret;
use notify_core::{Code, Path, Place, Problem, Problems};
use serde_json::Value;

use super::{Content, Document, Found, Node};
use crate::diagnostic::{Diagnostic, Finding};
use crate::mask::Mask;

/// How many problems of one file are told: nobody reads more at once.
const MOST: usize = 100;

impl Document {
    /// Gives the problems of the document's value their places.
    pub(crate) fn diagnostics(&self, problems: &Problems) -> Vec<Diagnostic> {
        self.report(problems, Vec::new())
    }

    /// Gives problems their places, beside findings that have theirs.
    pub(crate) fn report(&self, problems: &Problems, findings: Vec<Finding>) -> Vec<Diagnostic> {
        let all = problems.iter().len() + findings.len();
        let mut mask = Mask {
            guarded: self.guarded,
            ..Mask::default()
        };
        let mut told = findings;
        told.truncate(MOST);
        mask.open.extend(told.iter().map(Finding::span));
        for problem in problems.iter().take(MOST - told.len()) {
            let found = self.find(&problem.path);
            if found.is_without_value() {
                continue;
            }
            if problem.sensitive && self.guarded && found.is_reference() {
                // Its values are hidden already, and its keys say what is wrong with it.
            } else if problem.sensitive {
                mask.hidden.push(found.node.span.clone());
            } else if problem.place == Place::Key {
                mask.open.extend(found.key.cloned());
            } else if found.is_read() {
                mask.open.push(found.node.span.clone());
            }
            told.push(self.finding(problem, &found));
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
        if all > MOST {
            let name = self.source.name();
            let message = format!("`{name}` has {} more problems", all - MOST);
            let help = Some("mend these first; most are of one sort");
            told.push(Diagnostic::without_place(
                Code::TOO_LARGE,
                message,
                help,
                name,
            ));
        }
        told
    }

    fn finding(&self, problem: &Problem, found: &Found<'_>) -> Finding {
        let span = self.span(&problem.path, problem.place);
        let mut message = problem.message.clone();
        let mut help = problem.help.clone();
        if problem.code == Code::INLINE_SECRET && matches!(found.node.content, Content::Scalar(_)) {
            help = found.reference().or(help);
        }
        if let (Some(expanded), Content::Scalar(Value::String(text))) =
            (&found.node.expanded, &found.node.content)
        {
            // What a variable holds is not what its author wrote, and may be a secret.
            let written = expanded.written();
            message = message.replace(text.as_str(), written);
            help = help.map(|help| help.replace(text.as_str(), written));
        }
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
        Some(format!(
            "keep it in the environment or in a file of its own, and write one of\n{key} = {{ env = \
             \"{variable}\" }}\n{key} = {{ file = \"/run/secrets/{path}\" }}"
        ))
    }
}

impl Node {
    /// Collects the values that look like secrets which were pasted where none belongs.
    fn secret_looking(&self, found: &mut Vec<Range<usize>>) {
        match &self.content {
            Content::Scalar(Value::String(text)) if looks_secret(text) => {
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
                    entry.value.secret_looking(found);
                }
            }
        }
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
