//! The parsed text of a file: plain values for the core, and where each of them stands.
//!
//! The core knows no file format and reports problems by path; here a path becomes a place.

mod toml;
mod yaml;

use std::ops::Range;

use notify_core::problem::Segment;
use notify_core::secret::looks_secret;
use notify_core::{Path, Place, Problems};
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Finding};
use crate::mask::Mask;
use crate::source::Source;

/// A file that was parsed.
#[derive(Clone, Debug)]
pub struct Document {
    source: Source,
    /// Whatever stands in the file may be a secret in the wrong place.
    guarded: bool,
    root: Node,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
struct Node {
    span: Range<usize>,
    content: Content,
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
        parse: fn(&str) -> Result<Node, Finding>,
        guarded: bool,
    ) -> Result<Self, Diagnostic> {
        let root = parse(source.text()).map_err(|finding| {
            let mask = Mask {
                guarded,
                ..Mask::default()
            };
            finding.shown_in(source, &mask.apply(source.text()))
        })?;
        Ok(Self {
            source: source.clone(),
            guarded,
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

    /// Gives the plain value.
    pub fn to_value(&self) -> Value {
        self.root.to_value()
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

    /// Gives the problems of the document's value their places.
    pub(crate) fn diagnostics(&self, problems: &Problems) -> Vec<Diagnostic> {
        let mut mask = Mask {
            guarded: self.guarded,
            ..Mask::default()
        };
        for problem in problems {
            let found = self.find(&problem.path);
            if problem.sensitive {
                mask.hidden.push(found.node.span.clone());
            } else if problem.place == Place::Key {
                mask.open.extend(found.key.cloned());
            } else if found.is_read() {
                mask.open.push(found.node.span.clone());
            }
        }
        self.root.secret_looking(&mut mask.hidden);
        let shown = mask.apply(self.source.text());
        problems
            .iter()
            .map(|problem| {
                let span = self.span(&problem.path, problem.place);
                let finding = Finding::new(problem.code, problem.message.clone(), span)
                    .weight(problem.weight);
                let finding = match &problem.help {
                    Some(help) => finding.help(help),
                    None => finding,
                };
                finding.shown_in(&self.source, &shown)
            })
            .collect()
    }

    fn find(&self, path: &Path) -> Found<'_> {
        let mut found = Found {
            node: &self.root,
            key: None,
            depth: 0,
        };
        for segment in path.segments() {
            match (&found.node.content, segment) {
                (Content::Map(entries), Segment::Key(key)) => {
                    if let Some(entry) = entries.iter().find(|entry| entry.key == *key) {
                        found = Found {
                            node: &entry.value,
                            key: Some(&entry.key_span),
                            depth: found.depth + 1,
                        };
                    }
                }
                (Content::List(items), Segment::Index(index)) => {
                    if let Some(node) = items.get(*index) {
                        found = Found {
                            node,
                            key: None,
                            depth: found.depth + 1,
                        };
                    }
                }
                _ => {}
            }
        }
        found
    }
}

struct Found<'a> {
    node: &'a Node,
    key: Option<&'a Range<usize>>,
    depth: usize,
}

impl Found<'_> {
    /// Tells whether somebody read the value as something that is not a secret.
    ///
    /// What stands where only tables can (`[accounts.slack]`, `token = "…"`) was read by nobody:
    /// the keys of an account are the fourth step of a path.
    fn is_read(&self) -> bool {
        matches!(self.node.content, Content::Scalar(_)) && self.depth > 3
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
