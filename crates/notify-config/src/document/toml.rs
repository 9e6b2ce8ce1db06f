//! TOML to nodes.

use std::ops::Range;

use notify_core::Code;
use serde_json::{Number, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue, Error};

use super::{Content, Entry, Node, Parsed, Root};
use crate::diagnostic::Finding;

pub(super) fn parse(text: &str) -> Result<Parsed, Vec<Finding>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let is_repeat = |err: &Error| err.message() == "duplicate key";
    let mut found = Vec::new();
    for err in &errors {
        found.push(finding(text, err));
        // Behind a mistake in the grammar the parser guesses what was meant.
        if !is_repeat(err) {
            return Err(found);
        }
    }
    // The parser gives the root no place; a problem with all of it shows at its beginning.
    let end = text.trim_end().len();
    let span = (text.len() - text.trim_start().len()).min(end)..end;
    Ok(Parsed {
        root: Root::One(Node::new(span, map(table.get_ref()))),
        repeated: found,
    })
}

fn node(value: &Spanned<DeValue<'_>>) -> Node {
    let content = match value.get_ref() {
        DeValue::String(text) => Content::Scalar(text.as_ref().into()),
        DeValue::Integer(number) => Content::Scalar(integer(number)),
        DeValue::Float(number) => {
            let float = number.as_str().parse().ok().and_then(Number::from_f64);
            Content::Scalar(float.map_or_else(|| number.as_str().into(), Value::Number))
        }
        DeValue::Boolean(value) => Content::Scalar((*value).into()),
        DeValue::Datetime(time) => Content::Scalar(time.to_string().into()),
        DeValue::Array(items) => Content::List(items.iter().map(node).collect()),
        DeValue::Table(table) => map(table),
    };
    Node::new(value.span(), content)
}

fn map(table: &DeTable<'_>) -> Content {
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref().as_ref().to_owned(),
        key_span: key.span(),
        value: node(value),
    });
    // The parser has told of every key that stands a second time.
    Content::map(entries.collect(), &mut Vec::new())
}

/// A number that is too large for any count becomes one with a point, and is refused as a count.
fn integer(number: &DeInteger<'_>) -> Value {
    let (digits, radix) = (number.as_str(), number.radix());
    match i64::from_str_radix(digits, radix) {
        Ok(number) => number.into(),
        Err(_) => u64::from_str_radix(digits, radix).map_or_else(|_| f64::MAX.into(), Value::from),
    }
}

fn finding(text: &str, err: &Error) -> Finding {
    let span: Range<usize> = err.span().unwrap_or(0..0);
    // The parser counts bytes: a place may end within a letter.
    let span = text.floor_char_boundary(span.start)..text.ceil_char_boundary(span.end);
    // The parser words its messages without quoting the text.
    match err.message() {
        "duplicate key" => {
            let key = text.get(span.clone()).unwrap_or_default();
            Finding::new(
                Code::DUPLICATE_KEY,
                format!("`{key}` stands here a second time"),
                span,
            )
            .help("write each key and each table once")
        }
        message if message.starts_with("string values must be quoted") => {
            Finding::new(Code::SYNTAX, "not a TOML value", span)
                .help("put texts in quotes: `key = \"value\"`")
        }
        message if message.starts_with("key with no value") => {
            Finding::new(Code::SYNTAX, "a key without a value", span)
                .help("write `key = \"value\"`; tables are written `[accounts.slack.prod]`")
        }
        message if message.ends_with("string, expected `\"`") => {
            Finding::new(Code::SYNTAX, "before this, a `\"` is missing", span)
                .help("a text in quotes ends with the quote that it begins with, in the same line")
        }
        "unclosed table, expected `]`" => {
            Finding::new(Code::SYNTAX, "before this, a `]` is missing", span)
                .help("tables are written `[accounts.slack.prod]`")
        }
        message => Finding::new(Code::SYNTAX, format!("not valid TOML: {message}"), span),
    }
}
