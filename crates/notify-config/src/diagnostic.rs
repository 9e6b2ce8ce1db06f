//! Problems with their place in a file, as values: a program decides how they look.

use std::cmp::Ordering;
use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{LabeledSpan, NamedSource, Severity, SourceCode};
use notify_core::{Code, Problem, Weight};
use serde::Serialize;

use crate::mask::{concealed, parts_of_secrets, without_quoted};
use crate::source::Source;

/// One thing that is wrong with a file: code, place, message and help.
///
/// The source it carries is fit to be shown: what may be a secret is masked.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    code: Code,
    message: String,
    help: Option<String>,
    weight: Weight,
    file: Arc<str>,
    place: Option<Box<Place>>,
    /// It stands for all that the file has beside what is told.
    is_rest: bool,
}

/// How many problems of one file are told: nobody reads more at once.
pub(crate) const MOST: usize = 100;

/// A place in a file, for people and for editors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Location {
    /// The name of the file.
    pub file: String,
    /// The line, counted from one.
    pub line: usize,
    /// The column in characters, counted from one.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Where in a text something begins: line and column, counted from zero.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    byte: usize,
    line: usize,
    column: usize,
}

impl Position {
    /// Walks a text character by character and gives each with its position, the end included.
    ///
    /// A line ends as editors see it: at `\n`, at `\r\n` and at a `\r` alone.
    fn walk(self, text: &str) -> impl Iterator<Item = Self> {
        let mut letters = text.get(self.byte..).unwrap_or_default().chars().peekable();
        std::iter::successors(Some(self), move |at| {
            let letter = letters.next()?;
            let ends = letter == '\n' || letter == '\r' && letters.peek() != Some(&'\n');
            Some(Self {
                byte: at.byte + letter.len_utf8(),
                line: at.line + usize::from(ends),
                column: if ends { 0 } else { at.column + 1 },
            })
        })
    }

    /// Finds the line and the column of a byte, counted from one.
    fn find(self, text: &str, byte: usize) -> Option<(usize, usize)> {
        let found = self.walk(text).find(|at| at.byte >= byte)?;
        (found.byte == byte).then_some((found.line + 1, found.column + 1))
    }
}

/// Positions in a text at which the search for another one begins.
#[derive(Clone, Debug)]
pub(crate) struct Positions(Vec<Position>);

impl Positions {
    /// How many characters are from one to the next.
    const STEP: usize = 256;

    pub(crate) fn of(text: &str) -> Self {
        Self(Position::default().walk(text).step_by(Self::STEP).collect())
    }

    /// Finds the line and the column of a byte of the same text, counted from one.
    pub(crate) fn find(&self, text: &str, byte: usize) -> Option<(usize, usize)> {
        let next = self.0.partition_point(|at| at.byte <= byte);
        let begin = self.0.get(next.checked_sub(1)?)?;
        begin.find(text, byte)
    }
}

/// Where in its file a problem is.
#[derive(Clone, Debug)]
struct Place {
    span: Range<usize>,
    source: NamedSource<Arc<str>>,
}

impl Diagnostic {
    /// States a problem with a file that has no text to point at; the message names the file.
    pub(crate) fn without_place(
        code: Code,
        message: String,
        help: Option<&str>,
        file: &str,
    ) -> Self {
        Self {
            code,
            message,
            help: help.map(str::to_owned),
            weight: Weight::Refused,
            file: file.into(),
            place: None,
            is_rest: false,
        }
    }

    /// States a problem with an argument, in the words that the same in a file gets.
    pub fn of_argument(problem: &Problem) -> Self {
        let help = problem.help.as_deref();
        Self {
            weight: problem.weight,
            ..Self::without_place(problem.code, problem.message.clone(), help, "")
        }
    }

    /// Says another way to mend it.
    pub(crate) fn with_help(self, help: &str) -> Self {
        Self {
            help: Some(help.to_owned()),
            ..self
        }
    }

    /// Says that a file has more problems than are told.
    pub(crate) fn rest(file: &str) -> Self {
        let message = format!("`{file}` has more problems than these {MOST}");
        let help = "mend these first; most are of one sort";
        Self {
            is_rest: true,
            ..Self::without_place(Code::TOO_LARGE, message, Some(help), file)
        }
    }

    /// Returns the code, which has a page in `docs/errors/`.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Returns what it does to the input: a warning, or a refusal.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Returns what is wrong, as a lower-case fragment.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns how to mend it.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Returns the name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the bytes of the file's text that the problem is about.
    ///
    /// A byte order mark does not count.
    pub fn span(&self) -> Option<Range<usize>> {
        self.place.as_ref().map(|place| place.span.clone())
    }

    /// Returns the line and the column at which the problem begins, both counted from one.
    pub fn position(&self) -> Option<(usize, usize)> {
        let place = self.place.as_ref()?;
        Position::default().find(place.source.inner(), place.span.start)
    }

    /// Returns the line and the column behind the last character, both counted from one.
    pub fn end(&self) -> Option<(usize, usize)> {
        let place = self.place.as_ref()?;
        Position::default().find(place.source.inner(), place.span.end)
    }

    fn order(&self, other: &Self) -> Ordering {
        let key = |diagnostic: &Self| {
            let span = diagnostic.span().map(|span| (span.start, span.end));
            (diagnostic.is_rest, span)
        };
        (&self.file, key(self)).cmp(&(&other.file, key(other)))
    }

    /// Tells whether both say the same of the same place.
    fn repeats(&self, other: &Self) -> bool {
        self.file == other.file
            && self.span() == other.span()
            && self.code == other.code
            && self.message == other.message
            && self.help == other.help
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<Severity> {
        Some(match self.weight {
            Weight::Warning => Severity::Warning,
            Weight::Refused => Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        let place = self.place.as_ref()?;
        Some(&place.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(span))))
    }
}

/// Everything that is wrong with the files of one run, in the order of files and places; of one file
/// at most a hundred problems, and then a last one which says that there are more.
///
/// INVARIANT: never empty.
#[derive(Clone, Debug)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Gives `value` when nothing was found, else all that was.
    pub(crate) fn or_value<T>(found: Vec<Diagnostic>, value: T) -> Result<T, Self> {
        if found.is_empty() {
            Ok(value)
        } else {
            Err(Self::of(found))
        }
    }

    /// Takes what was found; it is something.
    pub(crate) fn of(mut found: Vec<Diagnostic>) -> Self {
        debug_assert!(!found.is_empty(), "an error without a problem");
        found.sort_by(Diagnostic::order);
        let mut told: Vec<Diagnostic> = Vec::new();
        let mut of_file = 0;
        for diagnostic in found {
            let last = told.last().filter(|last| last.file == diagnostic.file);
            match last {
                Some(last) if last.is_rest => continue,
                Some(_) => {}
                None => of_file = 0,
            }
            let begin = told.len().saturating_sub(of_file);
            let before = told.get(begin..).unwrap_or_default();
            // What an alias repeats, and what two readings find, is one problem.
            if before.iter().any(|one| one.repeats(&diagnostic)) {
                continue;
            }
            if of_file == MOST {
                told.push(Diagnostic::rest(&diagnostic.file));
            } else {
                of_file += 1;
                told.push(diagnostic);
            }
        }
        Self(told)
    }

    /// Takes over what else was found.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        Self::of(self.0)
    }

    /// Gives both values, or everything that is wrong with the one and with the other.
    pub fn both<A, B>(one: Result<A, Self>, other: Result<B, Self>) -> Result<(A, B), Self> {
        match (one, other) {
            (Ok(one), Ok(other)) => Ok((one, other)),
            (Err(one), Err(other)) => Err(one.merge(other)),
            (Err(found), _) | (_, Err(found)) => Err(found),
        }
    }

    /// Walks what was found.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            f.write_str(separator)?;
            // A message without a place names the file itself.
            if let Some((line, column)) = diagnostic.position() {
                write!(f, "{}:{line}:{column}: ", diagnostic.file)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl Error for Diagnostics {}

/// A problem with its place, before the text around it was made fit to be shown.
#[derive(Debug)]
pub(crate) struct Finding {
    code: Code,
    message: String,
    help: Option<String>,
    weight: Weight,
    span: Range<usize>,
}

impl Finding {
    pub(crate) fn new(code: Code, message: impl Into<String>, span: Range<usize>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            weight: Weight::Refused,
            span,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn weight(mut self, weight: Weight) -> Self {
        self.weight = weight;
        self
    }

    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Shows the finding in a masked text. No finding gets into a diagnostic elsewhere, so what it
    /// says is masked here too.
    pub(crate) fn shown_in(self, source: &Source, shown: &Arc<str>) -> Diagnostic {
        let parts = parts_of_secrets(source.text(), &self.span);
        let fit = |words: String| {
            let words = without_quoted(&words, &parts);
            concealed(&words, source.text()).into_owned()
        };
        Diagnostic {
            code: self.code,
            message: fit(self.message),
            help: self.help.map(fit),
            weight: self.weight,
            file: source.name().into(),
            place: Some(Box::new(Place {
                span: label(source.text(), self.span),
                source: NamedSource::new(source.name(), Arc::clone(shown)),
            })),
            is_rest: false,
        }
    }
}

/// Keeps the first line of a span: a label over half a file points at nothing.
fn label(text: &str, span: Range<usize>) -> Range<usize> {
    let end = span.end.min(text.len());
    let start = span.start.min(end);
    if start == text.len() && !text.ends_with(['\r', '\n']) {
        // Behind the last character there is nothing to point at.
        let last = text.chars().next_back().map_or(0, char::len_utf8);
        return start - last..start;
    }
    let length = text.get(start..end).map_or(0, |text| {
        let line = text.split(['\r', '\n']).next().unwrap_or_default();
        match line.trim_end().len() {
            // Blanks alone can be what is wrong.
            0 => line.len(),
            length => length,
        }
    });
    start..start + length
}
