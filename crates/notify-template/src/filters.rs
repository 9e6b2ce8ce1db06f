//! The filters and tests that templates can use. The list is closed.
//!
//! Every one is total and bounded: it takes values of at most a known size, makes at most as much,
//! and accounts for the work. What it gives is a value again, never markup.

#![expect(clippy::unnecessary_wraps, reason = "all filters have one signature")]

use std::cmp::Ordering;

use crate::value::{Bounded, Stop, Value, Work};

/// What a filter, a test or one of their arguments takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Any,
    /// Whatever has one plain text.
    Text,
    Number,
    /// A list, a map or a text: something with a length.
    Many,
    Map,
    Time,
    Duration,
}

/// Of which kind the result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gives {
    /// What came in, or the first argument.
    Either,
    Text,
    Number,
    /// An item of the list that came in.
    Item,
    /// Pairs of keys and values of the map that came in.
    Pairs,
}

type Run = for<'a> fn(&mut Work, &Value<'a>, &[Value<'a>]) -> Result<Value<'a>, Stop>;

/// A filter: `{{ value|name(arguments) }}`.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    pub(crate) takes: Takes,
    pub(crate) arguments: &'static [Takes],
    pub(crate) required: usize,
    pub(crate) gives: Gives,
    /// Whether it also sees what is not there; other filters pass that on.
    pub(crate) sees_missing: bool,
    pub(crate) run: Run,
}

/// A test: `{% if value is name(arguments) %}`.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) takes: Takes,
    pub(crate) arguments: &'static [Takes],
    pub(crate) holds: for<'a> fn(&mut Work, &Value<'a>, &[Value<'a>]) -> Result<bool, Stop>,
}

const fn filter(
    name: &'static str,
    takes: Takes,
    arguments: &'static [Takes],
    gives: Gives,
    run: Run,
) -> Filter {
    let required = arguments.len();
    let sees_missing = false;
    Filter {
        name,
        takes,
        arguments,
        required,
        gives,
        sees_missing,
        run,
    }
}

const fn optional(
    name: &'static str,
    takes: Takes,
    argument: &'static [Takes],
    gives: Gives,
    run: Run,
) -> Filter {
    let required = 0;
    Filter {
        required,
        ..filter(name, takes, argument, gives, run)
    }
}

const DEFAULT: Filter = Filter {
    required: 1,
    sees_missing: true,
    ..filter(
        "default",
        Takes::Any,
        &[Takes::Any, Takes::Any],
        Gives::Either,
        default,
    )
};

/// Every filter.
pub(crate) static FILTERS: &[Filter] = &[
    DEFAULT,
    Filter {
        name: "d",
        ..DEFAULT
    },
    filter("upper", Takes::Text, &[], Gives::Text, |work, value, _| {
        mapped(work, value, char::to_uppercase)
    }),
    filter("lower", Takes::Text, &[], Gives::Text, |work, value, _| {
        mapped(work, value, char::to_lowercase)
    }),
    filter(
        "capitalize",
        Takes::Text,
        &[],
        Gives::Text,
        |work, value, _| {
            let mut first = true;
            cased(work, value, |_| std::mem::take(&mut first))
        },
    ),
    filter("title", Takes::Text, &[], Gives::Text, |work, value, _| {
        let mut between = true;
        cased(work, value, |letter| {
            let begins = between;
            between = !letter.is_alphanumeric() && letter != '\'';
            begins
        })
    }),
    filter("trim", Takes::Text, &[], Gives::Text, |work, value, _| {
        Ok(Value::made(printed(work, value)?.as_str().trim()))
    }),
    filter(
        "replace",
        Takes::Text,
        &[Takes::Text, Takes::Text],
        Gives::Text,
        replace,
    ),
    optional(
        "truncate",
        Takes::Text,
        &[Takes::Number],
        Gives::Text,
        truncate,
    ),
    filter("length", Takes::Many, &[], Gives::Number, length),
    filter("count", Takes::Many, &[], Gives::Number, length),
    filter("first", Takes::Many, &[], Gives::Item, |_, value, _| {
        Ok(end(value, |items| items.next(), |letters| letters.next()))
    }),
    filter("last", Takes::Many, &[], Gives::Item, |_, value, _| {
        Ok(end(
            value,
            |items| items.next_back(),
            |letters| letters.next_back(),
        ))
    }),
    optional("join", Takes::Many, &[Takes::Text], Gives::Text, join),
    filter("items", Takes::Map, &[], Gives::Pairs, |work, value, _| {
        let mut pairs = Vec::new();
        for (key, value) in value.pairs() {
            work.step()?;
            let (key, value) = (Value::text(key).accounted(work)?, value.accounted(work)?);
            pairs.push(Value::List([key, value].into()));
        }
        Ok(Value::List(pairs.into()))
    }),
    optional(
        "round",
        Takes::Number,
        &[Takes::Number],
        Gives::Number,
        round,
    ),
    filter("int", Takes::Any, &[], Gives::Number, int),
    filter("float", Takes::Any, &[], Gives::Number, float),
    filter("abs", Takes::Number, &[], Gives::Number, |_, value, _| {
        Ok(match value {
            Value::Int(int) => Value::Int(int.saturating_abs()),
            Value::Float(float) => Value::Float(float.abs()),
            _ => not("a number"),
        })
    }),
    filter("date", Takes::Time, &[], Gives::Text, |_, value, _| {
        Ok(part_of_time(value, 0))
    }),
    filter("time", Takes::Time, &[], Gives::Text, |_, value, _| {
        Ok(part_of_time(value, 1))
    }),
    filter(
        "words",
        Takes::Duration,
        &[],
        Gives::Text,
        |work, value, _| match value {
            Value::Duration(_) => Ok(Value::Text(value.print(work)?)),
            _ => Ok(not("a duration")),
        },
    ),
    filter(
        "seconds",
        Takes::Duration,
        &[],
        Gives::Number,
        |_, value, _| {
            Ok(match value {
                Value::Duration(duration) => Value::Int(duration.as_secs().into()),
                _ => not("a duration"),
            })
        },
    ),
];

/// Every test.
pub(crate) static TESTS: &[Test] = &[
    test("defined", &[], |_, value, _| Ok(!value.is_missing())),
    test("undefined", &[], |_, value, _| Ok(value.is_missing())),
    test("none", &[], |_, value, _| Ok(value.is_missing())),
    test("eq", &[Takes::Any], |work, value, arguments| {
        compared(work, value, arguments, |order| order == Ordering::Equal)
    }),
    test("ne", &[Takes::Any], |work, value, arguments| {
        Ok(!compared(work, value, arguments, |order| {
            order == Ordering::Equal
        })?)
    }),
    test("lt", &[Takes::Any], |work, value, arguments| {
        compared(work, value, arguments, Ordering::is_lt)
    }),
    test("le", &[Takes::Any], |work, value, arguments| {
        compared(work, value, arguments, Ordering::is_le)
    }),
    test("gt", &[Takes::Any], |work, value, arguments| {
        compared(work, value, arguments, Ordering::is_gt)
    }),
    test("ge", &[Takes::Any], |work, value, arguments| {
        compared(work, value, arguments, Ordering::is_ge)
    }),
    test(
        "in",
        &[Takes::Many],
        |work, value, arguments| match arguments.first() {
            Some(many) => contains(work, many, value),
            None => Ok(false),
        },
    ),
    Test {
        takes: Takes::Number,
        ..test("even", &[], |_, value, _| {
            Ok(value.as_int().is_some_and(|int| int % 2 == 0))
        })
    },
    Test {
        takes: Takes::Number,
        ..test("odd", &[], |_, value, _| {
            Ok(value.as_int().is_some_and(|int| int % 2 != 0))
        })
    },
    Test {
        takes: Takes::Text,
        ..test("startingwith", &[Takes::Text], |work, value, arguments| {
            affixed(work, value, arguments, |text, part| text.starts_with(part))
        })
    },
    Test {
        takes: Takes::Text,
        ..test("endingwith", &[Takes::Text], |work, value, arguments| {
            affixed(work, value, arguments, |text, part| text.ends_with(part))
        })
    },
];

const fn test(
    name: &'static str,
    arguments: &'static [Takes],
    holds: for<'a> fn(&mut Work, &Value<'a>, &[Value<'a>]) -> Result<bool, Stop>,
) -> Test {
    let takes = Takes::Any;
    Test {
        name,
        takes,
        arguments,
        holds,
    }
}

/// Tells whether a list has an item, a map a key, a text a part.
pub(crate) fn contains(
    work: &mut Work,
    many: &Value<'_>,
    wanted: &Value<'_>,
) -> Result<bool, Stop> {
    match (many, wanted) {
        (Value::Text(text), Value::Text(part)) => {
            work.touch(text.as_str().len())?;
            Ok(text.as_str().contains(part.as_str()))
        }
        (map, Value::Text(key)) if map.is_map() => Ok(map.get(key.as_str()).is_some()),
        _ => {
            for item in many.items() {
                work.step()?;
                if item.accounted(work)?.order(wanted, work)? == Some(Ordering::Equal) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

fn compared(
    work: &mut Work,
    value: &Value<'_>,
    arguments: &[Value<'_>],
    accepts: fn(Ordering) -> bool,
) -> Result<bool, Stop> {
    match arguments.first() {
        Some(other) => Ok(value.order(other, work)?.is_some_and(accepts)),
        None => Ok(false),
    }
}

fn affixed(
    work: &mut Work,
    value: &Value<'_>,
    arguments: &[Value<'_>],
    holds: fn(&str, &str) -> bool,
) -> Result<bool, Stop> {
    match arguments.first() {
        Some(part) => {
            let (text, part) = (value.print(work)?, part.print(work)?);
            Ok(holds(text.as_str(), part.as_str()))
        }
        None => Ok(false),
    }
}

/// The value that stands for "a JSON value turned out to be of another kind".
fn not(wanted: &str) -> Value<'static> {
    Value::gap(format!("value: it is not {wanted}"))
}

fn printed<'a>(work: &mut Work, value: &Value<'a>) -> Result<crate::value::Text<'a>, Stop> {
    let text = value.print(work)?;
    work.touch(text.as_str().len())?;
    Ok(text)
}

fn mapped<'a, I: Iterator<Item = char>>(
    work: &mut Work,
    value: &Value<'_>,
    letter: fn(char) -> I,
) -> Result<Value<'a>, Stop> {
    let text: String = printed(work, value)?
        .as_str()
        .chars()
        .flat_map(letter)
        .collect();
    Ok(Value::made(&text))
}

/// Makes the letters capital for which `begins` holds, and the others small.
fn cased<'a>(
    work: &mut Work,
    value: &Value<'_>,
    mut begins: impl FnMut(char) -> bool,
) -> Result<Value<'a>, Stop> {
    let text = printed(work, value)?;
    let mut out = String::with_capacity(text.as_str().len());
    for letter in text.as_str().chars() {
        if begins(letter) {
            out.extend(letter.to_uppercase());
        } else {
            out.extend(letter.to_lowercase());
        }
    }
    Ok(Value::made(&out))
}

fn default<'a>(
    _: &mut Work,
    value: &Value<'a>,
    arguments: &[Value<'a>],
) -> Result<Value<'a>, Stop> {
    let empty_too = arguments.get(1).is_some_and(Value::is_true);
    let replaced = value.is_missing() || (empty_too && !value.is_true());
    match arguments.first() {
        Some(other) if replaced => Ok(other.clone()),
        _ => Ok(value.clone()),
    }
}

fn replace<'a>(
    work: &mut Work,
    value: &Value<'a>,
    arguments: &[Value<'a>],
) -> Result<Value<'a>, Stop> {
    let [from, to] = arguments else {
        return Ok(value.clone());
    };
    let (text, from, to) = (
        printed(work, value)?,
        printed(work, from)?,
        printed(work, to)?,
    );
    if from.as_str().is_empty() {
        return Ok(value.clone());
    }
    let mut out = Bounded::new();
    for (index, part) in text.as_str().split(from.as_str()).enumerate() {
        if index > 0 {
            out.push(to.as_str());
        }
        out.push(part);
        if out.full {
            break;
        }
    }
    work.touch(out.text.len())?;
    Ok(Value::made(&out.text))
}

fn truncate<'a>(
    work: &mut Work,
    value: &Value<'a>,
    arguments: &[Value<'a>],
) -> Result<Value<'a>, Stop> {
    const USUAL: usize = 255;
    let length = match arguments.first() {
        Some(length) => usize::try_from(length.as_int().unwrap_or(0)).unwrap_or(0),
        None => USUAL,
    };
    let text = printed(work, value)?;
    let text = text.as_str();
    if text.char_indices().nth(length).is_none() {
        Ok(value.clone())
    } else {
        let kept = text
            .char_indices()
            .nth(length.saturating_sub(1))
            .map_or(0, |(at, _)| at);
        let kept = if length == 0 {
            ""
        } else {
            text.get(..kept).unwrap_or("")
        };
        Ok(Value::made(&format!("{kept}…")))
    }
}

fn length<'a>(work: &mut Work, value: &Value<'a>, _: &[Value<'a>]) -> Result<Value<'a>, Stop> {
    if let Value::Text(text) = value {
        work.touch(text.as_str().len())?;
    }
    Ok(
        match value.len().and_then(|length| i128::try_from(length).ok()) {
            Some(length) => Value::Int(length),
            None => not("a list"),
        },
    )
}

fn end<'a>(
    value: &Value<'a>,
    item: fn(&mut dyn DoubleEndedIterator<Item = Value<'a>>) -> Option<Value<'a>>,
    letter: fn(&mut std::str::Chars<'_>) -> Option<char>,
) -> Value<'a> {
    let found = match value {
        Value::Text(text) => letter(&mut text.as_str().chars())
            .map(|letter| Value::made(letter.encode_utf8(&mut [0; 4]))),
        many => item(&mut many.items()),
    };
    found.unwrap_or(Value::Absent)
}

fn join<'a>(
    work: &mut Work,
    value: &Value<'a>,
    arguments: &[Value<'a>],
) -> Result<Value<'a>, Stop> {
    let between = match arguments.first() {
        Some(between) => between.print(work)?,
        None => crate::value::Text::Borrowed(""),
    };
    let mut out = Bounded::new();
    for (index, item) in value.items().enumerate() {
        work.step()?;
        if index > 0 {
            out.push(between.as_str());
        }
        let item = printed(work, &item)?;
        out.push(item.as_str());
        if out.full {
            break;
        }
    }
    work.touch(out.text.len())?;
    Ok(Value::made(&out.text))
}

fn round<'a>(_: &mut Work, value: &Value<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Stop> {
    const DIGITS: i128 = 15;
    let digits = arguments
        .first()
        .and_then(Value::as_int)
        .unwrap_or(0)
        .clamp(-DIGITS, DIGITS);
    let Some(number) = value.as_number() else {
        return Ok(not("a number"));
    };
    if matches!(value, Value::Int(_)) && digits >= 0 {
        return Ok(value.clone());
    }
    let scale = 10_f64.powi(i32::try_from(digits).unwrap_or(0));
    Ok(Value::Float((number * scale).round() / scale))
}

fn int<'a>(work: &mut Work, value: &Value<'a>, _: &[Value<'a>]) -> Result<Value<'a>, Stop> {
    Ok(match number(work, value)? {
        Some(Value::Int(int)) => Value::Int(int),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float saturates, which is meant"
        )]
        Some(Value::Float(float)) => Value::Int(float as i128),
        _ => not("a number"),
    })
}

fn float<'a>(work: &mut Work, value: &Value<'a>, _: &[Value<'a>]) -> Result<Value<'a>, Stop> {
    let number = number(work, value)?;
    Ok(match number.as_ref().and_then(Value::as_number) {
        Some(float) => Value::Float(float),
        None => not("a number"),
    })
}

fn number<'a>(work: &mut Work, value: &Value<'a>) -> Result<Option<Value<'a>>, Stop> {
    Ok(match value {
        Value::Int(_) | Value::Float(_) => Some(value.clone()),
        Value::Bool(value) => Some(Value::Int(i128::from(*value))),
        Value::Text(text) => {
            work.touch(text.as_str().len())?;
            let text = text.as_str().trim();
            let int = text.parse().ok().map(Value::Int);
            int.or_else(|| text.parse().ok().map(Value::Float))
        }
        _ => None,
    })
}

/// Gives the date or the time of an instant, both in UTC.
fn part_of_time<'a>(value: &Value<'a>, part: usize) -> Value<'a> {
    match value {
        Value::Time(instant) => {
            let text = instant.for_people();
            Value::made(text.splitn(2, ' ').nth(part).unwrap_or(""))
        }
        _ => not("an instant"),
    }
}
