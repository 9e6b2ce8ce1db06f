//! What an expression of a template comes to, and the meter that bounds the work on it.
//!
//! **Invariant.** No text in a [`Value`] is longer than [`TEXT_BYTES`]: a longer one is cut where it
//! enters, so nothing after that depends on how much a failing program printed.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use notify_core::event::TaskEnded;
use notify_core::fit::{grapheme_after, grapheme_before};
use notify_core::{Timestamp, time};
use serde_json::Value as Json;

use crate::facts::{Field, Place};

/// The longest text that a value can be.
pub(crate) const TEXT_BYTES: usize = 64 * 1024;
/// How many evaluation steps one rendering may take.
const STEPS: u32 = 100_000;
/// How many bytes of text one rendering may read or make on its way.
const BYTES: usize = 4 * 1024 * 1024;
/// How deep a JSON value is printed.
const JSON_DEPTH: usize = 64;

/// A value. Cheap to clone: it borrows from the event wherever it can.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    /// Known, and not there in this event. Prints nothing.
    Absent,
    /// Something that could not be looked up or computed. Prints what is missing, marked.
    Gap(Rc<str>),
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Text<'a>),
    Time(Timestamp),
    Duration(Duration),
    /// An array or an object; scalars become one of the above.
    Json(&'a Json),
    Labels(&'a BTreeMap<String, String>),
    Outputs(&'a BTreeMap<String, Json>),
    Tasks(&'a [TaskEnded]),
    List(Rc<[Self]>),
    Struct(&'static [Field], Place<'a>),
}

/// Text from the event or the template, or made on the way.
#[derive(Clone, Debug)]
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Shared(Rc<str>),
}

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl<'a> Value<'a> {
    /// Takes a text, cut to what a value can be.
    pub(crate) fn text(text: &'a str) -> Self {
        Self::Text(match cut(text) {
            Cow::Borrowed(text) => Text::Borrowed(text),
            Cow::Owned(text) => Text::Shared(text.into()),
        })
    }

    pub(crate) fn made(text: &str) -> Self {
        Self::Text(Text::Shared(cut(text).into()))
    }

    pub(crate) fn gap(missing: impl AsRef<str>) -> Self {
        Self::Gap(missing.as_ref().into())
    }

    pub(crate) fn json(value: &'a Json) -> Self {
        match value {
            Json::Null => Self::Absent,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Self::Int(int.into()),
                (_, Some(int)) => Self::Int(int.into()),
                _ => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::text(text),
            Json::Array(_) | Json::Object(_) => Self::Json(value),
        }
    }

    /// Tells whether there is nothing to speak of.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Absent | Self::Gap(_))
    }

    /// Tells what `if` makes of the value.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Absent | Self::Gap(_) => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.as_str().is_empty(),
            Self::Time(_) | Self::Struct(..) => true,
            Self::Duration(value) => !value.is_zero(),
            _ => self.len() != Some(0),
        }
    }

    /// Counts the items of a list or map, or the characters of a text.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.as_str().chars().count()),
            Self::Json(Json::Array(items)) => Some(items.len()),
            Self::Json(Json::Object(items)) => Some(items.len()),
            Self::Labels(items) => Some(items.len()),
            Self::Outputs(items) => Some(items.len()),
            Self::Tasks(items) => Some(items.len()),
            Self::List(items) => Some(items.len()),
            _ => None,
        }
    }

    /// Walks the items of a list, or the keys of a map.
    pub(crate) fn items(&self) -> Box<dyn DoubleEndedIterator<Item = Self> + '_> {
        match self {
            Self::Json(Json::Array(items)) => Box::new(items.iter().map(Value::json)),
            Self::Tasks(items) => Box::new(items.iter().map(|task| crate::facts::task_value(task))),
            Self::List(items) => Box::new(items.iter().cloned()),
            _ => Box::new(self.pairs().map(|(key, _)| Value::text(key))),
        }
    }

    /// Walks the keys and values of a map.
    pub(crate) fn pairs(&self) -> Box<dyn DoubleEndedIterator<Item = (&'a str, Self)> + '_> {
        match self {
            Self::Json(Json::Object(items)) => {
                let items: &'a serde_json::Map<String, Json> = items;
                Box::new(
                    items
                        .iter()
                        .map(|(key, value)| (key.as_str(), Value::json(value))),
                )
            }
            Self::Labels(items) => {
                let items: &'a BTreeMap<String, String> = items;
                Box::new(
                    items
                        .iter()
                        .map(|(key, value)| (key.as_str(), Value::text(value))),
                )
            }
            Self::Outputs(items) => {
                let items: &'a BTreeMap<String, Json> = items;
                Box::new(
                    items
                        .iter()
                        .map(|(key, value)| (key.as_str(), Value::json(value))),
                )
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(
            self,
            Self::Json(Json::Array(_)) | Self::Tasks(_) | Self::List(_)
        )
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(
            self,
            Self::Json(Json::Object(_)) | Self::Labels(_) | Self::Outputs(_)
        )
    }

    /// Looks up a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        match self {
            Self::Json(Json::Object(items)) => items.get(key).map(Value::json),
            Self::Labels(items) => items.get(key).map(|text| Value::text(text)),
            Self::Outputs(items) => items.get(key).map(Value::json),
            _ => None,
        }
    }

    /// Accounts for the copy that a text was cut to, or made of.
    pub(crate) fn accounted(self, work: &mut Work) -> Result<Self, Stop> {
        if let Self::Text(Text::Shared(text)) = &self {
            work.touch(text.len())?;
        }
        Ok(self)
    }

    /// Counts how deep lists lie in one another.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "a float is what was asked for")]
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// Compares two values of one kind; values of different kinds have no order.
    pub(crate) fn order(&self, other: &Self, work: &mut Work) -> Result<Option<Ordering>, Stop> {
        Ok(match (self, other) {
            (Self::Absent | Self::Gap(_), Self::Absent | Self::Gap(_)) => Some(Ordering::Equal),
            (Self::Bool(left), Self::Bool(right)) => Some(left.cmp(right)),
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(right)),
            (Self::Text(left), Self::Text(right)) => {
                let (left, right) = (left.as_str(), right.as_str());
                work.touch(left.len().min(right.len()))?;
                Some(left.cmp(right))
            }
            (Self::Time(left), Self::Time(right)) => Some(left.cmp(right)),
            (Self::Duration(left), Self::Duration(right)) => Some(left.cmp(right)),
            (left, right) if left.is_list() && right.is_list() => {
                if left.len() != right.len() {
                    return Ok(left.len().partial_cmp(&right.len()));
                }
                for (left, right) in left.items().zip(right.items()) {
                    work.step()?;
                    match left.order(&right, work)? {
                        Some(Ordering::Equal) => {}
                        other => return Ok(other),
                    }
                }
                Some(Ordering::Equal)
            }
            (left, right) => match (left.as_number(), right.as_number()) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => None,
            },
        })
    }

    /// Gives the text that stands for the value in a message.
    pub(crate) fn print(&self, work: &mut Work) -> Result<Text<'a>, Stop> {
        let text = match self {
            Self::Absent => return Ok(Text::Borrowed("")),
            Self::Gap(missing) => format!("[no {missing}]"),
            Self::Bool(true) => return Ok(Text::Borrowed("true")),
            Self::Bool(false) => return Ok(Text::Borrowed("false")),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => float(*value),
            Self::Text(text) => return Ok(text.clone()),
            Self::Time(instant) => instant.for_people(),
            Self::Duration(duration) => time::words(*duration),
            Self::Json(value) => {
                let mut out = Bounded::new();
                json_text(value, JSON_DEPTH, &mut out);
                out.text
            }
            list if list.is_list() => {
                let mut out = Bounded::new();
                for (index, item) in list.items().enumerate() {
                    work.step()?;
                    out.push(if index == 0 { "" } else { ", " });
                    out.push(item.print(work)?.as_str());
                    if out.full {
                        break;
                    }
                }
                out.text
            }
            map => {
                let mut out = Bounded::new();
                for (index, (key, value)) in map.pairs().enumerate() {
                    work.step()?;
                    out.push(if index == 0 { "" } else { ", " });
                    out.push(key);
                    out.push("=");
                    out.push(value.print(work)?.as_str());
                    if out.full {
                        break;
                    }
                }
                out.text
            }
        };
        work.touch(text.len())?;
        Ok(Text::Shared(text.into()))
    }
}

/// Writes a number as people do: no exponent where the number is short without.
fn float(value: f64) -> String {
    if value != 0.0 && !(1e-6..1e16).contains(&value.abs()) && value.is_finite() {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

/// Prints JSON without blanks, bounded in size and depth.
fn json_text(value: &Json, depth: usize, out: &mut Bounded) {
    match value {
        _ if out.full => {}
        Json::Array(_) | Json::Object(_) if depth == 0 => out.push("…"),
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                out.push(if index == 0 { "[" } else { "," });
                json_text(item, depth - 1, out);
                if out.full {
                    return;
                }
            }
            out.push(if items.is_empty() { "[]" } else { "]" });
        }
        Json::Object(items) => {
            for (index, (key, item)) in items.iter().enumerate() {
                out.push(if index == 0 { "{" } else { "," });
                out.json_string(key);
                out.push(":");
                json_text(item, depth - 1, out);
                if out.full {
                    return;
                }
            }
            out.push(if items.is_empty() { "{}" } else { "}" });
        }
        Json::String(text) => out.json_string(text),
        scalar => out.push(&scalar.to_string()),
    }
}

/// A text under construction that stops growing at [`TEXT_BYTES`], visibly.
pub(crate) struct Bounded {
    pub(crate) text: String,
    pub(crate) full: bool,
}

impl Bounded {
    pub(crate) fn new() -> Self {
        let (text, full) = (String::new(), false);
        Self { text, full }
    }

    pub(crate) fn push(&mut self, text: &str) {
        const MARK: &str = "…";
        if self.full {
            return;
        }
        let room = (TEXT_BYTES - MARK.len()).saturating_sub(self.text.len());
        if text.len() <= room {
            self.text.push_str(text);
        } else {
            let kept = text.floor_char_boundary(room);
            self.text.push_str(text.get(..kept).unwrap_or(""));
            self.text.push_str(MARK);
            self.full = true;
        }
    }

    fn json_string(&mut self, text: &str) {
        let text = text
            .get(..text.floor_char_boundary(TEXT_BYTES))
            .unwrap_or("");
        self.push(&Json::from(text).to_string());
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        if self.full { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Cuts a text to what a value can be: its beginning and its end, with the size of what is missing.
///
/// The end of a program's output says why it stopped, the beginning what it was about.
/// The cost does not depend on the length of the text.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    const ROOM_FOR_MARK: usize = 64;
    if text.len() <= TEXT_BYTES {
        return Cow::Borrowed(text);
    }
    let half = TEXT_BYTES / 2 - ROOM_FOR_MARK;
    let head = text.get(..grapheme_before(text, half)).unwrap_or("");
    let tail = grapheme_after(text, text.len() - half);
    let tail = text.get(tail..).unwrap_or("");
    let omitted = text.len() - head.len() - tail.len();
    let mut kept = String::with_capacity(TEXT_BYTES);
    kept.push_str(head);
    write!(kept, " … {omitted} bytes omitted … ").ok();
    kept.push_str(tail);
    Cow::Owned(kept)
}

/// Why a rendering ended before its template did, in words for the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop(pub(crate) &'static str);

/// Counts the work of one rendering down to nothing.
#[derive(Debug)]
pub(crate) struct Work {
    steps: u32,
    bytes: usize,
}

impl Work {
    pub(crate) fn new() -> Self {
        let (steps, bytes) = (STEPS, BYTES);
        Self { steps, bytes }
    }

    /// Accounts for one evaluation step.
    pub(crate) fn step(&mut self) -> Result<(), Stop> {
        self.steps = self
            .steps
            .checked_sub(1)
            .ok_or(Stop("the template does too much"))?;
        Ok(())
    }

    /// Accounts for text that is read or made.
    pub(crate) fn touch(&mut self, bytes: usize) -> Result<(), Stop> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or(Stop("the values are too large"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_both_ends_and_says_how_much_is_missing() {
        let text = format!("first {}last", "noise ".repeat(9_000_000));
        let kept = cut(&text);
        assert!(kept.len() <= TEXT_BYTES);
        assert!(kept.starts_with("first noise") && kept.ends_with("noise last"));
        assert!(kept.contains(" bytes omitted … "));
        for letter in ["é", "👨\u{200d}👩\u{200d}👧", "e\u{301}", "🇩🇪"] {
            let text = letter.repeat(TEXT_BYTES);
            let kept = cut(&text);
            assert!(kept.len() <= TEXT_BYTES);
            let (head, tail) = kept.split_once(" … ").unwrap();
            let tail = tail.split_once(" … ").unwrap().1;
            let whole = |part: &str| part.replace(letter, "").is_empty();
            assert!(whole(head) && whole(tail), "{letter} is cut in two");
        }
    }

    #[test]
    fn json_is_printed_to_a_bounded_size_and_depth() {
        let mut deep = Json::from(1);
        for _ in 0..100 {
            deep = Json::from(vec![deep]);
        }
        let mut out = Bounded::new();
        json_text(&deep, JSON_DEPTH, &mut out);
        assert_eq!(out.text, format!("{}…{}", "[".repeat(64), "]".repeat(64)));

        let wide = Json::from(vec!["x".repeat(1000); 1000]);
        let mut out = Bounded::new();
        json_text(&wide, JSON_DEPTH, &mut out);
        assert!(out.text.len() <= TEXT_BYTES && out.text.ends_with('…'));

        let plain = serde_json::json!({"a": [1, null, "x\"y"], "b": {}, "c": []});
        let mut out = Bounded::new();
        json_text(&plain, JSON_DEPTH, &mut out);
        assert_eq!(out.text, plain.to_string());
    }

    #[test]
    fn numbers_are_written_as_people_do() {
        for (value, expected) in [(50.0, "50"), (0.1, "0.1"), (1e300, "1e300"), (-0.5, "-0.5")] {
            assert_eq!(float(value), expected);
        }
    }
}
