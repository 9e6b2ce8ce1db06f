//! What is wrong with a file, a spec or an event: place, problem and fix, as a value.
//!
//! Problems are collected, never thrown at the first; [`Problems`] is what every loader returns.

use std::borrow::Cow;
use std::fmt;

use crate::text::shown;

/// A stable error code with a page in `docs/errors/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal;)+) => {
        impl Code {
            $($(#[doc = $doc])+ pub const $name: Self = Self($number);)+

            /// Every code that exists.
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

codes! {
    /// A file cannot be read.
    UNREADABLE = 1;
    /// A file is larger than a definition or a configuration can be.
    TOO_LARGE = 2;
    /// A file is not the YAML, JSON or TOML that it should be.
    SYNTAX = 3;
    /// The same key stands twice in one map.
    DUPLICATE_KEY = 4;
    /// A key that nothing reads.
    UNKNOWN_KEY = 5;
    /// A key that must be there is missing.
    MISSING_KEY = 6;
    /// A value of the wrong type or form.
    WRONG_VALUE = 7;
    /// A notification names no phase.
    NO_PHASE = 8;
    /// A notification names a phase that is not an end.
    NOT_TERMINAL = 9;
    /// A notification names a phase that does not exist.
    UNKNOWN_PHASE = 10;
    /// A notification names no recipient.
    NO_RECIPIENT = 11;
    /// A recipient that is not of the form its kind wants.
    MALFORMED_RECIPIENT = 12;
    /// A kind that no linked provider has.
    UNKNOWN_KIND = 13;
    /// A notification without a kind, or with several.
    ONE_KIND = 14;
    /// An account that is not configured.
    UNKNOWN_ACCOUNT = 15;
    /// A kind has several accounts and it is not said which one to use.
    AMBIGUOUS_ACCOUNT = 16;
    /// An account cannot reach a recipient.
    UNREACHABLE_RECIPIENT = 17;
    /// A secret stands in a file.
    INLINE_SECRET = 18;
    /// A file declares nothing.
    EMPTY = 19;
    /// A workflow is declared twice.
    DECLARED_TWICE = 20;
    /// A notification is repeated whole.
    REPEATED = 21;
    /// A template says something that it cannot say.
    TEMPLATE = 22;
    /// A template that is not there is used.
    UNKNOWN_TEMPLATE = 23;
    /// A variable in a text is not set, or it is not written as one.
    VARIABLE = 24;
    /// A pattern of file names matches no file.
    NO_MATCH = 25;
    /// A file with a secret can be read by others than its owner.
    LOOSE_SECRET = 26;
    /// A setting gives up a protection.
    UNPROTECTED = 27;
    /// The default account of a kind is switched off.
    SWITCHED_OFF = 28;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NOTIFY-{:04}", self.0)
    }
}

/// One step from the root of a document towards a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// The value under this key.
    Key(String),
    /// The item at this index, counted from zero.
    Index(usize),
}

impl From<&str> for Segment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Segment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The way from the root of a document to a value: `notifications[1].slack`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Segment>);

impl Path {
    /// Returns the path of the document's root.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Returns this path, one step further.
    #[must_use]
    pub fn then(&self, segment: impl Into<Segment>) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment.into());
        Self(segments)
    }

    /// Returns this path, one step nearer to the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        let segments = self.0.split_last().map_or(&[][..], |(_, parents)| parents);
        Self(segments.to_vec())
    }

    /// Returns this path followed by another.
    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// Returns the steps from the root on.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                // A key is whatever its author wrote: control characters, too long.
                Segment::Key(key) if position == 0 => f.write_str(&shown(key))?,
                Segment::Key(key) => write!(f, ".{}", shown(key))?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// What a problem points at: the value at a path, or the key it stands under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The value itself.
    #[default]
    Value,
    /// The key that leads to the value.
    Key,
}

/// What a problem does to the input it was found in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// The input is used all the same; its author should know.
    Warning,
    /// The input is refused.
    #[default]
    Refused,
}

/// One thing that is wrong, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Which kind of problem it is.
    pub code: Code,
    /// Where it is, from the root of what was loaded.
    pub path: Path,
    /// What at that path it is about.
    pub place: Place,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// The value at this place is a secret and must not be shown with the problem.
    pub sensitive: bool,
    /// What it does to the input. Errors of loaders hold only what is refused; warnings come beside
    /// the value, from [`Workflow::warnings`](crate::Workflow::warnings).
    pub weight: Weight,
    /// What can be said where the value must not be.
    plain: Box<Plain>,
}

/// Message and help without anything that the author wrote; `None` where that is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Plain {
    message: Option<Cow<'static, str>>,
    help: Option<Cow<'static, str>>,
}

/// Gives a text, and once more where the program itself holds it: then it quotes nobody.
fn own(text: Cow<'static, str>) -> (String, Option<Cow<'static, str>>) {
    let own = match text {
        Cow::Borrowed(own) => Some(Cow::Borrowed(own)),
        Cow::Owned(_) => None,
    };
    (text.into_owned(), own)
}

impl Problem {
    /// States a problem with the value at `path`.
    ///
    /// A literal is known to quote nothing; for a message that was put together
    /// [`Problem::plainly`] says what holds without the quotes.
    pub fn new(code: Code, path: Path, message: impl Into<Cow<'static, str>>) -> Self {
        let (message, plain) = own(message.into());
        Self {
            code,
            path,
            place: Place::Value,
            plain: Box::new(Plain {
                message: plain,
                help: None,
            }),
            message,
            help: None,
            sensitive: false,
            weight: Weight::Refused,
        }
    }

    /// States something that is used as it is, but which its author hardly meant.
    pub fn warning(code: Code, path: Path, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            weight: Weight::Warning,
            ..Self::new(code, path, message)
        }
    }

    /// States a problem with a text that stands at `path`.
    pub fn malformed(code: Code, path: Path, why: Malformed) -> Self {
        Self {
            help: why.help,
            sensitive: why.sensitive,
            plain: why.plain,
            ..Self::new(code, path, why.message)
        }
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        let (help, plain) = own(help.into());
        self.plain.help = plain;
        self.help = Some(help);
        self
    }

    /// Says what the message says without what the author wrote.
    ///
    /// It is shown in place of the message where the value comes from a variable of the
    /// environment, which may be a secret.
    #[must_use]
    pub fn plainly(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.plain.message = Some(message.into());
        self
    }

    /// Returns the message without what the author wrote, where there is one.
    pub fn plain(&self) -> Option<&str> {
        self.plain.message.as_deref()
    }

    /// Returns the help, where it is known to quote nothing that the author wrote.
    pub fn plain_help(&self) -> Option<&str> {
        self.plain.help.as_deref()
    }

    /// Points at the key instead of the value.
    #[must_use]
    pub fn at_key(mut self) -> Self {
        self.place = Place::Key;
        self
    }

    /// Puts the place below `parent`.
    #[must_use]
    pub fn under(mut self, parent: &Path) -> Self {
        self.path = parent.join(&self.path);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.segments().is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// Everything that is wrong with one input. Never empty where it is returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Returns an empty collection.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds one problem.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Takes over all problems of a part that stands below `parent`, and gives its value if it has one.
    pub fn absorb<T>(&mut self, parent: &Path, result: Result<T, Self>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problems) => {
                self.extend(problems.0.into_iter().map(|problem| problem.under(parent)));
                None
            }
        }
    }

    /// Gives `value` when nothing is wrong, else all the problems.
    pub fn or_value<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// Tells whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Walks the problems.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl Extend<Problem> for Problems {
    fn extend<T: IntoIterator<Item = Problem>>(&mut self, problems: T) {
        self.0.extend(problems);
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Why a text is not a value of some typed form, without saying where the text stood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Malformed {
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The text is a secret and must not be shown.
    pub sensitive: bool,
    plain: Box<Plain>,
}

impl Malformed {
    /// States what is wrong.
    ///
    /// A literal is known to quote nothing; for a message that was put together
    /// [`Malformed::plainly`] says what holds without the quotes.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        let (message, plain) = own(message.into());
        Self {
            plain: Box::new(Plain {
                message: plain,
                help: None,
            }),
            message,
            help: None,
            sensitive: false,
        }
    }

    /// States what is wrong in words that were put together, but quote nothing of the text.
    pub fn unquoting(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(message.clone()).plainly(message)
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        let (help, plain) = own(help.into());
        self.plain.help = plain;
        self.help = Some(help);
        self
    }

    /// Says what the message says without the text itself: see [`Problem::plainly`].
    #[must_use]
    pub fn plainly(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.plain.message = Some(message.into());
        self
    }

    /// Marks the text as a secret that must not be shown.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Gives the whole of it as one text, the only thing that a serde error can carry.
    pub fn in_serde(&self) -> String {
        let secret = if self.sensitive { SECRET } else { "" };
        let plain = self.plain.message.as_deref();
        let mut text = match plain {
            Some(plain) if plain == self.message => format!("{secret}{plain}"),
            Some(plain) => format!("{secret}{QUOTING}{}{PLAINLY}{plain}", self.message),
            None => format!("{secret}{QUOTING}{}", self.message),
        };
        if let Some(help) = &self.help {
            let of_own = self.plain.help.as_deref() == Some(help);
            text.push_str(if of_own { HELP } else { QUOTING_HELP });
            text.push_str(help);
        }
        text
    }

    /// Reads what [`Malformed::in_serde`] wrote; any other text is a message.
    pub(crate) fn from_serde(text: &str) -> Self {
        let (sensitive, text) = text_after(text, SECRET);
        let (text, help, of_own) = match (text.split_once(QUOTING_HELP), text.split_once(HELP)) {
            (Some((text, help)), _) => (text, Some(help.to_owned()), false),
            (None, Some((text, help))) => (text, Some(help.to_owned()), true),
            (None, None) => (text, None, false),
        };
        let (quoting, text) = text_after(text, QUOTING);
        let (message, plain) = match text.split_once(PLAINLY) {
            Some((message, plain)) => (message, Some(plain)),
            None => (text, Some(text).filter(|_| !quoting)),
        };
        let owned = |text: &str| Cow::Owned(text.to_owned());
        Self {
            message: message.to_owned(),
            sensitive,
            plain: Box::new(Plain {
                message: plain.map(owned),
                help: help.as_deref().filter(|_| of_own).map(owned),
            }),
            help,
        }
    }

    /// Forgets what could be said plainly: it is not known any more what the message quotes.
    pub(crate) fn quoting(mut self) -> Self {
        self.plain = Box::default();
        self
    }
}

fn text_after<'a>(text: &'a str, prefix: &str) -> (bool, &'a str) {
    match text.strip_prefix(prefix) {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

const SECRET: &str = "secret: ";
const QUOTING: &str = "quoting: ";
const PLAINLY: &str = "; plainly: ";
const HELP: &str = "; help: ";
const QUOTING_HELP: &str = "; quoting help: ";

/// Prints an error with its causes, on one line.
///
/// Every `Display` says only its own level; this is for where a person reads the whole.
pub fn chain(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Finds the known name that `text` most probably stands for.
///
/// At most a third of the letters may differ: a far-fetched guess misleads more than none.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = text.chars().count();
    let bound = (length / 3).max(1);
    known
        .into_iter()
        // A text of a megabyte is compared with nothing.
        .filter(|name| name.chars().count().abs_diff(length) <= bound)
        .map(|name| (edits(text, name), name))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, name)| name)
}

/// Counts insertions, deletions, replacements and swaps of neighbours between two short texts.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, left) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, right) in to.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&last, column + 1) + 1)
                .min(at(&current, column) + 1)
                .min(at(&last, column) + usize::from(left != right));
            let swapped = row > 0
                && column > 0
                && from.get(row - 1) == Some(right)
                && to.get(column - 1) == Some(left);
            if swapped {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_numbered_from_one_without_a_gap() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert_eq!(usize::from(code.0), index + 1);
        }
        assert_eq!(Code::MALFORMED_RECIPIENT.to_string(), "NOTIFY-0012");
    }

    #[test]
    fn what_quotes_nothing_is_known_through_serde_too() {
        let quoting = Malformed::new(format!("`{}`: no name", "x")).help(format!("not {}", "x"));
        let table = [
            (
                Malformed::new("no name").help("write one"),
                Some("no name"),
                Some("write one"),
            ),
            (Malformed::new("no name").sensitive(), Some("no name"), None),
            (quoting.clone(), None, None),
            (quoting.plainly("no name"), Some("no name"), None),
        ];
        for (why, message, help) in table {
            let read = Malformed::from_serde(&why.in_serde());
            assert_eq!(read, why);
            let problem = Problem::malformed(Code::WRONG_VALUE, Path::root(), read);
            assert_eq!((problem.plain(), problem.plain_help()), (message, help));
        }
    }

    #[test]
    fn what_an_author_wrote_is_shown_bounded_and_without_control_characters() {
        let key = format!("a\u{1b}[31m\u{202e}{}", "x".repeat(1_000_000));
        let shown = Path::root().then(key.as_str()).then(0).to_string();
        assert!(shown.len() < 200 && shown.ends_with("…[0]"), "{shown}");
        assert!(shown.starts_with("a\\u{1b}[31m\\u{202e}x"), "{shown}");
        assert_eq!(Path::root().then("a").then("b-ü").to_string(), "a.b-ü");
    }

    #[test]
    fn the_nearest_name_is_close_or_none() {
        let known = ["email", "slack", "pagerduty"];
        assert_eq!(nearest("emial", known), Some("email"));
        assert_eq!(nearest("pager_duty", known), Some("pagerduty"));
        assert_eq!(nearest("slck", known), Some("slack"));
        assert_eq!(nearest("telegram", known), None);
        assert_eq!(nearest("", known), None);
    }
}
