//! YAML and JSON to nodes.

use std::fmt;
use std::ops::Range;

use notify_core::Code;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::granit_parser::ErrorKind;
use serde_saphyr::localizer::ExternalMessageSource;
use serde_saphyr::{Error, Location, Spanned};

use super::{Content, Entry, Node, Root};
use crate::diagnostic::Finding;

/// How many documents a file may hold.
const MAX_DOCUMENTS: usize = 1_000;

/// Parses a text: its one document, or a list of its documents.
pub(super) fn parse(text: &str) -> Result<Root, Finding> {
    let options = serde_saphyr::options! {
        // YAML 1.2: `yes`, `no`, `on` and `off` are texts.
        strict_booleans: true,
        ignore_binary_tag_for_string: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 50_000 },
        budget: serde_saphyr::budget! {
            max_documents: MAX_DOCUMENTS,
            max_depth: 32,
            flow_nesting_limit: 32,
            max_nodes: 100_000,
        },
    };
    let documents: Vec<Spanned<Raw>> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|err| finding(text, &err))?;
    let builder = Builder { text };
    let mut nodes: Vec<Node> = documents.into_iter().map(|one| builder.node(one)).collect();
    let end = text.trim_end().len();
    Ok(match nodes.len() {
        0 => Root::One(Node::new(end..end, Content::Scalar(Value::Null))),
        1 => Root::One(nodes.remove(0)),
        _ => Root::Several(Node::new(0..end, Content::List(nodes))),
    })
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
}

impl Builder<'_> {
    fn node(&self, raw: Spanned<Raw>) -> Node {
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
                Node::new(self.collection(span, end), Content::Map(entries))
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

fn finding(text: &str, err: &Error) -> Finding {
    let err = match err {
        Error::AliasError { error, .. } => error,
        other => other.without_snippet(),
    };
    let span = err.location().map_or(0..0, |at| bytes(text, at));
    let syntax = |message: &str| Finding::new(Code::SYNTAX, message, visible(text, span.clone()));
    let too_large = |message: &str| Finding::new(Code::TOO_LARGE, message, span.clone());
    match err {
        Error::DuplicateMappingKey { .. } => {
            let key = text.get(span.clone()).unwrap_or_default();
            let key = key.trim_matches(['"', '\'']);
            let message = format!("the key `{key}` stands here a second time");
            Finding::new(Code::DUPLICATE_KEY, message, span.clone())
                .help("remove one of them, or put what they say into one")
        }
        Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => too_large("there are too many documents in one file")
            .help("put some of them into files of their own"),
        Error::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => too_large("lists and maps are nested too deeply"),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            too_large("the document becomes too large when its aliases are written out")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            syntax("an alias stands within what it stands for")
        }
        Error::UnknownAnchor { .. } => {
            let word = word(text, span.clone());
            unknown_alias(|message| Finding::new(Code::SYNTAX, message, word.clone()))
        }
        Error::NullIntoString { .. } | Error::Unexpected { .. } => {
            syntax("a key is a text").help("put the key in quotes if it is meant as one")
        }
        Error::NonFiniteFloat { .. } => {
            Finding::new(Code::WRONG_VALUE, "not a finite number", span.clone())
                .help("put it in quotes if it is meant as a text")
        }
        Error::ExternalMessage { source, .. } => match &**source {
            ExternalMessageSource::Parser(err) => malformed(text, err.kind(), span.clone()),
            _ => syntax("not valid YAML"),
        },
        Error::MergeValueNotMapOrSeqOfMaps { .. } => syntax("`<<` takes a map or a list of maps"),
        _ => syntax("not valid YAML"),
    }
}

fn unknown_alias(syntax: impl Fn(&str) -> Finding) -> Finding {
    syntax("an alias to something that has no such name")
        .help("a `*` at the front of a text begins an alias in YAML: put the text in quotes")
}

/// Words a syntax error: the parser's own words are for people who know the grammar.
fn malformed(text: &str, kind: &ErrorKind, span: Range<usize>) -> Finding {
    let syntax = |message: &str| Finding::new(Code::SYNTAX, message, visible(text, span.clone()));
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => {
            let message = "a tab indents this line";
            Finding::new(Code::SYNTAX, message, tab_before(text, span.clone()))
                .help("YAML is indented with spaces")
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            syntax(&format!("this `{open}` is not closed"))
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            syntax(&format!("this `{open}` is closed by a `{close}`"))
        }
        ErrorKind::MisplacedFlowCollectionEnd => syntax("this bracket closes nothing"),
        ErrorKind::InvalidColonPlacement => syntax("a `:` in a place where none can be")
            .help("is a bracket or a quote above it not closed?"),
        ErrorKind::MappingValueNotAllowed => syntax("a `:` in a place where none can be").help(
            "a map begins on a line of its own, and each of its keys has a space after its `:`; \
             a text that holds `: ` is put in quotes",
        ),
        ErrorKind::CommentNotSeparated => syntax("a `#` in a place where none can be")
            .help("a `#` begins a comment in YAML: put a channel in quotes"),
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::DocumentIndicatorInQuotedScalar => {
            let before = text.get(..span.start).unwrap_or_default();
            let open = before.rfind(['"', '\'']).unwrap_or(span.start);
            Finding::new(Code::SYNTAX, "this quote is not closed", open..open + 1)
                .help("a text in quotes ends with the quote that it begins with")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            syntax("something follows a text in quotes")
                .help("is a quote above it not closed, or is there a quote within the text?")
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            let message = "an escape that YAML does not know";
            Finding::new(Code::SYNTAX, message, unknown_escape(text, span.clone()))
                .help("write `\\\\` for a backslash")
        }
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            let at = text
                .get(span.start..)
                .and_then(|rest| rest.find(*character));
            let at = at.map_or(span.clone(), |at| {
                let start = span.start + at;
                start..start + character.len_utf8()
            });
            Finding::new(Code::SYNTAX, "a control character", at)
                .help("is it a text file? remove the character")
        }
        ErrorKind::ExpectedFlowMappingSeparator => syntax("before this, a `,` or a `}` is missing"),
        ErrorKind::ExpectedFlowSequenceSeparator => {
            syntax("before this, a `,` or a `]` is missing")
        }
        ErrorKind::UnexpectedCharacter { character } => {
            syntax(&format!("no text begins with `{character}` in YAML"))
                .help("put the text in quotes")
        }
        ErrorKind::UnknownAnchor | ErrorKind::MissingAnchorOrAliasName => {
            let word = word(text, span.clone());
            unknown_alias(|message| Finding::new(Code::SYNTAX, message, word.clone()))
        }
        ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::ExpectedBlockMappingKey => {
            syntax("this line does not go on with the list or the map above it")
                .help("check its indentation")
        }
        ErrorKind::ExpectedDocumentStart => {
            syntax("this line does not belong to what stands above it")
                .help("is the file YAML or JSON? `notify.toml` is not a definition")
        }
        ErrorKind::RecursionLimitExceeded => Finding::new(
            Code::TOO_LARGE,
            "lists and maps are nested too deeply",
            span.clone(),
        ),
        ErrorKind::Custom(_) => syntax("not valid YAML"),
        // These have fixed texts, which quote nothing of the file.
        other => syntax(&format!("not valid YAML: {other}")),
    }
}

/// Finds the tab before a place in the same line.
fn tab_before(text: &str, span: Range<usize>) -> Range<usize> {
    let before = text.get(..span.start).unwrap_or_default();
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    let tab = before.get(line..).and_then(|blank| blank.find('\t'));
    tab.map_or(span, |tab| line + tab..line + tab + 1)
}

/// Finds the escape that YAML does not know in the text in quotes that begins at a place.
fn unknown_escape(text: &str, span: Range<usize>) -> Range<usize> {
    const KNOWN: &str = "0abt\tnvfre \"/\\N_LPxuU\r\n";
    let rest = text.get(span.start..).unwrap_or_default();
    let mut letters = rest.char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter != '\\' {
            continue;
        }
        if let Some((next, letter)) = letters.next()
            && !KNOWN.contains(letter)
        {
            return span.start + at..span.start + next + letter.len_utf8();
        }
    }
    span
}

/// Extends a place to the end of the word that begins there.
fn word(text: &str, span: Range<usize>) -> Range<usize> {
    let rest = text.get(span.start..).unwrap_or_default();
    let end = rest.find(|letter: char| letter.is_whitespace() || ",[]{}".contains(letter));
    span.start..span.start + end.unwrap_or(rest.len()).max(span.len())
}

/// Moves a place at the end of the text to its last line.
fn visible(text: &str, span: Range<usize>) -> Range<usize> {
    let end = text.trim_end().len();
    if span.start >= end { end..end } else { span }
}
