//! YAML to nodes.

mod guess;
mod syntax;

use std::fmt;
use std::ops::Range;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, Spanned};

use self::syntax::finding;
use super::{Content, Entry, Node, Parsed, Root};
use crate::diagnostic::Finding;

/// How many documents a file may hold.
const MAX_DOCUMENTS: usize = 1_000;

/// How many lists, maps and scalars a file may hold.
const MAX_NODES: usize = 100_000;

/// Parses a text: its one document, or a list of its documents.
pub(super) fn parse(text: &str) -> Result<Parsed, Vec<Finding>> {
    let raw = match read(text, DuplicateKeyPolicy::Error) {
        Ok(raw) => raw,
        Err(err) => {
            let first = finding(text, &err);
            if !matches!(err.without_snippet(), Error::DuplicateMappingKey { .. }) {
                return Err(vec![first]);
            }
            // Leniently, so that the others and everything else is told as well.
            return match read(text, DuplicateKeyPolicy::LastWins) {
                Ok(raw) => {
                    let mut parsed = build(text, raw);
                    let is_told = |one: &Finding| one.span() == first.span();
                    if !parsed.repeated.iter().any(is_told) {
                        parsed.repeated.push(first);
                    }
                    Ok(parsed)
                }
                Err(err) => Err(vec![first, finding(text, &err)]),
            };
        }
    };
    Ok(build(text, raw))
}

fn read(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Vec<Spanned<Raw>>, Error> {
    let options = serde_saphyr::options! {
        duplicate_keys: duplicate_keys,
        // YAML 1.2: `yes`, `no`, `on` and `off` are texts.
        strict_booleans: true,
        ignore_binary_tag_for_string: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 50_000 },
        budget: serde_saphyr::budget! {
            max_documents: MAX_DOCUMENTS,
            max_depth: 32,
            flow_nesting_limit: 32,
            max_nodes: MAX_NODES,
        },
    };
    serde_saphyr::from_multiple_with_options(text, options)
}

fn build(text: &str, documents: Vec<Spanned<Raw>>) -> Parsed {
    let mut builder = Builder {
        text,
        repeated: Vec::new(),
    };
    let mut nodes: Vec<Node> = documents.into_iter().map(|one| builder.node(one)).collect();
    let end = text.trim_end().len();
    let root = match nodes.len() {
        0 => Root::One(Node::new(end..end, Content::Scalar(Value::Null))),
        1 => Root::One(nodes.remove(0)),
        _ => Root::Several(Node::new(0..end, Content::List(nodes))),
    };
    Parsed {
        root,
        repeated: builder.repeated,
    }
}

/// What the parser gives: places of scalars are whole, those of lists and maps only begin.
enum Raw {
    Scalar(Value),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Raw, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?;
        Ok(Raw::Scalar(Value::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

/// How far from an empty value a comment is looked for.
const NEAR: usize = 256;

struct Builder<'a> {
    text: &'a str,
    repeated: Vec<Finding>,
}

impl Builder<'_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        // Where an alias is used, what is wrong stands at the anchor.
        let span = self.span(raw.defined);
        match raw.value {
            Raw::Scalar(value) => {
                let span = match value {
                    Value::Null => self.nothing(span),
                    _ => span,
                };
                Node::new(span, Content::Scalar(value))
            }
            Raw::List(items) => {
                let items: Vec<Node> = items.into_iter().map(|item| self.node(item)).collect();
                let span = self.collection(span, items.last().map(|item| item.span.end));
                Node::new(span, Content::List(items))
            }
            Raw::Map(entries) => {
                let entries: Vec<Entry> = entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        key_span: self.span(key.defined),
                        key: key.value,
                        value: self.node(value),
                    })
                    .collect();
                let end = entries.last().map(|entry| entry.value.span.end);
                let span = self.collection(span, end);
                Node::new(span, Content::map(entries, &mut self.repeated))
            }
        }
    }

    fn span(&self, location: Location) -> Range<usize> {
        bytes(self.text, location)
    }

    /// Finds the comment that took the place of a value: `slack: #alerts`.
    fn nothing(&self, span: Range<usize>) -> Range<usize> {
        if !span.is_empty() {
            return span;
        }
        // Only near the place: a line can be as long as the file, with a thousand empty values.
        let from = self
            .text
            .floor_char_boundary(span.start.saturating_sub(NEAR));
        let to = self
            .text
            .ceil_char_boundary(span.start.saturating_add(NEAR));
        let line = self.text.get(from..span.start).unwrap_or_default();
        let line = line.rfind('\n').map_or(from, |at| from + at + 1);
        let line_end = self.text.get(span.start..to).unwrap_or_default();
        let line_end = span.start + line_end.find(['\r', '\n']).unwrap_or(line_end.len());
        // A list's empty item is placed behind the comment, a key's before it.
        let from = if line_end == span.start {
            line
        } else {
            span.start
        };
        let comment = self
            .text
            .get(from..line_end)
            .and_then(|text| text.find(" #"));
        match comment {
            Some(at) => from + at + 1..line_end,
            None => span,
        }
    }

    /// Finds the end of a list or a map whose last part ends at `last`.
    fn collection(&self, begin: Range<usize>, last: Option<usize>) -> Range<usize> {
        let last = last.unwrap_or(begin.end).max(begin.end);
        let close = match self.text.get(begin.clone()) {
            Some("[") => ']',
            Some("{") => '}',
            _ => return begin.start..last,
        };
        let mut in_comment = false;
        for (at, letter) in self.text.get(last..).unwrap_or_default().char_indices() {
            match letter {
                _ if in_comment => in_comment = letter != '\n',
                '#' => in_comment = true,
                _ if letter == close => return begin.start..last + at + 1,
                ',' | ':' => {}
                _ if letter.is_whitespace() => {}
                _ => break,
            }
        }
        begin.start..last
    }
}

/// Finds the bytes of a place; syntax errors are placed by characters only.
fn bytes(text: &str, location: Location) -> Range<usize> {
    let span = location.span();
    let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    if let (Some(start), Some(length)) = (span.byte_offset(), span.byte_len()) {
        let start = index(start).min(text.len());
        return start..start.saturating_add(index(length)).min(text.len());
    }
    let begin = text.char_indices().nth(index(span.offset()));
    match begin {
        Some((at, letter)) => at..at + letter.len_utf8(),
        None => text.len()..text.len(),
    }
}
