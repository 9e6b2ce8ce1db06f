//! The parsed text of a file: plain values for the core, and where each of them stands.
//!
//! The core knows no file format and reports problems by path; here a path becomes a place.

mod expand;
mod report;
mod toml;
mod yaml;

use std::ops::Range;

use notify_core::problem::Segment;
use notify_core::{Path, Place};
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Finding, Location};
use crate::mask::Mask;
use crate::source::Source;

pub use self::expand::Expanded;
pub(crate) use self::report::without;

/// A file that was parsed.
#[derive(Clone, Debug)]
pub struct Document {
    source: Source,
    /// Whatever stands in the file may be a secret in the wrong place.
    guarded: bool,
    /// The root is a list of the file's documents.
    several: bool,
    root: Node,
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
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
struct Entry {
    key: String,
    key_span: Range<usize>,
    value: Node,
}

impl Document {
    /// Parses YAML, and with it JSON.
    ///
    /// # Errors
    ///
    /// The first place at which the text is not YAML.
    pub fn yaml(source: &Source) -> Result<Self, Diagnostic> {
        // A `notify.toml` that is taken for a definition is guarded all the same.
        let extension = std::path::Path::new(source.name()).extension();
        Self::parse(source, yaml::parse, extension == Some("toml".as_ref()))
    }

    /// Parses TOML.
    ///
    /// # Errors
    ///
    /// The first place at which the text is not TOML.
    pub fn toml(source: &Source) -> Result<Self, Diagnostic> {
        Self::parse(source, toml::parse, true)
    }

    fn parse(
        source: &Source,
        parse: fn(&str) -> Result<Root, Finding>,
        guarded: bool,
    ) -> Result<Self, Diagnostic> {
        let root = parse(source.text()).map_err(|finding| {
            // JSON is read as YAML, and its authors need not know.
            let is_json = std::path::Path::new(source.name()).extension() == Some("json".as_ref());
            let finding = if is_json {
                finding.reworded("YAML", "JSON")
            } else {
                finding
            };
            let mask = Mask {
                guarded,
                ..Mask::default()
            };
            finding.shown_in(source, &mask.apply(source.text()))
        })?;
        let (root, several) = match root {
            Root::One(root) => (root, false),
            Root::Several(root) => (root, true),
        };
        Ok(Self {
            source: source.clone(),
            guarded,
            several,
            root,
        })
    }

    /// Returns the text that was parsed.
    pub fn source(&self) -> &Source {
        &self.source
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
        Some(Location::new(&self.source, span.start))
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
                    .iter()
                    .find(|entry| entry.key == *key)
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
