//! What is wrong with a template, and at which characters.

use std::fmt;
use std::ops::Range;

use notify_core::problem::nearest;

/// One thing that is wrong with a template's source, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TemplateProblem {
    /// The line, counted from one.
    pub line: usize,
    /// The column in characters, counted from one.
    pub column: usize,
    /// The bytes of the source that it is about.
    pub span: Range<usize>,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TemplateProblem {}

/// Collects the problems of one source.
#[derive(Debug)]
pub(crate) struct Problems<'s> {
    source: &'s str,
    found: Vec<TemplateProblem>,
}

impl<'s> Problems<'s> {
    pub(crate) fn of(source: &'s str) -> Self {
        let found = Vec::new();
        Self { source, found }
    }

    pub(crate) fn source(&self) -> &'s str {
        self.source
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    pub(crate) fn push(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.add(span, message.into(), None);
    }

    pub(crate) fn push_with_help(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(span, message.into(), Some(help.into()));
    }

    fn add(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        let start = self.source.floor_char_boundary(span.start);
        let end = self.source.ceil_char_boundary(span.end).max(start);
        let before = self.source.get(..start).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let in_line = before.get(line_start..).unwrap_or("");
        self.found.push(TemplateProblem {
            line: before.matches('\n').count() + 1,
            column: in_line.chars().count() + 1,
            span: start..end,
            message,
            help,
        });
    }

    /// Gives all that was found, in the order of the source, each once.
    pub(crate) fn into_vec(mut self) -> Vec<TemplateProblem> {
        let place = |problem: &TemplateProblem| (problem.span.start, problem.span.end);
        self.found.sort_by(|left, right| {
            (place(left), &left.message).cmp(&(place(right), &right.message))
        });
        self.found.dedup();
        self.found
    }
}

/// Says what to write instead of an unknown name: the nearest one, or all of them.
pub(crate) fn instead<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let mut names: Vec<&str> = known.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => "nothing is known here".to_owned(),
        names => format!("known here: `{}`", names.join("`, `")),
    }
}
