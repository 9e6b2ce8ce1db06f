//! The mistakes that keep a text from being YAML, in words.

use std::ops::Range;

use notify_core::Code;
use serde_saphyr::Error;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::granit_parser::ErrorKind;
use serde_saphyr::localizer::ExternalMessageSource;

use super::{MAX_NODES, bytes, guess};
use crate::diagnostic::Finding;
use crate::document::second_time;

pub(super) fn finding(text: &str, err: &Error) -> Finding {
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
            second_time(key.trim_matches(['"', '\'']), span.clone())
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
        // What aliases stand for counts as often as it is read.
        Error::Budget {
            breach: BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. },
            ..
        } if !text.contains('*') => too_large(&format!(
            "there are more than {MAX_NODES} values in one file"
        ))
        .help("put some of the workflows into files of their own"),
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
            if let Some(template) = guess::template_without_quotes(text, &span) {
                return template;
            }
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
    let guessed = match kind {
        ErrorKind::InvalidColonPlacement | ErrorKind::MappingValueNotAllowed => {
            guess::look_alike(text, &span).or_else(|| guess::deeper(text, &span))
        }
        ErrorKind::SimpleKeyExpected
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedDocumentStart => guess::look_alike(text, &span),
        _ => None,
    };
    let guessed = guessed.or_else(|| guess::template_without_quotes(text, &span));
    if let Some(guessed) = guessed {
        return guessed;
    }
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
            let open = guess::open_quote(text.get(..span.start).unwrap_or_default());
            let open = open
                .or_else(|| guess::open_quote(text))
                .unwrap_or(span.start);
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
        ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::BlockEntryInFlowCollection => {
            syntax("a `- ` in a place where no list can be")
                .help("is a bracket or a quote above it not closed?")
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
pub(in crate::document) fn unknown_escape(text: &str, span: Range<usize>) -> Range<usize> {
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
