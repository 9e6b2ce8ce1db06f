//! JSON to nodes: what is JSON and nothing else, with the places that the reader of YAML finds.

use std::ops::Range;

use notify_core::Code;
use serde_json::Value;

use super::{Parsed, yaml};
use crate::diagnostic::Finding;

/// Parses a text.
pub(super) fn parse(text: &str) -> Result<Parsed, Vec<Finding>> {
    // One that is empty declares nothing, which is told elsewhere.
    if !text.trim().is_empty()
        && let Err(err) = serde_json::from_str::<Value>(text)
    {
        return Err(vec![finding(text, &err)]);
    }
    yaml::parse(text)
}

/// Words a syntax error.
fn finding(text: &str, err: &serde_json::Error) -> Finding {
    let at = place(text, err);
    let before = Unfinished::at(text.get(..at).unwrap_or_default());
    let letter = text.get(at..).and_then(|rest| rest.chars().next());
    let here = at..at + letter.map_or(0, char::len_utf8);
    let syntax = |message: &str, place: Range<usize>| Finding::new(Code::SYNTAX, message, place);
    let said = err.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    if let Some(quote) = before.quote {
        return in_text(text, quote, said);
    }
    let last = text.get(..at).unwrap_or_default().trim_end();
    match letter {
        _ if said == "recursion limit exceeded" => Finding::new(
            Code::TOO_LARGE,
            "lists and maps are nested too deeply",
            here,
        ),
        None => match before.brackets.last() {
            Some((open, bracket)) => {
                syntax(&format!("this `{bracket}` is not closed"), *open..open + 1)
            }
            None => syntax("not a JSON value", last.len()..last.len()),
        },
        Some('/' | '#') => syntax("a comment, and JSON has none", here)
            .help("remove it, or write the definition in YAML"),
        Some('\'') => {
            syntax("JSON knows no single quotes", here).help("put keys and texts in `\"`")
        }
        Some(close @ (']' | '}')) if last.ends_with(',') => {
            let comma = last.len() - 1;
            let message = format!("a `,` with nothing between it and the `{close}`");
            syntax(&message, comma..comma + 1).help("remove it")
        }
        Some(close @ (']' | '}')) => match before.brackets.last() {
            Some((open, bracket)) if (*bracket == '[') != (close == ']') => syntax(
                &format!("this `{bracket}` is closed by a `{close}`"),
                *open..open + 1,
            ),
            Some(_) => syntax("before this, a value is missing", here),
            None => syntax("this bracket closes nothing", here),
        },
        Some('&' | '*') => {
            syntax("anchors and aliases are not JSON", here).help("write the value out")
        }
        Some(_) if said == "trailing characters" => {
            syntax("something follows the end of the definition", here)
                .help("several workflows stand in a list: `{\"workflows\": […]}`")
        }
        Some(_) if said.starts_with("expected `,` or `") => {
            let close = if said.ends_with("`]`") { ']' } else { '}' };
            let message = format!("before this, a `,` or a `{close}` is missing");
            syntax(&message, here)
        }
        Some(_) if said == "expected `:`" => syntax("before this, a `:` is missing", here),
        Some(letter) if letter.is_alphabetic() || letter == '_' => {
            syntax("a word without quotes", word(text, at))
                .help("put keys and texts in `\"`; only `true`, `false` and `null` have none")
        }
        Some(_) if said == "invalid number" || said == "number out of range" => {
            syntax("not a JSON number", word(text, at)).help("put it in `\"` if it is a text")
        }
        Some(_) if said == "key must be a string" => {
            syntax("a key is a text in quotes", word(text, at))
        }
        Some(_) => syntax("not a JSON value", here),
    }
}

/// Words an error in the text whose quote stands at a place.
fn in_text(text: &str, quote: usize, said: &str) -> Finding {
    let syntax = |message: &str, place: Range<usize>| Finding::new(Code::SYNTAX, message, place);
    let rest = text.get(quote + 1..).unwrap_or_default();
    let control = rest.char_indices().find(|(_, letter)| *letter < ' ');
    if said.starts_with("control character")
        && let Some((at, letter)) = control
        && !matches!(letter, '\r' | '\n')
    {
        let at = quote + 1 + at;
        return syntax("a control character", at..at + 1)
            .help("write a tab as `\\t`, and any other one as `\\u` with four digits");
    }
    if said.starts_with("control character") || said.starts_with("EOF") {
        return syntax("this quote is not closed", quote..quote + 1)
            .help("a text in quotes ends in the line that it begins in; a line break is `\\n`");
    }
    let message = "an escape that JSON does not know";
    let escape = unknown_escape(text, quote..quote + 1);
    syntax(message, escape).help(
        "write `\\\\` for a backslash, and `\\u` with four digits, twice for letters beyond U+FFFF",
    )
}

/// Finds the byte that the parser did not expect: the beginning of the word that it is in.
fn place(text: &str, err: &serde_json::Error) -> usize {
    let lines = text
        .split_inclusive('\n')
        .take(err.line().saturating_sub(1));
    let line: usize = lines.map(str::len).sum();
    let at = (line + err.column().saturating_sub(1)).min(text.len());
    // At the end the parser stands on the last character that it took.
    let at = if err.is_eof() { text.len() } else { at };
    let at = text.floor_char_boundary(at);
    let before = text.get(..at).unwrap_or_default();
    if Unfinished::at(before).quote.is_some() {
        return at;
    }
    let is_part = |letter: char| letter.is_alphanumeric() || "+-._".contains(letter);
    if text.get(at..).is_some_and(|rest| rest.starts_with(is_part)) {
        before.trim_end_matches(is_part).len()
    } else {
        at
    }
}

/// What is open at a place in a JSON text.
#[derive(Default)]
struct Unfinished {
    quote: Option<usize>,
    brackets: Vec<(usize, char)>,
}

impl Unfinished {
    fn at(before: &str) -> Self {
        let mut open = Self::default();
        let mut letters = before.char_indices();
        while let Some((at, letter)) = letters.next() {
            match (open.quote, letter) {
                (Some(_), '\\') => {
                    letters.next();
                }
                (Some(_), '"') => open.quote = None,
                (Some(_), _) => {}
                (None, '"') => open.quote = Some(at),
                (None, '[' | '{') => open.brackets.push((at, letter)),
                (None, ']' | '}') => {
                    open.brackets.pop();
                }
                (None, _) => {}
            }
        }
        open
    }
}

/// Finds the first escape that JSON does not know in the text whose quote stands at a place.
fn unknown_escape(text: &str, quote: Range<usize>) -> Range<usize> {
    let rest = text.get(quote.end..).unwrap_or_default();
    let mut letters = rest.char_indices();
    let mut surrogate = None;
    while let Some((at, letter)) = letters.next() {
        let place = quote.end + at;
        if letter != '\\' {
            if let Some(lone) = surrogate {
                return lone;
            }
            continue;
        }
        let next = letters.next().map_or(' ', |(_, next)| next);
        let digits = rest
            .get(at + 2..at + 6)
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let end = place + 1 + next.len_utf8();
        surrogate = match (next, digits, surrogate) {
            ('u', Some(0xd800..0xdc00), None) => Some(place..end + 4),
            ('u', Some(0xdc00..0xe000), Some(_)) => None,
            ('u', Some(digits), None) if char::from_u32(digits).is_some() => None,
            ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't', _, None) => None,
            (_, _, Some(lone)) => return lone,
            _ => return place..end,
        };
        if next == 'u' {
            letters.nth(3);
        }
    }
    surrogate.unwrap_or(quote)
}

/// Extends a place to the end of the word that begins there.
fn word(text: &str, at: usize) -> Range<usize> {
    let rest = text.get(at..).unwrap_or_default();
    let is_end = |letter: char| letter.is_whitespace() || ",:[]{}\"".contains(letter);
    let end = rest.find(is_end).unwrap_or(rest.len());
    at..at + end.max(rest.chars().next().map_or(0, char::len_utf8))
}
