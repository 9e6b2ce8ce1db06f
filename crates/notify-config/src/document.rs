//! The parsed text of a file: plain values for the core, and where each of them stands.
//!
//! The core knows no file format and reports problems by path; here a path becomes a place.

mod expand;
mod json;
mod report;
mod toml;
mod wording;
mod yaml;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::OnceLock;

use notify_core::problem::Segment;
use notify_core::{Code, Path, Place, Problems};
use serde_json::Value;

use crate::diagnostic::{Diagnostics, Finding, Location, Positions};
use crate::mask::Mask;
use crate::source::Source;

pub(crate) use self::expand::AsWritten;
pub use self::expand::Expanded;
pub(crate) use self::report::without;

/// A file that was parsed.
#[derive(Clone, Debug)]
pub struct Document {
    source: Source,
    format: Format,
    positions: OnceLock<Positions>,
    /// It is TOML: whatever stands in it may be a secret in the wrong place.
    guarded: bool,
    /// The root is a list of the file's documents.
    several: bool,
    root: Node,
}

/// The language of a file, which its problems are told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Yaml,
    Json,
    Toml,
}

/// Gives the words of a file that are no secrets.
pub(crate) type Known<'a> = &'a dyn Fn() -> BTreeSet<String>;

/// A text that was parsed, and the keys that stand in it a second time.
struct Parsed {
    root: Root,
    repeated: Vec<Finding>,
}

/// What a text is.
enum Root {
    /// One document.
    One(Node),
    /// A list of documents.
    Several(Node),
}

/// A value and where it stands.
#[derive(Clone, Debug)]
struct Node {
    span: Range<usize>,
    content: Content,
    /// What was written where a variable's value stands now.
    expanded: Option<Box<Expanded>>,
}

#[derive(Clone, Debug)]
enum Content {
    /// A text, a number, true, false or nothing.
    Scalar(Value),
    List(Vec<Node>),
    /// In the order of the keys, each once.
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
struct Entry {
    key: String,
    key_span: Range<usize>,
    value: Node,
}

impl Document {
    /// Parses YAML; JSON where the file's name says that it is.
    ///
    /// # Errors
    ///
    /// The first place at which the text is not what it should be, or every key that stands a
    /// second time.
    pub fn yaml(source: &Source) -> Result<Self, Diagnostics> {
        Self::read_yaml(source).and_then(Self::strictly)
    }

    /// Parses TOML.
    ///
    /// # Errors
    ///
    /// The first place at which the text is not TOML, or every key that stands a second time.
    pub fn toml(source: &Source) -> Result<Self, Diagnostics> {
        Self::read_toml(source, &BTreeSet::new).and_then(Self::strictly)
    }

    /// Parses YAML or JSON; gives the keys that stand a second time, which are left out.
    pub(crate) fn read_yaml(source: &Source) -> Result<(Self, Vec<Finding>), Diagnostics> {
        let extension = std::path::Path::new(source.name()).extension();
        if extension == Some("json".as_ref()) {
            return Self::parse(source, Format::Json, json::parse, None);
        }
        // A `notify.toml` that is taken for a definition is guarded all the same.
        let known: Known<'_> = &BTreeSet::new;
        let guard = (extension == Some("toml".as_ref())).then_some(known);
        Self::parse(source, Format::Yaml, yaml::parse, guard)
    }

    /// Parses TOML; gives the keys that stand a second time, which are left out.
    ///
    /// Where it is broken, its known words are all that is shown of it.
    pub(crate) fn read_toml(
        source: &Source,
        known: Known<'_>,
    ) -> Result<(Self, Vec<Finding>), Diagnostics> {
        Self::parse(source, Format::Toml, toml::parse, Some(known))
    }

    fn strictly((document, repeated): (Self, Vec<Finding>)) -> Result<Self, Diagnostics> {
        let found = document.report(&Problems::none(), repeated);
        Diagnostics::or_value(found, document)
    }

    fn parse(
        source: &Source,
        format: Format,
        parse: fn(&str) -> Result<Parsed, Vec<Finding>>,
        guard: Option<Known<'_>>,
    ) -> Result<(Self, Vec<Finding>), Diagnostics> {
        let Parsed { root, repeated } = parse(source.text()).map_err(|found| {
            let mask = match guard {
                Some(known) => Mask::of_broken_toml(known()),
                None => Mask::default(),
            };
            let shown = mask.apply(source.text());
            let found = found.into_iter();
            Diagnostics::of(found.map(|one| one.shown_in(source, &shown)).collect())
        })?;
        let (root, several) = match root {
            Root::One(root) => (root, false),
            Root::Several(root) => (root, true),
        };
        let document = Self {
            source: source.clone(),
            format,
            positions: OnceLock::new(),
            guarded: guard.is_some(),
            several,
            root,
        };
        Ok((document, repeated))
    }

    /// Returns the text that was parsed.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Drops all sections but these.
    pub(crate) fn keep(&mut self, sections: &[&str]) {
        if let Content::Map(entries) = &mut self.root.content {
            entries.retain(|entry| sections.contains(&entry.key.as_str()));
        }
    }

    /// Says advice in the language of the file.
    pub(crate) fn word(&self, advice: &str) -> String {
        self.format.word(advice)
    }

    /// Tells whether nothing stands in the file but comments.
    pub fn is_empty(&self) -> bool {
        matches!(self.root.content, Content::Scalar(Value::Null))
    }

    /// Gives the plain value; of several documents a list.
    pub fn to_value(&self) -> Value {
        self.root.to_value()
    }

    /// Gives the paths of the documents that the file holds.
    pub fn documents(&self) -> Vec<Path> {
        let root = Path::root();
        match &self.root.content {
            Content::List(documents) if self.several => {
                (0..documents.len()).map(|index| root.then(index)).collect()
            }
            _ => vec![root],
        }
    }

    /// Finds where a value or its key stands.
    ///
    /// It goes as deep as the document goes and skips what the document leaves out: the first
    /// recipient is `slack.to[0]` even where the file says `slack: "#alerts"`.
    pub fn span(&self, path: &Path, place: Place) -> Range<usize> {
        let found = self.find(path);
        match (place, found.key) {
            (Place::Key, Some(key)) => key.clone(),
            // Nothing stands there: point at the key that nothing stands under.
            (Place::Value, Some(key)) if found.node.span.is_empty() => key.clone(),
            _ => found.node.span.clone(),
        }
    }

    /// Finds the line and the column of what stands at exactly this path.
    pub(crate) fn location(&self, path: &Path) -> Option<Location> {
        let found = self.find(path);
        if !found.whole {
            return None;
        }
        let span = self.span(path, Place::Value);
        let positions = self
            .positions
            .get_or_init(|| Positions::of(self.source.text()));
        let (line, column) = positions.find(self.source.text(), span.start)?;
        Some(Location {
            file: self.source.name().into(),
            line,
            column,
        })
    }

    /// Finds a part of the text at a path where it stands in the file.
    ///
    /// `None` where the text is written with escapes or folds, so that its parts have no place.
    pub(crate) fn within(
        &self,
        path: &Path,
        text: &str,
        part: &Range<usize>,
    ) -> Option<Range<usize>> {
        let span = self.find(path).node.span.clone();
        let written = self.source.text().get(span.start..)?;
        let value = self.source.text().get(span.clone())?;
        if let Some(at) = value.find(text) {
            return Some(span.start + at + part.start..span.start + at + part.end);
        }
        // A text of several lines is indented as a whole: each of its lines is in one of the file's.
        let before = text.get(..part.start)?;
        let line = before.matches('\n').count();
        let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        let of_text = text.get(begin..)?.lines().next()?.trim_end();
        let mut at = span.start;
        for (index, of_file) in written.split_inclusive('\n').enumerate() {
            if index == line {
                let indent = of_file.find(of_text)?;
                let start = at + indent + part.start - begin;
                let blank = of_file.get(..indent)?.trim().is_empty();
                return blank.then(|| start..start + part.len());
            }
            at += of_file.len();
        }
        None
    }

    fn find(&self, path: &Path) -> Found<'_> {
        let mut found = Found {
            node: &self.root,
            key: None,
            steps: Vec::new(),
            whole: true,
        };
        for segment in path.segments() {
            let step = match (&found.node.content, segment) {
                (Content::Map(entries), Segment::Key(key)) => entries
                    .binary_search_by(|entry| entry.key.as_str().cmp(key))
                    .ok()
                    .and_then(|index| entries.get(index))
                    .map(|entry| (&entry.value, Some(&entry.key_span), entry.key.as_str())),
                (Content::List(items), Segment::Index(index)) => {
                    items.get(*index).map(|node| (node, None, ""))
                }
                _ => None,
            };
            match step {
                Some((node, key, name)) => {
                    (found.node, found.key) = (node, key);
                    found.steps.push(name);
                }
                None => found.whole = false,
            }
        }
        found
    }
}

struct Found<'a> {
    node: &'a Node,
    key: Option<&'a Range<usize>>,
    /// The keys on the way, empty for an item of a list.
    steps: Vec<&'a str>,
    /// Nothing of the path was left out.
    whole: bool,
}

impl Content {
    /// Makes a map; of keys that are the same the first stays, and the others are told.
    fn map(mut entries: Vec<Entry>, repeated: &mut Vec<Finding>) -> Self {
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        entries.dedup_by(|second, first| {
            let same = second.key == first.key;
            if same {
                repeated.push(second_time(&second.key, second.key_span.clone()));
            }
            same
        });
        Self::Map(entries)
    }
}

fn second_time(key: &str, place: Range<usize>) -> Finding {
    let message = format!("the key `{key}` stands here a second time");
    Finding::new(Code::DUPLICATE_KEY, message, place)
        .help("remove one of them, or put what they say into one")
}

impl Node {
    fn new(span: Range<usize>, content: Content) -> Self {
        Self {
            span,
            content,
            expanded: None,
        }
    }

    fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Self::to_value).collect(),
            Content::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_value()))
                .collect(),
        }
    }
}
